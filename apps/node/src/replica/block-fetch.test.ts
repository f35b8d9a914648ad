/** A chain that nobody is believed for: whatever peers tell, what is taken ends at the block that a quorum signed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, equalBytes, type NodeId, type SubnetId, utf8 } from "@orrery/base";
import { blockHash, encodeFinalizedBlock } from "@orrery/consensus";
import { proposalContent, thresholdContent } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { BlockFetch } from "./block-fetch.ts";

const subnetId = new Uint8Array(29).fill(7) as Uint8Array as SubnetId;
const nodes = [1, 2, 3, 4].map((n) => ({ nodeId: new Uint8Array(29).fill(n) as Uint8Array as NodeId }));
const ORIGIN = new Uint8Array(32);
const NOTHING = new Uint8Array(0);

/** Signatures of the test: hashes of who and what. */
const sign = (who: string, message: Uint8Array): Uint8Array => sha256(utf8(who), message);
const crypto = {
  verify: (signer: number, message: Uint8Array, signature: Uint8Array) =>
    equalBytes(signature, sign(`${signer}`, message)),
  verifyWhole: (keys: string, message: Uint8Array, signature: Uint8Array) =>
    equalBytes(signature, sign(keys, message)),
};

interface Made {
  readonly block: Block;
  readonly record: Uint8Array;
}

function make(height: number, parent: Uint8Array, content: number, tape?: Uint8Array): Made {
  const block: Block = {
    version: 1,
    parent,
    height,
    rank: 0,
    context: { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) },
    payload: { ingress: [Uint8Array.of(content)] },
  };
  const maker = height % nodes.length;
  const record = encodeFinalizedBlock({
    proposal: {
      block,
      signer: (nodes[maker] as { nodeId: NodeId }).nodeId,
      signature: sign(`${maker}`, proposalContent(subnetId, height, blockHash(block))),
    },
    tape: tape ?? sign("low", thresholdContent("tape", subnetId, height, NOTHING)),
  });
  return { block, record };
}

function chain(length: number, content = 0): readonly Made[] {
  const made: Made[] = [];
  for (let height = 1; height <= length; height++)
    made.push(make(height, height === 1 ? ORIGIN : blockHash((made.at(-1) as Made).block), content));
  return made;
}

const blocks = chain(10);
const goal = (blocks[9] as Made).block;

function fetchTo(block: Block = goal): BlockFetch {
  const catchUp = { height: block.height, block, stateHash: NOTHING };
  return new BlockFetch({ tip: { height: 0, hash: ORIGIN }, catchUp, subnetId, nodes, crypto });
}

const records = (from: number, to: number): readonly Uint8Array[] =>
  blocks.slice(from - 1, to).map(({ record }) => record);

test("the chain is whole once the package's block is its end, and not before", () => {
  const fetch = fetchTo();
  assert.equal(fetch.take(records(1, 4)), null);
  assert.equal(fetch.next, 5);
  // What does not go on there is left out, and asked for again.
  assert.equal(fetch.take(records(7, 10)), null);
  assert.equal(fetch.take([]), null);
  assert.equal(fetch.take([Uint8Array.of(1)]), null);
  assert.equal(fetch.next, 5);
  const taken = fetch.take(records(5, 10));
  assert.deepEqual(
    taken?.map(({ proposal }) => proposal.block),
    blocks.map(({ block }) => block),
  );
});

test("another chain, of whoever signed it, is thrown away at its end", () => {
  const fetch = fetchTo();
  assert.equal(fetch.take(chain(10, 1).map(({ record }) => record)), null);
  assert.equal(fetch.next, 1);
  assert.equal(fetch.take(records(1, 10))?.length, 10);
});

test("a block whose maker did not sign it, or with another height's tape, is not taken", () => {
  const [first] = blocks as readonly [Made, ...Made[]];
  const otherTape = sign("low", thresholdContent("tape", subnetId, 2, NOTHING));
  const fetch = fetchTo();
  assert.equal(fetch.take([make(1, ORIGIN, 0, otherTape).record]), null);
  assert.equal(fetch.next, 1);
  const stolen = encodeFinalizedBlock({
    proposal: {
      block: first.block,
      signer: (nodes[0] as { nodeId: NodeId }).nodeId,
      signature: sign("1", proposalContent(subnetId, 1, blockHash(first.block))),
    },
    tape: sign("low", thresholdContent("tape", subnetId, 1, NOTHING)),
  });
  assert.equal(fetch.take([stolen]), null);
  assert.equal(fetch.next, 1);
});
