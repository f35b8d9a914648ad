/**
 * Reads a snapshot front to back in bounded memory and hands its files on, piece by piece. Nothing counts before the whole was read:
 * the end mark is checked last. Whatever is wrong is `snapshot_corrupt`, `snapshot_foreign`, `snapshot_newer` or `snapshot_older`.
 */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { concatBytes, equalBytes, OrreryError } from "@orrery/base";
import {
  checkFirstLine,
  damaged,
  decodeHeader,
  END_BYTES,
  END_MAGIC,
  type EntryName,
  FIRST_LINE,
  FIRST_LINE_BYTES_MAX,
  HASH_BYTES,
  HEADER_BYTES,
  isAfter,
  NAME_BYTES_MAX,
  PIECE_BYTES,
  parseEntryName,
  type SnapshotHeader,
  WINDOW_LOG,
} from "./format.ts";

/** A file that is read at places. */
export interface Source {
  readonly bytes: number;
  /** Up to `length` bytes at `offset`, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Takes what a snapshot holds, in order. */
export interface Sink {
  header(header: SnapshotHeader): void;
  open(name: EntryName, bytes: number): void;
  write(piece: Uint8Array): void;
  /** The file is whole. */
  close(): void;
}

export interface DecodeOptions {
  /** The one that this version reads. */
  readonly storeFormat: number;
  readonly storesMax: number;
}

/** Bytes of the frame as they are asked for. */
class Pieces {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `length`; null at the end. */
  async some(length: number): Promise<Uint8Array | null> {
    while (this.#left.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return null;
      this.#left = next.value;
    }
    const piece = this.#left.subarray(0, length);
    this.#left = this.#left.subarray(piece.length);
    return piece;
  }

  async exactly(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const piece = await this.some(length - at);
      if (piece === null) throw damaged("it ends too early");
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }
}

async function decodeEntry(
  pieces: Pieces,
  sink: Sink,
  context: { readonly header: SnapshotHeader; readonly previous: EntryName | null; readonly room: number },
): Promise<{ readonly name: EntryName; readonly bytes: number }> {
  const [nameBytes = 0] = await pieces.exactly(1);
  if (nameBytes > NAME_BYTES_MAX) throw damaged("a name in it is too long");
  const text = new TextDecoder("latin1").decode(await pieces.exactly(nameBytes));
  const name = parseEntryName(text, context.header.stores);
  if (name === null) throw damaged(`${JSON.stringify(text)} is not the name of a network's file`);
  if (!isAfter(name, context.previous)) throw damaged(`${text} is not in its place`);
  const length = await pieces.exactly(8);
  const bytes = Number(new DataView(length.buffer).getBigUint64(0, true));
  if (bytes > context.room) throw damaged(`${text} is longer than all files together`);
  sink.open(name, bytes);
  const hash = createHash("sha256");
  for (let at = 0; at < bytes; ) {
    const piece = await pieces.some(bytes - at);
    if (piece === null) throw damaged("it ends too early");
    hash.update(piece);
    sink.write(piece);
    at += piece.length;
  }
  if (!equalBytes(hash.digest(), await pieces.exactly(HASH_BYTES))) throw damaged(`the content of ${text}`);
  sink.close();
  return { name, bytes };
}

async function decodeFiles(pieces: Pieces, sink: Sink, options: DecodeOptions): Promise<SnapshotHeader> {
  const header = decodeHeader(await pieces.exactly(HEADER_BYTES), options);
  sink.header(header);
  let room = header.bytes;
  let previous: EntryName | null = null;
  for (let i = 0; i < header.files; i++) {
    const entry = await decodeEntry(pieces, sink, { header, previous, room });
    const skipped: number = entry.name.subnet - (previous?.subnet ?? 0);
    if (skipped > 1) throw damaged(`it holds nothing of subnet ${entry.name.subnet - 1}`);
    room -= entry.bytes;
    previous = entry.name;
  }
  if (room !== 0) throw damaged(`${room} bytes of it are missing`);
  if (previous?.subnet !== header.stores - 1) throw damaged("it lacks a subnet");
  if ((await pieces.some(1)) !== null) throw damaged("something follows its last file");
  return header;
}

/** The compressed part, each piece of it hashed as it passes. */
async function* frameOf(
  source: Source,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  const end = source.bytes - END_BYTES;
  for (let at = FIRST_LINE.length; at < end; ) {
    const piece = await source.read(at, Math.min(PIECE_BYTES, end - at));
    if (piece.length === 0) throw damaged("it became shorter while it was read");
    hash.update(piece);
    yield piece;
    at += piece.length;
  }
}

/** Whether the end mark is there and is the content's. */
async function isWhole(source: Source): Promise<boolean> {
  const hash = createHash("sha256").update(FIRST_LINE);
  for await (const _ of frameOf(source, hash));
  const end = await source.read(source.bytes - END_BYTES, END_BYTES);
  return equalBytes(end, concatBytes(END_MAGIC, hash.digest()));
}

/** Hands a snapshot's files to `sink`; they count once this resolves. Errors of the sink pass through. */
export async function decodeSnapshot(
  source: Source,
  sink: Sink,
  options: DecodeOptions,
): Promise<SnapshotHeader> {
  checkFirstLine(await source.read(0, FIRST_LINE_BYTES_MAX));
  if (source.bytes < FIRST_LINE.length + END_BYTES) throw damaged("it ends too early");
  const hash = createHash("sha256").update(FIRST_LINE);
  const frame = Readable.from(frameOf(source, hash), { objectMode: false });
  const inflate = createZstdDecompress({
    chunkSize: 256 << 10,
    params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG },
  });
  frame.once("error", (cause) => inflate.destroy(cause));
  frame.pipe(inflate);
  try {
    const header = await decodeFiles(new Pieces(inflate), sink, options);
    // What follows the frame is not inflated, and hashed all the same.
    frame.unpipe(inflate);
    for await (const _ of frame);
    const end = await source.read(source.bytes - END_BYTES, END_BYTES);
    if (!equalBytes(end.subarray(0, END_MAGIC.length), END_MAGIC)) throw damaged("its end is missing");
    if (!equalBytes(end.subarray(END_MAGIC.length), hash.digest()))
      throw damaged("its hash is not that of its content");
    if (inflate.bytesWritten !== source.bytes - FIRST_LINE.length - END_BYTES)
      throw damaged("something stands before its end");
    return header;
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown };
    // Only a whole file says of itself what wrote it.
    const isOfOther = code === "snapshot_newer" || code === "snapshot_older";
    if (isOfOther && !(await isWhole(source))) throw damaged("its hash is not that of its content");
    if (cause instanceof OrreryError || typeof code !== "string" || !/^(ZSTD|Z_|ERR_ZSTD)/.test(code))
      throw cause;
    throw damaged("it cannot be inflated", cause);
  } finally {
    frame.destroy();
    inflate.destroy();
  }
}
