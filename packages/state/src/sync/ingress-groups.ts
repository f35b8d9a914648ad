/**
 * The ingress history as chunks. Requests are grouped by when they expire: clients send with much the same time to live, so that a group changes
 * while such requests come and are answered, and then stays as it is until it is forgotten. What stays is described once, some of it between
 * rounds, so that a description costs the newest requests and not the history of a busy subnet.
 */
import { assert, u64be } from "@orrery/base";
import { encodeIngressEntry } from "../codec/records.ts";
import { viewOf } from "../durable-format.ts";
import type { IngressEntry, IngressStatus } from "../types.ts";
import { ChunkKind, type StateChunk } from "./manifest.ts";
import { describePieces, encodeRecords } from "./pieces.ts";

/** Of expiry times, nanoseconds. */
const GROUP_NS = 10_000_000_000n;
/** Many clients round their expiry times to minutes: what expires together is divided by the first bits of request ids. */
const PARTS = 16;
const PART_SHIFT = 4;
/** Requests that one preparation describes, and those of one group more. */
const PREPARED_MAX = 4_000;

type History = ReadonlyMap<string, IngressEntry>;

interface Group {
  /** In the order of the history. A status is never changed, but replaced, and with it everything else that changes. */
  readonly entries: IngressEntry[];
  readonly statuses: IngressStatus[];
  /** Of these in the newest look. */
  count: number;
  /** Since the look before. */
  hasChanged: boolean;
  /** Null where it changed since it was described. */
  chunks: readonly StateChunk[] | null;
}

function groupOf({ expiry, requestId }: IngressEntry): number {
  return Number(expiry / GROUP_NS) * PARTS + ((requestId[0] ?? 0) >> PART_SHIFT);
}

const keyOf = (group: number): Uint8Array => u64be(BigInt(group));

function encodeGroup(entries: readonly IngressEntry[]): Uint8Array {
  return encodeRecords(entries.map((entry) => [entry.requestId, encodeIngressEntry(entry)] as const));
}

export class IngressGroups {
  readonly #groups = new Map<number, Group>();

  /** Describes some of those that did not change since it was called before. */
  prepare(history: History): void {
    this.#look(history);
    let described = 0;
    for (const [number, group] of this.#groups) {
      if (!group.hasChanged && group.chunks === null && described < PREPARED_MAX) {
        this.#describe(number, group);
        described += group.count;
      }
      group.hasChanged = false;
    }
  }

  /** All, in the order of a manifest. */
  describe(history: History): StateChunk[] {
    this.#look(history);
    return [...this.#groups]
      .sort(([a], [b]) => a - b)
      .flatMap(([number, group]) => group.chunks ?? this.#describe(number, group));
  }

  /** The records of the group whose chunks have this key, in what was described last. */
  read(key: Uint8Array): Uint8Array {
    const number = Number(viewOf(key).getBigUint64(0));
    const group = this.#groups.get(number);
    assert(group !== undefined, `requests ${number} are of the described state`);
    return encodeGroup(group.entries);
  }

  #describe(number: number, group: Group): readonly StateChunk[] {
    const chunks = describePieces(ChunkKind.ingress, keyOf(number), encodeGroup(group.entries));
    group.chunks = chunks;
    return chunks;
  }

  /** Takes in what changed. */
  #look(history: History): void {
    for (const group of this.#groups.values()) group.count = 0;
    for (const entry of history.values()) {
      const number = groupOf(entry);
      let group = this.#groups.get(number);
      if (group === undefined) {
        group = { entries: [], statuses: [], count: 0, hasChanged: true, chunks: null };
        this.#groups.set(number, group);
      }
      const at = group.count++;
      if (group.entries[at] === entry && group.statuses[at] === entry.status) continue;
      group.entries[at] = entry;
      group.statuses[at] = entry.status;
      this.#note(group);
    }
    for (const [number, group] of this.#groups) {
      const { entries, statuses, count } = group;
      if (count === 0) this.#groups.delete(number);
      if (count === entries.length) continue;
      entries.length = count;
      statuses.length = count;
      this.#note(group);
    }
  }

  #note(group: Group): void {
    group.hasChanged = true;
    group.chunks = null;
  }
}
