/**
 * Limits of rounds on a node of one machine. A round waits for every slice that it grants, and everybody who wants an answer waits for
 * the round: with the public network's slices of two billion instructions an endless message of one canister would cost all others a second
 * each time. The same message takes more rounds here, and no longer, since its worker runs ahead of what it was granted. What an
 * execution may take in all, and what it costs, is not touched.
 */
import { type ExecutionLimits, limitsOf } from "@orrery/execution";
import type { SubnetType } from "@orrery/state";

/** Slices and rounds are shorter by this factor; so is what a message counts for beside its instructions, so that as many fit. */
const SHORTER = 40n;

export function nodeLimits(type: SubnetType): ExecutionLimits {
  const limits = limitsOf(type);
  return {
    ...limits,
    instructionsPerRound: limits.instructionsPerRound / SHORTER,
    instructionsPerSlice: limits.instructionsPerSlice / SHORTER,
    instructionsPerInstallSlice: limits.instructionsPerInstallSlice / SHORTER,
    overheadPerMessage: limits.overheadPerMessage / SHORTER,
  };
}
