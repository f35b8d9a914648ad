/** Which way back to its subnet a node takes, and that it takes no second one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type Height, type Logger, OrreryError, silentLogger } from "@orrery/base";
import { blockHash, type FinalizedBlock } from "@orrery/consensus";
import type { CatchUpPackage } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { ReceiveCall } from "../state/state-calls.ts";
import { chain, crypto, type Made, nodes, ORIGIN, subnetId } from "./chain.testkit.ts";
import { HEALINGS_MAX, Healings } from "./healings.ts";
import { Recovery } from "./recovery.ts";
import type { ToldParts } from "./voice.ts";

const LENGTH = 20;
const STATE = new Uint8Array(32).fill(8);
const blocks = chain(LENGTH);
const recordsFrom = (from: Height): readonly Uint8Array[] =>
  blocks
    .slice(0, from)
    .reverse()
    .map(({ record }) => record);
const catchUp = { height: LENGTH, block: blocks.at(-1)?.block, stateHash: STATE } as CatchUpPackage;

const SUBNET = {
  local: { info: { subnetId, nodes } } as unknown as Pick<LocalSubnet, "info">,
  keys: { crypto, intervals: null },
  genesis: {},
  verifyBls: () => false,
};

test("a node that blocks brought to a package fetches no state any more", async () => {
  const applied: FinalizedBlock[] = [];
  const calls: string[] = [];
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<ToldParts | null>();
  const synced = Promise.withResolvers<Height>();
  const recovery = new Recovery({
    ...SUBNET,
    voice: {
      askBlocks: async (from) => ({ peer: 1, records: recordsFrom(from) }),
      askState: () => {
        asked.resolve();
        return answer.promise;
      },
      report: () => {},
    },
    threads: {
      state: async <T>({ kind }: ReceiveCall) => {
        calls.push(kind);
        const ask = { part: "head", places: [] };
        return (kind === "next" ? ask : { fault: null, isWhole: false, missing: 0, chunks: 0 }) as T;
      },
    } as ConstructorParameters<typeof Recovery>[0]["threads"],
    logger: silentLogger,
    healings: new Healings(),
    apply: (finalized) => applied.push(finalized),
    onSynced: synced.resolve,
    onFailure: synced.reject,
  });
  recovery.begin(catchUp, { height: 0, hash: ORIGIN });
  await asked.promise;
  recovery.begin(catchUp, { height: 1, hash: blockHash((blocks[0] as Made).block) });
  for (let height = 2; height <= LENGTH; height++) {
    while (applied.length < height - 1) await setImmediate();
    recovery.executed(height, height === LENGTH ? STATE : null);
  }
  assert.equal(await synced.promise, LENGTH);
  const before = calls.length;
  const lanes = calls.filter((kind) => kind === "next").length;
  answer.resolve(null);
  for (let turns = 0; turns < 5; turns++) await setImmediate();
  // What was asked for is given back, and nothing else is asked for.
  assert.deepEqual(calls.slice(before), Array(lanes).fill("take"));
  recovery.stop();
});

/** A start of a node whose process was healed before so often. */
function diverging(healings: Healings) {
  const calls: string[] = [];
  const logged: string[] = [];
  const logger: Logger = { log: (_level, text) => void logged.push(text), child: () => logger };
  const failed = Promise.withResolvers<unknown>();
  const recovery = new Recovery({
    ...SUBNET,
    voice: {
      askBlocks: async (from) => {
        calls.push("blocks");
        return { peer: 1, records: recordsFrom(from) };
      },
      askState: () => new Promise(() => {}),
      report: () => {},
    },
    threads: {
      state: async <T>({ kind }: ReceiveCall) => {
        calls.push(kind);
        return { part: "head", places: [] } as T;
      },
    } as ConstructorParameters<typeof Recovery>[0]["threads"],
    logger,
    healings,
    apply: () => assert.fail("no blocks are executed on another state"),
    onSynced: () => {},
    onFailure: failed.resolve,
  });
  return { recovery, calls, logged, failed: failed.promise };
}

test("a node whose state is another one says so, and takes the subnet's, without a look at blocks", async () => {
  const { recovery, calls, logged } = diverging(new Healings());
  recovery.diverged(LENGTH - 1);
  assert.ok(recovery.isDiverged);
  recovery.begin(catchUp, { height: 1, hash: blockHash((blocks[0] as Made).block) });
  while (!calls.includes("next")) await setImmediate();
  assert.equal(calls[0], "blocks", "the block that goes with the state");
  assert.equal(calls[1], "receive");
  assert.match(logged.join(), /is not the one that its subnet certified.*will take the place of this node's/);
  recovery.stop();
});

test("one that was healed before waits for it, whatever packages come meanwhile", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const healings = new Healings();
  healings.begin(subnetId);
  const { recovery, calls } = diverging(healings);
  recovery.diverged(LENGTH - 1);
  const tip = { height: LENGTH, hash: ORIGIN };
  recovery.begin(catchUp, tip);
  recovery.begin(catchUp, tip);
  t.mock.timers.tick(9_999);
  for (let turns = 0; turns < 5; turns++) await setImmediate();
  assert.equal(calls.length, 0);
  t.mock.timers.tick(1);
  while (!calls.includes("next")) await setImmediate();
  assert.equal(healings.count(subnetId), 2);
  recovery.stop();
});

test("one that nothing heals asks for nothing more, and stops with what to look for", async () => {
  const healings = new Healings();
  for (let times = 0; times < HEALINGS_MAX; times++) healings.begin(subnetId);
  const { recovery, calls, failed } = diverging(healings);
  recovery.diverged(LENGTH - 1);
  recovery.begin(catchUp, { height: LENGTH, hash: ORIGIN });
  const error = await failed;
  assert.ok(error instanceof OrreryError && error.code === "state_diverges");
  assert.match(error.message, /last at height 19, though it took the state of the others 4 times/);
  assert.deepEqual(calls, []);
});
