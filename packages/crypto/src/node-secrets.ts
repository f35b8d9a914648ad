/**
 * The secrets of one node of a subnet, each of its own seed (interface spec, "Node keys" of the state tree; consensus of the public network
 * has the same kinds). From one seed for tests, simulations and local networks; a node of a network of operators draws it from its
 * host's randomness, once. Only what follows from the seeds by a public key ever leaves the node.
 */
import { OrreryError, utf8 } from "@orrery/base";
import { hkdfSha256 } from "./hashes.ts";

/** Of the seed, and of every secret. */
export const NODE_SEED_BYTES = 32;

export interface NodeSecrets {
  /** Ed25519: the node's id is of its public key; signs answers to queries, dealings and blocks. */
  readonly signing: Uint8Array;
  /** Ed25519: signs notarizations and finalizations, which are lists of such signatures. */
  readonly committee: Uint8Array;
  /** Ed25519: of the certificate that peers are shown. */
  readonly tls: Uint8Array;
  /** For `createEncryptionKey`: shares of the subnet's keys are encrypted to it. */
  readonly encryption: Uint8Array;
  /** For `createDealing`, which binds it to the run: what the node deals. */
  readonly dealing: Uint8Array;
}

/** `node_key_invalid` for a seed of another length. None of the secrets tells anything of another one or of the seed. */
export function deriveNodeSecrets(seed: Uint8Array): NodeSecrets {
  if (seed.length !== NODE_SEED_BYTES) {
    throw new OrreryError(
      "node_key_invalid",
      `a node's seed has ${NODE_SEED_BYTES} bytes, this one ${seed.length}; draw it anew or restore the one that was kept`,
    );
  }
  const derive = (purpose: string): Uint8Array =>
    hkdfSha256(seed, utf8("orrery node secret"), utf8(purpose), NODE_SEED_BYTES);
  return {
    signing: derive("signing"),
    committee: derive("committee"),
    tls: derive("tls"),
    encryption: derive("encryption"),
    dealing: derive("dealing"),
  };
}
