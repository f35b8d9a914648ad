/**
 * A canister's balances (interface spec, "Cycles"; developer documentation, "Cycles costs"): memory in use, idle burn, freezing
 * threshold, liquid balance, prepayment and refund of executions. Invariants: a balance never goes below zero; whatever leaves it
 * is either in flight in a message, reserved, or counted in `consumed` and `consumedCyclesTotal`.
 */
import { principalToText } from "@orrery/base";
import { type CanisterMeta, type CanisterState, memoryUsageBytes, type Prepayment } from "@orrery/state";
import { maxOf, minOf } from "./bigints.ts";
import { ErrorCode, type UserError, userError } from "./error-codes.ts";
import { computeCost, executionCost, type FeeSubnet, instructionsCost, storageCost } from "./fees.ts";
import { messageBytes } from "./messaging/message-memory.ts";

const SECONDS_PER_DAY = 86_400n;

/** What cycles are consumed for; the field names of `canister_metrics`. */
export type UseCase =
  | "memory"
  | "compute_allocation"
  | "ingress_induction"
  | "instructions"
  | "request_and_response_transmission"
  | "uninstall"
  | "canister_creation"
  | "http_outcalls"
  | "burned_cycles";

/** Bytes that storage is charged for: what is in use, at least what is allocated. */
export function chargedMemoryBytes(meta: CanisterMeta): bigint {
  return maxOf(memoryUsageBytes(meta), meta.settings.memoryAllocation);
}

/** Cycles that the memory of a canister costs for so long, and that of its messages, which an allocation does not cover. */
export function memoryCost(subnet: FeeSubnet, meta: CanisterMeta, seconds: bigint): bigint {
  const messages = messageBytes(meta);
  const memory = storageCost(subnet, chargedMemoryBytes(meta), seconds);
  return messages === 0 ? memory : memory + storageCost(subnet, BigInt(messages), seconds);
}

/** Cycles that an idle day costs. */
export function idleCyclesBurnedPerDay(subnet: FeeSubnet, meta: CanisterMeta): bigint {
  return (
    memoryCost(subnet, meta, SECONDS_PER_DAY) +
    computeCost(subnet, meta.settings.computeAllocation, SECONDS_PER_DAY)
  );
}

/** What the cost of a freezing period was computed from last, and the cost: a message mostly changes none of it. */
interface FrozenCost {
  readonly subnet: FeeSubnet | null;
  readonly bytes: bigint;
  readonly messages: number;
  readonly computeAllocation: bigint;
  readonly freezingThreshold: bigint;
  readonly cycles: bigint;
}

let lastCost: FrozenCost = {
  subnet: null,
  bytes: 0n,
  messages: 0,
  computeAllocation: 0n,
  freezingThreshold: 0n,
  cycles: 0n,
};

/** Cycles that the canister costs in its freezing period. */
function freezingCost(subnet: FeeSubnet, meta: CanisterMeta): bigint {
  const bytes = chargedMemoryBytes(meta);
  const messages = messageBytes(meta);
  const { computeAllocation, freezingThreshold } = meta.settings;
  const last = lastCost;
  if (
    last.subnet === subnet &&
    last.bytes === bytes &&
    last.messages === messages &&
    last.computeAllocation === computeAllocation &&
    last.freezingThreshold === freezingThreshold
  )
    return last.cycles;
  const cycles = (idleCyclesBurnedPerDay(subnet, meta) * freezingThreshold) / SECONDS_PER_DAY;
  lastCost = { subnet, bytes, messages, computeAllocation, freezingThreshold, cycles };
  return cycles;
}

/** Balance below which the canister is frozen; what is reserved counts towards it. */
export function freezingThresholdCycles(subnet: FeeSubnet, meta: CanisterMeta): bigint {
  const limit = freezingCost(subnet, meta);
  return limit > meta.reservedCycles ? limit - meta.reservedCycles : 0n;
}

/** Balance above the freezing threshold; negative when frozen (interface spec, `liquid_balance`). */
export function liquidBalance(subnet: FeeSubnet, meta: CanisterMeta): bigint {
  return meta.cycles - freezingThresholdCycles(subnet, meta);
}

export function isFrozen(subnet: FeeSubnet, meta: CanisterMeta): boolean {
  return meta.cycles < freezingThresholdCycles(subnet, meta);
}

/** IC0207 in the replica's words; only controllers are told by how much. */
export function outOfCycles(
  meta: CanisterMeta,
  amount: { readonly requested: bigint; readonly threshold: bigint; readonly reveal: boolean },
): UserError {
  const id = principalToText(meta.id);
  const missing = amount.threshold + amount.requested - meta.cycles;
  const text = amount.reveal
    ? `Canister ${id} is out of cycles: please top up the canister with at least ${missing} additional cycles`
    : `Canister ${id} is out of cycles`;
  return userError(ErrorCode.CanisterOutOfCycles, text);
}

/** The subnet-wide total, in the state or in what a partition of a round adds to it. */
export interface ConsumptionTotal {
  consumedCyclesTotal: bigint;
}

