/**
 * Query calls on one certified state (interface spec, "Request: Query call", "Composite queries"). A composite query's calls are
 * followed depth first, each callee on its own state of that height; the caller's changes live in a draft that its callbacks
 * see and nobody else. Depth and instructions of the whole call graph are bounded, its time by the host.
 */
import { assert, type CanisterId, equalBytes, type Principal, principalToText } from "@orrery/base";
import type { RejectCode, ResponsePayload, SubnetInfo } from "@orrery/state";
import type { FunctionProfile } from "@orrery/wasm";
import { maxOf, minOf } from "../bigints.ts";
import { isFrozen } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { limitsOf, QUEUE_CAPACITY } from "../limits.ts";
import {
  didNotReply,
  NO_RESPONSE,
  notFound,
  rejectFromError,
  stopped,
  stopping,
} from "../messaging/reject.ts";
import type { Draft } from "../runner/image.ts";
import type { WasmRunner } from "../runner/runner.ts";
import { cleanupError } from "../system-api/failure.ts";
import type { EntryPoint, MessageContext, MessageEffects, OutgoingCall, ResponseGiven } from "../types.ts";
import { answerManagementQuery } from "./management-query.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";
import type { QueryStatsCounter } from "./query-stats.ts";

/** Calls nested in one another, the user's own not counted. */
export const QUERY_CALL_DEPTH_MAX = 6;
/** What each call counts besides its instructions. */
export const QUERY_CALL_OVERHEAD_INSTRUCTIONS = 50_000_000n;

export interface QueryCall {
  readonly canisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly caller: Principal;
  readonly callerInfo: MessageContext["callerInfo"];
}

export interface QueryEnvironment {
  readonly mirror: Mirror;
  readonly runner: WasmRunner;
  /** Made when a canister first asks for it: most queries never do. */
  readonly dataCertificate: (canisterId: CanisterId) => Uint8Array;
  readonly stats: QueryStatsCounter;
  /** Whether a composite query has run as long as the host lets it; asked between its messages only. */
  readonly timeIsUp: () => boolean;
  /** Instructions after which the query is given up as one for another thread: `QueryOutgrown`. Unlimited when not given. */
  readonly probe?: bigint | undefined;
  /** Told of every execution that has a profile. */
  readonly profiled: (run: QueryProfile) => void;
}

/** What one execution of a query's call graph came to. */
export interface QueryProfile {
  readonly canisterId: CanisterId;
  readonly kind: EntryPoint["kind"];
  readonly method: string;
  readonly instructions: bigint;
  readonly profile: FunctionProfile;
}

export type QueryResult =
  | { readonly ok: true; readonly value: ResponseGiven }
  | { readonly ok: false; readonly error: UserError };

/** The query takes more than its probe allows; nothing of it was counted, and it can be run again. */
export class QueryOutgrown extends Error {}

/** Ends the whole call graph, whatever canister is running. */
class GraphLimit extends Error {
  readonly error: UserError;

  constructor(error: UserError) {
    super(error.message);
    this.error = error;
  }
}

/** A call context of the graph. */
interface QueryContext {
  readonly canister: MirroredCanister;
  readonly call: QueryCall;
  readonly certificate: (() => Uint8Array) | null;
  readonly depth: number;
  draft: Draft | null;
  instructions: bigint;
  outgrown: boolean;
}

type Step = { readonly error: UserError } | { readonly error: null; readonly effects: MessageEffects };

export function runQuery(environment: QueryEnvironment, call: QueryCall): QueryResult {
  const graph = new CallGraph(environment, call.canisterId);
  try {
    return graph.call(call, 0);
  } catch (cause) {
    if (cause instanceof GraphLimit) return { ok: false, error: cause.error };
    throw cause;
  }
}

