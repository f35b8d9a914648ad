/**
 * From a batch to the next state (`applyBatch` of docs/ARCHITECTURE.md): synchronous, deterministic, a function of state and
 * batch alone. The order of a round: time and randomness, expiries, charges, answers of the round before, induction, turns,
 * certified tree, delta.
 */
import {
  assert,
  type Batch,
  type Logger,
  OrreryError,
  type PrincipalKey,
  principalToText,
  silentLogger,
  u64be,
} from "@orrery/base";
import { domainSep, sha256, treeHash } from "@orrery/crypto";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import {
  type BlobKey,
  CanisterMap,
  type CanisterState,
  type InstalledModule,
  type PageArena,
  type ReplicatedState,
  updateTree,
} from "@orrery/state";
import { minOf } from "./bigints.ts";
import { type ExecutionLimits, roundLimits, subnetLimits } from "./limits.ts";
import { answerOutcalls, expireOutcalls } from "./management/http-request.ts";
import { answerPending } from "./management/pending.ts";
import { managementWaits } from "./management/run-queue.ts";
import { addSubnets, observeBlock, replaceNodes } from "./management/subnet.ts";
import { passesAt } from "./messaging/deadlines.ts";
import { deliverReleased, expireCalls } from "./messaging/delivery.ts";
import { expireOutputs, nextOutputExpiry } from "./messaging/expiry.ts";
import { expireIngress, inductIngress } from "./messaging/induction.ts";
import { forgetStatuses, pruneIngress } from "./messaging/ingress-history.ts";
import { shedBestEffort } from "./messaging/shed.ts";
import { outcallDeadline } from "./query/outcall-agreement.ts";
import { addQueryStats } from "./query/query-epochs.ts";
import { newModules } from "./query/snapshot.ts";
import { chargeResources } from "./scheduler/charges.ts";
import { lowerDebits } from "./scheduler/debits.ts";
import { ExecutionIndex } from "./scheduler/execution-index.ts";
import { LocalJobRunner } from "./scheduler/jobs.ts";
import { type ExecutionEnv, inlineExecutor, type MessageGate, type Round } from "./scheduler/round.ts";
import { runRound } from "./scheduler/run-round.ts";
import { lowMemoryDue } from "./scheduler/schedule.ts";
import { expireStops } from "./scheduler/stopping.ts";
import { buildStreams } from "./streams/build.ts";
import { inductStreams } from "./streams/induct.ts";
import type {
  BatchResult,
  CanisterDelta,
  Executor,
  MessageRunner,
  ModuleBytes,
  StateDelta,
} from "./types.ts";

export interface ExecutionOptions {
  readonly runner: MessageRunner;
  /** Where page versions that canisters gave up go. */
  readonly arena: Pick<PageArena, "allocate" | "read" | "retain" | "retire">;
  /** Inline by default. */
  readonly executor?: Executor;
  readonly limits?: Partial<ExecutionLimits>;
  readonly log?: Logger;
  /** Must be there exactly if the subnet's record lists chain keys. */
  readonly chainKeys?: ChainKeys;
  /** For test networks: holds messages between canisters back. */
  readonly gate?: MessageGate;
}

/** Execution over one state, which it owns from now on. */
export interface Execution {
  /** Applies the next batch: its height is the state's plus one, its time later than the state's. */
  applyBatch(batch: Batch): BatchResult;
  /**
   * Changes a canister from outside, between two rounds: for instruments of local networks, since no block tells of it. What it
   * came to, for a view to follow (`CertifiedView.amend`); the certified tree stays as it is.
   */
  edit(key: PrincipalKey, change: (canister: CanisterState) => void): CanisterDelta;
}

