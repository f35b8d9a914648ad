/**
 * The rounds' inner loop: turns of all canisters that have work, then delivery of what they sent, then management
 * calls, again and again until nothing is left or the round's instructions are used up. The order is by priority and id;
 * partitions are formed by position, so the result depends on neither the host nor the number of workers.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import { minOf } from "../bigints.ts";
import { canPrepay } from "../cycles.ts";
import type { ExecutionLimits } from "../limits.ts";
import { subnetMemoryLeft } from "../management/memory.ts";
import {
  continueInstallations,
  type ManagementBudget,
  managementBudget,
  runManagement,
} from "../management/run-queue.ts";
import { deliverMessages, settleOutbox } from "../messaging/delivery.ts";
import { newOutbox } from "../messaging/outbox.ts";
import type { CallBudget } from "../messaging/run-message.ts";
import { type Turn, TurnPartition } from "./partition.ts";
import type { Round } from "./round.ts";
import { type DueTasks, RoundSchedule } from "./schedule.ts";
import { completeStops } from "./stopping.ts";

/**
 * What a partition may use before it starts no more: the last slice may begin at one and then still fits the round, as long as a
 * round is longer than a slice.
 */
function roundBudget({
  instructionsPerRound,
  instructionsPerSlice,
  instructionsPerInstallSlice,
}: ExecutionLimits): bigint {
  const slice =
    instructionsPerSlice > instructionsPerInstallSlice ? instructionsPerSlice : instructionsPerInstallSlice;
  return instructionsPerRound > slice ? instructionsPerRound - slice + 1n : instructionsPerRound;
}

/** Runs everything that the round's instructions allow. */
export function runRound(round: Round): void {
  const { index, limits, state } = round;
  const management: ManagementBudget = managementBudget(limits);
  if (!round.holdsLong) continueInstallations(round, management);
  const due = collectTasks(round);
  const schedule = new RoundSchedule(round, due);
  let budget: bigint | null = roundBudget(limits);
  runManagement(round, management);
  while (budget !== null && budget > 0n) {
    budget = runPass(round, { due, schedule, budget });
    if (budget === null) break;
    completeStops(round);
    runManagement(round, management);
  }
  completeStops(round);
  for (const [key, tasks] of due) {
    const canister = state.canisters.get(key);
    if (tasks.timer && canister !== undefined) index.refresh(key, canister);
  }
  schedule.finish();
}

/** Heartbeats on their grid of block time, and every timer that is due. */
function collectTasks(round: Round): DueTasks {
  const { state, index, limits, previousTime } = round;
  const due: DueTasks = new Map();
  const interval = limits.heartbeatIntervalNs;
  if (interval === 0n || state.time / interval !== previousTime / interval) {
    for (const key of index.heartbeats) due.set(key, { heartbeat: true, timer: false });
  }
  for (;;) {
    const key = index.takeTimer(state.time);
    if (key === null) return due;
    const canister = state.canisters.get(key);
    // Who cannot pay keeps the timer: the change that brings cycles brings it back into the index.
    if (canister !== undefined && !canPrepay(state.subnet, canister, limits.instructionsPerMessage)) continue;
    const tasks = due.get(key);
    if (tasks === undefined) due.set(key, { heartbeat: false, timer: true });
    else tasks.timer = true;
  }
}

/** One pass over the canisters with work; returns what is left of the round's instructions, null when nothing could run. */
function runPass(
  round: Round,
  options: { readonly due: DueTasks; readonly schedule: RoundSchedule; readonly budget: bigint },
): bigint | null {
  const { due, schedule, budget } = options;
  const partitions = schedule.partitions().map((keys) => {
    const callBudget = newCallBudget(round);
    return keys.map((key) => newTurn(round, { key, due, callBudget }));
  });
  const turns = partitions.flat();
  if (turns.length === 0) return null;
  const running = partitions.map(
    (list) =>
      new TurnPartition(list, {
        budget,
        sliced: (key) => schedule.noteSlice(key),
        ended: (key) => schedule.noteEnded(key),
      }),
  );
  round.executor.run(running, round.local);
  let progressed = false;
  for (const { canister, env } of turns) {
    if (env.outbox.executions === 0 && env.outbox.slices === 0) continue;
    progressed = true;
    settleOutbox(round, canister, env.outbox);
  }
  for (const { env } of turns) deliverMessages(round, env.outbox);
  schedule.endPass();
  if (!progressed) return null;
  return running.reduce((least, partition) => minOf(least, partition.budget), budget);
}

/** A partition's share of what calls may take. */
export function newCallBudget({ limits, index }: Pick<Round, "limits" | "index">): CallBudget {
  const { guaranteedMessageBytes, callbacksPerSubnet, partitions } = limits;
  return {
    guaranteedBytes: Math.floor((guaranteedMessageBytes - index.guaranteedBytesTaken) / partitions),
    callbacks: Math.floor((callbacksPerSubnet - index.callbacks) / partitions),
  };
}

function newTurn(
  round: Round,
  options: { readonly key: PrincipalKey; readonly due: DueTasks; readonly callBudget: CallBudget },
): Turn {
  const { state, limits, index } = round;
  const { key, due, callBudget } = options;
  return {
    key,
    canister: state.canisters.get(key) as CanisterState,
    tasks: due.get(key) ?? { heartbeat: false, timer: false },
    env: {
      subnet: state.subnet,
      time: state.time,
      height: state.height,
      limits,
      subnetMemoryAvailable: subnetMemoryLeft(index),
      callBudget,
      outbox: newOutbox(),
    },
  };
}
