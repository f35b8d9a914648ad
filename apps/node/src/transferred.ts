/** Bytes of messages between threads that move instead of being copied. */
import type { Transferable } from "node:worker_threads";

/** Below this a copy costs less than moving. */
const TRANSFERRED_BYTES_MIN: number = 64 * 1024;

/** What of these byte strings, which nobody here looks at again, is worth moving to the other thread. */
export function transferred(...all: readonly Uint8Array[]): Transferable[] {
  return all.flatMap(({ buffer, byteLength }) => {
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    return isWhole && byteLength >= TRANSFERRED_BYTES_MIN ? [buffer] : [];
  });
}
