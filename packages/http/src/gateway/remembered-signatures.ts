/**
 * BLS verification that remembers which signatures were good. All responses of a height carry the same certified state, so a page
 * with a hundred assets verifies one signature and one delegation.
 */
import { concatBytes, toHex } from "@orrery/base";
import { type Bls, sha256 } from "@orrery/crypto";

/** A state and a delegation for each of some subnets, over the last heights. */
const REMEMBERED_MAX = 256;

export function rememberSignatures(bls: Bls): Bls {
  const good = new Set<string>();
  return {
    ...bls,
    verify(publicKey, message, signature) {
      const key = toHex(sha256(concatBytes(sha256(publicKey), sha256(message), sha256(signature))));
      if (good.has(key)) return true;
      if (!bls.verify(publicKey, message, signature)) return false;
      if (good.size >= REMEMBERED_MAX) good.delete(good.values().next().value as string);
      good.add(key);
      return true;
    },
  };
}
