/**
 * SHA-256 (FIPS 180-4, sections 4 to 6) of short messages, which is nearly all that is hashed: tree nodes, labels, request fields.
 * It reads a message in parts and allocates nothing but the digest, so it takes less than half the time of a general
 * implementation; from some hundreds of bytes on a native one is faster. The tests compare every short length with the oracle.
 */

/** First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
// biome-ignore format: a table reads as one
const ROUND_CONSTANTS: Int32Array = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);
/** The same of the square roots of the first 8 primes. */
// biome-ignore format: a table reads as one
const INITIAL: Int32Array = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);

/** The block's 16 words, then the words of its message schedule. */
const words = new Int32Array(64);
const hash = new Int32Array(8);

/** Processes the block in the first 16 words. */
function compress(): void {
  const w = words;
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] as number;
    const y = w[i - 2] as number;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (s0 + s1 + (w[i - 7] as number) + (w[i - 16] as number)) | 0;
  }
  let a = hash[0] as number;
  let b = hash[1] as number;
  let c = hash[2] as number;
  let d = hash[3] as number;
  let e = hash[4] as number;
  let f = hash[5] as number;
  let g = hash[6] as number;
  let h = hash[7] as number;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (ROUND_CONSTANTS[i] as number) + (w[i] as number)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  hash[0] = ((hash[0] as number) + a) | 0;
  hash[1] = ((hash[1] as number) + b) | 0;
  hash[2] = ((hash[2] as number) + c) | 0;
  hash[3] = ((hash[3] as number) + d) | 0;
  hash[4] = ((hash[4] as number) + e) | 0;
  hash[5] = ((hash[5] as number) + f) | 0;
  hash[6] = ((hash[6] as number) + g) | 0;
  hash[7] = ((hash[7] as number) + h) | 0;
}

/** SHA-256 of the concatenation of the parts: 32 fresh bytes. Correct below 2^29 bytes, meant for a few hundred. */
export function sha256Short(parts: readonly Uint8Array[]): Uint8Array {
  hash.set(INITIAL);
  let length = 0;
  let word = 0;
  for (let p = 0; p < parts.length; p++) {
    const part = parts[p] as Uint8Array;
    for (let i = 0; i < part.length; i++) {
      word = (word << 8) | (part[i] as number);
      length++;
      if ((length & 3) !== 0) continue;
      words[((length >> 2) - 1) & 15] = word;
      if ((length & 63) === 0) compress();
    }
  }
  // Padding: one bit, zeros, the length in bits in the last 8 bytes of a block.
  let at = (length >> 2) & 15;
  const bits = 8 * (length & 3);
  words[at++] = bits === 0 ? 1 << 31 : (((word << 8) | 0x80) << (24 - bits)) | 0;
  if (at > 14) {
    words.fill(0, at, 16);
    compress();
    at = 0;
  }
  words.fill(0, at, 15);
  words[15] = length << 3;
  compress();
  return digest();
}

function digest(): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 0, at = 0; i < 8; i++, at += 4) {
    const word = hash[i] as number;
    out[at] = word >>> 24;
    out[at + 1] = word >>> 16;
    out[at + 2] = word >>> 8;
    out[at + 3] = word;
  }
  return out;
}
