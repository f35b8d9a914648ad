/**
 * Rewrites one function body (reference: metering, exact). Inserted are
 * - the charge of every run of operators at its start, checked at function entry and loop heads; in the `exact` form on the
 *   global counter, in the `fast` form on a local copy that is written back before calls, hooks and `unreachable` and at exit;
 * - a bound on stack depth: each function subtracts its frame from what its caller left, callers store theirs before a call;
 * - a mark of the 4 KiB pages that a store may touch, before the store; stores of one run that share an unmodified base
 *   local share one check, and stores in loops remember the last page in a local;
 * - canonical NaNs. Code that cannot be reached is copied as it is.
 * A body in the fast form is wrapped in one more block, so that every exit falls into the counter's write-back.
 */

import { writeCanonical } from "./canonical.ts";
import { CounterCode } from "./counter-code.ts";
import type { DecodedModule, FunctionType, Range } from "./decode.ts";
import { ExtraLocals, TYPE_I32, TYPE_I64 } from "./extra-locals.ts";
import {
  HOOK_TRAP,
  type Layout,
  mapFunction,
  TRAP_INDIRECT_CALL_TO_NULL,
  TRAP_STACK_OVERFLOW,
} from "./layout.ts";
import {
  type MemoryCodeContext,
  writeBulkPrologue,
  writeFarMark,
  writeStorePrologue,
} from "./memory-code.ts";
import {
  CANON_F64,
  CANON_NONE,
  canonicalise,
  ignoresNanBits,
  immediates,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_ELSE,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_ADD,
  OP_I32_CONST,
  OP_I32_SUB,
  OP_I64_ADD,
  OP_I64_CONST,
  OP_I64_SUB,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_LOOP,
  OP_MEMORY_COPY,
  OP_MEMORY_FILL,
  OP_MEMORY_GROW,
  OP_MEMORY_INIT,
  OP_REF_FUNC,
  OP_RETURN,
  OP_UNREACHABLE,
  PREFIX_FC,
  PREFIX_SIMD,
  pops,
  pushes,
  storeBytes,
  storeType,
  weights32,
  weights64,
} from "./opcodes.ts";
import { Operands, UNKNOWN } from "./operands.ts";
import { readLocals, readOpcode, skipImmediates } from "./operators.ts";
import { PageMarks } from "./page-marks.ts";
import { Reader } from "./reader.ts";
import type { ValueType } from "./types.ts";
import { TYPE_BYTES } from "./value-types.ts";
import { Writer } from "./writer.ts";

export type Form = "fast" | "exact";

/** Estimated bytes of a frame: a fixed part and a word for every parameter, local and operand (two for a vector). */
export const FRAME_BYTES = 64;
export const WORD_BYTES = 8;
/** A function that calls nothing needs no check while its frame is at most this; the engine's margin covers one of them. */
const LEAF_FRAME_BYTES_MAX = 4096;
interface Block {
  op: number;
  height: number;
  params: number;
  results: number;
  /** The block stands in unreachable code. */
  dead: boolean;
}

/** What the rewriter needs to know of the module, and what it reports back. */
export interface BodyContext {
  readonly module: DecodedModule;
  readonly layout: Layout;
  readonly form: Form;
  /** Type index of `() -> results`, made on demand; used only for several results. */
  resultType(results: readonly ValueType[]): number;
  /** Functions named by `ref.func` in a body. */
  readonly referenced: Set<number>;
}

export class BodyRewriter {
  readonly #context: BodyContext;
  readonly #fast: boolean;
  readonly #is64: boolean;
  readonly #weights: Uint16Array;
  readonly #out: Writer = new Writer(1 << 16);
  readonly #run: Writer = new Writer(1 << 14);
  readonly #header: Writer = new Writer(1 << 10);
  readonly #locals: ExtraLocals = new ExtraLocals();
  readonly #operands: Operands = new Operands();
  readonly #marks: PageMarks;
  readonly #counter: CounterCode;
  readonly #memoryCode: MemoryCodeContext;
  /** Positions in the body of the `if`s that are rarely taken. */
  #unlikely: number[] = [];

  // Per function.
  #reader: Reader = new Reader(new Uint8Array());
  #blocks: Block[] = [];
  #dead = false;
  #loops = 0;
  #calls = false;
  #cost = 0;
  #checked = true;

  constructor(context: BodyContext) {
    this.#context = context;
    this.#fast = context.form === "fast";
    this.#is64 = context.layout.is64;
    this.#weights = this.#is64 ? weights64 : weights32;
    this.#marks = new PageMarks(context.layout, this.#locals, this.#out);
    this.#counter = new CounterCode(context.layout);
    this.#memoryCode = { layout: context.layout, locals: this.#locals, counter: this.#counter };
  }

