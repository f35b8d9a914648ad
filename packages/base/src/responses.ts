/**
 * Answers to HTTPS outcalls as blocks order them (interface spec, "http_request"): what a node got from outside, transformed, and
 * what getting it took. Encoded as part of a block (messages.ts).
 */
import { utf8 } from "./bytes.ts";
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
}

/** Beside the limit of the messages. */
export const RESPONSES_PER_BLOCK_MAX = 500;
/** The largest answer has 2,000,000 bytes, so one always fits. */
export const RESPONSE_BYTES_PER_BLOCK_MAX: number = 2 * 1024 * 1024;

/** What a response counts for in a block. */
export function responseBytes({ content }: OutcallResponse): number {
  return content.kind === "reply" ? content.data.length : utf8(content.message).length;
}

export function encodeResponse({ outcall, spent, content }: OutcallResponse): readonly CborValue[] {
  const cycles = encodeSpent(spent);
  return content.kind === "reply"
    ? [outcall, cycles, content.data]
    : [outcall, cycles, content.code, content.message];
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

function decodeContent(rest: readonly CborValue[]): OutcallResponse["content"] {
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
    const response = { outcall, spent: decodeSpent(spent), content: decodeContent(rest) };
    total += responseBytes(response);
    if (total > RESPONSE_BYTES_PER_BLOCK_MAX) throw invalid(`over ${RESPONSE_BYTES_PER_BLOCK_MAX} bytes`);
    return response;
  });
}

function invalid(why: string): OrreryError {
  return new OrreryError("block_invalid", `not a block: responses: ${why}`);
}
