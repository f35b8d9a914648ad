/** The chunks of an ingress history that goes on are those of one that is described for the first time, and what did not change is not described again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, type Principal, type TimeNs, toHex, type UserId, u64be } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { decodeIngressEntry } from "../codec/records.ts";
import type { IngressEntry } from "../types.ts";
import { IngressGroups } from "./ingress-groups.ts";
import { isChunk, type StateChunk } from "./manifest.ts";

const SECOND = 1_000_000_000n;
const WHO: Uint8Array = Uint8Array.of(1, 2, 3);

/** The n-th request, which expires then. */
function received(n: number, expiry: TimeNs): IngressEntry {
  return {
    requestId: sha256(u64be(BigInt(n))),
    sender: WHO as UserId,
    receiver: WHO as CanisterId,
    effectiveId: WHO as Principal,
    status: { kind: "received" },
    expiry,
    pruneAt: null,
  };
}

type History = Map<string, IngressEntry>;

const add = (history: History, entry: IngressEntry): void => void history.set(toHex(entry.requestId), entry);

function reply(entry: IngressEntry, reply: Uint8Array): void {
  entry.status = { kind: "replied", reply };
  entry.pruneAt = entry.expiry;
}

/** Numbers below `n`, the same in each run. */
function drawing(seed: number): (n: number) => number {
  let drawn = 0;
  return (n) => new DataView(sha256(u64be(BigInt(seed)), u64be(BigInt(drawn++))).buffer).getUint32(0) % n;
}

const nameOf = ({ key, part, hash }: StateChunk): string => `${toHex(key)}/${part}/${toHex(hash)}`;

for (const seed of [1, 2, 3])
  test(`what is kept is what would be described anew, whatever changed (${seed})`, () => {
    const below = drawing(seed);
    const history: History = new Map();
    const kept = new IngressGroups();
    let made = 0;
    for (let step = 0; step < 300; step++) {
      const all = [...history.values()];
      const one = all[below(Math.max(1, all.length))];
      const choice = below(10);
      if (choice < 5) add(history, received(made++, SECOND * BigInt(below(60))));
      else if (choice < 7 && one !== undefined) reply(one, Uint8Array.of(below(256)));
      else if (choice === 7 && one !== undefined) history.delete(toHex(one.requestId));
      else if (choice === 8) kept.prepare(history);
      if (step % 7 !== 0) continue;
      const chunks = kept.describe(history);
      assert.deepEqual(chunks.map(nameOf), new IngressGroups().describe(history).map(nameOf));
      for (const chunk of chunks) assert.ok(isChunk(chunk, kept.read(chunk.key)));
    }
  });

test("what did not change is not described again", () => {
  const history: History = new Map();
  for (let n = 0; n < 200; n++) add(history, received(n, 5n * SECOND));
  const kept = new IngressGroups();
  const before = kept.describe(history);
  add(history, received(1_000, 35n * SECOND));
  const after = new Set(kept.describe(history));
  assert.equal(after.size, before.length + 1);
  for (const chunk of before) assert.ok(after.has(chunk));
});

/** Chunks that were described ahead, of all: those that do not show a change that breaks the rule. */
function preparedOf(prepare: (kept: IngressGroups, history: History) => void): readonly [number, number] {
  const history: History = new Map();
  for (let n = 0; n < 20_000; n++) add(history, received(n, SECOND * BigInt(n % 100)));
  const kept = new IngressGroups();
  prepare(kept, history);
  const right = new Set(new IngressGroups().describe(history).map(nameOf));
  for (const entry of history.values()) entry.pruneAt = 1n;
  const shown = kept.describe(history).map(nameOf);
  return [shown.filter((name) => right.has(name)).length, shown.length];
}

test("some of what stays as it is is described ahead, and nothing that still changes", () => {
  assert.deepEqual(
    preparedOf((kept, history) => kept.prepare(history)),
    [0, 160],
  );
  // Of 125 requests each, in 16 parts of ten groups.
  const [some] = preparedOf((kept, history) => {
    for (let i = 0; i < 2; i++) kept.prepare(history);
  });
  assert.ok(some >= 28 && some <= 36, `${some} are described by one preparation`);
  const [all] = preparedOf((kept, history) => {
    for (let i = 0; i < 10; i++) kept.prepare(history);
  });
  assert.equal(all, 160);
  const [none] = preparedOf((kept, history) => {
    for (let i = 0; i < 10; i++) {
      for (const entry of history.values()) reply(entry, Uint8Array.of(i));
      kept.prepare(history);
    }
  });
  assert.equal(none, 0);
});

test("records are read back as they were", () => {
  const history: History = new Map();
  const entry = received(7, 12n * SECOND);
  reply(entry, Uint8Array.of(42));
  add(history, entry);
  const kept = new IngressGroups();
  const [chunk] = kept.describe(history);
  assert.ok(chunk !== undefined);
  const bytes = kept.read(chunk.key);
  const keyBytes = bytes[0] as number;
  assert.deepEqual(decodeIngressEntry(bytes.subarray(1 + keyBytes + 4)), entry);
});
