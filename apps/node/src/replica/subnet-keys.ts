/**
 * What a node of a subnet of many signs and verifies with. `SubnetKeys` is all that the node's replica knows of keys; where they come from
 * is behind it. Nodes that founded their network (`keysFromFounding`) have a share each that nobody else ever had. Keys derived from the
 * seed of a local network (`keysFromSeed`) are for tests, and for networks that began so: whoever has that genesis has every node's share.
 */
import { assert, type NodeId, utf8 } from "@orrery/base";
import { createDkg, type DkgMeans, foundedKey, memberCrypto, type SharedKey } from "@orrery/consensus/keys";
import {
  type Dkg,
  type Epoch,
  faultsOf,
  type KeySet,
  type MemberCrypto,
  quorumOf,
} from "@orrery/consensus/member";
import {
  BLS_SECRET_BYTES,
  type Bls,
  hkdfSha256,
  parsePublicKeyDer,
  secretFromSeed,
  sharesOf,
} from "@orrery/crypto";
import type { FoundedSubnet } from "@orrery/execution/genesis";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { createNodeSigner } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import type { SubnetRegistry } from "../registry/registry.ts";
import { REGISTRY_VERSION } from "./rules.ts";

/** Of one subnet, as one of its nodes has them. */
export interface SubnetKeys {
  /**
   * Where keys change at intervals it signs as the node alone, and verifies words of nodes and the subnet's signatures. Tapes of intervals that
   * are over, whose keys are gone, it takes as they are: `Tapes` judges them by the keys that summaries name.
   */
  readonly crypto: MemberCrypto;
  /** Where the nodes deal keys at each interval: how, and the first ones. */
  readonly intervals: { readonly dkg: Dkg; readonly first: Epoch } | null;
}

function share(
  bls: Pick<Bls, "publicKey">,
  coefficients: readonly Uint8Array[],
  { self, nodes }: { readonly self: number; readonly nodes: number },
): SharedKey {
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
  const sets: Readonly<Record<KeySet, SharedKey>> = {
    low: share(bls, coefficients("low", derive("low key"), faultsOf(nodes)), place),
    high: share(bls, coefficients("high", keys.subnetSecret, quorumOf(nodes) - 1), place),
  };
  const nodeKeys = info.nodes.map(({ publicKey }) => rawKey(publicKey));
  const sign = createNodeSigner(keys.nodeSecret);
  const crypto = memberCrypto({ bls, sets, nodeKeys, sign, verify: nodeSignatures.ed25519 });
  return { crypto, intervals: null };
}

function rawKey(der: Uint8Array): Uint8Array {
  const parsed = parsePublicKeyDer(der);
  assert(parsed.ok && parsed.value.kind === "ed25519", "keys of nodes are Ed25519 keys");
  return parsed.value.key;
}

export interface FoundedKeysOptions {
  readonly bls: Bls;
  readonly local: LocalSubnet;
  readonly founded: Pick<FoundedSubnet, "transcripts">;
  readonly registry: SubnetRegistry;
  /** Of a subnet that was created later; by default the genesis' nodes. */
  readonly first?: Epoch;
  /** Does the node's jobs of the subnet. */
  readonly compute: DkgMeans["compute"];
}

/**
 * From a genesis that was judged (`verifyFounded`): the node opens what was dealt to it, and deals it on to whomever the registry lists. Words
 * of nodes are verified by their places.
 */
export function keysFromFounding(options: FoundedKeysOptions): SubnetKeys {
  const { bls, local, founded, registry, compute } = options;
  const { keys, info } = local;
  const members = info.nodes.map(({ nodeId }) => nodeId as NodeId);
  const sign = createNodeSigner(keys.nodeSecret);
  const dkg = createDkg({
    subnetId: keys.subnetId,
    nodeId: keys.nodeId,
    // Dealt to are nodes of subnets that are created, too.
    node: (nodeId) => registry.keysOf(nodeId),
    bls,
    sign,
    verify: nodeSignatures.ed25519,
    compute,
  });
  const { transcripts } = founded;
  const key: SharedKey = { publicKey: foundedKey(transcripts), publicShares: [], own: null };
  const words = memberCrypto({
    bls,
    sets: { low: key, high: key },
    nodeKeys: [],
    sign,
    verify: nodeSignatures.ed25519,
  });
  return {
    crypto: {
      ...words,
      verify(place, message, signature): boolean {
        const signing = registry.nodes[place]?.keys.signing;
        return signing !== undefined && nodeSignatures.ed25519(signing, message, signature);
      },
      verifyWhole: (keySet, message, signature) =>
        keySet === "low" || words.verifyWhole(keySet, message, signature),
    },
    intervals: { dkg, first: options.first ?? { registryVersion: REGISTRY_VERSION, members, transcripts } },
  };
}
