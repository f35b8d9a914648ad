/**
 * Executing what a record of work says: pure data in, pure data out, so that it may happen on any thread and again. What it sees
 * besides the canister is in the record: time, balance and free memory are those of its start.
 */
import { type CanisterId, type PrincipalKey, principalKey } from "@orrery/base";
import type { CallContext, CallOrigin, MessageWork, SubnetInfo } from "@orrery/state";
import { joinProfiles } from "@orrery/wasm";
import { maxOf } from "../bigints.ts";
import { protocolSlice, QUEUE_CAPACITY } from "../limits.ts";
import { routerOf } from "../streams/routing.ts";
import { cleanupError } from "../system-api/failure.ts";
import type {
  EntryPoint,
  JobResult,
  MessageContext,
  MessageRunner,
  Pace,
  RunnableCanister,
} from "../types.ts";
import { callerOf, deadlineOf } from "./contexts.ts";
import { messageBytes } from "./message-memory.ts";

/** The parts of the state that a message sees; structured-cloneable. */
export interface WorkScene {
  readonly subnet: SubnetInfo;
  readonly context: CallContext;
  /** Requests sent and not yet answered, per callee. */
  readonly outstanding: ReadonlyMap<PrincipalKey, number>;
}

/** How far a part of an execution has come, counted from the execution's start. */
export function paceAfter(pace: Pace | undefined, before: bigint): Pick<MessageContext, "pace"> {
  if (pace === undefined) return {};
  return { pace: { slice: pace.slice, report: (executed) => pace.report(before + executed) } };
}

/** Requests that wait for an answer of the callee; all names of the management canister share the fullest of their queues. */
function waitingFor({ subnet, outstanding }: WorkScene, callee: CanisterId): number {
  const router = routerOf(subnet);
  if (!router.isManagement(callee)) return outstanding.get(principalKey(callee)) ?? 0;
  let most = outstanding.get("") ?? 0;
  for (const { key } of router.subnets) most = Math.max(most, outstanding.get(key) ?? 0);
  return most;
}

function messageContext(scene: WorkScene, work: MessageWork, pace: Pace | undefined): MessageContext {
  const { context, outstanding, subnet } = scene;
  const origin: CallOrigin = context.origin;
  const seen: MessageContext = {
    subnet,
    time: work.startTime,
    caller: callerOf(origin),
    callerInfo: origin.kind === "ingress" ? origin.senderInfo : null,
    deadline: deadlineOf(origin),
    cyclesAvailable: context.availableCycles,
    cyclesRefunded: work.cyclesRefunded,
    canRespond: context.needsToRespond,
    instructionLimit: work.instructionLimit,
    contextInstructions: context.instructionsExecuted,
    dataCertificate: null,
    subnetMemoryAvailable: work.subnetMemoryAvailable,
    callRoom: {
      guaranteedBytes: work.guaranteedBytesAvailable,
      callbacks: work.callbacksAvailable,
      outstanding: () => [...outstanding.values()].reduce((sum, count) => sum + count, 0),
    },
    requestSlots: (callee: CanisterId) => QUEUE_CAPACITY - waitingFor(scene, callee),
  };
  const sliced =
    work.entry.kind === "replicated_query" ? {} : { slice: protocolSlice(subnet.type, "message") };
  return { ...seen, ...sliced, ...paceAfter(pace, 0n) };
}

/** The canister with the balance and the queues that the work sees: what arrived since is not there. */
export function pinned<T extends RunnableCanister>(
  canister: T,
  work: Pick<MessageWork, "balance" | "messageBytes">,
): RunnableCanister {
  const { meta, memory } = canister;
  const { balance: cycles, messageBytes: guaranteedMessageBytes } = work;
  if (meta.cycles === cycles && messageBytes(meta) === guaranteedMessageBytes) return canister;
  return { meta: { ...meta, cycles, guaranteedMessageBytes, bestEffortMessageBytes: 0 }, memory };
}

/** Runs a message and, when a callback fails, its cleanup callback. Commits when both took at most `commitWithin` instructions. */
export function runMessage(
  runner: MessageRunner,
  canister: RunnableCanister,
  options: {
    readonly scene: WorkScene;
    readonly work: MessageWork;
    readonly commitWithin: bigint;
    readonly pace?: Pace | undefined;
  },
): JobResult {
  const { scene, work, commitWithin } = options;
  const entry: EntryPoint = work.entry;
  const context = messageContext(scene, work, options.pace);
  const outcome = runner.execute(canister, entry, context, commitWithin);
  if (outcome.effects !== null || work.cleanup === null) return { outcome, cleanup: null, compiled: null };
  const { instructions } = outcome;
  const cleanup = runner.execute(
    canister,
    { kind: "cleanup", ...work.cleanup },
    {
      ...context,
      ...paceAfter(options.pace, instructions),
      instructionLimit: maxOf(work.totalLimit - instructions, 0n),
      contextInstructions: context.contextInstructions + instructions,
    },
    commitWithin - instructions,
  );
  const { error } = outcome;
  const profile = joinProfiles(outcome.profile ?? null, cleanup.profile ?? null);
  return {
    outcome: {
      ...outcome,
      error:
        error !== null && cleanup.error !== null
          ? cleanupError(canister.meta.id, error, cleanup.error)
          : error,
      instructions: instructions + cleanup.instructions,
      logs: [...outcome.logs, ...cleanup.logs],
      logsDropped: (outcome.logsDropped ?? 0) + (cleanup.logsDropped ?? 0),
      ...(profile === null ? {} : { profile }),
      ...(cleanup.change === undefined ? {} : { change: cleanup.change }),
    },
    cleanup: cleanup.effects,
    compiled: null,
  };
}
