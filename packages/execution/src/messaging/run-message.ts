/**
 * Execution of one message or task in a canister (interface spec, "Message execution") in two steps around its run: `begin…`
 * checks, prepays and opens the context, `finishMessage` applies effects, price and response. They work on one canister and its
 * outbox only; what stands between them is in the canister's record. Every cycle that a message touches is afterwards in a
 * balance, in a call context, in a message under way, prepaid, reserved by a callback, or consumed.
 */
import { assert, err, type Height, ok, principalKey, type Result, type TimeNs } from "@orrery/base";
import type {
  CallContext,
  CallOrigin,
  CanisterState,
  IngressInput,
  MessageWork,
  Prepayment,
  ReplicatedEntry,
  RequestInput,
  SubnetInfo,
  SystemTask,
} from "@orrery/state";
import { minOf } from "../bigints.ts";
import { prepayExecution, recordConsumed, settleExecution } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { CALL_TIMEOUT_SECONDS_MAX, type ExecutionLimits } from "../limits.ts";
import { senderVersionError } from "../management/sender-version.ts";
import { routerOf } from "../streams/routing.ts";
import type { JobResult, MessageEffects, OutgoingCall } from "../types.ts";
import { answerOrigin, closeIfDone, openContext, respond } from "./contexts.ts";
import { appendLogs } from "./logs.ts";
import { updateLowMemoryHook, wasmMemoryLimitError } from "./low-memory.ts";
import { countAnswer, countCall, messageBytes } from "./message-memory.ts";
import type { Outbox } from "./outbox.ts";
import { executionError, methodNotFound, noModule, notRunning, rejectFromError } from "./reject.ts";

/** What a turn needs besides its canister. */
export interface TurnEnv {
  readonly subnet: SubnetInfo;
  readonly time: TimeNs;
  readonly height: Height;
  readonly limits: ExecutionLimits;
  readonly subnetMemoryAvailable: bigint;
  /** What the calls of a partition may still take. */
  readonly callBudget: CallBudget;
  readonly outbox: Outbox;
}

/** Of one partition in one pass: its turns take from it one after the other. */
export interface CallBudget {
  /** Memory for guaranteed responses, bytes. */
  guaranteedBytes: number;
  /** Callbacks besides those assured to each canister. */
  callbacks: number;
}

/** Opens the record of what now runs in `context`; the balance is what it sees. */
export function startMessage(
  env: TurnEnv,
  canister: CanisterState,
  options: {
    readonly context: CallContext;
    readonly entry: ReplicatedEntry;
    readonly prepaid: Prepayment;
    readonly instructionLimit: bigint;
  } & Partial<Pick<MessageWork, "totalLimit" | "cyclesRefunded" | "cleanup">>,
): MessageWork {
  const { context, entry, prepaid, instructionLimit } = options;
  const work: MessageWork = {
    kind: "message",
    contextId: context.id,
    entry,
    prepaid,
    instructionLimit,
    totalLimit: options.totalLimit ?? instructionLimit,
    guaranteedBytesAvailable: Math.max(0, env.callBudget.guaranteedBytes),
    callbacksAvailable: Math.max(0, env.callBudget.callbacks),
    cyclesRefunded: options.cyclesRefunded ?? 0n,
    cleanup: options.cleanup ?? null,
    startTime: env.time,
    startHeight: env.height,
    subnetMemoryAvailable: env.subnetMemoryAvailable,
    balance: canister.meta.cycles,
    messageBytes: messageBytes(canister.meta),
    prioritized: false,
    slicesGranted: 0,
    inductionDebit: 0n,
  };
  canister.running = work;
  return work;
}

export function contextOf(canister: CanisterState, work: MessageWork): CallContext {
  const context = canister.callContexts.get(work.contextId);
  assert(context !== undefined, `the running message has no call context ${work.contextId}`);
  return context;
}

