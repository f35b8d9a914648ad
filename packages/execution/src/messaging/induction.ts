/**
 * Ingress induction (interface spec, "Request: Call", "Replay"): from envelopes of a block to queues. Envelopes were validated by
 * whoever made the block and by whoever accepted it; here only what the state decides is checked. A message is either dropped
 * without trace (duplicate, expired, not a call) or has a status from now on.
 */
import {
  type CallRequest,
  decodeEnvelope,
  MANAGEMENT_CANISTER,
  ok,
  type Principal,
  principalKey,
  toHex,
} from "@orrery/base";
import { INGRESS_DRIFT_NS_MAX, requestId } from "@orrery/crypto";
import { type CanisterState, type IngressInput, type RunningWork, touch } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import { charge, freezingThresholdCycles, outOfCycles } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { ingressInductionCost } from "../fees.ts";
import { INGRESS_QUEUE_CAPACITY, INGRESS_TTL_NS, MANAGEMENT_INGRESS_BYTES_MAX } from "../limits.ts";
import { effectiveCanisterId } from "../management/effective-id.ts";
import { delaysInductionCost } from "../management/methods.ts";
import type { Round } from "../scheduler/round.ts";
import { isAmong } from "../system-api/frame.ts";
import { isManagementCallee } from "./delivery.ts";
import { addIngress, before, RECEIVED, setStatus } from "./ingress-history.ts";
import { notFound, statusFromError, stopped, stopping } from "./reject.ts";

export function inductIngress(round: Round, envelopes: readonly Uint8Array[]): void {
  for (const bytes of envelopes) {
    const envelope = decodeEnvelope(bytes);
    if (!envelope.ok || envelope.value.content.kind !== "call") {
      round.log.log("warn", "dropped an ingress message that is not a call", {});
      continue;
    }
    inductCall(round, envelope.value.content as CallRequest, bytes.length);
  }
}

function inductCall(round: Round, call: CallRequest, envelopeBytes: number): void {
  const { state, index } = round;
  const id = requestId(call.fields);
  const key = toHex(id);
  if (state.ingressHistory.has(key)) return;
  if (call.ingressExpiry < state.time) return;
  if (call.ingressExpiry > state.time + INGRESS_TTL_NS + INGRESS_DRIFT_NS_MAX) return;
  const management = isManagementCallee(round, call.canisterId);
  const effective = management ? effectiveCanisterId(call.methodName, call.arg) : ok(call.canisterId);
  addIngress(state, index, key, {
    requestId: id,
    sender: call.sender,
    receiver: call.canisterId,
    effectiveId: (effective.ok ? effective.value : null) ?? MANAGEMENT_CANISTER,
    status: RECEIVED,
    expiry: call.ingressExpiry,
    pruneAt: null,
  });
  const input: IngressInput = {
    kind: "ingress",
    requestId: id,
    sender: call.sender,
    methodName: call.methodName,
    arg: call.arg,
    expiry: call.ingressExpiry,
    senderInfo:
      call.senderInfo === null ? null : { info: call.senderInfo.info, signer: call.senderInfo.signer },
  };
  let refusal: UserError | null;
  if (!effective.ok) refusal = effective.error;
  else if (management) refusal = inductManagement(round, input, { payer: effective.value, envelopeBytes });
  else refusal = inductToCanister(round, input, { receiver: call.canisterId, envelopeBytes });
  if (refusal === null) return;
  setStatus(state, index, id, statusFromError(refusal));
  round.answered.push(id);
}

function payInduction(
  round: Round,
  canister: CanisterState,
  input: IngressInput,
  envelopeBytes: number,
): UserError | null {
  const { state } = round;
  const controls = isAmong(canister.meta.settings.controllers, input.sender);
  const amount = ingressInductionCost(state.subnet, envelopeBytes);
  const threshold = freezingThresholdCycles(state.subnet, canister.meta);
  const error =
    canister.running === null
      ? charge(state, canister, { amount, use: "ingress_induction", threshold, reveal: controls })
      : putOff(canister, canister.running, { amount, threshold, reveal: controls });
  if (error === null) touch(state, canister);
  return error;
}