/** The function's value, computed at its first call. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

class CallGraph {
  readonly #environment: QueryEnvironment;
  /** Of one query, and of the whole call graph. */
  readonly #instructionsMax: bigint;
  #instructionsLeft: bigint;
  /** Of the probe; null: there is none. */
  #probeLeft: bigint | null;
  /** Whom the user asked: wherever in the graph it answers a query, it has its certificate. */
  readonly #root: CanisterId;
  readonly #certificate: () => Uint8Array;

  constructor(environment: QueryEnvironment, root: CanisterId) {
    this.#environment = environment;
    this.#root = root;
    this.#certificate = once(() => environment.dataCertificate(root));
    this.#probeLeft = environment.probe ?? null;
    this.#instructionsMax = limitsOf(environment.mirror.subnet.type).instructionsPerQuery;
    this.#instructionsLeft = this.#instructionsMax;
  }

  call(call: QueryCall, depth: number): QueryResult {
    const canister = this.#environment.mirror.canister(call.canisterId);
    if (canister === null) return { ok: false, error: notFound(call.canisterId) };
    const refused = refusal(this.#environment.mirror.subnet, canister);
    if (refused !== null) return { ok: false, error: refused };
    const context: QueryContext = {
      canister,
      call,
      certificate: equalBytes(call.canisterId, this.#root) ? this.#certificate : null,
      depth,
      draft: null,
      instructions: 0n,
      outgrown: false,
    };
    const entry: EntryPoint = { kind: "query", method: call.methodName, arg: call.arg };
    let result: QueryResult | null = null;
    try {
      const first = this.#execute(context, entry);
      if (depth > 0) this.#instructionsLeft -= QUERY_CALL_OVERHEAD_INSTRUCTIONS;
      if (first.error !== null) result = { ok: false, error: first.error };
      else if (first.effects.response !== null) result = { ok: true, value: first.effects.response };
      else result = this.#follow(context, [...first.effects.calls]);
      return result;
    } catch (cause) {
      if (cause instanceof QueryOutgrown) context.outgrown = true;
      throw cause;
    } finally {
      // Also when the call graph ends at a limit.
      const response = result?.ok === true ? result.value : null;
      if (!context.outgrown) this.#environment.stats.count(call, context.instructions, response);
    }
  }

  /** Answers the calls of a context one by one, until one of its callbacks responds. */
  #follow(context: QueryContext, calls: OutgoingCall[]): QueryResult {
    for (let next = calls.shift(); next !== undefined; next = calls.shift()) {
      this.#checkLimits(context.depth);
      const payload = this.#answer(context, next);
      this.#checkLimits(context.depth);
      const step = this.#callback(context, next, payload);
      if (step.error === null) {
        if (step.effects.response !== null) return { ok: true, value: step.effects.response };
        calls.push(...step.effects.calls);
      } else if (calls.length === 0) {
        return { ok: false, error: step.error };
      }
    }
    return { ok: false, error: didNotReply(context.canister.meta.id) };
  }

  #answer(context: QueryContext, call: OutgoingCall): ResponsePayload {
    const caller = context.canister.meta.id;
    if (call.callee.length === 0) {
      const answer = answerManagementQuery(this.#environment.mirror, {
        sender: caller,
        methodName: call.methodName,
        arg: call.payload,
      });
      return answer.ok ? { kind: "reply", data: answer.value } : rejectFromError(answer.error);
    }
    const { callee: canisterId, methodName, payload: arg } = call;
    const inner: QueryCall = { canisterId, methodName, arg, caller, callerInfo: null };
    const result = this.call(inner, context.depth + 1);
    if (!result.ok) {
      const silent = result.error.code === ErrorCode.CanisterDidNotReply;
      return silent ? NO_RESPONSE : rejectFromError(result.error);
    }
    if (result.value.kind === "reply") return result.value;
    return { kind: "reject", code: 4, message: result.value.message };
  }

  #callback(context: QueryContext, call: OutgoingCall, payload: ResponsePayload): Step {
    const entry: EntryPoint =
      payload.kind === "reply"
        ? { kind: "composite_reply_callback", closure: call.reply, arg: payload.data }
        : {
            kind: "composite_reject_callback",
            closure: call.reject,
            code: payload.code,
            message: payload.message,
          };
    const step = this.#execute(context, entry);
    if (step.error === null || call.cleanup === null) return step;
    const rejectCode: RejectCode | 0 = payload.kind === "reject" ? payload.code : 0;
    const cleanup = this.#execute(context, { kind: "composite_cleanup", closure: call.cleanup, rejectCode });
    if (cleanup.error === null) return step;
    return { error: cleanupError(context.canister.meta.id, step.error, cleanup.error) };
  }

  #execute(context: QueryContext, entry: EntryPoint): Step {
    const { runner, mirror } = this.#environment;
    const { canister, call } = context;
    const composite = canister.meta.module?.exports.compositeQueries.includes(call.methodName) ?? false;
    const entering = entry.kind === "query";
    const limit = minOf(this.#instructionsMax, this.#instructionsLeft);
    const probed = this.#probeLeft !== null && this.#probeLeft < limit;
    const { outcome, draft } = runner.query(canister, entry, {
      draft: context.draft,
      keepDraft: composite,
      context: {
        subnet: mirror.subnet,
        time: mirror.time,
        caller: call.caller,
        callerInfo: call.callerInfo,
        deadline: 0n,
        cyclesAvailable: 0n,
        cyclesRefunded: 0n,
        canRespond: true,
        instructionLimit: probed ? (this.#probeLeft as bigint) : limit,
        contextInstructions: context.instructions,
        get dataCertificate(): Uint8Array | null {
          return entering && context.certificate !== null ? context.certificate() : null;
        },
        subnetMemoryAvailable: 0n,
        requestSlots: () => QUEUE_CAPACITY,
      },
    });
    if (outcome.profile !== undefined) {
      const { instructions, profile } = outcome;
      const { canisterId, methodName: method } = call;
      this.#environment.profiled({ canisterId, kind: entry.kind, method, instructions, profile });
    }
    if (probed && outcome.error?.code === ErrorCode.CanisterInstructionLimitExceeded)
      throw new QueryOutgrown();
    if (this.#probeLeft !== null) this.#probeLeft = maxOf(0n, this.#probeLeft - outcome.instructions);
    this.#instructionsLeft -= outcome.instructions;
    context.instructions += outcome.instructions;
    if (outcome.error !== null) return { error: outcome.error };
    assert(outcome.effects !== null, "a query ended well without effects");
    if (composite) context.draft = draft;
    return { error: null, effects: outcome.effects };
  }

  #checkLimits(depth: number): void {
    if (depth >= QUERY_CALL_DEPTH_MAX) {
      const text = "Composite query calls exceeded the maximum call depth.";
      throw new GraphLimit(userError(ErrorCode.QueryCallGraphTooDeep, text));
    }
    if (this.#instructionsLeft <= 0n) {
      const text = "Composite query calls exceeded the instruction limit.";
      throw new GraphLimit(userError(ErrorCode.QueryCallGraphTotalInstructionLimitExceeded, text));
    }
    if (this.#environment.timeIsUp()) {
      const text = "Composite query call exceeded the time limit.";
      throw new GraphLimit(userError(ErrorCode.QueryTimeLimitExceeded, text));
    }
  }
}

/** Why a canister answers no queries now; null: it does. */
export function refusal(subnet: SubnetInfo, { meta }: MirroredCanister): UserError | null {
  if (meta.status.kind === "stopped") return stopped(meta.id);
  if (meta.status.kind === "stopping") return stopping(meta.id);
  // An empty canister says so itself; it has nothing to freeze.
  if (meta.module === null || !isFrozen(subnet, meta)) return null;
  return userError(
    ErrorCode.CanisterOutOfCycles,
    `Canister ${principalToText(meta.id)} is unable to process query calls because it's frozen. ` +
      "Please top up the canister with cycles and try again.",
  );
}
