/**
 * A state of other nodes on its way here: head, manifest, chunks, each checked alone, so that no peer has to be believed and many can be asked
 * at once. What is here stays on the disk, over restarts and over states; what this node's own state has is not asked for. When all of it
 * is here, opening the store puts it in place (`openAdopting`).
 */
import { assert, equalBytes, type Height, OrreryError, toHex } from "@orrery/base";
import type { Disk } from "../disk.ts";
import type { LogRecord } from "../durable-format.ts";
import { readWhole, writeDurably } from "../small-file.ts";
import type { Store } from "../store.ts";
import { ChunkPack, removeIfThere } from "./chunk-pack.ts";
import {
  decodeManifest,
  decodeManifestHead,
  isChunk,
  MANIFEST_HEAD_BYTES_MAX,
  type ManifestHead,
  manifestHeadBytes,
  type StateChunk,
  type StateManifest,
  sliceHash,
  stateHashOf,
} from "./manifest.ts";
import { restoreState } from "./restore.ts";

const CHUNKS_FILE = "fetched-chunks";
const MANIFEST_FILE = "fetched-manifest";
/** With it a state is whole. */
const BLOCK_FILE = "fetched-block";

/** Asked of a peer at once: chunks of so many bytes together, or one that is longer. */
export const STATE_ASK_BYTES: number = 1 << 20;
export const STATE_ASK_CHUNKS_MAX = 256;

/** A part of a state: its head, or slices of its manifest or chunks by their places. */
export interface StateAsk {
  readonly part: "head" | "slices" | "chunks";
  readonly places: readonly number[];
}

export interface ReceptionProgress {
  /** Of the chunks that the node did not have. */
  readonly missing: number;
  readonly chunks: number;
}

type Source = (hash: string) => Uint8Array | null;

export class StateReception {
  readonly #disk: Disk;
  readonly #stateHash: Uint8Array;
  readonly #own: Source;
  readonly #pack: ChunkPack;
  #headBytes: Uint8Array | null = null;
  #head: ManifestHead | null = null;
  readonly #slices = new Map<number, Uint8Array>();
  #manifest: StateManifest | null = null;
  /** Places that nobody is asked for now: of slices, then of chunks. */
  readonly #wanted = new Set<number>();
  #underWay = 0;
  #isHeadAsked = false;

