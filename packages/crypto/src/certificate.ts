/**
 * Certificates (interface spec, "Certificate", "Delegation", "Encoding of certificates"): the data, the codec
 * and the one verifier. Trust starts at the root key alone. A delegation goes one level deep, names one
 * subnet, and counts for a canister only when the canister is visibly in that subnet's ranges: ranges that
 * are pruned or missing refuse, never allow.
 */
import {
  type CanisterId,
  type CborMap,
  type CborValue,
  concatBytes,
  decodeCbor,
  decodeUleb128,
  encodeCbor,
  equalBytes,
  err,
  hasSelfDescribeTag,
  ok,
  PRINCIPAL_BYTES_MAX,
  principalToText,
  type Result,
  type SubnetId,
  selfAuthenticating,
  type TimeNs,
  utf8,
} from "@orrery/base";
import { BLS_SIGNATURE_BYTES, type Bls } from "./bls.ts";
import { blsFromDer } from "./der.ts";
import {
  type HashTree,
  hashTreeFromCbor,
  hashTreeToCbor,
  lookupAll,
  lookupPath,
  reconstruct,
} from "./hash-tree.ts";
import { domainSep } from "./hashes.ts";
import { decodeRanges, rangesContain } from "./ranges.ts";

export interface CertificateDelegation {
  readonly subnetId: SubnetId;
  /** The root subnet's certificate, encoded. */
  readonly certificate: Uint8Array;
}

export interface Certificate {
  readonly tree: HashTree;
  /** 48 bytes. */
  readonly signature: Uint8Array;
  readonly delegation: CertificateDelegation | null;
}

/** Why a certificate is refused; codes are stable. */
export type CertificateErrorCode =
  | "certificate_malformed"
  | "certificate_bad_signature"
  | "certificate_too_many_delegations"
  | "certificate_no_subnet_key"
  | "certificate_no_ranges"
  | "certificate_not_authorised"
  | "certificate_no_time"
  | "certificate_not_fresh"
  | "root_key_invalid";

export interface CertificateError {
  readonly code: CertificateErrorCode;
  readonly message: string;
}

/** Whom the answer is about: the effective canister or subnet of the request. */
export type CertificateScope = { readonly canister: CanisterId } | { readonly subnet: SubnetId };

export interface VerifyCertificateOptions {
  readonly bytes: Uint8Array;
  /** The root subnet's public key, DER. Its self-authenticating principal is the root subnet's id. */
  readonly rootKeyDer: Uint8Array;
  readonly scope: CertificateScope;
  readonly bls: Bls;
  /**
   * With `maxAgeNs`: the certificate's time must be within that distance of `now`. Without them time is not
   * judged.
   */
  readonly now?: TimeNs;
  readonly maxAgeNs?: bigint;
  /** Let certificates pass that lack the self-describing tag 55799, at every level. */
  readonly allowUntagged?: boolean;
  /** Where the delegation's ranges may stand; the newer endpoints give shards, the older ones one blob. */
  readonly ranges?: "either" | "flat" | "sharded";
}

export interface VerifiedCertificate {
  readonly tree: HashTree;
  readonly time: TimeNs;
  readonly delegation: { readonly subnetId: SubnetId; readonly tree: HashTree } | null;
}

/** What is signed for a state's root hash. */
export function stateRootMessage(rootHash: Uint8Array): Uint8Array {
  return concatBytes(domainSep("ic-state-root"), rootHash);
}

export function encodeCertificate(certificate: Certificate): Uint8Array {
  const { tree, signature, delegation } = certificate;
  return encodeCbor({
    tree: hashTreeToCbor(tree),
    signature,
    delegation:
      delegation === null
        ? undefined
        : { subnet_id: delegation.subnetId, certificate: delegation.certificate },
  });
}

function refuse(
  code: CertificateErrorCode,
  message: string,
): { readonly ok: false; readonly error: CertificateError } {
  return err({ code, message });
}

