/**
 * Writes checkpoints: a file holding the whole state or what changed since the last, then the manifest
 * that makes it current, then the removal of what that made superfluous. Runs on the storage thread; pages come from shared
 * slabs by id. Invariant: at every instant the manifest on the disk names only whole, durable files.
 */
import { assert, concatBytes, fromHex, OrreryError, toHex } from "@orrery/base";
import type { CanisterInput, CheckpointInput } from "./checkpoint-collector.ts";
import { CHECKPOINT_PREFIX, type Frame, FrameKind, FrameWriter, readFrames } from "./checkpoint-format.ts";
import { FormerCheckpoints } from "./checkpoint-former.ts";
import { CANISTERS_PER_PART } from "./checkpoint-gathering.ts";
import {
  type CheckpointFile,
  checkpointFileName,
  type Manifest,
  readManifest,
  replaceManifest,
} from "./checkpoint-manifest.ts";
import { PagesWriter } from "./checkpoint-pages.ts";
import { encodeRuns, HEAP_MEMORY, type SnapshotInput, STABLE_MEMORY } from "./checkpoint-snapshots.ts";
import { checksum } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { corrupt, numberOf, STREAM_BYTES, viewOf } from "./durable-format.ts";
import type { PageReader } from "./page-reader.ts";
import type { BlobKey } from "./types.ts";

/** Files of a chain from which on it is rewritten: bounds what starting has to open. A small state's sooner, which costs little. */
const CHAIN_FILES_MAX = 512;
const SMALL_CHAIN_FILES_MAX = 256;
/**
 * So many files more, and parts are gathered that are twice as large: sessions of a single round each, which come no further than one part,
 * rewrite the chain of a hundred thousand canisters 176 files late.
 */
const FILES_PER_DOUBLING = 16;
/** Below this a chain is not worth rewriting. */
const CHAIN_SLACK_BYTES: number = 64 << 20;

/** What the current checkpoint is. */
export interface CheckpointInfo {
  readonly height: number;
  /** Bytes of all files of the chain. */
  readonly chainBytes: number;
  /** Bytes of its base: what a full checkpoint costs, roughly. */
  readonly liveBytes: number;
  readonly chainFiles: number;
}

export function checkpointInfo({
  height,
  chain,
}: {
  readonly height: number;
  readonly chain: readonly Pick<CheckpointFile, "bytes">[];
}): CheckpointInfo {
  return {
    height,
    chainBytes: chain.reduce((sum, { bytes }) => sum + bytes, 0),
    liveBytes: (chain[0] as CheckpointFile).bytes,
    chainFiles: chain.length,
  };
}

type Chain = Pick<CheckpointInfo, "chainBytes" | "liveBytes" | "chainFiles">;

function filesMax({ liveBytes }: Chain): number {
  return liveBytes <= CHAIN_SLACK_BYTES ? SMALL_CHAIN_FILES_MAX : CHAIN_FILES_MAX;
}

/** Whether the next checkpoint should be a full one: the disk then holds at most about twice the state, plus the slack. */
export function shouldCompact(chain: Chain): boolean {
  return chain.chainFiles >= filesMax(chain) || chain.chainBytes > 2 * chain.liveBytes + CHAIN_SLACK_BYTES;
}

/** Canisters of each part that is gathered for that (`CheckpointCollector.gather`); 0 while the chain is short enough. */
export function canistersPerPart(chain: Chain): number {
  if (!shouldCompact(chain)) return 0;
  const late = Math.max(0, chain.chainFiles - filesMax(chain));
  return CANISTERS_PER_PART * 2 ** Math.floor(late / FILES_PER_DOUBLING);
}

interface BlobPlace {
  readonly generation: number;
  readonly offset: number;
  readonly length: number;
  readonly sum: number;
}

export class CheckpointWriter {
  readonly #disk: Disk;
  readonly #network: Uint8Array;
  #manifest: Manifest | null;
  /** Where blobs stand in the chain; null until needed. */
  #blobs: Map<BlobKey, BlobPlace> | null = null;
  /** Of the file that is being written. */
  #writing: number | null = null;
  /** Files of former chains that somebody may still be reading, and the epoch at whose end they were superseded. */
  #superseded: { readonly generation: number; readonly epoch: number }[] = [];
  /** States of this many rounds before the current one can be had again. */
  readonly #keepRounds: number;
  readonly #former: FormerCheckpoints;

  constructor(disk: Disk, network: Uint8Array, options: { readonly keepRounds?: number } = {}) {
    this.#disk = disk;
    this.#network = network;
    this.#manifest = readManifest(disk, network);
    this.#keepRounds = options.keepRounds ?? 0;
    this.#former = new FormerCheckpoints(disk, network);
  }

