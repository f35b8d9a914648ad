/**
 * Requests of the HTTPS interface as data (interface spec, "Request: Call / Query / Read state",
 * "Authentication") and the strict decoder of their envelopes. `fields` keeps the content as received: the
 * request id hashes whatever is present.
 */
import { equalBytes, utf8Decode } from "./bytes.ts";
import type { TimeNs } from "./capabilities.ts";
import { type CborMap, type CborValue, decodeCbor } from "./cbor.ts";
import { err, type OrreryError, ok, type Result } from "./errors.ts";
import { type CanisterId, PRINCIPAL_BYTES_MAX, type Principal, type UserId } from "./principal.ts";

export interface SenderInfo {
  readonly info: Uint8Array;
  readonly signer: Principal;
  readonly sig: Uint8Array;
}

interface RequestCommon {
  /** Content as decoded, unknown fields included. */
  readonly fields: CborMap;
  readonly sender: UserId;
  readonly ingressExpiry: TimeNs;
  readonly nonce: Uint8Array | null;
}

export interface CallRequest extends RequestCommon {
  readonly kind: "call" | "query";
  readonly canisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly senderInfo: SenderInfo | null;
}

export interface ReadStateRequest extends RequestCommon {
  readonly kind: "read_state";
  readonly paths: readonly (readonly Uint8Array[])[];
}

export type Request = CallRequest | ReadStateRequest;

export interface Delegation {
  readonly fields: CborMap;
  readonly pubkey: Uint8Array;
  readonly expiration: TimeNs;
  readonly targets: readonly CanisterId[] | null;
  readonly permissions: string | null;
}

export interface SignedDelegation {
  readonly delegation: Delegation;
  readonly signature: Uint8Array;
}

export interface Envelope {
  readonly content: Request;
  readonly senderPubkey: Uint8Array | null;
  readonly senderSig: Uint8Array | null;
  readonly senderDelegation: readonly SignedDelegation[] | null;
}

/** Interface spec limits on what a request may hold. */
export const NONCE_BYTES_MAX = 32;
export const READ_STATE_PATHS_MAX = 1_000;
export const READ_STATE_LABELS_MAX = 127;
export const DELEGATIONS_MAX = 20;
export const DELEGATION_TARGETS_MAX = 1_000;

/** Room for some hundreds of principals. */
const SEEN_PRINCIPALS_BITS = 9;
/** 2^32 over the golden ratio, which spreads hashes over the high bits. */
const HASH_FACTOR = 0x9e3779b1;

class Invalid extends Error {}

function field(map: CborMap, key: string): CborValue {
  const value = map.get(key);
  if (value === undefined || value === null) throw new Invalid(`missing field \`${key}\``);
  return value;
}

function blob(value: CborValue, key: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Invalid(`field \`${key}\` is not a byte string`);
  return value;
}

function text(value: CborValue, key: string): string {
  if (typeof value === "string") return value;
  // Some clients send text as bytes; it must still be UTF-8.
  if (value instanceof Uint8Array) {
    const decoded = utf8Decode(value);
    if (decoded !== null) return decoded;
  }
  throw new Invalid(`field \`${key}\` is not text`);
}

function principal(value: CborValue, key: string): Principal {
  const bytes = blob(value, key);
  if (bytes.length > PRINCIPAL_BYTES_MAX)
    throw new Invalid(`field \`${key}\` is not a principal: over 29 bytes`);
  return bytes as Principal;
}

/** The last principal of each hash: senders and canisters come again and again, and then are one object wherever they are kept. */
const seenPrincipals: (Principal | undefined)[] = Array<Principal | undefined>(
  1 << SEEN_PRINCIPALS_BITS,
).fill(undefined);

/** The principal, which may be the object that an earlier request brought. */
function shared(value: CborValue, key: string): Principal {
  const fresh = principal(value, key);
  let hash = 0;
  for (let i = 0; i < fresh.length; i++) hash = (Math.imul(hash, 31) + (fresh[i] as number)) | 0;
  const place = Math.imul(hash, HASH_FACTOR) >>> (32 - SEEN_PRINCIPALS_BITS);
  const seen = seenPrincipals[place];
  if (seen !== undefined && equalBytes(seen, fresh)) return seen;
  seenPrincipals[place] = fresh;
  return fresh;
}

