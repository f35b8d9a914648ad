/**
 * A network inside one process, for tests and tools: the same execution, certification and HTTPS interface as a node's, on one
 * thread, without files or sockets. Everything follows from seed, time and calls; with a virtual clock a run repeats exactly.
 * `fetch` serves unmodified agents: `HttpAgent.create({ host: network.url, fetch: network.fetch, rootKey: network.rootKey })`.
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
import { createSignatureVerifier, requestId } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import type { GenesisCanister } from "@orrery/execution";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { nodeSignatures } from "@orrery/host/signatures";
import { createApi, createFetchHandler, type ReplicaView, validateWith } from "@orrery/http";
import { decodeManagementReply, encodeManagementCall } from "./management.ts";
import { createInlineReplica, type InlineReplica } from "./replica.ts";

export type ClockKind = "virtual" | "wall";

export interface NetworkOptions {
  /** 32 bytes; the same seed and the same calls give the same network. Zeros by default. */
  readonly seed?: Uint8Array;
  /**
   * `virtual` (the default): time moves only by `advanceTime` and by one nanosecond a round. `wall`: it follows the machine's, which
   * agents over `fetch` need, since they stamp requests with it.
   */
  readonly clock?: ClockKind;
  /** First instant of a virtual clock; 2021-05-06T19:17:10Z by default. */
  readonly time?: TimeNs;
}

/** A call that did not end with a reply. */
export class CallRejected extends OrreryError {
  readonly rejectCode: number;
  /** "IC0503". */
  readonly errorCode: string | null;

  constructor(rejectCode: number, errorCode: string | null, text: string) {
    super("call_rejected", text, { data: { rejectCode, errorCode } });
    this.rejectCode = rejectCode;
    this.errorCode = errorCode;
  }
}

export interface Call {
  readonly canisterId: string;
  readonly method: string;
  /** Candid; an empty argument list by default. */
  readonly arg?: Uint8Array;
  /** Textual principal; the anonymous one by default. No signature is asked for. */
  readonly sender?: string;
}

export interface InstallOptions {
  readonly canisterId: string;
  /** Module, raw or gzip. */
  readonly wasm: Uint8Array;
  readonly arg?: Uint8Array;
  readonly mode?: "install" | "reinstall" | "upgrade";
  readonly sender?: string;
}

export interface Network {
  readonly url: string;
  /** DER, 133 bytes. */
  readonly rootKey: Uint8Array;
  readonly subnetId: string;
  time(): TimeNs;
  /** Moves a virtual clock on and runs the rounds that became due. */
  advanceTime(durationMs: number): void;
  /** Runs one round. */
  tick(): void;
  createCanister(options?: { readonly cycles?: bigint; readonly sender?: string }): string;
  install(options: InstallOptions): void;
  /** The reply's bytes; `CallRejected` otherwise. */
  update(call: Call): Uint8Array;
  query(call: Call): Uint8Array;
  /** Serves the HTTPS interface. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

const NS_PER_MS = 1_000_000n;
/** Genesis of the public network. */
const GENESIS_TIME: TimeNs = 1_620_328_630_000_000_000n;
/** Rounds one call may take before it counts as stuck. */
const ROUNDS_PER_CALL_MAX = 1_000;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const ANONYMOUS_TEXT = "2vxsx-fae";
const EXPIRY_NS = 240_000_000_000n;
const NO_GENESIS: readonly GenesisCanister[] = [];

/** Makes a network. Asynchronous only because its signature library is. */
export async function createNetwork(options: NetworkOptions = {}): Promise<Network> {
  const seed = options.seed ?? new Uint8Array(32);
  if (seed.length !== 32)
    throw new OrreryError("seed_invalid", `a seed has 32 bytes, this one ${seed.length}: hash what you have`);
  const wall = options.clock === "wall";
  const bls = await createMclBls();
  const time = wall ? wallTime() : (options.time ?? GENESIS_TIME);
  const replica = createInlineReplica({ seed, time, bls, genesis: () => NO_GENESIS });
  const canisterSignatures = { rootKeyDer: replica.subnet.rootKey, bls };
  const machine = new Machine(replica, wall);
  const api = createApi(machine.view(), {
    validate: validateWith(createSignatureVerifier({ basic: nodeSignatures, canisterSignatures })),
    effectiveCanisterId,
    hosts: ["orrery"],
  });
  const handler = createFetchHandler(
    api,
    (body, init) => new Response(body as ConstructorParameters<typeof Response>[0], init),
  );
  return {
    url: "http://localhost",
    rootKey: replica.subnet.rootKey,
    subnetId: principalToText(replica.subnet.subnetId),
    time: () => machine.now(),
    advanceTime: (durationMs) => machine.advance(BigInt(Math.round(durationMs * 1e6))),
    tick: () => machine.round([]),
    createCanister: ({ cycles, sender } = {}) =>
      decodeManagementReply(
        machine.update({
          canisterId: "aaaaa-aa",
          method: "provisional_create_canister_with_cycles",
          arg: encodeManagementCall({ kind: "create", cycles: cycles ?? null }),
          ...(sender === undefined ? {} : { sender }),
        }),
      ),
    install: ({ canisterId, wasm, arg = EMPTY_ARG, mode = "install", sender }) => {
      machine.update({
        canisterId: "aaaaa-aa",
        method: "install_code",
        arg: encodeManagementCall({
          kind: "install",
          canisterId,
          wasm,
          arg,
          mode,
          keepHeap: replica.keepsHeap(principalFromText(canisterId)),
        }),
        ...(sender === undefined ? {} : { sender }),
      });
    },
    update: (call) => machine.update(call),
    query: (call) => machine.query(call),
    fetch: (input, init) => handler(new Request(input, init)),
  };
}

function wallTime(): TimeNs {
  return BigInt(Date.now()) * NS_PER_MS;
}

type Watcher = (answered: boolean) => void;

/** Time, the pool of one and the watchers: what turns calls into rounds. */
class Machine {
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
      throw new CallRejected(
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
    throw new CallRejected(outcome.rejectCode, outcome.errorCode, outcome.rejectMessage);
  }

  #reply(id: Uint8Array): Uint8Array {
    const status = this.#replica.requestStatus(id);
    if (status === null) throw new OrreryError("call_pending", "the request is not known any more");
    if (status.kind === "replied") return status.reply;
    if (status.kind === "rejected") throw new CallRejected(status.code, status.errorCode, status.message);
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
      requestCertificate: (id, _destination, ranges) => view.requestCertificate(id, ranges),
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
