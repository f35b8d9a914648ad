/**
 * Installations per canister (the replica's rate limit): what one executed beyond a round's share is a debit of its canister, which
 * every round lowers by the share; a canister in debit installs nothing.
 */
import { type PrincipalKey, principalToText } from "@orrery/base";
import { type CanisterState, touch } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import type { Round } from "./round.ts";

/** IC0209 for a canister in debit. */
export function installDebitError({ meta, installDebit }: CanisterState): UserError | null {
  if (installDebit === undefined) return null;
  return userError(
    ErrorCode.CanisterInstallCodeRateLimited,
    `Canister ${principalToText(meta.id)} is rate limited because it executed too many instructions in the previous ` +
      "install_code messages. Please retry installation after several minutes.",
  );
}

/** An installation ended, well or not. */
export function oweInstallation({ limits }: Round, canister: CanisterState, instructions: bigint): void {
  if (limits.installDebitPerRound === 0n || instructions === 0n) return;
  canister.installDebit = (canister.installDebit ?? 0n) + instructions;
}

/** What a round is worth to those in debit. */
export function lowerDebits({ state, index, limits }: Round): void {
  for (const key of [...index.indebted].sort()) {
    const canister = state.canisters.get(key as PrincipalKey) as CanisterState;
    const left = (canister.installDebit ?? 0n) - limits.installDebitPerRound;
    if (left > 0n && limits.installDebitPerRound > 0n) canister.installDebit = left;
    else delete canister.installDebit;
    touch(state, canister);
    index.refresh(key, canister);
  }
}