/** Builds the index over `state` (cost: the whole state) and returns what applies batches to it. */
export function createExecution(state: ReplicatedState, options: ExecutionOptions): Execution {
  const env: ExecutionEnv = {
    runner: options.runner,
    arena: options.arena,
    executor: options.executor ?? inlineExecutor,
    local: new LocalJobRunner(state, options.runner),
    limits: { ...subnetLimits(state.subnet), ...options.limits },
    log: options.log ?? silentLogger,
    chainKeys: chainKeysOf(state, options),
    gate: options.gate ?? null,
  };
  const index = new ExecutionIndex(state, env.limits);
  if (state.canisters instanceof CanisterMap)
    state.canisters.onRead((key, canister) => index.upkeep.settle(key, canister));
  return {
    applyBatch: (batch) => applyBatch(state, batch, { env, index }),
    edit(key, change): CanisterDelta {
      const canister = state.canisters.get(key);
      assert(canister !== undefined, `there is no canister ${key} to edit`);
      if (canister.running !== null) {
        throw new OrreryError(
          "canister_busy",
          `canister ${principalToText(canister.meta.id)} is in the middle of a message: run rounds until that ends`,
        );
      }
      change(canister);
      index.refresh(key, canister);
      return canisterDelta(index, key, canister);
    },
  };
}

/** The keys of a local subnet of one node can be one process's; a public network's are shared by its nodes (not built yet). */
function chainKeysOf({ subnet }: ReplicatedState, { chainKeys }: ExecutionOptions): ChainKeys | null {
  const listed = subnet.chainKeys !== undefined && subnet.chainKeys.length > 0;
  if (listed !== (chainKeys !== undefined) || (listed && !(subnet.local && subnet.nodes.length <= 1))) {
    throw new OrreryError(
      "chain_keys_mismatch",
      "chain keys belong to subnets of one node of a local network whose record lists them, and to no others; " +
        "give the execution the secrets exactly for those",
    );
  }
  return chainKeys ?? null;
}

function applyBatch(
  state: ReplicatedState,
  batch: Batch,
  options: { readonly env: ExecutionEnv; readonly index: ExecutionIndex },
): BatchResult {
  const { env, index } = options;
  assert(batch.height === state.height + 1, `batch ${batch.height} does not follow height ${state.height}`);
  assert(batch.time >= state.time, `the time of batch ${batch.height} runs backwards`);
  const round: Round = {
    ...env,
    limits: roundLimits(env.limits, state.subnet),
    state,
    index,
    previousTime: state.time,
    registryVersion: batch.registryVersion,
    holdsLong: batch.holdsLong ?? false,
    answered: [],
    outcallsStarted: [],
    outcallsEnded: [],
    instructions: 0n,
  };
  state.height = batch.height;
  state.time = batch.time;
  state.randomness = sha256(
    domainSep("orrery-round-randomness"),
    batch.randomness,
    u64be(BigInt(batch.height)),
  );
  if (batch.nodes !== undefined) replaceNodes(state, batch.nodes);
  if (batch.subnets !== undefined) addSubnets(state, batch.subnets);
  observeBlock(state, batch.maker);
  pruneIngress(state, index);
  expireIngress(round);
  chargeResources(round);
  lowerDebits(round);
  expireOutputs(round);
  expireCalls(round);
  expireStops(round);
  answerPending(round);
  answerOutcalls(round, batch.responses ?? []);
  expireOutcalls(round);
  addQueryStats(state, batch.queryStats ?? [], env.limits.queryStatsEpochBlocks);
  inductStreams(round, batch.xnet ?? []);
  deliverReleased(round);
  inductIngress(round, batch.ingress);
  runRound(round);
  buildStreams(round);
  shedBestEffort(round);
  forgetStatuses(round);
  return finishRound(round);
}

function finishRound(round: Round): BatchResult {
  const { state, index } = round;
  index.upkeep.resume(state.canisters);
  const tree = updateTree(state);
  const rootHash = treeHash(state.tree);
  const delta = takeDelta(round, { rootHash, tree });
  const longWork = index.running.size > 0;
  const shortWork = hasShortWork(round);
  return {
    height: state.height,
    rootHash,
    delta,
    answered: round.answered,
    instructions: round.instructions,
    moreWork: longWork || shortWork,
    longWork,
    shortWork,
    nextTimer: nextInstant(round),
    heartbeats: round.index.heartbeats.size > 0,
    outcalls: { started: round.outcallsStarted, ended: round.outcallsEnded },
  };
}