  get current(): CheckpointInfo | null {
    return this.#manifest === null ? null : checkpointInfo(this.#manifest);
  }

  /** Of the file that is written next. */
  get nextGeneration(): number {
    return (this.#manifest?.chain.at(-1)?.generation ?? 0) + 1;
  }

  /**
   * Writes a checkpoint and makes it current, in steps of at most a megabyte or so. When it throws (disk full), the one before is still
   * current and whole. A delta that does not build on the current one is `checkpoint_unrelated`: collect a full one.
   */
  *write(input: CheckpointInput, reader: PageReader): Generator<void, CheckpointInfo> {
    assert(this.#writing === null, "one checkpoint is written at a time");
    const old = this.#manifest;
    if (input.kind === "delta" && input.basedOn !== (old?.height ?? null)) {
      throw new OrreryError(
        "checkpoint_unrelated",
        `a delta on height ${input.basedOn} does not fit the checkpoint of height ${old?.height ?? null}; collect a full checkpoint`,
      );
    }
    const chain = input.kind === "delta" ? (old?.chain ?? []) : [];
    const generation = this.nextGeneration;
    let pages: PagesWriter;
    this.#writing = generation;
    try {
      const written = yield* this.#writeFile(input, reader, generation, chain);
      const manifest = { height: input.height, chain: [...chain, written.file] };
      replaceManifest(this.#disk, this.#network, manifest);
      this.#manifest = manifest;
      pages = written.pages;
    } catch (cause) {
      this.#abandon(generation);
      throw cause;
    } finally {
      this.#writing = null;
    }
    this.#blobs = null;
    pages.settle();
    if (input.kind === "full") {
      const superseded = (old?.chain ?? []).map((file) => ({
        generation: file.generation,
        epoch: input.epoch,
      }));
      this.#superseded.push(...superseded);
      reader.supersede(generation);
    }
    this.release(input.reclaimedEpoch);
    if (this.#keepRounds > 0) this.removeUnused();
    return checkpointInfo(this.#manifest);
  }

  /**
   * Versions retired up to `epoch` are reclaimed: nobody looks for them in superseded files any more, which then go. A page that
   * is still named was given its new place when the superseding file was written.
   */
  release(epoch: number): void {
    const kept = this.#superseded.filter((file) => file.epoch > epoch);
    if (kept.length === this.#superseded.length) return;
    this.#superseded = kept;
    this.removeUnused();
  }

  /** Removes checkpoint files that nobody may read any more: left over from a crash, or superseded and released. */
  removeUnused(): void {
    const named = new Set(this.#manifest?.chain.map(({ generation }) => generation));
    for (const { generation } of this.#superseded) named.add(generation);
    if (this.#writing !== null) named.add(this.#writing);
    for (const generation of this.#kept()) named.add(generation);
    let removed = false;
    for (const name of this.#disk.list()) {
      const generation = numberOf(CHECKPOINT_PREFIX, name);
      if (generation === null || named.has(generation)) continue;
      this.#disk.remove(name);
      removed = true;
    }
    if (removed) this.#disk.syncDirectory();
  }

  /** The block that the oldest state which is kept needs first, or one before it. */
  get keepFrom(): number {
    if (this.#manifest === null) return 0;
    const { height, chain } = this.#manifest;
    if (this.#keepRounds === 0) return height;
    const newest = (chain.at(-1) as CheckpointFile).generation;
    return this.#former.heightBelow(height - this.#keepRounds, { newest });
  }

  /** Files before the current chain that are kept for their past. */
  #kept(): ReadonlySet<number> {
    const [base] = this.#manifest?.chain ?? [];
    if (this.#keepRounds === 0 || base === undefined) return new Set();
    const from = (this.#manifest as Manifest).height - this.#keepRounds;
    return this.#former.needed({ before: base.generation, from });
  }

  /** Gives the space of a half-written file back, as far as the disk lets us, unless the manifest got to name it after all. */
  #abandon(generation: number): void {
    try {
      this.#manifest = readManifest(this.#disk, this.#network);
      if (this.#manifest?.chain.some((file) => file.generation === generation)) return;
      this.#disk.remove(checkpointFileName(generation));
    } catch {
      // The disk fails; the error that led here is the one to report, and opening the store cleans up.
    }
  }

  *#writeFile(
    input: CheckpointInput,
    reader: PageReader,
    generation: number,
    chain: readonly CheckpointFile[],
  ): Generator<void, { readonly file: CheckpointFile; readonly pages: PagesWriter }> {
    const file = this.#disk.open(checkpointFileName(generation), { create: true });
    const parent = chain.at(-1)?.generation ?? 0;
    try {
      file.truncate(0);
      const out = new FrameWriter(file, { generation, height: input.height, parent, network: this.#network });
      const before = new Set(chain.map((one) => one.generation));
      const pages = new PagesWriter({ out, reader, generation, chain: before });
      out.frame(FrameKind.system, input.system);
      for (const id of input.deleted) out.frame(FrameKind.canisterDeleted, keyed(id));
      for (const key of input.blobsReleased) out.frame(FrameKind.blobReleased, fromHex(key));
      for (const blob of input.blobs) {
        this.#writeBlob(out, blob);
        yield;
      }
      for (const canister of input.canisters) yield* writeCanister(out, canister, pages);
      for (const id of input.snapshotsDeleted) out.frame(FrameKind.snapshotDeleted, keyed(id));
      for (const snapshot of input.snapshots) yield* writeSnapshot(out, snapshot, pages);
      for (const id of input.ingressPruned) out.frame(FrameKind.ingressPruned, keyed(id));
      for (const { requestId, record } of input.ingress) {
        out.frame(FrameKind.ingress, keyed(requestId, record));
        yield;
      }
      out.frame(FrameKind.footer, input.rootHash);
      out.finish();
      return { file: { generation, bytes: out.offset, sum: out.chain }, pages };
    } finally {
      file.close();
    }
  }

  #writeBlob(out: FrameWriter, blob: CheckpointInput["blobs"][number]): void {
    if (blob.bytes !== null) {
      out.frame(FrameKind.blob, blobPayload(blob.key, checksum(blob.bytes)), blob.bytes.length);
      out.bulk(blob.bytes);
      return;
    }
    this.#blobs ??= this.#locateBlobs();
    const place = this.#blobs.get(blob.key);
    if (place === undefined) throw corrupt(`blob ${blob.key}`, "no checkpoint file holds it");
    out.frame(FrameKind.blob, blobPayload(blob.key, place.sum), place.length);
    const name = checkpointFileName(place.generation);
    const file = this.#disk.open(name, { create: false });
    try {
      let sum = 0;
      for (let at = 0; at < place.length; at += STREAM_BYTES) {
        const piece = file.read(place.offset + at, Math.min(STREAM_BYTES, place.length - at));
        sum = checksum(piece, sum);
        out.bulk(piece);
      }
      if (sum !== place.sum) throw corrupt(name, `blob ${blob.key}`);
    } finally {
      file.close();
    }
  }

  #locateBlobs(): Map<BlobKey, BlobPlace> {
    const places = new Map<BlobKey, BlobPlace>();
    for (const { generation } of this.#manifest?.chain ?? []) {
      const name = checkpointFileName(generation);
      const file = this.#disk.open(name, { create: false });
      try {
        for (const frame of readFrames(name, file, this.#network).frames()) {
          if (frame.kind === FrameKind.blobReleased) places.delete(toHex(frame.payload));
          if (frame.kind !== FrameKind.blob) continue;
          const { key, sum } = readBlobPayload(frame);
          places.set(key, { generation, offset: frame.bulkOffset, length: frame.bulkBytes, sum });
        }
      } finally {
        file.close();
      }
    }
    return places;
  }
}

/** Length of the key 1 · key · rest. */
function keyed(key: Uint8Array, rest: Uint8Array = new Uint8Array(0)): Uint8Array {
  return concatBytes(Uint8Array.of(key.length), key, rest);
}

function blobPayload(key: BlobKey, sum: number): Uint8Array {
  const out = new Uint8Array(36);
  out.set(fromHex(key));
  viewOf(out).setUint32(32, sum, true);
  return out;
}

export function readBlobPayload(frame: Frame): { readonly key: BlobKey; readonly sum: number } {
  return { key: toHex(frame.payload.subarray(0, 32)), sum: viewOf(frame.payload).getUint32(32, true) };
}

function* writeCanister(out: FrameWriter, canister: CanisterInput, pages: PagesWriter): Generator<void> {
  out.frame(FrameKind.canister, keyed(canister.id, canister.record));
  yield* pages.write(concatBytes(keyed(canister.id), Uint8Array.of(HEAP_MEMORY)), canister.heap);
  yield* pages.write(concatBytes(keyed(canister.id), Uint8Array.of(STABLE_MEMORY)), canister.stable);
  yield;
}

/** What a snapshot shares comes before what it has of its own. */
function* writeSnapshot(out: FrameWriter, snapshot: SnapshotInput, writer: PagesWriter): Generator<void> {
  out.frame(FrameKind.snapshot, keyed(snapshot.id, snapshot.record));
  for (const { memory, shared, pages } of snapshot.memories) {
    const prefix = concatBytes(keyed(snapshot.id), Uint8Array.of(memory));
    if (shared.length > 0) out.frame(FrameKind.sharedPages, concatBytes(prefix, encodeRuns(shared)));
    yield* writer.write(prefix, pages);
  }
}
