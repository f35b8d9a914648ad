/**
 * Artifacts without what their receivers probably have: a block's ingress messages went to every member's pool before, so a proposal
 * travels as a skeleton and the hashes of its messages; only missing ones are fetched. A stripped body is two bytes of count, for each
 * part its SHA-256 and four bytes of length, and the skeleton.
 */
import type { Block, BlockPayload } from "@orrery/base";
import { BODY_BYTES_MAX, PARTS_MAX } from "./limits.ts";
import { HASH_BYTES } from "./wire.ts";

export interface Part {
  /** SHA-256 of the bytes. */
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface PartRef {
  readonly id: Uint8Array;
  readonly length: number;
}

const REF_BYTES: number = HASH_BYTES + 4;

export function encodeStripped(skeleton: Uint8Array, parts: readonly Part[]): Uint8Array {
  const out = new Uint8Array(2 + parts.length * REF_BYTES + skeleton.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, parts.length);
  let at = 2;
  for (const { id, bytes } of parts) {
    out.set(id, at);
    view.setUint32(at + HASH_BYTES, bytes.length);
    at += REF_BYTES;
  }
  out.set(skeleton, at);
  return out;
}

/** Null when it is none, names more than `PARTS_MAX` parts, or would be longer than `bytesMax` with them. */
export function decodeStripped(
  body: Uint8Array,
  bytesMax: number = BODY_BYTES_MAX,
): { readonly skeleton: Uint8Array; readonly refs: readonly PartRef[] } | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const count = body.length < 2 ? PARTS_MAX + 1 : view.getUint16(0);
  if (count > PARTS_MAX || body.length < 2 + count * REF_BYTES) return null;
  const refs: PartRef[] = [];
  let total = body.length - 2 - count * REF_BYTES;
  for (let at = 2; refs.length < count; at += REF_BYTES) {
    const length = view.getUint32(at + HASH_BYTES);
    total += length;
    if (total > bytesMax) return null;
    refs.push({ id: body.subarray(at, at + HASH_BYTES), length });
  }
  return { skeleton: body.subarray(2 + count * REF_BYTES), refs };
}

/** A block as its skeleton, and the messages that were taken out, in their order. */
export function stripBlock(block: Block): {
  readonly skeleton: Block;
  readonly ingress: readonly Uint8Array[];
} {
  const payload: BlockPayload = { ...block.payload, ingress: [] };
  return { skeleton: { ...block, payload }, ingress: block.payload.ingress };
}

/** The block again. Whoever takes it compares its hash: nothing here says that these are its messages. */
export function fillBlock(skeleton: Block, ingress: readonly Uint8Array[]): Block {
  return { ...skeleton, payload: { ...skeleton.payload, ingress } };
}
