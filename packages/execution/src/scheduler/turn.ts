/**
 * A canister's turn in a round: system tasks that are due, then its queues until they are empty or the partition's instructions
 * are used up. Responses go before other messages; ingress and requests alternate, senders take turns; per sender, requests keep
 * their order. Which sender is first rotates with the height, so that nobody is starved by a small id.
 */
import type { Height, PrincipalKey } from "@orrery/base";
import type { CanisterState, IngressInput, RequestInput } from "@orrery/state";
import { recordConsumed } from "../cycles.ts";
import { executeCall, executeTask, type TurnEnv } from "../messaging/run-message.ts";
import { executeResponse } from "../messaging/run-response.ts";

export interface TurnTasks {
  heartbeat: boolean;
  timer: boolean;
}

/** Instructions left to a partition of the round; a turn stops starting messages at zero. */
export interface Budget {
  instructions: bigint;
}

/** Runs the turn. Tasks that did not get to run stay set in `tasks`. */
export function runTurn(
  env: TurnEnv,
  canister: CanisterState,
  options: { readonly tasks: TurnTasks; readonly budget: Budget; readonly height: Height },
): void {
  const { tasks, budget, height } = options;
  const picker = newPicker(canister, height);
  while (budget.instructions > 0n) {
    const before = env.outbox.instructions;
    const executions = env.outbox.executions;
    if (!runNext(env, canister, tasks, picker)) return;
    const ran = BigInt(env.outbox.executions - executions);
    budget.instructions -= env.outbox.instructions - before + ran * env.limits.overheadPerMessage;
  }
}

function runNext(env: TurnEnv, canister: CanisterState, tasks: TurnTasks, picker: Picker): boolean {
  const response = canister.queues.responses.shift();
  if (response !== undefined) {
    executeResponse(env, canister, response);
    return true;
  }
  if (canister.meta.lowMemoryHook === "ready" && canister.meta.module?.exports.onLowWasmMemory === true) {
    if (canister.meta.status.kind === "running") {
      executeTask(env, canister, "on_low_wasm_memory");
      return true;
    }
  }
  if (tasks.heartbeat) {
    tasks.heartbeat = false;
    executeTask(env, canister, "heartbeat");
    return true;
  }
  if (tasks.timer) {
    tasks.timer = false;
    executeTask(env, canister, "global_timer");
    return true;
  }
  const input = picker();
  if (input === null) return false;
  if (input.kind === "request" && input.deadline !== 0n && input.deadline <= env.time) {
    // Its caller was told at the deadline; a request that nobody waits for is not started.
    env.outbox.executions++;
    recordConsumed(env.outbox, canister, input.cycles, "burned_cycles");
    return true;
  }
  executeCall(env, canister, input);
  return true;
}

type Picker = () => IngressInput | RequestInput | null;

/** Takes messages from the queues in the turn's order. */
function newPicker(canister: CanisterState, height: Height): Picker {
  const { queues } = canister;
  const senders: PrincipalKey[] = [...queues.requests.keys()].sort();
  let next = senders.length === 0 ? 0 : height % senders.length;
  let ingressTurn = height % 2 === 0;
  const takeRequest = (): RequestInput | null => {
    while (senders.length > 0) {
      if (next >= senders.length) next = 0;
      const sender = senders[next] as PrincipalKey;
      const queue = queues.requests.get(sender);
      const request = queue?.shift();
      if (queue !== undefined && queue.length === 0) queues.requests.delete(sender);
      if (queue === undefined || queue.length === 0) senders.splice(next, 1);
      else next++;
      if (request !== undefined) return request;
    }
    return null;
  };
  return () => {
    ingressTurn = !ingressTurn;
    if (ingressTurn) return queues.ingress.shift() ?? takeRequest();
    return takeRequest() ?? queues.ingress.shift() ?? null;
  };
}
