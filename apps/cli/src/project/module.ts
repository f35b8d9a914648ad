/** What a module says of itself in custom sections (WebAssembly core specification, "Custom Section"); gzip is taken off first. */
import { gunzipSync } from "node:zlib";

/** The network refuses larger modules. */
const MODULE_BYTES_MAX = 100 * 1024 * 1024;
const HEADER_BYTES = 8;
const CUSTOM = 0;

function plain(wasm: Uint8Array): Uint8Array {
  const zipped = wasm[0] === 0x1f && wasm[1] === 0x8b;
  return zipped ? gunzipSync(wasm, { maxOutputLength: MODULE_BYTES_MAX }) : wasm;
}

function unsigned(bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } | null {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  return null;
}

/** Name → content, the first of each name. A module that is cut short has those before the cut; the network judges it. */
export function customSections(wasm: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const bytes = plain(wasm);
  const found = new Map<string, Uint8Array>();
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const size = unsigned(bytes, at + 1);
    if (size === null) break;
    const end = size.next + size.value;
    const length = bytes[at] === CUSTOM ? unsigned(bytes, size.next) : null;
    if (length !== null && end <= bytes.length) {
      const name = new TextDecoder().decode(bytes.subarray(length.next, length.next + length.value));
      if (!found.has(name)) found.set(name, bytes.subarray(length.next + length.value, end));
    }
    at = end;
  }
  return found;
}
