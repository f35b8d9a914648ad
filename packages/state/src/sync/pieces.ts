/** Records and blobs as chunks: records one after the other in the order of their keys, cut into pieces. */
import { compareBytes, concatBytes } from "@orrery/base";
import { viewOf } from "../durable-format.ts";
import { type ChunkKind, chunkHash, STATE_PIECE_BYTES, type StateChunk } from "./manifest.ts";

export type Records = readonly (readonly [key: Uint8Array, record: Uint8Array])[];

/** Records one after the other: length of the key 1 · key · length of the record 4 · record. */
export function encodeRecords(records: Records): Uint8Array {
  const sorted = [...records].sort(([a], [b]) => compareBytes(a, b));
  return concatBytes(
    ...sorted.flatMap(([key, record]) => {
      const head = new Uint8Array(1 + key.length + 4);
      head[0] = key.length;
      head.set(key, 1);
      viewOf(head).setUint32(1 + key.length, record.length);
      return [head, record];
    }),
  );
}

export function pieces(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.max(1, Math.ceil(bytes.length / STATE_PIECE_BYTES));
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * STATE_PIECE_BYTES, (i + 1) * STATE_PIECE_BYTES),
  );
}

export function describePieces(kind: ChunkKind, key: Uint8Array, bytes: Uint8Array): readonly StateChunk[] {
  return pieces(bytes).map((piece, part) => ({
    kind,
    key,
    part,
    bytes: piece.length,
    hash: chunkHash(kind, piece) as Uint8Array,
  }));
}
