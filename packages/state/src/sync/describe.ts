/**
 * A state as chunks: its manifest, and each chunk's bytes. Page versions never change and keep their hashes as long as they live, so that of memories a
 * description costs what was written since the one before; records are encoded anew.
 */
import { assert, compareBytes, concatBytes, equalBytes, fromHex, toHex } from "@orrery/base";
import { sha256, treeHash } from "@orrery/crypto";
import { HEAP_MEMORY, MODULE_MEMORY, STABLE_MEMORY } from "../checkpoint-snapshots.ts";
import { encodeCanister, encodeSnapshot, encodeSystem } from "../codec/records.ts";
import { PAGE_BYTES, type PageId, type PageTable } from "../page-table.ts";
import type { PageArena } from "../pages.ts";
import type { ReplicatedState } from "../types.ts";
import { IngressGroups } from "./ingress-groups.ts";
import {
  ChunkKind,
  compareChunks,
  encodeManifest,
  encodePages,
  PAGES_PER_CHUNK,
  pagesBytes,
  pagesHash,
  type StateChunk,
  type StateManifest,
  stateHashOf,
} from "./manifest.ts";
import { describePieces, encodeRecords, pieces } from "./pieces.ts";
import type { StoredPageHashes } from "./stored-hashes.ts";

/** Bits of a canister's index that are left out of the key that its record shares with its neighbours'. */
const NEIGHBOUR_MASK = 0xc0;
const INDEX_BYTES = 8;
const ZERO_PAGE_HASH: Uint8Array = sha256(new Uint8Array(PAGE_BYTES));

/** What up to 64 neighbouring canisters have in common. */
export function neighbourhood(id: Uint8Array): Uint8Array {
  const key = id.slice(0, INDEX_BYTES);
  if (key.length === INDEX_BYTES) key[INDEX_BYTES - 1] = (key[INDEX_BYTES - 1] as number) & NEIGHBOUR_MASK;
  return key;
}

/** The canister's id in a snapshot's. */
const ownerOf = (snapshotId: Uint8Array): Uint8Array => snapshotId.subarray(INDEX_BYTES);

/** Hashes of page versions, as long as the version under an id is the same. */
class PageHashes {
  readonly #arena: PageArena;
  readonly #hashes: Uint8Array[] = [];
  /** One more than the epoch in which each was made; 0: there is none. */
  readonly #made: Uint32Array[] = [];
  readonly #stored: StoredPageHashes | null;

  constructor(arena: PageArena, stored: StoredPageHashes | null) {
    this.#arena = arena;
    this.#stored = stored;
  }

