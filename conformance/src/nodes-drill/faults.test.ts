/** Faults that a seed draws: every kind, whom they are about, and which are more than a subnet withstands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../durability/random.ts";
import { collide, drawFault, FAULT_KINDS, type Fault, faultsOf, isMinor, kindsFor } from "./faults.ts";

const fault = (kind: Fault["kind"], ...victims: readonly number[]): Fault => ({
  kind,
  victims,
  forMs: 1,
  lines: null,
  clockOffsetMs: 0,
});

test("of every kind there are some that a subnet withstands, and of most some that it does not", () => {
  for (const nodes of [4, 7])
    for (const kind of FAULT_KINDS) {
      const random = seededRandom(nodes);
      const about = { random, nodes, groups: 1, smallDisk: 1, spared: 0 };
      const drawn = Array.from({ length: 100 }, () => drawFault(about, kind));
      for (const { victims } of drawn) {
        assert.ok(victims.length > 0 && new Set(victims).size === victims.length);
        assert.ok(victims.every((place) => place > 0 && place < nodes));
      }
      assert.ok(
        drawn.some((each) => isMinor([each], nodes, null)),
        kind,
      );
      const isHarmless = ["slow", "lossy", "cut", "disk-full", "diverge"].includes(kind);
      assert.equal(
        drawn.some((each) => !isMinor([each], nodes, null)),
        !isHarmless,
        kind,
      );
    }
});

test("more nodes fail than may when two faults are about different ones, or one misbehaves already", () => {
  assert.equal(faultsOf(4), 1);
  assert.equal(faultsOf(7), 2);
  assert.ok(isMinor([fault("kill", 1), fault("freeze", 1)], 4, null));
  assert.ok(!isMinor([fault("kill", 1), fault("partition", 2)], 4, null));
  assert.ok(!isMinor([fault("kill", 1)], 4, 3));
  assert.ok(isMinor([fault("kill", 1)], 7, 3));
  assert.ok(isMinor([fault("slow", 0, 1, 2, 3)], 4, 3));
});

test("of two subnets in processes of their own each may have faulty ones, and a fault is of one of them", () => {
  assert.ok(isMinor([fault("kill", 1), fault("partition", 6)], 4, null));
  assert.ok(!isMinor([fault("kill", 4), fault("partition", 6)], 4, null));
  assert.ok(!isMinor([fault("kill", 4)], 4, 7));
  const random = seededRandom(5);
  const about = { random, nodes: 4, groups: 2, smallDisk: null, spared: 3 };
  const groups = FAULT_KINDS.filter((kind) => kind !== "disk-full").flatMap((kind) =>
    Array.from({ length: 20 }, () => {
      const hit = new Set(drawFault(about, kind).victims.map((place) => Math.floor(place / 4)));
      assert.equal(hit.size, 1, kind);
      return [...hit][0];
    }),
  );
  assert.deepEqual([...new Set(groups)].sort(), [0, 1]);
});

test("a node comes to another state only where nobody else is faulty", () => {
  assert.ok(kindsFor({ smallDisk: null, spared: null }).includes("diverge"));
  assert.ok(!kindsFor({ smallDisk: null, spared: 5 }).includes("diverge"));
  assert.ok(collide(fault("diverge", 2), fault("kill", 2)));
});

test("a one-way partition holds one direction, a partition both, and neither the lines between others", () => {
  for (const kind of ["one-way", "partition"] as const) {
    const { victims, lines } = drawFault(
      { random: seededRandom(3), nodes: 4, groups: 1, smallDisk: null, spared: null },
      kind,
    );
    const held = (from: number, to: number): boolean => lines?.(from, to)?.isHeld === true;
    const [a = 0, b = 0] = [victims[0], [0, 1, 2, 3].find((place) => !victims.includes(place))];
    assert.equal(Number(held(a, b)) + Number(held(b, a)), kind === "partition" ? 2 : 1);
    assert.equal(held(b, b), false);
  }
});

test("a process ends or stands still once at a time, and has one clock; the full disk is of a node that behaves", () => {
  assert.ok(collide(fault("kill", 1, 2), fault("freeze", 2)));
  assert.ok(!collide(fault("kill", 1), fault("freeze", 2)));
  assert.ok(!collide(fault("kill", 1), fault("partition", 1)));
  assert.ok(collide(fault("clock", 1, 3), fault("clock", 3)));
  assert.ok(!collide(fault("clock", 1), fault("clock", 3)));
  assert.ok(!collide(fault("clock", 1), fault("kill", 1)));
  assert.ok(collide(fault("clock", 1), fault("freeze", 1)));
  assert.ok(kindsFor({ smallDisk: 1, spared: 2 }).includes("disk-full"));
  assert.ok(!kindsFor({ smallDisk: 1, spared: 1 }).includes("disk-full"));
  assert.ok(!kindsFor({ smallDisk: null, spared: null }).includes("disk-full"));
});
