/**
 * Answers to HTTPS outcalls as blocks order them (interface spec, "http_request"): what a node got from outside, transformed,
 * what getting it took, and in a subnet of several nodes who signed it. Encoded as part of a block (messages.ts).
 */
import { utf8 } from "./bytes.ts";
import type { TimeNs } from "./capabilities.ts";
import type { CborValue } from "./cbor.ts";
import { OrreryError } from "./errors.ts";

export interface OutcallResponse {
  /** Number of the outcall. */
  readonly outcall: number;
  /** Cycles that the node spent of what it may; 0n where the price was paid in advance. */
  readonly spent: bigint;
  readonly content:
    | { readonly kind: "reply"; readonly data: Uint8Array }
    /** `code`: a reject code of the interface specification. */
    | { readonly kind: "reject"; readonly code: 1 | 2 | 3 | 4 | 5; readonly message: string };
  /** Not there where one node is the subnet. */
  readonly agreement?: OutcallAgreement;
}

/** By whom it was agreed on, or that it cannot be: whether the signatures hold and suffice is for members of consensus to judge. */
export interface OutcallAgreement {
  /** Block time at which the outcall began. */
  readonly begun: TimeNs;
  /** One a node, by ascending place, 1 to `OUTCALL_SHARES_MAX`. */
  readonly shares: readonly OutcallShare[];
}

/** One node's word on what it got. */
export interface OutcallShare {
  /** Place of the node in the subnet. */
  readonly signer: number;
  /** Cycles that this node spent, below 2^128. */
  readonly spent: bigint;
  /** At most 64 bytes. */
  readonly signature: Uint8Array;
  /** SHA-256 of the content that it got; not there where it is the answer's. */
  readonly hash?: Uint8Array;
}

/** More nodes than any subnet has. */
export const OUTCALL_SHARES_MAX = 128;
const HASH_BYTES = 32;
const SIGNATURE_BYTES_MAX = 64;
/** Of a share in a block, encoded. */
const SHARE_BYTES: number = HASH_BYTES + SIGNATURE_BYTES_MAX + 32;
const TIME_MAX: bigint = (1n << 64n) - 1n;

/** Beside the limit of the messages. */
export const RESPONSES_PER_BLOCK_MAX = 500;
/** The largest answer has 2,000,000 bytes, so one always fits. */
export const RESPONSE_BYTES_PER_BLOCK_MAX: number = 2 * 1024 * 1024;

/** What a response counts for when its use of a block is paid. */
export function responseBytes({ content }: OutcallResponse): number {
  return content.kind === "reply" ? content.data.length : utf8(content.message).length;
}

/** What it counts for in the limit of a block. */
export function responseWeight(response: OutcallResponse): number {
  return responseBytes(response) + SHARE_BYTES * (response.agreement?.shares.length ?? 0);
}

export function encodeResponse({
  outcall,
  spent,
  content,
  agreement,
}: OutcallResponse): readonly CborValue[] {
  const told = [outcall, encodeSpent(spent), ...encodeOutcallContent(content)];
  return agreement === undefined ? told : [...told, encodeAgreement(agreement)];
}

export function encodeOutcallContent(content: OutcallResponse["content"]): readonly CborValue[] {
  return content.kind === "reply" ? [content.data] : [content.code, content.message];
}

function encodeAgreement({ begun, shares }: OutcallAgreement): readonly CborValue[] {
  return [begun, ...shares.map(encodeOutcallShare)];
}

export function encodeOutcallShare({ signer, spent, hash, signature }: OutcallShare): readonly CborValue[] {
  const told = [signer, encodeSpent(spent), signature];
  return hash === undefined ? told : [...told, hash];
}

/** Big endian, without leading zeros: CBOR's own integers end at 64 bits. */
function encodeSpent(spent: bigint): Uint8Array {
  const digits = spent === 0n ? "" : spent.toString(16);
  const hex = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

function decodeSpent(value: CborValue | undefined): bigint {
  if (!(value instanceof Uint8Array) || value.length > 16) throw invalid("cycles spent");
  let spent = 0n;
  for (const byte of value) spent = (spent << 8n) | BigInt(byte);
  return spent;
}

function decodeAgreement([begun, ...shares]: readonly CborValue[]): OutcallAgreement {
  // The encoding's own integers are numbers where they fit.
  const time = typeof begun === "number" && Number.isSafeInteger(begun) ? BigInt(begun) : begun;
  if (typeof time !== "bigint" || time < 0n || time > TIME_MAX) throw invalid("time of an outcall");
  if (shares.length === 0 || shares.length > OUTCALL_SHARES_MAX) throw invalid("number of shares");
  let before = -1;
  const decoded = shares.map((entry) => {
    const share = decodeOutcallShare(entry);
    if (share.signer <= before) throw invalid("order of signers");
    before = share.signer;
    return share;
  });
  return { begun: time, shares: decoded };
}

/** `block_invalid` for what is none. */
export function decodeOutcallShare(entry: CborValue): OutcallShare {
  if (!Array.isArray(entry) || entry.length < 3 || entry.length > 4) throw invalid("share");
  const [signer, spent, signature, hash] = entry as readonly CborValue[];
  if (typeof signer !== "number" || !Number.isSafeInteger(signer) || signer < 0) throw invalid("signer");
  if (!(signature instanceof Uint8Array) || signature.length > SIGNATURE_BYTES_MAX)
    throw invalid("signature of a share");
  const share = { signer, spent: decodeSpent(spent), signature };
  if (hash === undefined) return share;
  if (!(hash instanceof Uint8Array) || hash.length !== HASH_BYTES) throw invalid("hash of a share");
  return { ...share, hash };
}

/** `block_invalid` for what is none. */
export function decodeOutcallContent(rest: readonly CborValue[]): OutcallResponse["content"] {
  const [first, message] = rest;
  if (rest.length === 1 && first instanceof Uint8Array) return { kind: "reply", data: first };
  const isCode = first === 1 || first === 2 || first === 3 || first === 4 || first === 5;
  if (rest.length !== 2 || !isCode || typeof message !== "string") throw invalid("content");
  return { kind: "reject", code: first, message };
}

/** Strict: ascending numbers, within the limits. */
export function decodeResponses(value: CborValue | undefined): readonly OutcallResponse[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > RESPONSES_PER_BLOCK_MAX)
    throw invalid("list");
  let before = -1;
  let total = 0;
  return (value as readonly CborValue[]).map((entry) => {
    if (!Array.isArray(entry) || entry.length < 3) throw invalid("entry");
    const [outcall, spent, ...rest] = entry as readonly CborValue[];
    if (typeof outcall !== "number" || !Number.isSafeInteger(outcall) || outcall <= before)
      throw invalid("order of numbers");
    before = outcall;
    const last = rest.at(-1);
    const agreement = Array.isArray(last) ? decodeAgreement(last) : null;
    const response = {
      outcall,
      spent: decodeSpent(spent),
      content: decodeOutcallContent(agreement === null ? rest : rest.slice(0, -1)),
      ...(agreement === null ? {} : { agreement }),
    };
    total += responseWeight(response);
    if (total > RESPONSE_BYTES_PER_BLOCK_MAX) throw invalid(`over ${RESPONSE_BYTES_PER_BLOCK_MAX} bytes`);
    return response;
  });
}

function invalid(why: string): OrreryError {
  return new OrreryError("block_invalid", `not a block: responses: ${why}`);
}
