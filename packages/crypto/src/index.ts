/**
 * Floor 1: hashes, trees, signatures, certificates, envelope validation. The public surface, one line a
 * module.
 */

export {
  BLS_DST,
  BLS_ORDER,
  BLS_SECRET_BYTES,
  BLS_SIGNATURE_BYTES,
  type Bls,
  type SignatureShare,
  secretFromSeed,
} from "./bls.ts";
export {
  type Certificate,
  type CertificateDelegation,
  type CertificateError,
  type CertificateErrorCode,
  type CertificateScope,
  decodeCertificate,
  decodeNat,
  encodeCertificate,
  stateRootMessage,
  type VerifiedCertificate,
  type VerifyCertificateOptions,
  verifyCertificate,
} from "./certificate.ts";
export {
  BLS_DER_BYTES,
  BLS_KEY_BYTES,
  blsFromDer,
  blsToDer,
  canisterSignatureKeyToDer,
  coseToDer,
  ECDSA_POINT_BYTES,
  ED25519_KEY_BYTES,
  ed25519ToDer,
  type PublicKey,
  p256ToDer,
  parsePublicKeyDer,
  secp256k1ToDer,
} from "./der.ts";
export {
  decodeHashTree,
  EMPTY_TREE,
  encodeHashTree,
  flattenForks,
  HASH_BYTES,
  HASH_TREE_DEPTH_MAX,
  type HashTree,
  hashTreeFromCbor,
  hashTreeToCbor,
  type Lookup,
  listLabels,
  lookupAll,
  lookupPath,
  lookupSubtree,
  reconstruct,
} from "./hash-tree.ts";
export {
  createSha256,
  domainSep,
  hkdfSha256,
  hmacSha256,
  installSha256Backend,
  installSha256StreamBackend,
  type Sha256,
  type Sha256Stream,
  sha224,
  sha256,
  sha256Pure,
  sha512,
} from "./hashes.ts";
export {
  INGRESS_DRIFT_NS_MAX,
  INGRESS_TTL_NS_MAX,
  type InvalidRequest,
  type InvalidRequestCode,
  type ValidateEnvelopeOptions,
  type ValidRequest,
  validateEnvelope,
} from "./ingress.ts";
export {
  emptyTree,
  type LabelEntry,
  type LabelTree,
  treeDelete,
  treeEntries,
  treeFloor,
  treeGet,
  treeSet,
  treeSize,
} from "./label-tree.ts";
export { keepTreeHash, treeHash } from "./label-tree-hash.ts";
export { type LevelChange, treeMerge } from "./label-tree-merge.ts";
export { deriveNodeSecrets, NODE_SEED_BYTES, type NodeSecrets } from "./node-secrets.ts";
export {
  type NodeSignature,
  type QueryResponse,
  queryResponseHash,
  signQueryResponse,
  verifyQueryResponse,
} from "./query-signature.ts";
export {
  type CanisterRange,
  decodeRanges,
  encodeRanges,
  RANGES_PER_SHARD_MAX,
  type RangeShard,
  rangesContain,
  shardRanges,
} from "./ranges.ts";
export { hashOfMap, requestId } from "./request-id.ts";
export {
  type BasicSignatures,
  createSignatureVerifier,
  SIGNATURE_BYTES,
  type SignatureInput,
  type SignatureVerifier,
  type SignatureVerifierOptions,
  type Signer,
} from "./signatures.ts";
export {
  createSoleSigner,
  createThresholdSigner,
  sharesOf,
  type ThresholdSigner,
  type ThresholdSignerOptions,
} from "./threshold.ts";
export { revealAll, witness } from "./witness.ts";
