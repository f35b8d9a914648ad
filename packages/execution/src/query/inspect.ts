/**
 * Whether a replica takes an update call into its pool (interface spec, "Request: Call", the checks before `received`): existence,
 * status, cycles for induction, the management canister's rules, and `canister_inspect_message`.
 */
import { assert, type CallRequest } from "@orrery/base";
import { minOf } from "../bigints.ts";
import { freezingThresholdCycles, outOfCycles } from "../cycles.ts";
import { ErrorCode, type UserError } from "../error-codes.ts";
import { ingressInductionCost } from "../fees.ts";
import { INSTRUCTIONS_PER_INSPECT_MAX } from "../limits.ts";
import { advised } from "../management/advice.ts";
import { acceptManagementIngress, effectiveCanisterId } from "../management/effective-id.ts";
import { delaysInductionCost } from "../management/methods.ts";
import { notFound, stopped, stopping } from "../messaging/reject.ts";
import type { WasmRunner } from "../runner/runner.ts";
import { formatExecutionError } from "../system-api/failure.ts";
import { isAmong } from "../system-api/frame.ts";
import type { Mirror, MirroredCanister } from "./mirror.ts";
import { QueryOutgrown } from "./query-call.ts";

/** A call and the length of its envelope, which its induction is priced by. */
export interface Submitted {
  readonly call: CallRequest;
  readonly bytes: number;
}

/** Error when the canister cannot pay for inducting the message without touching its freezing threshold. */
function inductionError(
  mirror: Mirror,
  { meta }: MirroredCanister,
  { call, bytes }: Submitted,
): UserError | null {
  const requested = ingressInductionCost(mirror.subnet, bytes);
  const threshold = freezingThresholdCycles(mirror.subnet, meta);
  if (meta.cycles >= threshold + requested) return null;
  const reveal = isAmong(meta.settings.controllers, call.sender);
  return outOfCycles(meta, { requested, threshold, reveal });
}

function inspectManagement(mirror: Mirror, submitted: Submitted): UserError | null {
  const { call } = submitted;
  const effective = effectiveCanisterId(call.methodName, call.arg);
  const payer = effective.ok && effective.value !== null ? mirror.canister(effective.value) : null;
  if (payer !== null && !delaysInductionCost(call.methodName, call.arg)) {
    const error = inductionError(mirror, payer, submitted);
    if (error !== null) return error;
  }
  const view = { subnet: mirror.subnet, canister: (id: Uint8Array) => mirror.canister(id)?.meta ?? null };
  const refusal = acceptManagementIngress(view, call);
  return refusal === null ? null : advised(refusal);
}

/**
 * Null: accepted. Otherwise what the user is told at once, without a request status. An inspection that takes more than `probe`
 * instructions is given up as one for another thread: `QueryOutgrown`.
 */
export function inspectCall(
  { mirror, runner }: { readonly mirror: Mirror; readonly runner: WasmRunner },
  submitted: Submitted,
  probe: bigint = INSTRUCTIONS_PER_INSPECT_MAX,
): UserError | null {
  const { call } = submitted;
  if (call.canisterId.length === 0) return inspectManagement(mirror, submitted);
  const canister = mirror.canister(call.canisterId);
  if (canister === null) return notFound(call.canisterId);
  const { meta } = canister;
  const poor = inductionError(mirror, canister, submitted);
  if (poor !== null) return poor;
  if (meta.module === null) return formatExecutionError(meta.id, { kind: "wasm_module_not_found" });
  if (meta.status.kind === "stopped") return stopped(meta.id);
  if (meta.status.kind === "stopping") return stopping(meta.id);
  if (meta.module.exports.compositeQueries.includes(call.methodName)) {
    return formatExecutionError(meta.id, { kind: "composite_query_replicated" });
  }
  const { senderInfo } = call;
  const outcome = runner.inspect(
    canister,
    { kind: "inspect_message", method: call.methodName, arg: call.arg },
    {
      subnet: mirror.subnet,
      time: mirror.time,
      caller: call.sender,
      callerInfo: senderInfo === null ? null : { info: senderInfo.info, signer: senderInfo.signer },
      deadline: 0n,
      cyclesAvailable: 0n,
      cyclesRefunded: 0n,
      canRespond: false,
      instructionLimit: minOf(probe, INSTRUCTIONS_PER_INSPECT_MAX),
      contextInstructions: 0n,
      dataCertificate: null,
      subnetMemoryAvailable: 0n,
      requestSlots: () => 0,
    },
  );
  const { error } = outcome;
  if (probe < INSTRUCTIONS_PER_INSPECT_MAX && error?.code === ErrorCode.CanisterInstructionLimitExceeded) {
    throw new QueryOutgrown();
  }
  if (error !== null) return error;
  assert(outcome.effects !== null, "an inspection ended well without effects");
  return outcome.effects.accepted ? null : formatExecutionError(meta.id, { kind: "message_rejected" });
}
