/**
 * Prices in cycles (developer documentation, "Cycles costs"; the replica's application-subnet table). Every fee is stated for a
 * subnet of 13 nodes and scales with the subnet's nominal size; system subnets are free. Pure functions: nothing here reads or
 * changes a canister.
 */
import type { ChainKeyId, SubnetInfo } from "@orrery/state";
import {
  INSTRUCTIONS_PER_MESSAGE_MAX,
  INTER_CANISTER_PAYLOAD_BYTES_MAX,
  STORAGE_RESERVATION_SECONDS_MAX,
  STORAGE_RESERVATION_THRESHOLD_BYTES,
  SUBNET_MEMORY_BYTES_MAX,
} from "./limits.ts";

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
export type FeeSubnet = Pick<SubnetInfo, "type" | "feeSize" | "admins" | "free">;

/** Nothing costs cycles on system subnets, where admins decide who has canisters, and where the subnet's record says so. */
export function isFree({ type, admins, free }: Pick<FeeSubnet, "type" | "admins" | "free">): boolean {
  return type === "system" || free === true || (admins !== undefined && admins.length > 0);
}

/** `amount` of the table, scaled to the subnet. */
export function scaleFee(subnet: FeeSubnet, amount: bigint): bigint {
  if (isFree(subnet)) return 0n;
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

/** Induction of an ingress message; `bytes`: of the whole envelope, signature included. */
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
  if (isFree(subnet)) return 0n;
  const n = BigInt(subnet.feeSize);
  const perNode =
    FEES.httpLinearBase +
    FEES.httpQuadraticBase * n +
    FEES.httpRequestByte * requestBytes +
    FEES.httpResponseByte * maxResponseBytes;
  return perNode * n;
}

/** How many nodes make an HTTPS outcall, and how many of their answers the caller gets. */
export type OutcallReplication =
  | { readonly kind: "fully_replicated" }
  | { readonly kind: "non_replicated" }
  | {
      readonly kind: "flexible";
      /** Null: every node, and more than two thirds of the answers at least. */
      readonly counts: {
        readonly totalRequests: bigint;
        readonly minResponses: bigint;
        readonly maxResponses: bigint;
      } | null;
    };

/** What an HTTPS outcall priced by use is expected to take. */
export interface OutcallUsage {
  readonly requestBytes: bigint;
  readonly roundtripMs: bigint;
  readonly rawResponseBytes: bigint;
  readonly transformedResponseBytes: bigint;
  readonly transformInstructions: bigint;
  readonly replication: OutcallReplication;
}

/** Prices by use are for whatever size the subnet has; only the transform's instructions are stated for the reference size. */
export const OUTCALL_FEES = {
  base: 1_000_000n,
  requestByte: 50n,
  nodeFull: 140_000n,
  nodeSquaredFull: 800n,
  nodeFlexible: 90_000n,
  nodeResponseFlexible: 2_000n,
  responseFlexible: 100_000n,
  downloadedByte: 50n,
  roundtripMs: 300n,
  gossipedByteNode: 50n,
  consensusNodeByte: 10n,
  consensusByte: 600n,
  /** Bytes that a block spends on an answer besides its content. */
  flexibleResponseBytes: 181n,
} as const;

/** Of an outcall paid by use: what it costs to begin, whatever comes of it. */
export function outcallBaseFee(
  subnet: FeeSubnet,
  request: { readonly requestBytes: bigint; readonly replicated: boolean },
): bigint {
  if (isFree(subnet)) return 0n;
  const n = BigInt(subnet.feeSize);
  const fees = OUTCALL_FEES;
  const start = fees.base + fees.requestByte * request.requestBytes;
  if (request.replicated) return n * (start + fees.nodeFull * n + fees.nodeSquaredFull * n * n);
  return flexibleBaseFee(n, start, 1n);
}

/** Where responses are delivered one by one, `minimum` of them at least. */
function flexibleBaseFee(n: bigint, start: bigint, minimum: bigint): bigint {
  const perResponse = OUTCALL_FEES.nodeResponseFlexible * n + OUTCALL_FEES.responseFlexible;
  return n * (start + OUTCALL_FEES.nodeFlexible * n + perResponse * minimum);
}

/** A byte of an answer in a block. */
function blockByteFee(n: bigint): bigint {
  return (OUTCALL_FEES.consensusNodeByte * n + OUTCALL_FEES.consensusByte) * n;
}

/**
 * Of an outcall paid by use: what its answer took besides. `spentByNode`: each node's own part, of every node where the outcall is
 * replicated; `bytes`: the answer in the block.
 */
export function outcallAnswerFee(
  subnet: FeeSubnet,
  use: { readonly spentByNode: bigint; readonly replicated: boolean; readonly bytes: bigint },
): bigint {
  if (isFree(subnet)) return 0n;
  const n = BigInt(subnet.feeSize);
  return use.spentByNode * (use.replicated ? n : 1n) + blockByteFee(n) * use.bytes;
}

