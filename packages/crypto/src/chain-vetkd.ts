/**
 * Verifiably encrypted key derivation on BLS12-381 (interface spec, "vetkd_public_key", "vetkd_derive_key"; ia.cr/2023/616): keys of
 * a canister and of a context below a master key in G2, and BLS signatures in G1 over an input, encrypted for a transport key.
 */
import { hash_to_field } from "@noble/curves/abstract/hash-to-curve.js";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { assert, concatBytes, u64be, utf8 } from "@orrery/base";
import { BLS_ORDER, bigintFromBytes, bigintToBytes } from "./bls.ts";
import { hkdfSha256 } from "./hashes.ts";

const G1 = bls12_381.G1;
const G2 = bls12_381.G2;
type G1Point = InstanceType<typeof G1.Point>;

/** Ciphersuite with message augmentation: the derived public key goes before the input. */
const AUGMENTED_DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_AUG_";
const CANISTER_DST = "ic-vetkd-bls12-381-g2-canister-id";
const CONTEXT_DST = "ic-vetkd-bls12-381-g2-context";
const SCALAR_BYTES = 32;
export const VETKD_TRANSPORT_KEY_BYTES = 48;

function hashToScalar(first: Uint8Array, second: Uint8Array, dst: string): bigint {
  const prefixed = [first, second].flatMap((part) => [u64be(BigInt(part.length)), part]);
  const [[scalar = 0n] = []] = hash_to_field(concatBytes(...prefixed), 1, {
    p: BLS_ORDER,
    m: 1,
    k: 128,
    expand: "xmd",
    hash: nobleSha256,
    DST: dst,
  });
  return scalar;
}

/** The offsets of canister and context; an empty context has none. */
function walk(
  master: Uint8Array,
  canisterId: Uint8Array,
  context: Uint8Array,
): { key: Uint8Array; offset: bigint } {
  let offset = hashToScalar(master, canisterId, CANISTER_DST);
  let point = G2.Point.fromBytes(master).add(G2.Point.BASE.multiply(offset));
  if (context.length > 0) {
    const next = hashToScalar(point.toBytes(true), context, CONTEXT_DST);
    point = point.add(G2.Point.BASE.multiply(next));
    offset = (offset + next) % BLS_ORDER;
  }
  return { key: point.toBytes(true), offset };
}

/** 96 bytes: the key under which what a canister derives in a context verifies. `master`: 96 bytes. */
export function deriveVetKdPublicKey(
  master: Uint8Array,
  canisterId: Uint8Array,
  context: Uint8Array,
): Uint8Array {
  return walk(master, canisterId, context).key;
}

/** The transport key as a point of the group, or null when it is none (or the one at infinity). */
function transportPoint(bytes: Uint8Array): G1Point | null {
  if (bytes.length !== VETKD_TRANSPORT_KEY_BYTES) return null;
  try {
    const point = G1.Point.fromBytes(bytes);
    point.assertValidity();
    return point.is0() || !point.isTorsionFree() ? null : point;
  } catch {
    // The library's only errors on 48 bytes are encodings of no point.
    return null;
  }
}

export function isVetKdTransportKey(bytes: Uint8Array): boolean {
  return transportPoint(bytes) !== null;
}

export interface VetKdRequest {
  readonly canisterId: Uint8Array;
  readonly context: Uint8Array;
  readonly input: Uint8Array;
  /** 48 bytes. */
  readonly transportPublicKey: Uint8Array;
}

/**
 * E1 · E2 · E3, 192 bytes: the BLS signature on `input` in `context`, encrypted for the transport key; null when that is no point of
 * the group. The encryption's randomness is a function of the secret and the request, unknown to whoever has not the secret.
 */
export function deriveVetKey(
  master: { readonly secret: Uint8Array; readonly publicKey: Uint8Array },
  request: VetKdRequest,
): Uint8Array | null {
  const transport = transportPoint(request.transportPublicKey);
  if (transport === null) return null;
  const { key, offset } = walk(master.publicKey, request.canisterId, request.context);
  const secret = (bigintFromBytes(master.secret) + offset) % BLS_ORDER;
  assert(secret !== 0n, "a derived vetKD secret is zero");
  const hashed = G1.hashToCurve(concatBytes(key, request.input), { DST: AUGMENTED_DST }) as G1Point;
  const r = encryptionScalar(bigintToBytes(secret, SCALAR_BYTES), request);
  return concatBytes(
    G1.Point.BASE.multiply(r).toBytes(true),
    G2.Point.BASE.multiply(r).toBytes(true),
    transport.multiply(r).add(hashed.multiply(secret)).toBytes(true),
  );
}

function encryptionScalar(secret: Uint8Array, request: VetKdRequest): bigint {
  const parts = [request.canisterId, request.context, request.input, request.transportPublicKey];
  const salt = concatBytes(...parts.flatMap((part) => [u64be(BigInt(part.length)), part]));
  const wide = hkdfSha256(secret, salt, utf8("orrery vetkd encryption"), 48);
  return (bigintFromBytes(wide) % (BLS_ORDER - 1n)) + 1n;
}

/** 96 bytes. */
export function vetKdPublicKey(secret: Uint8Array): Uint8Array {
  return G2.Point.BASE.multiply(bigintFromBytes(secret)).toBytes(true);
}