/** The changes of this round as plain data; `state.changed` is empty afterwards. */
function takeDelta(round: Round, tip: Pick<StateDelta, "rootHash" | "tree">): StateDelta {
  const { state, index } = round;
  const canisters: CanisterDelta[] = [];
  /** Modules that no canister had before. */
  const unknown = new Map<BlobKey, InstalledModule>();
  const deleted = new Set(index.deleted);
  for (const key of [...state.changed.canisters].sort()) {
    const canister = state.canisters.get(key);
    if (canister === undefined) {
      deleted.add(key);
      index.forget(key);
    } else {
      // What was changed by a path that did not say so: the index must be the one that a restart would build.
      index.refresh(key, canister);
      const { module } = canister.meta;
      if (module !== null && !index.isKnownModule(module.blob)) unknown.set(module.blob, module);
      canisters.push(canisterDelta(index, key, canister));
    }
  }
  const grows = state.changed.subnets.size > 0;
  const ingress: StateDelta["ingress"][number][] = [];
  const ingressPruned: string[] = [];
  for (const key of [...state.changed.ingress].sort()) {
    const entry = state.ingressHistory.get(key);
    if (entry === undefined) {
      ingressPruned.push(key);
    } else {
      const { requestId, sender, receiver, effectiveId } = entry;
      ingress.push({ requestId, sender, receiver, effectiveId });
    }
  }
  state.changed.canisters.clear();
  state.changed.ingress.clear();
  state.changed.streams.clear();
  state.changed.nodes.clear();
  state.changed.subnets.clear();
  index.logsChanged.clear();
  index.deleted.clear();
  const modules = newModules(
    state,
    canisters.map(({ meta }) => meta),
  ).map((one): ModuleBytes => {
    const module = unknown.get(one.key);
    const compiled = module === undefined ? undefined : round.runner.compiledModule?.(module);
    return compiled === undefined ? one : { ...one, compiled };
  });
  return {
    height: state.height,
    time: state.time,
    ...tip,
    canisters,
    deleted: [...deleted].sort(),
    ingress,
    ingressPruned,
    modules,
    ...(grows ? { subnet: state.subnet } : {}),
  };
}

/** Nested records of a meta are replaced, never changed in place, so a copy of its fields is a snapshot. */
function canisterDelta(index: ExecutionIndex, key: PrincipalKey, canister: CanisterState): CanisterDelta {
  const { module } = canister.meta;
  const sameModule = !index.tellModule(key, module) && module !== null;
  return {
    meta: { ...canister.meta, module: sameModule ? null : module },
    sameModule,
    heap: canister.memory.heap.takeDelta(),
    stable: canister.memory.stable.takeDelta(),
    logs: index.logsChanged.has(key) ? canister.logs : null,
    consumed: new Map(canister.consumed),
    queryStats: { ...canister.queryStats },
    chargedUntil: canister.running === null ? canister.chargedUntil : null,
  };
}

/** Whether the next round has something to do without giving a slice to anybody. */
function hasShortWork(round: Round): boolean {
  const { state, index } = round;
  for (const key of index.lowMemory) if (lowMemoryDue(round, key)) return true;
  if (index.runnable.size > 0 || state.pendingManagement.length > 0 || managementWaits(round)) return true;
  const timer = index.nextTimer();
  return timer !== null && timer <= state.time;
}

/** Earliest block time at which something is due by itself: timers, heartbeats, deadlines of calls and of stop requests. */
function nextInstant(round: Round): bigint | null {
  const { state, index, limits } = round;
  const candidates: bigint[] = [];
  const timer = index.nextTimer();
  if (timer !== null && timer > state.time) candidates.push(timer);
  const interval = limits.heartbeatIntervalNs;
  if (index.heartbeats.size > 0 && interval > 0n) candidates.push((state.time / interval + 1n) * interval);
  for (const outcall of state.outcalls.values()) candidates.push(outcallDeadline(outcall));
  const deadline = index.callDeadlines.peek();
  if (deadline !== null) candidates.push(passesAt(deadline.time));
  const waiting = nextOutputExpiry(round);
  if (waiting !== null) candidates.push(waiting);
  for (const key of index.stopping) {
    const status = state.canisters.get(key)?.meta.status;
    if (status?.kind === "stopping") candidates.push(...status.requests.map((request) => request.deadline));
  }
  const future = candidates.filter((time) => time > state.time);
  return future.length === 0 ? null : future.reduce(minOf);
}
