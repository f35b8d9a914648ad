/**
 * Checkpoint files: a header, frames, a footer. A frame's checksum is chained to the one before, so the footer's stands for the
 * whole file; bulk data (pages, blobs) follows its frame with checksums of its own, so that it can be read in place later. One
 * file is a full state (base) or what changed since the file before it (delta).
 */
import { type Height, OrreryError } from "@orrery/base";
import { checksum } from "./checksum.ts";
import type { DiskFile } from "./disk.ts";
import {
  corrupt,
  decodeFileHeader,
  encodeFileHeader,
  fileHeaderBytes,
  STREAM_BYTES,
  viewOf,
  WindowReader,
} from "./durable-format.ts";

export const CHECKPOINT_PREFIX = "checkpoint-";
const MAGIC = "ORRERYCP";
/** Fields: generation, height, generation of the file it builds on (0: a base). */
const HEADER_FIELDS = 3;
/** kind 4 · payload length 4 · length of the bulk data behind the payload 4 · checksum 4. */
const FRAME_HEADER_BYTES = 16;
/** Records are bounded by the messages in a canister's queues; blobs by the size of a module. */
const PAYLOAD_BYTES_MAX = 0x7fff_ffff;

export const FrameKind = {
  system: 1,
  canister: 2,
  canisterDeleted: 3,
  ingress: 4,
  ingressPruned: 5,
  blob: 6,
  blobReleased: 7,
  pages: 8,
  zeroPages: 9,
  footer: 10,
  snapshot: 11,
  snapshotDeleted: 12,
  sharedPages: 13,
  pageReferences: 14,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const KIND_MAX = FrameKind.pageReferences;

export interface CheckpointHeader {
  readonly generation: number;
  readonly height: Height;
  /** 0: this file is a base. */
  readonly parent: number;
}

/** Writes one checkpoint file front to back through a buffer of fixed size. */
/** Written and not durable at a time. */
const SYNC_BYTES: number = 4 << 20;

export class FrameWriter {
  readonly #file: DiskFile;
  readonly #buffer = new Uint8Array(STREAM_BYTES);
  #used = 0;
  #written = 0;
  #synced = 0;
  #chain = 0;

  constructor(file: DiskFile, header: CheckpointHeader & { readonly network: Uint8Array }) {
    this.#file = file;
    const { generation, height, parent, network } = header;
    const bytes = encodeFileHeader({ magic: MAGIC, network, fields: [generation, height, parent] });
    this.#chain = checksum(bytes);
    this.#put(bytes);
  }

  /** Bytes written so far: where the next frame begins. */
  get offset(): number {
    return this.#written + this.#used;
  }

  /** Where the payload of the next frame begins. */
  get nextPayload(): number {
    return this.offset + FRAME_HEADER_BYTES;
  }

  /** Checksum of the file up to here. */
  get chain(): number {
    return this.#chain;
  }

  /** Writes a frame's head and payload; `bulkBytes` bytes through `bulk` must follow. */
  frame(kind: FrameKind, payload: Uint8Array, bulkBytes = 0): void {
    const head = new Uint8Array(FRAME_HEADER_BYTES);
    const view = viewOf(head);
    view.setUint32(0, kind, true);
    view.setUint32(4, payload.length, true);
    view.setUint32(8, bulkBytes, true);
    this.#chain = checksum(payload, checksum(head.subarray(0, 12), this.#chain));
    view.setUint32(12, this.#chain, true);
    this.#put(head);
    this.#put(payload);
  }

  bulk(bytes: Uint8Array): void {
    this.#put(bytes);
  }

  /** Makes what is written out durable when it is much, so that neither the last sync nor anybody else's waits for all of it. */
  settle(): void {
    if (this.#written - this.#synced < SYNC_BYTES) return;
    this.#file.sync();
    this.#synced = this.#written;
  }

  /** Writes out the buffer and makes the file durable. */
  finish(): void {
    this.#flush();
    this.#file.sync();
  }

  #put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const n = Math.min(bytes.length - at, this.#buffer.length - this.#used);
      this.#buffer.set(bytes.subarray(at, at + n), this.#used);
      this.#used += n;
      at += n;
      if (this.#used === this.#buffer.length) this.#flush();
    }
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#file.write(this.#written, this.#buffer.subarray(0, this.#used));
    this.#written += this.#used;
    this.#used = 0;
  }
}

export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Uint8Array;
  /** Where the bulk data stands in the file. */
  readonly bulkOffset: number;
  readonly bulkBytes: number;
}

export interface FrameReader {
  readonly header: CheckpointHeader;
  /** Frames up to and including the footer, each checked; valid until the next one is asked for. */
  frames(): IterableIterator<Frame>;
  /** Up to `length` bytes of bulk data; the caller checks them. */
  read(offset: number, length: number): Uint8Array;
  /** Checksum of the whole file, once all frames were read. */
  chain(): number;
}

/** Opens a checkpoint file for reading, so many bytes at once. Damage is `store_corrupt`, naming the file. */
export function readFrames(
  name: string,
  file: DiskFile,
  network: Uint8Array,
  options: { readonly windowBytes?: number; readonly skips?: boolean } = {},
): FrameReader {
  const reader = new WindowReader(file, options);
  const headerBytes = fileHeaderBytes(HEADER_FIELDS);
  const head = reader.read(0, headerBytes).slice();
  const [generation, height, parent] = decodeFileHeader(name, head, {
    magic: MAGIC,
    network,
    fields: HEADER_FIELDS,
  });
  let chain = checksum(head);

  function frameAt(at: number): Frame {
    const bytes = reader.read(at, FRAME_HEADER_BYTES).slice();
    if (bytes.length < FRAME_HEADER_BYTES) throw corrupt(name, "it ends too early");
    const view = viewOf(bytes);
    const kind = view.getUint32(0, true);
    const length = view.getUint32(4, true);
    const bulkBytes = view.getUint32(8, true);
    const payloadAt = at + FRAME_HEADER_BYTES;
    if (
      kind === 0 ||
      kind > KIND_MAX ||
      length > PAYLOAD_BYTES_MAX ||
      payloadAt + length + bulkBytes > file.size
    ) {
      throw corrupt(name, `the frame at byte ${at}`);
    }
    const payload = reader.read(payloadAt, length);
    chain = checksum(payload, checksum(bytes.subarray(0, 12), chain));
    if (chain !== view.getUint32(12, true)) throw corrupt(name, `the frame at byte ${at}`);
    return { kind: kind as FrameKind, payload, bulkOffset: payloadAt + length, bulkBytes };
  }

  function* frames(): IterableIterator<Frame> {
    for (let at = headerBytes; ; ) {
      const frame = frameAt(at);
      at = frame.bulkOffset + frame.bulkBytes;
      yield frame;
      if (frame.kind !== FrameKind.footer) continue;
      if (at !== file.size) throw corrupt(name, `${file.size - at} bytes after its end`);
      return;
    }
  }

  return {
    header: { generation: generation as number, height: height as number, parent: parent as number },
    frames,
    read: (offset, length) => reader.read(offset, length),
    chain: () => chain,
  };
}

/** Runs `action` on the bytes of a payload, turning a decoder's refusal into damage of that file. */
export function decodingFrom<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "record_invalid")
      throw corrupt(name, cause.message, cause);
    throw cause;
  }
}
