/**
 * Limits of rounds on a node of one machine. Everybody who wants an answer waits for a round and for what begins in it: with the
 * public network's slices of two billion instructions that would be a second each time. The same message takes more rounds here, and no
 * longer, since its worker runs ahead of what it was granted, and rounds hold it back until it did (docs/ARCHITECTURE.md, "Long
 * messages"). What an execution may take in all, and what it costs, is not touched.
 */
import { type ExecutionLimits, limitsOf } from "@orrery/execution";
import type { SubnetType } from "@orrery/state";

/** Slices and rounds are shorter by this factor; so is what a message counts for beside its instructions, so that as many fit. */
const SHORTER = 80n;
/** Slices of installations by less: most of what they count is compilation, which is much quicker than it counts. */
const SHORTER_INSTALLATIONS = 8n;

/** What a round may wait for that a message begins in it, of which nobody knows yet how long it takes: some milliseconds. */
const FIRST_SLICE = 5_000_000n;
/** The same of an installation, whose compilation counts; nothing of larger modules, which take long to compile. */
const FIRST_INSTALL_SLICE = 20_000_000n;
const FIRST_SLICE_MODULE_BYTES: number = 16 * 1024;

export function nodeLimits(type: SubnetType): ExecutionLimits {
  const limits = limitsOf(type);
  return {
    ...limits,
    instructionsPerRound: limits.instructionsPerRound / SHORTER,
    instructionsPerSlice: limits.instructionsPerSlice / SHORTER,
    instructionsPerInstallSlice: limits.instructionsPerInstallSlice / SHORTER_INSTALLATIONS,
    // An idle node makes a block a second.
    queryStatsEpochBlocks: 10,
    installDebitPerRound: 0n,
    instructionsPerFirstSlice: FIRST_SLICE,
    replicatedQuerySlices: true,
    instructionsPerFirstInstallSlice: FIRST_INSTALL_SLICE,
    firstSliceModuleBytes: FIRST_SLICE_MODULE_BYTES,
    overheadPerMessage: limits.overheadPerMessage / SHORTER,
  };
}
