/**
 * Memory that management calls take (developer documentation, "Storage reservation"): whether the subnet has it, whether the
 * canister stays unfrozen with it, and the cycles that it reserves on a subnet that fills up. Texts are the replica's.
 */
import type { CanisterMeta, SubnetInfo } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import { chargedMemoryBytes, freezingThresholdCycles } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { memorySaturation, storageReservation } from "../fees.ts";
import { MEMORY_SHARES, SUBNET_MEMORY_BYTES_MAX, SUBNET_MEMORY_FOR_CALLBACKS_BYTES } from "../limits.ts";
import type { Round } from "../scheduler/round.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** "10.00 MiB"; single bytes have no decimals. */
export function displayBytes(bytes: bigint): string {
  let unit = 0;
  let value = Number(bytes);
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${UNITS[unit]}`;
}

/** What a change of a canister's record asks for. */
export interface Growth {
  /** The record before. */
  readonly meta: CanisterMeta;
  /** The record after, with the settings and memories that it would have; its balance is what the checks look at. */
  readonly grown: CanisterMeta;
  /** Bytes of the subnet that it may take. */
  readonly available: bigint;
}

export type GrowthRefusal =
  | { readonly kind: "subnet"; readonly bytes: bigint; readonly available: bigint }
  | { readonly kind: "cycles"; readonly bytes: bigint; readonly missing: bigint }
  | { readonly kind: "limit"; readonly bytes: bigint; readonly limit: bigint; readonly excess: bigint };

export type GrowthPlan =
  | { readonly ok: true; readonly reserve: bigint }
  | { readonly ok: false; readonly refusal: GrowthRefusal };

/** The checks in the replica's order; `reserve` is what must move to the reserved balance. */
export function planGrowth(subnet: SubnetInfo, growth: Growth): GrowthPlan {
  const { meta, grown, available } = growth;
  const refuse = (refusal: GrowthRefusal): GrowthPlan => ({ ok: false, refusal });
  const bytes = chargedMemoryBytes(grown) - chargedMemoryBytes(meta);
  if (bytes <= 0n) return { ok: true, reserve: 0n };
  if (bytes > available) return refuse({ kind: "subnet", bytes, available: maxOf(available, 0n) });
  const threshold = freezingThresholdCycles(subnet, grown);
  if (grown.cycles < threshold) return refuse({ kind: "cycles", bytes, missing: threshold - grown.cycles });
  const reserve = storageReservation(subnet, memorySaturation(available, MEMORY_SHARES), bytes);
  const limit = grown.settings.reservedCyclesLimit;
  const excess = grown.reservedCycles + reserve - limit;
  if (excess > 0n) return refuse({ kind: "limit", bytes, limit, excess });
  if (grown.cycles < reserve) return refuse({ kind: "cycles", bytes, missing: reserve - grown.cycles });
  return { ok: true, reserve };
}

export function subnetMemoryError(bytes: bigint, available: bigint): UserError {
  return userError(
    ErrorCode.SubnetOversubscribed,
    `Canister requested ${displayBytes(bytes)} of memory but only ${displayBytes(available)} are available in the subnet.`,
  );
}

export function customSectionsError(bytes: number, available: number): UserError {
  return userError(
    ErrorCode.SubnetOversubscribed,
    `Canister requested ${displayBytes(BigInt(bytes))} of Wasm custom sections memory but only ` +
      `${displayBytes(BigInt(available))} are available in the subnet.`,
  );
}

/** A refusal where memory in use would grow. */
export function growthError(refusal: GrowthRefusal): UserError {
  if (refusal.kind === "subnet") return subnetMemoryError(refusal.bytes, refusal.available);
  const what = `Canister cannot grow memory by ${refusal.bytes} bytes due to`;
  return refusal.kind === "cycles"
    ? userError(ErrorCode.InsufficientCyclesInMemoryGrow, `${what} ${missingCycles(refusal.missing)}`)
    : userError(ErrorCode.ReservedCyclesLimitExceededInMemoryGrow, `${what} ${limitExceeded(refusal)}`);
}

export function missingCycles(missing: bigint): string {
  return `insufficient cycles. At least ${missing} additional cycles are required.`;
}

export function limitExceeded(refusal: { readonly limit: bigint; readonly excess: bigint }): string {
  return `its reserved cycles limit. The current limit (${refusal.limit}) would be exceeded by ${refusal.excess}.`;
}

/** What a subnet has left for canisters besides what is for callbacks. */
export function subnetMemoryLeft({ memoryUsed }: Pick<Round["index"], "memoryUsed">): bigint {
  return SUBNET_MEMORY_BYTES_MAX - SUBNET_MEMORY_FOR_CALLBACKS_BYTES - memoryUsed;
}

/** What one call may take of that. */
export function availableMemory({ index }: Pick<Round, "index">): bigint {
  return subnetMemoryLeft(index) / MEMORY_SHARES;
}

/**
 * Asks for the memory by which `grown` exceeds the canister's record and sets aside the cycles for it; the caller then changes the
 * record. On refusal nothing has changed.
 */
export function takeMemory(round: Round, meta: CanisterMeta, grown: CanisterMeta): UserError | null {
  const plan = planGrowth(round.state.subnet, { meta, grown, available: availableMemory(round) });
  if (!plan.ok) return growthError(plan.refusal);
  meta.cycles -= plan.reserve;
  meta.reservedCycles += plan.reserve;
  return null;
}

/** Bytes of custom sections that a new module may bring besides those of the old one. */
export function sectionsLeft({ limits, index }: Pick<Round, "limits" | "index">): number {
  return Math.max(
    0,
    Math.floor((limits.customSectionBytes - index.customSectionBytes) / Number(MEMORY_SHARES)),
  );
}
