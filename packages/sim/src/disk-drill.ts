/**
 * Power-cut and damage drills on the real store: a node's storage life (append, sync, execute, checkpoint)
 * over a faulty disk, killed where the caller says, started again, and compared with what must be there. A drill throws when
 * something acknowledged is missing, something is half there, or a state is not the model's.
 */
import { assert, equalBytes, type Height, OrreryError, utf8 } from "@orrery/base";
import {
  type CanisterInput,
  CheckpointCollector,
  type CheckpointInput,
  type LogRecord,
  openStore,
  type PageReader,
  type Store,
  withGathered,
} from "@orrery/state";
import { blockOf, HOT_PAGES_MAX, newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { type FaultyDisk, PowerCut } from "./faulty-disk.ts";

const NETWORK: Uint8Array = utf8("drill network");
const GENESIS: Uint8Array = utf8("genesis record of the drill");
/** Small, so that segments are rotated and pruned within a drill. */
const SEGMENT_BYTES = 6_000;
const CHECKPOINT_EVERY = 6;
const FULL_EVERY = 3;
/** Rounds executed between collecting a checkpoint and writing it, as on a node where another thread writes. */
const WRITE_DELAY_ROUNDS = 4;
/** After a full checkpoint. */
const GATHERED_FROM_ROUND = 8;
const GATHERED_AT_ONCE = 2;

/** Digest of the state at each height from 0 to `rounds`, from an undisturbed run. */
export function referenceDigests(seed: number, rounds: number): readonly string[] {
  const world = newWorld(seed);
  const digests = [stateDigest(world)];
  for (let i = 0; i < rounds; i++) {
    runRound(world, seed);
    digests.push(stateDigest(world));
  }
  return digests;
}

/** What the outside was told: from here on it may not be lost. */
interface Told {
  height: Height;
  checkpoint: Height;
  genesis: boolean;
}

export interface DrillOptions {
  readonly seed: number;
  readonly disk: FaultyDisk;
  readonly rounds: number;
  /** The n-th changing disk operation of each life is its last; lives beyond the list run to the end. */
  readonly cuts: readonly number[];
  /** Ends lives by killing the process; the power goes only with the last cut. */
  readonly kill?: boolean;
  readonly digests: readonly string[];
}

/** Runs lives until one reaches `rounds` and closes; returns the operations of that last one. */
export function powerCutDrill(options: DrillOptions): number {
  const { disk, cuts } = options;
  const told: Told = { height: 0, checkpoint: -1, genesis: false };
  for (let life = 0; ; life++) {
    const cut = cuts[life];
    const before = disk.operations;
    if (cut !== undefined) disk.cutAfter(cut);
    try {
      live(options, told);
      return disk.operations - before;
    } catch (cause) {
      if (!(cause instanceof PowerCut) || cut === undefined) throw cause;
      if (options.kill === true && life < cuts.length - 1) disk.restartProcess();
      else disk.powerUp();
    }
  }
}

function open(disk: FaultyDisk): Store {
  return openStore(disk, { networkId: NETWORK, createIfMissing: true, segmentBytes: SEGMENT_BYTES });
}

function live(options: DrillOptions, told: Told): void {
  const { seed, disk, rounds } = options;
  const store = open(disk);
  if (told.genesis && (store.genesis === null || !equalBytes(store.genesis, GENESIS)))
    fail("the genesis record is lost");
  if (store.genesis === null) store.writeGenesis(GENESIS);
  told.genesis = true;
  const { world, collector } = recover(store, options, told);
  let pending: { readonly input: CheckpointInput; readonly at: Height } | null = null;
  let parts: CanisterInput[] = [];
  while (world.state.height < rounds) {
    const group = Math.min(1 + (world.state.height % 3), rounds - world.state.height);
    const from = world.state.height + 1;
    store.appendBlocks(
      Array.from({ length: group }, (_, i) => ({ height: from + i, bytes: blockOf(seed, from + i) })),
    );
    const durable = store.sync();
    assert(durable === from + group - 1, `sync answered ${durable}, not ${from + group - 1}`);
    told.height = durable;
    for (let i = 0; i < group; i++) {
      collector.absorb(runRound(world, seed));
      const { height } = world.state;
      store.note({ height, rootHash: new Uint8Array(32).fill(height) });
      world.arena.reclaim(Math.min(height - 1, collector.reclaimLimit()));
      // Not always: otherwise a superseded file would never live as long as it may.
      if (height % 2 === 0) store.release(world.arena.reclaimedEpoch);
      if (pending !== null && height >= pending.at + WRITE_DELAY_ROUNDS) {
        writeCheckpoint(store, collector, pending.input, world.arena, told);
        world.arena.cool();
        pending = null;
      }
      if (pending === null && height % CHECKPOINT_EVERY === 0) {
        const kind = (height / CHECKPOINT_EVERY) % FULL_EVERY === 0 ? "full" : "delta";
        const input = collector.collect(world.state, kind, world.arena);
        pending = { input: withGathered(input, parts), at: height };
        if (input.kind === "full") parts = [];
      } else if (gathersAfter(height)) parts.push(...collector.gather(world.state, GATHERED_AT_ONCE));
    }
  }
  if (stateDigest(world) !== options.digests[rounds]) fail("the state at the end is not the model's");
  store.close();
}

/** Before some full checkpoints, some rounds earlier; others are collected at once, or before everything was gathered. */
function gathersAfter(height: Height): boolean {
  const every = CHECKPOINT_EVERY * FULL_EVERY;
  return Math.floor(height / every) % 2 === 0 && height % every >= GATHERED_FROM_ROUND;
}

function writeCheckpoint(
  store: Store,
  collector: CheckpointCollector,
  input: CheckpointInput,
  reader: PageReader,
  told: Told,
): void {
  store.writeCheckpoint(input, reader);
  collector.finished();
  told.checkpoint = input.height;
}

/** Loads and replays as a node does, checking everything against the model and against what was told. */
function recover(
  store: Store,
  options: DrillOptions,
  told: Told,
): { world: World; collector: CheckpointCollector } {
  const { seed, digests } = options;
  const loaded = store.loadState({ hotPagesMax: HOT_PAGES_MAX });
  const world: World = loaded ?? newWorld(seed, options.disk);
  if (world.state.height < told.checkpoint) fail(`the checkpoint of height ${told.checkpoint} is lost`);
  if (stateDigest(world) !== digests[world.state.height])
    fail(`the checkpoint of height ${world.state.height} is wrong`);
  const collector = new CheckpointCollector(world.state, loaded === null ? null : world.state.height);
  for (const record of store.recovered.blocks) {
    checkBlock(record, world.state.height + 1, seed);
    collector.absorb(runRound(world, seed));
    world.arena.reclaim(Math.min(world.state.height - 1, collector.reclaimLimit()));
  }
  const { height } = world.state;
  if (height < told.height) fail(`height ${told.height} was acknowledged, ${height} is the newest`);
  if (stateDigest(world) !== digests[height]) fail(`replay up to height ${height} gives a wrong state`);
  // What was recovered is served from now on, so it may not be lost either.
  told.height = height;
  return { world, collector };
}

function checkBlock(record: LogRecord, height: Height, seed: number): void {
  if (record.height !== height || !equalBytes(record.bytes, blockOf(seed, height))) {
    fail(`block ${record.height} where ${height} is due, or not as written`);
  }
}

export type DamageVerdict = "detected" | "harmless";

/**
 * Opens a damaged store that had reached `height` and reads everything. "detected": refused with a documented code; "harmless":
 * every block from the checkpoint on, the state and the genesis record are exactly right. Anything else throws.
 */
export function readDamaged(
  disk: FaultyDisk,
  expected: { readonly seed: number; readonly height: Height; readonly digest: string },
): DamageVerdict {
  const { seed, height, digest } = expected;
  try {
    const store = open(disk);
    const world: World = store.loadState({ hotPagesMax: HOT_PAGES_MAX }) ?? newWorld(seed, disk);
    for (const record of store.recovered.blocks) {
      checkBlock(record, world.state.height + 1, seed);
      runRound(world, seed);
    }
    if (world.state.height !== height || stateDigest(world) !== digest)
      fail(`the state of height ${world.state.height} is wrong`);
    if (store.genesis === null || !equalBytes(store.genesis, GENESIS)) fail("the genesis record is wrong");
    store.close();
    return "harmless";
  } catch (cause) {
    if (cause instanceof OrreryError && /^store_(corrupt|foreign|newer|older)$/.test(cause.code))
      return "detected";
    throw cause;
  }
}

function fail(what: string): never {
  throw new OrreryError("drill_failed", what);
}
