/**
 * One subnet on the execution thread: its tip, the key that certifies it, and what the view and the storage thread have been told of
 * it. For each batch: execute, certify, feed the view and the storage thread, report.
 */
import type { Transferable } from "node:worker_threads";
import {
  assert,
  type Batch,
  equalBytes,
  type Height,
  type Logger,
  OrreryError,
  type PrincipalKey,
  principalKey,
  toHex,
  utf8,
} from "@orrery/base";
import {
  batchOf,
  type ConsensusState,
  decodeFinalizedBlock,
  initialConsensus,
  replay,
} from "@orrery/consensus";
import { type Bls, createSoleSigner, stateRootMessage, type ThresholdSigner, treeHash } from "@orrery/crypto";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import { type BatchResult, outcallResponseBytesMax, ViewGathering } from "@orrery/execution";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { nodeLimits } from "@orrery/execution/node";
import { createFileDisk } from "@orrery/host";
import { createWorkerExecutor, type WorkerExecutor } from "@orrery/host/pool";
import { type CheckpointInfo, type Outcall, StateDescriber, stateHash, type TreeChange } from "@orrery/state";
import { type Genesis, isReplicated } from "./genesis.ts";
import { LongWatch, type Readiness } from "./long-watch.ts";
import type {
  ExecutionStarted,
  ReadyReport,
  RecoveredSubnet,
  RoundReport,
  StartedOutcall,
  StorageFeed,
  SubnetIndex,
  ViewFeed,
  ViewIndex,
  Wake,
} from "./protocol.ts";
import { isForPackage } from "./replica/rules.ts";
import { type CheckpointTime, openTip, type Tip } from "./tip.ts";
import { transferred } from "./transferred.ts";

export interface SubnetExecutionOptions {
  readonly subnet: SubnetIndex;
  readonly local: LocalSubnet;
  readonly genesis: Genesis;
  /** Ids of the subnets that anybody may create canisters on through the cycles-minting canister. */
  readonly creationSubnets: readonly string[];
  /** Where the store is, and what it belongs to. */
  readonly storeDirectory: string;
  readonly storeId: Uint8Array;
  readonly bls: Bls;
  readonly chainKeys: ChainKeys;
  readonly logger: Logger;
  readonly checkpointRounds?: number;
  readonly hotPagesMax?: number;
  /** How long it does nothing before it rests; 1.5 s by default. */
  readonly restMs?: number;
  /** Channels of the thread. */
  readonly toView: (view: ViewIndex, feed: ViewFeed) => void;
  readonly toStorage: (feed: StorageFeed, transfer?: readonly Transferable[]) => void;
  readonly toMain: (report: ReadyReport) => void;
  readonly onFailure: (error: unknown) => void;
}

/** What is new for the view, before it is addressed. */
type ViewNews =
  | Pick<Extract<ViewFeed, { kind: "end" }>, "kind" | "end" | "signature">
  | Pick<Extract<ViewFeed, { kind: "delta" }>, "kind" | "delta" | "signature">;

interface FollowingView {
  slabs: number;
  /** What it shows; what it will begin with is not older. */
  height: Height;
  /** Until it has the whole state. */
  gathering: ViewGathering | null;
}

/** Under way at a time. */
const INSTALLATIONS = 1;
/** Rounds have so many times as long as collecting a checkpoint took: long queues of large messages are copied by it. */
const COLLECTION_SHARE = 30;
/** A subnet that does nothing for so long rests: subnets of several nodes have rounds all the same. */
const REST_MS = 1_500;
/** Between two times at which what changes no more is described. */
const PREPARED_ROUNDS = 16;
const STREAMS: Uint8Array = utf8("streams");

/** The subnets whose streams are among the changes of the certified tree. */
function changedStreams(changes: readonly TreeChange[]): readonly PrincipalKey[] {
  const keys = new Set<PrincipalKey>();
  for (const { path } of changes) {
    const [head, subnet] = path;
    if (head !== undefined && subnet !== undefined && equalBytes(head, STREAMS))
      keys.add(principalKey(subnet));
  }
  return [...keys];
}

