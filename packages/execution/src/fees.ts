/**
 * Prices in cycles (developer documentation, "Cycles costs"; the replica's application-subnet table). Every fee is stated for a
 * subnet of 13 nodes and scales with the subnet's nominal size; system subnets are free. Pure functions: nothing here reads or
 * changes a canister.
 */
import type { SubnetInfo } from "@orrery/state";
import { INSTRUCTIONS_PER_MESSAGE_MAX, INTER_CANISTER_PAYLOAD_BYTES_MAX } from "./limits.ts";

/** Subnet size that the table below is stated for. */
export const REFERENCE_SUBNET_SIZE = 13n;

export const FEES = {
  canisterCreation: 500_000_000_000n,
  /** Per percent and second. */
  computeAllocation: 10_000_000n,
  messageExecution: 5_000_000n,
  tenInstructions: 10n,
  tenInstructions64: 20n,
  call: 260_000n,
  callByte: 1_000n,
  ingressMessage: 1_200_000n,
  ingressByte: 2_000n,
  gibStorageSecond: 127_000n,
  /** Threshold signatures and key derivation, any scheme, on a 13-node subnet. */
  signature: 10_000_000_000n,
  httpLinearBase: 3_000_000n,
  httpQuadraticBase: 60_000n,
  httpRequestByte: 400n,
  httpResponseByte: 800n,
} as const;

const GIB: bigint = 1n << 30n;

/** What fees depend on. */
export type FeeSubnet = Pick<SubnetInfo, "type" | "feeSize">;

/** `amount` of the table, scaled to the subnet. */
export function scaleFee(subnet: FeeSubnet, amount: bigint): bigint {
  if (subnet.type === "system") return 0n;
  return (amount * BigInt(subnet.feeSize)) / REFERENCE_SUBNET_SIZE;
}

/** Cycles of `instructions` without the base fee. */
export function instructionsCost(subnet: FeeSubnet, instructions: bigint, is64: boolean): bigint {
  const perTen = is64 ? FEES.tenInstructions64 : FEES.tenInstructions;
  return scaleFee(subnet, perTen * (instructions / 10n));
}

/** Cycles of one message execution: base fee and instructions. */
export function executionCost(subnet: FeeSubnet, instructions: bigint, is64: boolean): bigint {
  const perTen = is64 ? FEES.tenInstructions64 : FEES.tenInstructions;
  return scaleFee(subnet, FEES.messageExecution + perTen * (instructions / 10n));
}

/** Induction of an ingress message; `bytes` = argument + method name + nonce. */
export function ingressInductionCost(subnet: FeeSubnet, bytes: number): bigint {
  return scaleFee(subnet, FEES.ingressMessage + FEES.ingressByte * BigInt(bytes));
}

export interface CallCost {
  /** Reserved for the callback's execution; the unused part comes back. */
  readonly prepaidExecution: bigint;
  /** Reserved for a response of maximal size; the unused part comes back. */
  readonly prepaidTransmission: bigint;
  /** For sending the request; never refunded. */
  readonly transmissionCost: bigint;
}

/** What `call_perform` takes from the balance besides the attached cycles. Sizes in bytes; `is64`: the caller's memory. */
export function callCost(
  subnet: FeeSubnet,
  call: {
    readonly methodNameBytes: number | bigint;
    readonly payloadBytes: number | bigint;
    readonly is64: boolean;
  },
): CallCost {
  const bytes = BigInt(call.methodNameBytes) + BigInt(call.payloadBytes);
  return {
    prepaidExecution: executionCost(subnet, INSTRUCTIONS_PER_MESSAGE_MAX, call.is64),
    prepaidTransmission: transmissionBytesCost(subnet, INTER_CANISTER_PAYLOAD_BYTES_MAX),
    transmissionCost: scaleFee(subnet, FEES.call) + scaleFee(subnet, FEES.callByte * bytes),
  };
}

/** Per-byte fee of a response. */
export function transmissionBytesCost(subnet: FeeSubnet, bytes: number): bigint {
  return scaleFee(subnet, FEES.callByte * BigInt(bytes));
}

/** Sum of a `CallCost`, which is what `ic0.cost_call` answers. */
export function costCall(
  subnet: FeeSubnet,
  call: {
    readonly methodNameBytes: number | bigint;
    readonly payloadBytes: number | bigint;
    readonly is64: boolean;
  },
): bigint {
  const { prepaidExecution, prepaidTransmission, transmissionCost } = callCost(subnet, call);
  return prepaidExecution + prepaidTransmission + transmissionCost;
}

export function costCreateCanister(subnet: FeeSubnet): bigint {
  return scaleFee(subnet, FEES.canisterCreation);
}

/** Sizes in bytes; `requestBytes` = url, headers, body and transform together. */
export function costHttpRequest(subnet: FeeSubnet, requestBytes: bigint, maxResponseBytes: bigint): bigint {
  if (subnet.type === "system") return 0n;
  const n = BigInt(subnet.feeSize);
  const perNode =
    FEES.httpLinearBase +
    FEES.httpQuadraticBase * n +
    FEES.httpRequestByte * requestBytes +
    FEES.httpResponseByte * maxResponseBytes;
  return perNode * n;
}

/** Nominal sizes of the subnets that hold the published threshold keys, which is what their fees are computed for. */
const KEY_SUBNET_SIZE: ReadonlyMap<string, bigint> = new Map([
  ["key_1", 34n],
  ["test_key_1", 13n],
  ["dfx_test_key", 13n],
]);

export type SignatureCost =
  | { readonly status: "ok"; readonly cycles: bigint }
  | { readonly status: "unknown_curve_or_algorithm" | "unknown_key" };

/** `ic0.cost_sign_with_ecdsa`, `_schnorr` and `cost_vetkd_derive_key`: curve codes are the interface specification's. */
export function costSign(
  subnet: FeeSubnet,
  key: { readonly scheme: "ecdsa" | "schnorr" | "vetkd"; readonly code: number; readonly name: string },
): SignatureCost {
  const codes = key.scheme === "schnorr" ? 2 : 1;
  if (key.code < 0 || key.code >= codes) return { status: "unknown_curve_or_algorithm" };
  const size = KEY_SUBNET_SIZE.get(key.name);
  if (size === undefined) return { status: "unknown_key" };
  const cycles = subnet.type === "system" ? 0n : (FEES.signature * size) / REFERENCE_SUBNET_SIZE;
  return { status: "ok", cycles };
}

/** Keeping `bytes` for `seconds`. */
export function storageCost(subnet: FeeSubnet, bytes: bigint, seconds: bigint): bigint {
  return scaleFee(subnet, (bytes * FEES.gibStorageSecond * seconds) / GIB);
}

/** Holding `percent` of compute for `seconds`. */
export function computeCost(subnet: FeeSubnet, percent: bigint, seconds: bigint): bigint {
  return scaleFee(subnet, percent * FEES.computeAllocation * seconds);
}
