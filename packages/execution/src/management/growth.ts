/**
 * What snapshot calls ask before they change a canister's memory (interface spec, "Memory": what is stored must be paid for), in
 * the replica's order: room in the subnet, a canister that is not frozen by it, cycles for the work, cycles to set aside.
 * Nothing changes unless all holds.
 */
import { err, ok, type Principal, type Result } from "@orrery/base";
import type { CanisterMeta, CanisterState } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import {
  charge,
  chargedMemoryBytes,
  freezingThresholdCycles,
  outOfCycles,
  recordConsumed,
} from "../cycles.ts";
import type { UserError } from "../error-codes.ts";
import { executionCost, memorySaturation, storageReservation } from "../fees.ts";
import { MEMORY_SHARES } from "../limits.ts";
import type { Round } from "../scheduler/round.ts";
import { isController } from "./effective-id.ts";
import { availableMemory, growthError } from "./memory.ts";
import { snapshotOutOfCycles } from "./snapshot-errors.ts";

export interface Growth {
  readonly before: CanisterMeta;
  /** The canister as it will be, but for the price of the work. */
  readonly after: CanisterMeta;
  /** Cycles of the work. */
  readonly cycles: bigint;
  readonly sender: Principal;
}

/** What `settleWork` takes from the balance: the first as consumed, the other into reserve. */
export interface WorkPlan {
  readonly cycles: bigint;
  readonly reserve: bigint;
}

/** Cycles of a management call's own instructions, the base fee included. */
export function workCycles(round: Round, instructions: bigint, is64 = false): bigint {
  return executionCost(round.state.subnet, instructions, is64);
}

export function planWork(round: Round, growth: Growth): Result<WorkPlan, UserError> {
  const { before, after, cycles, sender } = growth;
  const { subnet } = round.state;
  const bytes = maxOf(chargedMemoryBytes(after) - chargedMemoryBytes(before), 0n);
  const available = availableMemory(round);
  if (bytes > available) return err(growthError({ kind: "subnet", bytes, available: maxOf(available, 0n) }));
  const threshold = freezingThresholdCycles(subnet, after);
  const lacking = (missing: bigint): Result<WorkPlan, UserError> =>
    err(growthError({ kind: "cycles", bytes, missing }));
  if (after.cycles < threshold) return lacking(threshold - after.cycles);
  if (after.cycles < threshold + cycles) {
    const reveal = isController(after, sender);
    return err(snapshotOutOfCycles(outOfCycles(after, { requested: cycles, threshold, reveal })));
  }
  const reserve = storageReservation(subnet, memorySaturation(available, MEMORY_SHARES), bytes);
  const limit = after.settings.reservedCyclesLimit;
  const excess = after.reservedCycles + reserve - limit;
  if (reserve > 0n && excess > 0n) return err(growthError({ kind: "limit", bytes, limit, excess }));
  const left = after.cycles - cycles;
  if (left < reserve) return lacking(reserve - left);
  return ok({ cycles, reserve });
}

/** The canister's record has changed; now it pays. */
export function settleWork(round: Round, canister: CanisterState, { cycles, reserve }: WorkPlan): void {
  const { meta } = canister;
  meta.cycles -= cycles + reserve;
  meta.reservedCycles += reserve;
  recordConsumed(round.state, canister, cycles, "instructions");
}

/** Takes cycles for work from the balance, leaving what the memory of today requires. */
export function payForWork(
  round: Round,
  canister: CanisterState,
  options: { readonly cycles: bigint; readonly sender: Principal },
): UserError | null {
  const refused = charge(round.state, canister, {
    amount: options.cycles,
    use: "instructions",
    threshold: freezingThresholdCycles(round.state.subnet, canister.meta),
    reveal: isController(canister.meta, options.sender),
  });
  return refused === null ? null : snapshotOutOfCycles(refused);
}
