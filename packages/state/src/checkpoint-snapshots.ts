/**
 * Snapshots in checkpoints. A snapshot shares most of its pages with its canister, or with the snapshot before it: those are
 * written as runs of page numbers ("as there"), so that a snapshot costs what it alone has. Frames of a file come in this order:
 * canisters, snapshots deleted, snapshots by canister and age; "as there" is meant after all frames before it.
 */
import { fromHex, type PrincipalKey } from "@orrery/base";
import { decodeSnapshot, encodeSnapshot } from "./codec/records.ts";
import { corrupt, viewOf } from "./durable-format.ts";
import { type PageDelta, type PageId, PageTable } from "./page-table.ts";
import type { PageArena } from "./pages.ts";
import type { CanisterSnapshot, CanisterState, ReplicatedState, SnapshotKey } from "./types.ts";

export const HEAP_MEMORY = 0;
export const STABLE_MEMORY = 1;
/** Of a snapshot only: its uploaded module. */
export const MODULE_MEMORY = 2;

/** Triples: source (0 the canister, 1 its snapshot one older), first page number, count. */
export type SharedRuns = Uint32Array;

export interface SnapshotMemoryInput {
  readonly memory: number;
  readonly shared: SharedRuns;
  /** Pairs of page number and page id; id 0 is the zero page. Sorted by number. */
  readonly pages: PageDelta;
}

export interface SnapshotInput {
  readonly id: Uint8Array;
  readonly record: Uint8Array;
  readonly memories: readonly SnapshotMemoryInput[];
}

/** Page numbers by memory; null: the snapshot is not in any checkpoint yet. */
type Written = readonly Set<number>[] | null;

interface TakenChanges {
  /** By memory number, what was written to snapshots that the last checkpoint has; null for others. */
  readonly changed: ReadonlyMap<SnapshotKey, Written>;
  readonly deleted: readonly Uint8Array[];
}

/** Which snapshots the next checkpoint has to name. Cost: the changes. */
export class SnapshotChanges {
  /** Those in the last checkpoint. Another one under the same key is that of a canister made anew. */
  readonly #durable: Map<SnapshotKey, CanisterSnapshot>;
  #changed = new Map<SnapshotKey, Written>();
  #inFlight: {
    readonly changed: ReadonlyMap<SnapshotKey, Written>;
    readonly snapshots: ReadonlyMap<SnapshotKey, CanisterSnapshot | undefined>;
  } | null = null;

  constructor(durable: ReadonlyMap<SnapshotKey, CanisterSnapshot>) {
    this.#durable = new Map(durable);
  }

  /** Takes over what the state says has changed. */
  take(state: ReplicatedState): TakenChanges {
    for (const key of state.changedSnapshots) this.#note(key, state.snapshots.get(key));
    state.changedSnapshots.clear();
    const changed = this.#changed;
    const snapshots = new Map([...changed.keys()].map((key) => [key, state.snapshots.get(key)]));
    this.#inFlight = { changed, snapshots };
    this.#changed = new Map();
    const gone = [...snapshots].filter(([key, now]) => {
      const before = this.#durable.get(key);
      return before !== undefined && before !== now;
    });
    return {
      changed,
      deleted: gone
        .map(([key]) => key)
        .sort()
        .map(fromHex),
    };
  }

  #note(key: SnapshotKey, snapshot: CanisterSnapshot | undefined): void {
    const written = snapshot === undefined ? [] : tablesOf(snapshot).map(writtenPages);
    const known = this.#changed.get(key);
    if (snapshot === undefined || this.#durable.get(key) !== snapshot) this.#changed.set(key, null);
    else if (known === undefined || known === null) this.#changed.set(key, written);
    else for (const [i, pages] of known.entries()) addAll(pages, written[i] as Set<number>);
  }

  finished(): void {
    const snapshots = this.#inFlight?.snapshots ?? [];
    for (const [key, snapshot] of snapshots) {
      if (snapshot === undefined) this.#durable.delete(key);
      else this.#durable.set(key, snapshot);
    }
    this.#inFlight = null;
  }

  /** What was not written belongs to the next collection. */
  failed(): void {
    for (const [key, pages] of this.#inFlight?.changed ?? []) this.#changed.set(key, pages);
    this.#inFlight = null;
  }
}

function addAll(target: Set<number>, source: ReadonlySet<number>): void {
  for (const one of source) target.add(one);
}

function writtenPages(table: PageTable): Set<number> {
  const delta = table.takeDelta();
  const pages = new Set<number>();
  for (let i = 0; i < delta.length; i += 2) pages.add(delta[i] as number);
  return pages;
}

/** Hexadecimal digits of the local number in a key. */
const LOCAL_ID_HEX = 16;

/** The canister's key. */
function ownerOf(key: SnapshotKey): PrincipalKey {
  return key.slice(LOCAL_ID_HEX);
}

/** By memory number. */
function tablesOf({ memory }: CanisterSnapshot): readonly PageTable[] {
  return [memory.heap, memory.stable, memory.module];
}

/** `changed`: null collects all there are. */
export function collectSnapshots(
  state: ReplicatedState,
  changed: ReadonlyMap<SnapshotKey, Written> | null,
): SnapshotInput[] {
  const keys = changed === null ? state.snapshots.keys() : changed.keys();
  const owners = new Set([...keys].filter((key) => state.snapshots.has(key)).map(ownerOf));
  const inputs: SnapshotInput[] = [];
  for (const owner of [...owners].sort()) {
    const canister = state.canisters.get(owner) as CanisterState;
    let older: CanisterSnapshot | null = null;
    for (const key of canister.snapshots) {
      const snapshot = state.snapshots.get(key) as CanisterSnapshot;
      const written = changed === null ? null : changed.get(key);
      if (written !== undefined) inputs.push(snapshotInput(snapshot, { canister, older, written }));
      older = snapshot;
    }
  }
  return inputs;
}

