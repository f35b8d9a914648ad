/**
 * The pure implementation of BLS12-381 signatures (see bls.ts): slow, and the oracle for the fast one. Starting it costs a
 * tenth of a second, so only what needs an oracle imports it.
 */
import { bls12_381 } from "@noble/curves/bls12-381.js";
import {
  BLS_DST,
  BLS_SIGNATURE_BYTES,
  type Bls,
  checkedSecret,
  lagrangeAtZero,
  sharesInvalid,
} from "./bls.ts";

const signatures = bls12_381.shortSignatures;
const G1 = bls12_381.G1.Point;
const G2 = bls12_381.G2.Point;

function g1FromBytes(bytes: Uint8Array): InstanceType<typeof G1> {
  if (bytes.length !== BLS_SIGNATURE_BYTES) throw new Error("not 48 bytes");
  const point = G1.fromBytes(bytes);
  point.assertValidity();
  if (point.is0() || !point.isTorsionFree()) throw new Error("infinity or outside the subgroup");
  return point;
}

function g2FromBytes(bytes: Uint8Array): InstanceType<typeof G2> {
  if (bytes.length !== 96) throw new Error("not 96 bytes");
  const point = G2.fromBytes(bytes);
  point.assertValidity();
  if (point.is0() || !point.isTorsionFree()) throw new Error("infinity or outside the subgroup");
  return point;
}

/** Compressed. */
const INFINITY: Uint8Array = new Uint8Array(BLS_SIGNATURE_BYTES);
INFINITY[0] = 0xc0;

/** The pure implementation: tens of milliseconds a verification. */
export const nobleBls: Bls = {
  publicKey(secret) {
    return signatures.getPublicKey(checkedSecret(secret)).toBytes();
  },
  sign(secret, message) {
    return signatures.sign(signatures.hash(message, BLS_DST), checkedSecret(secret)).toBytes();
  },
  verify(publicKey, message, signature) {
    try {
      return signatures.verify(
        g1FromBytes(signature),
        signatures.hash(message, BLS_DST),
        g2FromBytes(publicKey),
      );
    } catch {
      // The only failures of these calls are malformed points.
      return false;
    }
  },
  combine(shares) {
    const coefficients = lagrangeAtZero(shares.map((share) => share.index));
    let sum = G1.ZERO;
    for (const [i, share] of shares.entries()) {
      let point: InstanceType<typeof G1>;
      try {
        point = g1FromBytes(share.signature);
      } catch {
        throw sharesInvalid(`share ${share.index} is not a point of the group`);
      }
      sum = sum.add(point.multiply(coefficients[i] as bigint));
    }
    // Shares that cancel each other: no signature, but what the other back end makes of them.
    return sum.is0() ? INFINITY : sum.toBytes();
  },
};
