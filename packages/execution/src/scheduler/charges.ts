/**
 * Storage and compute over time (developer documentation, "Cycles costs"): paid on a grid of `CHARGE_INTERVAL_NS` of block time, a
 * whole interval for each of its points (`upkeep.ts`). A canister that cannot pay any more is uninstalled.
 */
import { CanisterMap, type CanisterState, canisterKey, removeSnapshots, touch } from "@orrery/state";
import { uninstallCode } from "../messaging/uninstall.ts";
import type { Round } from "./round.ts";

export function chargeResources(round: Round): void {
  const { canisters } = round.state;
  const peek = (key: string): CanisterState | undefined =>
    canisters instanceof CanisterMap ? canisters.peek(key) : canisters.get(key);
  const depleted = round.index.upkeep.pass(peek);
  // A map that does not know of its readers' duty: all pay now.
  if (!(canisters instanceof CanisterMap))
    for (const [key, canister] of canisters) round.index.upkeep.settle(key, canister);
  for (const key of depleted) dropDepleted(round, canisters.get(key) as CanisterState);
}

/** Code, history and allocations go; the id and its controllers stay. */
function dropDepleted(round: Round, canister: CanisterState): void {
  const { meta } = canister;
  uninstallCode(round, canister);
  removeSnapshots(round.state, canister, round.arena);
  meta.settings = { ...meta.settings, computeAllocation: 0n, memoryAllocation: 0n };
  canister.history = [];
  meta.historyBytes = 0;
  touch(round.state, canister);
  round.index.refresh(canisterKey(canister), canister);
  round.log.log("info", "uninstalled a canister that ran out of cycles", {});
}
