/**
 * CRC-32 (IEEE 802.3) eight bytes at a time, the checksum of everything durable: it finds every error burst of up to 32 bits and
 * runs at memory speed beside a disk. It guards against accidents, not against forgery; what is signed is hashed elsewhere.
 */

/** Below this the call of a host's function takes longer than the work. */
export const NATIVE_CHECKSUM_BYTES_MIN = 64;

const TABLE: Int32Array = makeTable();

/** Table k (256 entries at 256·k) advances a byte's remainder by k further bytes. */
function makeTable(): Int32Array {
  const table = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    table[i] = c;
  }
  for (let i = 256; i < table.length; i++) {
    const c = table[i - 256] as number;
    table[i] = (table[c & 255] as number) ^ (c >>> 8);
  }
  return table;
}

let backend: (bytes: Uint8Array, seed: number) => number = checksumPure;

/** Makes this thread's checksums those of a faster implementation of the same function. */
export function installChecksumBackend(fast: (bytes: Uint8Array, seed: number) => number): void {
  backend = fast;
}

/** CRC-32 of the bytes, continued from `seed`; an unsigned 32-bit number. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return backend(bytes, seed);
}

/** The same without a host's help. */
export function checksumPure(bytes: Uint8Array, seed: number): number {
  const t = TABLE;
  const end = bytes.length - 7;
  let c = ~seed;
  let i = 0;
  for (; i < end; i += 8) {
    c =
      (t[1792 + ((c ^ at(bytes, i)) & 255)] as number) ^
      (t[1536 + (((c >>> 8) ^ at(bytes, i + 1)) & 255)] as number) ^
      (t[1280 + (((c >>> 16) ^ at(bytes, i + 2)) & 255)] as number) ^
      (t[1024 + ((c >>> 24) ^ at(bytes, i + 3))] as number) ^
      (t[768 + at(bytes, i + 4)] as number) ^
      (t[512 + at(bytes, i + 5)] as number) ^
      (t[256 + at(bytes, i + 6)] as number) ^
      (t[at(bytes, i + 7)] as number);
  }
  for (; i < bytes.length; i++) c = (t[(c ^ at(bytes, i)) & 255] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
