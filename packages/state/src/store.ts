/**
 * The durable side of a node in one object, for the thread that owns the disk (docs/ARCHITECTURE.md, "One truth"): genesis record, block log,
 * checkpoints. State is the current checkpoint plus replay of the blocks after it. Opening finishes what a crash interrupted
 * (drops a torn tail, removes files that nothing names) and refuses what it cannot account for.
 */
import { assert, equalBytes, type Height, OrreryError } from "@orrery/base";
import { BlockLog } from "./block-log.ts";
import type { RootNote } from "./block-log-format.ts";
import type { CheckpointInput } from "./checkpoint-collector.ts";
import { type LoadedCheckpoint, loadCheckpoint } from "./checkpoint-loader.ts";
import { readManifest } from "./checkpoint-manifest.ts";
import { type CheckpointInfo, CheckpointWriter } from "./checkpoint-writer.ts";
import { checksum } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import {
  corrupt,
  decodeFileHeader,
  encodeFileHeader,
  fileHeaderBytes,
  type LogRecord,
  networkTag,
} from "./durable-format.ts";
import type { PageReader } from "./page-reader.ts";
import { readWhole, writeDurably } from "./small-file.ts";
import { openIdentity } from "./store-identity.ts";
import { finishAdoption, markAdoption } from "./sync/adoption.ts";
import type { RestoredState } from "./sync/restore.ts";

export const GENESIS_FILE = "genesis";
const GENESIS_MAGIC = "ORRERYGN";
/** The host's lock file lives beside the store's. */
const IGNORED_DEFAULT: readonly string[] = ["lock.json"];

export interface StoreOptions {
  /** Null: whatever network the directory belongs to. Needed to create. */
  readonly networkId: Uint8Array | null;
  readonly createIfMissing: boolean;
  /** Unpredictable bytes (16), used when creating: nobody who writes messages can then imitate a record of the log. */
  readonly salt?: Uint8Array;
  /** Names that others keep in the directory. */
  readonly ignore?: readonly string[];
  readonly segmentBytes?: number;
  /** States and blocks of so many rounds before the current checkpoint stay, for `openHistory`; by default what is left over from writing. */
  readonly keepRounds?: number;
}

export interface Recovered {
  /** Of the current checkpoint; `loadState` or `loadCheckpoint` gives its state. */
  readonly checkpoint: CheckpointInfo | null;
  /** Blocks after the checkpoint, oldest first, read as they are asked for; consecutive heights. Valid before the first append. */
  readonly blocks: Iterable<LogRecord>;
  /** Height of the newest block in the log, which may be the checkpoint's own; null when the log is empty. */
  readonly lastHeight: Height | null;
}

export interface Store {
  readonly networkId: Uint8Array;
  /** As written at the network's start, null before. */
  readonly genesis: Uint8Array | null;
  readonly recovered: Recovered;
  /** Writes the genesis record durably, once: another one is `store_exists`. */
  writeGenesis(genesis: Uint8Array): void;
  /** Queues blocks; durable once `sync` returned. Heights are consecutive. */
  appendBlocks(records: readonly LogRecord[]): void;
  /** One disk sync for everything appended; returns the newest durable height. */
  sync(): Height | null;
  /** Keeps the certified root hash of a height beside its block, for whoever runs it again (`openHistory`). A crash may take it. */
  note(note: RootNote): void;
  /** Blocks in the log from `height` on; those below the checkpoint may be gone. */
  blocksFrom(height: Height): Iterable<LogRecord>;
  /**
   * Writes a checkpoint, makes it current, drops what it supersedes. `reader` knows the slabs of the pages it names. Blocks up to
   * its height must have been appended; they are made durable first. When it throws, the checkpoint before stands.
   */
  writeCheckpoint(input: CheckpointInput, reader: PageReader): CheckpointInfo;
  /** The same in steps of some milliseconds, between which blocks may be appended and made durable. */
  checkpointSteps(input: CheckpointInput, reader: PageReader): Iterator<void, CheckpointInfo>;
  /**
   * Puts another node's state in place of this one, with the block of its height as the log's first, in steps. The store has to be closed
   * and opened again then. When it throws, the state before stands.
   */
  adoptionSteps(restored: RestoredState, block: LogRecord): Iterator<void, void>;
  readonly checkpoint: CheckpointInfo | null;
  /** Versions retired up to `epoch` are reclaimed: checkpoint files that only they are in are removed. */
  release(epoch: number): void;
  /** The state of the current checkpoint, null when there is none; `hotPagesMax` as `loadCheckpoint` has it. */
  loadState(options?: { readonly hotPagesMax?: number }): LoadedCheckpoint | null;
  close(): void;
}