  /** Rewrites a body of type `type` to `target` (size included). Returns the offsets of unlikely branches, from the locals. */
  rewrite(body: Range, type: FunctionType, target: Writer): readonly number[] {
    const bytes = this.#context.module.bytes;
    const r = new Reader(bytes, body.start, body.end);
    this.#reset(r);
    let frame = FRAME_BYTES + WORD_BYTES * type.params.reduce((n, t) => n + (t === "v128" ? 2 : 1), 0);
    const declarations = new Reader(bytes, r.at, r.end);
    const groups = declarations.u32();
    const locals = readLocals(r, (count, t) => {
      frame += WORD_BYTES * count * (t === 0x7b ? 2 : 1);
    });
    const codeStart = r.at;
    this.#locals.reset(type.params.length + locals);
    this.#operands.reset(type.params.length + locals);
    this.#blocks.push({ op: OP_BLOCK, height: 0, params: 0, results: type.results.length, dead: false });
    if (this.#fast) this.#counter.keepIn(this.#locals.make(TYPE_I64));
    while (this.#blocks.length > 0) this.#operator();
    frame += WORD_BYTES * this.#operands.heightMax;
    const checksStack = this.#calls || frame > LEAF_FRAME_BYTES_MAX;
    if (checksStack) this.#locals.named("stack", TYPE_I32);
    this.#header.u32(groups + this.#locals.count);
    this.#header.copy(bytes, declarations.at, codeStart);
    this.#locals.declare(this.#header);
    this.#writePrologue(checksStack, frame, type);
    target.u32(this.#header.length + this.#out.length);
    target.append(this.#header);
    target.append(this.#out);
    return this.#unlikely.map((at) => at + this.#header.length);
  }

  #reset(r: Reader): void {
    this.#reader = r;
    this.#out.clear();
    this.#run.clear();
    this.#header.clear();
    this.#unlikely = [];
    this.#blocks = [];
    this.#dead = this.#calls = false;
    this.#loops = 0;
    this.#cost = 1;
    this.#checked = true;
    this.#marks.reset();
  }

  /** Stack check, page caches, local counter, and the block that all exits fall through. */
  #writePrologue(checksStack: boolean, frame: number, type: FunctionType): void {
    const { stackGlobal } = this.#context.layout;
    const h = this.#header;
    if (checksStack) {
      h.op(OP_GLOBAL_GET, stackGlobal);
      h.i32Const(frame);
      h.u8(OP_I32_SUB);
      h.op(OP_LOCAL_TEE, this.#locals.named("stack", TYPE_I32));
      h.code(0x41, 0x00, 0x48, OP_IF, 0x40); // < 0 ?
      h.i32Const(TRAP_STACK_OVERFLOW);
      h.op(OP_CALL, HOOK_TRAP);
      h.code(OP_UNREACHABLE, OP_END);
    }
    this.#marks.writePrologue(h);
    if (!this.#fast) return;
    this.#counter.reload(h);
    h.u8(OP_BLOCK);
    if (type.results.length === 0) h.u8(0x40);
    else if (type.results.length === 1) h.u8(TYPE_BYTES[type.results[0] as ValueType]);
    else h.signed(this.#context.resultType(type.results));
  }

  // ---- runs

  /** Ends the current run: its charge, then its operators with their page marks. */
  #endRun(nextChecked: boolean): void {
    if (this.#checked || this.#cost > 0) {
      this.#counter.charge(this.#out, this.#cost, this.#checked, this.#unlikelyIf);
    }
    this.#copyRun();
    this.#cost = 0;
    this.#checked = nextChecked;
  }

  #copyRun(): void {
    this.#marks.copyRun(this.#run, this.#unlikelyIf);
    this.#run.clear();
  }

  readonly #unlikelyIf = (): void => {
    this.#unlikely.push(this.#out.length);
    this.#out.code(OP_IF, 0x40);
  };

  // ---- operands

  get #floor(): number {
    return this.#blocks[this.#blocks.length - 1]?.height ?? 0;
  }

  /** Replaces operands. */
  #replace(popped: number, pushed: number): void {
    this.#operands.pop(popped, this.#floor);
    this.#operands.push(pushed);
  }

  #unreachable(): void {
    this.#dead = true;
    this.#operands.height = this.#floor;
  }

  // ---- operators

