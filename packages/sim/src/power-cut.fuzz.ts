/**
 * The long power-cut drill: every crash point of run after run, then every byte of a closed store damaged in turn. Arguments: first
 * seed, number of seeds (`node packages/sim/src/power-cut.fuzz.ts 1 200`). Stops at the first fault, whose seed and cuts it names.
 */
import { powerCutDrill, readDamaged, referenceDigests } from "./disk-drill.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { seededRandom } from "./random.ts";

const ROUNDS = 40;
const [first = 1, count = 20] = process.argv.slice(2).map(Number);
let drills = 0;
let flips = 0;

function cutEverywhere(seed: number, digests: readonly string[]): FaultyDisk {
  const whole = new FaultyDisk({ seed });
  const total = powerCutDrill({ seed, disk: whole, rounds: ROUNDS, cuts: [], digests });
  for (let cut = 1; cut <= total; cut++) {
    const random = seededRandom(seed, cut, 2);
    const cuts = [cut, ...Array.from({ length: random.below(4) }, () => 1 + random.below(16))];
    const disk = new FaultyDisk({ seed: seed * 100_000 + cut });
    try {
      powerCutDrill({ seed, disk, rounds: ROUNDS, cuts, digests, kill: random.chance(0.4) });
    } catch (cause) {
      throw new Error(`seed ${seed}, cuts ${cuts.join(", ")}`, { cause });
    }
    drills++;
  }
  return whole;
}

function damageEverywhere(seed: number, disk: FaultyDisk, digest: string): void {
  for (const name of disk.list()) {
    const size = disk.sizeOf(name);
    for (let offset = seed % 97; offset < size; offset += 97) {
      const damaged = disk.clone();
      damaged.flipBit(name, offset, offset % 8);
      try {
        readDamaged(damaged, { seed, height: ROUNDS, digest });
      } catch (cause) {
        throw new Error(`seed ${seed}, bit ${offset % 8} of byte ${offset} of ${name}`, { cause });
      }
      flips++;
    }
  }
}

for (let seed = first; seed < first + count; seed++) {
  const digests = referenceDigests(seed, ROUNDS);
  const disk = cutEverywhere(seed, digests);
  damageEverywhere(seed, disk, digests[ROUNDS] as string);
  console.log(`seed ${seed}: ${drills} power cuts, ${flips} damaged bits so far, no fault`);
}
