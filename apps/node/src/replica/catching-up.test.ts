/** A node that was away: whatever one peer tells it, it comes to the package by what the others tell, and never has more under way than a little. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { equalBytes, type Height } from "@orrery/base";
import { blockHash, encodeFinalizedBlock, type FinalizedBlock } from "@orrery/consensus";
import { thresholdContent } from "@orrery/consensus/member";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { CatchingUp, type CatchingUpOptions } from "./catching-up.ts";
import { chain, crypto, type Made, make, NOTHING, nodes, ORIGIN, sign, subnetId } from "./chain.testkit.ts";

const LENGTH = 60;
const PER_ANSWER = 7;
const STATE = new Uint8Array(32).fill(8);
const honest = chain(LENGTH);
const forged = chain(LENGTH, 1);
const local = { info: { subnetId, nodes } } as unknown as Pick<LocalSubnet, "info">;
const last = (made: readonly Made[]): Made => made.at(-1) as Made;

/** Peers 1 and 2 are honest, 3 tells what `lie` says, and is asked first as long as it is not to be avoided. */
function node(lie: (from: Height) => readonly Uint8Array[], tapes: CatchingUpOptions["tapes"] = null) {
  const applied: FinalizedBlock[] = [];
  const liars: number[] = [];
  const outcome = Promise.withResolvers<Height>();
  const fetched = Promise.withResolvers<Height>();
  let asked = 0;
  const records = (from: Height): readonly Uint8Array[] =>
    honest
      .slice(Math.max(0, from - PER_ANSWER), from)
      .reverse()
      .map(({ record }) => record);
  const catchingUp = new CatchingUp({
    local,
    // Where keys change, nobody has those of the past.
    crypto: tapes === null ? crypto : { ...crypto, verifyWhole: () => true },
    askBlocks: async (from, avoid) => {
      asked++;
      const peer = avoid.has(3) ? 1 : 3;
      return { peer, records: peer === 3 ? lie(from) : records(from) };
    },
    apply: (finalized) => applied.push(finalized),
    tapes,
    onDone: outcome.resolve,
    fetchState: ({ height }) => fetched.resolve(height),
    onLie: (peer) => liars.push(peer),
    onFailure: outcome.reject,
  });
  const catchUp = { height: LENGTH, block: last(honest).block, stateHash: STATE };
  const { promise: state } = fetched;
  return {
    catchingUp,
    catchUp,
    applied,
    liars,
    outcome: outcome.promise,
    state,
    asked: () => asked,
  };
}

type Node = ReturnType<typeof node>;
/** The node's tip: it was away since. */
const first = { height: 1, hash: blockHash((honest[0] as Made).block) };

/** Execution, one block a turn, counts how many it ever had waiting. */
async function execute({ catchingUp, applied }: ReturnType<typeof node>): Promise<number> {
  let most = 0;
  for (let height = 2; height <= LENGTH; height++) {
    while (applied.length < height - 1) await setImmediate();
    most = Math.max(most, applied.length - height + 2);
    for (let turns = 0; turns < 3; turns++) await setImmediate();
    catchingUp.executed(height, height === LENGTH ? STATE : null);
  }
  return most;
}

const lies: readonly (readonly [string, (from: Height) => readonly Uint8Array[]])[] = [
  ["another chain", (from) => [(forged[from - 1] as Made).record]],
  ["what is no block", () => [Uint8Array.of(1)]],
  [
    "the right block with another tape",
    (from) => {
      const { block } = honest[from - 1] as Made;
      const signer = nodes[from % nodes.length] as (typeof nodes)[number];
      const proposal = { block, signer: signer.nodeId, signature: new Uint8Array(32) };
      return [encodeFinalizedBlock({ proposal, tape: new Uint8Array(32) })];
    },
  ],
];

for (const [what, lie] of lies) {
  test(`a peer that tells ${what} is known at once, and avoided`, async () => {
    const away = node(lie);
    away.catchingUp.begin(away.catchUp, first);
    const [most, height] = await Promise.all([execute(away), away.outcome]);
    assert.equal(height, LENGTH);
    assert.deepEqual(away.liars, [3]);
    assert.equal(away.asked(), 1 + Math.ceil((LENGTH - 1) / PER_ANSWER));
    assert.ok(
      away.applied.every(({ proposal }, i) =>
        equalBytes(proposal.block.parent, honest[i + 1]?.block.parent ?? STATE),
      ),
    );
    assert.ok(most <= 8, `${most} blocks waited for execution`);
  });
}

const tapeAt = (height: Height): Uint8Array =>
  sign("low", thresholdContent("tape", subnetId, height, NOTHING));
/** Of a subnet whose keys change. */
const judging = (): NonNullable<CatchingUpOptions["tapes"]> => ({
  beginAfter: async () => {},
  learn: () => {},
  isRight: (height, tape) => equalBytes(tape, tapeAt(height)),
});

test("a block with another tape is not executed with it, where keys change too: its teller is named, another one asked", async () => {
  const twisted = (from: Height): readonly Uint8Array[] =>
    Array.from({ length: Math.min(PER_ANSWER, from) }, (_, below) => {
      const { block } = honest[from - below - 1] as Made;
      return make(block.height, block.parent, 0, { tape: NOTHING }).record;
    });
  const away = node(twisted, judging());
  away.catchingUp.begin(away.catchUp, first);
  const [, height] = await Promise.all([execute(away), away.outcome]);
  assert.equal(height, LENGTH);
  assert.deepEqual(new Set(away.liars), new Set([3]));
  for (const { proposal, tape } of away.applied) assert.deepEqual(tape, tapeAt(proposal.block.height));
});

test("a node that cannot tell with which keys an interval ran takes the state", async () => {
  const away = node((from) => [(honest[from - 1] as Made).record], { ...judging(), isRight: () => null });
  away.catchingUp.begin(away.catchUp, first);
  assert.equal(await away.state, LENGTH);
  assert.deepEqual([away.applied, away.liars], [[], []]);
});

test("where blocks do not lead to the package, or its state is another one, the state is taken", async () => {
  const [elsewhere, none, far, diverged, other] = [0, 1, 2, 3, 4].map(() =>
    node((from) => [(honest[from - 1] as Made).record]),
  ) as [Node, Node, Node, Node, Node];
  elsewhere.catchingUp.begin(elsewhere.catchUp, { ...first, hash: STATE });
  none.catchingUp.begin(none.catchUp, { height: 0, hash: ORIGIN });
  far.catchingUp.begin({ ...far.catchUp, height: LENGTH + 5_000 }, first);
  diverged.catchingUp.begin(diverged.catchUp, { ...first, height: LENGTH });
  other.catchingUp.begin(other.catchUp, first);
  while (other.applied.length < LENGTH - 1) {
    other.catchingUp.executed(other.applied.length, null);
    await setImmediate();
  }
  other.catchingUp.executed(LENGTH, new Uint8Array(32));
  const heights = await Promise.all([elsewhere, none, far, diverged, other].map(({ state }) => state));
  assert.deepEqual(heights, [LENGTH, LENGTH, LENGTH + 5_000, LENGTH, LENGTH]);
  assert.deepEqual([none.asked(), far.asked(), diverged.asked()], [0, 0, 0]);
});
