/**
 * A network as its users ask it, wherever it runs: calls in, replies or `CallRejected` out, outcalls answered by the user's function on
 * the way.
 */
import { OrreryError, type Principal, principalFromText, principalToText, type TimeNs } from "@orrery/base";
import type { OutcallAnswer as Answer, SubnetKind as Kind } from "@orrery/sim/instance";
import { wallTime } from "./machine.ts";
import { decodeManagementReply, encodeManagementCall } from "./management.ts";
import { type Conversation, profileCall } from "./profile.ts";
import type { HttpAnswer, HttpCall, NetworkCall, NetworkStart, Opened } from "./protocol.ts";
import {
  type Call,
  type CallProfile,
  CallRejected,
  type InstallOptions,
  type Network,
  type NetworkOptions,
  type OutcallAnswer,
  type OutcallHandler,
  type OutcallRequest,
} from "./types.ts";

/** The network itself, on this thread or on another. */
export interface AskedNetwork {
  readonly opened: Opened;
  /** Answers at once; the errors of the network are thrown. */
  ask<T>(call: NetworkCall): T;
  http(request: HttpCall): Promise<HttpAnswer>;
  fork(): Promise<AskedNetwork>;
  close(): Promise<void>;
}

/** Genesis of the public network. */
const GENESIS_TIME: TimeNs = 1_620_328_630_000_000_000n;
const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const NS_PER_MS = 1e6;

/** Makes the calls to the management canister that bring a canister here from a folder; only where there are folders. */
export type FolderLoader = (
  directory: string,
  as: string | null,
  manage: (method: string, arg: Uint8Array) => Uint8Array,
  cycles: bigint | null,
) => Principal;

/** Where a network begins, as its user said it. */
export function startOf(options: Omit<NetworkOptions, "outcalls">): Omit<NetworkStart, "outcalls"> {
  const { from = null } = options;
  const wall = options.clock === "wall";
  const subnets: readonly Kind[] = ["system", ...(options.subnets ?? ["application"])];
  return {
    topology: subnets.map((kind) => ({ kind })),
    ids: "node",
    state: options.state ?? null,
    from,
    seed: options.seed ?? new Uint8Array(32),
    time: wall ? wallTime() : (options.time ?? (from === null ? GENESIS_TIME : 0n)),
    wall,
  };
}

/** A user's answer, as the network takes it. */
function answerOf(answer: OutcallAnswer): Answer {
  if ("rejectCode" in answer) return { kind: "reject", code: answer.rejectCode, message: answer.message };
  const { status, headers = [], body = new Uint8Array(0) } = answer;
  return { kind: "response", status, headers, body };
}

/** Rejects have a class of their own. */
function thrown(error: unknown): unknown {
  if (!(error instanceof OrreryError) || error.code !== "call_rejected") return error;
  const { message, data } = error;
  return new CallRejected(data["rejectCode"] as number, data["errorCode"] as string | null, message);
}

/** How often a handler of outcalls is asked while a request waits for its answer. */
const OUTCALLS_EVERY_MS = 2;

/** `meanwhile`, if any, lets outcalls be answered that the request waits for. */
async function serve(
  remote: AskedNetwork,
  request: Request,
  meanwhile: (() => void) | null,
): Promise<Response> {
  const { pathname, search, host } = new URL(request.url);
  let waiting = true;
  const answer = remote
    .http({
      method: request.method,
      url: pathname + search,
      headers: new Map([["host", host], ...request.headers]),
      body: new Uint8Array(await request.arrayBuffer()),
    })
    .finally(() => {
      waiting = false;
    });
  // A handler that throws ends the request with its error, whatever the network says afterwards.
  answer.catch(() => {});
  while (meanwhile !== null && waiting) {
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, OUTCALLS_EVERY_MS))]);
    meanwhile();
  }
  const { status, headers, body } = await answer;
  return new Response(body as ConstructorParameters<typeof Response>[0], { status, headers });
}

/** One call may lead to so many outcalls after one another. */
const OUTCALL_TURNS_MAX = 1_000;

/** How to go on with an update that had no answer; null for other errors. */
function resumption(error: unknown): Extract<NetworkCall, { kind: "resume" }> | null {
  if (!(error instanceof OrreryError) || error.code !== "call_pending") return null;
  const { requestId, subnetId } = error.data;
  if (typeof requestId !== "string" || typeof subnetId !== "string") return null;
  return { kind: "resume", requestId, subnetId };
}

interface Settling {
  /** Lets the handler answer all outcalls that wait, and those that its answers lead to. */
  settleOutcalls(): void;
}

/** Calls to the network, the answers of `handler` to outcalls among them. */
function converse(remote: AskedNetwork, handler: OutcallHandler | null): Conversation & Settling {
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

  function settleOutcalls(): void {
    for (let turns = 0; turns < OUTCALL_TURNS_MAX && answerOutcalls(); turns++);
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

  return { ask, run, settleOutcalls };
}

export function networkOf(
  remote: AskedNetwork,
  handler: OutcallHandler | null,
  loadFolder: FolderLoader,
): Network {
  const { opened } = remote;
  const { ask, run, settleOutcalls } = converse(remote, handler);

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
    loadCanister(directory, { as, cycles, sender } = {}): string {
      const ask = (method: string, arg: Uint8Array): Uint8Array => manage(method, arg, { sender });
      return principalToText(loadFolder(directory, as ?? null, ask, cycles ?? null));
    },
    cycles: (canisterId) => ask({ kind: "invoke", method: "cycles", args: [principalFromText(canisterId)] }),
    update: (call) => run({ kind: "update", call }),
    query: (call) => ask({ kind: "query", call }),
    fetch: (input, init) => serve(remote, new Request(input, init), handler === null ? null : settleOutcalls),
    intercept: (rules) => ask({ kind: "intercept", rules }),
    heldMessages: () => ask({ kind: "held" }),
    releaseMessages: (ids) => run({ kind: "release", ids }),
    save: () => ask({ kind: "save" }),
    trace: (on) => ask({ kind: "trace", on }),
    takeTraces: () => ask({ kind: "take_traces" }),
    async profile(call, options = {}): Promise<CallProfile> {
      const copy = await remote.fork();
      try {
        return profileCall(converse(copy, handler), call, options);
      } finally {
        await copy.close();
      }
    },
    fork: async () => networkOf(await remote.fork(), handler, loadFolder),
    stop: () => remote.close(),
  };
}
