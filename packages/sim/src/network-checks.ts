/**
 * What must hold of a whole network, whatever happens between its subnets: no cycle appears or disappears, and when everybody has
 * come to rest, nothing is left anywhere.
 */
import { principalKey } from "@orrery/base";
import type { OutboundMessage, ReplicatedState, StreamMessage } from "@orrery/state";

function cyclesIn(message: StreamMessage): bigint {
  if (message.kind === "refund") return message.cycles;
  return message.kind === "request" ? message.input.cycles : message.input.refund;
}

function carried(queues: ReadonlyMap<string, readonly OutboundMessage[]>): bigint {
  let total = 0n;
  for (const queue of queues.values()) for (const message of queue) total += cyclesIn(message);
  return total;
}

/** Every cycle that a subnet has or had, streams aside. */
export function subnetCycles(state: ReplicatedState): bigint {
  let total = state.consumedCyclesTotal + carried(state.subnetOutputs);
  for (const { meta, callContexts, callbacks, queues } of state.canisters.values()) {
    total += meta.cycles + meta.reservedCycles + carried(queues.outputs);
    for (const context of callContexts.values()) total += context.availableCycles;
    for (const callback of callbacks.values())
      total += callback.prepaidExecution + callback.prepaidTransmission;
    for (const response of queues.responses) total += response.refund;
    for (const requests of queues.requests.values()) for (const request of requests) total += request.cycles;
    if (meta.status.kind !== "stopping") continue;
    for (const request of meta.status.requests) if (request.kind === "call") total += request.cycles;
  }
  for (const input of state.managementQueue) if (input.kind === "request") total += input.cycles;
  for (const pending of state.pendingManagement) total += pending.refund;
  for (const cycles of state.refunds.values()) total += cycles;
  return total;
}

/**
 * Cycles in the streams between two subnets that are nobody's else: of messages that the receiver has not taken, or has sent back
 * and the sender has not seen that yet.
 */
function cyclesUnderWay(from: ReplicatedState, to: ReplicatedState): bigint {
  const stream = from.streams.get(principalKey(to.subnet.subnetId));
  if (stream === undefined) return 0n;
  const reverse = to.streams.get(principalKey(from.subnet.subnetId));
  const refused = new Set(reverse?.rejectSignals.map(({ index }) => index));
  const taken = reverse?.signalsEnd ?? 0n;
  let total = 0n;
  for (const [i, message] of stream.messages.entries()) {
    const index = stream.begin + BigInt(i);
    if (index >= taken || refused.has(index)) total += cyclesIn(message);
  }
  return total;
}

export function networkCycles(states: readonly ReplicatedState[]): bigint {
  let total = 0n;
  for (const state of states) {
    total += subnetCycles(state);
    for (const other of states) if (other !== state) total += cyclesUnderWay(state, other);
  }
  return total;
}

/** What is left although nobody has anything to do: empty when all is well. */
export function leftovers(states: readonly ReplicatedState[]): readonly string[] {
  const found: string[] = [];
  for (const [i, state] of states.entries()) {
    const note = (what: string, count: number): void => {
      if (count > 0) found.push(`subnet ${i}: ${count} ${what}`);
    };
    note("messages of the subnet to others", state.subnetOutputs.size);
    note("refunds", state.refunds.size);
    note("management calls", state.managementQueue.length + state.pendingManagement.length);
    for (const [key, stream] of state.streams)
      note(`messages in the stream to ${key}`, stream.messages.length);
    for (const [key, { callContexts, callbacks, queues, outstandingByCallee }] of state.canisters) {
      note(`call contexts of ${key}`, callContexts.size);
      note(`callbacks of ${key}`, callbacks.size);
      note(`calls outstanding of ${key}`, outstandingByCallee.size);
      note(
        `messages waiting at ${key}`,
        queues.requests.size + queues.responses.length + queues.ingress.length,
      );
      note(`messages waiting to leave ${key}`, queues.outputs.size);
    }
  }
  return found;
}
