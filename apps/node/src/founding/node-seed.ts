/** Secrets of a node that has a seed of its own, which never leaves it: in each subnet of its network it is another node. */
import { utf8 } from "@orrery/base";
import { deriveNodeSecrets, hkdfSha256, NODE_SEED_BYTES, type NodeSecrets } from "@orrery/crypto";

/** `node_key_invalid` for a seed of another length than `NODE_SEED_BYTES`. */
export function nodeSecretsOf(seed: Uint8Array, subnet: number): NodeSecrets {
  if (seed.length !== NODE_SEED_BYTES) return deriveNodeSecrets(seed);
  const purpose = utf8(`orrery node of subnet ${subnet}`);
  return deriveNodeSecrets(hkdfSha256(seed, purpose, new Uint8Array(0), NODE_SEED_BYTES));
}
