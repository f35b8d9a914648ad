/**
 * BLS12-381 on mcl compiled to WebAssembly: the same bytes as the pure implementation (bls.ts), several times
 * faster. The library keeps its mode in module globals, set once here; a parsed and precomputed public key is
 * cached, because a subnet verifies under the same few keys again and again. Scalar multiplication is not
 * constant time.
 */
import { equalBytes, fromHex, OrreryError, toHex, utf8 } from "@orrery/base";
import mcl from "mcl-wasm";
import {
  BLS_DST,
  BLS_SIGNATURE_BYTES,
  type Bls,
  bigintFromBytes,
  bigintToBytes,
  checkedSecret,
  lagrangeAtZero,
  sharesInvalid,
} from "./bls.ts";
import type { Curve } from "./dkg/curve.ts";
import { mclCurve } from "./dkg/curve-mcl.ts";

/**
 * Precomputed keys kept, some 20 KiB each: a node meets its own subnet's and the root's, and in a subnet of many nodes those of
 * every member's two shares; a client a few.
 */
const KEY_CACHE_MAX = 256;

/** The library copies messages to a 1 MiB stack. What subnets sign is below 200 bytes; longer ones are refused. */
const MESSAGE_BYTES_MAX = 65_536;

/** Messages whose points are kept: a member signs what it then combines and verifies. */
const HASH_CACHE_MAX = 16;

/** Signatures made here whose points are kept: a member puts its own share together with others' and verifies what comes of it. */
const MADE_CACHE_MAX = 16;

/** Map-to-curve mode of RFC 9380, in the library's numbering. */
const MAP_TO_MODE_RFC9380 = 5;

const G2_GENERATOR: Uint8Array = fromHex(
  "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e" +
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
);

const G1_GENERATOR: Uint8Array = fromHex(
  "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
);

/** The parts of the compiled module that the library does not type. */
interface RawModule {
  readonly HEAP8: Int8Array;
  _malloc(length: number): number;
  _free(at: number): void;
  _mclBnG1_setDst(at: number, length: number): number;
}

// Reading a point finds it on the curve and in its subgroup (`verifyOrderG1` and `verifyOrderG2` are on), or throws.

function parseG1(bytes: Uint8Array): mcl.G1 | null {
  if (bytes.length !== BLS_SIGNATURE_BYTES) return null;
  const point = new mcl.G1();
  try {
    point.deserialize(bytes);
  } catch {
    return null;
  }
  return !point.isZero() && equalBytes(point.serialize(), bytes) ? point : null;
}

function parseG2(bytes: Uint8Array): mcl.G2 | null {
  if (bytes.length !== G2_GENERATOR.length) return null;
  const point = new mcl.G2();
  try {
    point.deserialize(bytes);
  } catch {
    return null;
  }
  return !point.isZero() && equalBytes(point.serialize(), bytes) ? point : null;
}

function scalar(bytes: Uint8Array): mcl.Fr {
  const out = new mcl.Fr();
  out.setBigEndianMod(bytes);
  return out;
}

function setDomainSeparationTag(): void {
  const module = (mcl as unknown as { readonly mod: RawModule }).mod;
  const dst = utf8(BLS_DST);
  const at = module._malloc(dst.length);
  module.HEAP8.set(dst, at);
  const code = module._mclBnG1_setDst(at, dst.length);
  module._free(at);
  if (code !== 0)
    throw new OrreryError("bls_backend_wrong", `the BLS back end refused the ciphersuite (code ${code})`);
}

