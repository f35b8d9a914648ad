/** What a node says of intervals that ended without keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Height, NodeId } from "@orrery/base";
import { type DealtKeys, encodeDealing, encodeSummary, type SubnetRecord } from "@orrery/consensus/member";
import { KeyRuns } from "./key-runs.ts";

const LENGTH = 20;
const MEMBERS = [1, 2, 3, 4, 5, 6, 7].map((n) => new Uint8Array(29).fill(n) as Uint8Array as NodeId);
const epochAt = (registryVersion: number) => ({
  registryVersion,
  members: MEMBERS,
  transcripts: { low: Uint8Array.of(1), high: Uint8Array.of(2) },
});
const RECORD: SubnetRecord = { members: MEMBERS, intervalLength: LENGTH, halts: false };
/** From the second version on there is to be a third subnet. */
const record = (version: number): SubnetRecord =>
  version === 1 ? RECORD : { ...RECORD, planned: [{ subnet: 2, members: MEMBERS }] };

type Seen = Pick<Block, "height" | "payload" | "context">;
interface Closing {
  readonly hasKeys?: boolean;
  readonly created?: readonly number[];
}

const contextOf = (registryVersion: number): Block["context"] => ({
  registryVersion,
  certifiedHeight: 0,
  time: 1n,
});

function summaryBlock(height: Height, { hasKeys = true, created }: Closing, version = 2): Seen {
  const summary = encodeSummary({
    length: LENGTH,
    nextLength: LENGTH,
    halts: false,
    current: epochAt(1),
    next: hasKeys ? epochAt(1) : null,
    ...(created === undefined ? {} : { created }),
  });
  return { height, payload: { ingress: [], summary }, context: contextOf(version) };
}

function dealt(height: Height, keys: DealtKeys, signer: number): Seen {
  const nothing = new Uint8Array(0);
  const dealing = encodeDealing({
    kind: "dealing",
    height: 1,
    keys,
    signer,
    dealing: nothing,
    signature: nothing,
  });
  return { height, payload: { ingress: [], dealings: [dealing] }, context: contextOf(1) };
}

/** Of seven members: eight dealings for their own keys, ten for a subnet. */
class Watched {
  readonly said: Record<string, unknown>[] = [];
  readonly runs: KeyRuns = new KeyRuns({
    registry: { record },
    first: epochAt(1),
    firstLength: LENGTH,
    logger: {
      log: (level, _text, data) => {
        assert.equal(level, "warn");
        this.said.push(data ?? {});
      },
    } as ConstructorParameters<typeof KeyRuns>[0]["logger"],
  });

  /** The blocks of an interval from `start` on: so many with a dealing, and its end. */
  interval(start: Height, keys: readonly DealtKeys[], closing: Closing): void {
    for (let i = 1; i < LENGTH; i++) {
      const next = keys[i - 1];
      const empty: Seen = { height: start + i, payload: { ingress: [] }, context: contextOf(1) };
      this.runs.heard(next === undefined ? empty : dealt(start + i, next, i));
    }
    this.runs.heard(summaryBlock(start + LENGTH, closing));
  }
}

const many = (keys: DealtKeys, count: number): readonly DealtKeys[] =>
  Array.from({ length: count }, () => keys);
const OWN = [...many("low", 3), ...many("high", 5)];

test("an interval that is too short for a subnet that is created is told of until it is there", () => {
  const watched = new Watched();
  const { runs, said } = watched;
  // The registry plans no subnet in the first one.
  watched.interval(0, OWN, {});
  assert.deepEqual([runs.unfinished, said], [[], []]);
  watched.interval(20, [...OWN, ...many("remote_high", 4)], {});
  const unfinished = {
    creates: 2,
    intervals: 1,
    dealings: 4,
    dealings_needed: 10,
    interval_length: LENGTH,
    interval_needed: 28,
  };
  assert.deepEqual(runs.unfinished, [unfinished]);
  watched.interval(40, [...OWN, ...many("remote_high", 5)], {});
  assert.deepEqual(runs.unfinished, [{ ...unfinished, intervals: 2, dealings: 5 }]);
  assert.deepEqual(
    said.map(({ dealings, interval_needed: needed, whose }) => [dealings, needed, whose]),
    [
      [4, 28, 2],
      [5, 28, 2],
    ],
  );
  watched.interval(60, [], { created: [2] });
  assert.deepEqual(runs.unfinished, []);
  watched.interval(80, many("low", 3), { hasKeys: false, created: [2] });
  assert.deepEqual(runs.unfinished, [
    { ...unfinished, creates: null, dealings: 3, dealings_needed: 8, interval_needed: 13 },
  ]);
});

test("of an interval whose blocks were not all seen nothing is said", () => {
  const { runs, said } = new Watched();
  runs.heard(summaryBlock(500, { hasKeys: false }));
  runs.heard(dealt(501, "low", 0));
  runs.heard(dealt(510, "low", 1));
  runs.heard(summaryBlock(520, { hasKeys: false }));
  assert.deepEqual([runs.unfinished, said], [[], []]);
  runs.heard(dealt(521, "low", 0));
  runs.heard(summaryBlock(522, { hasKeys: false, created: [2] }));
  assert.deepEqual(
    runs.unfinished.map(({ creates, dealings }) => [creates, dealings]),
    [[null, 1]],
  );
});