  /** `own`: what the state that is here has, by hash in hexadecimal. */
  constructor(options: { readonly disk: Disk; readonly stateHash: Uint8Array; readonly own: Source }) {
    this.#disk = options.disk;
    this.#stateHash = options.stateHash;
    this.#own = options.own;
    removeIfThere(this.#disk, BLOCK_FILE);
    this.#pack = new ChunkPack(this.#disk, CHUNKS_FILE);
  }

  /** Every chunk is here. */
  get isWhole(): boolean {
    return this.#manifest !== null && this.#wanted.size === 0 && this.#underWay === 0;
  }

  get height(): Height | null {
    return this.#head?.height ?? null;
  }

  get progress(): ReceptionProgress {
    return { missing: this.#wanted.size + this.#underWay, chunks: this.#manifest?.chunks.length ?? 0 };
  }

  /** What to ask a peer for; null while nothing more can be asked for. Each is taken or given back. */
  next(): StateAsk | null {
    if (this.#head === null) {
      if (this.#isHeadAsked) return null;
      this.#isHeadAsked = true;
      return { part: "head", places: [] };
    }
    const places: number[] = [];
    let bytes = 0;
    for (const place of this.#wanted) {
      const length = this.#manifest?.chunks[place]?.bytes ?? STATE_ASK_BYTES;
      if (places.length > 0 && bytes + length > STATE_ASK_BYTES) break;
      places.push(place);
      bytes += length;
      if (places.length >= STATE_ASK_CHUNKS_MAX) break;
    }
    if (places.length === 0) return null;
    for (const place of places) this.#wanted.delete(place);
    this.#underWay += places.length;
    return { part: this.#manifest === null ? "slices" : "chunks", places };
  }

  /** An answer, of which the first parts are enough; says what is wrong with it, and takes what is right. None: nobody answered. */
  take({ part, places }: StateAsk, told: readonly Uint8Array[]): string | null {
    if (part === "head") return this.#takeHead(told);
    this.#underWay -= places.length;
    let fault = told.length > places.length ? "more than was asked for" : null;
    for (const [i, place] of places.entries()) {
      const bytes = fault === null ? told[i] : undefined;
      if (bytes !== undefined && this.#takeOne(part, place, bytes)) continue;
      if (bytes !== undefined)
        fault = `what is not ${part === "slices" ? "slice" : "chunk"} ${place} of the state`;
      this.#wanted.add(place);
    }
    if (part === "slices" && this.#wanted.size === 0 && this.#underWay === 0) this.#readManifest();
    return fault;
  }

  /** The state is put in place when the store is opened next. `block`: of its height. */
  finish(block: Uint8Array): void {
    assert(this.isWhole && this.#headBytes !== null, "all of the state is here");
    this.#pack.sync();
    writeDurably(this.#disk, BLOCK_FILE, [block]);
    this.close();
  }

  close(): void {
    this.#pack.close();
  }

  #takeHead(told: readonly Uint8Array[]): string | null {
    this.#isHeadAsked = false;
    const [head] = told;
    if (head === undefined || this.#head !== null) return null;
    if (head.length > MANIFEST_HEAD_BYTES_MAX || !equalBytes(stateHashOf(head), this.#stateHash))
      return "what is not the head of the state";
    this.#headBytes = head.slice();
    this.#head = decodeManifestHead(head);
    for (const place of this.#head.sliceHashes.keys()) this.#wanted.add(place);
    if (this.#wanted.size === 0) this.#readManifest();
    return null;
  }

  #takeOne(part: "slices" | "chunks", place: number, bytes: Uint8Array): boolean {
    if (part === "slices") {
      const hash = this.#head?.sliceHashes[place];
      if (hash === undefined || !equalBytes(sliceHash(bytes), hash)) return false;
      this.#slices.set(place, bytes.slice());
      return true;
    }
    const chunk = this.#manifest?.chunks[place];
    if (chunk === undefined || !isChunk(chunk, bytes)) return false;
    this.#pack.put(chunk.hash, bytes);
    return true;
  }

  /** Whole and checked: what is here already is not wanted. */
  #readManifest(): void {
    const head = this.#head as ManifestHead;
    const slices = head.sliceHashes.map((_, place) => this.#slices.get(place) as Uint8Array);
    const manifest = decodeManifest(head, slices);
    this.#slices.clear();
    writeDurably(this.#disk, MANIFEST_FILE, [this.#headBytes as Uint8Array, ...slices]);
    this.#manifest = manifest;
    const needed = new Map(
      manifest.chunks.map((chunk, place) => [toHex(chunk.hash), { chunk, place }] as const),
    );
    this.#pack.prune(new Set(needed.keys()));
    for (const [hash, { chunk, place }] of needed) if (!this.#isHere(hash, chunk)) this.#wanted.add(place);
  }

  #isHere(hash: string, chunk: StateChunk): boolean {
    const fetched = this.#pack.get(hash);
    if (fetched !== null && isChunk(chunk, fetched)) return true;
    this.#pack.drop(hash);
    const own = this.#own(hash);
    if (own === null || !isChunk(chunk, own)) return false;
    this.#pack.put(chunk.hash, own);
    return true;
  }
}

/** Nothing that was fetched is left. */
function forgetFetched(disk: Disk): void {
  for (const name of [BLOCK_FILE, MANIFEST_FILE, CHUNKS_FILE]) removeIfThere(disk, name);
}

/** The manifest of a state that was fetched whole, and the block of its height; null when there is none. */
function readFetched(disk: Disk): { readonly manifest: StateManifest; readonly block: LogRecord } | null {
  const block = readWhole(disk, BLOCK_FILE);
  const bytes = block === null ? null : readWhole(disk, MANIFEST_FILE);
  if (block === null || bytes === null) return null;
  const headBytes = manifestHeadBytes(bytes);
  const head = decodeManifestHead(bytes.subarray(0, headBytes));
  const manifest = decodeManifest(head, [bytes.subarray(headBytes)]);
  return { manifest, block: { height: manifest.height, bytes: block } };
}

/** Opens a store, with the state that was fetched in place of its own when there is one. What turns out damaged is fetched again. */
export function openAdopting(disk: Disk, open: () => Store): Store {
  const store = open();
  let isAdopted: boolean;
  try {
    isAdopted = adopt(disk, store);
  } catch (cause) {
    if (cause instanceof OrreryError && cause.code === "manifest_invalid") {
      removeIfThere(disk, BLOCK_FILE);
      return store;
    }
    store.close();
    throw cause;
  }
  if (!isAdopted) return store;
  store.close();
  const adopted = open();
  forgetFetched(disk);
  return adopted;
}

function adopt(disk: Disk, store: Store): boolean {
  const fetched = readFetched(disk);
  if (fetched === null) return false;
  const pack = new ChunkPack(disk, CHUNKS_FILE);
  try {
    const source = (chunk: StateChunk): Uint8Array => {
      const bytes = pack.get(toHex(chunk.hash));
      if (bytes !== null && isChunk(chunk, bytes)) return bytes;
      throw new OrreryError("manifest_invalid", "a chunk that was fetched is damaged: it is fetched again");
    };
    const steps = store.adoptionSteps(restoreState(fetched.manifest, source), fetched.block);
    while (steps.next().done !== true);
    return true;
  } finally {
    pack.close();
  }
}
