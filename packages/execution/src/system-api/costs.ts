/** Imports that tell what something would cost (interface spec, "Cost estimation"). */
import { utf8Decode, utf8DecodeLossy } from "@orrery/base";
import {
  costCall,
  costCreateCanister,
  costHttpRequest,
  costHttpRequestByUse,
  costSign,
  type OutcallReplication,
  type OutcallUsage,
} from "../fees.ts";
import {
  decodeRecord,
  optional,
  type Read,
  readNat32,
  readNat64,
  readRecord,
  readVariant,
  required,
} from "../management/candid-decode.ts";
import { toolchainViolation } from "./failure.ts";
import { type Host, type HostFunction, type Pointer, unsigned } from "./host.ts";
import type { ImportName } from "./modes.ts";

/** No key has a longer name, and nobody pays for decoding one. */
const KEY_NAME_BYTES_MAX = 1_024;
const RETURN_CODES = { ok: 0, unknown_curve_or_algorithm: 1, unknown_key: 2 } as const;

const readFlexible: Read<OutcallReplication> = (value, what) => {
  const inner = value.kind === "opt" ? value.value : value;
  if (inner === null || inner.kind === "none") return { kind: "flexible", counts: null };
  const counts = readRecord(inner, what);
  return {
    kind: "flexible",
    counts: {
      totalRequests: required(counts, "total_requests", readNat32),
      minResponses: required(counts, "min_responses", readNat32),
      maxResponses: required(counts, "max_responses", readNat32),
    },
  };
};

const readReplication: Read<OutcallReplication> = readVariant<OutcallReplication>({
  fully_replicated: () => ({ kind: "fully_replicated" }),
  non_replicated: () => ({ kind: "non_replicated" }),
  flexible: readFlexible,
});

/** The record that `cost_http_request_v2` takes in Candid. */
function readUsage(params: Uint8Array): OutcallUsage {
  const usage = decodeRecord(params, (record) => ({
    requestBytes: required(record, "request_bytes", readNat64),
    roundtripMs: required(record, "http_roundtrip_time_ms", readNat64),
    rawResponseBytes: required(record, "raw_response_bytes", readNat64),
    transformedResponseBytes: required(record, "transformed_response_bytes", readNat64),
    transformInstructions: required(record, "transform_instructions", readNat64),
    replication: optional(record, "outcall_type", readReplication) ?? { kind: "fully_replicated" },
  }));
  if (usage.ok) return usage.value;
  throw toolchainViolation(`Failed to decode HttpRequestV2CostParams from Candid: ${usage.error}`);
}

function signature(
  host: Host,
  name: "cost_sign_with_ecdsa" | "cost_sign_with_schnorr" | "cost_vetkd_derive_key",
  scheme: "ecdsa" | "schnorr" | "vetkd",
): Record<string, HostFunction> {
  return {
    [name satisfies ImportName]: (src: Pointer, size: Pointer, code: number, dst: Pointer) => {
      host.charge(unsigned(size));
      const frame = host.allow(name);
      const bytes = host.viewBytes(`ic0.${name} heap`, src, size);
      const key = bytes.length > KEY_NAME_BYTES_MAX ? "" : utf8Decode(bytes);
      if (key === null) throw toolchainViolation(`Failed to decode key name ${utf8DecodeLossy(bytes)}`);
      const cost = costSign(frame.context.subnet, { scheme, code: code >>> 0, name: key });
      if (cost.status === "ok") host.writeCycles(`ic0_${name}`, dst, cost.cycles);
      return RETURN_CODES[cost.status];
    },
  };
}

export function costImports(host: Host): Record<string, HostFunction> {
  return {
    cost_call: (methodNameSize: bigint, payloadSize: bigint, dst: Pointer) => {
      const frame = host.allow("cost_call");
      const cycles = costCall(frame.context.subnet, {
        methodNameBytes: BigInt.asUintN(64, methodNameSize),
        payloadBytes: BigInt.asUintN(64, payloadSize),
        is64: host.is64,
      });
      host.writeCycles("ic0_cost_call", dst, cycles);
      return undefined;
    },
    cost_create_canister: (dst: Pointer) => {
      const frame = host.allow("cost_create_canister");
      host.writeCycles("ic0_cost_create_canister", dst, costCreateCanister(frame.context.subnet));
      return undefined;
    },
    cost_http_request: (requestSize: bigint, maxResponseBytes: bigint, dst: Pointer) => {
      const { subnet } = host.allow("cost_http_request").context;
      const sizes = [BigInt.asUintN(64, requestSize), BigInt.asUintN(64, maxResponseBytes)] as const;
      host.writeCycles("ic0_cost_http_request", dst, costHttpRequest(subnet, ...sizes));
      return undefined;
    },
    cost_http_request_v2: (src: Pointer, size: Pointer, dst: Pointer) => {
      const { subnet } = host.allow("cost_http_request_v2").context;
      const usage = readUsage(host.readBytes("ic0.cost_http_request_v2 heap", src, size));
      host.writeCycles("ic0_cost_http_request_v2", dst, costHttpRequestByUse(subnet, usage));
      return undefined;
    },
    ...signature(host, "cost_sign_with_ecdsa", "ecdsa"),
    ...signature(host, "cost_sign_with_schnorr", "schnorr"),
    ...signature(host, "cost_vetkd_derive_key", "vetkd"),
  };
}
