/** Which slices are asked for and when; that a pair has one under way; that streams at rest ask for nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError, principalKey, XNET_BYTES_PER_BLOCK_MAX } from "@orrery/base";
import type { SubnetInfo } from "@orrery/state";
import { networkOf, subnetsOf } from "./genesis.ts";
import { Slices } from "./slices.ts";

function network(types: Parameters<typeof networkOf>[0]): readonly SubnetInfo[] {
  return subnetsOf(
    { seed: new Uint8Array(32), time: 1n, subnets: networkOf(types), profile: "local" },
    { publicKey: (secret) => new Uint8Array(96).fill(secret[0] ?? 0) },
  ).map(({ info }) => info);
}

const subnets = network(["application"]);
const keys = subnets.map(({ subnetId }) => principalKey(subnetId));
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function world(members = subnets) {
  const at = {
    /** Answers by "source>destination", each given once. */
    answers: new Map<string, Uint8Array[]>(),
    asked: [] as string[],
    woken: [] as number[],
    failures: [] as unknown[],
    broken: false,
  };
  const slices = new Slices({
    subnets: members,
    async cut(source, destination) {
      const pair = `${source}>${destination}`;
      at.asked.push(pair);
      if (at.broken) throw new OrreryError("slice_invalid", "no");
      return at.answers.get(pair)?.shift() ?? null;
    },
    wake: (destination) => at.woken.push(destination),
    onFailure: (error) => at.failures.push(error),
  });
  const asked = async (): Promise<readonly string[]> => {
    await settled();
    return at.asked.splice(0);
  };
  return { at, slices, asked };
}

test("at the start every pair is asked once, and nothing after that", async () => {
  const { at, slices, asked } = world();
  slices.begin();
  assert.deepEqual([...(await asked())].sort(), ["0>1", "1>0"]);
  slices.published(0, 5, []);
  slices.published(1, 5, []);
  assert.deepEqual(await asked(), []);
  assert.deepEqual(at.woken, []);
});

test("a changed stream is asked for, waits, goes into one block, and is asked for again once that is published", async () => {
  const { at, slices, asked } = world();
  at.answers.set("0>1", [Uint8Array.of(1), Uint8Array.of(2)]);
  slices.published(0, 7, [keys[1] as string]);
  assert.deepEqual(await asked(), ["0>1"]);
  assert.deepEqual(at.woken, [1]);
  assert.deepEqual([slices.waiting(0), slices.waiting(1)], [0, 1]);
  // More of the stream while the slice waits: nothing is asked before the first part is in.
  slices.published(0, 8, [keys[1] as string]);
  assert.deepEqual(slices.take(1, 20), [Uint8Array.of(1)]);
  assert.deepEqual(slices.take(1, 21), []);
  slices.published(1, 19, []);
  assert.deepEqual(await asked(), []);
  slices.published(1, 20, [keys[0] as string]);
  assert.deepEqual([...(await asked())].sort(), ["0>1", "1>0"]);
  assert.deepEqual(slices.take(1, 22), [Uint8Array.of(2)]);
});

test("a change while the question is under way is not missed", async () => {
  const { slices, asked } = world();
  slices.published(0, 1, [keys[1] as string]);
  slices.published(0, 2, [keys[1] as string]);
  slices.published(0, 3, [keys[1] as string]);
  assert.deepEqual(await asked(), ["0>1", "0>1"]);
});

test("a slice that does not hold is a failure and goes nowhere; streams elsewhere are not asked for", async () => {
  const { at, slices, asked } = world();
  at.answers.set("0>1", [Uint8Array.of(1)]);
  at.broken = true;
  slices.published(0, 1, [keys[1] as string, "00"]);
  await asked();
  assert.deepEqual(slices.take(1, 1), []);
  assert.ok((at.failures[0] as OrreryError).code === "slice_invalid");
});

test("a block takes slices as far as it has room, another source first in every block", async () => {
  const { at, slices, asked } = world(network(["application", "application"]));
  const large = (first: number): Uint8Array => new Uint8Array(XNET_BYTES_PER_BLOCK_MAX / 2 + 1).fill(first);
  at.answers.set("1>0", [large(1), large(1)]);
  at.answers.set("2>0", [large(2), large(2)]);
  slices.begin();
  await asked();
  assert.deepEqual(
    slices.take(0, 3).map((slice) => slice[0]),
    [1],
  );
  assert.equal(slices.waiting(0), 1);
  assert.deepEqual(
    slices.take(0, 4).map((slice) => slice[0]),
    [2],
  );
  slices.published(0, 4, []);
  await asked();
  assert.deepEqual(
    slices.take(0, 5).map((slice) => slice[0]),
    [2],
  );
});
