/**
 * Principals (interface spec, "Principals"): at most 29 bytes; textual form is lower-case base32 of CRC32 and
 * bytes in groups of five. Brands tell the roles apart at compile time; `principalKey` is the map key whose
 * string order is the byte order.
 */
import { sha224 } from "@noble/hashes/sha2.js";
import { concatBytes, toHex } from "./bytes.ts";
import { OrreryError } from "./errors.ts";

declare const principalBrand: unique symbol;
declare const roleBrand: unique symbol;

export type Principal = Uint8Array & { readonly [principalBrand]: true };
export type CanisterId = Principal & { readonly [roleBrand]?: "canister" };
export type SubnetId = Principal & { readonly [roleBrand]?: "subnet" };
export type NodeId = Principal & { readonly [roleBrand]?: "node" };
export type UserId = Principal & { readonly [roleBrand]?: "user" };

/** Lower-case hexadecimal text of a principal: the key of every map keyed by principal. */
export type PrincipalKey = string;

export const PRINCIPAL_BYTES_MAX = 29;

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c >>> 0;
});

/** CRC-32 (IEEE 802.3) of the bytes, continued from `crc`. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let c = ~crc >>> 0;
  for (let i = 0; i < bytes.length; i++) {
    c = (CRC_TABLE[(c ^ (bytes[i] as number)) & 0xff] as number) ^ (c >>> 8);
  }
  return ~c >>> 0;
}

/** Brands bytes as a principal; more than 29 bytes is `principal_invalid`. */
export function principalFromBytes(bytes: Uint8Array): Principal {
  if (bytes.length > PRINCIPAL_BYTES_MAX) {
    throw new OrreryError(
      "principal_invalid",
      `a principal has at most ${PRINCIPAL_BYTES_MAX} bytes, this one has ${bytes.length}`,
    );
  }
  return bytes as Principal;
}

export function principalToText(principal: Uint8Array): string {
  const crc = crc32(principal);
  const data = concatBytes(
    Uint8Array.of(crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff),
    principal,
  );
  let bits = 0;
  let acc = 0;
  let text = "";
  for (const b of data) {
    acc = ((acc << 8) | b) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(acc >>> bits) & 31] as string;
    }
  }
  if (bits > 0) text += BASE32[(acc << (5 - bits)) & 31] as string;
  return (text.match(/.{1,5}/g) as string[]).join("-");
}

/** Parses the canonical textual form; wrong characters, grouping or checksum is `principal_invalid`. */
export function principalFromText(text: string): Principal {
  const raw = text.replaceAll("-", "");
  const out: number[] = [];
  let bits = 0;
  let acc = 0;
  for (const ch of raw) {
    const v = BASE32.indexOf(ch);
    if (v < 0)
      throw new OrreryError("principal_invalid", `not a textual principal (character "${ch}"): ${text}`);
    acc = ((acc << 5) | v) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((acc >>> bits) & 0xff);
    }
  }
  const principal = Uint8Array.from(out.slice(4));
  if (out.length < 4 || principal.length > PRINCIPAL_BYTES_MAX || principalToText(principal) !== text) {
    throw new OrreryError(
      "principal_invalid",
      `not a textual principal (checksum, length or grouping): ${text}`,
    );
  }
  return principal as Principal;
}

export function principalKey(principal: Uint8Array): PrincipalKey {
  return toHex(principal);
}

export const ANONYMOUS: UserId = Uint8Array.of(4) as UserId;
export const MANAGEMENT_CANISTER: CanisterId = new Uint8Array(0) as CanisterId;

/** `SHA-224(DER public key) · 0x02`. */
export function selfAuthenticating(derPublicKey: Uint8Array): UserId {
  return concatBytes(sha224(derPublicKey), Uint8Array.of(2)) as UserId;
}

/** The canister id of index `n`: u64 big endian · 0x01 · 0x01. */
export function canisterIdFromIndex(n: bigint): CanisterId {
  const out = new Uint8Array(10);
  new DataView(out.buffer).setBigUint64(0, n);
  out[8] = 1;
  out[9] = 1;
  return out as CanisterId;
}

/** Index of a canister id, or null when the principal does not have that form. */
export function canisterIndex(id: Uint8Array): bigint | null {
  if (id.length !== 10 || id[8] !== 1 || id[9] !== 1) return null;
  return new DataView(id.buffer, id.byteOffset, 10).getBigUint64(0);
}
