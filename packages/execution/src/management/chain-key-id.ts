/** Names of master keys: how calls give them in Candid, and how texts show them (interface spec, `key_id`). */
import type { ChainKeyId } from "@orrery/state";
import {
  type CandidRecord,
  type Read,
  readRecord,
  readText,
  readVariant,
  required,
} from "./candid-decode.ts";

/** As the replica names a key. */
export function chainKeyText(key: ChainKeyId): string {
  if (key.kind === "schnorr")
    return `schnorr:${key.algorithm === "ed25519" ? "Ed25519" : "Bip340Secp256k1"}:${key.name}`;
  return key.kind === "ecdsa" ? `ecdsa:Secp256k1:${key.name}` : `vetkd:Bls12_381_G2:${key.name}`;
}

const constant =
  <T>(value: T): Read<T> =>
  () =>
    value;

/** Field `key_id` of an argument. */
export function readChainKey(record: CandidRecord, kind: ChainKeyId["kind"]): ChainKeyId {
  const id = required(record, "key_id", readRecord);
  const name = required(id, "name", readText);
  if (kind === "ecdsa") {
    const curve = required(id, "curve", readVariant({ secp256k1: constant("secp256k1" as const) }));
    return { kind, curve, name };
  }
  if (kind === "vetkd") {
    const curve = required(id, "curve", readVariant({ bls12_381_g2: constant("bls12_381_g2" as const) }));
    return { kind, curve, name };
  }
  const algorithm = required(
    id,
    "algorithm",
    readVariant<"ed25519" | "bip340secp256k1">({
      ed25519: constant("ed25519"),
      bip340secp256k1: constant("bip340secp256k1"),
    }),
  );
  return { kind, algorithm, name };
}