function build(): Bls {
  const generator = parseG2(G2_GENERATOR);
  if (generator === null)
    throw new OrreryError("bls_backend_wrong", "the BLS back end refused the generator of G2");
  const minusGenerator = new mcl.PrecomputedG2(mcl.neg(generator));
  const keys = new Map<string, mcl.PrecomputedG2>();

  function precomputed(publicKey: Uint8Array): mcl.PrecomputedG2 | null {
    const name = toHex(publicKey);
    let key = keys.get(name);
    if (key !== undefined) {
      keys.delete(name);
    } else {
      const point = parseG2(publicKey);
      if (point === null) return null;
      key = new mcl.PrecomputedG2(point);
    }
    // Last in insertion order is most recently used.
    keys.set(name, key);
    if (keys.size > KEY_CACHE_MAX) {
      const [oldest, stale] = keys.entries().next().value as [string, mcl.PrecomputedG2];
      keys.delete(oldest);
      stale.destroy();
    }
    return key;
  }

  const hashes = new Map<string, mcl.G1>();

  function hashed(message: Uint8Array): mcl.G1 {
    const name = toHex(message);
    const known = hashes.get(name);
    if (known !== undefined) return known;
    const point = mcl.hashAndMapToG1(message);
    if (hashes.size >= HASH_CACHE_MAX) hashes.delete(hashes.keys().next().value as string);
    hashes.set(name, point);
    return point;
  }

  /** By their bytes. Multiples of points of the group are points of it: what is made here need not be found there again. */
  const made = new Map<string, mcl.G1>();

  function written(point: mcl.G1): Uint8Array {
    const bytes = point.serialize();
    if (point.isZero()) return bytes;
    if (made.size >= MADE_CACHE_MAX) made.delete(made.keys().next().value as string);
    made.set(toHex(bytes), point);
    return bytes;
  }

  const signaturePoint = (bytes: Uint8Array): mcl.G1 | null => made.get(toHex(bytes)) ?? parseG1(bytes);

  return {
    publicKey(secret) {
      return mcl.mul(generator, scalar(checkedSecret(secret))).serialize();
    },
    sign(secret, message) {
      if (message.length > MESSAGE_BYTES_MAX) {
        throw new OrreryError(
          "bls_message_too_long",
          `a message of ${message.length} bytes cannot be signed; at most ${MESSAGE_BYTES_MAX}: sign its hash`,
        );
      }
      return written(mcl.mul(hashed(message), scalar(checkedSecret(secret))));
    },
    verify(publicKey, message, signature) {
      if (message.length > MESSAGE_BYTES_MAX) return false;
      const key = precomputed(publicKey);
      const point = signaturePoint(signature);
      if (key === null || point === null) return false;
      const hash = hashed(message);
      // e(signature, -generator) · e(hash, key) = 1
      return mcl.finalExp(mcl.precomputedMillerLoop2(point, minusGenerator, hash, key)).isOne();
    },
    combine(shares) {
      const coefficients = lagrangeAtZero(shares.map((share) => share.index));
      const points = shares.map((share) => {
        const point = signaturePoint(share.signature);
        if (point === null) throw sharesInvalid(`share ${share.index} is not a point of the group`);
        return point;
      });
      // A polynomial of degree 0 has the secret at every index: the one share is the signature.
      if (points.length === 1) return (shares[0] as { signature: Uint8Array }).signature.slice();
      const scalars = coefficients.map((c) => scalar(bigintToBytes(c, 32)));
      return written(mcl.mulVec(points, scalars));
    },
  };
}

/**
 * Key and signature of the pure implementation for one secret and "self-test": the oracle itself takes 100 ms
 * to start.
 */
const KNOWN_SECRET: Uint8Array = fromHex("6d937270d633afd6bd49ad4bc0f6859ffaa3411826d5db3b4fce6c035bb8e8b6");
const KNOWN_KEY: Uint8Array = fromHex(
  "96811d0dfbf2dce1ad46babd0699be13381df4af1061f391f1ae1205fa36bb2f4132a1163eb1f42bb9b841b85c066f09" +
    "07f8e913735fd0f8be132e71ecaaceeebf3f544467ffc583ff2e42da1731440790b80bd29c5fa6fccb8f6e78590d23a3",
);
const KNOWN_SIGNATURE: Uint8Array = fromHex(
  "8c4192ee0688dd98f9f9f27175e58dd53e83dbc0a67d77967099296e5cd22a2b1dc89bf283563de40376635a768e0246",
);

/** Refuses to go on with a back end whose bytes differ from the oracle's. */
function selfTest(bls: Bls): void {
  const message = utf8("self-test");
  const good =
    equalBytes(bls.publicKey(KNOWN_SECRET), KNOWN_KEY) &&
    equalBytes(bls.sign(KNOWN_SECRET, message), KNOWN_SIGNATURE) &&
    bls.verify(KNOWN_KEY, message, KNOWN_SIGNATURE);
  if (!good) throw differs();
}

function differs(): OrreryError {
  return new OrreryError(
    "bls_backend_wrong",
    "the BLS back end differs from the reference; it cannot be used",
  );
}

let instance: Promise<Bls> | null = null;

/** The fast implementation, one per process; `bls_backend_wrong` when it fails its self-test. */
export function createMclBls(): Promise<Bls> {
  instance ??= (async () => {
    await mcl.init(mcl.BLS12_381);
    mcl.setETHserialization(true);
    mcl.setMapToMode(MAP_TO_MODE_RFC9380);
    mcl.verifyOrderG1(true);
    mcl.verifyOrderG2(true);
    setDomainSeparationTag();
    const bls = build();
    selfTest(bls);
    return bls;
  })();
  return instance;
}

let curve: Curve | null = null;

/** The groups of the same module, one per process; `bls_backend_wrong` when they are not the reference's. */
export async function createMclCurve(): Promise<Curve> {
  await createMclBls();
  if (curve === null) {
    const built = mclCurve({ g1: G1_GENERATOR, g2: G2_GENERATOR });
    const key = built.g2.multiply(built.g2.generator, bigintFromBytes(KNOWN_SECRET));
    if (!equalBytes(built.g2.encode(key), KNOWN_KEY)) throw differs();
    curve = built;
  }
  return curve;
}
