/**
 * Byte-string helpers. Everything in Orrery is `Uint8Array`; no `Buffer`, no hex strings except as map keys
 * and in text meant for people. Comparison is lexicographic by unsigned byte, the order of the state tree
 * (interface spec, "Certification").
 */
import { OrreryError } from "./errors.ts";

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return concatAll(parts);
}

/** `concatBytes` for any number of parts: a call takes some hundred thousand arguments at the most. A buffer of its own. */
export function concatAll(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const d = (a[i] as number) - (b[i] as number);
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

/** Engines have `Uint8Array.prototype.toHex` since 2025; Node.js since version 25. */
const ENGINE_WRITES_HEX: boolean = "toHex" in Uint8Array.prototype;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  if (ENGINE_WRITES_HEX) return bytes.toHex();
  let out = "";
  for (const b of bytes) out += HEX[b] as string;
  return out;
}

/** Parses lower- or upper-case hexadecimal text of even length; anything else is `hex_invalid`. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new OrreryError("hex_invalid", `not hexadecimal text of even length: ${text.slice(0, 64)}`);
  }
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyDecoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Up to this length a loop over ASCII text is faster than the call of the encoder. */
const SHORT_TEXT_MAX = 64;

export function utf8(text: string): Uint8Array {
  if (text.length > SHORT_TEXT_MAX) return encoder.encode(text);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return encoder.encode(text);
    out[i] = code;
  }
  return out;
}

/** Strict UTF-8; `null` when the bytes are not valid. */
export function utf8Decode(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null;
  }
}

/** UTF-8 with replacement characters, for text shown to people. */
export function utf8DecodeLossy(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes);
}

/** Eight big-endian bytes of an unsigned 64-bit number. */
export function u64be(value: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

export function readU64be(bytes: Uint8Array, offset = 0): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset);
}
