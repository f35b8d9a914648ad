/** Floor 2: replicated state, paged memories, their durable form. */
export * from "./blob-store.ts";
export * from "./canonical-state.ts";
export type * from "./disk.ts";
export * from "./new-state.ts";
export * from "./page-table.ts";
export * from "./pages.ts";
export * from "./types.ts";
