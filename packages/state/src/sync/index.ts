/** States as chunks, for other nodes (docs/ARCHITECTURE.md, "Subnets of several nodes"). */
export { StateDescriber, stateHash } from "./describe.ts";
export {
  decodeManifest,
  decodeManifestHead,
  encodeManifest,
  isChunk,
  MANIFEST_HEAD_BYTES_MAX,
  MANIFEST_SLICE_BYTES,
  type ManifestHead,
  type ManifestPieces,
  STATE_CHUNK_BYTES_MAX,
  type StateChunk,
  type StateManifest,
  sliceHash,
  stateHashOf,
} from "./manifest.ts";
export {
  openAdopting,
  type ReceptionProgress,
  STATE_ASK_BYTES,
  STATE_ASK_CHUNKS_MAX,
  type StateAsk,
  StateReception,
} from "./reception.ts";
export { type ChunkSource, type RestoredState, restoreState } from "./restore.ts";
export { StoredPageHashes } from "./stored-hashes.ts";
