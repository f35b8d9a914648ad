/** Simulated subnets with real keys: the subnet's own key stays while members, and all shares, change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { equalBytes } from "@orrery/base";
import { type Summary, thresholdContent } from "@orrery/consensus/member";
import { stateRootMessage } from "@orrery/crypto";
import { decodeTranscript, publicKeyOf } from "@orrery/crypto/dkg";
import { createMclBls } from "@orrery/crypto/mcl";
import { CALM } from "./faults.ts";
import { loadRealKeys } from "./real-keys.ts";
import { runSubnet, type SubnetRun, worldFor } from "./run.ts";
import { nodeIdOf } from "./sim-registry.ts";

const SECOND = 1_000_000_000n;
const keys = await loadRealKeys();
const bls = await createMclBls();

/** Room for the five dealings that both sets of keys take, one a block. */
const RUN: SubnetRun = {
  seed: 1,
  nodes: 4,
  spares: 1,
  seconds: 4,
  messagesPerSecond: 1,
  catchUpInterval: 8,
  faults: CALM,
  keys,
};

function keyOf(transcript: Uint8Array): Uint8Array {
  const decoded = decodeTranscript(transcript);
  assert.ok(decoded.ok);
  return publicKeyOf(decoded.value);
}

test("certificates verify under the first members' key when another node has taken a member's place", () => {
  const world = worldFor(RUN);
  world.registry.replace(1, 4, world.now);
  const { members } = world.registry.newest;
  for (let seconds = 0; world.versionInForce < 2; seconds++) {
    assert.ok(seconds < 60, "the new member does not take over");
    world.run(world.now + SECOND);
  }
  const inForce = Math.max(...world.summaries.keys());
  const { current } = world.summaries.get(inForce) as Summary;
  assert.deepEqual(current.members, members.map(nodeIdOf));
  const genesis = world.nodes[0]?.member?.pool.start.summary ?? null;
  for (let seconds = 0; world.commonHeight < inForce + 4; seconds++) {
    assert.ok(seconds < 60, "the new members do not go on");
    world.run(world.now + SECOND);
  }
  const first = [...world.summaries].sort(([a], [b]) => a - b)[0]?.[1].current ?? genesis?.current;
  assert.ok(first !== undefined);
  const subnetKey = keyOf(first.transcripts.high);
  assert.deepEqual(keyOf(current.transcripts.high), subnetKey);
  assert.ok(!equalBytes(current.transcripts.high, first.transcripts.high));
  assert.ok(!equalBytes(keyOf(current.transcripts.low), keyOf(first.transcripts.low)));
  const pool = world.nodes[4]?.member?.pool;
  const certification = pool?.peek(pool.certifiedHeight)?.certification;
  assert.ok(certification !== null && certification !== undefined && certification.height > inForce);
  const message = thresholdContent("certification", new Uint8Array(29) as never, 0, certification.content);
  assert.deepEqual(message, stateRootMessage(certification.content));
  assert.ok(bls.verify(subnetKey, message, certification.signature));
  assert.deepEqual(world.checkers.violations, []);
});

test("dealings that do not hold make no keys, and keep none from being made", () => {
  const faults = { ...CALM, byzantine: ["wrong_dealings"] } as const;
  const result = runSubnet({ ...RUN, seed: 2, seconds: 2, faults });
  const { verdict, violations, intervals, undealt, twisted } = result;
  assert.deepEqual([verdict, violations], ["ok", []]);
  assert.ok(intervals >= 2 && undealt < intervals, `${undealt} of ${intervals} intervals without keys`);
  assert.ok(twisted > 0);
});