function wakeOf({ shortWork, longWork, nextTimer }: BatchResult, long: Readiness): Wake {
  return { moreWork: shortWork, long: longWork ? long : "none", nextTimer };
}

export class SubnetExecution {
  readonly #options: SubnetExecutionOptions;
  readonly #tip: Tip;
  /** Null where several nodes sign. */
  readonly #signer: ThresholdSigner | null;
  /** Of the whole state, for catch-up packages; null where nobody makes them. */
  readonly #describer: StateDescriber | null;
  #executor: WorkerExecutor | null = null;
  /** The views that follow this subnet: what they have been told of, and what they show. */
  readonly #views = new Map<ViewIndex, FollowingView>();
  #slabsToStorage = 0;
  #checkpointWaiters: (() => void)[] = [];
  #longWatch: LongWatch | null = null;
  /** Before, no checkpoint is collected only to make the next start shorter. */
  #collectAgainMs = 0;
  /** Begins anew with every round. */
  #rest: NodeJS.Timeout | undefined;
  /** When the last round ended in which something was done. */
  #busyMs = 0;

  /** Loads the checkpoint or makes the genesis state; nothing is replayed yet. */
  constructor(options: SubnetExecutionOptions) {
    const { local, genesis, bls, logger, checkpointRounds, hotPagesMax } = options;
    this.#options = options;
    this.#signer = isReplicated(local) ? null : createSoleSigner({ bls, secret: local.keys.subnetSecret });
    this.#tip = openTip({
      source: {
        kind: "store",
        disk: createFileDisk(options.storeDirectory),
        networkId: options.storeId,
      },
      subnet: local.info,
      creationSubnets: options.creationSubnets,
      genesisTime: genesis.time,
      chainKeys: options.chainKeys,
      logger,
      ...(checkpointRounds === undefined ? {} : { checkpointRounds }),
      ...(hotPagesMax === undefined ? {} : { hotPagesMax }),
      executor: (parts) => {
        const limits = nodeLimits(local.info.type);
        this.#executor = createWorkerExecutor({
          ...parts,
          storeDirectory: options.storeDirectory,
          sliceOf: ({ kind }) =>
            kind === "install" ? limits.instructionsPerInstallSlice : limits.instructionsPerSlice,
          // As many as a round can give slices to; what begins in one is decided without them (`limits.ts`).
          workersMax: limits.longExecutionsMax + INSTALLATIONS,
        });
        this.#longWatch = new LongWatch(this.#executor, () => this.#tellReady());
        return this.#executor;
      },
    });
    this.#describer = isReplicated(local) ? new StateDescriber(this.#tip.arena) : null;
  }

  /** Replays the blocks after the checkpoint. */
  start({ checkpointBlock, records, packaged }: Omit<RecoveredSubnet, "artifacts">): ExecutionStarted {
    const chain = this.#chainAt(checkpointBlock);
    let wake: Wake = { moreWork: true, long: "none", nextTimer: null };
    const stateHashes: { height: Height; stateHash: Uint8Array }[] = [];
    for (const { bytes } of records) {
      const finalized = decodeFinalizedBlock(bytes);
      replay(chain, finalized);
      const batch = batchOf(finalized);
      const result = this.#tip.apply(batch);
      // Nobody watches before the first round: it waits for what it grants.
      wake = wakeOf(result, "ready");
      // Up to the newest package nobody asks for the hash of a whole state again.
      const stateHash = result.height > packaged ? (this.#outcome(batch, result)?.stateHash ?? null) : null;
      if (stateHash !== null) stateHashes.push({ height: result.height, stateHash });
    }
    this.#checkpointIfDue("working");
    const outcalls = this.#toStart([...this.#tip.state.outcalls.values()].sort((a, b) => a.id - b.id));
    const rootHash = treeHash(this.#tip.state.tree);
    return { tip: chain.tip, replayed: records.length, wake, outcalls, rootHash, stateHashes };
  }

  /** From now on a view is told of rounds; it begins once `gatherView` has sent it the state. */
  followBy(view: ViewIndex): void {
    const { state, runner } = this.#tip;
    const gathering = new ViewGathering(state, runner);
    this.#views.set(view, { slabs: 0, height: state.height, gathering });
  }

  /** Sends a view, between two rounds, another part of the state; false when it has all of it. */
  gatherView(view: ViewIndex): boolean {
    const gathering = this.#views.get(view)?.gathering ?? null;
    if (gathering === null || gathering.isDone) return false;
    this.#options.toView(view, {
      kind: "part",
      part: gathering.next(),
      subnet: this.#options.subnet,
    });
    return true;
  }

  /** The view, which has all of the state, begins; answers with the height. */
  beginView(view: ViewIndex): Height {
    const known = this.#views.get(view);
    const { height, tree } = this.#tip.state;
    assert(
      known !== undefined && known.gathering !== null,
      "a view begins after the state was gathered for it",
    );
    const { gathering } = known;
    known.gathering = null;
    known.height = height;
    this.#feedView(view, { kind: "end", end: gathering.end(), signature: this.#certify(treeHash(tree)) });
    return height;
  }

  /** Starts a thread for long executions, which there may be. */
  prepare(): void {
    this.#executor?.prepare();
  }

  /** Ends what runs canisters; says whether anything did. */
  killCanisterWorkers(): boolean {
    return this.#executor?.killRunning() === true;
  }

  execute(batch: Batch): RoundReport {
    const startedAt = performance.now();
    const result = this.#tip.apply(batch);
    if (batch.ingress.length > 0 || result.instructions > 0n) this.#busyMs = performance.now();
    const { subnet } = this.#options;
    const { height, rootHash } = result;
    const signature = this.#certify(rootHash);
    this.#options.toStorage({ kind: "certified", subnet, height, rootHash });
    for (const view of this.#views.keys())
      this.#feedView(view, { kind: "delta", delta: result.delta, signature });
    return {
      kind: "executed",
      subnet,
      height,
      streams: changedStreams(result.delta.tree),
      answered: result.answered.map(toHex),
      wake: wakeOf(result, result.longWork ? (this.#longWatch?.say() ?? "ready") : "ready"),
      outcalls: { started: this.#toStart(result.outcalls.started), ended: result.outcalls.ended },
      instructions: result.instructions,
      durationMs: performance.now() - startedAt,
      outcome: this.#outcome(batch, result),
    };
  }

  /** What the nodes of a subnet of several certify together. */
  #outcome(batch: Batch, { rootHash }: BatchResult): RoundReport["outcome"] {
    if (this.#describer === null) return null;
    return {
      rootHash,
      stateHash: isForPackage(batch, this.#options.genesis)
        ? stateHash(this.#tip.state, this.#describer)
        : null,
    };
  }

  /** Says that the executions that were behind are ready. */
  #tellReady(): void {
    this.#options.toMain({ kind: "ready", subnet: this.#options.subnet, height: this.#tip.state.height });
  }

  #toStart(outcalls: readonly Outcall[]): readonly StartedOutcall[] {
    const { subnet } = this.#tip.state;
    return outcalls.map((outcall) => ({
      outcall,
      maxResponseBytes: outcallResponseBytesMax(subnet, outcall),
    }));
  }

  /** After the report of a round is out. */
  afterRound(): void {
    this.#longWatch?.watch().catch(this.#options.onFailure);
    this.#gather();
    const { state } = this.#tip;
    if (state.height % PREPARED_ROUNDS === 0) this.#describer?.prepare(state);
    const { restMs = REST_MS } = this.#options;
    this.#checkpointIfDue(performance.now() - this.#busyMs >= restMs ? "resting" : "working");
    this.#rest ??= setTimeout(() => this.#checkpointIfDue("resting"), restMs).unref();
    this.#rest.refresh();
  }

  viewed(view: ViewIndex, height: Height): void {
    const known = this.#views.get(view);
    if (known !== undefined && known.gathering === null) known.height = height;
    this.#reclaim();
  }

  checkpointed(info: CheckpointInfo): void {
    this.#tip.checkpointed(info);
    this.#reclaim();
    const waiters = this.#checkpointWaiters;
    this.#checkpointWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Writes what is left to a checkpoint. */
  async shutDown(): Promise<void> {
    clearTimeout(this.#rest);
    await this.#checkpointWritten("ending");
    await this.#executor?.close();
  }

  /** Writes what would take a while to run again, for somebody who reads the store, or the state as it is. The former not again and again where it takes rounds their time. */
  async checkpoint(when: "asked" | "ending"): Promise<void> {
    if (when === "ending" || performance.now() >= this.#collectAgainMs) await this.#checkpointWritten(when);
  }

  async #checkpointWritten(when: CheckpointTime): Promise<void> {
    const written = (): Promise<void> => new Promise((resolve) => this.#checkpointWaiters.push(resolve));
    if (this.#tip.checkpointInFlight) await written();
    if (this.#checkpointIfDue(when)) await written();
  }

  #reclaim(): void {
    const { state } = this.#tip;
    const shown = [...this.#views.values()].map(({ height, gathering }) =>
      gathering === null ? height : state.height,
    );
    const epoch = this.#tip.reclaim(shown.length === 0 ? 0 : Math.min(...shown));
    if (epoch !== null) this.#options.toStorage({ kind: "release", subnet: this.#options.subnet, epoch });
  }

  #chainAt(checkpointBlock: Uint8Array | null): ConsensusState {
    const { keys } = this.#options.local;
    const config = { subnetId: keys.subnetId, nodeId: keys.nodeId };
    const chain = initialConsensus(config, this.#options.genesis.time);
    if (checkpointBlock === null) return chain;
    const finalized = decodeFinalizedBlock(checkpointBlock);
    const { block } = finalized.proposal;
    const { height } = this.#tip.state;
    assert(block.height === height, "the checkpoint's block has the checkpoint's height");
    chain.tip = { height: height - 1, hash: block.parent, time: block.context.time - 1n };
    replay(chain, finalized);
    return chain;
  }

  /** Null where several nodes sign. */
  #certify(rootHash: Uint8Array): Uint8Array | null {
    if (this.#signer === null) return null;
    const combined = this.#signer.combine([this.#signer.signShare(stateRootMessage(rootHash))]);
    if (!combined.ok) throw new OrreryError("internal", `signing the state failed: ${combined.error}`);
    return combined.value;
  }

  #feedView(view: ViewIndex, news: ViewNews): void {
    const known = this.#views.get(view);
    assert(known !== undefined, "only views that follow are fed");
    const slabs = this.#tip.arena.slabs(known.slabs);
    known.slabs += slabs.length;
    this.#options.toView(view, { ...news, slabs, subnet: this.#options.subnet });
  }

  /** A full checkpoint is gathered beside rounds, which do not wait for it. */
  #gather(): void {
    const canisters = this.#tip.gather();
    if (canisters === null || canisters.length === 0) return;
    const records = transferred(...canisters.map(({ record }) => record));
    this.#options.toStorage({ kind: "gathered", subnet: this.#options.subnet, canisters }, records);
  }

  #checkpointIfDue(when: CheckpointTime): boolean {
    const beganMs = performance.now();
    const input = this.#tip.collect(when === "working" && beganMs < this.#collectAgainMs ? "soon" : when);
    if (input === null) return false;
    this.#collectAgainMs = beganMs + (performance.now() - beganMs) * COLLECTION_SHARE;
    const slabs = this.#tip.arena.slabs(this.#slabsToStorage);
    this.#slabsToStorage += slabs.length;
    const records = transferred(...input.canisters.map(({ record }) => record));
    this.#options.toStorage({ kind: "checkpoint", subnet: this.#options.subnet, input, slabs }, records);
    return true;
  }
}
