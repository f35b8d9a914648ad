/**
 * Canister signatures (interface spec, "Canister signatures"): a canister signs by putting
 * `sig/H(seed)/H(message)` into the tree whose root hash is its certified data; the signature is a
 * certificate of that data plus the tree. Time is not judged: a signature stays good after its certificate
 * has aged.
 */
import {
  type CanisterId,
  type CborMap,
  decodeCbor,
  ENVELOPE_ITEMS_MAX,
  equalBytes,
  err,
  hasSelfDescribeTag,
  ok,
  type Result,
  utf8,
  utf8Decode,
} from "@orrery/base";
import type { Bls } from "./bls.ts";
import { type VerifiedCertificate, verifyCertificate } from "./certificate.ts";
import { type HashTree, hashTreeFromCbor, lookupPath, reconstruct } from "./hash-tree.ts";
import { sha256 } from "./hashes.ts";

export interface CanisterSignatureInput {
  readonly canisterId: CanisterId;
  readonly seed: Uint8Array;
  /** What was signed, domain separator included. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly rootKeyDer: Uint8Array;
  readonly bls: Bls;
}

interface Parts {
  readonly certificate: Uint8Array;
  readonly tree: HashTree;
}

function decode(signature: Uint8Array): Result<Parts, string> {
  if (!hasSelfDescribeTag(signature)) return err("it lacks the CBOR tag 55799");
  try {
    const value = decodeCbor(signature, ENVELOPE_ITEMS_MAX);
    if (!(value instanceof Map)) return err("it is not a map");
    const certificate = (value as CborMap).get("certificate");
    if (!(certificate instanceof Uint8Array)) return err("it holds no certificate");
    return ok({ certificate, tree: hashTreeFromCbor((value as CborMap).get("tree")) });
  } catch (cause) {
    return err((cause as Error).message);
  }
}

/**
 * A delegated subnet must state its type, and canisters of a cloud engine cannot sign for users elsewhere.
 */
function checkSubnetType(delegation: VerifiedCertificate["delegation"]): Result<null, string> {
  if (delegation === null) return ok(null);
  const found = lookupPath(delegation.tree, [utf8("subnet"), delegation.subnetId, utf8("type")]);
  if (found.kind !== "found") return err("the delegation does not show the subnet's type");
  return utf8Decode(found.value) === "cloud_engine" ? err("the canister is on a cloud engine") : ok(null);
}

export function verifyCanisterSignature(input: CanisterSignatureInput): Result<null, string> {
  const { canisterId, seed, message, rootKeyDer, bls } = input;
  const parts = decode(input.signature);
  if (!parts.ok) return err(`malformed canister signature: ${parts.error}`);
  const { tree } = parts.value;
  const signed = lookupPath(tree, [utf8("sig"), sha256(seed), sha256(message)]);
  if (signed.kind !== "found") return err("the signature's tree does not contain this seed and message");
  if (signed.value.length !== 0) return err("the entry of the signature's tree is not empty");
  const verified = verifyCertificate({
    bytes: parts.value.certificate,
    rootKeyDer,
    scope: { canister: canisterId },
    bls,
  });
  if (!verified.ok) return err(verified.error.message);
  const subnetType = checkSubnetType(verified.value.delegation);
  if (!subnetType.ok) return subnetType;
  const data = lookupPath(verified.value.tree, [utf8("canister"), canisterId, utf8("certified_data")]);
  if (data.kind !== "found") return err("the certificate does not show the canister's certified data");
  return equalBytes(data.value, reconstruct(tree))
    ? ok(null)
    : err("the certified data is not the tree's root hash");
}
