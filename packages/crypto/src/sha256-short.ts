/**
 * SHA-256 of short messages, which is nearly all that is hashed: tree nodes, labels, requests. A message is put together from its
 * parts in the memory of the compression function (sha256-code.ts) and nothing is allocated but the digest; from some hundreds
 * of bytes on a native implementation is faster. A digest is bytes where others see it and eight words where hashes of hashes are
 * made: as an object of small integers it takes a third of the memory of a byte array. The tests compare every short length with
 * the oracle.
 */
import { sha256Code } from "./sha256-code.ts";

/** A SHA-256 hash as its eight words, each a signed 32-bit integer. */
export interface Digest {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
  readonly g: number;
  readonly h: number;
}

export const DIGEST_BYTES = 32;
/** Up to this length this implementation is faster than the call into any other. */
export const SHORT_MESSAGE_BYTES_MAX = 512;

const BLOCK_BYTES = 64;
/** A copy call costs more than a loop over fewer bytes. */
const COPY_BYTES_MIN = 24;
/** The digest comes first in the memory, then the messages. */
const MESSAGE = 64;

const { memory, run } = sha256Code();
const view = new DataView(memory.buffer);
const firstBytes = memory.subarray(0, DIGEST_BYTES);

/** Puts bytes at `at`; returns the place after them. */
function put(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  if (length >= COPY_BYTES_MIN) memory.set(bytes, at);
  else for (let i = 0; i < length; i++) memory[at + i] = bytes[i] as number;
  return at + length;
}

function putDigest(digest: Digest, at: number): number {
  view.setInt32(at, digest.a);
  view.setInt32(at + 4, digest.b);
  view.setInt32(at + 8, digest.c);
  view.setInt32(at + 12, digest.d);
  view.setInt32(at + 16, digest.e);
  view.setInt32(at + 20, digest.f);
  view.setInt32(at + 24, digest.g);
  view.setInt32(at + 28, digest.h);
  return at + DIGEST_BYTES;
}

/** Pads the message that ends at `end` (one bit, zeros, the length in bits in the last 8 bytes of a block) and hashes it. */
function finish(end: number): void {
  const length = end - MESSAGE;
  const blocks = ((length + 8) >>> 6) + 1;
  const lengthAt = MESSAGE + blocks * BLOCK_BYTES - 4;
  memory[end] = 0x80;
  for (let at = end + 1; at < lengthAt; at++) memory[at] = 0;
  view.setInt32(lengthAt, length * 8);
  run(MESSAGE, blocks);
}

function result(): Digest {
  return {
    a: view.getInt32(0),
    b: view.getInt32(4),
    c: view.getInt32(8),
    d: view.getInt32(12),
    e: view.getInt32(16),
    f: view.getInt32(20),
    g: view.getInt32(24),
    h: view.getInt32(28),
  };
}

/** SHA-256 of the concatenation of the parts, meant for `SHORT_MESSAGE_BYTES_MAX` bytes and correct below
 * 32 KiB: 32 fresh bytes. */
export function sha256Short(parts: readonly Uint8Array[]): Uint8Array {
  let at = MESSAGE;
  for (let i = 0; i < parts.length; i++) at = put(parts[i] as Uint8Array, at);
  finish(at);
  return new Uint8Array(firstBytes);
}

/** The hash of two parts. */
export function digestOfBytes(prefix: Uint8Array, bytes: Uint8Array): Digest {
  finish(put(bytes, put(prefix, MESSAGE)));
  return result();
}

/** The hash of a prefix, a label and another hash. */
export function digestOfLabelled(prefix: Uint8Array, label: Uint8Array, below: Digest): Digest {
  finish(putDigest(below, put(label, put(prefix, MESSAGE))));
  return result();
}

/** The hash of a prefix and two hashes. */
export function digestOfPair(prefix: Uint8Array, left: Digest, right: Digest): Digest {
  finish(putDigest(right, putDigest(left, put(prefix, MESSAGE))));
  return result();
}

/** The hash of hashes. */
export function digestOfDigests(digests: readonly Digest[]): Digest {
  let at = MESSAGE;
  for (let i = 0; i < digests.length; i++) at = putDigest(digests[i] as Digest, at);
  finish(at);
  return result();
}

/** The bytes of a digest, fresh. */
export function digestBytes(digest: Digest): Uint8Array {
  putDigest(digest, 0);
  return new Uint8Array(firstBytes);
}

/** The words of 32 bytes. */
export function digestFromBytes(bytes: Uint8Array): Digest {
  put(bytes, 0);
  return result();
}