function decodeDelegation(value: CborValue | undefined): CertificateDelegation | null | string {
  if (value === undefined || value === null) return null;
  if (!(value instanceof Map)) return "its delegation is not a map";
  const fields = value as CborMap;
  const subnetId = fields.get("subnet_id");
  const certificate = fields.get("certificate");
  if (!(subnetId instanceof Uint8Array) || subnetId.length > PRINCIPAL_BYTES_MAX)
    return "its delegation names no subnet";
  if (!(certificate instanceof Uint8Array)) return "its delegation holds no certificate";
  return { subnetId: subnetId as SubnetId, certificate };
}

/** Strict decoding; the error is `certificate_malformed`. */
export function decodeCertificate(
  bytes: Uint8Array,
  options: { readonly allowUntagged?: boolean } = {},
): Result<Certificate, CertificateError> {
  const malformed = (why: string) => refuse("certificate_malformed", `not a certificate: ${why}`);
  if (!hasSelfDescribeTag(bytes) && options.allowUntagged !== true)
    return malformed("it lacks the CBOR tag 55799");
  let value: CborValue;
  let tree: HashTree;
  try {
    value = decodeCbor(bytes);
    if (!(value instanceof Map)) return malformed("it is not a map");
    tree = hashTreeFromCbor((value as CborMap).get("tree"));
  } catch (cause) {
    return malformed((cause as Error).message);
  }
  const fields = value as CborMap;
  const signature = fields.get("signature");
  if (!(signature instanceof Uint8Array) || signature.length !== BLS_SIGNATURE_BYTES) {
    return malformed(`its signature is not ${BLS_SIGNATURE_BYTES} bytes`);
  }
  const delegation = decodeDelegation(fields.get("delegation"));
  return typeof delegation === "string" ? malformed(delegation) : ok({ tree, signature, delegation });
}

/** The natural number in a value of the tree: LEB128 and nothing after it. */
export function decodeNat(bytes: Uint8Array): bigint | null {
  try {
    const { value, next } = decodeUleb128(bytes);
    return next === bytes.length ? value : null;
  } catch {
    return null;
  }
}

function signatureHolds(bls: Bls, key: Uint8Array, certificate: Certificate): boolean {
  return bls.verify(key, stateRootMessage(reconstruct(certificate.tree)), certificate.signature);
}

type RangesForm = "either" | "flat" | "sharded";

/** Whether the canister is in the ranges that the root certificate shows for the subnet. */
function checkRanges(
  tree: HashTree,
  subnetId: SubnetId,
  canister: CanisterId,
  form: RangesForm,
): Result<null, CertificateError> {
  const blobs: Uint8Array[] = [];
  if (form !== "flat") {
    const shards = lookupAll(tree, [utf8("canister_ranges"), subnetId]);
    for (const { path, value } of shards) if (path.length === 3) blobs.push(value);
  }
  if (blobs.length === 0 && form !== "sharded") {
    const flat = lookupPath(tree, [utf8("subnet"), subnetId, utf8("canister_ranges")]);
    if (flat.kind === "found") blobs.push(flat.value);
  }
  if (blobs.length === 0) {
    return refuse(
      "certificate_no_ranges",
      `the delegation shows no canister ranges of subnet ${principalToText(subnetId)}`,
    );
  }
  for (const blob of blobs) {
    const ranges = decodeRanges(blob);
    if (!ranges.ok)
      return refuse("certificate_malformed", `canister ranges of the delegation: ${ranges.error}`);
    if (rangesContain(ranges.value, canister)) return ok(null);
  }
  return refuse(
    "certificate_not_authorised",
    `canister ${principalToText(canister)} is not in the ranges of subnet ${principalToText(subnetId)}`,
  );
}

function checkSubnet(scope: SubnetId, actual: SubnetId): Result<null, CertificateError> {
  if (equalBytes(scope, actual)) return ok(null);
  const text = `a certificate of subnet ${principalToText(actual)}, not of ${principalToText(scope)}`;
  return refuse("certificate_not_authorised", text);
}