/** Applies what a message did besides its memory: cycles, timer, certified data, calls. */
export function applyEffects(
  env: TurnEnv,
  canister: CanisterState,
  context: CallContext | null,
  effects: MessageEffects,
  startTime: TimeNs = env.time,
): void {
  const { meta } = canister;
  if (effects.cyclesAccepted > 0n) {
    assert(
      context !== null && effects.cyclesAccepted <= context.availableCycles,
      "accepted more cycles than were available",
    );
    context.availableCycles -= effects.cyclesAccepted;
    meta.cycles += effects.cyclesAccepted;
  }
  for (const call of effects.calls) {
    assert(context !== null, "a call was made outside of a call context");
    sendCall(env, canister, { context, call, time: startTime });
  }
  meta.cycles += effects.cyclesMinted;
  meta.cycles -= effects.cyclesReserved;
  meta.reservedCycles += effects.cyclesReserved;
  meta.cycles -= effects.cyclesBurned;
  recordConsumed(env.outbox, canister, effects.cyclesBurned, "burned_cycles");
  assert(meta.cycles >= 0n, "a message spent more cycles than the canister had");
  if (effects.certifiedData !== null) meta.certifiedData = effects.certifiedData;
  if (effects.globalTimer !== null) meta.globalTimer = effects.globalTimer;
  updateLowMemoryHook(meta);
}

function sendCall(
  env: TurnEnv,
  canister: CanisterState,
  options: { readonly context: CallContext; readonly call: OutgoingCall; readonly time: TimeNs },
): void {
  const { context, call } = options;
  const id = canister.nextCallbackId++;
  const deadline = call.timeoutSeconds === null ? 0n : deadlineAfter(options.time, call.timeoutSeconds);
  canister.meta.cycles -=
    call.cycles + call.prepaidExecution + call.prepaidTransmission + call.transmissionCost;
  recordConsumed(env.outbox, canister, call.transmissionCost, "request_and_response_transmission");
  canister.callbacks.set(id, {
    id,
    contextId: context.id,
    callee: call.callee,
    reply: call.reply,
    reject: call.reject,
    cleanup: call.cleanup,
    cyclesSent: call.cycles,
    prepaidExecution: call.prepaidExecution,
    prepaidTransmission: call.prepaidTransmission,
    deadline,
  });
  context.outstanding++;
  countCall(canister.meta, deadline);
  const key = principalKey(call.callee);
  canister.outstandingByCallee.set(key, (canister.outstandingByCallee.get(key) ?? 0) + 1);
  if (deadline !== 0n) env.outbox.deadlines.push({ callbackId: id, deadline });
  const misstated = versionError(env, canister, call);
  if (misstated !== null) {
    const payload = rejectFromError(misstated);
    env.outbox.messages.push({
      kind: "response",
      to: canister.meta.id,
      input: { kind: "response", from: call.callee, callbackId: id, payload, refund: call.cycles },
    });
    return;
  }
  env.outbox.messages.push({
    kind: "request",
    callee: call.callee,
    input: {
      kind: "request",
      from: canister.meta.id,
      callbackId: id,
      methodName: call.methodName,
      payload: call.payload,
      cycles: call.cycles,
      deadline,
    },
  });
}

/** A management call that misstates the version of its sender is answered without being sent. */
function versionError(env: TurnEnv, { meta }: CanisterState, call: OutgoingCall): UserError | null {
  return routerOf(env.subnet).isManagement(call.callee)
    ? senderVersionError(call.methodName, call.payload, meta.version)
    : null;
}

/** Deadlines are whole seconds, at most `CALL_TIMEOUT_SECONDS_MAX` from the second that has begun. */
function deadlineAfter(time: TimeNs, timeoutSeconds: number): TimeNs {
  const seconds = Math.min(timeoutSeconds, CALL_TIMEOUT_SECONDS_MAX);
  return (time / 1_000_000_000n + BigInt(seconds)) * 1_000_000_000n;
}

