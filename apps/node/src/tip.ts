/**
 * The tip that the execution thread owns: state, pages, runner and what the next checkpoint needs, moved on by one batch at a
 * time. The same for live rounds and replay. Checkpoints are due by work done, so that the time to start again is bounded.
 */
import type { Batch, Height, Logger, TimeNs } from "@orrery/base";
import { systemCanisters } from "@orrery/canisters";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import type { BatchResult, Executor, WasmRunner } from "@orrery/execution";
import { openState } from "@orrery/execution/node";
import { inflateGzip } from "@orrery/host";
import {
  type CanisterInput,
  CheckpointCollector,
  type CheckpointInput,
  ColdPages,
  canistersPerPart,
  type Disk,
  type History,
  type LoadedCheckpoint,
  loadCheckpoint,
  PageArena,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";

/** Replaying this many instructions takes about two seconds. */
const CHECKPOINT_INSTRUCTIONS = 5_000_000_000n;
/** Rounds cost something even when little is executed. */
const CHECKPOINT_ROUNDS = 1_000;
/** As do messages: replaying so many short ones takes about two seconds. */
const CHECKPOINT_MESSAGES = 50_000;
/** At rest less is enough: what a copy of the network or a start repeats then takes some hundredths of a second. */
const REST_INSTRUCTIONS = 20_000_000n;
/** In which something was done. */
const REST_ROUNDS = 50;
/** Written, each time: 8 MiB. */
const REST_PAGES = 2_048;
/** Pages of a subnet in memory beside those that no checkpoint holds yet: 256 MiB. Others are read from the disk. */
const HOT_PAGES_MAX = 65_536;
/** More memory than that, by so many pages, and a checkpoint is due: 128 MiB. */
const CHECKPOINT_PAGES = 32_768;

/** Somebody is about to copy the network: this takes a few milliseconds to repeat. */
const ASKED_ROUNDS = 10;
const ASKED_INSTRUCTIONS = REST_INSTRUCTIONS;
const ASKED_PAGES = 256;

/**
 * After a round; after a round that follows the last checkpoint too soon for what that one cost; when no round came for a while; when
 * somebody is about to read the store; before the node ends, when everything is written that was not.
 */
export type CheckpointTime = "working" | "soon" | "resting" | "asked" | "ending";

export interface Tip {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly runner: WasmRunner;
  apply(batch: Batch): BatchResult;
  /** The checkpoint that is due, or null: too little was done since the last one, or it is still being written. */
  collect(when: CheckpointTime): CheckpointInput | null;
  /** After a round: a part of the full checkpoint that comes next (`withGathered`), null while none is wanted. */
  gather(): readonly CanisterInput[] | null;
  checkpointed(info: {
    readonly height: Height;
    readonly chainBytes: number;
    readonly liveBytes: number;
    readonly chainFiles: number;
  }): void;
  readonly checkpointInFlight: boolean;
  /**
   * Reclaims page versions that neither the view (at `viewHeight`) nor a checkpoint can name any more. Returns up to which epoch, when
   * that is news to whoever keeps checkpoint files for them: `Store.release`.
   */
  reclaim(viewHeight: Height): number | null;
}

/** Where the state to begin with comes from: a store's newest checkpoint, or a checkpoint of its past at or below a height. */
export type TipSource =
  | { readonly kind: "store"; readonly disk: Disk; readonly networkId: Uint8Array }
  | { readonly kind: "past"; readonly history: History; readonly height: Height };

export interface TipOptions {
  readonly source: TipSource;
  readonly subnet: SubnetInfo;
  /** Textual ids of the subnets that anybody may create canisters on through the cycles-minting canister. */
  readonly creationSubnets: readonly string[];
  readonly genesisTime: TimeNs;
  /** Of the network: for the subnet that its record says holds keys. */
  readonly chainKeys: ChainKeys;
  readonly logger: Logger;
  readonly checkpointRounds?: number;
  /** Runs executions on other threads than the caller's; everything on the caller's when it is not there. */
  readonly executor?: (parts: {
    readonly state: ReplicatedState;
    readonly arena: PageArena;
    readonly runner: WasmRunner;
  }) => Executor;
  readonly hotPagesMax?: number;
  /** Whether executions are profiled by function now; on the caller's thread only. */
  readonly profiling?: () => boolean;
}

function load({ source }: TipOptions, hotPagesMax: number): LoadedCheckpoint | null {
  return source.kind === "store"
    ? loadCheckpoint(source.disk, { networkId: source.networkId, hotPagesMax })
    : source.history.load(source.height, { hotPagesMax });
}

/** Pages of a state that no checkpoint holds yet; those of a past that nobody writes down all stay in memory. */
function newArena({ source }: TipOptions, hotPagesMax: number): PageArena {
  return source.kind === "store"
    ? new PageArena({ cold: new ColdPages(source.disk), hotPagesMax })
    : new PageArena();
}

/** Loads the checkpoint, or makes the genesis state when there is none. */
export function openTip(options: TipOptions): Tip {
  const hotPagesMax = options.hotPagesMax ?? HOT_PAGES_MAX;
  const loaded = load(options, hotPagesMax);
  const { state, arena, runner, execution, base } = openState({
    loaded,
    newArena: () => newArena(options, hotPagesMax),
    subnet: options.subnet,
    genesisTime: options.genesisTime,
    creationSubnets: options.creationSubnets,
    systemCanisters,
    chainKeys: options.chainKeys,
    engine: createEngine(),
    inflate: inflateGzip,
    logger: options.logger,
    executor: options.executor,
    profiling: options.profiling,
  });
  const collector = new CheckpointCollector(state, base);
  let instructions = 0n;
  let rounds = 0;
  let busyRounds = 0;
  let messages = 0;
  let pages = 0;
  let inFlight = false;
  let everWritten = base !== null;
  /** Canisters of each part of the full checkpoint that is wanted; 0: none is. */
  let partCanisters = loaded === null ? 0 : canistersPerPart(loaded.info);
  /** Epoch of a full checkpoint whose predecessors' files are still kept for readers. */
  let superseding: number | null = null;
  const checkpointRounds = options.checkpointRounds ?? CHECKPOINT_ROUNDS;

  return {
    state,
    arena,
    runner,
    get checkpointInFlight(): boolean {
      return inFlight;
    },
    apply(batch): BatchResult {
      arena.advance(batch.height);
      const result = execution.applyBatch(batch);
      collector.absorb(result.delta);
      instructions += result.instructions;
      rounds++;
      messages += batch.ingress.length;
      if (batch.ingress.length > 0 || result.instructions > 0n) busyRounds++;
      for (const { heap, stable } of result.delta.canisters) pages += (heap.length + stable.length) / 2;
      return result;
    },
    collect(when): CheckpointInput | null {
      const crowded = arena.hotPages > hotPagesMax + CHECKPOINT_PAGES && rounds > 0;
      const worked =
        when !== "soon" &&
        (instructions >= CHECKPOINT_INSTRUCTIONS ||
          rounds >= checkpointRounds ||
          messages >= CHECKPOINT_MESSAGES);
      const rested =
        when === "resting" &&
        (instructions >= REST_INSTRUCTIONS || busyRounds >= REST_ROUNDS || pages >= REST_PAGES);
      const asked =
        when === "asked" &&
        (instructions >= ASKED_INSTRUCTIONS || rounds >= ASKED_ROUNDS || pages >= ASKED_PAGES);
      // Nobody who ends the node or copies it waits for the whole state.
      const whole = collector.isGathered && when !== "ending" && when !== "asked";
      const due = !everWritten || worked || crowded || rested || asked || whole;
      if (inFlight || !(due || (when === "ending" && rounds > 0))) return null;
      inFlight = true;
      everWritten = true;
      instructions = 0n;
      rounds = 0;
      busyRounds = 0;
      messages = 0;
      pages = 0;
      const input = collector.collect(state, whole ? "full" : "delta", arena);
      if (input.kind === "full") {
        superseding = input.epoch;
        partCanisters = 0;
      }
      return input;
    },
    gather(): readonly CanisterInput[] | null {
      return partCanisters > 0 && !collector.isGathered ? collector.gather(state, partCanisters) : null;
    },
    checkpointed(info): void {
      collector.finished();
      arena.cool();
      inFlight = false;
      partCanisters = canistersPerPart(info);
    },
    reclaim(viewHeight): number | null {
      arena.reclaim(Math.min(viewHeight, collector.reclaimLimit()));
      if (superseding === null || arena.reclaimedEpoch < superseding) return null;
      superseding = null;
      return arena.reclaimedEpoch;
    },
  };
}
