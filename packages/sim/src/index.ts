/** Floor 4: the simulated world: disk, randomness, workloads, checkers. */
export {
  type DamageVerdict,
  type DrillOptions,
  powerCutDrill,
  readDamaged,
  referenceDigests,
} from "./disk-drill.ts";
export { FaultyDisk, type FaultyDiskOptions, PowerCut } from "./faulty-disk.ts";
export { createSimNetwork, type SimNetwork, type SimNetworkOptions, type SimSubnet } from "./network.ts";
export { leftovers, networkCycles } from "./network-checks.ts";
export { runNetworkWorkload, type WorkloadOptions, type WorkloadReport } from "./network-workload.ts";
export { type Random, seededRandom } from "./random.ts";
export type { SliceFaults } from "./slice-carrier.ts";
