/**
 * The clients of a network under faults. Each sends one request after another, to any node, and the same signed bytes to the next one for as long
 * as nobody answers; what they see is the history that is judged (`history.ts`). Answers are verified before they count.
 */
import { lookupResultToBuffer } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import type { Bls } from "@orrery/crypto";
import {
  createArgument,
  decodeCreated,
  installArgument,
  MANAGEMENT,
  NO_ARGUMENT,
} from "../durability/candid.ts";
import { moduleOf, pack } from "../durability/canister.ts";
import { CertificateClock } from "../durability/certificate-clock.ts";
import { Client, Refused, type SignedRequest, Stale, Unanswered, Violation } from "../durability/client.ts";
import type { Random } from "../durability/random.ts";
import type { RunningNode } from "./cluster.ts";
import type { CertifiedRead, Update } from "./history.ts";

/** A node that stands still answers nobody; a synchronous call is answered within ten seconds by one that runs. */
const ANSWER_MS_MAX = 12_000;
/** Before the next node is asked. */
const NEXT_MS = 50;
/** A request is given up when it can no longer be answered. */
const MARGIN_MS = 15_000;
const PIECE = 100_000;
const UNAVAILABLE = 503;

export interface ClientsOptions {
  readonly bls: Bls;
  readonly random: Random;
  readonly count: number;
  /** Of each client, between an answer and the next request. */
  readonly pauseMs: number;
  /** Of those that have a node of a subnet. */
  readonly placesOf: (subnet: number) => readonly number[];
  /** Null while the node is down. */
  readonly at: (place: number) => RunningNode | null;
  /** Whether a node may say that a request is wrong: one whose clock is. */
  readonly mayRefuse: (place: number) => boolean;
}

/** Where a canister is to be. */
export interface Home {
  readonly subnet: number;
  /** Where that subnet creates them. */
  readonly near: Principal;
}

interface OneClient {
  readonly id: number;
  readonly client: Client;
  readonly clock: CertificateClock;
  readonly random: Random;
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Clients {
  readonly updates: Update[] = [];
  readonly reads: CertifiedRead[] = [];
  /** One canister a list. */
  readonly lists: Principal[] = [];
  /** Subnets that the lists are on. */
  readonly #homes: number[] = [];
  answered = 0;
  lastAnswerMs: number = performance.now();
  refused = 0;
  stale = 0;
  unanswered = 0;
  readonly #options: ClientsOptions;
  readonly #clients: readonly OneClient[];
  #nextEntry = 1n;
  #isOver = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.count + 1 }, (_, id) => this.#newClient(id));
  }

