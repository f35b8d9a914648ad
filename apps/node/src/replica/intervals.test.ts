/** Members of a founded subnet, as their nodes make them: they deal keys to themselves, and the subnet's own key stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { type DkgMeans, foundedKey, runKeyJob } from "@orrery/consensus/keys";
import { decodeSummary, Member, type MemberEffect, type MemberInput } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import { dealFor, foundGenesis, foundingRecord, keyMeansOf } from "../founding/founding.ts";
import { decodeGenesis, encodeGenesis, networkOf, subnetsOf } from "../genesis.ts";
import { environmentOf, genesisStart } from "./environment.ts";
import type { PayloadRules } from "./payloads.ts";
import { keysFromFounding } from "./subnet-keys.ts";

/** As many as make key generation one of several dealers: two of each may be away. */
const NODES = 4;
/** Room for five dealings, one a block. */
const INTERVAL = 7;
const STEP_NS = 100_000_000n;
const STEPS_MAX = 2_000;

const rules: PayloadRules = {
  ingressBytesMax: 0,
  ingressId: () => null,
  readIngress: () => "later",
  readSlice: () => ({ ok: false, error: "there are none" }),
  responseFault: () => null,
  ordered: { left: () => 0 },
} as never;

async function foundedMembers(): Promise<readonly Member[]> {
  const [bls, curve] = [await createMclBls(), await createMclCurve()];
  const subnets = networkOf([], [], NODES);
  const plan = encodeGenesis({
    seed: sha256(utf8("a network")),
    time: 1n,
    subnets,
    catchUpInterval: INTERVAL,
    profile: "local",
  });
  const seeds = Array.from({ length: NODES }, (_, place) => sha256(utf8(`node ${place}`)));
  const records = await Promise.all(seeds.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
  const genesis = decodeGenesis(await foundGenesis(plan, records, dealings));
  const [founded] = genesis.founding ?? [];
  return seeds.map((seed, self) => {
    const [local] = subnetsOf(genesis, bls, self, seed);
    assert.ok(local !== undefined && founded !== undefined);
    const means = keyMeansOf(curve, seed, 0);
    const compute: DkgMeans["compute"] = (job) => runKeyJob(means, job) as never;
    const keys = keysFromFounding({ bls, curve, local, founded, compute });
    const nothing = { ingress: [], slices: [], queryStats: [], responses: [], holdsLong: false };
    const environment = environmentOf({
      local,
      self,
      keys,
      catchUpInterval: INTERVAL,
      rules,
      waiting: () => nothing as never,
      isBusy: () => true,
    });
    return new Member(environment, genesisStart(local, genesis, keys));
  });
}

test("a summary has shares for the next interval under the same key, and another key for randomness", async () => {
  const members = await foundedMembers();
  const summaries: Uint8Array[] = [];
  const queue: { readonly to: number; readonly input: MemberInput }[] = [];
  const follow = (from: number, effects: readonly MemberEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === "misbehaved") assert.fail(effect.why);
      if (effect.kind === "publish")
        for (const to of members.keys())
          if (to !== from) queue.push({ to, input: { kind: "artifact", from, artifact: effect.artifact } });
      if (effect.kind !== "deliver") continue;
      const { height, payload } = effect.block;
      if (payload.summary !== undefined) summaries.push(payload.summary);
      queue.push({ to: from, input: { kind: "executed", height, rootHash: sha256(utf8(`${height}`)) } });
    }
  };
  let now = 1n;
  for (let steps = 0; summaries.length < NODES; steps++) {
    assert.ok(steps < STEPS_MAX, "no summary comes");
    now += STEP_NS;
    for (const to of members.keys()) queue.push({ to, input: { kind: "time", now } });
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      follow(next.to, (members[next.to] as Member).step(next.input));
  }
  const [first, ...others] = summaries;
  assert.ok(first !== undefined);
  for (const other of others) assert.deepEqual(other, first);
  const { current, next } = decodeSummary(first);
  assert.ok(next !== null);
  assert.deepEqual(foundedKey(next.transcripts), foundedKey(current.transcripts));
  assert.notDeepEqual(next.transcripts.high, current.transcripts.high);
  const [before, after] = [current, next].map(({ transcripts: { low } }) => foundedKey({ low, high: low }));
  assert.notDeepEqual(after, before);
});
