/**
 * A network of one subnet on one node, from one seed: its keys, ids and subnet record. Every key of a local network derives from its
 * seed, so a seed is all that has to be kept. An entry of its own, for those who need keys and not execution.
 */
import {
  type CanisterId,
  canisterIdFromIndex,
  type NodeId,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { type Bls, blsToDer, hkdfSha256, secretFromSeed } from "@orrery/crypto";
import type { CanisterRange, SubnetInfo, SubnetType } from "@orrery/state";

/** Ids without `specified_id` start where projects are used to see them: tqzl2-p7777-77776-aaaaa-cai. */
const ALLOCATION_START: bigint = (2n ** 44n - 4n) * 2n ** 20n;
const SEED_BYTES = 32;

/** Default effective canister id. */
export const FIRST_CANISTER: CanisterId = canisterIdFromIndex(ALLOCATION_START);

export const ALL_CANISTERS: CanisterRange = {
  start: canisterIdFromIndex(0n),
  end: canisterIdFromIndex(2n ** 64n - 1n),
};

export interface LocalKeys {
  readonly subnetSecret: Uint8Array;
  /** DER, 133 bytes. */
  readonly subnetPublicKey: Uint8Array;
  readonly subnetId: SubnetId;
  readonly nodeSecret: Uint8Array;
  /** DER Ed25519. */
  readonly nodePublicKey: Uint8Array;
  readonly nodeId: NodeId;
}

export interface KeyMakers {
  readonly bls: Pick<Bls, "publicKey">;
  /** DER public key of a 32-byte Ed25519 secret. */
  readonly ed25519PublicKeyDer: (secret: Uint8Array) => Uint8Array;
}

/** `seed`: 32 bytes. */
export function deriveLocalKeys(seed: Uint8Array, makers: KeyMakers): LocalKeys {
  const derive = (purpose: string): Uint8Array =>
    hkdfSha256(seed, utf8(`orrery ${purpose}`), new Uint8Array(0), SEED_BYTES);
  const subnetSecret = secretFromSeed(derive("subnet 0 threshold key"));
  const subnetPublicKey = blsToDer(makers.bls.publicKey(subnetSecret));
  const nodeSecret = derive("subnet 0 node 0 key");
  const nodePublicKey = makers.ed25519PublicKeyDer(nodeSecret);
  return {
    subnetSecret,
    subnetPublicKey,
    subnetId: selfAuthenticating(subnetPublicKey) as Principal as SubnetId,
    nodeSecret,
    nodePublicKey,
    nodeId: selfAuthenticating(nodePublicKey) as Principal as NodeId,
  };
}

/** The subnet that holds every canister id and is its own root. */
export function localSubnet(
  keys: LocalKeys,
  options: { readonly type: SubnetType; readonly feeSize: number; readonly local: boolean },
): SubnetInfo {
  return {
    ...options,
    subnetId: keys.subnetId,
    publicKey: keys.subnetPublicKey,
    rootKey: keys.subnetPublicKey,
    rootSubnetId: keys.subnetId,
    routing: [{ subnetId: keys.subnetId, ranges: [ALL_CANISTERS] }],
    allocation: { start: FIRST_CANISTER, end: ALL_CANISTERS.end },
    nodes: [{ nodeId: keys.nodeId, publicKey: keys.nodePublicKey }],
  };
}
