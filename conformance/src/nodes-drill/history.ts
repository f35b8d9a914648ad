/**
 * What clients of a network under faults saw, and what must be true of it (Herlihy and Wing, "Linearizability"; lists that only grow decide it
 * without a search: the place that an update was told is its place in the one order). Each list in the end is a list of all updates that
 * were answered, each once, where it was told to be; every certified read names a beginning of it; nothing that ended
 * before something else began comes after it; certified times and lengths grow together.
 */

/** Seen at a client: milliseconds of one clock that never goes back. */
interface Interval {
  readonly sentMs: number;
  /** Null while it is not known. */
  answeredMs: number | null;
}

/** An update that appends an entry, or one that asks for the length. */
export interface Update extends Interval {
  readonly kind: "add" | "relay" | "length";
  /** Of the list that it is about. */
  readonly list: number;
  /** Unique; 0 for a length. */
  readonly entry: bigint;
  /** The entry's place from 1, or the length. */
  value: number | null;
  /** Certified time of the answer, on the list's own subnet; null where another subnet answered. */
  certifiedAt: bigint | null;
  /** How often it was sent. */
  sent: number;
}

/** Length and hash of a list, certified. */
export interface CertifiedRead extends Interval {
  readonly client: number;
  readonly list: number;
  readonly time: bigint;
  readonly length: number;
  readonly hash: bigint;
}

export interface History {
  readonly updates: readonly Update[];
  readonly reads: readonly CertifiedRead[];
}

const HASH_BASIS = 0xcbf29ce484222325n;
const HASH_PRIME = 0x100000001b3n;

/** As the canister hashes: of each beginning of the list, the empty one first. */
export function prefixHashes(entries: readonly bigint[]): readonly bigint[] {
  let hash = HASH_BASIS;
  return [hash, ...entries.map((entry) => (hash = BigInt.asUintN(64, (hash ^ entry) * HASH_PRIME)))];
}

interface Told {
  readonly list: number;
  readonly updates: readonly Update[];
  readonly reads: readonly CertifiedRead[];
  /** The whole list when everything was over. */
  readonly entries: readonly bigint[];
}

const nameOf = ({ kind, entry }: Update): string => (kind === "length" ? kind : `${kind} ${entry}`);

/** Everything that was answered is there once, where it was told to be, and nothing that nobody sent. */
function checkEntries({ updates, entries }: Told): string[] {
  const wrong: string[] = [];
  const places = new Map<bigint, number[]>();
  for (const [i, entry] of entries.entries()) places.set(entry, [...(places.get(entry) ?? []), i + 1]);
  for (const update of updates) {
    if (update.kind === "length") continue;
    const found = places.get(update.entry) ?? [];
    places.delete(update.entry);
    if (found.length > 1)
      wrong.push(`${nameOf(update)} is there ${found.length} times (sent ${update.sent})`);
    if (update.answeredMs === null) continue;
    if (found.length === 0) wrong.push(`${nameOf(update)} was answered and is not there`);
    else if (found[0] !== update.value)
      wrong.push(`${nameOf(update)} was told place ${update.value} and is at ${found[0]}`);
  }
  for (const entry of places.keys()) wrong.push(`entry ${entry} was sent by nobody`);
  return wrong;
}

interface Ordered {
  readonly name: string;
  readonly value: number;
  readonly isAdd: boolean;
  readonly startMs: number;
  readonly endMs: number;
}

