/**
 * Rewrites one function body (reference: metering, exact). Inserted are
 * - the charge of every run of operators at its start, checked at function entry and loop heads; in the `exact` form on the
 *   global counter, in the `fast` form on a local copy that is written back before calls, hooks and `unreachable` and at exit.
 *   There a loop whose first run makes a call before anything else that charges leaves the check to the function that is called;
 * - a bound on stack depth: each function takes its frame from what its caller left and gives it back at its end;
 * - a mark of the 4 KiB pages that a store may touch, before the store; stores of one run that share an unmodified base
 *   local share one check, and stores in loops remember the last page in a local;
 * - canonical NaNs. Code that cannot be reached is copied as it is. Small loops come in several copies (unrolled-loop.ts).
 * A body is wrapped in one more block, so that every exit gives its frame back and the counter is written back.
 */

import { writeCall, writeIndirectCallPrologue } from "./call-code.ts";
import { CanonicalCode } from "./canonical.ts";
import type { Block, BodyContext, CodeContext } from "./code-context.ts";
import { CounterCode } from "./counter-code.ts";
import { type FunctionType, functionType, type Range } from "./decode.ts";
import { ExtraLocals, TYPE_I64 } from "./extra-locals.ts";
import { type Declarations, frameToCheck, readBlockType, readDeclarations, writeBlock } from "./frame.ts";
import { mapFunction } from "./layout.ts";
import { GrowthBudget, planLoop } from "./loop-plan.ts";
import { writeBulkPrologue, writeFarMark, writeStorePrologue } from "./memory-code.ts";
import * as o from "./opcodes.ts";
import { Operands, UNKNOWN } from "./operands.ts";
import { peekOpcode, readOpcode, skipImmediates } from "./operators.ts";
import { PageMarks } from "./page-marks.ts";
import { Reader } from "./reader.ts";
import { Runs } from "./runs.ts";
import { UnrolledLoop } from "./unrolled-loop.ts";
import { Writer } from "./writer.ts";

export class BodyRewriter {
  readonly #context: BodyContext;
  readonly #fast: boolean;
  readonly #is64: boolean;
  readonly #weights: Uint16Array;
  readonly #out: Writer = new Writer(1 << 16);
  readonly #run: Writer;
  readonly #header: Writer = new Writer(1 << 10);
  readonly #locals: ExtraLocals = new ExtraLocals();
  readonly #operands: Operands = new Operands();
  readonly #marks: PageMarks;
  readonly #counter: CounterCode;
  readonly #runs: Runs;
  readonly #growth: GrowthBudget;
  readonly #canonical: CanonicalCode;
  readonly #code: CodeContext;

  // Per function.
  #reader: Reader = new Reader(new Uint8Array());
  #blocks: Block[] = [];
  #dead = false;
  #loops = 0;
  /** The loop that comes in several copies, while the rewriter is in it, and how many blocks are open at its body's level. */
  #unrolled: UnrolledLoop | null = null;
  #unrolledDepth = 0;
  #params = 0;

  constructor(context: BodyContext) {
    this.#context = context;
    this.#fast = context.form === "fast";
    this.#is64 = context.layout.is64;
    this.#weights = this.#is64 ? o.weights64 : o.weights32;
    this.#marks = new PageMarks(context.layout, this.#locals, this.#out);
    this.#counter = new CounterCode(context.layout);
    this.#runs = new Runs(this.#out, this.#marks, this.#counter, this.#fast);
    this.#run = this.#runs.run;
    this.#growth = new GrowthBudget(context.module.bodies);
    this.#canonical = new CanonicalCode(context.module, this.#locals);
    this.#code = { layout: context.layout, locals: this.#locals, counter: this.#counter };
  }

