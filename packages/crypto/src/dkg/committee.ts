/**
 * Threshold signatures by the members of a transcript. A committee verifies shares and signatures for everybody; a member that opened its share
 * signs too.
 */
import type { Result } from "@orrery/base";
import type { Bls, SignatureShare } from "../bls.ts";
import { combineShares, createThresholdSigner, type ThresholdSigner } from "../threshold.ts";
import type { Curve } from "./curve.ts";
import { type LoadedShare, publicKeyOf, publicShare, type Transcript } from "./transcript.ts";

export interface Committee {
  /** 96 bytes. */
  readonly publicKey: Uint8Array;
  readonly threshold: number;
  readonly members: number;
  /** Whether a share is the one of its member. False for members that there are not. */
  verifyShare(share: SignatureShare, message: Uint8Array): boolean;
  /** The 48-byte signature, of at least `threshold` shares that were verified. */
  combine(shares: readonly SignatureShare[]): Result<Uint8Array, string>;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
  /** For the member whose share it is. */
  signer(share: LoadedShare): ThresholdSigner;
}

/** Of a transcript that was verified. */
export function createCommittee(options: {
  readonly bls: Bls;
  readonly curve: Curve;
  readonly transcript: Transcript;
}): Committee {
  const { bls, curve, transcript } = options;
  const { threshold, receivers } = transcript.config;
  const publicKey = publicKeyOf(transcript);
  const keys = new Map<number, Uint8Array | null>();

  function keyOf(index: number): Uint8Array | null {
    if (!Number.isSafeInteger(index) || index < 1 || index > receivers.length) return null;
    let key = keys.get(index);
    if (key === undefined) {
      const computed = publicShare(curve, transcript, index - 1);
      key = computed.ok ? computed.value : null;
      keys.set(index, key);
    }
    return key;
  }

  return {
    publicKey,
    threshold,
    members: receivers.length,
    verifyShare({ index, signature }, message) {
      const key = keyOf(index);
      return key !== null && bls.verify(key, message, signature);
    },
    combine: (shares) => combineShares(bls, threshold, shares),
    verify: (message, signature) => bls.verify(publicKey, message, signature),
    signer: ({ index, secretShare }) =>
      createThresholdSigner({ bls, publicKey, threshold, index, secretShare }),
  };
}
