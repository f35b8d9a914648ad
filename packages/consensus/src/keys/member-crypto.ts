/**
 * What a member of a subnet signs and verifies with, given its keys as bytes: Ed25519 for its own word, shares of two BLS keys for the
 * subnet's. Where the keys come from is the caller's matter.
 */
import { assert, OrreryError } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import type { KeySet, MemberCrypto } from "../member/types.ts";

/** One polynomial's: what this member signs with, and what all are verified with. */
export interface SharedKey {
  /** 96 bytes. */
  readonly publicKey: Uint8Array;
  /** 96 bytes each, by member. */
  readonly publicShares: readonly Uint8Array[];
  /** 32 bytes; null for who is no member. */
  readonly own: Uint8Array | null;
}

export interface MemberKeys {
  readonly bls: Bls;
  readonly sets: Readonly<Record<KeySet, SharedKey>>;
  /** Ed25519, 32 bytes each, by member. */
  readonly nodeKeys: readonly Uint8Array[];
  readonly sign: (message: Uint8Array) => Uint8Array;
  /** Ed25519. */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
}

export function memberCrypto({ bls, sets, nodeKeys, sign, verify }: MemberKeys): MemberCrypto {
  return {
    sign,
    verify(signer, message, signature): boolean {
      const key = nodeKeys[signer];
      return key !== undefined && verify(key, message, signature);
    },
    signShare(keys, message): Uint8Array {
      const { own } = sets[keys];
      assert(own !== null, "only members sign shares");
      return bls.sign(own, message);
    },
    verifyShare(keys, signer, message, signature): boolean {
      const key = sets[keys].publicShares[signer];
      return key !== undefined && bls.verify(key, message, signature);
    },
    combine(_keys, _message, shares): Uint8Array {
      try {
        return bls.combine(shares.map(([signer, signature]) => ({ index: signer + 1, signature })));
      } catch (error) {
        // A share that is no point of the group.
        if (error instanceof OrreryError && error.code === "bls_shares_invalid") return new Uint8Array(0);
        throw error;
      }
    },
    verifyWhole: (keys, message, signature) => bls.verify(sets[keys].publicKey, message, signature),
  };
}
