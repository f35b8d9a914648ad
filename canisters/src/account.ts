/**
 * Account identifiers of the ICP ledger: CRC-32 (big endian) of a SHA-224 digest, then the digest of
 * `\x0Aaccount-id`, the owner and the subaccount.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

import type { Principal } from "@icp-sdk/core/principal";

const DOMAIN = "\x0Aaccount-id";
const SUBACCOUNT_BYTES = 32;
const CHECKSUM_BYTES = 4;

/** The 32-byte identifier of an account; the subaccount is 32 bytes, all zeros when absent. */
export function accountIdentifier(owner: Principal, subaccount?: Uint8Array): Uint8Array {
  if (subaccount !== undefined && subaccount.length !== SUBACCOUNT_BYTES) {
    throw new RangeError(`a subaccount is ${SUBACCOUNT_BYTES} bytes long, got ${subaccount.length}`);
  }
  const digest = createHash("sha224")
    .update(DOMAIN, "latin1")
    .update(owner.toUint8Array())
    .update(subaccount ?? new Uint8Array(SUBACCOUNT_BYTES))
    .digest();
  const identifier = new Uint8Array(CHECKSUM_BYTES + digest.length);
  new DataView(identifier.buffer).setUint32(0, crc32(digest));
  identifier.set(digest, CHECKSUM_BYTES);
  return identifier;
}

/** The identifier as the hexadecimal text that wallets show. */
export function accountIdentifierHex(owner: Principal, subaccount?: Uint8Array): string {
  return Buffer.from(accountIdentifier(owner, subaccount)).toString("hex");
}

/** The subaccount in which the cycles-minting canister expects the payments for `principal`. */
export function subaccountOf(principal: Principal): Uint8Array {
  const bytes = principal.toUint8Array();
  const subaccount = new Uint8Array(SUBACCOUNT_BYTES);
  subaccount[0] = bytes.length;
  subaccount.set(bytes, 1);
  return subaccount;
}
