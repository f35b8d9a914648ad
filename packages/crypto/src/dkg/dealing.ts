/** A dealing and its encoding: one message of one dealer, which anyone can check. */
import { concatAll, err, ok, type Result } from "@orrery/base";
import { DKG_MEMBERS_MAX, u16 } from "./config.ts";
import { G1_BYTES, G2_BYTES } from "./curve.ts";
import { scalarBytes } from "./oracle.ts";
import type { BindingProof } from "./proof-binding.ts";
import { type ChunkingProof, combinationBound, REPETITIONS } from "./proof-chunking.ts";
import type { SharingProof } from "./proof-sharing.ts";
import { CHUNKS, type EncodedStatement } from "./statement.ts";
import { Malformed, Reader } from "./wire.ts";

export interface Dealing extends EncodedStatement {
  readonly binding: BindingProof;
  readonly sharing: SharingProof;
  readonly chunking: ChunkingProof;
}

const DEALING_VERSION = 1;
/** Of what a combination shows; larger ones are out of range anyway. */
const SHOWN_BYTES = 8;

function encodeShown(value: bigint): Uint8Array {
  return scalarBytes(value).subarray(-SHOWN_BYTES);
}

/** About 4 KiB and 0.9 KiB for each receiver, and 96 bytes for each coefficient. */
export function encodeDealing(dealing: Dealing): Uint8Array {
  const { dealer, coefficients, randomizers, bindings, ciphertexts, binding, sharing, chunking } = dealing;
  return concatAll([
    Uint8Array.of(DEALING_VERSION),
    u16(dealer),
    u16(coefficients.length),
    u16(ciphertexts.length),
    ...coefficients,
    ...randomizers,
    ...bindings,
    ...ciphertexts.flat(),
    binding.first,
    binding.second,
    scalarBytes(binding.response),
    sharing.f,
    sharing.a,
    sharing.y,
    scalarBytes(sharing.responseR),
    scalarBytes(sharing.responseA),
    chunking.y0,
    ...chunking.b,
    ...chunking.c,
    ...chunking.d,
    chunking.y,
    ...chunking.responsesR.map(scalarBytes),
    ...chunking.responsesS.map(encodeShown),
    scalarBytes(chunking.responseB),
  ]);
}

function readChunking(reader: Reader, receivers: number): ChunkingProof {
  const shownMax = combinationBound(receivers) - 1;
  return {
    y0: reader.bytes(G1_BYTES),
    b: reader.many(REPETITIONS, G1_BYTES),
    c: reader.many(REPETITIONS, G1_BYTES),
    d: reader.many(receivers + 1, G1_BYTES),
    y: reader.bytes(G1_BYTES),
    responsesR: reader.scalars(receivers),
    responsesS: Array.from({ length: REPETITIONS }, () =>
      BigInt(reader.integer(SHOWN_BYTES, 0, shownMax, "a shown combination")),
    ),
    responseB: reader.scalar(),
  };
}

/** The next dealing of a reader; throws `Malformed`. */
export function readDealing(reader: Reader): Dealing {
  reader.integer(1, DEALING_VERSION, DEALING_VERSION, "the version");
  const dealer = reader.integer(2, 0, DKG_MEMBERS_MAX - 1, "the dealer");
  const threshold = reader.integer(2, 1, DKG_MEMBERS_MAX, "the number of coefficients");
  const receivers = reader.integer(2, 1, DKG_MEMBERS_MAX, "the number of receivers");
  return {
    dealer,
    coefficients: reader.many(threshold, G2_BYTES),
    randomizers: reader.many(CHUNKS, G1_BYTES),
    bindings: reader.many(CHUNKS, G1_BYTES),
    ciphertexts: Array.from({ length: receivers }, () => reader.many(CHUNKS, G1_BYTES)),
    binding: {
      first: reader.bytes(G1_BYTES),
      second: reader.bytes(G1_BYTES),
      response: reader.scalar(),
    },
    sharing: {
      f: reader.bytes(G1_BYTES),
      a: reader.bytes(G2_BYTES),
      y: reader.bytes(G1_BYTES),
      responseR: reader.scalar(),
      responseA: reader.scalar(),
    },
    chunking: readChunking(reader, receivers),
  };
}

/** Strict in its layout; its points are judged by `verifyDealing`. */
export function decodeDealing(bytes: Uint8Array): Result<Dealing, string> {
  try {
    const reader = new Reader(bytes);
    const dealing = readDealing(reader);
    reader.end();
    return ok(dealing);
  } catch (cause) {
    if (cause instanceof Malformed) return err(`the dealing is malformed: ${cause.message}`);
    throw cause;
  }
}
