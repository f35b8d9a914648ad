/**
 * Envelopes as clients make them, for the validator's tests: signed, delegated, encoded and decoded again.
 */
import {
  assert,
  type CanisterId,
  type CborMap,
  type CborValue,
  canisterIdFromIndex,
  concatBytes,
  decodeEnvelope,
  type Envelope,
  encodeCbor,
  type Result,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { ed25519Signer, nobleSignatures } from "./curves.ts";
import { domainSep } from "./hashes.ts";
import { type InvalidRequest, type ValidRequest, validateEnvelope } from "./ingress.ts";
import { hashOfMap, requestId } from "./request-id.ts";
import { createSignatureVerifier, type SignatureVerifier, type Signer } from "./signatures.ts";

export const NOW: bigint = 1_700_000_000_000_000_000n;
export const SECOND: bigint = 1_000_000_000n;
export const CANISTER: CanisterId = canisterIdFromIndex(1n);
export const OTHER: CanisterId = canisterIdFromIndex(2n);
const verifier: SignatureVerifier = createSignatureVerifier({ basic: nobleSignatures });

export const key = (i: number): Signer => ed25519Signer(new Uint8Array(32).fill(i));
export const USER: Signer = key(1);

export type Fields = Readonly<Record<string, CborValue>>;

export function content(kind: Kind, sender: Uint8Array, more: Fields = {}): Fields {
  const common = { request_type: kind, sender, ingress_expiry: NOW + 240n * SECOND };
  const specific: Fields =
    kind === "read_state"
      ? { paths: [[utf8("time")]] }
      : { canister_id: CANISTER, method_name: "greet", arg: utf8("DIDL") };
  return { ...common, ...specific, ...more };
}

export const mapOf = (fields: Fields): CborMap =>
  new Map(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

export interface Link {
  readonly from: Signer;
  readonly to: Signer;
  readonly more?: Fields;
}

export function delegate({ from, to, more = {} }: Link): CborValue {
  const delegation = { pubkey: to.publicKeyDer, expiration: NOW + 3_600n * SECOND, ...more };
  const signature = from.sign(
    concatBytes(domainSep("ic-request-auth-delegation"), hashOfMap(mapOf(delegation))),
  );
  return { delegation, signature };
}

export function sign(fields: Fields, signer: Signer): Uint8Array {
  return signer.sign(concatBytes(domainSep("ic-request"), requestId(mapOf(fields))));
}

/** An envelope as it comes over the wire, so that the decoder is under test too. */
export function envelope(fields: Fields, auth: Fields = {}): Envelope {
  const decoded = decodeEnvelope(encodeCbor({ content: fields, ...auth }));
  assert(decoded.ok, decoded.ok ? "" : decoded.error);
  return decoded.value;
}

export function signed(fields: Fields, signer: Signer, more: Fields = {}): Envelope {
  return envelope(fields, { sender_pubkey: signer.publicKeyDer, sender_sig: sign(fields, signer), ...more });
}

export function validate(request: Envelope): Result<ValidRequest, InvalidRequest> {
  return validateEnvelope(request, { now: NOW, verifier });
}

export function refusal(request: Envelope): InvalidRequest {
  const result = validate(request);
  assert(!result.ok, "the request was to be refused");
  return result.error;
}

export function accept(request: Envelope): ValidRequest {
  const result = validate(request);
  assert(result.ok, result.ok ? "" : result.error.text);
  return result.value;
}

export const self = (signer: Signer): Uint8Array => selfAuthenticating(signer.publicKeyDer);

/** A request of `links[0].from`, delegated along the links and signed by the last key. */
export function chained(links: readonly Link[], kind: Kind = "call", more: Fields = {}): Envelope {
  const first = (links[0] as Link).from;
  const fields = content(kind, self(first), more);
  return envelope(fields, {
    sender_pubkey: first.publicKeyDer,
    sender_delegation: links.map(delegate),
    sender_sig: sign(fields, (links.at(-1) as Link).to),
  });
}

export type Kind = "call" | "query" | "read_state";
export const KINDS: readonly Kind[] = ["call", "query", "read_state"];
