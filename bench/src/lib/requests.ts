/** Signed envelopes made ahead of a run, so that the client's signing is not what is measured. */
import {
  type CborMap,
  concatBytes,
  decodeCbor,
  encodeCbor,
  principalFromText,
  selfAuthenticating,
} from "@orrery/base";
import { domainSep, requestId } from "@orrery/crypto";
import { createNodeSigner, nodePublicKeyDer } from "@orrery/host";

const SECRET: Uint8Array = new Uint8Array(32).fill(42);
const SIGN = createNodeSigner(SECRET);
const PUBLIC_KEY: Uint8Array = nodePublicKeyDer(SECRET);
const EXPIRY_MS = 240_000;
/** The middle of what a node takes: what is sent later may be sent some minutes sooner or later than was planned. */
const PLANNED_EXPIRY_MS = 165_000;

export interface CallOptions {
  readonly kind: "call" | "query";
  readonly canisterId: string;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly nonce: number;
  /** When it will be sent, if that is not at once. */
  readonly atMs?: number;
}

/** An Ed25519-signed envelope. */
export function signedEnvelope(options: CallOptions): Uint8Array {
  const { atMs } = options;
  const expiryMs = atMs === undefined ? Date.now() + EXPIRY_MS : Math.round(atMs) + PLANNED_EXPIRY_MS;
  const nonce = new Uint8Array(8);
  new DataView(nonce.buffer).setFloat64(0, options.nonce);
  const fields = new Map<string, string | bigint | Uint8Array>([
    ["request_type", options.kind],
    ["sender", selfAuthenticating(PUBLIC_KEY)],
    ["ingress_expiry", BigInt(expiryMs) * 1_000_000n],
    ["canister_id", principalFromText(options.canisterId)],
    ["method_name", options.method],
    ["arg", options.arg],
    ["nonce", nonce],
  ]);
  const signature = SIGN(concatBytes(domainSep("ic-request"), requestId(fields)));
  return encodeCbor({ content: fields, sender_pubkey: PUBLIC_KEY, sender_sig: signature });
}

/** The `status` of an answer; throws when it is not a map with one. */
export function statusOf(body: Uint8Array): string {
  return (decodeCbor(body) as CborMap).get("status") as string;
}
