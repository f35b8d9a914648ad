/** Inflation without a host (RFC 1951, RFC 1952), bounded; whole members only, their checksum and length verified. */
import { OrreryError } from "@orrery/base";
import { type FlateStreamHandler, Gunzip, Inflate } from "fflate";

/** Input that is inflated before the size is looked at: at most a thousand times as much comes of it. */
const STEP_BYTES = 16_384;
/** Header and trailer of gzip around nothing. */
const GZIP_BYTES_MIN = 18;
const TRAILER_BYTES = 8;

interface Stream {
  push(chunk: Uint8Array, final: boolean): void;
}

/** All of it; throws when it is malformed or more than `bytesMax` bytes. */
function drain(open: (taken: FlateStreamHandler) => Stream, bytes: Uint8Array, bytesMax: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const stream = open((piece) => {
    length += piece.length;
    if (length > bytesMax) throw new RangeError("it is larger");
    pieces.push(piece);
  });
  for (let at = 0; at === 0 || at < bytes.length; at += STEP_BYTES) {
    stream.push(bytes.subarray(at, at + STEP_BYTES), at + STEP_BYTES >= bytes.length);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** CRC-32 of RFC 1952, section 8. */
function crc32(bytes: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) sum = (CRC_TABLE[(sum ^ byte) & 0xff] as number) ^ (sum >>> 8);
  return ~sum >>> 0;
}

const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, index) => {
  let entry = index;
  for (let bit = 0; bit < 8; bit++) entry = (entry & 1) === 1 ? (entry >>> 1) ^ 0xedb8_8320 : entry >>> 1;
  return entry >>> 0;
});

/** Inflates gzip of one member and at most `bytesMax` bytes; `gzip_invalid` otherwise. */
export function inflateGzip(bytes: Uint8Array, bytesMax: number): Uint8Array {
  try {
    if (bytes.length < GZIP_BYTES_MIN) throw new RangeError("it is cut off");
    const whole = drain((taken) => new Gunzip(taken), bytes, bytesMax);
    const trailer = new DataView(
      bytes.buffer,
      bytes.byteOffset + bytes.length - TRAILER_BYTES,
      TRAILER_BYTES,
    );
    const isWhole =
      trailer.getUint32(0, true) === crc32(whole) && trailer.getUint32(4, true) === whole.length;
    if (!isWhole) throw new RangeError("its checksum differs");
    return whole;
  } catch (cause) {
    const { message } = cause as Error;
    throw new OrreryError("gzip_invalid", `not gzip of at most ${bytesMax} bytes: ${message}`, { cause });
  }
}

/** Inflates what has neither header nor trailer; throws as `drain` does. */
export function inflateRaw(bytes: Uint8Array, bytesMax: number): Uint8Array {
  return drain((taken) => new Inflate(taken), bytes, bytesMax);
}
