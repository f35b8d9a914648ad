/**
 * The machine behind an in-process network: turns calls into rounds of an inline replica. Runs on a thread of its own, because
 * canisters may use more stack than the thread of the program that tests them has.
 */
import {
  encodeCbor,
  OrreryError,
  type Principal,
  principalFromText,
  principalToText,
  type TimeNs,
  toHex,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import type { ReplicaView } from "@orrery/http";
import type { InlineReplica } from "./replica.ts";
import type { Call } from "./types.ts";

const NS_PER_MS = 1_000_000n;
/** Rounds one call may take before it counts as stuck. */
const ROUNDS_PER_CALL_MAX = 1_000;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const ANONYMOUS_TEXT = "2vxsx-fae";
const EXPIRY_NS = 240_000_000_000n;

export function wallTime(): TimeNs {
  return BigInt(Date.now()) * NS_PER_MS;
}

/** Crosses the thread as an error with this code; the network makes a `CallRejected` of it. */
function rejected(rejectCode: number, errorCode: string | null, text: string): OrreryError {
  return new OrreryError("call_rejected", text, { data: { rejectCode, errorCode } });
}

type Watcher = (answered: boolean) => void;

/** Owns the replica of an in-process network and its time; one call at a time. */
export class Machine {
  readonly #replica: InlineReplica;
  readonly #wall: boolean;
  readonly #watchers = new Map<string, Set<Watcher>>();
  #time: TimeNs;
  #nonce = 0n;
  #nextTimer: TimeNs | null = null;
  #moreWork = true;

  constructor(replica: InlineReplica, wall: boolean) {
    this.#replica = replica;
    this.#wall = wall;
    this.#time = replica.time;
  }

  now(): TimeNs {
    if (this.#wall) {
      const wall = wallTime();
      if (wall > this.#time) this.#time = wall;
    }
    return this.#time;
  }

  round(ingress: readonly Uint8Array[]): void {
    const now = this.now();
    this.#time = now > this.#replica.time ? now : this.#replica.time + 1n;
    const result = this.#replica.round(this.#time, ingress);
    this.#moreWork = result.moreWork;
    this.#nextTimer = result.nextTimer;
    for (const key of result.answered.map(toHex)) {
      for (const watcher of this.#watchers.get(key) ?? []) watcher(true);
      this.#watchers.delete(key);
    }
  }

  /** Runs the rounds that are due at the present time. */
  settle(): void {
    for (let rounds = 0; rounds < ROUNDS_PER_CALL_MAX; rounds++) {
      const due = this.#nextTimer !== null && this.#nextTimer <= this.now();
      if (!this.#moreWork && !due) return;
      this.round([]);
    }
  }

  advance(durationNs: bigint): void {
    if (durationNs < 0n)
      throw new OrreryError("time_backwards", "time does not run backwards: advance by 0 ms or more");
    const target = this.#time + durationNs;
    // Through every timer on the way, each at its own time.
    for (let rounds = 0; rounds < ROUNDS_PER_CALL_MAX; rounds++) {
      this.settle();
      if (this.#nextTimer === null || this.#nextTimer > target) break;
      this.#time = this.#nextTimer;
    }
    if (target > this.#time) this.#time = target;
    this.round([]);
    this.settle();
  }

  update(call: Call): Uint8Array {
    const { envelope, id } = this.#envelope(call);
    const refused = this.#replica.view.inspect(envelope);
    if (refused !== null) {
      throw rejected(
        Math.floor(refused.code / 100),
        `IC${String(refused.code).padStart(4, "0")}`,
        refused.message,
      );
    }
    let answered = false;
    this.#watch(toHex(id), () => {
      answered = true;
    });
    this.round([envelope]);
    for (let rounds = 0; !answered; rounds++) {
      if (rounds >= ROUNDS_PER_CALL_MAX || !this.#moreWork) {
        throw new OrreryError(
          "call_pending",
          `${call.method} has no answer yet: it waits for time to pass or for other messages`,
        );
      }
      this.round([]);
    }
    return this.#reply(id);
  }

  query(call: Call): Uint8Array {
    const { outcome } = this.#replica.view.query({
      sender: sender(call),
      senderInfo: null,
      canisterId: principalFromText(call.canisterId),
      methodName: call.method,
      arg: call.arg ?? EMPTY_ARG,
    });
    if (outcome.status === "replied") return outcome.reply;
    throw rejected(outcome.rejectCode, outcome.errorCode, outcome.rejectMessage);
  }

  #reply(id: Uint8Array): Uint8Array {
    const status = this.#replica.requestStatus(id);
    if (status === null) throw new OrreryError("call_pending", "the request is not known any more");
    if (status.kind === "replied") return status.reply;
    if (status.kind === "rejected") throw rejected(status.code, status.errorCode, status.message);
    throw new OrreryError("call_pending", `the request is ${status.kind}, which is no answer`);
  }

  #envelope(call: Call): { readonly envelope: Uint8Array; readonly id: Uint8Array } {
    const nonce = new Uint8Array(8);
    new DataView(nonce.buffer).setBigUint64(0, this.#nonce++);
    const fields = new Map<string, string | bigint | Uint8Array>([
      ["request_type", "call"],
      ["canister_id", principalFromText(call.canisterId)],
      ["method_name", call.method],
      ["arg", call.arg ?? EMPTY_ARG],
      ["sender", sender(call)],
      ["ingress_expiry", this.now() + EXPIRY_NS],
      ["nonce", nonce],
    ]);
    return { envelope: encodeCbor({ content: fields }), id: requestId(fields) };
  }

  #watch(key: string, watcher: Watcher): void {
    const set = this.#watchers.get(key) ?? new Set();
    set.add(watcher);
    this.#watchers.set(key, set);
  }

  /** The replica as the HTTPS interface sees it. */
  view(): ReplicaView {
    const { subnet, nodeId, view } = this.#replica;
    const fresh = (): void => {
      if (this.#wall && this.now() - this.#replica.time > 1_000n * NS_PER_MS) this.round([]);
    };
    return {
      nodeId,
      status: () => ({
        health: "healthy",
        rootKey: subnet.rootKey,
        certifiedHeight: view.height,
        implVersion: null,
        implHash: null,
      }),
      now: () => this.now(),
      servesCanister: (id) => id.length === 10 && id[8] === 1 && id[9] === 1,
      isSubnetAdmin: () => false,
      servesSubnet: (id) => principalToText(id) === principalToText(subnet.subnetId),
      ingressFull: () => false,
      inspect: (ingress) => view.inspect(ingress.bytes),
      submit: (ingress) => {
        this.round([ingress.bytes]);
        this.settle();
        return "accepted";
      },
      watch: (id, timeoutMs) => {
        const { promise, resolve } = Promise.withResolvers<boolean>();
        const timer = setTimeout(() => resolve(false), timeoutMs);
        this.#watch(toHex(id), (answered) => {
          clearTimeout(timer);
          resolve(answered);
        });
        return { answered: promise, cancel: () => resolve(false) };
      },
      requestCertificate: (id, destination, ranges) => view.requestCertificate(id, ranges, destination),
      query: (query) => {
        fresh();
        return view.query(query);
      },
      readState: (query) => {
        fresh();
        return view.readState(query);
      },
      signQueryResponse: (message) => this.#replica.signAsNode(message),
    };
  }
}

function sender(call: Call): Principal {
  return principalFromText(call.sender ?? ANONYMOUS_TEXT);
}
