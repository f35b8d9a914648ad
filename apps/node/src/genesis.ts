/**
 * Genesis of a network of one subnet: everything from which its keys, ids and first state follow. Written once to the state
 * directory; holds the secrets of a local network, so the directory is readable by its owner only.
 */
import {
  type CanisterId,
  type CborMap,
  canisterIdFromIndex,
  decodeCbor,
  encodeCborBare,
  type NodeId,
  OrreryError,
  type Principal,
  type SubnetId,
  selfAuthenticating,
  type TimeNs,
} from "@orrery/base";
import { type Bls, blsToDer, hkdfSha256, secretFromSeed } from "@orrery/crypto";
import { nodePublicKeyDer } from "@orrery/host";
import type { CanisterRange, SubnetInfo, SubnetType } from "@orrery/state";

export interface Genesis {
  readonly version: 1;
  /** 32 random bytes: every key of a local network derives from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  readonly subnetType: SubnetType;
  readonly feeSize: number;
  readonly profile: "local";
}

/** Ids without `specified_id` start where projects are used to see them: tqzl2-p7777-77776-aaaaa-cai. */
const ALLOCATION_START: bigint = (2n ** 44n - 4n) * 2n ** 20n;

/** Default effective canister id. */
export const FIRST_CANISTER: CanisterId = canisterIdFromIndex(ALLOCATION_START);

export const ALL_CANISTERS: CanisterRange = {
  start: canisterIdFromIndex(0n),
  end: canisterIdFromIndex(2n ** 64n - 1n),
};

export function encodeGenesis(genesis: Genesis): Uint8Array {
  return encodeCborBare({
    v: genesis.version,
    s: genesis.seed,
    t: genesis.time,
    k: genesis.subnetType,
    f: genesis.feeSize,
    p: genesis.profile,
  });
}

export function decodeGenesis(bytes: Uint8Array): Genesis {
  const map = decodeCbor(bytes) as CborMap;
  const invalid = new OrreryError(
    "genesis_invalid",
    "the genesis record cannot be read; restore a backup of the state directory",
  );
  if (!(map instanceof Map) || map.get("v") !== 1) throw invalid;
  const seed = map.get("s");
  const time = map.get("t");
  const feeSize = map.get("f");
  const type = map.get("k");
  if (!(seed instanceof Uint8Array) || seed.length !== 32 || typeof feeSize !== "number") throw invalid;
  if (typeof time !== "number" && typeof time !== "bigint") throw invalid;
  if (type !== "application" && type !== "system" && type !== "verified_application") throw invalid;
  return { version: 1, seed, time: BigInt(time), subnetType: type, feeSize, profile: "local" };
}

export interface NodeKeys {
  readonly subnetSecret: Uint8Array;
  /** DER, 133 bytes. */
  readonly subnetPublicKey: Uint8Array;
  readonly subnetId: SubnetId;
  readonly nodeSecret: Uint8Array;
  /** DER Ed25519. */
  readonly nodePublicKey: Uint8Array;
  readonly nodeId: NodeId;
}

function derive(seed: Uint8Array, purpose: string): Uint8Array {
  return hkdfSha256(seed, new TextEncoder().encode(`orrery ${purpose}`), new Uint8Array(0), 32);
}

export function deriveKeys(genesis: Genesis, bls: Bls): NodeKeys {
  const subnetSecret = secretFromSeed(derive(genesis.seed, "subnet 0 threshold key"));
  const subnetPublicKey = blsToDer(bls.publicKey(subnetSecret));
  const nodeSecret = derive(genesis.seed, "subnet 0 node 0 key");
  const nodePublicKey = nodePublicKeyDer(nodeSecret);
  return {
    subnetSecret,
    subnetPublicKey,
    subnetId: selfAuthenticating(subnetPublicKey) as Principal as SubnetId,
    nodeSecret,
    nodePublicKey,
    nodeId: selfAuthenticating(nodePublicKey) as Principal as NodeId,
  };
}

export function subnetInfo(genesis: Genesis, keys: NodeKeys): SubnetInfo {
  return {
    subnetId: keys.subnetId,
    type: genesis.subnetType,
    publicKey: keys.subnetPublicKey,
    rootKey: keys.subnetPublicKey,
    rootSubnetId: keys.subnetId,
    routing: [{ subnetId: keys.subnetId, ranges: [ALL_CANISTERS] }],
    allocation: { start: FIRST_CANISTER, end: ALL_CANISTERS.end },
    nodes: [{ nodeId: keys.nodeId, publicKey: keys.nodePublicKey }],
    feeSize: genesis.feeSize,
    local: genesis.profile === "local",
  };
}
