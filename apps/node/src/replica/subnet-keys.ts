/**
 * What a node of a subnet of many signs and verifies with. `SubnetKeys` is all that the node's replica knows of keys; where they come from
 * is behind it. Keys derived from the seed of a local network (`keysFromSeed`) are for tries on one machine: whoever has the genesis has
 * every node's share, which says nothing about who can sign. Each node nevertheless signs with its own share alone.
 */
import { assert, utf8 } from "@orrery/base";
import { faultsOf, type KeySet, type MemberCrypto, quorumOf } from "@orrery/consensus/member";
import {
  BLS_SECRET_BYTES,
  type Bls,
  hkdfSha256,
  parsePublicKeyDer,
  secretFromSeed,
  sharesOf,
} from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { createNodeSigner } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";

/** Of one subnet, as one of its nodes has them. */
export interface SubnetKeys {
  readonly crypto: MemberCrypto;
}

/** A polynomial's shares: what each node signs with, and what its signatures are verified with. */
interface Shared {
  readonly publicKey: Uint8Array;
  readonly own: Uint8Array;
  readonly publicShares: readonly Uint8Array[];
}

function share(
  bls: Pick<Bls, "publicKey">,
  coefficients: readonly Uint8Array[],
  { self, nodes }: { readonly self: number; readonly nodes: number },
): Shared {
  const shares = sharesOf(coefficients, nodes);
  return {
    publicKey: bls.publicKey(coefficients[0] as Uint8Array),
    own: shares[self] as Uint8Array,
    publicShares: shares.map((secret) => bls.publicKey(secret)),
  };
}

export interface SeedKeysOptions {
  readonly bls: Bls;
  /** Of the network. */
  readonly seed: Uint8Array;
  /** Place of the subnet in the genesis. */
  readonly subnet: number;
  readonly local: LocalSubnet;
  /** Place of the node in the subnet. */
  readonly self: number;
}

/** From the seed of a local network: the subnet's own key is the high polynomial's, as it would be with one node. */
export function keysFromSeed({ bls, seed, subnet, local, self }: SeedKeysOptions): SubnetKeys {
  const { keys, info } = local;
  const nodes = info.nodes.length;
  const derive = (purpose: string): Uint8Array =>
    secretFromSeed(
      hkdfSha256(seed, utf8(`orrery subnet ${subnet} ${purpose}`), new Uint8Array(0), BLS_SECRET_BYTES),
    );
  const coefficients = (name: KeySet, first: Uint8Array, degree: number): readonly Uint8Array[] => [
    first,
    ...Array.from({ length: degree }, (_, i) => derive(`${name} coefficient ${i + 1}`)),
  ];
  const place = { self, nodes };
  const sets: Readonly<Record<KeySet, Shared>> = {
    low: share(bls, coefficients("low", derive("low key"), faultsOf(nodes)), place),
    high: share(bls, coefficients("high", keys.subnetSecret, quorumOf(nodes) - 1), place),
  };
  const nodeKeys = info.nodes.map(({ publicKey }) => rawKey(publicKey));
  return { crypto: memberCrypto({ bls, sets, nodeKeys, sign: createNodeSigner(keys.nodeSecret) }) };
}

function rawKey(der: Uint8Array): Uint8Array {
  const parsed = parsePublicKeyDer(der);
  assert(parsed.ok && parsed.value.kind === "ed25519", "keys of nodes are Ed25519 keys");
  return parsed.value.key;
}

function memberCrypto(parts: {
  readonly bls: Bls;
  readonly sets: Readonly<Record<KeySet, Shared>>;
  readonly nodeKeys: readonly Uint8Array[];
  readonly sign: (message: Uint8Array) => Uint8Array;
}): MemberCrypto {
  const { bls, sets, nodeKeys, sign } = parts;
  return {
    sign,
    verify(signer, message, signature): boolean {
      const key = nodeKeys[signer];
      return key !== undefined && nodeSignatures.ed25519(key, message, signature);
    },
    signShare: (keys, message) => bls.sign(sets[keys].own, message),
    verifyShare(keys, signer, message, signature): boolean {
      const key = sets[keys].publicShares[signer];
      return key !== undefined && bls.verify(key, message, signature);
    },
    combine: (_keys, _message, shares) =>
      bls.combine(shares.map(([signer, signature]) => ({ index: signer + 1, signature }))),
    verifyWhole: (keys, message, signature) => bls.verify(sets[keys].publicKey, message, signature),
  };
}
