/** Canonical NaNs: an operand that is a NaN is replaced by the positive quiet NaN without payload, lane by lane in vectors. */
import { type ExtraLocals, TYPE_F32, TYPE_F64, TYPE_V128 } from "./extra-locals.ts";
import {
  CANON_F32,
  CANON_F32X4,
  CANON_F64,
  CANON_F64X2,
  canonicalise,
  ignoresNanBits,
  OP_LOCAL_GET,
  OP_LOCAL_TEE,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

const NAN_F32 = [0x00, 0x00, 0xc0, 0x7f];
const NAN_F64 = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f];

interface Kind {
  readonly type: number;
  readonly nan: readonly number[];
  /** Picks the operand where it equals itself and the NaN elsewhere: comparison and selection. */
  readonly select: readonly number[];
}

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [CANON_F32, { type: TYPE_F32, nan: [0x43, ...NAN_F32], select: [0x5b, 0x1b] }],
  [CANON_F64, { type: TYPE_F64, nan: [0x44, ...NAN_F64], select: [0x61, 0x1b] }],
  [
    CANON_F32X4,
    {
      type: TYPE_V128,
      nan: [0xfd, 0x0c, ...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32],
      select: [0xfd, 65, 0xfd, 82],
    },
  ],
  [CANON_F64X2, { type: TYPE_V128, nan: [0xfd, 0x0c, ...NAN_F64, ...NAN_F64], select: [0xfd, 71, 0xfd, 82] }],
]);

/** Whether a NaN result may stay as it is because operator `following` takes it and makes no difference between NaNs. */
export function canWait(kind: number, following: number): boolean {
  // A vector may be read as other lanes than it was written with.
  return kind <= CANON_F64 ? ignoresNanBits[following] === 1 : canonicalise[following] === kind;
}

/** Makes the operand on top canonical; `kind` is one of opcodes.ts. */
export function writeCanonical(w: Writer, kind: number, locals: ExtraLocals): void {
  const { type, nan, select } = KINDS.get(kind) as Kind;
  const value = locals.named(`float${type}`, type);
  w.op(OP_LOCAL_TEE, value);
  w.code(...nan);
  w.op(OP_LOCAL_GET, value);
  w.op(OP_LOCAL_GET, value);
  w.code(...select);
}
