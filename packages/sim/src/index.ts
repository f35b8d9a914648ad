/** Floor 4: the simulated world: disk, randomness, workloads, checkers. */
export {
  type DamageVerdict,
  type DrillOptions,
  powerCutDrill,
  readDamaged,
  referenceDigests,
} from "./disk-drill.ts";
export { FaultyDisk, type FaultyDiskOptions, PowerCut } from "./faulty-disk.ts";
export { type Random, seededRandom } from "./random.ts";
