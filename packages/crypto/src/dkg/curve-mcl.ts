/**
 * The groups on mcl compiled to WebAssembly (see curve.ts), in the one module that bls-mcl.ts starts. Products with secrets take the
 * library's path of constant time; decoding, sums and walks do not. Walks stay in the module's memory: a crossing costs more than an addition.
 */
import { equalBytes, OrreryError } from "@orrery/base";
import mcl from "mcl-wasm";
import { bigintToBytes } from "../bls.ts";
import {
  type Curve,
  G1_BYTES,
  type G1Point,
  G2_BYTES,
  type G2Point,
  type Group,
  SCALAR_BYTES,
  WALK_STEPS_MAX,
} from "./curve.ts";

/** The parts of the compiled module that the library does not type. */
interface RawModule {
  readonly HEAP8: Int8Array;
  _malloc(length: number): number;
  _mclBnG1_hashAndMapToWithDst(
    out: number,
    text: number,
    textLength: number,
    dst: number,
    dstLength: number,
  ): number;
  _mclBnG1_add(out: number, a: number, b: number): void;
  _mclBnG1_normalizeVec(out: number, points: number, count: number): void;
  _mclBnG1_mulCT(out: number, point: number, scalar: number): void;
  _mclBnG2_mulCT(out: number, point: number, scalar: number): void;
}

/** A value of the library: its limbs, copied into the module for every operation. */
interface Limbs {
  readonly a_: Uint32Array;
}

type Point = mcl.G1 | mcl.G2;

/** The library copies points and scalars to a stack of 1 MiB: this many take a third of it. */
const SUM_TERMS_MAX = 1_024;
/** Tags and messages are short here. */
const HASH_INPUT_BYTES_MAX = 65_536;
const DST_BYTES_MAX = 255;

const limbsOf = (value: unknown): Uint32Array => (value as Limbs).a_;

function raw(): RawModule {
  return (mcl as unknown as { readonly mod: RawModule }).mod;
}

/** Taken anew every time: when the module's memory grows, older views of it are empty. */
function words(): Uint32Array {
  return new Uint32Array(raw().HEAP8.buffer);
}

function scalarOf(value: bigint): mcl.Fr {
  const out = new mcl.Fr();
  out.setBigEndianMod(bigintToBytes(value, SCALAR_BYTES));
  return out;
}

interface Parts<P extends Point> {
  readonly generator: P;
  readonly create: () => P;
  readonly bytes: number;
  readonly multiply: (out: number, point: number, scalar: number) => void;
}

function mclGroup<P extends Point>({ generator, create, bytes: length, multiply }: Parts<P>): Group<P> {
  const zero = create();
  const size = limbsOf(zero).byteLength;
  const at = raw()._malloc(2 * size + SCALAR_BYTES);
  return {
    generator,
    zero,
    decode(bytes) {
      if (bytes.length !== length) return null;
      const point = create();
      try {
        // Refuses what is not in the subgroup: the module is told to verify orders when it starts.
        point.deserialize(bytes);
      } catch {
        return null;
      }
      return !point.isZero() && equalBytes(point.serialize(), bytes) ? point : null;
    },
    encode: (point) => point.serialize(),
    isZero: (point) => point.isZero(),
    equal: (a, b) => (a as mcl.G1).isEqual(b as mcl.G1),
    add: (a, b) => mcl.add(a as mcl.G1, b as mcl.G1) as P,
    multiply(point, scalar) {
      const out = create();
      const heap = words();
      const [pointAt, scalarAt] = [at + size, at + 2 * size];
      heap.set(limbsOf(point), pointAt >> 2);
      heap.set(limbsOf(scalarOf(scalar)), scalarAt >> 2);
      multiply(at, pointAt, scalarAt);
      limbsOf(out).set(heap.subarray(at >> 2, (at + size) >> 2));
      heap.fill(0, scalarAt >> 2, (scalarAt + SCALAR_BYTES) >> 2);
      return out;
    },
    sum(points, scalars) {
      let total = zero;
      for (let from = 0; from < points.length; from += SUM_TERMS_MAX) {
        const part = points.slice(from, from + SUM_TERMS_MAX) as mcl.G1[];
        const product = mcl.mulVec(part, scalars.slice(from, from + SUM_TERMS_MAX).map(scalarOf));
        total = (from === 0 ? product : mcl.add(total as mcl.G1, product)) as P;
      }
      return total;
    },
  };
}

function parsed<P extends Point>(point: P, bytes: Uint8Array): P {
  point.deserialize(bytes);
  return point;
}

function hashing(module: RawModule, bytes: number): Curve["hashToG1"] {
  const at = module._malloc(bytes + HASH_INPUT_BYTES_MAX + DST_BYTES_MAX);
  const textAt = at + bytes;
  return (message, dst) => {
    if (message.length > HASH_INPUT_BYTES_MAX || dst.length > DST_BYTES_MAX)
      throw new OrreryError("bls_message_too_long", `${message.length} bytes cannot be hashed to a point`);
    module.HEAP8.set(message, textAt);
    module.HEAP8.set(dst, textAt + message.length);
    module._mclBnG1_hashAndMapToWithDst(at, textAt, message.length, textAt + message.length, dst.length);
    const out = new mcl.G1();
    limbsOf(out).set(words().subarray(at >> 2, (at + bytes) >> 2));
    return out as unknown as G1Point;
  };
}

const WORDS_OF_TAG = 2 ** 21;

function walking(module: RawModule, bytes: number): Curve["walk"] {
  const at = module._malloc(bytes * (WALK_STEPS_MAX + 2));
  const stepAt = at + bytes * (WALK_STEPS_MAX + 1);
  return (start, step, count) => {
    words().set(limbsOf(start), at >> 2);
    words().set(limbsOf(step), stepAt >> 2);
    for (let i = 0; i < count; i++) module._mclBnG1_add(at + (i + 1) * bytes, at + i * bytes, stepAt);
    module._mclBnG1_normalizeVec(at, at, count);
    const heap = words();
    const tags = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const word = (at + i * bytes) >> 2;
      // Infinity has no first coordinate: its third one is zero.
      const infinity = heap
        .subarray(word + (bytes >> 2) - bytes / 12, word + (bytes >> 2))
        .every((limb) => limb === 0);
      const high = (heap[word + 1] as number) % WORDS_OF_TAG;
      tags[i] = infinity ? 0 : high * 2 ** 32 + (heap[word] as number);
    }
    return tags;
  };
}

/** The groups in the module that was started. `generators`: in their encodings. */
export function mclCurve(generators: { readonly g1: Uint8Array; readonly g2: Uint8Array }): Curve {
  const module = raw();
  const bytes = limbsOf(new mcl.G1()).byteLength;
  const g1 = mclGroup<mcl.G1>({
    generator: parsed(new mcl.G1(), generators.g1),
    create: () => new mcl.G1(),
    bytes: G1_BYTES,
    multiply: (out, point, scalar) => module._mclBnG1_mulCT(out, point, scalar),
  });
  const g2 = mclGroup<mcl.G2>({
    generator: parsed(new mcl.G2(), generators.g2),
    create: () => new mcl.G2(),
    bytes: G2_BYTES,
    multiply: (out, point, scalar) => module._mclBnG2_mulCT(out, point, scalar),
  });
  return {
    g1: g1 as unknown as Group<G1Point>,
    g2: g2 as unknown as Group<G2Point>,
    hashToG1: hashing(module, bytes),
    walk: walking(module, bytes),
  };
}