interface SigningKey {
  readonly key: Uint8Array;
  readonly delegation: VerifiedCertificate["delegation"];
}

/**
 * The key that must have signed the certificate, after checking the delegation and that it covers the scope.
 */
function signingKey(
  rootKey: Uint8Array,
  delegation: CertificateDelegation | null,
  options: VerifyCertificateOptions,
): Result<SigningKey, CertificateError> {
  const { scope, bls, ranges = "either" } = options;
  if (delegation === null) {
    // The root subnet answers for itself, and its word counts for every canister.
    const covered =
      "subnet" in scope
        ? checkSubnet(scope.subnet, selfAuthenticating(options.rootKeyDer) as Uint8Array as SubnetId)
        : ok(null);
    return covered.ok ? ok({ key: rootKey, delegation: null }) : covered;
  }
  const inner = decodeCertificate(delegation.certificate, { allowUntagged: options.allowUntagged ?? false });
  if (!inner.ok) return refuse(inner.error.code, `delegation: ${inner.error.message}`);
  if (inner.value.delegation !== null) {
    return refuse(
      "certificate_too_many_delegations",
      "too many delegations: a delegation's certificate has one of its own",
    );
  }
  if (!signatureHolds(bls, rootKey, inner.value)) {
    return refuse(
      "certificate_bad_signature",
      "the delegation's signature does not verify under the root key",
    );
  }
  const { tree } = inner.value;
  const covered =
    "subnet" in scope
      ? checkSubnet(scope.subnet, delegation.subnetId)
      : checkRanges(tree, delegation.subnetId, scope.canister, ranges);
  if (!covered.ok) return covered;
  const der = lookupPath(tree, [utf8("subnet"), delegation.subnetId, utf8("public_key")]);
  const key = der.kind === "found" ? blsFromDer(der.value) : err("none is shown");
  if (!key.ok)
    return refuse("certificate_no_subnet_key", `no usable subnet key in the delegation: ${key.error}`);
  return ok({ key: key.value, delegation: { subnetId: delegation.subnetId, tree } });
}

function certifiedTime(tree: HashTree, options: VerifyCertificateOptions): Result<TimeNs, CertificateError> {
  const found = lookupPath(tree, [utf8("time")]);
  const time = found.kind === "found" ? decodeNat(found.value) : null;
  if (time === null) return refuse("certificate_no_time", "the certificate shows no time");
  const { now, maxAgeNs } = options;
  if (now !== undefined && maxAgeNs !== undefined && (time + maxAgeNs < now || time > now + maxAgeNs)) {
    return refuse(
      "certificate_not_fresh",
      `the certificate's time ${time} is over ${maxAgeNs} ns away from ${now}`,
    );
  }
  return ok(time);
}

/**
 * Decodes and verifies a certificate for a scope. On success the tree can be trusted, and pruned or absent
 * parts of it are to be looked up with `lookupPath`. Nothing in the error's text is trusted data.
 */
export function verifyCertificate(
  options: VerifyCertificateOptions,
): Result<VerifiedCertificate, CertificateError> {
  const rootKey = blsFromDer(options.rootKeyDer);
  if (!rootKey.ok) return refuse("root_key_invalid", `the root key is not a DER BLS key: ${rootKey.error}`);
  const certificate = decodeCertificate(options.bytes, { allowUntagged: options.allowUntagged ?? false });
  if (!certificate.ok) return certificate;
  const signer = signingKey(rootKey.value, certificate.value.delegation, options);
  if (!signer.ok) return signer;
  if (!signatureHolds(options.bls, signer.value.key, certificate.value)) {
    return refuse("certificate_bad_signature", "the certificate's signature does not verify");
  }
  const { tree } = certificate.value;
  const time = certifiedTime(tree, options);
  if (!time.ok) return time;
  return ok({ tree, time: time.value, delegation: signer.value.delegation });
}
