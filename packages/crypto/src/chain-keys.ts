/**
 * Master keys of the chain-key services of a local network, and what canisters ask of them (interface spec, methods on ECDSA, Schnorr
 * and vetKD keys), as an entry of the package of its own: the curves take a tenth of a second to start.
 *
 * FOR LOCAL NETWORKS ONLY. On a public network no one holds these secrets: nodes sign together with shares that they dealt to each
 * other. Here one process derives them from the network's seed. What is derived from a master key, and every signature's form, is
 * the same; so is what verifies it.
 */
import { utf8 } from "@orrery/base";
import { secretFromSeed } from "./bls.ts";
import {
  deriveEd25519,
  deriveEd25519Secret,
  ed25519ScalarFrom,
  ed25519ScalarPublicKey,
  signEd25519Scalar,
} from "./chain-ed25519.ts";
import {
  deriveSecp256k1,
  deriveSecp256k1Secret,
  type ExtendedKey,
  MASTER_CHAIN_CODE,
  secp256k1PublicKey,
  secp256k1SecretFrom,
  signBip340,
  signEcdsaDigest,
} from "./chain-secp256k1.ts";
import {
  deriveVetKdPublicKey,
  deriveVetKey,
  isVetKdTransportKey,
  type VetKdRequest,
  vetKdPublicKey,
} from "./chain-vetkd.ts";
import { hkdfSha256 } from "./hashes.ts";

export {
  deriveEd25519,
  deriveEd25519Secret,
  ed25519ScalarFrom,
  ed25519ScalarPublicKey,
  signEd25519Scalar,
} from "./chain-ed25519.ts";
export {
  deriveSecp256k1,
  deriveSecp256k1Secret,
  type ExtendedKey,
  type ExtendedSecret,
  MASTER_CHAIN_CODE,
  secp256k1PublicKey,
  secp256k1SecretFrom,
  signBip340,
  signEcdsaDigest,
  taprootOutputKey,
} from "./chain-secp256k1.ts";
export {
  deriveVetKdPublicKey,
  deriveVetKey,
  isVetKdTransportKey,
  VETKD_TRANSPORT_KEY_BYTES,
  type VetKdRequest,
  vetKdPublicKey,
} from "./chain-vetkd.ts";

export type SchnorrAlgorithm = "bip340secp256k1" | "ed25519";

/** Whose key: a master key's name, the canister, and the path below it. */
export interface DerivedKeyRef {
  readonly name: string;
  readonly canisterId: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/** Signing with master keys by their names; every name has keys, so which exist is the caller's to say. Deterministic. */
export interface ChainKeys {
  /** SEC1 compressed, 33 bytes, and chain code. */
  ecdsaPublicKey(key: DerivedKeyRef): ExtendedKey;
  /** r · s of a 32-byte digest, s low. */
  signWithEcdsa(key: DerivedKeyRef, digest: Uint8Array): Uint8Array;
  /** 33 bytes (SEC1) for BIP 340, 32 for Ed25519, and chain code. */
  schnorrPublicKey(algorithm: SchnorrAlgorithm, key: DerivedKeyRef): ExtendedKey;
  /** 64 bytes. `merkleRoot`: BIP 341's, empty or 32 bytes, for BIP 340 only. */
  signWithSchnorr(
    algorithm: SchnorrAlgorithm,
    key: DerivedKeyRef,
    options: { readonly message: Uint8Array; readonly merkleRoot: Uint8Array | null },
  ): Uint8Array;
  /** 96 bytes in G2. */
  vetKdPublicKey(name: string, canisterId: Uint8Array, context: Uint8Array): Uint8Array;
  /** Whether a transport key is a point that a key can be encrypted for. */
  isTransportKey(bytes: Uint8Array): boolean;
  /** E1 · E2 · E3, 192 bytes; null for a transport key that is none. */
  vetKdDeriveKey(name: string, request: VetKdRequest): Uint8Array | null;
}

interface MasterKey {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly chainCode: Uint8Array;
}

/** The services of the network whose seed this is (32 bytes or more). Master keys are made when they are first asked for. */
export function createChainKeys(seed: Uint8Array): ChainKeys {
  const masters = new Map<string, MasterKey>();

  function master(label: string, make: (material: Uint8Array) => Omit<MasterKey, "chainCode">): MasterKey {
    let key = masters.get(label);
    if (key === undefined) {
      const material = hkdfSha256(seed, utf8("orrery chain key"), utf8(label), 48);
      key = { ...make(material), chainCode: MASTER_CHAIN_CODE };
      masters.set(label, key);
    }
    return key;
  }

  const secp256k1 = (label: string): MasterKey =>
    master(label, (material) => {
      const secret = secp256k1SecretFrom(material);
      return { secret, publicKey: secp256k1PublicKey(secret) };
    });
  const ed25519 = (name: string): MasterKey =>
    master(`schnorr:ed25519:${name}`, (material) => {
      const secret = ed25519ScalarFrom(material);
      return { secret, publicKey: ed25519ScalarPublicKey(secret) };
    });
  const vetKd = (name: string): MasterKey =>
    master(`vetkd:bls12_381_g2:${name}`, (material) => {
      const secret = secretFromSeed(material);
      return { secret, publicKey: vetKdPublicKey(secret) };
    });
  const ecdsa = (name: string): MasterKey => secp256k1(`ecdsa:secp256k1:${name}`);
  const bip340 = (name: string): MasterKey => secp256k1(`schnorr:bip340secp256k1:${name}`);
  const pathOf = (key: DerivedKeyRef): readonly Uint8Array[] => [key.canisterId, ...key.path];

  return {
    ecdsaPublicKey: (key) => deriveSecp256k1(ecdsa(key.name), pathOf(key)),
    signWithEcdsa: (key, digest) =>
      signEcdsaDigest(deriveSecp256k1Secret(ecdsa(key.name), pathOf(key)).secret, digest),
    schnorrPublicKey: (algorithm, key) =>
      algorithm === "ed25519"
        ? deriveEd25519(ed25519(key.name), pathOf(key))
        : deriveSecp256k1(bip340(key.name), pathOf(key)),
    signWithSchnorr(algorithm, key, { message, merkleRoot }) {
      if (algorithm === "ed25519")
        return signEd25519Scalar(deriveEd25519Secret(ed25519(key.name), pathOf(key)).secret, message);
      return signBip340(deriveSecp256k1Secret(bip340(key.name), pathOf(key)).secret, message, merkleRoot);
    },
    vetKdPublicKey: (name, canisterId, context) =>
      deriveVetKdPublicKey(vetKd(name).publicKey, canisterId, context),
    isTransportKey: isVetKdTransportKey,
    vetKdDeriveKey: (name, request) => deriveVetKey(vetKd(name), request),
  };
}
