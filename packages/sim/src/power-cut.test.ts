import assert from "node:assert/strict";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { powerCutDrill, readDamaged, referenceDigests } from "./disk-drill.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { seededRandom } from "./random.ts";

const ROUNDS = 34;

test("power cut at every operation, with further cuts during recovery", () => {
  for (const seed of [2]) {
    const digests = referenceDigests(seed, ROUNDS);
    const total = powerCutDrill({ seed, disk: new FaultyDisk({ seed }), rounds: ROUNDS, cuts: [], digests });
    assert.ok(total > 100, `a drill of ${total} operations`);
    for (let cut = 1; cut <= total; cut++) {
      const random = seededRandom(seed, cut);
      const cuts = [cut, ...Array.from({ length: random.below(3) }, () => 1 + random.below(12))];
      const disk = new FaultyDisk({ seed: seed * 100_000 + cut });
      try {
        powerCutDrill({ seed, disk, rounds: ROUNDS, cuts, digests, kill: random.chance(0.3) });
      } catch (cause) {
        throw new Error(`seed ${seed}, cuts ${cuts.join(", ")}`, { cause });
      }
    }
  }
});

test("damage to any file is found or changes nothing", () => {
  const seed = 3;
  const digests = referenceDigests(seed, ROUNDS);
  const disk = new FaultyDisk({ seed });
  powerCutDrill({ seed, disk, rounds: ROUNDS, cuts: [], digests });
  const verdicts = { detected: 0, harmless: 0 };
  for (const name of disk.list()) {
    const size = disk.sizeOf(name);
    for (let offset = 0; offset < size; offset += Math.max(1, Math.floor(size / 100))) {
      const damaged = disk.clone();
      damaged.flipBit(name, offset, (offset * 7) % 8);
      try {
        verdicts[readDamaged(damaged, { seed, height: ROUNDS, digest: digests[ROUNDS] as string })]++;
      } catch (cause) {
        throw new Error(`bit ${(offset * 7) % 8} of byte ${offset} of ${name}`, { cause });
      }
    }
  }
  assert.ok(verdicts.detected > 100, JSON.stringify(verdicts));
});

test("a full disk is refused and nothing is damaged", () => {
  const seed = 4;
  const digests = referenceDigests(seed, ROUNDS);
  for (let capacityBytes = 150; capacityBytes < 8_000_000; capacityBytes = Math.floor(capacityBytes * 1.5)) {
    const disk = new FaultyDisk({ seed, capacityBytes });
    try {
      powerCutDrill({ seed, disk, rounds: ROUNDS, cuts: [], digests });
      return;
    } catch (cause) {
      assert.ok(cause instanceof OrreryError && cause.code === "disk_full", String(cause));
    }
    // The same directory on a disk with room goes on where it stood.
    const bigger = disk.withCapacity(Number.POSITIVE_INFINITY);
    powerCutDrill({ seed, disk: bigger, rounds: ROUNDS, cuts: [], digests });
  }
  assert.fail("the drill never fitted");
});
