/** What dealings cost: the blocks of an interval are looked at once, however long it is, and carry no more than its keys take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type Height, type NodeId, type SubnetId, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import type { DealingArtifact } from "./artifacts.ts";
import { dealingKey, dealingsFor, encodeDealing, judgeDealings } from "./dealings.ts";
import { Pool } from "./pool.ts";
import type { IntervalContext } from "./summary.ts";
import type { DealtKeys } from "./types.ts";

const SIGNATURE = new Uint8Array(32);
const NODE = new Uint8Array(29).fill(1) as Uint8Array as NodeId;
const KEYS = { low: Uint8Array.of(1), high: Uint8Array.of(2) };
const RECORD = { members: [NODE, NODE, NODE, NODE], intervalLength: 499, halts: false };
const EPOCH = { registryVersion: 1, members: RECORD.members, transcripts: KEYS };
const INTERVAL: IntervalContext = {
  start: 0,
  summary: { length: 499, nextLength: 499, halts: false, current: EPOCH, next: null },
  registryVersion: 1,
};

/** Counts the blocks that are looked at. */
class CountingPool extends Pool {
  looked = 0;

  override *descend(height: Height, hash: Uint8Array, floor: Height): Generator<Block, void> {
    for (const block of super.descend(height, hash, floor)) {
      this.looked++;
      yield block;
    }
  }
}

function dealingOf(signer: number, keys: DealtKeys = "low"): DealingArtifact {
  const dealing = new Uint8Array(100).fill(signer);
  return { kind: "dealing", height: 1, keys, signer, dealing, signature: SIGNATURE };
}

function blockOn(parent: Uint8Array, height: Height, dealings: readonly Uint8Array[]): Block {
  const context = { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) };
  const payload = dealings.length === 0 ? { ingress: [] } : { ingress: [], dealings };
  return { version: 1, parent, height, rank: 0, context, payload };
}

test("each block of an interval is looked at once for the dealings that are in its chain", () => {
  const genesis = new Uint8Array(32);
  const tip = { height: 0, hash: genesis, time: 0n, certifiedHeight: 0, registryVersion: 1 };
  const pool = new CountingPool({ tip, beacon: genesis, summary: INTERVAL.summary });
  const crypto = { verify: () => true };
  const environment = {
    config: { subnetId: NODE as Uint8Array as SubnetId },
    intervals: { record: () => RECORD, dkg: { verifyDealing: () => true } },
  };
  const schedule = { at: () => ({ members: 4, self: 0, crypto }) };
  const view = { pool, environment, schedule } as unknown as Parameters<typeof dealingsFor>[0];
  for (const signer of [0, 1]) pool.round(1).dealings.set(dealingKey("low", signer), dealingOf(signer));
  let height = 0;
  let hash: Uint8Array = genesis;
  const add = (dealings: readonly Uint8Array[]): void => {
    const block = blockOn(hash, ++height, dealings);
    hash = blockHash(block);
    const proposal = { kind: "proposal", block, hash, signer: 0, signature: SIGNATURE } as const;
    pool.round(height).proposals.set(toHex(hash), proposal);
  };
  for (let i = 0; i < 100; i++) {
    const wanted = dealingsFor(view, INTERVAL, { height, hash });
    // One fits into a block; the other one's makers are late.
    const next = height === 0 ? [0] : height <= 50 ? [1] : [];
    assert.deepEqual(
      wanted,
      next.map((signer) => encodeDealing(dealingOf(signer))),
    );
    add(height === 0 || height === 50 ? wanted : []);
  }
  assert.ok(pool.looked <= 2 * height, `${pool.looked} blocks are looked at`);

  const tipNow = { height, hash };
  pool.looked = 0;
  assert.equal(judgeDealings(view, INTERVAL, tipNow, []), "valid");
  assert.equal(pool.looked, 0);
  assert.equal(judgeDealings(view, INTERVAL, tipNow, [encodeDealing(dealingOf(2, "high"))]), "valid");
  const surplus = judgeDealings(view, INTERVAL, tipNow, [encodeDealing(dealingOf(2))]);
  assert.deepEqual(surplus, { invalid: "it has a dealing more than its keys take" });
  const twice = judgeDealings(view, INTERVAL, tipNow, [encodeDealing(dealingOf(1))]);
  assert.deepEqual(twice, { invalid: "it has a dealing twice" });
});