/** After a message ran: its response, or the starvation rule, or nothing yet. */
export function finishInContext(
  env: TurnEnv,
  canister: CanisterState,
  context: CallContext,
  outcome: { readonly error: UserError | null; readonly effects: MessageEffects | null },
): void {
  const response = outcome.effects?.response ?? null;
  if (response !== null) {
    respond(env.outbox, canister, context, response);
  } else if (context.outstanding === 0 && context.needsToRespond) {
    const { error } = outcome;
    respond(env.outbox, canister, context, error === null ? { kind: "none" } : { kind: "error", error });
  }
  closeIfDone(canister, context);
}

/** Which export a replicated call runs: updates first, then queries. */
function replicatedEntry(
  canister: CanisterState,
  method: string,
  arg: Uint8Array,
): ReplicatedEntry | UserError {
  const { module, id, heapPages } = canister.meta;
  if (module === null) return noModule(id);
  if (module.exports.updates.includes(method))
    return wasmMemoryLimitError(canister.meta, heapPages) ?? { kind: "update", method, arg };
  if (module.exports.queries.includes(method)) return { kind: "replicated_query", method, arg };
  if (module.exports.compositeQueries.includes(method)) {
    return userError(
      ErrorCode.CompositeQueryCalledInReplicatedMode,
      `Composite query cannot be called in replicated mode`,
    );
  }
  return methodNotFound(id, "update", method);
}

/** Other canisters' calls must bring what the canister asks for; its own calls and ingress are exempt. */
function incomingCyclesError(canister: CanisterState, input: RequestInput): UserError | null {
  const minimum = canister.meta.settings.minimumIncomingCallCycles;
  if (input.cycles >= minimum || principalKey(input.from) === principalKey(canister.meta.id)) return null;
  return executionError(canister.meta.id, {
    code: ErrorCode.InsufficientCyclesInCall,
    what: `Canister requires at least ${minimum} cycles to be attached to a call, but only ${input.cycles} were attached`,
  });
}

interface Admission {
  readonly prepaid: Prepayment;
  readonly entry: ReplicatedEntry;
}

/** The checks before a call runs, in the replica's order; what is admitted is paid for. */
function admit(
  env: TurnEnv,
  canister: CanisterState,
  input: IngressInput | RequestInput,
): Result<Admission, UserError> {
  if (canister.meta.status.kind !== "running") return err(notRunning(canister.meta));
  const prepaid = prepayExecution(env.subnet, canister, {
    instructionLimit: env.limits.instructionsPerMessage,
  });
  if (!prepaid.ok) return prepaid;
  const arg = input.kind === "request" ? input.payload : input.arg;
  const entry =
    (input.kind === "request" ? incomingCyclesError(canister, input) : null) ??
    replicatedEntry(canister, input.methodName, arg);
  if ("kind" in entry) return ok({ prepaid: prepaid.value, entry });
  settle(env, canister, prepaid.value, 0n);
  return err(entry);
}

function originOf(input: IngressInput | RequestInput): CallOrigin {
  if (input.kind === "ingress") {
    const { requestId, sender, senderInfo } = input;
    return { kind: "ingress", requestId, sender, senderInfo };
  }
  return { kind: "canister", from: input.from, callbackId: input.callbackId, deadline: input.deadline };
}

/** Takes a public method's call from a user or a canister on. Null: it is answered, nothing runs. */
export function beginCall(
  env: TurnEnv,
  canister: CanisterState,
  input: IngressInput | RequestInput,
): MessageWork | null {
  env.outbox.executions++;
  const origin = originOf(input);
  const cycles = input.kind === "request" ? input.cycles : 0n;
  const admitted = admit(env, canister, input);
  if (!admitted.ok) {
    const answer = { kind: "error", error: admitted.error } as const;
    countAnswer(canister.meta, origin);
    answerOrigin(env.outbox, origin, answer, { from: canister.meta.id, refund: cycles });
    return null;
  }
  const { entry, prepaid } = admitted.value;
  const context = openContext(canister, { origin, cycles, time: env.time });
  const { instructionsPerMessage, instructionsPerQuery } = env.limits;
  return startMessage(env, canister, {
    context,
    entry,
    prepaid,
    instructionLimit: entry.kind === "update" ? instructionsPerMessage : instructionsPerQuery,
  });
}

