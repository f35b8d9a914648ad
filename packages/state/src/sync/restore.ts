/**
 * A checkpoint out of the chunks of a manifest: what another node's state was, as this node writes states down. Records come into memory,
 * pages are read from their chunks as they are written.
 */
import { compareBytes, concatBytes, OrreryError, toHex } from "@orrery/base";
import type { CanisterInput, CheckpointInput } from "../checkpoint-collector.ts";
import { HEAP_MEMORY, MODULE_MEMORY, type SnapshotInput, STABLE_MEMORY } from "../checkpoint-snapshots.ts";
import type { PageLocation } from "../cold-pages.ts";
import { viewOf } from "../durable-format.ts";
import { PageReader } from "../page-reader.ts";
import { PAGE_BYTES, type PageDelta, type PageId } from "../page-table.ts";
import { ChunkKind, PAGES_PER_CHUNK, readPages, type StateChunk, type StateManifest } from "./manifest.ts";

/** Chunks of pages in memory at a time. */
const CACHED_CHUNKS = 4;

/** Gives a chunk's bytes, checked against its hash. */
export type ChunkSource = (chunk: StateChunk) => Uint8Array;

export interface RestoredState {
  /** A full checkpoint. */
  readonly input: CheckpointInput;
  /** Has the pages that it names. */
  readonly reader: PageReader;
}

function invalid(why: string): OrreryError {
  return new OrreryError("manifest_invalid", `the chunks of a state do not fit together: ${why}`);
}

interface PlacedPages {
  readonly chunk: StateChunk;
  readonly places: readonly number[];
  readonly firstId: PageId;
}

/** Pages of chunks by ids that are given to them here, the same ids to equal chunks. */
class ChunkPages extends PageReader {
  readonly #source: ChunkSource;
  /** Ascending by their first ids. */
  readonly #placed: PlacedPages[] = [];
  readonly #byHash = new Map<string, PlacedPages>();
  /** Bytes of pages of a chunk, used last at the end. */
  readonly #cached = new Map<PlacedPages, Uint8Array>();
  #nextId = 1;

  constructor(source: ChunkSource) {
    super();
    this.#source = source;
  }