  #operator(): void {
    const r = this.#reader;
    const start = r.at;
    const op = readOpcode(r);
    if (!this.#dead) this.#cost += this.#weights[op] as number;
    switch (op) {
      case OP_BLOCK:
      case OP_LOOP:
      case OP_IF:
        this.#openBlock(op, start);
        return;
      case OP_ELSE:
      case OP_END:
        this.#closeBlock(op);
        return;
      case OP_BR:
      case OP_BR_TABLE:
      case OP_RETURN:
      case OP_UNREACHABLE:
        this.#leave(op, start);
        return;
      case OP_BR_IF:
        skipImmediates(r, immediates[op] as number);
        this.#run.copy(r.bytes, start, r.at);
        if (this.#dead) return;
        this.#replace(1, 0);
        this.#endRun(false);
        return;
      case OP_CALL:
      case OP_REF_FUNC:
        this.#function(op);
        return;
      case OP_CALL_INDIRECT:
        this.#callIndirect(start);
        return;
      default:
    }
    if (this.#dead) {
      skipImmediates(r, immediates[op] as number);
      this.#run.copy(r.bytes, start, r.at);
      return;
    }
    switch (op) {
      case OP_LOCAL_GET:
      case OP_LOCAL_SET:
      case OP_LOCAL_TEE:
        this.#local(op, start);
        return;
      case OP_I32_CONST:
      case OP_I64_CONST:
        this.#constant(op, start);
        return;
      case OP_I32_ADD:
      case OP_I32_SUB:
      case OP_I64_ADD:
      case OP_I64_SUB:
        this.#add(op);
        return;
      case OP_MEMORY_GROW:
        r.u32();
        this.#calls = true;
        this.#counter.spill(this.#run);
        this.#run.op(OP_CALL, this.#context.layout.fnGrow);
        this.#counter.reload(this.#run);
        return;
      case OP_MEMORY_COPY:
      case OP_MEMORY_FILL:
      case OP_MEMORY_INIT:
        skipImmediates(r, immediates[op] as number);
        this.#calls = true;
        writeBulkPrologue(this.#run, op, this.#memoryCode);
        this.#run.copy(r.bytes, start, r.at);
        this.#replace(3, 0);
        return;
      default:
    }
    if (storeBytes[op] !== 0) {
      this.#store(op, start);
      return;
    }
    skipImmediates(r, immediates[op] as number);
    this.#run.copy(r.bytes, start, r.at);
    this.#replace(pops[op] as number, pushes[op] as number);
    if (canonicalise[op] !== CANON_NONE) this.#canonicalise(canonicalise[op] as number);
  }

  #openBlock(op: number, start: number): void {
    const r = this.#reader;
    const type = r.s33();
    this.#run.copy(r.bytes, start, r.at);
    const signature = type >= 0 ? this.#context.module.types[type] : undefined;
    const params = signature?.params.length ?? 0;
    const results = signature?.results.length ?? (type === -0x40 ? 0 : 1);
    const dead = this.#dead;
    if (!dead) this.#replace(params + (op === OP_IF ? 1 : 0), 0);
    this.#blocks.push({ op, height: this.#operands.height, params, results, dead });
    if (dead) return;
    this.#operands.push(params);
    if (op === OP_LOOP) this.#loops++;
    if (op !== OP_BLOCK) this.#endRun(op === OP_LOOP);
  }

  #closeBlock(op: number): void {
    const block = this.#blocks[this.#blocks.length - 1] as Block;
    if (op === OP_END) {
      this.#blocks.pop();
      if (block.op === OP_LOOP && !block.dead) this.#loops--;
      if (this.#blocks.length === 0) {
        this.#closeBody();
        return;
      }
    }
    this.#run.u8(op);
    if (block.dead) return;
    if (this.#dead) this.#copyRun();
    else this.#endRun(false);
    this.#dead = false;
    this.#cost = 0;
    this.#checked = false;
    this.#operands.height = block.height;
    this.#operands.push(op === OP_ELSE ? block.params : block.results);
  }

  #closeBody(): void {
    if (this.#dead) this.#copyRun();
    else this.#endRun(false);
    if (this.#fast) {
      this.#out.u8(OP_END);
      this.#counter.spill(this.#out);
    }
    this.#out.u8(OP_END);
  }

  #leave(op: number, start: number): void {
    const r = this.#reader;
    skipImmediates(r, immediates[op] as number);
    if (op === OP_RETURN && this.#fast) this.#run.op(OP_BR, this.#blocks.length - 1);
    else {
      if (op === OP_UNREACHABLE && !this.#dead) this.#counter.spill(this.#run);
      this.#run.copy(r.bytes, start, r.at);
    }
    if (this.#dead) return;
    this.#endRun(false);
    this.#unreachable();
  }

  #function(op: number): void {
    const { layout, module, referenced } = this.#context;
    const index = this.#reader.u32();
    const target = mapFunction(layout, index);
    if (op === OP_REF_FUNC) {
      referenced.add(target);
      this.#run.op(op, target);
      if (!this.#dead) this.#operands.push(1);
      return;
    }
    if (this.#dead) {
      this.#run.op(op, target);
      return;
    }
    const imported = index < layout.importCount;
    const typeIndex = imported
      ? module.importedFunctions[index]?.typeIndex
      : module.functions[index - layout.importCount];
    const type = module.types[typeIndex as number] as FunctionType;
    this.#counter.spill(this.#run);
    this.#calls = true;
    if (!imported) this.#passStack();
    this.#run.op(op, target);
    this.#counter.reload(this.#run);
    this.#replace(type.params.length, type.results.length);
  }

  /** Leaves the rest of the stack for the callee. */
  #passStack(): void {
    this.#run.op(OP_LOCAL_GET, this.#locals.named("stack", TYPE_I32));
    this.#run.op(OP_GLOBAL_SET, this.#context.layout.stackGlobal);
  }

  #callIndirect(start: number): void {
    const r = this.#reader;
    const type = this.#context.module.types[r.u32()];
    const table = r.u32();
    if (this.#dead) {
      this.#run.copy(r.bytes, start, r.at);
      return;
    }
    if (!this.#fast) this.#trapIfNull(table);
    this.#calls = true;
    this.#counter.spill(this.#run);
    this.#passStack();
    this.#run.copy(r.bytes, start, r.at);
    this.#counter.reload(this.#run);
    this.#replace(1 + (type?.params.length ?? 0), type?.results.length ?? 0);
  }

  /** The engine reports a null entry and a wrong type alike; the exact form tells them apart. */
  #trapIfNull(table: number): void {
    const wide = this.#context.module.tables[table]?.is64 === true;
    const index = this.#locals.named(wide ? "index64" : "index", wide ? TYPE_I64 : TYPE_I32);
    const w = this.#run;
    w.op(OP_LOCAL_TEE, index);
    w.op(0x25, table);
    w.code(0xd1, OP_IF, 0x40);
    w.i32Const(TRAP_INDIRECT_CALL_TO_NULL);
    w.op(OP_CALL, HOOK_TRAP);
    w.code(OP_UNREACHABLE, OP_END);
    w.op(OP_LOCAL_GET, index);
  }

  #local(op: number, start: number): void {
    const r = this.#reader;
    const local = r.u32();
    this.#run.copy(r.bytes, start, r.at);
    if (op !== OP_LOCAL_GET) {
      this.#replace(1, 0);
      this.#operands.setLocal(local);
      this.#marks.close(local);
      if (op === OP_LOCAL_SET) return;
    }
    this.#operands.pushLocal(local);
  }

