/**
 * Writes checkpoints: a file holding the whole state or what changed since the last, then the manifest
 * that makes it current, then the removal of what that made superfluous. Runs on the storage thread; pages come from shared
 * slabs by id. Invariant: at every instant the manifest on the disk names only whole, durable files.
 */
import { concatBytes, fromHex, OrreryError, toHex } from "@orrery/base";
import type { CanisterInput, CheckpointInput } from "./checkpoint-collector.ts";
import { CHECKPOINT_PREFIX, type Frame, FrameKind, FrameWriter, readFrames } from "./checkpoint-format.ts";
import {
  type CheckpointFile,
  checkpointFileName,
  type Manifest,
  readManifest,
  replaceManifest,
} from "./checkpoint-manifest.ts";
import { encodeRuns, HEAP_MEMORY, type SnapshotInput, STABLE_MEMORY } from "./checkpoint-snapshots.ts";
import { checksum } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { corrupt, numberOf, STREAM_BYTES, viewOf } from "./durable-format.ts";
import { PAGE_BYTES, type PageDelta } from "./page-table.ts";
import type { PageReader } from "./pages.ts";
import type { BlobKey } from "./types.ts";

/** Pages in one frame: 1 MiB. */
const PAGES_PER_FRAME = 256;
/** Longest chain of files: bounds what starting has to open. */
const CHAIN_FILES_MAX = 64;
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

export function checkpointInfo(manifest: Manifest): CheckpointInfo {
  return {
    height: manifest.height,
    chainBytes: manifest.chain.reduce((sum, { bytes }) => sum + bytes, 0),
    liveBytes: (manifest.chain[0] as CheckpointFile).bytes,
    chainFiles: manifest.chain.length,
  };
}

