/** The judge of histories: still on a sound one, and each kind of wrong one named. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CertifiedRead, checkHistory, prefixHashes, type Update } from "./history.ts";

const add = (entry: bigint, value: number | null, sentMs: number, answeredMs: number | null): Update => ({
  kind: "add",
  list: 0,
  entry,
  value,
  sentMs,
  answeredMs,
  certifiedAt: answeredMs === null ? null : BigInt(answeredMs),
  sent: 1,
});
const length = (value: number, sentMs: number, answeredMs: number): Update => ({
  ...add(0n, value, sentMs, answeredMs),
  kind: "length",
});

const ENTRIES = [11n, 12n, 13n, 14n];
const HASHES = prefixHashes(ENTRIES);
const read = (count: number, time: bigint, answeredMs: number, client = 1): CertifiedRead => ({
  client,
  list: 0,
  sentMs: answeredMs - 1,
  answeredMs,
  time,
  length: count,
  hash: HASHES[count] as bigint,
});

/** Two at once, one never answered that happened, one never answered that did not. */
function sound(): { updates: Update[]; reads: CertifiedRead[]; entries: bigint[] } {
  return {
    entries: [...ENTRIES],
    updates: [
      add(11n, 1, 0, 10),
      add(12n, 2, 20, 40),
      add(13n, 3, 20, 30),
      add(14n, null, 35, null),
      add(15n, null, 36, null),
      length(3, 31, 60),
      length(3, 25, 50),
    ],
    reads: [read(0, 1n, 5), read(1, 12n, 20), read(3, 41n, 45), read(1, 20n, 46, 2)],
  };
}

function wrongs(change: (seen: ReturnType<typeof sound>) => void): string {
  const seen = sound();
  change(seen);
  return checkHistory(seen, [seen.entries]).join("\n");
}

describe("a history of clients", () => {
  test("that is sound passes", () =>
    assert.equal(
      wrongs(() => {}),
      "",
    ));

  const plants: readonly [string, RegExp, (seen: ReturnType<typeof sound>) => void][] = [
    [
      "an answered update that is lost",
      /add 14 was answered and is not there/,
      (seen) => {
        seen.updates[3] = add(14n, 4, 35, 50);
        seen.entries.pop();
      },
    ],
    ["an update executed twice", /add 12 is there 2 times/, ({ entries }) => entries.push(12n)],
    ["an unanswered update executed twice", /add 14 is there 2 times/, ({ entries }) => entries.push(14n)],
    ["an entry of nobody", /entry 99 was sent by nobody/, ({ entries }) => entries.push(99n)],
    [
      "an update told another place",
      /add 11 was told place 2 and is at 1/,
      ({ updates }) => {
        (updates[0] as Update).value = 2;
      },
    ],
    [
      "two orders",
      /add 12 was told place 3 and is at 2/,
      ({ updates }) => {
        (updates[1] as Update).value = 3;
        (updates[2] as Update).value = 2;
      },
    ],
    [
      "an update before one that had ended",
      /add 12 .* was answered before add 11 .* was sent/,
      ({ updates }) => {
        updates[0] = add(11n, 1, 50, 60);
      },
    ],
    [
      "an unanswered update that was sent too late to be there",
      /add 13 .* was answered before add 12/,
      ({ updates }) => {
        updates[1] = add(12n, null, 45, null);
      },
    ],
    [
      "a length that misses an answered update",
      /add 12 .* was answered before length/,
      ({ updates }) => {
        updates.push(length(1, 45, 55));
      },
    ],
    [
      "a length from the future",
      /length .* was answered before add 14/,
      ({ updates }) => {
        updates.push(length(4, 30, 33));
      },
    ],
    [
      "lengths that shrink",
      /length \(value 3\) was answered before length \(value 2\)/,
      ({ updates }) => {
        updates.push(length(2, 61, 70));
      },
    ],
    [
      "a certified read of the future",
      /certified read of length 4 .* was answered before add 14/,
      ({ reads }) => {
        reads.push(read(4, 60n, 34, 3));
      },
    ],
    [
      "a certified read of another list",
      /certified read of length 1 is of another list/,
      ({ reads }) => {
        reads[1] = { ...(reads[1] as CertifiedRead), hash: 5n };
      },
    ],
    [
      "certified times and lengths that cross",
      /at time 50 2 entries are certified, after add 13 showed 3 at 30/,
      ({ reads }) => {
        reads.push(read(2, 50n, 60, 3));
      },
    ],
    [
      "a certificate that misses what one before it answered",
      /at time 30 2 entries are certified, after add 13 showed 3 at 30/,
      ({ reads }) => {
        reads[3] = read(2, 30n, 46, 2);
      },
    ],
    [
      "one time with two lengths",
      /at time 41 3 entries are certified, after a certified read showed 4 at 41/,
      ({ reads }) => {
        reads.push(read(4, 41n, 47, 3));
      },
    ],
    [
      "a client shown an older state",
      /client 1 read length 1 at 12 after 3 at 41/,
      ({ reads }) => {
        reads.push(read(1, 12n, 90));
      },
    ],
  ];
  for (const [what, expected, plant] of plants)
    test(`with ${what} is noticed`, () => assert.match(wrongs(plant), expected));
});