/** In the middle of a message the balance does not move: what arrives is paid for when that ends. */
function putOff(
  { meta }: CanisterState,
  running: RunningWork,
  price: { readonly amount: bigint; readonly threshold: bigint; readonly reveal: boolean },
): UserError | null {
  const { amount: requested, threshold, reveal } = price;
  const cycles = maxOf(meta.cycles - running.inductionDebit, 0n);
  if (cycles < threshold + requested)
    return outOfCycles({ ...meta, cycles }, { requested, threshold, reveal });
  running.inductionDebit += requested;
  return null;
}

function queueFull(): UserError {
  return userError(ErrorCode.CanisterQueueFull, `Maximum queue capacity ${INGRESS_QUEUE_CAPACITY} reached`);
}

/** The target pays for management calls; creation has no target. */
function inductManagement(
  round: Round,
  input: IngressInput,
  options: { readonly payer: Principal | null; readonly envelopeBytes: number },
): UserError | null {
  const { state } = round;
  if (options.payer !== null) {
    const canister = state.canisters.get(principalKey(options.payer));
    if (canister === undefined) return notFound(options.payer);
    if (!delaysInductionCost(input.methodName, input.arg)) {
      const error = payInduction(round, canister, input, options.envelopeBytes);
      if (error !== null) return error;
    }
  }
  let [waiting, bytes] = [0, input.arg.length];
  for (const one of state.managementQueue) {
    if (one.kind !== "ingress") continue;
    waiting++;
    bytes += one.arg.length;
  }
  if (waiting >= INGRESS_QUEUE_CAPACITY || bytes > MANAGEMENT_INGRESS_BYTES_MAX) return queueFull();
  state.managementQueue.push(input);
  return null;
}

function inductToCanister(
  round: Round,
  input: IngressInput,
  options: { readonly receiver: Principal; readonly envelopeBytes: number },
): UserError | null {
  const { state, index } = round;
  const key = principalKey(options.receiver);
  const canister = state.canisters.get(key);
  if (canister === undefined) return notFound(options.receiver);
  const { status } = canister.meta;
  if (status.kind === "stopped") return stopped(canister.meta.id);
  if (status.kind === "stopping") return stopping(canister.meta.id);
  if (canister.queues.ingress.length >= INGRESS_QUEUE_CAPACITY) {
    return queueFull();
  }
  const error = payInduction(round, canister, input, options.envelopeBytes);
  if (error !== null) return error;
  canister.queues.ingress.push(input);
  index.noteWork(key, canister);
  return null;
}

/** Rejects what did not start before its expiry. */
export function expireIngress(round: Round): void {
  const { state, index } = round;
  const expired = new Set<string>();
  const receivers = new Map<string, CanisterState>();
  for (;;) {
    const due = index.ingressExpiry.popUntil(before(state.time));
    if (due === null) break;
    const entry = state.ingressHistory.get(due.key);
    if (entry === undefined || entry.status.kind !== "received") continue;
    expired.add(due.key);
    const canister = state.canisters.get(principalKey(entry.receiver));
    if (canister !== undefined) receivers.set(principalKey(entry.receiver), canister);
  }
  if (expired.size === 0) return;
  for (const [key, canister] of receivers) {
    canister.queues.ingress = canister.queues.ingress.filter((input) => !expired.has(toHex(input.requestId)));
    touch(state, canister);
    index.refresh(key, canister);
  }
  const queue = state.managementQueue;
  const kept = queue.filter((input) => input.kind !== "ingress" || !expired.has(toHex(input.requestId)));
  queue.splice(0, queue.length, ...kept);
  for (const key of [...expired].sort()) {
    const { requestId: id } = state.ingressHistory.get(key) as { requestId: Uint8Array };
    const text = `Ingress message ${key} timed out waiting to start executing.`;
    setStatus(state, index, id, statusFromError(userError(ErrorCode.IngressMessageTimeout, text)));
    round.answered.push(id);
  }
}
