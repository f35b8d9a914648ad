/** Floor 2: replicated state, paged memories, their durable form. */
export * from "./page-table.ts";
export * from "./pages.ts";
export * from "./types.ts";
export type * from "./disk.ts";
