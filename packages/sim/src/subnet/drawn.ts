/** A run of a simulated subnet drawn from a seed: size, faults and misbehaviour. */
import { seededRandom } from "../random.ts";
import { type FaultPlan, MISBEHAVIOURS, STORMY } from "./faults.ts";
import type { SubnetRun } from "./run.ts";

const SIZES = [1, 4, 4, 4, 5, 7, 10, 13];
const SECONDS = 40;

/** The same for the same seed, on every machine. */
export function drawnRun(seed: number): SubnetRun {
  const random = seededRandom(seed, 1);
  const nodes = SIZES[random.below(SIZES.length)] as number;
  const faulty = Math.floor((nodes - 1) / 3);
  const kinds = MISBEHAVIOURS;
  const byzantine = Array.from(
    { length: random.below(faulty + 1) },
    () => kinds[random.below(kinds.length)] as (typeof kinds)[number],
  );
  const faults: FaultPlan = {
    ...STORMY,
    byzantine,
    loss: random.next() * 0.3,
    duplicate: random.next() * 0.1,
    crashPerSecond: random.next() * 0.08,
    partitionPerSecond: random.next() * 0.08,
    changePerSecond: random.next() * 0.2,
    haltPerSecond: random.chance(0.3) ? 0.05 : 0,
    corruptPerSecond: random.next() * 0.02,
  };
  return {
    seed,
    nodes,
    spares: random.chance(0.2) ? null : 1 + random.below(3),
    seconds: SECONDS,
    messagesPerSecond: 3,
    // Room for the dealings that both sets of keys take, one a block.
    catchUpInterval: 3 * faulty + 8 + random.below(30),
    faults,
  };
}