  #newClient(id: number): OneClient {
    const { bls, random } = this.#options;
    const clock = new CertificateClock();
    const identity = Ed25519KeyIdentity.generate(random.bytes(32));
    const client = new Client({ bls, clock, identity, timeoutMs: ANSWER_MS_MAX });
    return { id, client, clock, random: random.fork() };
  }

  get #first(): OneClient {
    return this.#clients[0] as OneClient;
  }

  /** Makes a list on each subnet. */
  async prepare(homes: readonly Home[]): Promise<void> {
    const module = await moduleOf(new URL("./ledger.wat", import.meta.url));
    for (const home of homes) {
      this.lists.push(await this.install(module, home));
      this.#homes.push(home.subnet);
    }
  }

  /** Places where a list is. */
  placesOf(list: number): readonly number[] {
    return this.#options.placesOf(this.#homes[list] ?? 0);
  }

  /** Lists that are at a place. */
  listsAt(place: number): readonly number[] {
    return [...this.lists.keys()].filter((list) => this.placesOf(list).includes(place));
  }

  /** A new canister on a subnet. */
  async install(module: Uint8Array, { subnet, near }: Home): Promise<Principal> {
    const places = this.#options.placesOf(subnet);
    const created = await this.#manage(
      "provisional_create_canister_with_cycles",
      createArgument(),
      near,
      places,
    );
    const id = decodeCreated(created);
    await this.#manage(
      "install_code",
      installArgument({ id, mode: "install", module, arg: NO_ARGUMENT }),
      id,
      places,
    );
    return id;
  }

  /** Of another canister than a list, at any node of its subnet; what it replies. */
  async update(canisterId: Principal, method: string, arg: Uint8Array, subnet: number): Promise<Uint8Array> {
    const one = this.#first;
    const reply = await this.#send(
      one,
      await one.client.sign({ canisterId, method, arg }),
      this.#anyOf(one, this.#options.placesOf(subnet)),
    );
    if (reply === null) throw new Violation(`${method} was not answered before it expired`);
    return reply;
  }

  /** Until `finish`; resolves when everything was answered or can no longer be. */
  async run(): Promise<void> {
    const loop = async (one: OneClient): Promise<void> => {
      while (!this.#isOver) {
        await this.#request(one);
        if (this.#options.pauseMs > 0) await delay(this.#options.pauseMs);
      }
    };
    await Promise.all(this.#clients.slice(1).map(loop));
  }

  finish(): void {
    this.#isOver = true;
  }

  /** An entry through one node alone, whatever becomes of it meanwhile; resolves once it is answered, a violation if it never is. */
  async addAt(place: number, list: number): Promise<void> {
    const { answeredMs } = await this.#update(this.#first, { kind: "add", list, places: () => place });
    if (answeredMs === null) throw new Violation(`node ${place} did not answer an update of list ${list}`);
  }

  /** An entry by a call from another subnet, through any node of that; resolves once it is answered, a violation if it never is. */
  async relayTo(list: number): Promise<void> {
    if (this.lists.length < 2) return;
    const places = this.#anyOf(this.#first, this.placesOf(this.#relayOf(list)));
    const { answeredMs } = await this.#update(this.#first, { kind: "relay", list, places });
    if (answeredMs === null) throw new Violation(`a call to list ${list} was not answered`);
  }

  /** A list as one node has it, which answers within `mostMs`. */
  async entriesAt(place: number, list: number, mostMs: number): Promise<readonly bigint[]> {
    const endMs = performance.now() + mostMs;
    while (performance.now() < endMs) {
      const entries = await this.#unless(place, () => this.#entries(place, list));
      if (entries !== null) return entries;
      await delay(NEXT_MS);
    }
    throw new Violation(`node ${place} does not tell its list ${list}`);
  }

  async #entries(place: number, list: number): Promise<readonly bigint[]> {
    const node = this.#options.at(place);
    if (node === null) throw new Violation(`node ${place} is down`);
    const entries: bigint[] = [];
    const read = await this.#certified(this.#first, node, list);
    this.reads.push(read);
    while (entries.length < read.length) {
      const count = Math.min(PIECE, read.length - entries.length);
      const arg = pack(entries.length, count);
      const piece = await this.#first.client.query(node, this.lists[list] as Principal, "entries", arg);
      const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
      for (let i = 0; i < count; i++) entries.push(view.getBigUint64(8 * i, true));
    }
    return entries;
  }

  async #manage(
    method: string,
    arg: Uint8Array,
    effectiveCanisterId: Principal,
    places: readonly number[],
  ): Promise<Uint8Array> {
    const one = this.#first;
    const request = await one.client.sign({ canisterId: MANAGEMENT, method, arg, effectiveCanisterId });
    const reply = await this.#send(one, request, this.#anyOf(one, places));
    if (reply === null) throw new Violation(`${method} was not answered before it expired`);
    return reply;
  }

  #anyOf({ random }: OneClient, places: readonly number[]): () => number {
    let next = random.below(places.length);
    return () => places[next++ % places.length] as number;
  }

  /** The list whose canister relays entries to another one: of the next subnet. */
  #relayOf(list: number): number {
    return (list + 1) % this.lists.length;
  }

  async #request(one: OneClient): Promise<void> {
    const { random } = one;
    const list = random.below(this.lists.length);
    const chance = random.below(100);
    const relays = chance >= 20 && chance < 35 && this.lists.length > 1;
    const places = this.#anyOf(one, this.placesOf(relays ? this.#relayOf(list) : list));
    if (chance < 20) return this.#read(one, list, places());
    const kind = relays ? "relay" : chance < 50 ? "length" : "add";
    await this.#update(one, { kind, list, places });
  }

  async #update(
    one: OneClient,
    what: { readonly kind: Update["kind"]; readonly list: number; readonly places: () => number },
  ): Promise<Update> {
    const { kind, list, places } = what;
    const own = this.lists[list] as Principal;
    const entry = kind === "length" ? 0n : this.#nextEntry++;
    // By the canister of another list, on another subnet.
    const by = kind === "relay" ? (this.lists[this.#relayOf(list)] as Principal) : own;
    const id = own.toUint8Array();
    const arg = kind === "relay" ? pack(entry, Uint8Array.of(id.length), id) : pack(entry);
    const request = await one.client.sign({ canisterId: by, method: kind, arg });
    const update: Update = {
      kind,
      list,
      entry,
      sentMs: performance.now(),
      answeredMs: null,
      value: null,
      certifiedAt: null,
      sent: 0,
    };
    this.updates.push(update);
    const reply = await this.#send(one, request, places, update);
    if (reply === null) {
      this.unanswered++;
      return update;
    }
    update.answeredMs = performance.now();
    update.value = Number(Buffer.from(reply).readBigUInt64LE());
    if (kind !== "relay") update.certifiedAt = one.clock.newest(own);
    this.answered++;
    this.lastAnswerMs = update.answeredMs;
    return update;
  }

  /** The same bytes to one node after the other until one answers; null when the request has expired. */
  async #send(
    one: OneClient,
    request: SignedRequest,
    places: () => number,
    update: { sent: number } = { sent: 0 },
  ): Promise<Uint8Array | null> {
    while (Date.now() < request.expiresAtMs - MARGIN_MS) {
      const place = places();
      const node = this.#options.at(place);
      if (node !== null) {
        update.sent++;
        const answer = await this.#unless(place, () => one.client.submit(node, request));
        if (answer?.kind === "rejected")
          throw new Violation(`an update was rejected: ${answer.code} ${answer.message}`);
        if (answer !== null) return answer.reply;
      }
      await delay(NEXT_MS);
    }
    return null;
  }

  async #read(one: OneClient, list: number, place: number): Promise<void> {
    const node = this.#options.at(place);
    if (node === null) return;
    const read = await this.#unless(place, () => this.#certified(one, node, list));
    if (read !== null) this.reads.push(read);
  }

  async #certified(one: OneClient, node: RunningNode, list: number): Promise<CertifiedRead> {
    const id = this.lists[list] as Principal;
    const sentMs = performance.now();
    const certificate = await one.client.certified(node, id, "certified", NO_ARGUMENT);
    const path = [Buffer.from("canister"), id.toUint8Array(), Buffer.from("certified_data")];
    const data = lookupResultToBuffer(certificate.lookup_path(path));
    if (data?.length !== 16) throw new Violation(`list ${list} has no certified length`);
    const view = Buffer.from(data);
    return {
      client: one.id,
      list,
      sentMs,
      answeredMs: performance.now(),
      time: one.clock.newest(id),
      length: Number(view.readBigUInt64LE()),
      hash: view.readBigUInt64LE(8),
    };
  }

  /** Null when the node did not answer, or will not now. */
  async #unless<T>(place: number, ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Stale) this.stale++;
      else if (error instanceof Refused) {
        if (error.status !== UNAVAILABLE && !this.#options.mayRefuse(place)) throw error;
        this.refused++;
      } else if (!(error instanceof Unanswered)) throw error;
      return null;
    }
  }
}
