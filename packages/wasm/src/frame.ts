/** The local declarations of a body, and the estimate of its frame that the stack bound works with. */
import type { DecodedModule, FunctionType } from "./decode.ts";
import { TYPE_F32, TYPE_F64, TYPE_V128 } from "./extra-locals.ts";
import { readLocals } from "./operators.ts";
import { Reader } from "./reader.ts";
import type { ValueType } from "./types.ts";
import { TYPE_BYTES } from "./value-types.ts";
import type { Writer } from "./writer.ts";

/** Bytes of a frame: a fixed part and a word for every parameter, local and operand (two for a vector local). */
const FRAME_BYTES = 64;
export const WORD_BYTES = 8;
/** A function that calls nothing needs no check while its frame is at most this; the engine's margin covers one of them. */
const LEAF_FRAME_BYTES_MAX = 4096;

const EMPTY_TYPE = -0x40;

export interface Declarations {
  /** Groups declared, and where the first group and the code start. */
  readonly groups: number;
  readonly start: number;
  readonly codeStart: number;
  /** Parameters and locals. */
  readonly locals: number;
  /** Their words. */
  readonly words: number;
  /** A local that is no parameter is a float. */
  readonly floatLocals: boolean;
}

/** Reads the declarations at the start of a body of type `type`. */
export function readDeclarations(r: Reader, type: FunctionType): Declarations {
  let words = type.params.reduce((n, t) => n + (t === "v128" ? 2 : 1), 0);
  const head = new Reader(r.bytes, r.at, r.end);
  const groups = head.u32();
  let floatLocals = false;
  const locals = readLocals(r, (count, t) => {
    words += count * (t === TYPE_V128 ? 2 : 1);
    floatLocals ||= t === TYPE_F32 || t === TYPE_F64;
  });
  const { at: codeStart } = r;
  return { groups, start: head.at, codeStart, locals: type.params.length + locals, words, floatLocals };
}

/** The frame of a body whose operand stack is at most `operands` high; 0 when it needs no check. */
export function frameToCheck(declarations: Declarations, operands: number, calls: boolean): number {
  const frame = FRAME_BYTES + WORD_BYTES * (declarations.words + operands);
  return calls || frame > LEAF_FRAME_BYTES_MAX ? frame : 0;
}

/** Reads a block's type: as it is encoded (-0x40 for none), and its numbers of parameters and results. */
export function readBlockType(
  r: Reader,
  module: DecodedModule,
): { readonly type: number; readonly params: number; readonly results: number } {
  const type = r.s33();
  const signature = type >= 0 ? module.types[type] : undefined;
  const results = signature?.results.length ?? (type === EMPTY_TYPE ? 0 : 1);
  return { type, params: signature?.params.length ?? 0, results };
}

/** Opens a block without parameters. `resultType`: index of the type `() -> results`, asked for several results only. */
export function writeBlock(
  w: Writer,
  results: readonly ValueType[],
  resultType: (results: readonly ValueType[]) => number,
): void {
  w.u8(0x02);
  const [first] = results;
  if (first === undefined) w.u8(0x40);
  else if (results.length === 1) w.u8(TYPE_BYTES[first]);
  else w.signed(resultType(results));
}
