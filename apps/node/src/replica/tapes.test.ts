/** Tapes of intervals that are over, each by its own interval's key. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes, type Height, type NodeId, utf8 } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import { type Epoch, encodeSummary, thresholdContent } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { type Made, make, NOTHING, nodes, ORIGIN, sign, subnetId } from "./chain.testkit.ts";
import { Tapes } from "./tapes.ts";

const LENGTH = 5;
const PER_ANSWER = 2;

const epoch = (low: string): Epoch => ({
  registryVersion: 1,
  members: nodes.map(({ nodeId }): NodeId => nodeId),
  transcripts: { low: utf8(low), high: utf8("high") },
});
const tape = (key: string, height: Height): Uint8Array =>
  sha256(utf8(key), thresholdContent("tape", subnetId, height, NOTHING));
const summary = (low: string): Uint8Array =>
  encodeSummary({ length: LENGTH, nextLength: LENGTH, halts: false, current: epoch(low), next: null });

/** This node's own blocks, with a summary where one is named. */
function log(length: number, summaries: ReadonlyMap<Height, string>): readonly Made[] {
  const made: Made[] = [];
  for (let height = 1; height <= length; height++) {
    const named = summaries.get(height);
    const parent = height === 1 ? ORIGIN : blockHash((made.at(-1) as Made).block);
    made.push(make(height, parent, 0, named === undefined ? {} : { summary: summary(named) }));
  }
  return made;
}

/** The log's newest block is there when it was asked for so often. */
function judge(blocks: readonly Made[], lowest: Height = 1, late = 0): Tapes {
  let asked = 0;
  return new Tapes({
    subnetId,
    verify: (key, message, signature) => equalBytes(signature, sha256(key, message)),
    first: { epoch: epoch("first"), length: LENGTH },
    keyIn: (transcript) => transcript,
    blocks: async (from) =>
      asked++ < late
        ? []
        : blocks
            .slice(Math.max(lowest - 1, from - PER_ANSWER), from)
            .reverse()
            .map(({ record }) => record),
  });
}

test("by the key of the interval in which the node's own log ends, and of those whose summaries come", async () => {
  const tapes = judge(log(8, new Map([[5, "second"]])));
  await tapes.beginAfter(8);
  assert.equal(tapes.isRight(9, tape("second", 9)), true);
  assert.equal(tapes.isRight(9, tape("second", 8)), false, "another height's");
  assert.equal(tapes.isRight(9, tape("first", 9)), false, "another interval's");
  assert.equal(tapes.isRight(9, sign("low", NOTHING)), false);
  assert.equal(tapes.isRight(10, tape("second", 10)), null, "of the next interval, which nobody named");
  tapes.learn(10, { length: LENGTH, current: epoch("third") });
  assert.equal(tapes.isRight(10, tape("third", 10)), true);
});

test("a log without a summary is of the first interval; one that does not reach back says nothing", async () => {
  const blocks = log(3, new Map());
  const first = judge(blocks);
  await first.beginAfter(3);
  assert.equal(first.isRight(4, tape("first", 4)), true);
  const cut = judge(blocks, 2);
  await cut.beginAfter(3);
  assert.equal(cut.isRight(4, tape("first", 4)), null);
  const late = judge(blocks, 1, 3);
  await late.beginAfter(3);
  assert.equal(late.isRight(4, tape("first", 4)), true, "once what was just made is there");
});