function snapshotInput(
  snapshot: CanisterSnapshot,
  context: {
    readonly canister: CanisterState;
    readonly older: CanisterSnapshot | null;
    readonly written: Written;
  },
): SnapshotInput {
  const { canister, older, written } = context;
  const sources = [canister.memory.heap, canister.memory.stable];
  const memories = tablesOf(snapshot).map((table, memory): SnapshotMemoryInput => {
    if (written !== null) {
      const pages = [...(written[memory] as Set<number>)].sort((a, b) => a - b);
      return {
        memory,
        shared: new Uint32Array(0),
        pages: Uint32Array.from(pages.flatMap((i) => [i, table.get(i)])),
      };
    }
    const others = memory === MODULE_MEMORY ? [] : [sources[memory] as PageTable];
    if (older !== null && memory !== MODULE_MEMORY) others.push(tablesOf(older)[memory] as PageTable);
    return { memory, ...split(table, others) };
  });
  return { id: snapshot.id, record: encodeSnapshot(snapshot), memories };
}

/** What a table has in common with others, in runs, and what is its own. */
function split(table: PageTable, others: readonly PageTable[]): Omit<SnapshotMemoryInput, "memory"> {
  const runs: number[] = [];
  const own: number[] = [];
  for (const [index, id] of table.entries()) {
    const source = others.findIndex((other) => other.get(index) === id);
    const last = runs.length - 3;
    if (source < 0) own.push(index, id);
    else if (
      last >= 0 &&
      runs[last] === source &&
      (runs[last + 1] as number) + (runs[last + 2] as number) === index
    )
      runs[last + 2] = (runs[last + 2] as number) + 1;
    else runs.push(source, index, 1);
  }
  return { shared: Uint32Array.from(runs), pages: Uint32Array.from(own) };
}

export function encodeRuns(runs: SharedRuns): Uint8Array {
  const out = new Uint8Array(runs.length * 4);
  const view = viewOf(out);
  for (const [i, value] of runs.entries()) view.setUint32(4 * i, value, true);
  return out;
}

/** A snapshot of which a part was read. */
export interface LoadingSnapshot {
  record: Uint8Array;
  readonly tables: readonly [heap: PageTable, stable: PageTable, module: PageTable];
}

interface LoadingTables {
  readonly arena: PageArena;
  readonly canisters: ReadonlyMap<string, Pick<CanisterState, "memory">>;
  readonly snapshots: Map<SnapshotKey, LoadingSnapshot>;
}

export function snapshotRecord(
  snapshots: Map<SnapshotKey, LoadingSnapshot>,
  key: SnapshotKey,
  record: Uint8Array,
): void {
  const known = snapshots.get(key);
  if (known !== undefined) known.record = record.slice();
  else
    snapshots.set(key, {
      record: record.slice(),
      tables: [new PageTable(), new PageTable(), new PageTable()],
    });
}

export function deleteSnapshot(loading: LoadingTables, key: SnapshotKey): void {
  for (const table of loading.snapshots.get(key)?.tables ?? [])
    for (const id of table.clear()) loading.arena.retire(id);
  loading.snapshots.delete(key);
}

/** `payload`: memory number and runs. */
export function applySharedPages(
  name: string,
  loading: LoadingTables,
  key: SnapshotKey,
  payload: Uint8Array,
): void {
  const memory = payload[0] ?? MODULE_MEMORY;
  const table = loading.snapshots.get(key)?.tables[memory];
  const owner = loading.canisters.get(ownerOf(key))?.memory;
  const runs = payload.slice(1);
  if (table === undefined || owner === undefined || memory >= MODULE_MEMORY || runs.length % 12 !== 0)
    throw corrupt(name, `shared pages of a memory that is not there (snapshot ${key})`);
  const view = viewOf(runs);
  const sources = [[owner.heap, owner.stable][memory], olderTable(loading, key, memory)];
  for (let at = 0; at < runs.length; at += 12) {
    const from = sources[view.getUint32(at, true)];
    const first = view.getUint32(at + 4, true);
    const end = first + view.getUint32(at + 8, true);
    for (let index = first; index < end; index++) {
      const id: PageId = from?.get(index) ?? 0;
      if (id === 0) throw corrupt(name, `page ${index} of snapshot ${key} is where there is none`);
      loading.arena.retain(id);
      // Not a change of the table's own: the state equals its checkpoint.
      table.applyDelta(Uint32Array.of(index, id));
    }
  }
}

/** Of the same canister, the newest that is older: local numbers grow, and the order of hexadecimal text is theirs. */
function olderTable(loading: LoadingTables, key: SnapshotKey, memory: number): PageTable | undefined {
  let older: SnapshotKey | null = null;
  for (const other of loading.snapshots.keys()) {
    if (ownerOf(other) === ownerOf(key) && other < key && (older === null || other > older)) older = other;
  }
  return older === null ? undefined : loading.snapshots.get(older)?.tables[memory];
}

export function restoreSnapshots(
  loading: ReadonlyMap<SnapshotKey, LoadingSnapshot>,
): Map<SnapshotKey, CanisterSnapshot> {
  const snapshots = new Map<SnapshotKey, CanisterSnapshot>();
  for (const [key, { record, tables }] of loading) {
    const [heap, stable, module] = tables;
    snapshots.set(key, decodeSnapshot(record, { heap, stable, module }));
  }
  return snapshots;
}
