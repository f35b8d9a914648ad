/**
 * Ideal signatures, simulated: a signature is a hash under a secret that the simulation alone knows, so that millions of rounds can be
 * run. Nobody forges one, and a subnet's signature takes as many shares as it should: what real keys are for. Not for any real network.
 */
import { assert, concatBytes, equalBytes, u64be, utf8 } from "@orrery/base";
import type { KeySet, MemberCrypto } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";

/** What a signature was made of. */
interface Origin {
  readonly who: string;
  readonly message: Uint8Array;
}

/** Shares that a signature takes, counted here again: keys do not depend on what consensus counts. */
export function neededOf(keys: KeySet, members: number): number {
  const faults = Math.floor((members - 1) / 3);
  return keys === "low" ? faults + 1 : 2 * faults + 1;
}

export interface KeyNames {
  readonly own: string;
  readonly basic: (signer: number) => string;
  readonly share: (keys: KeySet, signer: number) => string;
  readonly ownShare: (keys: KeySet) => string;
  readonly whole: (keys: KeySet) => string;
  /** Shares that make a signature. */
  readonly needed: (keys: KeySet) => number;
}

export class IdealKeys {
  readonly #secret: Uint8Array;
  readonly #members: number;
  /** Of signatures as they were handed out: every member is given the same bytes, and asks whether they are good. */
  readonly #origins = new WeakMap<Uint8Array, Origin>();

  constructor(seed: number, members: number) {
    this.#secret = sha256(concatBytes(utf8("ideal keys"), u64be(BigInt(seed))));
    this.#members = members;
  }

  #sign(who: string, message: Uint8Array): Uint8Array {
    const signature = this.#signature(who, message);
    this.#origins.set(signature, { who, message });
    return signature;
  }

  #signature(who: string, message: Uint8Array): Uint8Array {
    return sha256(this.#secret, utf8(who), sha256(message));
  }

  #isGood(who: string, message: Uint8Array, signature: Uint8Array): boolean {
    const origin = this.#origins.get(signature);
    if (origin !== undefined && origin.who === who && equalBytes(origin.message, message)) return true;
    return equalBytes(this.#signature(who, message), signature);
  }

  /** What the member at `index` can do, where members and keys never change. */
  of(index: number): MemberCrypto {
    const members = this.#members;
    return this.named({
      own: `basic ${index}`,
      basic: (signer) => `basic ${signer}`,
      share: (keys, signer) => `${keys} ${signer}`,
      ownShare: (keys) => `${keys} ${index}`,
      whole: (keys) => `${keys} whole`,
      needed: (keys) => neededOf(keys, members),
    });
  }

  /** What a member can do whose keys have these names. */
  named(names: KeyNames): MemberCrypto {
    const verified = (who: string, message: Uint8Array, signature: Uint8Array): boolean =>
      this.#isGood(who, message, signature);
    return {
      sign: (message) => this.#sign(names.own, message),
      verify: (signer, message, signature) => verified(names.basic(signer), message, signature),
      signShare: (keys, message) => this.#sign(names.ownShare(keys), message),
      verifyShare: (keys, signer, message, signature) =>
        verified(names.share(keys, signer), message, signature),
      combine: (keys, message, shares) => {
        const signers = new Set(shares.map(([signer]) => signer));
        assert(signers.size >= names.needed(keys), "too few shares are combined");
        const isGood = shares.every(([signer, share]) => verified(names.share(keys, signer), message, share));
        // Of a wrong share comes something that is nobody's signature.
        return isGood
          ? this.#sign(names.whole(keys), message)
          : sha256(concatBytes(...shares.map(([, share]) => share)));
      },
      verifyWhole: (keys, message, signature) => verified(names.whole(keys), message, signature),
    };
  }
}
