/** Floor 2: replicated state, paged memories, their durable form. */
export * from "./blob-store.ts";
export { CanisterMap } from "./canister-map.ts";
export * from "./canonical-state.ts";
export * from "./checkpoint-collector.ts";
export { withGathered } from "./checkpoint-gathering.ts";
export { type LoadedCheckpoint, loadCheckpoint } from "./checkpoint-loader.ts";
export { type CheckpointInfo, canistersPerPart, shouldCompact } from "./checkpoint-writer.ts";
export {
  checksum,
  checksumPure,
  installChecksumBackend,
  NATIVE_CHECKSUM_BYTES_MIN,
} from "./checksum.ts";
export * from "./clone-state.ts";
export * from "./codec/records.ts";
export { ColdPages } from "./cold-pages.ts";
export type * from "./disk.ts";
export { type LogRecord, STORE_FORMAT } from "./durable-format.ts";
export { fullStateHash, memoryHash } from "./full-hash.ts";
export { type History, openHistory } from "./history.ts";
export * from "./new-state.ts";
export { type Newest, openNewest } from "./newest.ts";
export { PageReader, type Slab } from "./page-reader.ts";
export * from "./page-table.ts";
export * from "./pages.ts";
export type * from "./pending.ts";
export { RecordPool, shortBytes } from "./record-pool.ts";
export * from "./snapshots.ts";
export { openStore, type Recovered, type Store, type StoreOptions } from "./store.ts";
export { type Pinned, type PinnedFile, type PinnedStore, type PinOptions, pinStores } from "./store-pin.ts";
export * from "./streams-codec.ts";
export * from "./sync/index.ts";
export { requestPath, TreeLevels, treeRest } from "./tree-levels.ts";
export * from "./types.ts";
export type * from "./work.ts";