function orderOf({ updates, reads, entries }: Told): readonly Ordered[] {
  const placeOf = new Map(entries.map((entry, i) => [entry, i + 1]));
  const ordered: Ordered[] = [];
  for (const update of updates) {
    // One that was not answered may have happened: then it is in the list.
    const value = update.value ?? (update.kind === "length" ? undefined : placeOf.get(update.entry));
    if (value === undefined) continue;
    const { kind, sentMs, answeredMs } = update;
    ordered.push({
      name: nameOf(update),
      value,
      isAdd: kind !== "length",
      startMs: sentMs,
      endMs: answeredMs ?? Number.POSITIVE_INFINITY,
    });
  }
  // What is certified may be old: only what comes later is bound by it.
  for (const { length, answeredMs } of reads)
    ordered.push({
      name: `a certified read of length ${length}`,
      value: length,
      isAdd: false,
      startMs: Number.NEGATIVE_INFINITY,
      endMs: answeredMs ?? Number.POSITIVE_INFINITY,
    });
  return ordered.sort((a, b) => a.value - b.value || Number(b.isAdd) - Number(a.isAdd));
}

/** In the order of values, nothing ended before something in front of it began. Lengths that are equal have no order among themselves. */
function checkRealTime(told: Told): string[] {
  const wrong: string[] = [];
  let before: Ordered | null = null;
  let group: Ordered[] = [];
  const later = (a: Ordered | null, b: Ordered): Ordered => (a === null || b.startMs > a.startMs ? b : a);
  for (const each of orderOf(told)) {
    const [first] = group;
    if (first === undefined || first.value !== each.value || each.isAdd || first.isAdd) {
      for (const one of group) before = later(before, one);
      group = [];
    }
    group.push(each);
    if (before !== null && each.endMs < before.startMs)
      wrong.push(
        `${each.name} (value ${each.value}) was answered before ${before.name} (value ${before.value}) was sent`,
      );
  }
  return wrong;
}

interface Sight {
  readonly name: string;
  readonly time: bigint;
  readonly length: number;
  readonly isExact: boolean;
}

/** What certificates of a time show: at least this much, or exactly this much. */
function checkCertified({ updates, reads, entries }: Told): string[] {
  const wrong: string[] = [];
  const hashes = prefixHashes(entries);
  const sights: Sight[] = [];
  for (const { time, length, hash } of reads) {
    if (hashes[length] !== hash) wrong.push(`a certified read of length ${length} is of another list`);
    sights.push({ name: "a certified read", time, length, isExact: true });
  }
  for (const update of updates)
    if (update.certifiedAt !== null && update.value !== null)
      sights.push({ name: nameOf(update), time: update.certifiedAt, length: update.value, isExact: false });
  // Of one time, what is shown exactly has to be as much as anything shows.
  sights.sort((a, b) =>
    a.time < b.time ? -1 : a.time > b.time ? 1 : Number(a.isExact) - Number(b.isExact) || b.length - a.length,
  );
  let most: Sight | null = null;
  for (const sight of sights) {
    if (most !== null && sight.isExact && sight.length < most.length)
      wrong.push(
        `at time ${sight.time} ${sight.length} entries are certified, after ${most.name} showed ${most.length} at ${most.time}`,
      );
    if (most === null || sight.length > most.length) most = sight;
  }
  return wrong;
}

/** Who asked twice was never shown less the second time, in time or in length. */
function checkSessions({ reads }: Told): string[] {
  const wrong: string[] = [];
  const last = new Map<number, CertifiedRead>();
  for (const read of reads) {
    const before = last.get(read.client);
    last.set(read.client, read);
    if (before !== undefined && (read.time < before.time || read.length < before.length))
      wrong.push(
        `client ${read.client} read length ${read.length} at ${read.time} after ${before.length} at ${before.time}`,
      );
  }
  return wrong;
}

/** Everything wrong with a history, given the lists as they are in the end; empty when all is well. */
export function checkHistory({ updates, reads }: History, lists: readonly (readonly bigint[])[]): string[] {
  return lists.flatMap((entries, list) => {
    const told: Told = {
      list,
      entries,
      updates: updates.filter((update) => update.list === list),
      reads: reads.filter((read) => read.list === list),
    };
    const checks = [checkEntries, checkRealTime, checkCertified, checkSessions];
    return checks.flatMap((check) => check(told)).map((text) => `list ${list}: ${text}`);
  });
}