/** Books cycles that already left a balance or a message as consumed. */
export function recordConsumed(
  total: ConsumptionTotal,
  canister: Pick<CanisterState, "consumed"> | null,
  amount: bigint,
  use: UseCase,
): void {
  if (amount === 0n) return;
  total.consumedCyclesTotal += amount;
  if (canister !== null) canister.consumed.set(use, (canister.consumed.get(use) ?? 0n) + amount);
}

/**
 * Takes `amount` from the main balance and books it, or answers IC0207 and changes nothing. `threshold`: what must remain.
 */
export function charge(
  total: ConsumptionTotal,
  canister: CanisterState,
  options: {
    readonly amount: bigint;
    readonly use: UseCase;
    readonly threshold?: bigint;
    readonly reveal?: boolean;
  },
): UserError | null {
  const { amount, use, threshold = 0n, reveal = false } = options;
  if (amount === 0n) return null;
  const { meta } = canister;
  if (meta.cycles < threshold + amount) return outOfCycles(meta, { requested: amount, threshold, reveal });
  meta.cycles -= amount;
  recordConsumed(total, canister, amount, use);
  return null;
}

/** Who pays for resources over time. */
type ResourcePayer = Pick<CanisterState, "consumed"> & {
  readonly meta: Pick<CanisterMeta, "cycles" | "reservedCycles">;
};

/** Pays for a resource over time: reserved cycles first, then the main balance. False, and nothing taken, when both do not suffice. */
export function chargeResource(
  total: ConsumptionTotal,
  canister: ResourcePayer,
  amount: bigint,
  use: "memory" | "compute_allocation" | "uninstall",
): boolean {
  const { meta } = canister;
  if (meta.cycles + meta.reservedCycles < amount) return false;
  const fromReserved = minOf(meta.reservedCycles, amount);
  meta.reservedCycles -= fromReserved;
  meta.cycles -= amount - fromReserved;
  recordConsumed(total, canister, amount, use);
  return true;
}

/** What a canister that cannot pay any more has left is burned; the caller uninstalls it. */
export function burnRest(total: ConsumptionTotal, canister: ResourcePayer): void {
  const { cycles, reservedCycles } = canister.meta;
  chargeResource(total, canister, cycles + reservedCycles, "uninstall");
}

/**
 * Takes the price of a whole message from the balance, keeping the freezing threshold; IC0207 when there is not enough.
 */
export function prepayExecution(
  subnet: FeeSubnet,
  canister: CanisterState,
  options: { readonly instructionLimit: bigint; readonly reveal?: boolean },
): { readonly ok: true; readonly value: Prepayment } | { readonly ok: false; readonly error: UserError } {
  const { instructionLimit, reveal = false } = options;
  const { meta } = canister;
  const is64 = meta.module?.is64 ?? false;
  const cycles = executionCost(subnet, instructionLimit, is64);
  const threshold = freezingThresholdCycles(subnet, meta);
  if (meta.cycles < threshold + cycles) {
    return { ok: false, error: outOfCycles(meta, { requested: cycles, threshold, reveal }) };
  }
  meta.cycles -= cycles;
  return { ok: true, value: { cycles, instructionLimit, is64 } };
}

/** Whether the balance pays for a whole message and keeps the freezing threshold. */
export function canPrepay(subnet: FeeSubnet, { meta }: CanisterState, instructionLimit: bigint): boolean {
  const cycles = executionCost(subnet, instructionLimit, meta.module?.is64 ?? false);
  return meta.cycles >= freezingThresholdCycles(subnet, meta) + cycles;
}

/**
 * Brings what was prepaid for a callback in line with the code that now runs it, which an upgrade may have made 32-bit or 64-bit
 * since: the rest is taken from the balance whatever the freezing threshold, or given back. IC0207 when the balance is too small.
 */
export function adjustPrepayment(
  subnet: FeeSubnet,
  canister: CanisterState,
  options: { readonly prepaid: bigint; readonly instructionLimit: bigint },
): { readonly ok: true; readonly value: Prepayment } | { readonly ok: false; readonly error: UserError } {
  const { prepaid, instructionLimit } = options;
  const { meta } = canister;
  const is64 = meta.module?.is64 ?? false;
  const cycles = executionCost(subnet, instructionLimit, is64);
  const missing = cycles - prepaid;
  if (missing > meta.cycles) {
    return { ok: false, error: outOfCycles(meta, { requested: missing, threshold: 0n, reveal: false }) };
  }
  meta.cycles -= missing;
  return { ok: true, value: { cycles, instructionLimit, is64 } };
}

/** Refunds what a message did not use and books the rest. */
export function settleExecution(
  options: { readonly subnet: FeeSubnet; readonly total: ConsumptionTotal; readonly prepaid: Prepayment },
  canister: CanisterState,
  instructions: bigint,
): void {
  const { subnet, total, prepaid } = options;
  const unused = instructions < prepaid.instructionLimit ? prepaid.instructionLimit - instructions : 0n;
  const refund = minOf(instructionsCost(subnet, unused, prepaid.is64), prepaid.cycles);
  canister.meta.cycles += refund;
  recordConsumed(total, canister, prepaid.cycles - refund, "instructions");
}
