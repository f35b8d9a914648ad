/** The checkers find what is planted: each rule broken once, and an honest run that breaks none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block } from "@orrery/base";
import { type MemberSizes, poolBounds } from "@orrery/consensus/member";
import { Checkers, type Keeper } from "./checkers.ts";

const bytes = (value: number): Uint8Array => new Uint8Array(32).fill(value);

function block(height: number, ...messages: readonly number[]): Block {
  // Parents' hashes are numbers here, as blocks' own are.
  return {
    version: 1,
    parent: bytes(height - 1),
    height,
    rank: 0,
    context: { registryVersion: 1, certifiedHeight: 0, time: BigInt(height) },
    payload: { ingress: messages.map(bytes) },
  };
}

const within = (height: number, changed: Partial<Block["context"]>): Block => ({
  ...block(height, height),
  context: { ...block(height).context, ...changed },
});

const LIMITS = { bounds: poolBounds(4, 20), members: 4 };

/** As much as a member may have. */
const FULL: MemberSizes = {
  ...LIMITS.bounds,
  rounds: 204,
  certificationShares: 0,
  waiting: 0,
  waitingBytes: 0,
  published: 2_115,
};

/** With a round of two makers and a member's votes for so many blocks in it; all below a height is over. */
function votedBy(member: number, blocks: number, past = 0, proposals = 1): Keeper {
  const signature = bytes(1);
  const notarization = new Map(
    Array.from({ length: blocks }, (_, hash) => [`${hash}`, new Map([[member, signature]])]),
  );
  const none = new Map();
  const shares = {
    ...{ notarization, finalization: none, beacon: none, tape: none, certification: none },
    catch_up: new Map([["0", new Map([[member, signature]])]]),
  };
  const rounds = [
    { height: 2, shares, proposals: { size: proposals }, equivocations: none, roles: { makers: [0, 1] } },
  ];
  return {
    delivered: past,
    pool: { rounds, certifiedHeight: past, finalizedHeight: past, beaconHeight: past + 1 },
  };
}

function sound(): Checkers {
  const checkers = new Checkers();
  for (const node of [0, 1]) {
    for (const height of [1, 2]) {
      checkers.delivered({ node, height, hash: bytes(height), block: block(height, height) });
      checkers.executed(node, height, bytes(10 + height));
      checkers.certified(node, height, bytes(10 + height));
    }
  }
  checkers.acknowledged(bytes(2));
  return checkers;
}

const FAULTS: readonly (readonly [string, (checkers: Checkers) => void, RegExp])[] = [
  [
    "two blocks of one height",
    (checkers) => checkers.delivered({ node: 2, height: 2, hash: bytes(9), block: block(2) }),
    /nodes 0 and 2 finalized different blocks at 2/,
  ],
  [
    "another parent",
    (checkers) =>
      checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: { ...block(3, 5), parent: bytes(9) } }),
    /the block at 3 has another parent/,
  ],
  [
    "a time that does not increase",
    (checkers) => {
      const { context } = block(2);
      checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: { ...block(3, 5), context } });
    },
    /time does not increase at 3/,
  ],
  [
    "a certified height that goes back",
    (checkers) => {
      checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: within(3, { certifiedHeight: 1 }) });
      checkers.delivered({ node: 0, height: 4, hash: bytes(4), block: within(4, { certifiedHeight: 0 }) });
    },
    /the certified height is wrong at 4/,
  ],
  [
    "a block that is said to be certified itself",
    (checkers) =>
      checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: within(3, { certifiedHeight: 3 }) }),
    /the certified height is wrong at 3/,
  ],
  [
    "a registry version that goes back",
    (checkers) =>
      checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: within(3, { registryVersion: 0 }) }),
    /the registry version decreases at 3/,
  ],
  ["an honest node blamed", (checkers) => checkers.blamed(0, 1, "it is late"), /blames the honest node 1/],
  ["another state", (checkers) => checkers.executed(2, 1, bytes(9)), /node 2 executed another state at 1/],
  [
    "another certificate",
    (checkers) => checkers.certified(2, 2, bytes(9)),
    /node 2 certified another state at 2/,
  ],
  [
    "another whole state",
    (checkers) => {
      for (const [node, state] of [20, 20, 21].entries()) checkers.whole(node, 2, bytes(state));
    },
    /node 2 has another whole state at 2/,
  ],
  [
    "a message that is ordered twice",
    (checkers) => checkers.delivered({ node: 0, height: 3, hash: bytes(3), block: block(3, 1) }),
    /a message of 1 is ordered again at 3/,
  ],
  [
    "a state that a quorum does not have",
    (checkers) => checkers.diverged(1, 2),
    /node 1 is told that its state of 2 is another/,
  ],
  [
    "a pool over its bounds",
    (checkers) => {
      checkers.kept(0, FULL, LIMITS);
      checkers.kept(0, { ...FULL, tapes: FULL.tapes + 1 }, LIMITS);
    },
    /node 0 keeps 203 tapes of 202/,
  ],
  [
    "more rounds than heights that are of use",
    (checkers) => checkers.kept(0, { ...FULL, rounds: FULL.rounds + 1 }, LIMITS),
    /node 0 keeps 205 rounds of 204/,
  ],
  [
    "offers that are never taken back",
    (checkers) => checkers.kept(0, { ...FULL, published: FULL.published + 1 }, LIMITS),
    /node 0 offers 2116 artifacts of 2115/,
  ],
  [
    "votes of one member for more blocks than there are makers",
    (checkers) => {
      checkers.votes(0, votedBy(1, 2));
      checkers.votes(0, votedBy(1, 3));
    },
    /node 0 keeps more votes of one member than makers at 2/,
  ],
  [
    "other blocks beside a final one",
    (checkers) => {
      checkers.votes(0, votedBy(1, 0, 1, 2));
      checkers.votes(0, votedBy(1, 0, 2, 1));
      checkers.votes(0, votedBy(1, 0, 2, 2));
    },
    /node 0 keeps more than the final block of 2/,
  ],
  [
    "shares of a height that is over",
    (checkers) => {
      checkers.votes(0, votedBy(1, 1, 1));
      checkers.votes(0, votedBy(1, 0, 2));
      checkers.votes(0, votedBy(1, 1, 2));
    },
    /node 0 keeps shares of 2, which is over/,
  ],
  ["an answer without its message", (checkers) => checkers.acknowledged(bytes(7)), /is in no block/],
];

test("a sound run has no violation, and nothing is missing but what was never ordered", () => {
  const checkers = sound();
  assert.deepEqual(checkers.violations, []);
  assert.equal(checkers.height, 2);
  assert.equal(checkers.missing([bytes(1), bytes(2), bytes(3)]), 1);
});

for (const [what, plant, text] of FAULTS) {
  test(`${what}: found`, () => {
    const checkers = sound();
    plant(checkers);
    assert.equal(checkers.violations.length, 1);
    assert.match(checkers.violations[0] as string, text);
  });
}