function nat64(value: CborValue, key: string): bigint {
  if (typeof value !== "number" && typeof value !== "bigint")
    throw new Invalid(`field \`${key}\` is not an integer`);
  const n = BigInt(value);
  if (n < 0n || n >= 1n << 64n) throw new Invalid(`field \`${key}\` is outside nat64`);
  return n;
}

function list(value: CborValue, key: string, max: number): readonly CborValue[] {
  if (!Array.isArray(value)) throw new Invalid(`field \`${key}\` is not an array`);
  if (value.length > max)
    throw new Invalid(`field \`${key}\` has ${value.length} entries, at most ${max} are allowed`);
  return value as readonly CborValue[];
}

function map(value: CborValue, key: string): CborMap {
  if (!(value instanceof Map)) throw new Invalid(`field \`${key}\` is not a map`);
  return value as CborMap;
}

function optional<T>(fields: CborMap, key: string, read: (value: CborValue, key: string) => T): T | null {
  const value = fields.get(key);
  return value === undefined || value === null ? null : read(value, key);
}

function decodeSenderInfo(value: CborValue, key: string): SenderInfo {
  const fields = map(value, key);
  return {
    info: blob(field(fields, "info"), "info"),
    signer: principal(field(fields, "signer"), "signer"),
    sig: blob(field(fields, "sig"), "sig"),
  };
}

function decodeContent(fields: CborMap): Request {
  const kind = text(field(fields, "request_type"), "request_type");
  const nonce = optional(fields, "nonce", blob);
  const common = {
    fields,
    nonce,
    sender: shared(field(fields, "sender"), "sender") as UserId,
    ingressExpiry: nat64(field(fields, "ingress_expiry"), "ingress_expiry"),
  };
  if (kind === "call" || kind === "query") {
    return {
      kind,
      ...common,
      canisterId: shared(field(fields, "canister_id"), "canister_id") as CanisterId,
      methodName: text(field(fields, "method_name"), "method_name"),
      arg: blob(field(fields, "arg"), "arg"),
      senderInfo: optional(fields, "sender_info", decodeSenderInfo),
    };
  }
  if (kind === "read_state") {
    const paths = list(field(fields, "paths"), "paths", Number.POSITIVE_INFINITY);
    return {
      kind,
      ...common,
      paths: paths.map((path) =>
        list(path, "path", Number.POSITIVE_INFINITY).map((label) => blob(label, "label")),
      ),
    };
  }
  throw new Invalid(`unknown request_type \`${kind.slice(0, 32)}\``);
}

function decodeDelegation(value: CborValue): SignedDelegation {
  const signed = map(value, "sender_delegation");
  const fields = map(field(signed, "delegation"), "delegation");
  const targets = optional(fields, "targets", (v, k) =>
    list(v, k, Number.POSITIVE_INFINITY).map((t) => principal(t, k)),
  );
  return {
    delegation: {
      fields,
      pubkey: blob(field(fields, "pubkey"), "pubkey"),
      expiration: nat64(field(fields, "expiration"), "expiration"),
      targets: targets as readonly CanisterId[] | null,
      permissions: optional(fields, "permissions", text),
    },
    signature: blob(field(signed, "signature"), "signature"),
  };
}

/**
 * Values in an envelope: a thousand paths of some fifty labels, more than clients ask for at once. Decoding as many takes ten or
 * twenty milliseconds; a body of nothing but the shortest values would take seconds.
 */
export const ENVELOPE_ITEMS_MAX = 50_000;

/**
 * Decodes an envelope's shape; limits on counts and on the nonce are the validator's, which knows the texts.
 * The error is a sentence for the client ("missing field `sender`").
 */
export function decodeEnvelope(bytes: Uint8Array): Result<Envelope, string> {
  try {
    const envelope = map(decodeCbor(bytes, ENVELOPE_ITEMS_MAX), "envelope");
    return ok({
      content: decodeContent(map(field(envelope, "content"), "content")),
      senderPubkey: optional(envelope, "sender_pubkey", blob),
      senderSig: optional(envelope, "sender_sig", blob),
      senderDelegation: optional(envelope, "sender_delegation", (v, k) =>
        list(v, k, Number.POSITIVE_INFINITY).map(decodeDelegation),
      ),
    });
  } catch (cause) {
    if (cause instanceof Invalid) return err(cause.message);
    if ((cause as OrreryError).code === "cbor_invalid") return err((cause as OrreryError).message);
    throw cause;
  }
}
