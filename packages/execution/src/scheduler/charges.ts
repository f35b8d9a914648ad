/**
 * Storage and compute over time (developer documentation, "Cycles costs"): paid on a grid of `CHARGE_INTERVAL_NS` of block time,
 * for the whole seconds since the last payment. A canister that cannot pay any more is uninstalled.
 */
import type { PrincipalKey } from "@orrery/base";
import { type CanisterState, canisterKey, removeSnapshots, touch } from "@orrery/state";
import { chargedMemoryBytes, chargeResource } from "../cycles.ts";
import { computeCost, storageCost } from "../fees.ts";
import { CHARGE_INTERVAL_NS } from "../limits.ts";
import { uninstallCode } from "../messaging/uninstall.ts";
import type { Round } from "./round.ts";

const NS_PER_SECOND = 1_000_000_000n;

export function chargeResources(round: Round): void {
  const { state, previousTime } = round;
  if (state.time / CHARGE_INTERVAL_NS === previousTime / CHARGE_INTERVAL_NS) return;
  const depleted: PrincipalKey[] = [];
  for (const [key, canister] of state.canisters) {
    // The balance stays as it is in the middle of a message; the seconds are paid for afterwards.
    if (canister.running !== null) continue;
    if (!payUntilNow(round, key, canister)) depleted.push(key);
  }
  for (const key of depleted.sort()) dropDepleted(round, state.canisters.get(key) as CanisterState);
}

/**
 * Charges the seconds since the last payment; false when the cycles did not suffice. They count as paid also when they cost less
 * than a cycle: left to a later payment, they would be billed at what the canister has grown to by then.
 */
function payUntilNow(round: Round, key: PrincipalKey, canister: CanisterState): boolean {
  const { state, index } = round;
  const seconds = (state.time - canister.chargedUntil) / NS_PER_SECOND;
  if (seconds <= 0n) return true;
  const memory = storageCost(state.subnet, chargedMemoryBytes(canister.meta), seconds);
  const compute = computeCost(state.subnet, canister.meta.settings.computeAllocation, seconds);
  canister.chargedUntil += seconds * NS_PER_SECOND;
  index.charged.add(key);
  const memoryPaid = chargeResource(state, canister, memory, "memory");
  return chargeResource(state, canister, compute, "compute_allocation") && memoryPaid;
}

/** Code, history and allocations go; the id and its controllers stay. */
function dropDepleted(round: Round, canister: CanisterState): void {
  const { meta } = canister;
  const holds = meta.module !== null || canister.callContexts.size > 0 || canister.chunks.size > 0;
  if (holds) uninstallCode(round, canister);
  removeSnapshots(round.state, canister, round.arena);
  meta.settings = { ...meta.settings, computeAllocation: 0n, memoryAllocation: 0n };
  canister.history = [];
  meta.historyBytes = 0;
  touch(round.state, canister);
  round.index.refresh(canisterKey(canister), canister);
  round.log.log("info", "uninstalled a canister that ran out of cycles", {});
}