  add(chunk: StateChunk): PlacedPages {
    const key = toHex(chunk.hash);
    const known = this.#byHash.get(key);
    if (known !== undefined) return known;
    const pages = readPages(this.#source(chunk));
    if (pages === null) throw invalid(`no pages of ${toHex(chunk.key)}`);
    const placed = { chunk, places: pages.places, firstId: this.#nextId };
    this.#nextId += pages.places.length;
    this.#placed.push(placed);
    this.#byHash.set(key, placed);
    return placed;
  }

  override view(id: PageId): Uint8Array {
    const placed = this.#find(id);
    let bytes = this.#cached.get(placed);
    if (bytes === undefined) {
      bytes = this.#source(placed.chunk).subarray(2 + placed.places.length);
      if (this.#cached.size >= CACHED_CHUNKS) {
        const [oldest] = this.#cached.keys();
        this.#cached.delete(oldest as PlacedPages);
      }
    }
    this.#cached.delete(placed);
    this.#cached.set(placed, bytes);
    const at = (id - placed.firstId) * PAGE_BYTES;
    return bytes.subarray(at, at + PAGE_BYTES);
  }

  override read(id: PageId, target: Uint8Array, offset: number): void {
    target.set(this.view(id), offset);
  }

  /** Chunks are no checkpoint files. */
  override location(): PageLocation | null {
    return null;
  }

  override place(): void {}

  override supersede(): void {}

  #find(id: PageId): PlacedPages {
    let low = 0;
    let high = this.#placed.length;
    while (low < high - 1) {
      const middle = (low + high) >> 1;
      if ((this.#placed[middle] as PlacedPages).firstId <= id) low = middle;
      else high = middle;
    }
    return this.#placed[low] as PlacedPages;
  }
}

/** All pieces of the same key, joined; by kind. */
function joined(
  manifest: StateManifest,
  source: ChunkSource,
): Map<ChunkKind, (readonly [Uint8Array, Uint8Array])[]> {
  const groups = new Map<ChunkKind, (readonly [Uint8Array, Uint8Array])[]>();
  let waiting: StateChunk[] = [];
  const flush = (): void => {
    const [first] = waiting;
    if (first === undefined) return;
    if (waiting.some(({ part }, i) => part !== i)) throw invalid("a piece is missing");
    const all = groups.get(first.kind) ?? [];
    all.push([first.key, concatBytes(...waiting.map(source))]);
    groups.set(first.kind, all);
    waiting = [];
  };
  for (const chunk of manifest.chunks) {
    if (chunk.kind === ChunkKind.pages) continue;
    const [first] = waiting;
    if (first !== undefined && (first.kind !== chunk.kind || toHex(first.key) !== toHex(chunk.key))) flush();
    waiting.push(chunk);
  }
  flush();
  return groups;
}

/** Records as `encodeRecords` has put them one after the other. */
function* records(bytes: Uint8Array): Generator<readonly [key: Uint8Array, record: Uint8Array]> {
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 1 + (bytes[at] as number);
    const end = keyEnd + 4 > bytes.length ? Number.POSITIVE_INFINITY : keyEnd + 4 + view.getUint32(keyEnd);
    if (end > bytes.length) throw invalid("a record that ends too early");
    yield [bytes.slice(at + 1, keyEnd), bytes.slice(keyEnd + 4, end)];
    at = end;
  }
}

/** Pairs of page number and id, by the memory's key in hexadecimal. */
function memoriesOf(manifest: StateManifest, pages: ChunkPages): ReadonlyMap<string, PageDelta> {
  const pairs = new Map<string, number[]>();
  for (const chunk of manifest.chunks) {
    if (chunk.kind !== ChunkKind.pages) continue;
    const key = toHex(chunk.key);
    const { places, firstId } = pages.add(chunk);
    const list = pairs.get(key) ?? [];
    for (const [i, place] of places.entries()) list.push(chunk.part * PAGES_PER_CHUNK + place, firstId + i);
    pairs.set(key, list);
  }
  return new Map([...pairs].map(([key, list]) => [key, Uint32Array.from(list)]));
}

/** The state of a manifest as a full checkpoint. `manifest_invalid` where chunks and manifest do not fit together. */
export function restoreState(manifest: StateManifest, source: ChunkSource): RestoredState {
  const groups = joined(manifest, source);
  const all = (kind: ChunkKind): (readonly [Uint8Array, Uint8Array])[] =>
    (groups.get(kind) ?? []).flatMap(([, bytes]) => [...records(bytes)]);
  const system = groups.get(ChunkKind.system)?.[0]?.[1];
  if (system === undefined) throw invalid("no system record");
  const reader = new ChunkPages(source);
  const memories = memoriesOf(manifest, reader);
  const memory = (owner: Uint8Array, number: number): PageDelta =>
    memories.get(toHex(concatBytes(owner, Uint8Array.of(number)))) ?? new Uint32Array(0);
  const canisters = all(ChunkKind.canisters).map(
    ([id, record]): CanisterInput => ({
      id,
      record,
      heap: memory(id, HEAP_MEMORY),
      stable: memory(id, STABLE_MEMORY),
    }),
  );
  const snapshots = all(ChunkKind.snapshots).map(
    ([id, record]): SnapshotInput => ({
      id,
      record,
      memories: [HEAP_MEMORY, STABLE_MEMORY, MODULE_MEMORY].map((number) => ({
        memory: number,
        shared: new Uint32Array(0),
        pages: memory(id, number),
      })),
    }),
  );
  const input: CheckpointInput = {
    kind: "full",
    height: manifest.height,
    basedOn: null,
    epoch: manifest.height,
    reclaimedEpoch: 0,
    rootHash: manifest.rootHash,
    system,
    deleted: [],
    canisters,
    snapshots,
    snapshotsDeleted: [],
    ingress: [...all(ChunkKind.ingress)]
      .sort(([a], [b]) => compareBytes(a, b))
      .map(([requestId, record]) => ({ requestId, record })),
    ingressPruned: [],
    blobs: (groups.get(ChunkKind.blob) ?? []).map(([key, bytes]) => ({ key: toHex(key), bytes })),
    blobsReleased: [],
  };
  return { input, reader };
}
