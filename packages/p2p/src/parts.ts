/** The parts of a stripped artifact that is being put together, and the answers to requests for parts. */
import { concatAll, equalBytes, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { PARTS_MAX } from "./limits.ts";
import { decodeStripped, type PartRef } from "./strip.ts";
import type { Channel } from "./types.ts";
import { HASH_BYTES } from "./wire.ts";

/** In place of a length: not here. */
const ABSENT = 0xffff_ffff;

/** Hashes that a request for parts names; null when it names none, too many, or half of one. */
export function partsOfRequest(hashes: Uint8Array): readonly Uint8Array[] | null {
  const count = hashes.length / HASH_BYTES;
  if (!Number.isInteger(count) || count === 0 || count > PARTS_MAX) return null;
  return Array.from({ length: count }, (_, i) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/** Each part after its length, in the order of the request; parts beyond `bytesMax` are left out like those that are not here. */
export function encodeParts(parts: readonly (Uint8Array | null)[], bytesMax: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  let left = bytesMax - 4 * parts.length;
  for (const part of parts) {
    const isSent = part !== null && part.length <= left;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, isSent ? part.length : ABSENT);
    pieces.push(length);
    if (!isSent) continue;
    pieces.push(part);
    left -= part.length;
  }
  return concatAll(pieces);
}

export class PartsWanted {
  readonly skeleton: Uint8Array;
  /** Times that others were asked. */
  rounds = 0;
  readonly #refs: readonly PartRef[];
  readonly #channel: Channel;
  readonly #found = new Map<string, Uint8Array>();
  /** What was asked for last, in its order. */
  #asked: readonly PartRef[] = [];

  private constructor(skeleton: Uint8Array, refs: readonly PartRef[], channel: Channel) {
    this.skeleton = skeleton;
    this.#refs = refs;
    this.#channel = channel;
  }

  /** Null when the body is not that of a stripped artifact. */
  static of(body: Uint8Array, channel: Channel): PartsWanted | null {
    const stripped = decodeStripped(body, channel.wholeBytesMax);
    return stripped === null ? null : new PartsWanted(stripped.skeleton, stripped.refs, channel);
  }

  /** What neither this node has nor anybody sent, each once. */
  missing(): readonly PartRef[] {
    const missing = new Map<string, PartRef>();
    for (const ref of this.#refs) {
      const key = toHex(ref.id);
      if (this.#found.has(key)) continue;
      const own = this.#channel.part?.(ref.id) ?? null;
      if (own?.length === ref.length) this.#found.set(key, own);
      else missing.set(key, ref);
    }
    this.#asked = [...missing.values()];
    return this.#asked;
  }

  /** All parts in their order, when none is missing. */
  found(): readonly Uint8Array[] {
    return this.#refs.map(({ id }) => this.#found.get(toHex(id)) as Uint8Array);
  }

  /** Takes an answer; false when it is not one to what was asked. Parts before the fault are kept. */
  take(answer: Uint8Array): boolean {
    const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
    let at = 0;
    for (const { id, length } of this.#asked) {
      if (at + 4 > answer.length) return false;
      const sent = view.getUint32(at);
      at += 4;
      if (sent === ABSENT) continue;
      const part = answer.slice(at, at + length);
      if (sent !== length || part.length !== length || !equalBytes(sha256(part), id)) return false;
      this.#found.set(toHex(id), part);
      at += length;
    }
    return at === answer.length;
  }
}