  #constant(op: number, start: number): void {
    const r = this.#reader;
    const wide = op === OP_I64_CONST;
    const value = wide ? r.s64Small() : r.s32();
    this.#run.copy(r.bytes, start, r.at);
    if (wide === this.#is64) this.#operands.pushConstant(value);
    else this.#operands.push(1);
  }

  /** Addition and subtraction; those of addresses are followed. */
  #add(op: number): void {
    this.#run.u8(op);
    const wide = op === OP_I64_ADD || op === OP_I64_SUB;
    if (wide !== this.#is64) this.#replace(2, 1);
    else this.#operands.add(op === OP_I32_SUB || op === OP_I64_SUB, !wide, this.#floor);
  }

  #canonicalise(kind: number): void {
    const r = this.#reader;
    const following = peekOpcode(r);
    if (kind <= CANON_F64 ? ignoresNanBits[following] === 1 : canonicalise[following] === kind) return;
    writeCanonical(this.#run, kind, this.#locals);
  }

  // ---- stores

  #store(op: number, start: number): void {
    const r = this.#reader;
    r.u32();
    const offset = r.u64();
    if (op >= PREFIX_SIMD + 88) r.u8();
    const size = storeBytes[op] as number;
    const slot = this.#operands.height - 2;
    const base = this.#operands.base(slot);
    const type = storeType[op] as number;
    const run = this.#run;
    if (offset >= 2 ** 31) {
      const { layout } = this.#context;
      const mark = (address: number): void => writeFarMark(run, address, offset, size, layout);
      writeStorePrologue(run, type, this.#memoryCode, mark);
    } else if (base === UNKNOWN) {
      const mark = (address: number): void => this.#marks.alone(run.length, address, offset, size);
      writeStorePrologue(run, type, this.#memoryCode, mark);
    } else {
      this.#marks.grouped(run.length, base, this.#operands.constant(slot) + offset, size, this.#loops > 0);
    }
    run.copy(r.bytes, start, r.at);
    this.#replace(2, 0);
  }
}

/** The opcode number of the next instruction, without reading it; 0 when it has none of interest. */
function peekOpcode(r: Reader): number {
  const op = r.bytes[r.at] ?? 0;
  if (op < 0xfb) return op;
  const low = r.bytes[r.at + 1] ?? 0;
  const sub = low < 0x80 ? low : (low & 0x7f) | ((r.bytes[r.at + 2] ?? 0) << 7);
  return (op === 0xfc ? PREFIX_FC : PREFIX_SIMD) + (sub & 0xff);
}