  /** Between rounds. */
  of(id: PageId): Uint8Array {
    const slab = Math.floor(id / IDS_PER_SLAB);
    while (this.#hashes.length <= slab) {
      this.#hashes.push(new Uint8Array(IDS_PER_SLAB * HASH_BYTES));
      this.#made.push(new Uint32Array(IDS_PER_SLAB));
    }
    const hashes = this.#hashes[slab] as Uint8Array;
    const made = this.#made[slab] as Uint32Array;
    const at = id % IDS_PER_SLAB;
    const hash = hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
    const epoch = made[at] as number;
    if (epoch > 0 && this.#arena.isOlderThan(id, epoch)) return hash;
    hash.set(this.#hashOf(id));
    made[at] = this.#arena.epoch + 1;
    return hash;
  }

  #hashOf(id: PageId): Uint8Array {
    const location = this.#stored === null ? null : this.#arena.location(id);
    if (location === null) return sha256(this.#arena.view(id));
    const known = this.#stored?.find(location) ?? null;
    if (known !== null) return known;
    const hash = sha256(this.#arena.view(id));
    this.#stored?.keep(location, hash);
    return hash;
  }
}

const IDS_PER_SLAB = 32_768;
const HASH_BYTES = 32;

interface Run {
  readonly part: number;
  readonly places: number[];
  readonly ids: PageId[];
}

/** The pages of a memory that are not all zeros, by chunk. */
function* runsOf(table: PageTable, hashOf: (id: PageId) => Uint8Array): Generator<Run> {
  const pairs = table.pairs();
  let run: Run | null = null;
  for (let i = 0; i < pairs.length; i += 2) {
    const index = pairs[i] as number;
    const id = pairs[i + 1] as PageId;
    if (compareBytes(hashOf(id), ZERO_PAGE_HASH) === 0) continue;
    const part = Math.floor(index / PAGES_PER_CHUNK);
    if (run !== null && run.part !== part) {
      yield run;
      run = null;
    }
    run ??= { part, places: [], ids: [] };
    run.places.push(index % PAGES_PER_CHUNK);
    run.ids.push(id);
  }
  if (run !== null) yield run;
}

/** The memories of a canister or a snapshot, with their numbers. */
function memoriesOf(memory: {
  readonly heap: PageTable;
  readonly stable: PageTable;
  readonly module?: PageTable;
}): readonly (readonly [number, PageTable])[] {
  const { heap, stable, module } = memory;
  const both = [[HEAP_MEMORY, heap] as const, [STABLE_MEMORY, stable] as const];
  return module === undefined ? both : [...both, [MODULE_MEMORY, module] as const];
}

/** Kept beside a state that goes on, it keeps what does not change. */
export class StateDescriber {
  readonly #arena: PageArena;
  readonly #hashOf: (id: PageId) => Uint8Array;
  readonly #blobs = new Map<string, readonly StateChunk[]>();
  readonly #ingress = new IngressGroups();
  readonly #stored: StoredPageHashes | null;

  /** `stored`: of the store that the state was read from; kept for its next checkpoint it spares hashing what both have. */
  constructor(arena: PageArena, stored: StoredPageHashes | null = null) {
    this.#arena = arena;
    this.#stored = stored;
    const hashes = new PageHashes(arena, stored);
    this.#hashOf = (id) => hashes.of(id);
  }

  /** Between rounds, now and then: describes some of what will be asked for and does not change at the moment. */
  prepare(state: ReplicatedState): void {
    this.#ingress.prepare(state.ingressHistory);
  }

  /** Between rounds. */
  manifest(state: ReplicatedState): StateManifest {
    const chunks = [
      ...describePieces(ChunkKind.system, new Uint8Array(0), encodeSystem(state)),
      ...describeGroups(ChunkKind.canisters, canisterRecords(state)),
      ...this.#allPages(state),
      ...describeGroups(ChunkKind.snapshots, snapshotRecords(state)),
      ...this.#ingress.describe(state.ingressHistory),
      ...this.#allBlobs(state),
    ];
    this.#stored?.described();
    return { height: state.height, rootHash: treeHash(state.tree), chunks };
  }

  /** Of canisters and snapshots in one order: an owner's id and the number of the memory. */
  #allPages(state: ReplicatedState): StateChunk[] {
    const owners = [...state.canisters.keys(), ...state.snapshots.keys()].sort();
    const chunks: StateChunk[] = [];
    for (const key of owners) {
      const memory = (state.canisters.get(key) ?? state.snapshots.get(key))?.memory;
      assert(memory !== undefined, `${key} is there`);
      const owner = fromHex(key);
      for (const [number, table] of memoriesOf(memory))
        if (table.pageCount > 0)
          this.#describePages(concatBytes(owner, Uint8Array.of(number)), table, chunks);
    }
    // Nearly always in order: ids of canisters and of snapshots have lengths of their own.
    return chunks.sort(compareChunks);
  }

  #describePages(key: Uint8Array, table: PageTable, chunks: StateChunk[]): void {
    for (const { part, places, ids } of runsOf(table, this.#hashOf))
      chunks.push({
        kind: ChunkKind.pages,
        key,
        part,
        bytes: pagesBytes(places.length),
        hash: pagesHash(places, (i) => this.#hashOf(ids[i] as PageId)),
      });
  }

  #allBlobs(state: ReplicatedState): StateChunk[] {
    const chunks: StateChunk[] = [];
    const keys = [...state.blobs.keys()].sort();
    for (const key of keys) {
      let described = this.#blobs.get(key);
      if (described === undefined) {
        described = describePieces(ChunkKind.blob, fromHex(key), state.blobs.get(key));
        this.#blobs.set(key, described);
      }
      chunks.push(...described);
    }
    const live = new Set(keys);
    for (const key of this.#blobs.keys()) if (!live.has(key)) this.#blobs.delete(key);
    return chunks;
  }

  /** A chunk's bytes, while the state is the described one and as it was then. */
  read(state: ReplicatedState, { kind, key, part }: StateChunk): Uint8Array {
    const piece = (bytes: Uint8Array): Uint8Array => pieces(bytes)[part] as Uint8Array;
    switch (kind) {
      case ChunkKind.system:
        return piece(encodeSystem(state));
      case ChunkKind.canisters:
        return piece(encodeRecords(neighbours(state, key)));
      case ChunkKind.snapshots:
        return piece(encodeRecords(snapshotRecords(state).get(toHex(key)) ?? []));
      case ChunkKind.ingress:
        return piece(this.#ingress.read(key));
      case ChunkKind.blob:
        return piece(state.blobs.get(toHex(key)));
      case ChunkKind.pages:
        return this.#readPages(state, key, part);
    }
  }

  #readPages(state: ReplicatedState, key: Uint8Array, part: number): Uint8Array {
    const owner = toHex(key.subarray(0, -1));
    const memory = (state.canisters.get(owner) ?? state.snapshots.get(owner))?.memory;
    const table = memory === undefined ? undefined : memoriesOf(memory)[key.at(-1) as number]?.[1];
    assert(table !== undefined, `the memory ${toHex(key)} is of the described state`);
    const places: number[] = [];
    const ids: PageId[] = [];
    for (let place = 0; place < PAGES_PER_CHUNK; place++) {
      const id = table.get(part * PAGES_PER_CHUNK + place);
      if (id === 0 || compareBytes(this.#hashOf(id), ZERO_PAGE_HASH) === 0) continue;
      places.push(place);
      ids.push(id);
    }
    return encodePages(places, (i, target) => this.#arena.read(ids[i] as PageId, target, 0));
  }
}

type Records = (readonly [key: Uint8Array, record: Uint8Array])[];

function canisterRecords(state: ReplicatedState): Map<string, Records> {
  const groups = new Map<string, Records>();
  for (const canister of state.canisters.values())
    add(groups, neighbourhood(canister.meta.id), [canister.meta.id, encodeCanister(canister)]);
  return groups;
}

/** The records of one group. */
function neighbours(state: ReplicatedState, group: Uint8Array): Records {
  const records: Records = [];
  for (const canister of state.canisters.values())
    if (equalBytes(neighbourhood(canister.meta.id), group))
      records.push([canister.meta.id, encodeCanister(canister)]);
  return records;
}

function add(groups: Map<string, Records>, group: Uint8Array, entry: Records[number]): void {
  const key = toHex(group);
  const known = groups.get(key);
  if (known === undefined) groups.set(key, [entry]);
  else known.push(entry);
}

function snapshotRecords(state: ReplicatedState): Map<string, Records> {
  const groups = new Map<string, Records>();
  for (const snapshot of state.snapshots.values())
    add(groups, neighbourhood(ownerOf(snapshot.id)), [snapshot.id, encodeSnapshot(snapshot)]);
  return groups;
}

function describeGroups(kind: ChunkKind, groups: ReadonlyMap<string, Records>): StateChunk[] {
  const chunks: StateChunk[] = [];
  for (const [group, records] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1)))
    chunks.push(...describePieces(kind, fromHex(group), encodeRecords(records)));
  return chunks;
}

/** What a catch-up package signs of the state. */
export function stateHash(state: ReplicatedState, describer: StateDescriber): Uint8Array {
  return stateHashOf(encodeManifest(describer.manifest(state)).head);
}
