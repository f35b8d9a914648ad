/**
 * Hash functions and domain separators (interface spec, "Signatures" and "Certification"). SHA-256 of short
 * messages has an implementation of its own; longer ones run on the pure one until the host installs a faster
 * one. An installed back end is checked against the pure one first, since a wrong hash would silently fork the network. Every function is deterministic
 * whatever the back end.
 */
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha224 as nobleSha224, sha256 as nobleSha256, sha512 as nobleSha512 } from "@noble/hashes/sha2.js";
import { concatAll, concatBytes, equalBytes, OrreryError, utf8 } from "@orrery/base";
import { SHORT_MESSAGE_BYTES_MAX, sha256Short } from "./sha256-short.ts";

/** One-shot SHA-256; must not keep or change its argument, must return 32 fresh bytes. */
export type Sha256 = (data: Uint8Array) => Uint8Array;

/** The oracle: SHA-256 in plain TypeScript, never replaced. */
export const sha256Pure: Sha256 = (data) => nobleSha256(data);

let sha256Backend: Sha256 = sha256Pure;

/** From here on parts are hashed where they are instead of being joined first. */
const LONG_MESSAGE_BYTES_MIN: number = 64 * 1024;

/** SHA-256 of data that comes in pieces, none of which is kept. `digest` ends it. */
export interface Sha256Stream {
  update(data: Uint8Array): void;
  /** 32 fresh bytes. */
  digest(): Uint8Array;
}

function sha256StreamPure(): Sha256Stream {
  const hash = nobleSha256.create();
  return {
    update(data): void {
      hash.update(data);
    },
    digest: () => hash.digest(),
  };
}

let sha256StreamBackend: () => Sha256Stream = sha256StreamPure;

export function createSha256(): Sha256Stream {
  return sha256StreamBackend();
}

/** SHA-256 of the concatenation of the parts. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return sha256All(parts);
}

function sha256OfPieces(parts: readonly Uint8Array[]): Uint8Array {
  const stream = createSha256();
  for (const part of parts) stream.update(part);
  return stream.digest();
}

/** `sha256` for any number of parts: a call takes some hundred thousand arguments at the most. */
export function sha256All(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += (parts[i] as Uint8Array).length;
  if (length <= SHORT_MESSAGE_BYTES_MAX) return sha256Short(parts);
  if (parts.length > 1 && length >= LONG_MESSAGE_BYTES_MIN) return sha256OfPieces(parts);
  return sha256Backend(parts.length === 1 ? (parts[0] as Uint8Array) : concatAll(parts));
}

export function sha224(data: Uint8Array): Uint8Array {
  return nobleSha224(data);
}

export function sha512(data: Uint8Array): Uint8Array {
  return nobleSha512(data);
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(nobleSha256, key, data);
}

/** HKDF-SHA256 (RFC 5869): `length` bytes from key material, a salt and a context string. */
export function hkdfSha256(
  material: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  return hkdf(nobleSha256, material, salt, info, length);
}

/** Lengths around SHA-256's padding and block edges, where a wrong implementation shows. */
const SELF_TEST_LENGTHS: readonly number[] = [
  0, 1, 31, 32, 55, 56, 63, 64, 65, 81, 119, 127, 128, 1_000, 4_096, 65_537,
];

/**
 * Makes `backend` the implementation behind `sha256` of longer messages, process-wide. It is first compared with the pure one on
 * lengths around the block edges; a difference is `sha256_backend_wrong` and leaves the old back end in
 * place.
 */
export function installSha256Backend(backend: Sha256): void {
  for (const length of SELF_TEST_LENGTHS) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 131 + length) & 0xff);
    if (!equalBytes(backend(data), sha256Pure(data))) {
      throw new OrreryError(
        "sha256_backend_wrong",
        `the SHA-256 back end differs from the reference on ${length} bytes; it was not installed`,
        { data: { length } },
      );
    }
  }
  sha256Backend = backend;
}

/** As `installSha256Backend`, for data that comes in pieces. */
export function installSha256StreamBackend(backend: () => Sha256Stream): void {
  const [own, other] = [sha256StreamPure(), backend()];
  for (const length of SELF_TEST_LENGTHS) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 131 + length) & 0xff);
    own.update(data);
    other.update(data);
  }
  if (!equalBytes(own.digest(), other.digest())) {
    throw new OrreryError(
      "sha256_backend_wrong",
      "the SHA-256 back end for pieces differs from the reference; it was not installed",
    );
  }
  sha256StreamBackend = backend;
}

const separators = new Map<string, Uint8Array>();

/** `|name| · name`: the domain separator of the interface specification. `name` has at most 255 bytes. */
export function domainSep(name: string): Uint8Array {
  let separator = separators.get(name);
  if (separator === undefined) {
    const bytes = utf8(name);
    if (bytes.length > 255)
      throw new OrreryError("domain_separator_invalid", `domain separator over 255 bytes: ${name}`);
    separator = concatBytes(Uint8Array.of(bytes.length), bytes);
    separators.set(name, separator);
  }
  return separator;
}
