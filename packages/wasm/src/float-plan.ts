/**
 * Which float results of a body must be made canonical, and where: decided by who uses them (reference: determinism, NaNs).
 *
 * A value is *open* when the canister's own value is this one, or the canonical NaN if this one is any NaN. Arithmetic leaves open
 * values, whatever its operands; and an open value may stay so while only arithmetic, comparisons and truncations use it, whose
 * results are the same for all NaNs. Everything else may see the bits: stores, moves into globals, calls, blocks' results and jumps'
 * operands, `select`, `neg`, `abs`, `copysign`, `reinterpret`. For those the value is made canonical where it was made.
 *
 * A variable, which is a local or a part of its uses (float-variables.ts), may hold open values if it is never set to anything but
 * those and numbers; then its reads that are seen are made canonical instead. That is done where it is estimated to cost less, loops
 * counted as many turns. A value that may come from a load or a parameter is never touched, since its bits must survive.
 *
 * One pass over the body follows its operand stack; code that cannot be reached is left out.
 */
import { type Block, labelOperands } from "./code-context.ts";
import { type DecodedModule, type FunctionType, functionType } from "./decode.ts";
import { TYPE_F32, TYPE_F64 } from "./extra-locals.ts";
import { isOpen, type Source, type Variable, Variables } from "./float-variables.ts";
import { readBlockType } from "./frame.ts";
import * as o from "./opcodes.ts";
import { readLocals, readOpcode, skipImmediates } from "./operators.ts";
import { Reader } from "./reader.ts";

/** What stands on the operand stack: nothing that concerns NaNs, a constant that is none, or (0 and above) a source. */
const OTHER = -1;
const NUMBER = -2;

/** Turns that a loop is taken for, in a loop in a loop at most this deep. */
const LOOP_TURNS = 8;
const LOOP_DEPTH_MAX = 6;

const OP_SELECT = 0x1b;
const OP_SELECT_TYPED = 0x1c;
const OP_DROP = 0x1a;
const OP_F32_CONST = 0x43;
const OP_F64_CONST = 0x44;

/** The operators of `body` whose results are to be made canonical: their offsets in the module, and the kind (opcodes.ts). */
export function planFloats(
  module: DecodedModule,
  type: FunctionType,
  body: { readonly start: number; readonly end: number },
): ReadonlyMap<number, number> {
  return new FloatPlan(module, type, new Reader(module.bytes, body.start, body.end)).decide();
}

class FloatPlan {
  readonly #module: DecodedModule;
  readonly #reader: Reader;
  readonly #sources: Source[] = [];
  readonly #variables: Variables = new Variables();
  /** Types of the locals as bytes; 0 for those that cannot hold open values. */
  readonly #types: Uint8Array;
  readonly #blocks: Block[] = [];
  /** The operands, and how many there are. */
  readonly #stack: number[] = [];
  #height = 0;
  #dead = false;
  #loops = 0;

  constructor(module: DecodedModule, type: FunctionType, reader: Reader) {
    this.#module = module;
    this.#reader = reader;
    const groups: [number, number][] = [];
    const declared = readLocals(reader, (count, t) => groups.push([count, t]));
    this.#types = new Uint8Array(type.params.length + declared);
    let at = type.params.length;
    for (const [count, t] of groups) {
      if (t === TYPE_F32 || t === TYPE_F64) this.#types.fill(t, at, at + count);
      at += count;
    }
    this.#blocks.push({ op: o.OP_BLOCK, height: 0, params: 0, results: type.results.length, dead: false });
  }

  decide(): ReadonlyMap<number, number> {
    while (this.#blocks.length > 0) this.#operator();
    this.#variables.decide();
    const plan = new Map<number, number>();
    for (const source of this.#sources) if (source.seen && isOpen(source)) plan.set(source.at, source.kind);
    return plan;
  }

  #push(count: number): void {
    for (let i = 0; i < count; i++) this.#stack[this.#height++] = OTHER;
  }

  #pushSource(at: number, kind: number, variable: Variable | null): Source {
    const weight = LOOP_TURNS ** Math.min(this.#loops, LOOP_DEPTH_MAX);
    const source: Source = { at, kind, variable, weight, seen: false };
    this.#stack[this.#height++] = this.#sources.length;
    this.#sources.push(source);
    return source;
  }

  /** Removes operands whose users do not tell one NaN from another. */
  #ignore(count: number): void {
    this.#height -= count;
  }

  /** Operands whose bits may be seen; they stay on the stack. */
  #see(count: number): void {
    for (let i = this.#height - count; i < this.#height; i++) {
      const operand = this.#stack[i] as number;
      if (operand >= 0) (this.#sources[operand] as Source).seen = true;
    }
  }

