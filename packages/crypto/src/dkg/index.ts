/**
 * Keys of subnets that no one ever holds: non-interactive, publicly verifiable key generation and resharing for the threshold signatures of
 * `threshold.ts` (docs/adr, "Key generation"; docs/internals/crypto.md). An entry of the package of its own.
 */
export { type Committee, createCommittee } from "./committee.ts";
export { DKG_ID_BYTES_MAX, DKG_MEMBERS_MAX, type DkgConfig } from "./config.ts";
export type { Curve } from "./curve.ts";
export { type CreateDealingOptions, createDealing } from "./deal.ts";
export { type Dealing, decodeDealing, encodeDealing } from "./dealing.ts";
export {
  createEncryptionKey,
  ENCRYPTION_KEY_RECORD_BYTES,
  type EncryptionKey,
  verifyEncryptionKey,
} from "./encryption-key.ts";
export { DKG_SEED_BYTES_MIN } from "./secrets.ts";
export {
  combineDealings,
  type LoadedShare,
  loadShare,
  publicKeyOf,
  publicShare,
  type Transcript,
  verifyTranscript,
} from "./transcript.ts";
export {
  decodeDkgConfig,
  decodeTranscript,
  encodeDkgConfig,
  encodeTranscript,
} from "./transcript-codec.ts";
export { verifyDealing } from "./verify.ts";
