/**
 * What a canister does next in its turn: system tasks that are due, then its queues. Responses go before other messages; ingress
 * and requests alternate, senders take turns; per sender, requests keep their order. Which sender is first rotates with the
 * height, so that nobody is starved by a small id.
 */
import type { Height, PrincipalKey } from "@orrery/base";
import type { CanisterState, IngressInput, MessageWork, RequestInput } from "@orrery/state";
import { canPrepay } from "../cycles.ts";
import { hasPassed } from "../messaging/deadlines.ts";
import { lowMemoryReady } from "../messaging/low-memory.ts";
import { countTakenRequest } from "../messaging/message-memory.ts";
import { beginCall, beginTask, type TurnEnv } from "../messaging/run-message.ts";
import { beginResponse } from "../messaging/run-response.ts";

export interface TurnTasks {
  heartbeat: boolean;
  timer: boolean;
}

export type NextWork =
  | { readonly kind: "idle" }
  /** Something was taken, and nothing runs for it. */
  | { readonly kind: "answered" }
  | { readonly kind: "work"; readonly work: MessageWork };

const IDLE: NextWork = { kind: "idle" };
const ANSWERED: NextWork = { kind: "answered" };

function begun(work: MessageWork | null): NextWork {
  return work === null ? ANSWERED : { kind: "work", work };
}

/**
 * Takes the next task or message on: responses, tasks, then other messages; of those one goes before the tasks when a task took several
 * rounds, or tasks that are due all the time would leave no round to messages. Tasks that did not get to run stay set in `tasks`.
 */
export function nextWork(env: TurnEnv, canister: CanisterState, tasks: TurnTasks, picker: Picker): NextWork {
  const response = canister.queues.responses.shift();
  if (response !== undefined) return begun(beginResponse(env, canister, response));
  // One that cannot be paid for stays ready, and holds up nothing.
  if (lowMemoryReady(canister) && canPrepay(env.subnet, canister, env.limits.instructionsPerMessage))
    return begun(beginTask(env, canister, "on_low_wasm_memory"));
  const early = canister.messagesFirst === true ? picker() : null;
  delete canister.messagesFirst;
  if (early !== null) return take(env, canister, early);
  if (tasks.heartbeat) {
    tasks.heartbeat = false;
    return begun(beginTask(env, canister, "heartbeat"));
  }
  if (tasks.timer) {
    tasks.timer = false;
    return begun(beginTask(env, canister, "global_timer"));
  }
  const input = picker();
  return input === null ? IDLE : take(env, canister, input);
}

function take(env: TurnEnv, canister: CanisterState, input: IngressInput | RequestInput): NextWork {
  if (input.kind === "request") countTakenRequest(canister.meta, input);
  if (input.kind === "request" && hasPassed(input.deadline, env.time)) {
    // Its caller was told at the deadline; a request that nobody waits for is not started.
    env.outbox.executions++;
    if (input.cycles > 0n) env.outbox.refunds.push({ to: input.from, cycles: input.cycles });
    return ANSWERED;
  }
  return begun(beginCall(env, canister, input));
}

export type Picker = () => IngressInput | RequestInput | null;

/** Takes messages from the queues in the turn's order. */
export function newPicker(canister: CanisterState, height: Height): Picker {
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
