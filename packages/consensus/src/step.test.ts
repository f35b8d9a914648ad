/** Chains of one member: continuity, monotone time, replay, refusal of broken chains. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Batch, type CanisterId, type NodeId, OrreryError, type Principal } from "@orrery/base";
import fc from "fast-check";
import {
  batchOf,
  decodeFinalizedBlock,
  encodeFinalizedBlock,
  initialConsensus,
  replay,
  step,
} from "./step.ts";
import { encodeSummary } from "./summary-codec.ts";
import type { ConsensusEffect, ConsensusState } from "./types.ts";

const config = { subnetId: Uint8Array.of(1) as Principal, nodeId: Uint8Array.of(2) as Principal };

/** Drives one round, signing with a labelled stand-in: the message itself. */
function round(
  state: ConsensusState,
  now: bigint,
  ingress: Uint8Array[],
): { record: Uint8Array; batch: Batch } {
  const counts = { calls: 1n, instructions: 2n, requestBytes: 3n, responseBytes: now };
  const queryStats = [{ canisterId: new Uint8Array(10) as CanisterId, ...counts }];
  const odd = { ingress, queryStats, holdsLong: true } as const;
  const builder = { buildPayload: () => (now % 2n === 0n ? { ingress } : odd) };
  const queue: ConsensusEffect[] = step(state, {
    kind: "make_block",
    now,
    certifiedHeight: 0,
    registryVersion: 1,
    builder,
  });
  let record: Uint8Array | null = null;
  let batch: Batch | null = null;
  for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
    if (effect.kind === "sign") {
      const { purpose, height, message } = effect;
      queue.push(...step(state, { kind: "signed", purpose, height, signature: message }));
    } else if (effect.kind === "persist") record = effect.record;
    else batch = effect.batch;
  }
  assert(record !== null && batch !== null);
  return { record, batch };
}

test("any clock yields consecutive heights and strictly increasing times, and replays to the same batches", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ now: fc.bigInt(0n, 1000n), data: fc.uint8Array({ maxLength: 20 }) })),
      (rounds) => {
        const live = initialConsensus(config, 500n);
        const again = initialConsensus(config, 500n);
        let last = { height: 0, time: 500n };
        for (const { now, data } of rounds) {
          const { record, batch } = round(live, now, [data]);
          assert.equal(batch.height, last.height + 1);
          assert(batch.time > last.time);
          const finalized = decodeFinalizedBlock(record);
          assert.deepEqual(encodeFinalizedBlock(finalized), record);
          replay(again, finalized);
          assert.deepEqual(batchOf(finalized), batch);
          assert.equal(batch.queryStats?.[0]?.responseBytes, now % 2n === 0n ? undefined : now);
          assert.equal(batch.holdsLong, now % 2n === 0n ? undefined : true);
          assert.deepEqual(again.tip, live.tip);
          last = batch;
        }
      },
    ),
  );
});

test("the summary of an interval says who the nodes are, where these are not the genesis'", () => {
  const { proposal, tape } = decodeFinalizedBlock(round(initialConsensus(config, 0n), 10n, []).record);
  const members = [Uint8Array.of(3), Uint8Array.of(4)] as unknown as NodeId[];
  const nodesOf = (publicKeys?: readonly Uint8Array[]): Batch["nodes"] => {
    const transcripts = { low: Uint8Array.of(5), high: Uint8Array.of(6) };
    const current = { registryVersion: 2, members, transcripts };
    const summary = encodeSummary({
      length: 9,
      nextLength: 9,
      halts: false,
      current: publicKeys === undefined ? current : { ...current, publicKeys },
      next: null,
    });
    const { block } = proposal;
    return batchOf({
      proposal: { ...proposal, block: { ...block, payload: { ingress: [], summary } } },
      tape,
    }).nodes;
  };
  assert.equal(nodesOf(), undefined);
  assert.deepEqual(nodesOf([Uint8Array.of(7), Uint8Array.of(8)]), [
    { nodeId: Uint8Array.of(3), publicKey: Uint8Array.of(7) },
    { nodeId: Uint8Array.of(4), publicKey: Uint8Array.of(8) },
  ]);
});

test("a second block is not begun while one is pending, and foreign signatures change nothing", () => {
  const state = initialConsensus(config, 0n);
  const input = {
    kind: "make_block",
    now: 1n,
    certifiedHeight: 0,
    registryVersion: 1,
    builder: { buildPayload: () => ({ ingress: [] }) },
  } as const;
  assert.equal(step(state, input).length, 2);
  assert.deepEqual(step(state, input), []);
  assert.deepEqual(
    step(state, { kind: "signed", purpose: "tape", height: 7, signature: new Uint8Array(1) }),
    [],
  );
});

test("replay refuses gaps, other parents and time that stands still", () => {
  const live = initialConsensus(config, 0n);
  const first = decodeFinalizedBlock(round(live, 10n, []).record);
  const second = decodeFinalizedBlock(round(live, 20n, []).record);
  const broken = (error: unknown): boolean => error instanceof OrreryError && error.code === "chain_broken";
  assert.throws(() => replay(initialConsensus(config, 0n), second), broken);
  const other = initialConsensus(config, 0n);
  round(other, 11n, []);
  assert.throws(() => replay(other, second), broken);
  assert.throws(() => replay(initialConsensus(config, 10n), first), broken);
});
