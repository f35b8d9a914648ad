/** A chain that nobody is believed for: whatever peers tell, what is taken ends at the block that a quorum signed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, NodeId } from "@orrery/base";
import { blockHash, encodeFinalizedBlock } from "@orrery/consensus";
import { proposalContent, thresholdContent } from "@orrery/consensus/member";
import { BlockFetch } from "./block-fetch.ts";
import { chain, crypto, type Made, make, NOTHING, nodes, ORIGIN, sign, subnetId } from "./chain.testkit.ts";

const blocks = chain(10);
const goal = (blocks[9] as Made).block;

function fetchTo(block: Block = goal, hash: Uint8Array = ORIGIN): BlockFetch {
  return new BlockFetch({
    tip: { height: 0, hash },
    catchUp: { height: block.height, block },
    subnetId,
    nodes,
    crypto,
  });
}

/** From a height on down. */
const records = (from: number, to: number, made = blocks): readonly Uint8Array[] =>
  made
    .slice(to - 1, from)
    .map(({ record }) => record)
    .reverse();

test("from the package's block down to the tip: the chain is whole then, and not before", () => {
  const fetch = fetchTo();
  assert.deepEqual(fetch.take(records(10, 7)), { kind: "more" });
  assert.equal(fetch.next, 6);
  assert.deepEqual(fetch.take([]), { kind: "more" });
  assert.equal(fetch.next, 6);
  const taken = fetch.take(records(6, 1));
  assert.deepEqual(
    taken.kind === "whole" ? taken.blocks.map(({ proposal }) => proposal.block) : taken,
    blocks.map(({ block }) => block).reverse(),
  );
});

test("another chain is known by its first block, of whoever signed it", () => {
  const fetch = fetchTo();
  const other = chain(10, 1);
  assert.equal(fetch.take(records(10, 1, other)).kind, "lie");
  assert.equal(fetch.next, 10);
  // What was right before it stays.
  assert.equal(fetch.take([...records(10, 6), ...records(5, 1, other)]).kind, "lie");
  assert.equal(fetch.next, 5);
  assert.equal(fetch.take([Uint8Array.of(1)]).kind, "lie");
  assert.equal(fetch.take(records(4, 1)).kind, "lie");
  assert.equal(fetch.take(records(5, 1)).kind, "whole");
});

test("a block whose maker did not sign it, or with another height's tape, is not taken", () => {
  const [first] = blocks as readonly [Made, ...Made[]];
  const otherTape = sign("low", thresholdContent("tape", subnetId, 2, NOTHING));
  const fetch = fetchTo(first.block);
  assert.equal(fetch.take([make(1, ORIGIN, 0, { tape: otherTape }).record]).kind, "lie");
  const stolen = encodeFinalizedBlock({
    proposal: {
      block: first.block,
      signer: (nodes[0] as { nodeId: NodeId }).nodeId,
      signature: sign("1", proposalContent(subnetId, 1, blockHash(first.block))),
    },
    tape: sign("low", thresholdContent("tape", subnetId, 1, NOTHING)),
  });
  assert.equal(fetch.take([stolen]).kind, "lie");
  assert.equal(fetch.next, 1);
  assert.equal(fetch.take([first.record]).kind, "whole");
});

test("a package whose chain does not come from the tip is no lie of peers", () => {
  assert.deepEqual(fetchTo(goal, new Uint8Array(32).fill(9)).take(records(10, 1)), { kind: "elsewhere" });
});
