/**
 * What management calls that change a canister's memory ask before they act (interface spec, "Memory": what is stored must be
 * paid for): room in the subnet, a canister that is not frozen by it, cycles for the work. Nothing changes unless all holds.
 */
import type { Principal } from "@orrery/base";
import type { CanisterMeta, CanisterState } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import { charge, freezingThresholdCycles, memoryUsageBytes, outOfCycles } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { executionCost } from "../fees.ts";
import { SUBNET_MEMORY_BYTES_MAX } from "../limits.ts";
import type { Round } from "../scheduler/round.ts";
import { isController } from "./effective-id.ts";
import { help } from "./help.ts";
import { snapshotOutOfCycles } from "./snapshot-errors.ts";

export interface Growth {
  /** The canister as it will be, its balance included. */
  readonly after: CanisterMeta;
  /** Bytes that it uses now. */
  readonly before: bigint;
  /** Cycles of the work that is to be paid on top. */
  readonly cycles: bigint;
  readonly sender: Principal;
}

/** Cycles of a management call's own instructions, the base fee included. */
export function workCycles(round: Round, instructions: bigint, is64 = false): bigint {
  return executionCost(round.state.subnet, instructions, is64);
}

/** Null: it may be done and `payForWork` will succeed. */
export function checkGrowth(round: Round, growth: Growth): UserError | null {
  const { after, before, cycles, sender } = growth;
  const { subnet } = round.state;
  const allocation = after.settings.memoryAllocation;
  const added = maxOf(maxOf(memoryUsageBytes(after), allocation) - maxOf(before, allocation), 0n);
  const available = SUBNET_MEMORY_BYTES_MAX - round.index.memoryUsed;
  if (added > available) {
    return userError(
      ErrorCode.SubnetOversubscribed,
      `Canister requested ${added} B of memory but only ${maxOf(available, 0n)} B are available in the subnet.` +
        help("Try moving to another subnet.", "subnet-memory-capacity-oversubscribed"),
    );
  }
  const threshold = freezingThresholdCycles(subnet, after);
  if (after.cycles < threshold) {
    return userError(
      ErrorCode.InsufficientCyclesInMemoryGrow,
      `Canister cannot grow memory by ${added} bytes due to insufficient cycles. ` +
        `At least ${threshold - after.cycles} additional cycles are required.` +
        help("Top up the canister with more cycles.", "insufficient-cycles-in-memory-grow-1"),
    );
  }
  if (after.cycles >= threshold + cycles) return null;
  const reveal = isController(after, sender);
  return snapshotOutOfCycles(outOfCycles(after, { requested: cycles, threshold, reveal }));
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
