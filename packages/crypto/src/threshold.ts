/**
 * Threshold signing by one member of a subnet: every member makes a share with its value of the secret
 * polynomial, any `threshold` shares give the one signature of the subnet's key. A subnet of one node is the
 * case threshold 1, index 1, on the same code.
 */
import { assert, err, ok, type Result } from "@orrery/base";
import { BLS_SECRET_BYTES, type Bls, bigintFromBytes, bigintToBytes, type SignatureShare } from "./bls.ts";
import { evaluate } from "./dkg/polynomial.ts";

export interface ThresholdSigner {
  /** The subnet's key, 96 bytes. */
  readonly publicKey: Uint8Array;
  readonly threshold: number;
  /** This member's share of the signature on `message`. */
  signShare(message: Uint8Array): SignatureShare;
  /**
   * The subnet's 48-byte signature from at least `threshold` shares; it is the caller's to verify shares or
   * result.
   */
  combine(shares: readonly SignatureShare[]): Result<Uint8Array, string>;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

export interface ThresholdSignerOptions {
  readonly bls: Bls;
  readonly publicKey: Uint8Array;
  readonly threshold: number;
  /** This member's index, from 1, and its 32-byte share of the secret. */
  readonly index: number;
  readonly secretShare: Uint8Array;
}

export function createThresholdSigner(options: ThresholdSignerOptions): ThresholdSigner {
  const { bls, publicKey, threshold, index, secretShare } = options;
  return {
    publicKey,
    threshold,
    signShare: (message) => ({ index, signature: bls.sign(secretShare, message) }),
    combine: (shares) => combineShares(bls, threshold, shares),
    verify: (message, signature) => bls.verify(publicKey, message, signature),
  };
}

/** The signature of at least `threshold` shares, or why there is none. */
export function combineShares(
  bls: Pick<Bls, "combine">,
  threshold: number,
  shares: readonly SignatureShare[],
): Result<Uint8Array, string> {
  if (shares.length < threshold) return err(`${shares.length} shares where ${threshold} are needed`);
  try {
    return ok(bls.combine(shares.slice(0, threshold)));
  } catch (cause) {
    return err((cause as Error).message);
  }
}

/**
 * What each of so many members signs with, 32 bytes: the values at 1, 2 and on of the polynomial whose coefficients are these secrets.
 * The first is the key that as many shares sign for as there are coefficients.
 */
export function sharesOf(coefficients: readonly Uint8Array[], members: number): readonly Uint8Array[] {
  const polynomial = coefficients.map(bigintFromBytes);
  return Array.from({ length: members }, (_, i) => {
    const share = evaluate(polynomial, BigInt(i + 1));
    assert(share !== 0n, "a share is not zero");
    return bigintToBytes(share, BLS_SECRET_BYTES);
  });
}

/**
 * The signer of a subnet of one node, whose share is the whole secret. A share that it made itself is the signature, and needs
 * none of the checks that another's would.
 */
export function createSoleSigner(options: {
  readonly bls: Bls;
  readonly secret: Uint8Array;
}): ThresholdSigner {
  const { bls, secret } = options;
  const general = createThresholdSigner({
    bls,
    publicKey: bls.publicKey(secret),
    threshold: 1,
    index: 1,
    secretShare: secret,
  });
  const own = new WeakSet<SignatureShare>();
  return {
    ...general,
    signShare(message) {
      const share = general.signShare(message);
      own.add(share);
      return share;
    },
    combine(shares) {
      const [first] = shares;
      return first !== undefined && own.has(first) ? ok(first.signature.slice()) : general.combine(shares);
    },
  };
}
