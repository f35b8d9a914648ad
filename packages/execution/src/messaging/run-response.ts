/**
 * The start of a response's callback (interface spec, "Callbacks"): refund and unused transmission come back first, then the
 * reply or reject closure runs on what was prepaid at `call_perform`; when it traps, the cleanup closure runs on the share of
 * instructions kept for it, as a part of the same execution. Late responses to a deleted context only bring their cycles.
 */
import { assert, principalKey, utf8 } from "@orrery/base";
import type {
  Callback,
  CallContext,
  CanisterState,
  MessageWork,
  ReplicatedEntry,
  ResponseInput,
} from "@orrery/state";
import { minOf } from "../bigints.ts";
import { adjustPrepayment, recordConsumed } from "../cycles.ts";
import { transmissionBytesCost } from "../fees.ts";
import { CLEANUP_INSTRUCTIONS_SHARE, INSTRUCTIONS_PER_MESSAGE_MAX } from "../limits.ts";
import { closeIfDone } from "./contexts.ts";
import { countTakenResponse } from "./message-memory.ts";
import { finishInContext, startMessage, type TurnEnv } from "./run-message.ts";

/** Takes the callback out of the canister's books. Null: it was answered before, at its deadline. */
function takeCallback(canister: CanisterState, id: number): Callback | null {
  const callback = canister.callbacks.get(id);
  if (callback === undefined) return null;
  canister.callbacks.delete(id);
  const key = principalKey(callback.callee);
  const left = (canister.outstandingByCallee.get(key) ?? 0) - 1;
  if (left > 0) canister.outstandingByCallee.set(key, left);
  else canister.outstandingByCallee.delete(key);
  return callback;
}

function responseBytes(input: ResponseInput): number {
  return input.payload.kind === "reply" ? input.payload.data.length : utf8(input.payload.message).length;
}

/** Takes a response on. Null: nothing runs for it. */
export function beginResponse(
  env: TurnEnv,
  canister: CanisterState,
  input: ResponseInput,
): MessageWork | null {
  env.outbox.executions++;
  countTakenResponse(canister, input);
  const callback = takeCallback(canister, input.callbackId);
  if (callback === null) {
    // Only a best-effort call can be answered twice; the late answer brings its cycles and nothing else.
    canister.meta.cycles += input.refund;
    return null;
  }
  const { meta } = canister;
  const context = canister.callContexts.get(callback.contextId);
  assert(context !== undefined, `callback ${callback.id} has no call context`);
  context.outstanding--;
  assert(input.refund <= callback.cyclesSent, "a response refunds more than the call carried");
  const transmission = minOf(
    transmissionBytesCost(env.subnet, responseBytes(input)),
    callback.prepaidTransmission,
  );
  meta.cycles += input.refund + callback.prepaidTransmission - transmission;
  recordConsumed(env.outbox, canister, transmission, "request_and_response_transmission");
  if (context.deleted) {
    meta.cycles += callback.prepaidExecution;
    closeIfDone(canister, context);
    return null;
  }
  return startCallback(env, canister, { context, callback, input });
}

interface CallbackRun {
  readonly context: CallContext;
  readonly callback: Callback;
  readonly input: ResponseInput;
}

function callbackEntry(run: CallbackRun): ReplicatedEntry {
  const { payload } = run.input;
  if (payload.kind === "reply")
    return { kind: "reply_callback", closure: run.callback.reply, arg: payload.data };
  return {
    kind: "reject_callback",
    closure: run.callback.reject,
    code: payload.code,
    message: payload.message,
  };
}

function startCallback(env: TurnEnv, canister: CanisterState, run: CallbackRun): MessageWork | null {
  const { context, callback, input } = run;
  const limit = env.limits.instructionsPerMessage;
  const prepaid = adjustPrepayment(env.subnet, canister, {
    prepaid: callback.prepaidExecution,
    instructionLimit: INSTRUCTIONS_PER_MESSAGE_MAX,
  });
  if (!prepaid.ok) {
    canister.meta.cycles += callback.prepaidExecution;
    finishInContext(env, canister, context, { error: prepaid.error, effects: null });
    return null;
  }
  const forCleanup = callback.cleanup === null ? 0n : limit / CLEANUP_INSTRUCTIONS_SHARE;
  return startMessage(env, canister, {
    context,
    entry: callbackEntry(run),
    prepaid: prepaid.value,
    instructionLimit: limit - forCleanup,
    totalLimit: limit,
    cyclesRefunded: input.refund,
    cleanup:
      callback.cleanup === null
        ? null
        : {
            closure: callback.cleanup,
            rejectCode: input.payload.kind === "reject" ? input.payload.code : 0,
          },
  });
}
