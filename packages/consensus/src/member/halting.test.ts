/**
 * A subnet goes on from a summary at which it was to halt: the summary's package may be there before any block knows its state as certified, and
 * members that go on from it, with nothing of the blocks before, have to judge blocks that do not know it either.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type BlockPayload, type Height, type NodeId, toHex } from "@orrery/base";
import { blockHash } from "../step.ts";
import { encodeSummary } from "../summary-codec.ts";
import type { Proposal } from "./artifacts.ts";
import { Pool, tipOf } from "./pool.ts";
import { checkBlock, type ValidationView } from "./validate.ts";

const HEIGHT = 45;
const NODE = new Uint8Array(29).fill(1) as Uint8Array as NodeId;
const RECORD = { members: [NODE, NODE, NODE, NODE], intervalLength: 20, halts: false };
const KEYS = { low: Uint8Array.of(1), high: Uint8Array.of(2) };
const EPOCH = { registryVersion: 1, members: RECORD.members, transcripts: KEYS };

const NOTHING = new Uint8Array(32);
const EMPTY: BlockPayload = { ingress: [] };
const FULL: BlockPayload = { ingress: [new Uint8Array(8)] };

function blockAt(height: Height, parent: Uint8Array, certifiedHeight: Height, payload: BlockPayload): Block {
  const context = { registryVersion: 2, certifiedHeight, time: BigInt(height) };
  return { version: 1, parent, height, rank: 0, context, payload };
}

function proposalOf(block: Block): Proposal {
  return { kind: "proposal", block, hash: blockHash(block), signer: 0, signature: NOTHING };
}

/** The block of the summary, and a pool that has it: as where a package begins, or with the blocks before. */
function poolAt({ halts, hasBefore, upgrades = false }: Pick<Judged, "halts" | "hasBefore" | "upgrades">): {
  readonly pool: Pool;
  readonly hash: Uint8Array;
} {
  const versions = upgrades ? ({ replicaVersion: "2.0.0", upgrades } as const) : {};
  const summary = { length: 20, nextLength: 20, halts, ...versions, current: EPOCH, next: null };
  const before = { height: HEIGHT - 5, hash: NOTHING, time: 1n, certifiedHeight: 0, registryVersion: 1 };
  const made = blockAt(HEIGHT, NOTHING, HEIGHT - 3, { ingress: [], summary: encodeSummary(summary) });
  const proposal = proposalOf(made);
  const { hash } = proposal;
  if (!hasBefore) return { pool: new Pool({ tip: tipOf(made), beacon: NOTHING, summary }), hash };
  const pool = new Pool({ tip: before, beacon: NOTHING });
  pool.round(HEIGHT).proposals.set(toHex(hash), proposal);
  pool.addNotarization({ kind: "notarization", height: HEIGHT, hash, signatures: [] });
  return { pool, hash };
}

interface Judged {
  readonly halts: boolean;
  readonly hasBefore: boolean;
  readonly certifiedHeight: Height;
  readonly payload: BlockPayload;
  /** Members never change. */
  readonly isFixed?: boolean;
  /** What comes after the summary is for another version than before it. */
  readonly upgrades?: boolean;
  /** It is this program's. */
  readonly isOwn?: boolean;
}

/** Of the block above the summary, where the registry lets the subnet go on. */
function verdictOf(judged: Judged): unknown {
  const { certifiedHeight, payload, isFixed = false, isOwn = true } = judged;
  const { pool, hash } = poolAt(judged);
  pool.certifiedHeight = HEIGHT;
  const view = {
    pool,
    environment: {
      registryVersion: () => 2,
      ...(isFixed ? {} : { intervals: { record: () => RECORD, runs: () => isOwn } }),
      payloads: { judge: () => ({ kind: "valid" }) },
    },
    now: 1_000n,
    executed: HEIGHT,
    schedule: { startOf: () => HEIGHT, isSummary: () => false },
    isVouchedFor: () => false,
  } as unknown as ValidationView;
  return checkBlock(view, proposalOf(blockAt(HEIGHT + 1, hash, certifiedHeight, payload)));
}

test("who goes on from a package takes blocks that order nothing, whatever they know as certified", () => {
  for (const halts of [true, false])
    for (const certifiedHeight of [HEIGHT - 1, HEIGHT])
      assert.equal(verdictOf({ halts, hasBefore: false, certifiedHeight, payload: EMPTY }), "valid");
});

test("after a summary that halts a block orders nothing before it knows the summary's state as certified", () => {
  const invalid = { invalid: "it orders something while the subnet halts" };
  const full = { hasBefore: true, payload: FULL };
  assert.deepEqual(verdictOf({ ...full, halts: true, certifiedHeight: HEIGHT - 1 }), invalid);
  assert.equal(verdictOf({ ...full, halts: true, certifiedHeight: HEIGHT }), "valid");
  assert.equal(verdictOf({ ...full, halts: false, certifiedHeight: HEIGHT - 1 }), "valid");
});

test("after a summary that upgrades only the next program orders something, and not before the summary's state is certified", () => {
  const invalid = { invalid: "it orders something while the subnet halts" };
  const [below, at] = [{ certifiedHeight: HEIGHT - 1 }, { certifiedHeight: HEIGHT }];
  for (const hasBefore of [true, false]) {
    const judged = { halts: false, upgrades: true, hasBefore };
    for (const isOwn of [true, false])
      assert.equal(verdictOf({ ...judged, ...below, isOwn, payload: EMPTY }), "valid");
    assert.equal(verdictOf({ ...judged, ...at, payload: FULL }), "valid");
    // Its maker may have the package already.
    assert.equal(verdictOf({ ...judged, ...at, isOwn: false, payload: FULL }), "later");
  }
  const full = { halts: false, upgrades: true, hasBefore: true, payload: FULL };
  for (const isOwn of [true, false]) assert.deepEqual(verdictOf({ ...full, ...below, isOwn }), invalid);
});

test("where members never change no block has a summary or dealings", () => {
  const fixed = { halts: false, hasBefore: true, certifiedHeight: HEIGHT, isFixed: true };
  const invalid = { invalid: "it deals keys or changes members where these never change" };
  assert.equal(verdictOf({ ...fixed, payload: FULL }), "valid");
  for (const more of [{ summary: Uint8Array.of(1) }, { dealings: [] }])
    assert.deepEqual(verdictOf({ ...fixed, payload: { ...EMPTY, ...more } }), invalid);
});
