/** A canister that works hard does not hold up another: who comes behind it is answered first, round by round. */
import assert from "node:assert/strict";
import test from "node:test";
import type { CanisterId } from "@orrery/base";
import type { ExecutionLimits } from "../limits.ts";
import { SMALL, SPINNER, u32 } from "../testing/long.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const CYCLES = 10n ** 15n;
/** Turns that take most of a slice: two of three such messages fill a round. */
const HARD = 80_000;
const MESSAGES = 12;
/** Of an application subnet. */
const PARTITIONS = 4;

interface Both {
  readonly subnet: TestSubnet;
  readonly hard: CanisterId;
  readonly other: CanisterId;
}

function both(partitions: number, limits: Partial<ExecutionLimits> = {}): Both {
  const subnet = new TestSubnet({ limits: { ...SMALL, partitions, ...limits } });
  const [hard, other] = [0, 0].map(() => subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES }));
  return { subnet, hard: hard as CanisterId, other: other as CanisterId };
}

function spin({ subnet }: Both, canisterId: CanisterId, turns: number) {
  return subnet.envelope({ canisterId, method: "spin", arg: u32(turns) });
}

const isOpen = ({ subnet }: Both, id: Uint8Array): boolean => subnet.status(id)?.kind !== "replied";

for (const partitions of [1, 2, PARTITIONS])
  test(`with a full queue, ${partitions} partitions: the other is answered in its round, or in the next before its own queue`, () => {
    const of = both(partitions);
    const { subnet, hard, other } = of;
    const queue = Array.from({ length: MESSAGES }, () => spin(of, hard, HARD));
    const behind = spin(of, other, 1);
    subnet.round([...queue.map(({ bytes }) => bytes), behind.bytes]);
    const left = (): number => queue.filter(({ id }) => isOpen(of, id)).length;
    let rounds = 0;
    for (let waiting = behind; left() > 0; rounds++) {
      assert.ok(rounds < MESSAGES, "the canister that works hard comes to its end");
      const inLine = subnet.canister(other).queues.ingress.length;
      assert.ok(inLine <= (partitions === 1 ? 1 : 0), `${inLine} wait behind the other canister's ${left()}`);
      const next = spin(of, other, 1);
      subnet.round([next.bytes]);
      assert.ok(!isOpen(of, waiting.id), "answered in the round after its own at the latest");
      waiting = next;
    }
    assert.ok(rounds >= MESSAGES / 3 - 1, `${rounds} rounds`);
  });

test("where turns end, the other is answered in its own round, and the round is used up all the same", () => {
  for (const instructionsPerTurn of [null, 1_000_000n]) {
    const of = both(1, { instructionsPerTurn });
    const { subnet, hard, other } = of;
    const queue = Array.from({ length: MESSAGES }, () => spin(of, hard, HARD));
    const behind = spin(of, other, 1);
    subnet.round([...queue.map(({ bytes }) => bytes), behind.bytes]);
    assert.equal(isOpen(of, behind.id), instructionsPerTurn === null);
    const done = queue.filter(({ id }) => !isOpen(of, id)).length;
    assert.equal(done, 2, "as many as a round has instructions for");
  }
});

test("with a message of many slices: the other is answered in each round before that message has its next slice", () => {
  const of = both(PARTITIONS);
  const { subnet, hard, other } = of;
  const long = spin(of, hard, 1_000_000);
  const first = spin(of, other, 1);
  subnet.round([long.bytes, first.bytes]);
  let slices = 1;
  for (let next = first; isOpen(of, long.id); slices++) {
    assert.ok(!isOpen(of, next.id), `answered within slice ${slices}`);
    assert.equal(subnet.canister(hard).running?.slicesGranted, slices);
    next = spin(of, other, 1);
    subnet.round([next.bytes]);
  }
  assert.ok(slices > 10, `${slices} slices`);
});
