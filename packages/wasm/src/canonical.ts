/** Canonical NaNs: an operand that is a NaN is replaced by the positive quiet NaN without payload, lane by lane in vectors. */
import type { DecodedModule, FunctionType, Range } from "./decode.ts";
import { type ExtraLocals, TYPE_F32, TYPE_F64, TYPE_V128 } from "./extra-locals.ts";
import { planFloats } from "./float-plan.ts";
import type { Declarations } from "./frame.ts";
import {
  CANON_F32,
  CANON_F32X4,
  CANON_F64,
  CANON_F64X2,
  CANON_NONE,
  canonicalise,
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

/** What of a body's float results is made canonical. Scalars go by a plan (float-plan.ts), made when the first one comes along. */
export class CanonicalCode {
  readonly #module: DecodedModule;
  readonly #locals: ExtraLocals;
  #body: Range = { start: 0, end: 0 };
  #type: FunctionType = { params: [], results: [] };
  #floatLocals = false;
  #plan: ReadonlyMap<number, number> | null = null;

  constructor(module: DecodedModule, locals: ExtraLocals) {
    this.#module = module;
    this.#locals = locals;
  }

  /** Starts a body. */
  reset(body: Range, type: FunctionType, { floatLocals }: Declarations): void {
    this.#body = body;
    this.#type = type;
    this.#floatLocals = floatLocals;
    this.#plan = null;
  }

  /** After operator `op`, which stands at `at` and is followed by operator `following`. */
  result(w: Writer, op: number, at: number, following: number): void {
    const kind = canonicalise[op] as number;
    if (kind === CANON_NONE) return;
    if (kind <= CANON_F64) this.#planned(w, at);
    // A vector may be read as other lanes than it was written with.
    else if (canonicalise[following] !== kind) writeCanonical(w, kind, this.#locals);
  }

  /** After the read of a local, which stands at `at`. */
  read(w: Writer, at: number): void {
    if (this.#floatLocals) this.#planned(w, at);
  }

  #planned(w: Writer, at: number): void {
    this.#plan ??= planFloats(this.#module, this.#type, this.#body);
    const kind = this.#plan.get(at);
    if (kind !== undefined) writeCanonical(w, kind, this.#locals);
  }
}

/** Makes the operand on top canonical; `kind` is one of opcodes.ts. */
function writeCanonical(w: Writer, kind: number, locals: ExtraLocals): void {
  const { type, nan, select } = KINDS.get(kind) as Kind;
  const value = locals.named(`float${type}`, type);
  w.op(OP_LOCAL_TEE, value);
  w.code(...nan);
  w.op(OP_LOCAL_GET, value);
  w.op(OP_LOCAL_GET, value);
  w.code(...select);
}