  /** Rewrites a body of type `type` to `target` (size included). Returns the offsets of unlikely branches, from the locals. */
  rewrite(body: Range, type: FunctionType, target: Writer): readonly number[] {
    const r = new Reader(this.#context.module.bytes, body.start, body.end);
    this.#reset(r);
    const declarations = readDeclarations(r, type);
    const { passesCounter } = this.#context.layout;
    const locals = declarations.locals + (passesCounter ? 1 : 0);
    this.#params = type.params.length;
    this.#locals.reset(locals);
    this.#operands.reset(locals);
    this.#canonical.reset(body, type, declarations);
    this.#blocks.push({ op: o.OP_BLOCK, height: 0, params: 0, results: type.results.length, dead: false });
    if (passesCounter) this.#counter.keepIn(this.#params);
    else if (this.#fast) this.#counter.keepIn(this.#locals.make(TYPE_I64));
    while (this.#blocks.length > 0) this.#operator();
    const frame = frameToCheck(declarations, this.#operands.heightMax, this.#runs.hasCalls);
    this.#out.u8(o.OP_END);
    this.#counter.leave(this.#out, frame);
    this.#out.u8(o.OP_END);
    this.#writeHeader(declarations, type, frame);
    target.u32(this.#header.length + this.#out.length);
    target.append(this.#header);
    target.append(this.#out);
    return this.#runs.unlikely;
  }

  #reset(r: Reader): void {
    this.#reader = r;
    this.#runs.reset();
    this.#header.clear();
    this.#blocks = [];
    this.#dead = false;
    this.#loops = 0;
  }

  /** Declarations of locals, stack check, page caches, local counter, and the block that all exits fall through. */
  #writeHeader(declarations: Declarations, type: FunctionType, frame: number): void {
    const h = this.#header;
    h.u32(declarations.groups + this.#locals.count);
    h.copy(this.#reader.bytes, declarations.start, declarations.codeStart);
    this.#locals.declare(h);
    const unlikely: number[] = [];
    this.#counter.enter(h, { frame, cost: this.#runs.entryCost }, () => {
      unlikely.push(h.length);
      h.code(o.OP_IF, 0x40);
    });
    this.#marks.writePrologue(h);
    writeBlock(h, type.results, this.#context.resultType);
    this.#runs.unlikely = [...unlikely, ...this.#runs.unlikely.map((at) => at + h.length)];
  }

  get #floor(): number {
    return this.#blocks[this.#blocks.length - 1]?.height ?? 0;
  }

  #replace(popped: number, pushed: number): void {
    this.#operands.pop(popped, this.#floor);
    this.#operands.push(pushed);
  }

  #operator(): void {
    const r = this.#reader;
    const start = r.at;
    const op = readOpcode(r);
    if (!this.#dead) this.#runs.cost += this.#weights[op] as number;
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
      case o.OP_BR:
      case o.OP_BR_IF:
      case o.OP_BR_TABLE:
      case o.OP_RETURN:
      case o.OP_UNREACHABLE:
        this.#jump(op, start);
        return;
      case o.OP_CALL:
      case o.OP_REF_FUNC:
        this.#function(op);
        return;
      case o.OP_CALL_INDIRECT:
        this.#callIndirect(start);
        return;
      case o.OP_LOCAL_GET:
      case o.OP_LOCAL_SET:
      case o.OP_LOCAL_TEE:
        this.#local(op, start);
        return;
      default:
    }
    if (!this.#dead) this.#plain(op, start);
    else {
      skipImmediates(r, o.immediates[op] as number);
      this.#run.copy(r.bytes, start, r.at);
    }
  }

  /** A reachable operator that does not end a run or call. */
  #plain(op: number, start: number): void {
    const r = this.#reader;
    switch (op) {
      case o.OP_I32_CONST:
      case o.OP_I64_CONST:
        this.#constant(op, start);
        return;
      case o.OP_I32_ADD:
      case o.OP_I32_SUB:
      case o.OP_I64_ADD:
      case o.OP_I64_SUB:
        this.#add(op);
        return;
      case o.OP_MEMORY_GROW:
        r.u32();
        this.#runs.leads("growth");
        this.#counter.spill(this.#run);
        this.#run.op(o.OP_CALL, this.#context.layout.fnGrow);
        this.#counter.reload(this.#run);
        return;
      case o.OP_MEMORY_COPY:
      case o.OP_MEMORY_FILL:
      case o.OP_MEMORY_INIT:
        skipImmediates(r, o.immediates[op] as number);
        this.#runs.leads("bulk");
        writeBulkPrologue(this.#run, op, this.#code);
        this.#run.copy(r.bytes, start, r.at);
        this.#replace(3, 0);
        return;
      default:
    }
    if (o.storeBytes[op] !== 0) {
      this.#store(op, start);
      return;
    }
    skipImmediates(r, o.immediates[op] as number);
    this.#run.copy(r.bytes, start, r.at);
    this.#replace(o.pops[op] as number, o.pushes[op] as number);
    if (o.canonicalise[op] !== o.CANON_NONE) this.#canonical.result(this.#run, op, start, peekOpcode(r));
  }

  #openBlock(op: number): void {
    const { type, params, results } = readBlockType(this.#reader, this.#context.module);
    const code = type < 0 ? type : type + this.#context.layout.ownTypes;
    const dead = this.#dead;
    if (!dead) this.#replace(params + (op === o.OP_IF ? 1 : 0), 0);
    this.#blocks.push({ op, height: this.#operands.height, params, results, dead });
    if (!dead) {
      this.#operands.push(params);
      if (op === o.OP_LOOP) this.#loops++;
      if (op === o.OP_LOOP && params === 0 && this.#unroll(code)) return;
    }
    this.#run.u8(op);
    this.#run.signed(code);
    if (this.#unrolled !== null) this.#unrolled.open(op, dead);
    else if (!dead && op !== o.OP_BLOCK) this.#runs.end(op === o.OP_LOOP);
  }

  /** Whether the loop that has just been opened comes in several copies. */
  #unroll(type: number): boolean {
    if (!this.#fast || this.#unrolled !== null) return false;
    const plan = planLoop(this.#reader, this.#weights, this.#growth);
    if (plan === null) return false;
    this.#unrolled = new UnrolledLoop(plan, type, this.#runs, this.#counter);
    this.#unrolledDepth = this.#blocks.length;
    return true;
  }

  #closeBlock(op: number): void {
    const block = this.#blocks[this.#blocks.length - 1] as Block;
    if (this.#unrolled === null) this.#close(op, block);
    else if (this.#closeUnrolled(this.#unrolled, op)) return;
    if (this.#blocks.length === 0 || block.dead) return;
    this.#dead = false;
    this.#operands.height = block.height;
    this.#operands.push(op === o.OP_ELSE ? block.params : block.results);
  }

  #close(op: number, block: Block): void {
    if (op === o.OP_END) {
      this.#blocks.pop();
      if (block.op === o.OP_LOOP && !block.dead) this.#loops--;
    }
    if (this.#blocks.length > 0) this.#run.u8(op);
    if (block.dead) return;
    if (this.#dead) this.#runs.copy();
    else this.#runs.end(false);
    this.#runs.restart();
  }

  /** The same in a loop that comes in several copies; true when it starts once more. */
  #closeUnrolled(loop: UnrolledLoop, op: number): boolean {
    const reached = !this.#dead;
    if (op === o.OP_ELSE) loop.otherwise(reached);
    else if (this.#blocks.length > this.#unrolledDepth) {
      loop.close(reached);
      this.#blocks.pop();
    } else if (loop.closeCopy(reached)) {
      this.#reader.at = loop.start;
      this.#dead = false;
      this.#operands.height = this.#floor;
      return true;
    } else {
      this.#blocks.pop();
      this.#loops--;
      this.#unrolled = null;
      this.#runs.restart();
    }
    return false;
  }

  #jump(op: number, start: number): void {
    const r = this.#reader;
    const dead = this.#dead;
    if (this.#unrolled !== null) {
      this.#unrolled.jump(op, r, dead, this.#blocks);
    } else {
      skipImmediates(r, o.immediates[op] as number);
      if (op === o.OP_RETURN) this.#run.op(o.OP_BR, this.#blocks.length - 1);
      else {
        if (op === o.OP_UNREACHABLE && !dead) this.#counter.spill(this.#run);
        this.#run.copy(r.bytes, start, r.at);
      }
      if (!dead) this.#runs.end(false);
    }
    if (dead) return;
    this.#replace(op === o.OP_BR_IF ? 1 : this.#operands.height, 0);
    this.#dead = op !== o.OP_BR_IF;
  }

  #function(op: number): void {
    const { layout, module, referenced } = this.#context;
    const index = this.#reader.u32();
    const target = mapFunction(layout, index);
    if (op === o.OP_REF_FUNC) {
      referenced.add(target);
      this.#run.op(op, target);
      if (!this.#dead) this.#operands.push(1);
    } else {
      writeCall(this.#run, index, this.#code);
      if (this.#dead) return;
      this.#runs.leads("call");
      const type = functionType(module, index);
      this.#replace(type.params.length, type.results.length);
    }
  }

  #callIndirect(start: number): void {
    const r = this.#reader;
    const { module } = this.#context;
    const type = module.types[r.u32()];
    const table = r.u32();
    const wide = module.tables[table]?.is64 === true;
    writeIndirectCallPrologue(this.#run, { exact: !this.#fast, table, wide }, this.#code);
    this.#run.copy(r.bytes, start, r.at);
    this.#counter.take(this.#run);
    if (this.#dead) return;
    this.#runs.leads("call");
    this.#replace(1 + (type?.params.length ?? 0), type?.results.length ?? 0);
  }

  #local(op: number, start: number): void {
    const own = this.#reader.u32();
    // The counter comes after the parameters.
    const local = own + (this.#context.layout.passesCounter && own >= this.#params ? 1 : 0);
    this.#run.op(op, local);
    if (this.#dead) return;
    if (op === o.OP_LOCAL_GET) this.#canonical.read(this.#run, start);
    else {
      this.#replace(1, 0);
      this.#operands.setLocal(local);
      this.#marks.close(local);
      if (op === o.OP_LOCAL_SET) return;
    }
    this.#operands.pushLocal(local);
  }

  #constant(op: number, start: number): void {
    const r = this.#reader;
    const wide = op === o.OP_I64_CONST;
    const value = wide ? r.s64Small() : r.s32();
    this.#run.copy(r.bytes, start, r.at);
    if (wide === this.#is64) this.#operands.pushConstant(value);
    else this.#operands.push(1);
  }

  /** Addition and subtraction; those of addresses are followed. */
  #add(op: number): void {
    this.#run.u8(op);
    const wide = op === o.OP_I64_ADD || op === o.OP_I64_SUB;
    if (wide !== this.#is64) this.#replace(2, 1);
    else this.#operands.add(op === o.OP_I32_SUB || op === o.OP_I64_SUB, !wide, this.#floor);
  }

  #store(op: number, start: number): void {
    const r = this.#reader;
    r.u32();
    const offset = r.u64();
    if (op >= o.PREFIX_SIMD + 88) r.u8();
    const size = o.storeBytes[op] as number;
    const slot = this.#operands.height - 2;
    const base = this.#operands.base(slot);
    const type = o.storeType[op] as number;
    const run = this.#run;
    if (offset >= 2 ** 31) {
      const { layout } = this.#context;
      const mark = (address: number): void => writeFarMark(run, address, offset, size, layout);
      writeStorePrologue(run, type, this.#code, mark);
    } else if (base === UNKNOWN) {
      const mark = (address: number): void => this.#marks.alone(run.length, address, offset, size);
      writeStorePrologue(run, type, this.#code, mark);
    } else {
      const own = base - (this.#context.layout.passesCounter && base > this.#params ? 1 : 0);
      const reach = this.#unrolled === null ? 0 : this.#unrolled.reach(start, own);
      const at = { base, offset: this.#operands.constant(slot) + offset, size };
      if (reach !== null) this.#marks.grouped(run.length, at, reach, this.#loops > 0);
    }
    run.copy(r.bytes, start, r.at);
    this.#replace(2, 0);
  }
}
