/**
 * The load of the drill: clients that each send one request after another and send it again, the same signed bytes, for as long
 * as no node answers. What they learn goes into the records that the checks read.
 */
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import type { Bls } from "@orrery/crypto";
import {
  canisterArgument,
  createArgument,
  decodeCreated,
  installArgument,
  MANAGEMENT,
  NO_ARGUMENT,
} from "./candid.ts";
import { pack, SLOTS_MAX, transferArgument } from "./canister.ts";
import { CertificateClock } from "./certificate-clock.ts";
import { Client, type Endpoint, Unanswered, Violation } from "./client.ts";
import type { Random } from "./random.ts";
import type { Op, OpKind } from "./records.ts";

export const DRILL_CANISTERS = 3;
/** Clients of the drill's canisters, beside one of the counter and one that installs. */
const CALLERS = 4;

/** A canister that the installing client makes, fills, stops and deletes. */
export interface ShortLived {
  readonly id: Principal;
  stage: "created" | "installed" | "stopped" | "deleted";
  /** An operation on it is under way: it may have happened or not. */
  isChanging: boolean;
}

/** Where requests go: the node that runs now, or the next one. */
export interface Gate {
  /** The node that clients may use, once there is one; null when the drill is over. */
  open(): Promise<Endpoint | null>;
  /** Resolves when that node is gone. */
  gone(at: Endpoint): Promise<void>;
  /** Something about a request happened, for those who wait to kill. */
  happened(event: "sent" | "answered", op: Op): void;
  /** Nodes started so far. */
  readonly generation: number;
}

export interface WorkloadOptions {
  readonly bls: Bls;
  readonly random: Random;
  readonly drillModule: Uint8Array;
  readonly counterModule: Uint8Array;
}

