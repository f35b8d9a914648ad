/** The sum that no round may change. */
import type { OutboundMessage, ReplicatedState } from "@orrery/state";

function carried(queues: ReadonlyMap<string, readonly OutboundMessage[]>): bigint {
  let total = 0n;
  for (const queue of queues.values())
    for (const message of queue)
      total += message.kind === "request" ? message.input.cycles : message.input.refund;
  return total;
}

/** Every cycle of the subnet, wherever it is; what is in its streams is on its way to others. */
export function totalCycles(state: ReplicatedState): bigint {
  let total = state.consumedCyclesTotal;
  for (const { meta, callContexts, callbacks, queues, running } of state.canisters.values()) {
    total += meta.cycles + meta.reservedCycles + (running?.prepaid.cycles ?? 0n);
    if (running?.kind === "install") total += running.cycles;
    for (const context of callContexts.values()) total += context.availableCycles;
    for (const callback of callbacks.values())
      total += callback.prepaidExecution + callback.prepaidTransmission;
    total += carried(queues.outputs);
    for (const response of queues.responses) total += response.refund;
    for (const requests of queues.requests.values()) for (const request of requests) total += request.cycles;
    if (meta.status.kind === "stopping") {
      for (const request of meta.status.requests) if (request.kind === "call") total += request.cycles;
    }
  }
  for (const input of state.managementQueue) if (input.kind === "request") total += input.cycles;
  for (const pending of state.pendingManagement) total += pending.refund;
  for (const outcall of state.outcalls.values()) total += outcall.refund;
  total += carried(state.subnetOutputs);
  for (const cycles of state.refunds.values()) total += cycles;
  return total;
}