  #replace(popped: number, pushed: number): void {
    this.#see(popped);
    this.#ignore(popped);
    this.#push(pushed);
  }

  #operator(): void {
    const r = this.#reader;
    const start = r.at;
    const op = readOpcode(r);
    switch (op) {
      case o.OP_BLOCK:
      case o.OP_LOOP:
      case o.OP_IF:
        this.#openBlock(op);
        return;
      case o.OP_ELSE:
      case o.OP_END:
        this.#closeBlock(op);
        return;
      default:
    }
    if (this.#dead) skipImmediates(r, o.immediates[op] as number);
    else if (!this.#jump(op) && !this.#move(op, start)) this.#compute(op, start);
  }

  #openBlock(op: number): void {
    const { params, results } = readBlockType(this.#reader, this.#module);
    const dead = this.#dead;
    if (!dead) {
      if (op === o.OP_IF) this.#ignore(1);
      this.#replace(params, 0);
    }
    this.#blocks.push({ op, height: this.#height, params, results, dead });
    if (dead) return;
    this.#push(params);
    this.#variables.openBlock();
    if (op === o.OP_LOOP) this.#loops++;
  }

  #closeBlock(op: number): void {
    const block = this.#blocks[this.#blocks.length - 1] as Block;
    if (op === o.OP_END) this.#blocks.pop();
    if (block.dead) return;
    if (op === o.OP_END && block.op === o.OP_LOOP) this.#loops--;
    if (!this.#dead) this.#see(block.results);
    if (this.#blocks.length === 0) return; // nothing is read any more
    if (op === o.OP_END) this.#variables.closeBlock(block.op === o.OP_LOOP);
    else this.#variables.otherwise();
    this.#dead = false;
    this.#height = block.height;
    this.#push(op === o.OP_ELSE ? block.params : block.results);
  }

  /** Whether the operator leaves its block, or may. */
  #jump(op: number): boolean {
    const r = this.#reader;
    switch (op) {
      case o.OP_BR:
        this.#see(labelOperands(this.#blocks, r.u32()));
        break;
      case o.OP_BR_IF:
        this.#ignore(1);
        this.#see(labelOperands(this.#blocks, r.u32()));
        return true;
      case o.OP_BR_TABLE:
        for (let n = r.u32(); n > 0; n--) r.u32();
        this.#ignore(1);
        this.#see(labelOperands(this.#blocks, r.u32()));
        break;
      case o.OP_RETURN:
        this.#see(this.#blocks[0]?.results ?? 0);
        break;
      case o.OP_UNREACHABLE:
        break;
      default:
        return false;
    }
    this.#dead = true;
    return true;
  }

  /** Whether the operator only moves a value, or calls. */
  #move(op: number, start: number): boolean {
    const r = this.#reader;
    switch (op) {
      case o.OP_LOCAL_GET:
      case o.OP_LOCAL_SET:
      case o.OP_LOCAL_TEE:
        this.#local(op, r.u32(), start);
        return true;
      case o.OP_CALL:
        this.#call(functionType(this.#module, r.u32()));
        return true;
      case o.OP_CALL_INDIRECT:
        this.#ignore(1);
        this.#call(this.#module.types[r.u32()] as FunctionType);
        r.u32();
        return true;
      case o.OP_REF_FUNC:
        r.u32();
        this.#push(1);
        return true;
      case OP_DROP:
        this.#ignore(1);
        return true;
      case OP_SELECT:
      case OP_SELECT_TYPED:
        skipImmediates(r, o.immediates[op] as number);
        this.#ignore(1);
        this.#replace(2, 1);
        return true;
      default:
        return false;
    }
  }

  #call({ params, results }: FunctionType): void {
    this.#replace(params.length, results.length);
  }

  #local(op: number, index: number, start: number): void {
    const type = this.#types[index] as number;
    if (type === 0) {
      if (op === o.OP_LOCAL_GET) this.#push(1);
      else if (op === o.OP_LOCAL_SET) this.#replace(1, 0);
      else this.#see(1);
      return;
    }
    if (op === o.OP_LOCAL_GET) {
      const variable = this.#variables.read(index);
      variable.gets.push(this.#pushSource(start, type === TYPE_F32 ? o.CANON_F32 : o.CANON_F64, variable));
      return;
    }
    const variable = this.#variables.set(index);
    const value = this.#stack[this.#height - 1] as number;
    if (value >= 0) {
      const source = this.#sources[value] as Source;
      variable.sets.push(source);
      source.variable?.copies.push(variable);
    } else if (value !== NUMBER) variable.pure = false;
    if (op === o.OP_LOCAL_SET) this.#ignore(1);
  }

  #compute(op: number, start: number): void {
    const r = this.#reader;
    if (op === OP_F32_CONST || op === OP_F64_CONST) {
      const bytes = op === OP_F32_CONST ? 4 : 8;
      this.#stack[this.#height++] = isNumber(r.bytes, r.at, bytes) ? NUMBER : OTHER;
      r.skip(bytes);
      return;
    }
    skipImmediates(r, o.immediates[op] as number);
    const kind = o.canonicalise[op] as number;
    const popped = o.pops[op] as number;
    if (kind === o.CANON_F32 || kind === o.CANON_F64) {
      this.#ignore(popped);
      this.#pushSource(start, kind, null);
    } else if (isConversion(op)) this.#stack[this.#height - 1] = NUMBER;
    else if (kind === o.CANON_NONE && o.ignoresNanBits[op] === 1) {
      this.#ignore(popped);
      this.#push(o.pushes[op] as number);
    } else this.#replace(popped, o.pushes[op] as number);
  }
}

/** Whether the operator makes a float of an integer, which is no NaN. */
function isConversion(op: number): boolean {
  return (op >= 0xb2 && op <= 0xb5) || (op >= 0xb7 && op <= 0xba);
}

/** Whether a float constant of `length` bytes is no NaN. */
function isNumber(bytes: Uint8Array, at: number, length: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
  return !Number.isNaN(length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
}
