/** The sum that no round may change. */
import type { ReplicatedState } from "@orrery/state";

/** Every cycle of the subnet, wherever it is. */
export function totalCycles(state: ReplicatedState): bigint {
  let total = state.consumedCyclesTotal;
  for (const { meta, callContexts, callbacks, queues } of state.canisters.values()) {
    total += meta.cycles + meta.reservedCycles;
    for (const context of callContexts.values()) total += context.availableCycles;
    for (const callback of callbacks.values())
      total += callback.prepaidExecution + callback.prepaidTransmission;
    for (const response of queues.responses) total += response.refund;
    for (const requests of queues.requests.values()) for (const request of requests) total += request.cycles;
    if (meta.status.kind === "stopping") {
      for (const request of meta.status.requests) if (request.kind === "call") total += request.cycles;
    }
  }
  for (const input of state.managementQueue) if (input.kind === "request") total += input.cycles;
  for (const pending of state.pendingManagement) total += pending.refund;
  return total;
}
