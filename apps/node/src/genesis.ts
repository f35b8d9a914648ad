/**
 * Genesis of a network of one subnet: everything from which its keys, ids and first state follow. Written once to the state
 * directory; holds the secrets of a local network, so the directory is readable by its owner only.
 */
import { type CborMap, decodeCbor, encodeCborBare, OrreryError, type TimeNs } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import {
  deriveLocalKeys,
  type LocalKeys,
  type LocalSubnet,
  localNetwork,
} from "@orrery/execution/local-network";
import { nodePublicKeyDer } from "@orrery/host";
import type { SubnetInfo, SubnetType } from "@orrery/state";

export interface Genesis {
  readonly version: 1;
  /** 32 random bytes: every key of a local network derives from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  readonly subnetType: SubnetType;
  readonly feeSize: number;
  readonly profile: "local";
}

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

export function deriveKeys(genesis: Genesis, bls: Bls): LocalKeys {
  return deriveLocalKeys(genesis.seed, { bls, ed25519PublicKeyDer: nodePublicKeyDer });
}

export function subnetInfo(genesis: Genesis, bls: Bls): SubnetInfo {
  const { seed, subnetType: type, feeSize, profile } = genesis;
  const makers = { bls, ed25519PublicKeyDer: nodePublicKeyDer };
  const subnets = localNetwork({ seed, subnets: [{ type, feeSize }], local: profile === "local", makers });
  return (subnets[0] as LocalSubnet).info;
}
