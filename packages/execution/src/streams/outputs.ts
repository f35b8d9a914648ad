/**
 * Messages to other subnets before they are in a stream: queues by receiver, at the canister that sent them, or at the subnet for
 * what the management canister says and for what canisters leave behind when they are deleted. Nothing is ever dropped here, and
 * the messages of a pair keep their order.
 */
import type { CanisterId, Principal, PrincipalKey } from "@orrery/base";
import { principalKey } from "@orrery/base";
import { type CanisterState, type OutboundMessage, type StreamMessage, touch } from "@orrery/state";
import { countOutput, guaranteedResponseBytes } from "../messaging/message-memory.ts";
import type { Round } from "../scheduler/round.ts";

export function receiverOf(message: StreamMessage): CanisterId {
  return message.kind === "request" ? message.callee : message.to;
}

/** Queues a message of `sender` (a canister of this subnet, or the management canister). */
export function queueOutput(round: Round, sender: Principal, message: OutboundMessage): void {
  const { state, index } = round;
  const key = principalKey(sender);
  const canister = state.canisters.get(key);
  const to = principalKey(receiverOf(message));
  append(canister?.queues.outputs ?? state.subnetOutputs, to, [message]);
  if (canister === undefined) {
    index.strayResponseBytes += guaranteedResponseBytes(message);
    return;
  }
  countOutput(canister.meta, message, 1);
  index.outputs.add(key);
  index.outputExpiry.note(key, to);
  touch(state, canister);
}

function append(
  queues: Map<PrincipalKey, OutboundMessage[]>,
  to: PrincipalKey,
  messages: readonly OutboundMessage[],
): void {
  const queue = queues.get(to);
  if (queue === undefined) queues.set(to, [...messages]);
  else queue.push(...messages);
}

/** What a canister that is about to be deleted still has to say. */
export function inheritOutputs(round: Round, canister: CanisterState): void {
  const { outputs } = canister.queues;
  const key = principalKey(canister.meta.id);
  for (const [to, messages] of outputs) {
    round.index.outputExpiry.note(key, to);
    append(round.state.subnetOutputs, to, messages);
    for (const message of messages) round.index.strayResponseBytes += guaranteedResponseBytes(message);
  }
  outputs.clear();
}

/** Cycles of a best-effort call that was given up go back to `to`, at the end of the round. */
export function refundLater(round: Round, to: Principal, cycles: bigint): void {
  if (cycles === 0n) return;
  const { refunds } = round.state;
  const key = principalKey(to);
  refunds.set(key, (refunds.get(key) ?? 0n) + cycles);
}
