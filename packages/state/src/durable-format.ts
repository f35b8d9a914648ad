/**
 * What the durable files have in common: format version, little-endian fields, the header that ties a file
 * to its network, errors that name a file and the way out, a reader that fetches ahead.
 */
import { type Height, OrreryError, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { checksum } from "./checksum.ts";
import type { DiskFile } from "./disk.ts";

/** Version of every file of a store; others are refused. Format 1 had one subnet a network and other checkpoints. */
export const STORE_FORMAT = 2;

/** Bytes fetched at once when a file is read from front to back, and written at once. */
export const STREAM_BYTES: number = 1 << 20;

const HEADER_BYTES_MIN = 56;

/** SHA-256 of the network's id, in every file so that none is taken for another network's. */
export function networkTag(networkId: Uint8Array): Uint8Array {
  return sha256(networkId);
}

export function corrupt(file: string, what: string, cause?: unknown): OrreryError {
  return new OrreryError(
    "store_corrupt",
    `${file} is damaged: ${what}; nothing was changed. Restore the state directory from a copy, or let the node start over with an empty one`,
    { data: { file }, cause },
  );
}

export function foreign(file: string, what: string): OrreryError {
  return new OrreryError(
    "store_foreign",
    `${file} ${what}; nothing was changed. Name another state directory`,
    {
      data: { file },
    },
  );
}

export function newer(file: string, version: number): OrreryError {
  return new OrreryError(
    "store_newer",
    `${file} has format ${version}, this version of Orrery reads format ${STORE_FORMAT}; nothing was changed. Use a newer Orrery`,
    { data: { file, version } },
  );
}

export function older(file: string, version: number): OrreryError {
  return new OrreryError(
    "store_older",
    `${file} has format ${version}, this version of Orrery reads format ${STORE_FORMAT}; nothing was changed. Begin anew with --clean or in another state directory, or use the Orrery that wrote it`,
    { data: { file, version } },
  );
}

/** Zero-padded, so that names sort by number. */
export function numberedName(prefix: string, n: number): string {
  return `${prefix}${n.toString().padStart(16, "0")}`;
}

/** The number in a name of that form, null for any other name. */
export function numberOf(prefix: string, name: string): number | null {
  if (!name.startsWith(prefix) || !/^\d{16}$/.test(name.slice(prefix.length))) return null;
  return Number(name.slice(prefix.length));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function putU64(view: DataView, offset: number, value: number): void {
  view.setBigUint64(offset, BigInt(value), true);
}

/** A u64 that must be a safe integer; anything larger reads as -1, which no check accepts. */
export function getU64(view: DataView, offset: number): number {
  const value = view.getBigUint64(offset, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : -1;
}

export interface FileHeader {
  /** Eight ASCII characters. */
  readonly magic: string;
  readonly network: Uint8Array;
  /** Numbers of the file's own, each below 2^53. */
  readonly fields: readonly number[];
}

/** magic 8 · version 4 · field count 4 · network 32 · fields 8 each · checksum 4 · zeros 4. */
export function encodeFileHeader(header: FileHeader): Uint8Array {
  const out = new Uint8Array(fileHeaderBytes(header.fields.length));
  const view = viewOf(out);
  for (let i = 0; i < 8; i++) out[i] = header.magic.charCodeAt(i);
  view.setUint32(8, STORE_FORMAT, true);
  view.setUint32(12, header.fields.length, true);
  out.set(header.network, 16);
  for (const [i, field] of header.fields.entries()) putU64(view, 48 + 8 * i, field);
  const end = out.length - 8;
  view.setUint32(end, checksum(out.subarray(0, end)), true);
  return out;
}

export function fileHeaderBytes(fields: number): number {
  return HEADER_BYTES_MIN + 8 * fields;
}

/**
 * Reads and checks a header with that many fields. A higher version is `store_newer`, another network `store_foreign`, anything
 * else that is wrong `store_corrupt`.
 */
export function decodeFileHeader(
  name: string,
  bytes: Uint8Array,
  expected: { readonly magic: string; readonly network: Uint8Array; readonly fields: number },
): readonly number[] {
  const length = fileHeaderBytes(expected.fields);
  if (bytes.length < length)
    throw corrupt(name, `${bytes.length} bytes where its header alone has ${length}`);
  const view = viewOf(bytes);
  for (let i = 0; i < 8; i++)
    if (bytes[i] !== expected.magic.charCodeAt(i)) throw corrupt(name, "it does not begin as it should");
  const version = view.getUint32(8, true);
  const sum = view.getUint32(length - 8, true);
  const whole = checksum(bytes.subarray(0, length - 8)) === sum && view.getUint32(length - 4, true) === 0;
  if (whole && version > STORE_FORMAT) throw newer(name, version);
  // A later format with another kind of header is told by the directory's identity file, which is read before any other.
  if (!whole || version !== STORE_FORMAT || view.getUint32(12, true) !== expected.fields)
    throw corrupt(name, "its header");
  const network = bytes.subarray(16, 48);
  if (toHex(network) !== toHex(expected.network)) throw foreign(name, "belongs to another network");
  return expected.fields === 0
    ? []
    : Array.from({ length: expected.fields }, (_, i) => getU64(view, 48 + 8 * i));
}

/** What a reader that skips much fetches where it did not read before. */
const WINDOW_BYTES_MIN = 4096;

/** Reads a file mostly forwards: small reads are served from a window fetched at once. */
export class WindowReader {
  readonly #file: DiskFile;
  readonly #windowBytes: number;
  readonly #firstBytes: number;
  #start = 0;
  #window: Uint8Array = new Uint8Array(0);

  /** `skips`: most of the file is passed over, and windows grow where it is not. */
  constructor(
    file: DiskFile,
    {
      windowBytes = STREAM_BYTES,
      skips = false,
    }: { readonly windowBytes?: number; readonly skips?: boolean } = {},
  ) {
    this.#file = file;
    this.#windowBytes = windowBytes;
    this.#firstBytes = skips ? Math.min(WINDOW_BYTES_MIN, windowBytes) : windowBytes;
  }

  get size(): number {
    return this.#file.size;
  }

  /** Up to `length` bytes at `offset`, shorter only at the file's end; valid until the next call. */
  read(offset: number, length: number): Uint8Array {
    const at = offset - this.#start;
    if (at >= 0 && at + length <= this.#window.length) return this.#window.subarray(at, at + length);
    if (length > this.#windowBytes) return this.#file.read(offset, length);
    const goesOn = at >= 0 && at <= this.#window.length;
    const bytes = goesOn ? Math.min(2 * this.#window.length, this.#windowBytes) : this.#firstBytes;
    this.#start = offset;
    this.#window = this.#file.read(offset, Math.max(bytes, length, this.#firstBytes));
    return this.#window.subarray(0, length);
  }
}

/** A record of the block log. */
export interface LogRecord {
  readonly height: Height;
  readonly bytes: Uint8Array;
}
