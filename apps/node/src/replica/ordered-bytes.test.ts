/** What blocks may order between catch-up packages: never more than members can offer each other, and never nothing for long. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  RESPONSE_BYTES_PER_BLOCK_MAX,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import { ARTIFACT_BYTES_MAX } from "./channels.ts";
import { type IntervalOf, OrderedBytes, type Section } from "./ordered-bytes.ts";

const MIB = 1024 * 1024;
const every =
  (length: number): IntervalOf =>
  (height) => ({ start: height - (height % length), length });
/** Heights that are offered beside those of the interval: below its package, and above the next one, which is not there yet. */
const BELOW = 50;
const ABOVE = 130;
/** Statistics of queries, votes and signatures, of all of them. */
const OTHERS_BYTES = 100 * MIB;
const BLOCK_MAX: Readonly<Record<Section, number>> = {
  ingress: BLOCK_PAYLOAD_BYTES_MAX,
  xnet: XNET_BYTES_PER_BLOCK_MAX,
  responses: RESPONSE_BYTES_PER_BLOCK_MAX,
};

/** As long as it is asked to be, without its bytes. */
const sized = (length: number): Uint8Array => ({ length }) as Uint8Array;

/** Of blocks that are as large as they may be from a height on, the bytes of each, by height. */
function flood(interval: number, from: number, to: number): readonly number[] {
  const ordered = new OrderedBytes(every(interval));
  const totals: number[] = [];
  for (let height = 1; height <= to; height++) {
    const context = { height, certifiedHeight: height - 1, past: [] };
    const take = (section: Section): number =>
      height < from ? 0 : Math.min(BLOCK_MAX[section], ordered.left(section, context));
    const [ingress, xnet, answers] = [take("ingress"), take("xnet"), take("responses")];
    const response = { outcall: 1, spent: 0n, content: { kind: "reply" as const, data: sized(answers) } };
    ordered.add(height, { ingress: [sized(ingress)], xnet: [sized(xnet)], responses: [response] });
    totals[height] = ingress + xnet + answers;
  }
  return totals;
}

test("all that is offered at once has room among artifacts, whenever blocks begin to be full", () => {
  for (const interval of [2, 5, 20, 500]) {
    const package_ = interval * Math.ceil(BELOW / interval);
    const top = package_ + interval + ABOVE;
    for (let from = 1; from <= top; from += Math.max(1, Math.floor(interval / 5))) {
      const offered = flood(interval, from, top)
        .slice(package_ - BELOW)
        .reduce((sum, bytes) => sum + bytes, 0);
      assert.ok(offered + OTHERS_BYTES <= ARTIFACT_BYTES_MAX, `${offered} of ${interval} from ${from}`);
    }
  }
});

test("a flood gets less, and the longest message has room again after some heights", () => {
  const interval = 500;
  const ordered = new OrderedBytes(every(interval));
  for (let height = 1; height <= 100; height++) {
    const left = ordered.left("ingress", { height, certifiedHeight: height - 1, past: [] });
    assert.ok(left > 100_000, `${left} at ${height}`);
    ordered.add(height, { ingress: [sized(Math.min(BLOCK_PAYLOAD_BYTES_MAX, left))] });
  }
  const later = ordered.left("ingress", { height: 130, certifiedHeight: 129, past: [] });
  assert.ok(later > 3.5 * MIB, `${later}`);
  // The next interval has its own room.
  assert.ok(
    ordered.left("ingress", { height: interval + 1, certifiedHeight: 100, past: [] }) >
      BLOCK_PAYLOAD_BYTES_MAX,
  );
});

test("what is certified, what is not yet, and what was told twice count alike", () => {
  const payloads: readonly BlockPayload[] = Array.from({ length: 12 }, (_, i) => ({
    ingress: [sized(1_000 * (i + 1))],
  }));
  const lefts = [4, 7, 10, 11].map((certifiedHeight) => {
    const ordered = new OrderedBytes(every(5));
    // Heights 1 to 5 are behind the catch-up height.
    for (let height = 6; height <= 11; height++) ordered.add(height, payloads[height] as BlockPayload);
    for (let height = 6; height <= 8; height++) ordered.add(height, payloads[height] as BlockPayload);
    const past = payloads.slice(certifiedHeight + 1, 12).reverse();
    return ordered.left("ingress", { height: 12, certifiedHeight, past });
  });
  assert.equal(new Set(lefts).size, 1, `${lefts}`);
  const empty = new OrderedBytes(every(5)).left("ingress", { height: 12, certifiedHeight: 11, past: [] });
  assert.equal(empty - (lefts[0] as number), payloads[11]?.ingress[0]?.length);
});
