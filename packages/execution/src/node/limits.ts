/**
 * Limits of rounds on a node of one machine. Everybody who wants an answer waits for a round and for what begins in it: with the
 * public network's slices of two billion instructions that would be a second each time. The same message takes more rounds here, and no
 * longer, since its worker runs ahead of what it was granted, and rounds hold it back until it did (docs/ARCHITECTURE.md, "Long
 * messages"). What an execution may take in all, and what it costs, is not touched.
 */
import type { SubnetType } from "@orrery/state";
import { type ExecutionLimits, limitsOf } from "../limits.ts";

/** Slices are shorter by this factor: each costs a round of some milliseconds, which others wait for. */
const SHORTER = 20n;
/** What a message counts for beside its instructions, when a round counts. */
const OVERHEAD_PER_MESSAGE = 50_000n;
/** What a partition begins messages up to: some forty empty ones, so that a flood of calls makes no round longer than some milliseconds. */
const INSTRUCTIONS_PER_ROUND = 2_000_000n;
/**
 * The same where several nodes agree on blocks: they make ten a second at most, and each costs every node some thirty milliseconds of signatures, whatever
 * it holds. Five times as long keeps what a storm of written pages makes of a round below half a second.
 */
const INSTRUCTIONS_PER_AGREED_ROUND = 10_000_000n;
/** Of which a canister has so many while others wait for their turn. */
const INSTRUCTIONS_PER_TURN = 500_000n;
/** Slices of installations by less: most of what they count is compilation, which is much quicker than it counts. */
const SHORTER_INSTALLATIONS = 8n;

/** What a round may wait for that a message begins in it, of which nobody knows yet how long it takes: some milliseconds. */
const FIRST_SLICE = 5_000_000n;
/** The same of a canister whose message before took longer: it is left to a worker soon. */
const HEAVY_SLICE = 500_000n;
/** The same of an installation, whose compilation counts; nothing of larger modules, which take long to compile. */
const FIRST_INSTALL_SLICE = 20_000_000n;
const FIRST_SLICE_MODULE_BYTES: number = 16 * 1024;

export function nodeLimits(type: SubnetType): ExecutionLimits {
  const limits = limitsOf(type);
  return {
    ...limits,
    instructionsPerRound: INSTRUCTIONS_PER_ROUND,
    instructionsPerAgreedRound: INSTRUCTIONS_PER_AGREED_ROUND,
    instructionsPerTurn: INSTRUCTIONS_PER_TURN,
    instructionsPerSlice: limits.instructionsPerSlice / SHORTER,
    instructionsPerInstallSlice: limits.instructionsPerInstallSlice / SHORTER_INSTALLATIONS,
    // An idle node makes a block a second.
    queryStatsEpochBlocks: 10,
    installDebitPerRound: 0n,
    instructionsPerFirstSlice: FIRST_SLICE,
    instructionsPerHeavySlice: HEAVY_SLICE,
    replicatedQuerySlices: true,
    instructionsPerFirstInstallSlice: FIRST_INSTALL_SLICE,
    firstSliceModuleBytes: FIRST_SLICE_MODULE_BYTES,
    overheadPerMessage: OVERHEAD_PER_MESSAGE,
  };
}
