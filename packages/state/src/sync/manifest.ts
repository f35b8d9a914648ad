/**
 * The manifest of a whole state: its content in chunks of at most about a MiB, each with its hash, so that another node fetches and
 * checks every one alone. Equal states have equal manifests, however they are stored: chunks are made of records in the order of their keys and of
 * page numbers, never of versions, files or addresses. The manifest itself travels in slices under a head, and the hash of the head is
 * what a catch-up package signs (consensus of the replica, "state manifest").
 */
import { compareBytes, concatBytes, equalBytes, type Height, OrreryError, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { viewOf } from "../durable-format.ts";
import { PAGE_BYTES } from "../page-table.ts";

/** Records and blobs are cut after so many bytes. */
export const STATE_PIECE_BYTES: number = 1 << 20;
/** Page numbers that one chunk of a memory covers: 1 MiB. */
export const PAGES_PER_CHUNK = 256;
/** Count, and a byte for the place of each page. */
const PAGES_HEAD_BYTES: number = 2 + PAGES_PER_CHUNK;
export const STATE_CHUNK_BYTES_MAX: number = Math.max(
  STATE_PIECE_BYTES,
  PAGES_PER_CHUNK * PAGE_BYTES + PAGES_HEAD_BYTES,
);
export const MANIFEST_SLICE_BYTES: number = 1 << 20;
/** A manifest of 4 GiB: some 90 million chunks. */
export const MANIFEST_SLICES_MAX = 4_096;

const HASH_BYTES = 32;
const VERSION = 1;
/** Version 1 · height 8 · root hash 32 · bytes of the manifest 8 · slices 4. */
const HEAD_BYTES: number = 1 + 8 + HASH_BYTES + 8 + 4;
/** Longest head there is. */
export const MANIFEST_HEAD_BYTES_MAX: number = HEAD_BYTES + MANIFEST_SLICES_MAX * HASH_BYTES;
const DOMAIN_CHUNK: Uint8Array = domain("orrery-state-chunk");
const DOMAIN_PAGES: Uint8Array = domain("orrery-state-pages");
const DOMAIN_SLICE: Uint8Array = domain("orrery-state-slice");
const DOMAIN_HEAD: Uint8Array = domain("orrery-state-head");

function domain(name: string): Uint8Array {
  return concatBytes(Uint8Array.of(name.length), utf8(name));
}

/** What a chunk is a part of; chunks of a manifest are in the order of these. */
export const ChunkKind = {
  system: 0,
  canisters: 1,
  pages: 2,
  snapshots: 3,
  ingress: 4,
  blob: 5,
} as const;
export type ChunkKind = (typeof ChunkKind)[keyof typeof ChunkKind];
const KIND_MAX = ChunkKind.blob;

export interface StateChunk {
  readonly kind: ChunkKind;
  /** Of pages: the owner's id and the number of its memory. Of a blob: its hash. Of records: what their keys have in common. */
  readonly key: Uint8Array;
  /** Of pages: page number divided by `PAGES_PER_CHUNK`. Of others: position among the pieces of the same key. */
  readonly part: number;
  readonly bytes: number;
  readonly hash: Uint8Array;
}

export interface StateManifest {
  readonly height: Height;
  /** Of the certified tree. */
  readonly rootHash: Uint8Array;
  /** By kind, key and part. */
  readonly chunks: readonly StateChunk[];
}

/** A manifest as it travels. */
export interface ManifestPieces {
  readonly head: Uint8Array;
  readonly slices: readonly Uint8Array[];
}

export interface ManifestHead {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  readonly manifestBytes: number;
  readonly sliceHashes: readonly Uint8Array[];
}

function invalid(why: string): OrreryError {
  return new OrreryError("manifest_invalid", `not a manifest of a state: ${why}`);
}

export function compareChunks(a: StateChunk, b: StateChunk): number {
  return a.kind - b.kind || compareBytes(a.key, b.key) || a.part - b.part;
}

/** Of a chunk's bytes; null when these are no chunk of that kind. Pages are hashed one by one, so that a hash of each can be kept. */
export function chunkHash(kind: ChunkKind, bytes: Uint8Array): Uint8Array | null {
  if (kind !== ChunkKind.pages) return sha256(DOMAIN_CHUNK, bytes);
  const pages = readPages(bytes);
  if (pages === null) return null;
  return pagesHash(pages.places, (i) =>
    sha256(bytes.subarray(pages.at + i * PAGE_BYTES, pages.at + (i + 1) * PAGE_BYTES)),
  );
}

/** Of a chunk of pages, by the hashes of its pages. */
export function pagesHash(places: readonly number[], hashOf: (i: number) => Uint8Array): Uint8Array {
  return sha256(DOMAIN_PAGES, Uint8Array.from(places), ...places.map((_, i) => hashOf(i)));
}

/** A chunk of pages: how many, their places, their bytes. */
export function encodePages(
  places: readonly number[],
  write: (i: number, target: Uint8Array) => void,
): Uint8Array {
  const at = 2 + places.length;
  const out = new Uint8Array(pagesBytes(places.length));
  viewOf(out).setUint16(0, places.length);
  out.set(places, 2);
  for (let i = 0; i < places.length; i++)
    write(i, out.subarray(at + i * PAGE_BYTES, at + (i + 1) * PAGE_BYTES));
  return out;
}

export function pagesBytes(count: number): number {
  return 2 + count + count * PAGE_BYTES;
}

/** Places of the pages, ascending, and where the first one's bytes begin; null when it is not as encoded. */
export function readPages(
  bytes: Uint8Array,
): { readonly places: readonly number[]; readonly at: number } | null {
  const count = bytes.length < 2 ? 0 : viewOf(bytes).getUint16(0);
  if (count === 0 || count > PAGES_PER_CHUNK || bytes.length !== pagesBytes(count)) return null;
  const places = [...bytes.subarray(2, 2 + count)];
  return places.every((place, i) => i === 0 || place > (places[i - 1] as number))
    ? { places, at: 2 + count }
    : null;
}

function encodeChunk({ kind, key, part, bytes, hash }: StateChunk): Uint8Array {
  const out = new Uint8Array(2 + key.length + 8 + HASH_BYTES);
  out[0] = kind;
  out[1] = key.length;
  out.set(key, 2);
  const view = viewOf(out);
  view.setUint32(2 + key.length, part);
  view.setUint32(6 + key.length, bytes);
  out.set(hash, 10 + key.length);
  return out;
}

export function encodeManifest({ height, rootHash, chunks }: StateManifest): ManifestPieces {
  const body = concatBytes(...chunks.map(encodeChunk));
  const slices: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += MANIFEST_SLICE_BYTES)
    slices.push(body.subarray(at, at + MANIFEST_SLICE_BYTES));
  if (slices.length > MANIFEST_SLICES_MAX) throw invalid(`${slices.length} slices`);
  const fixed = new Uint8Array(HEAD_BYTES);
  const view = viewOf(fixed);
  fixed[0] = VERSION;
  view.setBigUint64(1, BigInt(height));
  fixed.set(rootHash, 9);
  view.setBigUint64(9 + HASH_BYTES, BigInt(body.length));
  view.setUint32(17 + HASH_BYTES, slices.length);
  return { head: concatBytes(fixed, ...slices.map(sliceHash)), slices };
}

