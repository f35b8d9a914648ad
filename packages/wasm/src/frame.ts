/** The local declarations of a body, and the estimate of its frame that the stack bound works with. */
import type { FunctionType } from "./decode.ts";
import { readLocals } from "./operators.ts";
import { Reader } from "./reader.ts";

/** Bytes of a frame: a fixed part and a word for every parameter, local and operand (two for a vector local). */
const FRAME_BYTES = 64;
const WORD_BYTES = 8;
/** A function that calls nothing needs no check while its frame is at most this; the engine's margin covers one of them. */
const LEAF_FRAME_BYTES_MAX = 4096;

export interface Declarations {
  /** Groups declared, and where the first group and the code start. */
  readonly groups: number;
  readonly start: number;
  readonly codeStart: number;
  /** Parameters and locals. */
  readonly locals: number;
  /** Their words. */
  readonly words: number;
}

/** Reads the declarations at the start of a body of type `type`. */
export function readDeclarations(r: Reader, type: FunctionType): Declarations {
  let words = type.params.reduce((n, t) => n + (t === "v128" ? 2 : 1), 0);
  const head = new Reader(r.bytes, r.at, r.end);
  const groups = head.u32();
  const locals = readLocals(r, (count, t) => {
    words += count * (t === 0x7b ? 2 : 1);
  });
  return { groups, start: head.at, codeStart: r.at, locals: type.params.length + locals, words };
}

/** The estimate for a body whose operand stack is at most `operands` high. */
export function frameBytes(declarations: Declarations, operands: number): number {
  return FRAME_BYTES + WORD_BYTES * (declarations.words + operands);
}

export function needsStackCheck(calls: boolean, frame: number): boolean {
  return calls || frame > LEAF_FRAME_BYTES_MAX;
}