/** Applies what the run came to; the canister is free for its next message. */
export function finishMessage(
  env: TurnEnv,
  canister: CanisterState,
  work: MessageWork,
  result: JobResult,
): void {
  const { outcome, cleanup } = result;
  const context = contextOf(canister, work);
  canister.running = null;
  context.instructionsExecuted += outcome.instructions;
  if (appendLogs(canister, outcome, work.startTime)) env.outbox.logsChanged = true;
  const { guaranteedMessageBytes } = canister.meta;
  if (outcome.effects !== null) {
    applyEffects(env, canister, context, outcome.effects, work.startTime);
    canister.meta.version++;
  } else if (cleanup !== null) {
    applyEffects(env, canister, context, cleanup, work.startTime);
    canister.meta.version++;
  }
  env.callBudget.guaranteedBytes -= canister.meta.guaranteedMessageBytes - guaranteedMessageBytes;
  env.callBudget.callbacks -= outcome.effects?.calls.length ?? 0;
  settle(env, canister, work.prepaid, outcome.instructions);
  payDebit(env, canister, work.inductionDebit);
  finishInContext(env, canister, context, outcome);
  noteProcessing(env, context);
}

/** A user's call that has begun and is not answered shows as processing. */
export function noteProcessing(env: TurnEnv, { origin, needsToRespond }: CallContext): void {
  if (origin.kind !== "ingress" || !needsToRespond) return;
  env.outbox.statuses.push({ requestId: origin.requestId, status: { kind: "processing" } });
}

/** What induction put off while the message ran; never more than is there. */
export function payDebit(env: TurnEnv, canister: CanisterState, debit: bigint): void {
  const paid = minOf(debit, canister.meta.cycles);
  canister.meta.cycles -= paid;
  recordConsumed(env.outbox, canister, paid, "ingress_induction");
}

export function settle(
  env: TurnEnv,
  canister: CanisterState,
  prepaid: Prepayment,
  instructions: bigint,
): void {
  settleExecution({ subnet: env.subnet, total: env.outbox, prepaid }, canister, instructions);
}

/** Starts a heartbeat, the global timer or the low-memory hook; a canister that cannot pay skips it. */
export function beginTask(env: TurnEnv, canister: CanisterState, task: SystemTask): MessageWork | null {
  const { meta } = canister;
  if (meta.status.kind !== "running") return null;
  env.outbox.executions++;
  if (!exportsTask(canister, task)) return null;
  const { instructionsPerMessage } = env.limits;
  const prepaid = prepayExecution(env.subnet, canister, { instructionLimit: instructionsPerMessage });
  if (!prepaid.ok) return null;
  // A timer is spent by going off: one that cannot be paid for stays set.
  if (task === "global_timer") meta.globalTimer = 0n;
  if (task === "on_low_wasm_memory") meta.lowMemoryHook = "executed";
  return startMessage(env, canister, {
    context: openContext(canister, { origin: { kind: "task" }, cycles: 0n, time: env.time }),
    entry: { kind: task },
    prepaid: prepaid.value,
    instructionLimit: instructionsPerMessage,
  });
}

function exportsTask(canister: CanisterState, task: SystemTask): boolean {
  const exports = canister.meta.module?.exports;
  if (exports === undefined) return false;
  if (task === "heartbeat") return exports.heartbeat;
  return task === "global_timer" ? exports.globalTimer : exports.onLowWasmMemory;
}