export function sliceHash(slice: Uint8Array): Uint8Array {
  return sha256(DOMAIN_SLICE, slice);
}

/** What catch-up packages sign of a state. */
export function stateHashOf(head: Uint8Array): Uint8Array {
  return sha256(DOMAIN_HEAD, head);
}

/** Of the head that these bytes begin with. */
export function manifestHeadBytes(bytes: Uint8Array): number {
  if (bytes.length < HEAD_BYTES) throw invalid("its head");
  return HEAD_BYTES + viewOf(bytes).getUint32(17 + HASH_BYTES) * HASH_BYTES;
}

/** `manifest_invalid` for what no node made. */
export function decodeManifestHead(head: Uint8Array): ManifestHead {
  if (head.length < HEAD_BYTES || head[0] !== VERSION) throw invalid("its head");
  const view = viewOf(head);
  const height = Number(view.getBigUint64(1));
  const manifestBytes = Number(view.getBigUint64(9 + HASH_BYTES));
  const slices = view.getUint32(17 + HASH_BYTES);
  if (
    slices > MANIFEST_SLICES_MAX ||
    slices !== Math.ceil(manifestBytes / MANIFEST_SLICE_BYTES) ||
    head.length !== HEAD_BYTES + slices * HASH_BYTES
  )
    throw invalid("its slices");
  const sliceHashes = Array.from({ length: slices }, (_, i) =>
    head.slice(HEAD_BYTES + i * HASH_BYTES, HEAD_BYTES + (i + 1) * HASH_BYTES),
  );
  return { height, rootHash: head.slice(9, 9 + HASH_BYTES), manifestBytes, sliceHashes };
}

/** From slices that were checked against the head. `manifest_invalid` where they do not fit together. */
export function decodeManifest(head: ManifestHead, slices: readonly Uint8Array[]): StateManifest {
  const body = concatBytes(...slices);
  if (body.length !== head.manifestBytes) throw invalid("its length");
  const view = viewOf(body);
  const chunks: StateChunk[] = [];
  for (let at = 0; at < body.length; ) {
    const kind = body[at] as number;
    const keyEnd = at + 2 + (body[at + 1] ?? 0);
    const end = keyEnd + 8 + HASH_BYTES;
    if (kind > KIND_MAX || end > body.length) throw invalid(`the chunk at byte ${at}`);
    const chunk: StateChunk = {
      kind: kind as ChunkKind,
      key: body.slice(at + 2, keyEnd),
      part: view.getUint32(keyEnd),
      bytes: view.getUint32(keyEnd + 4),
      hash: body.slice(keyEnd + 8, end),
    };
    const before = chunks.at(-1);
    if (chunk.bytes > STATE_CHUNK_BYTES_MAX || (before !== undefined && compareChunks(before, chunk) >= 0))
      throw invalid(`the chunk at byte ${at}`);
    chunks.push(chunk);
    at = end;
  }
  return { height: head.height, rootHash: head.rootHash, chunks };
}

/** Whether a peer's bytes are what was asked for. */
export function isChunk({ kind, bytes, hash }: StateChunk, told: Uint8Array): boolean {
  if (told.length !== bytes) return false;
  const own = chunkHash(kind, told);
  return own !== null && equalBytes(own, hash);
}