/** Whether the next checkpoint should be a full one: the disk then holds at most about twice the state, plus the slack. */
export function shouldCompact(
  info: Pick<CheckpointInfo, "chainBytes" | "liveBytes" | "chainFiles">,
): boolean {
  return info.chainFiles >= CHAIN_FILES_MAX || info.chainBytes > 2 * info.liveBytes + CHAIN_SLACK_BYTES;
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

  constructor(disk: Disk, network: Uint8Array) {
    this.#disk = disk;
    this.#network = network;
    this.#manifest = readManifest(disk, network);
  }

  get current(): CheckpointInfo | null {
    return this.#manifest === null ? null : checkpointInfo(this.#manifest);
  }

  /**
   * Writes a checkpoint and makes it current. When it throws (disk full), the one before is still current and whole. A delta that
   * does not build on the current one is `checkpoint_unrelated`: collect a full one.
   */
  write(input: CheckpointInput, reader: PageReader): CheckpointInfo {
    const old = this.#manifest;
    if (input.kind === "delta" && input.basedOn !== (old?.height ?? null)) {
      throw new OrreryError(
        "checkpoint_unrelated",
        `a delta on height ${input.basedOn} does not fit the checkpoint of height ${old?.height ?? null}; collect a full checkpoint`,
      );
    }
    const chain = input.kind === "delta" ? (old?.chain ?? []) : [];
    const generation = (old?.chain.at(-1)?.generation ?? 0) + 1;
    try {
      const written = this.#writeFile(input, reader, generation, chain.at(-1)?.generation ?? 0);
      const manifest = { height: input.height, chain: [...chain, written] };
      replaceManifest(this.#disk, this.#network, manifest);
      this.#manifest = manifest;
    } catch (cause) {
      this.#abandon(generation);
      throw cause;
    }
    this.#blobs = null;
    this.removeUnused();
    return checkpointInfo(this.#manifest);
  }

  /** Removes checkpoint files that the manifest does not name: left over from a crash, or superseded. */
  removeUnused(): void {
    const named = new Set(this.#manifest?.chain.map(({ generation }) => generation));
    let removed = false;
    for (const name of this.#disk.list()) {
      const generation = numberOf(CHECKPOINT_PREFIX, name);
      if (generation === null || named.has(generation)) continue;
      this.#disk.remove(name);
      removed = true;
    }
    if (removed) this.#disk.syncDirectory();
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

  #writeFile(input: CheckpointInput, reader: PageReader, generation: number, parent: number): CheckpointFile {
    const file = this.#disk.open(checkpointFileName(generation), { create: true });
    try {
      file.truncate(0);
      const out = new FrameWriter(file, { generation, height: input.height, parent, network: this.#network });
      out.frame(FrameKind.system, input.system);
      for (const id of input.deleted) out.frame(FrameKind.canisterDeleted, keyed(id));
      for (const key of input.blobsReleased) out.frame(FrameKind.blobReleased, fromHex(key));
      for (const blob of input.blobs) this.#writeBlob(out, blob);
      for (const canister of input.canisters) writeCanister(out, canister, reader);
      for (const id of input.snapshotsDeleted) out.frame(FrameKind.snapshotDeleted, keyed(id));
      for (const snapshot of input.snapshots) writeSnapshot(out, snapshot, reader);
      for (const id of input.ingressPruned) out.frame(FrameKind.ingressPruned, keyed(id));
      for (const { requestId, record } of input.ingress)
        out.frame(FrameKind.ingress, keyed(requestId, record));
      out.frame(FrameKind.footer, input.rootHash);
      out.finish();
      return { generation, bytes: out.offset, sum: out.chain };
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

function writeCanister(out: FrameWriter, canister: CanisterInput, reader: PageReader): void {
  out.frame(FrameKind.canister, keyed(canister.id, canister.record));
  writePages(out, concatBytes(keyed(canister.id), Uint8Array.of(HEAP_MEMORY)), canister.heap, reader);
  writePages(out, concatBytes(keyed(canister.id), Uint8Array.of(STABLE_MEMORY)), canister.stable, reader);
}

/** What a snapshot shares comes before what it has of its own. */
function writeSnapshot(out: FrameWriter, snapshot: SnapshotInput, reader: PageReader): void {
  out.frame(FrameKind.snapshot, keyed(snapshot.id, snapshot.record));
  for (const { memory, shared, pages } of snapshot.memories) {
    const prefix = concatBytes(keyed(snapshot.id), Uint8Array.of(memory));
    if (shared.length > 0) out.frame(FrameKind.sharedPages, concatBytes(prefix, encodeRuns(shared)));
    writePages(out, prefix, pages, reader);
  }
}

/** Frames of page numbers with the checksum of each page, pages behind them; page numbers alone for pages that became zero. */
function writePages(out: FrameWriter, prefix: Uint8Array, pages: PageDelta, reader: PageReader): void {
  const zeros: number[] = [];
  const full: number[] = [];
  for (let i = 0; i < pages.length; i += 2) (pages[i + 1] === 0 ? zeros : full).push(i);
  for (let from = 0; from < full.length; from += PAGES_PER_FRAME) {
    const batch = full.slice(from, from + PAGES_PER_FRAME);
    const payload = new Uint8Array(prefix.length + 8 * batch.length);
    payload.set(prefix);
    const view = viewOf(payload);
    batch.forEach((at, k) => {
      view.setUint32(prefix.length + 8 * k, pages[at] as number, true);
      view.setUint32(prefix.length + 8 * k + 4, checksum(reader.view(pages[at + 1] as number)), true);
    });
    out.frame(FrameKind.pages, payload, batch.length * PAGE_BYTES);
    for (const at of batch) out.bulk(reader.view(pages[at + 1] as number));
  }
  for (let from = 0; from < zeros.length; from += STREAM_BYTES / 4) {
    const batch = zeros.slice(from, from + STREAM_BYTES / 4);
    const payload = new Uint8Array(prefix.length + 4 * batch.length);
    payload.set(prefix);
    const view = viewOf(payload);
    batch.forEach((at, k) => {
      view.setUint32(prefix.length + 4 * k, pages[at] as number, true);
    });
    out.frame(FrameKind.zeroPages, payload);
  }
}
