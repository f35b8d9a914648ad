/**
 * The bytes of a network's snapshot. A file is a line of text with the version, one Zstandard frame, and an end mark: eight
 * characters and the SHA-256 of all before it. In the frame: a header (u32 format of the stores, u32 stores, u32 files, u64 bytes of all
 * files, 32 bytes network id; little-endian), then the files by store and name, each u8 length of its name, name, u64 length, content,
 * SHA-256 of the content. Invariants: a network has one order of files; names are those of a store's files and nothing else, so that
 * none leads elsewhere.
 */
import { concatBytes, OrreryError, utf8 } from "@orrery/base";
import type { PinnedFile } from "@orrery/state";

/** Version of the file, apart from that of the stores in it. */
const SNAPSHOT_FORMAT = 1;
export const FIRST_LINE: Uint8Array = utf8(`Orrery network snapshot, format ${SNAPSHOT_FORMAT}\n`);
/** Longer than the first line of any format. */
export const FIRST_LINE_BYTES_MAX = 64;
const FIRST_LINE_PATTERN = /^Orrery network snapshot, format (\d{1,9})\n/;

export const END_MAGIC: Uint8Array = utf8("ORRERYSE");
export const HASH_BYTES = 32;
export const END_BYTES: number = END_MAGIC.length + HASH_BYTES;

export const HEADER_BYTES = 52;
/** `store-63/checkpoint-0000000000000001` has 37. */
export const NAME_BYTES_MAX = 40;
/** What `node` runs in one process; see `LOCAL_SUBNETS_MAX`. */
const STORE_PATTERN = /^store(?:-([1-9]\d?))?\/(ORRERY|genesis|MANIFEST|(?:blocks|checkpoint)-\d{16})$/;
/** Chains and logs are bounded; this is far above, and bounds what a file can make a directory hold. */
const FILES_MAX = 1 << 20;

/** Bytes handled at once. */
export const PIECE_BYTES: number = 1 << 20;
/** Largest window of the compression: bounds what reading needs. */
export const WINDOW_LOG = 23;

export interface SnapshotHeader {
  readonly storeFormat: number;
  readonly stores: number;
  readonly files: number;
  /** Of all files' contents. */
  readonly bytes: number;
  readonly networkId: Uint8Array;
}

/** A file of a snapshot's, taken apart. */
export interface EntryName {
  readonly subnet: number;
  readonly file: string;
}

export function damaged(what: string, cause?: unknown): OrreryError {
  return new OrreryError(
    "snapshot_corrupt",
    `the snapshot is damaged: ${what}; nothing was changed. Take another copy of it`,
    { cause },
  );
}

/** Checks how a file begins: `snapshot_foreign` for other files, `snapshot_newer` for later versions. */
export function checkFirstLine(start: Uint8Array): void {
  const text = new TextDecoder("latin1").decode(start.subarray(0, FIRST_LINE_BYTES_MAX));
  const version = FIRST_LINE_PATTERN.exec(text)?.[1];
  if (version === undefined) {
    throw new OrreryError(
      "snapshot_foreign",
      'the file is not a snapshot that "orrery snapshot save" wrote; nothing was changed. Name another file',
    );
  }
  if (Number(version) > SNAPSHOT_FORMAT) {
    throw new OrreryError(
      "snapshot_newer",
      `the snapshot has format ${version}, this version of Orrery reads format ${SNAPSHOT_FORMAT}; nothing was changed. Use a newer Orrery`,
    );
  }
  if (!text.startsWith(new TextDecoder().decode(FIRST_LINE))) throw damaged("its first line");
}

export function entryName(subnet: number, file: string): string {
  return `${subnet === 0 ? "store" : `store-${subnet}`}/${file}`;
}

/** Null for everything that is not a store's file in a network of that many. */
export function parseEntryName(name: string, stores: number): EntryName | null {
  const match = STORE_PATTERN.exec(name);
  if (match === null) return null;
  const subnet = Number(match[1] ?? 0);
  return subnet < stores ? { subnet, file: match[2] as string } : null;
}

/** The one order. */
export function isAfter(name: EntryName, previous: EntryName | null): boolean {
  if (previous === null) return true;
  return name.subnet > previous.subnet || (name.subnet === previous.subnet && name.file > previous.file);
}

export function encodeHeader(header: SnapshotHeader): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, header.storeFormat, true);
  view.setUint32(4, header.stores, true);
  view.setUint32(8, header.files, true);
  view.setBigUint64(12, BigInt(header.bytes), true);
  out.set(header.networkId, 20);
  return out;
}

export function decodeHeader(
  bytes: Uint8Array,
  limits: { readonly storeFormat: number; readonly storesMax: number },
): SnapshotHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = {
    storeFormat: view.getUint32(0, true),
    stores: view.getUint32(4, true),
    files: view.getUint32(8, true),
    bytes: Number(view.getBigUint64(12, true)),
    networkId: bytes.slice(20, HEADER_BYTES),
  };
  if (header.storeFormat > limits.storeFormat) {
    throw new OrreryError(
      "snapshot_newer",
      `the snapshot holds a network of format ${header.storeFormat}, this version of Orrery reads format ${limits.storeFormat}; nothing was changed. Use a newer Orrery`,
    );
  }
  if (header.storeFormat < limits.storeFormat) {
    throw new OrreryError(
      "snapshot_older",
      `the snapshot holds a network of format ${header.storeFormat}, this version of Orrery reads format ${limits.storeFormat}; nothing was changed. Use the Orrery that wrote it`,
    );
  }
  if (header.stores < 1 || header.stores > limits.storesMax)
    throw damaged(`it tells of ${header.stores} subnets`);
  if (header.files < header.stores || header.files > FILES_MAX)
    throw damaged(`it tells of ${header.files} files`);
  if (!Number.isSafeInteger(header.bytes)) throw damaged("it tells of more bytes than there can be");
  return header;
}

/** What stands before a file's content. */
export function encodeEntry(subnet: number, { name, bytes }: PinnedFile): Uint8Array {
  const path = utf8(entryName(subnet, name));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes), true);
  return concatBytes(Uint8Array.of(path.length), path, length);
}
