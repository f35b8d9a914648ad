/**
 * A network inside one process, for tests and tools: the same execution, certification and HTTPS interface as a node's, without files
 * or sockets. Calls are synchronous for whoever makes them, although canisters run on a thread of their own with the stack they
 * may use. Everything follows from seed, time and calls; with a virtual clock a run repeats exactly.
 * `fetch` serves unmodified agents: `HttpAgent.create({ host: network.url, fetch: network.fetch, rootKey: network.rootKey })`.
 */
import { OrreryError, principalToText, type TimeNs } from "@orrery/base";
import type { SubnetKind as Kind } from "@orrery/sim/instance";
import { wallTime } from "./machine.ts";
import { decodeManagementReply, encodeManagementCall } from "./management.ts";
import { answerOf } from "./outcalls.ts";
import type { NetworkCall } from "./protocol.ts";
import { openNetwork, type RemoteNetwork } from "./thread.ts";
import {
  type Call,
  CallRejected,
  type InstallOptions,
  type Network,
  type NetworkOptions,
  type OutcallHandler,
  type OutcallRequest,
  type RealOutcalls,
} from "./types.ts";

/** Genesis of the public network. */
const GENESIS_TIME: TimeNs = 1_620_328_630_000_000_000n;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const NS_PER_MS = 1e6;

/** Rejects have a class of their own. */
function thrown(error: unknown): unknown {
  if (!(error instanceof OrreryError) || error.code !== "call_rejected") return error;
  const { message, data } = error;
  return new CallRejected(data["rejectCode"] as number, data["errorCode"] as string | null, message);
}

async function serve(remote: RemoteNetwork, request: Request): Promise<Response> {
  const { pathname, search, host } = new URL(request.url);
  const { status, headers, body } = await remote.http({
    method: request.method,
    url: pathname + search,
    headers: new Map([["host", host], ...request.headers]),
    body: new Uint8Array(await request.arrayBuffer()),
  });
  return new Response(body as ConstructorParameters<typeof Response>[0], { status, headers });
}

/** One call may lead to so many outcalls after one another. */
const OUTCALL_TURNS_MAX = 1_000;

function outcallsOf({ outcalls }: NetworkOptions): {
  readonly handler: OutcallHandler | null;
  readonly real: RealOutcalls | null;
} {
  if (outcalls === undefined) return { handler: null, real: null };
  return typeof outcalls === "function"
    ? { handler: outcalls, real: null }
    : { handler: null, real: outcalls };
}

/** How to go on with an update that had no answer; null for other errors. */
function resumption(error: unknown): Extract<NetworkCall, { kind: "resume" }> | null {
  if (!(error instanceof OrreryError) || error.code !== "call_pending") return null;
  const { requestId, subnetId } = error.data;
  if (typeof requestId !== "string" || typeof subnetId !== "string") return null;
  return { kind: "resume", requestId, subnetId };
}

/** Makes a network; ready when the promise resolves. */
export async function createNetwork(options: NetworkOptions = {}): Promise<Network> {
  const wall = options.clock === "wall";
  const subnets: readonly Kind[] = ["system", ...(options.subnets ?? ["application"])];
  const remote = await openNetwork({
    topology: subnets.map((kind) => ({ kind })),
    ids: "node",
    state: options.state ?? null,
    seed: options.seed ?? new Uint8Array(32),
    time: wall ? wallTime() : (options.time ?? GENESIS_TIME),
    wall,
    outcalls: outcallsOf(options).real,
  });
  return networkOf(remote, outcallsOf(options).handler);
}

function networkOf(remote: RemoteNetwork, handler: OutcallHandler | null): Network {
  const { opened } = remote;

  function ask<T>(call: NetworkCall): T {
    try {
      return remote.ask<T>(call);
    } catch (error) {
      throw thrown(error);
    }
  }

  /** Lets the handler answer what waits; false when nothing does. */
  function answerOutcalls(): boolean {
    if (handler === null) return false;
    const waiting = ask<readonly OutcallRequest[]>({ kind: "outcalls" });
    for (const request of waiting) {
      const { subnetId, id } = request;
      ask({ kind: "answer_outcall", subnetId, id, answer: answerOf(handler(request)) });
    }
    return waiting.length > 0;
  }

  /** Asks, with the outcalls that this leads to. */
  function run<T>(call: NetworkCall): T {
    const attempt = (next: NetworkCall): { readonly value: T } | { readonly error: unknown } => {
      try {
        return { value: ask<T>(next) };
      } catch (error) {
        return { error };
      }
    };
    let outcome = attempt(call);
    for (let turns = 0; turns < OUTCALL_TURNS_MAX && answerOutcalls(); turns++) {
      const next = "error" in outcome ? resumption(outcome.error) : null;
      if (next !== null) outcome = attempt(next);
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  function manage(
    method: string,
    arg: Uint8Array,
    from: { readonly sender: string | undefined; readonly subnetId?: string | undefined },
  ): Uint8Array {
    const { sender, subnetId } = from;
    const call: Call = {
      canisterId: "aaaaa-aa",
      method,
      arg,
      ...(sender === undefined ? {} : { sender }),
      ...(subnetId === undefined ? {} : { subnetId }),
    };
    return run({ kind: "update", call });
  }

  return {
    url: "http://localhost",
    rootKey: opened.rootKey,
    subnetId: opened.mainSubnet,
    time: () => ask({ kind: "time" }),
    advanceTime: (durationMs) =>
      run({ kind: "advance", durationNs: BigInt(Math.round(durationMs * NS_PER_MS)) }),
    tick: () => run({ kind: "tick" }),
    pendingOutcalls: () => ask({ kind: "outcalls" }),
    answerOutcall: ({ subnetId, id }, answer) =>
      ask({ kind: "answer_outcall", subnetId, id, answer: answerOf(answer) }),
    resume(pending): Uint8Array {
      const next = resumption(pending);
      if (next === null) throw pending;
      return run(next);
    },
    subnets: opened.subnets.map(({ id, type }) => ({ id: principalToText(id), kind: type })),
    createCanister({ cycles, sender, subnetId } = {}): string {
      const arg = encodeManagementCall({ kind: "create", cycles: cycles ?? null });
      return decodeManagementReply(
        manage("provisional_create_canister_with_cycles", arg, { sender, subnetId }),
      );
    },
    install({ canisterId, wasm, arg = EMPTY_ARG, mode = "install", sender }: InstallOptions): void {
      const keepHeap = mode === "upgrade" && ask<boolean>({ kind: "keeps_heap", canisterId });
      manage(
        "install_code",
        encodeManagementCall({ kind: "install", canisterId, wasm, arg, mode, keepHeap }),
        { sender },
      );
    },
    update: (call) => run({ kind: "update", call }),
    query: (call) => ask({ kind: "query", call }),
    fetch: (input, init) => serve(remote, new Request(input, init)),
    intercept: (rules) => ask({ kind: "intercept", rules }),
    heldMessages: () => ask({ kind: "held" }),
    releaseMessages: (ids) => run({ kind: "release", ids }),
    save: () => ask({ kind: "save" }),
    trace: (on) => ask({ kind: "trace", on }),
    takeTraces: () => ask({ kind: "take_traces" }),
    fork: async () => networkOf(await remote.fork(), handler),
    stop: () => remote.close(),
  };
}