/** What was written at the network's start, null before. */
export function readGenesis(disk: Disk, network: Uint8Array): Uint8Array | null {
  const bytes = readWhole(disk, GENESIS_FILE);
  if (bytes === null) return null;
  const [sum] = decodeFileHeader(GENESIS_FILE, bytes, { magic: GENESIS_MAGIC, network, fields: 1 });
  const body = bytes.slice(fileHeaderBytes(1));
  if (checksum(body) !== sum) throw corrupt(GENESIS_FILE, "its checksum does not hold");
  return body;
}

/**
 * Opens or creates a store. Codes: `store_missing`, `store_foreign`, `store_newer`, `store_older`, `store_corrupt`, each with nothing changed;
 * `disk_full`, `disk_failed` from below.
 */
export function openStore(disk: Disk, options: StoreOptions): Store {
  const identity = openIdentity(disk, {
    networkId: options.networkId,
    createIfMissing: options.createIfMissing,
    salt: options.salt ?? null,
    ignore: options.ignore ?? IGNORED_DEFAULT,
  });
  const { networkId } = identity;
  // A killed process may have left names that are seen but not durable: nothing may be built on them before they are.
  disk.syncDirectory();
  const network = networkTag(networkId);
  finishAdoption(disk, network, identity.seed);
  let genesis = readGenesis(disk, network);
  const height = readManifest(disk, network)?.height ?? null;
  const { keepRounds = 0 } = options;
  const writer = new CheckpointWriter(disk, network, { keepRounds });
  const log = new BlockLog(disk, {
    network,
    seed: identity.seed,
    keepFrom: writer.keepFrom,
    neededFrom: height ?? 0,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  });
  try {
    requireNoGap(log, height);
    writer.removeUnused();
  } catch (cause) {
    log.close();
    throw cause;
  }
  const recovered: Recovered = {
    checkpoint: writer.current,
    blocks: { [Symbol.iterator]: () => log.records((height ?? 0) + 1) },
    lastHeight: log.durableHeight,
  };

  return {
    networkId,
    recovered,
    get genesis(): Uint8Array | null {
      return genesis;
    },
    get checkpoint(): CheckpointInfo | null {
      return writer.current;
    },
    writeGenesis(bytes: Uint8Array): void {
      if (genesis !== null) {
        if (equalBytes(genesis, bytes)) return;
        throw new OrreryError(
          "store_exists",
          "this state directory has another genesis record; name an empty directory",
        );
      }
      const header = encodeFileHeader({ magic: GENESIS_MAGIC, network, fields: [checksum(bytes)] });
      writeDurably(disk, GENESIS_FILE, [header, bytes]);
      genesis = bytes.slice();
    },
    appendBlocks(records: readonly LogRecord[]): void {
      for (const record of records) log.append(record);
    },
    sync: () => log.sync(),
    note: (note) => log.note(note),
    blocksFrom: (from: Height) => log.records(from),
    writeCheckpoint(input: CheckpointInput, reader: PageReader): CheckpointInfo {
      const steps = this.checkpointSteps(input, reader);
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
      }
    },
    *checkpointSteps(input: CheckpointInput, reader: PageReader): Generator<void, CheckpointInfo> {
      const durable = log.sync();
      assert(
        durable === null || durable >= input.height,
        `a checkpoint of height ${input.height} when blocks are durable up to ${durable}`,
      );
      log.begin(input.height + 1);
      const info = yield* writer.write(input, reader);
      log.prune(writer.keepFrom);
      return info;
    },
    *adoptionSteps({ input, reader }, block): Generator<void, void> {
      assert(block.height === input.height, "the log begins with the block of the state");
      markAdoption(disk, network, { block, generation: writer.nextGeneration });
      yield* writer.write(input, reader);
    },
    release: (epoch) => writer.release(epoch),
    loadState: ({ hotPagesMax } = {}) => loadCheckpoint(disk, { networkId, hotPagesMax }),
    close: () => log.close(),
  };
}

/** Blocks between the checkpoint and the log's beginning would be lost state, and so would a log that had begun and is not there. */
function requireNoGap(log: BlockLog, checkpoint: Height | null): void {
  if (checkpoint !== null && !log.exists) throw corrupt("the block log", "it is missing");
  const first = log.firstHeight;
  const last = log.durableHeight;
  const state = checkpoint ?? 0;
  if (first !== null && first > state + 1) {
    throw corrupt("the block log", `it begins with height ${first}, but the state reaches only to ${state}`);
  }
  if (last !== null && last < state) {
    throw corrupt("the block log", `it ends with height ${last}, before the checkpoint of height ${state}`);
  }
}
