/** Sizes of a canister's heap, in 64 KiB pages: 4 GiB with 32-bit addresses, 6 GiB with 64-bit ones (replica). */
export const MEMORY32_PAGES_MAX = 65_536;
export const MEMORY64_PAGES_MAX = 98_304;

/** What engines take (WebAssembly JavaScript interface, "Implementation-defined Limits"): a body's bytes, types, imports. */
export const BODY_BYTES_MAX = 7_654_321;
export const TYPES_MAX = 1_000_000;
export const IMPORTS_MAX = 1_000_000;

export function memoryPagesMax(is64: boolean): number {
  return is64 ? MEMORY64_PAGES_MAX : MEMORY32_PAGES_MAX;
}