export class Workload {
  readonly ops: Op[] = [];
  readonly canisters: Principal[] = [];
  readonly shortLived: ShortLived[] = [];
  readonly clock: CertificateClock = new CertificateClock();
  counter: Principal | null = null;
  /** Signs reads and the requests that set the scene. */
  readonly client: Client;
  readonly #options: WorkloadOptions;
  /** With choices of its own each, so that their order among clients does not matter. */
  readonly #callers: readonly { readonly client: Client; readonly random: Random }[];
  #nextSlot = 1;
  #finishing = false;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const client = (): Client =>
      new Client({
        bls: options.bls,
        clock: this.clock,
        identity: Ed25519KeyIdentity.generate(options.random.bytes(32)),
      });
    this.client = client();
    this.#callers = Array.from({ length: CALLERS }, () => ({
      client: client(),
      random: options.random.fork(),
    }));
  }

  get slotsUsed(): number {
    return this.#nextSlot;
  }

  async #op(
    client: Client,
    kind: OpKind,
    call: { canisterId: Principal; method: string; arg: Uint8Array; effectiveCanisterId?: Principal },
    about: Partial<Pick<Op, "canister" | "peer" | "slot" | "amount" | "cycles">> = {},
  ): Promise<Op> {
    const op: Op = {
      kind,
      canister: -1,
      peer: -1,
      slot: -1,
      amount: 0,
      cycles: 0n,
      ...about,
      request: await client.sign(call),
      client,
      answer: null,
      answeredIn: -1,
      sent: 0,
    };
    this.ops.push(op);
    return op;
  }

  /** Sends until it is answered, whatever number of nodes that takes; a rejection is a violation: every request here succeeds. */
  async #complete(gate: Gate, op: Op): Promise<Uint8Array | null> {
    for (;;) {
      const at = await gate.open();
      if (at === null) return null;
      op.sent++;
      gate.happened("sent", op);
      try {
        const answer = await op.client.submit(at, op.request);
        op.answer = answer;
        op.answeredIn = gate.generation;
        if (answer.kind === "rejected")
          throw new Violation(`${op.kind} was rejected: ${answer.code} ${answer.message}`);
        gate.happened("answered", op);
        return answer.reply;
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        await gate.gone(at);
      }
    }
  }

  #install(id: Principal, mode: "install" | "upgrade", slot: number): Parameters<Client["sign"]>[0] {
    const arg = installArgument({ id, mode, module: this.#options.drillModule, arg: pack(slot) });
    return { canisterId: MANAGEMENT, method: "install_code", arg, effectiveCanisterId: id };
  }

  #manage(method: string, id: Principal): Parameters<Client["sign"]>[0] {
    return { canisterId: MANAGEMENT, method, arg: canisterArgument(id), effectiveCanisterId: id };
  }

  async #create(gate: Gate, near: Principal): Promise<Principal> {
    const method = "provisional_create_canister_with_cycles";
    const call = { canisterId: MANAGEMENT, method, arg: createArgument(), effectiveCanisterId: near };
    const reply = await this.#complete(gate, await this.#op(this.client, "create", call));
    if (reply === null) throw new Violation("the drill ended while a canister was created");
    return decodeCreated(reply);
  }

  /** Makes the canisters that live through the whole drill, on the subnets that these ids lead to. */
  async prepare(gate: Gate, subnets: readonly Principal[]): Promise<void> {
    for (let i = 0; i < DRILL_CANISTERS; i++) {
      const id = await this.#create(gate, subnets[i % subnets.length] as Principal);
      this.canisters.push(id);
      const slot = this.#nextSlot++;
      const install = this.#install(id, "install", slot);
      await this.#complete(gate, await this.#op(this.client, "install", install, { canister: i, slot }));
    }
    this.counter = await this.#create(gate, subnets[0] as Principal);
    await this.#complete(gate, await this.#op(this.client, "install", this.#counterCode("install")));
  }

  #counterCode(mode: "install" | "upgrade-keep"): Parameters<Client["sign"]>[0] {
    const id = this.counter as Principal;
    const arg = installArgument({ id, mode, module: this.#options.counterModule, arg: NO_ARGUMENT });
    return { canisterId: MANAGEMENT, method: "install_code", arg, effectiveCanisterId: id };
  }

  /** Runs until `finish`; resolves when every request is answered. */
  async run(gate: Gate, subnets: readonly Principal[]): Promise<void> {
    const callers = this.#callers.map((caller) => this.#loop(gate, () => this.#callOnce(gate, caller)));
    const counting = this.#loop(gate, () => this.#countOnce(gate));
    const installing = this.#loop(gate, () => this.#installOnce(gate, subnets));
    await Promise.all([...callers, counting, installing]);
  }

  finish(): void {
    this.#finishing = true;
  }

  async #loop(gate: Gate, once: () => Promise<void>): Promise<void> {
    while (!this.#finishing && this.#nextSlot < SLOTS_MAX - 100 && (await gate.open()) !== null) await once();
  }

  async #callOnce(gate: Gate, { client, random }: { client: Client; random: Random }): Promise<void> {
    const canister = random.below(DRILL_CANISTERS);
    const canisterId = this.canisters[canister] as Principal;
    const slot = this.#nextSlot++;
    const kind = random.pick(["bump", "bump", "transfer", "transfer", "random", "schedule"] as const);
    const peer =
      kind === "transfer" ? (canister + 1 + random.below(DRILL_CANISTERS - 1)) % DRILL_CANISTERS : -1;
    const amount = kind === "transfer" ? 1 + random.below(1_000) : 0;
    const cycles = kind === "transfer" ? BigInt(1_000_000 + random.below(1_000_000_000)) : 0n;
    const arg = {
      bump: () => pack(slot, random.below(200_000)),
      transfer: () => transferArgument(slot, amount, cycles, this.canisters[peer] as Principal),
      random: () => pack(slot),
      schedule: () => pack(slot, 0, BigInt(random.below(300_000_000))),
    }[kind]();
    const op = await this.#op(
      client,
      kind,
      { canisterId, method: kind, arg },
      { canister, peer, slot, amount, cycles },
    );
    await this.#complete(gate, op);
  }

  async #countOnce(gate: Gate): Promise<void> {
    const canisterId = this.counter as Principal;
    await this.#complete(
      gate,
      await this.#op(this.client, "count", { canisterId, method: "inc", arg: NO_ARGUMENT }),
    );
  }

  async #installOnce(gate: Gate, subnets: readonly Principal[]): Promise<void> {
    const { random } = this.#options;
    const chance = random.below(10);
    if (chance < 4) {
      const canister = random.below(DRILL_CANISTERS);
      const slot = this.#nextSlot++;
      const call = this.#install(this.canisters[canister] as Principal, "upgrade", slot);
      await this.#complete(gate, await this.#op(this.client, "upgrade", call, { canister, slot }));
    } else if (chance < 6) {
      await this.#complete(
        gate,
        await this.#op(this.client, "upgrade-counter", this.#counterCode("upgrade-keep")),
      );
    } else {
      await this.#shortLife(gate, random.pick(subnets));
    }
  }

  async #shortLife(gate: Gate, near: Principal): Promise<void> {
    const canister: ShortLived = { id: await this.#create(gate, near), stage: "created", isChanging: false };
    this.shortLived.push(canister);
    const stages = [
      ["install", "installed", this.#install(canister.id, "install", 0)],
      ["stop", "stopped", this.#manage("stop_canister", canister.id)],
      ["delete", "deleted", this.#manage("delete_canister", canister.id)],
    ] as const;
    for (const [kind, stage, call] of stages) {
      canister.isChanging = true;
      if ((await this.#complete(gate, await this.#op(this.client, kind, call))) === null) return;
      canister.stage = stage;
      canister.isChanging = false;
    }
  }
}