/** `ic0.cost_http_request_v2`: base price, every node's work, and the answers' room in a block. */
export function costHttpRequestByUse(subnet: FeeSubnet, usage: OutcallUsage): bigint {
  if (isFree(subnet)) return 0n;
  const n = BigInt(subnet.feeSize);
  const { replication, requestBytes, transformedResponseBytes: bytes } = usage;
  const fees = OUTCALL_FEES;
  const each =
    fees.downloadedByte * usage.rawResponseBytes +
    fees.roundtripMs * usage.roundtripMs +
    usage.transformInstructions / REFERENCE_SUBNET_SIZE;
  const gossip = fees.gossipedByteNode * bytes * n;
  if (replication.kind !== "flexible") {
    const replicated = replication.kind === "fully_replicated";
    const spentByNode = replicated ? each : each + gossip;
    return (
      outcallBaseFee(subnet, { requestBytes, replicated }) +
      outcallAnswerFee(subnet, { spentByNode, replicated, bytes })
    );
  }
  const { totalRequests, minResponses, maxResponses } = replication.counts ?? {
    totalRequests: n,
    minResponses: (2n * n) / 3n + 1n,
    maxResponses: n,
  };
  const extra = maxResponses > minResponses ? maxResponses - minResponses : 0n;
  const perResponse = fees.nodeResponseFlexible * n + fees.responseFlexible;
  const inBlock = blockByteFee(n) * maxResponses * (fees.flexibleResponseBytes + bytes);
  const base = flexibleBaseFee(n, fees.base + fees.requestByte * requestBytes, minResponses);
  return base + totalRequests * (each + gossip) + inBlock + perResponse * n * extra;
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

/** Curves and algorithms in the order of their codes (interface spec, "Cost estimation"). */
const KEY_CODES: Readonly<Record<ChainKeyId["kind"], readonly string[]>> = {
  ecdsa: ["secp256k1"],
  schnorr: ["bip340secp256k1", "ed25519"],
  vetkd: ["bls12_381_g2"],
};

/** Of one signature or derived key; free for system subnets. */
export function chainKeyFee(subnet: Pick<FeeSubnet, "type" | "admins">, name: string): bigint {
  if (isFree(subnet)) return 0n;
  return (FEES.signature * (KEY_SUBNET_SIZE.get(name) ?? REFERENCE_SUBNET_SIZE)) / REFERENCE_SUBNET_SIZE;
}

/** `ic0.cost_sign_with_ecdsa`, `_schnorr` and `cost_vetkd_derive_key`, for keys that some subnet of the network holds. */
export function costSign(
  subnet: FeeSubnet & Pick<SubnetInfo, "chainKeys" | "routing">,
  key: { readonly scheme: ChainKeyId["kind"]; readonly code: number; readonly name: string },
): SignatureCost {
  const wanted = KEY_CODES[key.scheme][key.code];
  if (wanted === undefined) return { status: "unknown_curve_or_algorithm" };
  const held = (one: ChainKeyId): boolean =>
    one.kind === key.scheme &&
    one.name === key.name &&
    (one.kind === "schnorr" ? one.algorithm : one.curve) === wanted;
  const known =
    subnet.chainKeys?.some(held) === true ||
    subnet.routing.some(({ chainKeys }) => chainKeys?.some(held) === true);
  return known ? { status: "ok", cycles: chainKeyFee(subnet, key.name) } : { status: "unknown_key" };
}

/** Keeping `bytes` for `seconds`. */
export function storageCost(subnet: FeeSubnet, bytes: bigint, seconds: bigint): bigint {
  return scaleFee(subnet, (bytes * FEES.gibStorageSecond * seconds) / GIB);
}

/** How full a subnet's memory is, or a share of it, bytes. */
export interface MemorySaturation {
  readonly used: bigint;
  readonly threshold: bigint;
  readonly capacity: bigint;
}

/** Saturation of one of `shares` equal parts of the subnet's memory, of which `available` bytes are free. */
export function memorySaturation(available: bigint, shares: bigint): MemorySaturation {
  const capacity = SUBNET_MEMORY_BYTES_MAX / shares;
  const used = available < capacity ? capacity - (available > 0n ? available : 0n) : 0n;
  return { used, threshold: STORAGE_RESERVATION_THRESHOLD_BYTES / shares, capacity };
}

/** Cycles that taking `bytes` more reserves: payments for the longer, the fuller the subnet. */
export function storageReservation(subnet: FeeSubnet, memory: MemorySaturation, bytes: bigint): bigint {
  return reservedUpTo(subnet, memory, memory.used + bytes) - reservedUpTo(subnet, memory, memory.used);
}

/** The area under the line that rises from the threshold to the capacity. */
function reservedUpTo(subnet: FeeSubnet, memory: MemorySaturation, bytes: bigint): bigint {
  const { capacity, threshold } = memory;
  const used = bytes < capacity ? bytes : capacity;
  if (used <= threshold) return 0n;
  const above = used - threshold;
  const seconds = (STORAGE_RESERVATION_SECONDS_MAX * above) / (capacity - threshold);
  return storageCost(subnet, above, seconds / 2n);
}

/** Holding `percent` of compute for `seconds`. */
export function computeCost(subnet: FeeSubnet, percent: bigint, seconds: bigint): bigint {
  return scaleFee(subnet, percent * FEES.computeAllocation * seconds);
}
