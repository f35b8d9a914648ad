/** Text out of bytes where most of it is a few names that come again and again: those are built, and kept in memory, once. */
import { utf8Decode } from "./bytes.ts";

/** Texts up to this length are tried as ASCII first: most map keys are shorter. */
const ASCII_LENGTH_MAX = 32;
/** Room for about a thousand texts: requests have some dozens of names. */
const SEEN_TEXTS_BITS = 10;
/** 2^32 over the golden ratio, which spreads hashes over the high bits. */
const HASH_FACTOR = 0x9e3779b1;

/** The last short text of each hash: field and method names come again and again, and need not be built each time. */
const seenTexts: string[] = Array<string>(1 << SEEN_TEXTS_BITS).fill("");

/** Null when it is not ASCII. */
function asciiAt(bytes: Uint8Array, start: number, end: number): string | null {
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
  const place = Math.imul(hash, HASH_FACTOR) >>> (32 - SEEN_TEXTS_BITS);
  const seen = seenTexts[place] as string;
  if (seen.length === end - start) {
    let i = 0;
    while (i < seen.length && seen.charCodeAt(i) === bytes[start + i]) i++;
    if (i === seen.length) return seen;
  }
  let text = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte >= 0x80) return null;
    text += String.fromCharCode(byte);
  }
  seenTexts[place] = text;
  return text;
}

/** The text from `start` to `end`, null when that is not UTF-8. */
export function textAt(bytes: Uint8Array, start: number, end: number): string | null {
  const ascii = end - start <= ASCII_LENGTH_MAX ? asciiAt(bytes, start, end) : null;
  // A copy, since memory may be shared and text decoders refuse that.
  return ascii ?? utf8Decode(bytes.slice(start, end));
}
