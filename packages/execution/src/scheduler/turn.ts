/**
 * What a canister does next in its turn: system tasks that are due, then its queues. Responses, requests and ingress messages take turns, and
 * among requests their senders do; of one sender, requests keep their order. Whose turn it is goes on from message to message, over
 * rounds, so that nobody waits for ever behind those who always have something.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterState, IngressInput, MessageWork, RequestInput, ResponseInput } from "@orrery/state";
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
 * Takes the next task or message on: tasks, then messages; one of those goes before the tasks when a task took several
 * rounds, or tasks that are due all the time would leave no round to messages. Tasks that did not get to run stay set in `tasks`.
 */
export function nextWork(env: TurnEnv, canister: CanisterState, tasks: TurnTasks, picker: Picker): NextWork {
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

type Input = IngressInput | RequestInput | ResponseInput;

function take(env: TurnEnv, canister: CanisterState, input: Input): NextWork {
  if (input.kind === "response") return begun(beginResponse(env, canister, input));
  if (input.kind === "request") countTakenRequest(canister.meta, input);
  if (input.kind === "request" && hasPassed(input.deadline, env.time)) {
    // Its caller was told at the deadline; a request that nobody waits for is not started.
    env.outbox.executions++;
    if (input.cycles > 0n) env.outbox.refunds.push({ to: input.from, cycles: input.cycles });
    return ANSWERED;
  }
  return begun(beginCall(env, canister, input));
}

export type Picker = () => Input | null;

/** Responses, requests, ingress messages. */
const SOURCES = 3;

/** Takes messages from the queues in their turns. */
export function newPicker(canister: CanisterState): Picker {
  const { queues } = canister;
  const senders: PrincipalKey[] = [...queues.requests.keys()].sort();
  const { lastSender = "" } = canister;
  // After the last of them the first comes again.
  const next = { at: senders.findLastIndex((sender) => sender <= lastSender) + 1 };
  const sources = [
    (): Input | null => queues.responses.shift() ?? null,
    (): Input | null => takeRequest(canister, senders, next),
    (): Input | null => queues.ingress.shift() ?? null,
  ];
  return () => {
    const turn = canister.inputTurn ?? 0;
    for (let i = turn; i < turn + SOURCES; i++) {
      const input = sources[i % SOURCES]?.() ?? null;
      if (input === null) continue;
      canister.inputTurn = (i + 1) % SOURCES;
      return input;
    }
    return null;
  };
}

/** Of the sender whose turn it is; senders without requests leave `senders`. */
function takeRequest(
  canister: CanisterState,
  senders: PrincipalKey[],
  next: { at: number },
): RequestInput | null {
  const { requests } = canister.queues;
  while (senders.length > 0) {
    next.at %= senders.length;
    const sender = senders[next.at] as PrincipalKey;
    const queue = requests.get(sender);
    const request = queue?.shift();
    if (queue !== undefined && queue.length === 0) requests.delete(sender);
    if (queue === undefined || queue.length === 0) senders.splice(next.at, 1);
    else next.at++;
    if (request === undefined) continue;
    if (requests.size > 0) canister.lastSender = sender;
    else delete canister.lastSender;
    return request;
  }
  return null;
}
