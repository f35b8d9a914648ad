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
import type { DecodedModule, FunctionType, Range } from "./decode.ts";
import {
  HOOK_OUT_OF_INSTRUCTIONS,
  HOOK_TRAP,
  type Layout,
  mapFunction,
  TRAP_INDIRECT_CALL_TO_NULL,
  TRAP_STACK_OVERFLOW,
} from "./layout.ts";
import {
  CANON_F32,
  CANON_F32X4,
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
import { readLocals, readOpcode, skipImmediates } from "./operators.ts";
import { Reader } from "./reader.ts";
import type { ValueType } from "./types.ts";
import { Writer } from "./writer.ts";

export type Form = "fast" | "exact";

/** Estimated bytes of a frame: a fixed part and a word for every parameter, local and operand (two for a vector). */
export const FRAME_BYTES = 64;
export const WORD_BYTES = 8;
/** A function that calls nothing needs no check while its frame is at most this; the engine's margin covers one of them. */
const LEAF_FRAME_BYTES_MAX = 4096;
/** Stores are grouped under one check while they span at most this; more would mark pages nobody writes. */
const GROUP_BYTES_MAX = 512;
/** Locals that remember the last page marked, for each function. */
const PAGE_CACHES_MAX = 6;

const I32 = 0x7f;
const I64 = 0x7e;
const PAGE_SHIFT = 12;
const PAGE_BYTES = 4096;
const NAN_F32 = [0x00, 0x00, 0xc0, 0x7f];
const NAN_F64 = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f];

/** What is known of an operand: nothing, a constant, or (0 and above) a local's value plus a constant. */
const UNKNOWN = -1;
const CONSTANT = -2;

/** A check waiting to be put before its first store: the stores write bytes `[min, max)` counted from `base`. */
interface Mark {
  at: number;
  /** A local, or `CONSTANT` for absolute addresses. */
  base: number;
  min: number;
  max: number;
  /** In a loop. */
  loops: boolean;
  /** All stores are of this many bytes, at `min`; 0 for a group. */
  single: number;
}

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
  /** Positions in the body of the `if`s that are rarely taken. */
  #unlikely: number[] = [];

  // Per function.
  #reader: Reader = new Reader(new Uint8Array());
  #blocks: Block[] = [];
  #height = 0;
  #heightMax = 0;
  #dead = false;
  #loops = 0;
  #calls = false;
  #cost = 0;
  #checked = true;
  #nextLocal = 0;
  #extraLocals: number[] = [];
  #named: Map<string, number> = new Map();
  /** What is known of each operand: where it comes from, that local's version then, the constant (added). */
  #origins: number[] = [];
  #originVersions: number[] = [];
  #constants: number[] = [];
  #versions: number[] = [];
  #marks: Mark[] = [];
  #openMarks: Map<number, Mark> = new Map();
  #caches: number[] = [];
  #cacheOfLocal: Map<number, number> = new Map();
  #nextCache = 0;

  constructor(context: BodyContext) {
    this.#context = context;
    this.#fast = context.form === "fast";
    this.#is64 = context.layout.is64;
    this.#weights = this.#is64 ? weights64 : weights32;
  }

  /** Rewrites a body of type `type` to `target` (size included). Returns the offsets of unlikely branches, from the locals. */
  rewrite(body: Range, type: FunctionType, target: Writer): readonly number[] {
    const bytes = this.#context.module.bytes;
    const r = new Reader(bytes, body.start, body.end);
    this.#reset(r);
    let frame = FRAME_BYTES + WORD_BYTES * type.params.reduce((n, t) => n + (t === "v128" ? 2 : 1), 0);
    const groups = new Reader(bytes, r.at, r.end).u32();
    const declarations = r.at + lebBytes(groups);
    const locals = readLocals(r, (count, t) => {
      frame += WORD_BYTES * count * (t === 0x7b ? 2 : 1);
    });
    const codeStart = r.at;
    this.#nextLocal = type.params.length + locals;
    this.#versions = new Array<number>(this.#nextLocal).fill(0);
    this.#blocks.push({ op: OP_BLOCK, height: 0, params: 0, results: type.results.length, dead: false });
    if (this.#fast) this.#named.set("counter", this.#newLocal(I64));
    while (this.#blocks.length > 0) this.#operator();
    frame += WORD_BYTES * this.#heightMax;
    this.#writeHeader(bytes, declarations, codeStart, groups, frame, type);
    target.u32(this.#header.length + this.#out.length);
    target.append(this.#header);
    target.append(this.#out);
    return this.#unlikely.map((at) => at + (at < 0 ? 0 : this.#header.length));
  }

  #reset(r: Reader): void {
    this.#reader = r;
    this.#out.clear();
    this.#run.clear();
    this.#header.clear();
    this.#unlikely = [];
    this.#blocks = [];
    this.#height = this.#heightMax = 0;
    this.#dead = this.#calls = false;
    this.#loops = 0;
    this.#cost = 1;
    this.#checked = true;
    this.#extraLocals = [];
    this.#named = new Map();
    this.#marks = [];
    this.#openMarks.clear();
    this.#caches = [];
    this.#cacheOfLocal.clear();
    this.#nextCache = 0;
  }

  #newLocal(type: number): number {
    this.#extraLocals.push(type);
    return this.#nextLocal++;
  }

  #scratch(name: string, type: number): number {
    let local = this.#named.get(name);
    if (local === undefined) {
      local = this.#newLocal(type);
      this.#named.set(name, local);
    }
    return local;
  }

  get #addressType(): number {
    return this.#is64 ? I64 : I32;
  }

  // ---- header: locals, stack check, page caches, counter

  #writeHeader(
    bytes: Uint8Array,
    declarations: number,
    codeStart: number,
    groups: number,
    frame: number,
    type: FunctionType,
  ): void {
    const { stackGlobal, counterGlobal } = this.#context.layout;
    const h = this.#header;
    const checksStack = this.#calls || frame > LEAF_FRAME_BYTES_MAX;
    const stack = checksStack ? this.#scratch("stack", I32) : -1;
    h.u32(groups + this.#extraLocals.length);
    h.copy(bytes, declarations, codeStart);
    for (const t of this.#extraLocals) h.code(1, t);
    if (checksStack) {
      h.op(0x23, stackGlobal);
      h.i32Const(frame);
      h.code(0x6b);
      h.op(OP_LOCAL_TEE, stack);
      h.code(0x41, 0x00, 0x48, OP_IF, 0x40); // < 0 ?
      h.i32Const(TRAP_STACK_OVERFLOW);
      h.op(OP_CALL, HOOK_TRAP);
      h.code(OP_UNREACHABLE, OP_END);
    }
    for (const cache of this.#caches) {
      if (this.#is64) h.i64Const(-PAGE_BYTES);
      else h.i32Const(-PAGE_BYTES);
      h.op(OP_LOCAL_SET, cache);
    }
    if (!this.#fast) return;
    h.op(0x23, counterGlobal);
    h.op(OP_LOCAL_SET, this.#counter);
    h.code(OP_BLOCK);
    if (type.results.length === 0) h.u8(0x40);
    else if (type.results.length === 1) h.u8(valueTypeByte(type.results[0] as ValueType));
    else h.signed(this.#context.resultType(type.results));
  }

  // ---- the counter

  get #counter(): number {
    return this.#named.get("counter") as number;
  }

  /** Writes the local counter back; nothing in the exact form. */
  #spill(w: Writer): void {
    if (!this.#fast) return;
    w.op(OP_LOCAL_GET, this.#counter);
    w.op(0x24, this.#context.layout.counterGlobal);
  }

  #reload(w: Writer): void {
    if (!this.#fast) return;
    w.op(0x23, this.#context.layout.counterGlobal);
    w.op(OP_LOCAL_SET, this.#counter);
  }

  /** Ends the current run: its charge, then its operators with their page marks. */
  #endRun(nextChecked: boolean): void {
    if (this.#checked || this.#cost > 0) this.#charge(this.#cost, this.#checked);
    this.#copyRun();
    this.#cost = 0;
    this.#checked = nextChecked;
  }

  #copyRun(): void {
    let done = 0;
    for (const mark of this.#marks) {
      this.#out.appendRange(this.#run, done, mark.at);
      done = mark.at;
      this.#writeMark(mark);
    }
    this.#out.appendRange(this.#run, done, this.#run.length);
    this.#run.clear();
    this.#marks = [];
    this.#openMarks.clear();
  }

  #charge(cost: number, checked: boolean): void {
    const w = this.#out;
    const { counterGlobal } = this.#context.layout;
    if (this.#fast) w.op(OP_LOCAL_GET, this.#counter);
    else w.op(0x23, counterGlobal);
    if (cost > 0) {
      w.i64Const(cost);
      w.u8(0x7d);
    }
    if (this.#fast) {
      w.op(checked ? OP_LOCAL_TEE : OP_LOCAL_SET, this.#counter);
    } else {
      w.op(0x24, counterGlobal);
      if (checked) w.op(0x23, counterGlobal);
    }
    if (!checked) return;
    w.code(0x42, 0x00, 0x53); // < 0 ?
    this.#unlikelyIf();
    this.#spill(w);
    w.op(OP_CALL, HOOK_OUT_OF_INSTRUCTIONS);
    this.#reload(w);
    w.u8(OP_END);
  }

  #unlikelyIf(): void {
    this.#unlikely.push(this.#out.length);
    this.#out.code(OP_IF, 0x40);
  }

  // ---- operands

  #push(count: number): void {
    for (let i = 0; i < count; i++) this.#origins[this.#height + i] = UNKNOWN;
    this.#height += count;
    if (this.#height > this.#heightMax) this.#heightMax = this.#height;
  }

  #pop(count: number): void {
    const floor = this.#blocks[this.#blocks.length - 1]?.height ?? 0;
    this.#height = Math.max(floor, this.#height - count);
  }

  #unreachable(): void {
    this.#dead = true;
    this.#height = this.#blocks[this.#blocks.length - 1]?.height ?? 0;
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
        this.#pop(1);
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
        this.#spill(this.#run);
        this.#run.op(OP_CALL, this.#context.layout.fnGrow);
        this.#reload(this.#run);
        return;
      case OP_MEMORY_COPY:
      case OP_MEMORY_FILL:
      case OP_MEMORY_INIT:
        this.#bulk(op, start);
        return;
      default:
    }
    if (storeBytes[op] !== 0) {
      this.#store(op, start);
      return;
    }
    skipImmediates(r, immediates[op] as number);
    this.#run.copy(r.bytes, start, r.at);
    this.#pop(pops[op] as number);
    this.#push(pushes[op] as number);
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
    if (!dead) {
      if (op === OP_IF) this.#pop(1);
      this.#pop(params);
    }
    this.#blocks.push({ op, height: this.#height, params, results, dead });
    if (dead) return;
    this.#push(params);
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
    this.#height = block.height;
    this.#push(op === OP_ELSE ? block.params : block.results);
  }

  #closeBody(): void {
    if (this.#dead) this.#copyRun();
    else this.#endRun(false);
    if (this.#fast) {
      this.#out.u8(OP_END);
      this.#spill(this.#out);
    }
    this.#out.u8(OP_END);
  }

  #leave(op: number, start: number): void {
    const r = this.#reader;
    skipImmediates(r, immediates[op] as number);
    if (op === OP_RETURN && this.#fast) this.#run.op(OP_BR, this.#blocks.length - 1);
    else {
      if (op === OP_UNREACHABLE && !this.#dead) this.#spill(this.#run);
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
      if (!this.#dead) this.#push(1);
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
    this.#spill(this.#run);
    this.#calls = true;
    if (!imported) this.#passStack();
    this.#run.op(op, target);
    this.#reload(this.#run);
    this.#pop(type.params.length);
    this.#push(type.results.length);
  }

  /** Leaves the rest of the stack for the callee. */
  #passStack(): void {
    this.#run.op(OP_LOCAL_GET, this.#scratch("stack", I32));
    this.#run.op(0x24, this.#context.layout.stackGlobal);
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
    this.#spill(this.#run);
    this.#passStack();
    this.#run.copy(r.bytes, start, r.at);
    this.#reload(this.#run);
    this.#pop(1 + (type?.params.length ?? 0));
    this.#push(type?.results.length ?? 0);
  }

  /** The engine reports a null entry and a wrong type alike; the exact form tells them apart. */
  #trapIfNull(table: number): void {
    const wide = this.#context.module.tables[table]?.is64 === true;
    const index = this.#scratch(wide ? "index64" : "index", wide ? I64 : I32);
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
      this.#pop(1);
      this.#versions[local] = (this.#versions[local] ?? 0) + 1;
      this.#openMarks.delete(local);
      if (op === OP_LOCAL_SET) return;
    }
    this.#push(1);
    this.#know(local, 0, this.#versions[local] ?? 0);
  }

  #constant(op: number, start: number): void {
    const r = this.#reader;
    const wide = op === OP_I64_CONST;
    const value = wide ? r.s64Small() : r.s32();
    this.#run.copy(r.bytes, start, r.at);
    this.#push(1);
    if (wide === this.#is64 && Math.abs(value) <= 2 ** 31) this.#know(CONSTANT, value);
  }

  /** Addition and subtraction; those of addresses with constants are followed, modulo the address range. */
  #add(op: number): void {
    this.#run.u8(op);
    const left = this.#height - 2;
    const right = this.#height - 1;
    const [a, b] = [this.#origins[left], this.#origins[right]];
    const wide = op === OP_I64_ADD || op === OP_I64_SUB;
    const minus = op === OP_I32_SUB || op === OP_I64_SUB;
    const sum = (this.#constants[left] ?? 0) + (minus ? -1 : 1) * (this.#constants[right] ?? 0);
    const base = b === CONSTANT ? a : a === CONSTANT && !minus ? b : UNKNOWN;
    const version = this.#originVersions[base === a ? left : right] ?? 0;
    this.#pop(2);
    this.#push(1);
    if (wide !== this.#is64 || base === undefined || base === UNKNOWN) return;
    const value = wide ? sum : sum | 0;
    if (Math.abs(value) <= 2 ** 31) this.#know(base, value, version);
  }

  /** Notes what the operand on top is. */
  #know(origin: number, constant: number, version = 0): void {
    this.#origins[this.#height - 1] = origin;
    this.#constants[this.#height - 1] = constant;
    this.#originVersions[this.#height - 1] = version;
  }

  #canonicalise(kind: number): void {
    const r = this.#reader;
    const following = peekOpcode(r);
    if (kind <= CANON_F64 ? ignoresNanBits[following] === 1 : canonicalise[following] === kind) return;
    const w = this.#run;
    const value = this.#scratch(`nan${kind}`, kind === CANON_F32 ? 0x7d : kind === CANON_F64 ? 0x7c : 0x7b);
    w.op(OP_LOCAL_TEE, value);
    if (kind === CANON_F32) w.code(0x43, ...NAN_F32);
    else if (kind === CANON_F64) w.code(0x44, ...NAN_F64);
    else if (kind === CANON_F32X4) w.code(0xfd, 0x0c, ...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32);
    else w.code(0xfd, 0x0c, ...NAN_F64, ...NAN_F64);
    w.op(OP_LOCAL_GET, value);
    w.op(OP_LOCAL_GET, value);
    if (kind === CANON_F32)
      w.code(0x5b, 0x1b); // eq, select
    else if (kind === CANON_F64) w.code(0x61, 0x1b);
    else if (kind === CANON_F32X4)
      w.code(0xfd, 65, 0xfd, 82); // eq, bitselect
    else w.code(0xfd, 71, 0xfd, 82);
  }

  /** Copy, fill, init: the charge for the length, the mark of the range, then the operator itself. */
  #bulk(op: number, start: number): void {
    const r = this.#reader;
    skipImmediates(r, immediates[op] as number);
    const { fnCharge, fnMarkRange } = this.#context.layout;
    const wideLength = this.#is64 && op !== OP_MEMORY_INIT;
    const wideMiddle = this.#is64 && op === OP_MEMORY_COPY;
    const address = this.#scratch("address", this.#addressType);
    const middle = this.#scratch(wideMiddle ? "middle64" : "middle", wideMiddle ? I64 : I32);
    const length = this.#scratch(wideLength ? "length64" : "length", wideLength ? I64 : I32);
    const w = this.#run;
    w.op(OP_LOCAL_SET, length);
    w.op(OP_LOCAL_SET, middle);
    w.op(OP_LOCAL_SET, address);
    this.#calls = true;
    this.#spill(w);
    w.op(OP_LOCAL_GET, length);
    if (!wideLength) w.u8(0xad);
    w.op(OP_CALL, fnCharge);
    this.#reload(w);
    w.op(OP_LOCAL_GET, address);
    w.op(OP_LOCAL_GET, length);
    if (this.#is64 && !wideLength) w.u8(0xad);
    w.op(OP_CALL, fnMarkRange);
    w.op(OP_LOCAL_GET, address);
    w.op(OP_LOCAL_GET, middle);
    w.op(OP_LOCAL_GET, length);
    w.copy(r.bytes, start, r.at);
    this.#pop(3);
  }

  // ---- stores

  #store(op: number, start: number): void {
    const r = this.#reader;
    r.u32();
    const offset = r.u64();
    if (op >= PREFIX_SIMD + 88) r.u8();
    const size = storeBytes[op] as number;
    const slot = this.#height - 2;
    const base = this.#origins[slot] ?? UNKNOWN;
    const known = base === CONSTANT || (base >= 0 && this.#originVersions[slot] === this.#versions[base]);
    if (offset >= 2 ** 31) this.#farStore(op, start, offset, size);
    else if (known) {
      this.#groupStore(base, (this.#constants[slot] ?? 0) + offset, size);
      this.#run.copy(r.bytes, start, r.at);
    } else this.#computedStore(op, start, offset, size);
    this.#pop(2);
  }

  /** A store at a constant distance from `base`: one check for all of its kind in this run. */
  #groupStore(base: number, offset: number, size: number): void {
    const open = this.#openMarks.get(base);
    if (open !== undefined) {
      const min = Math.min(open.min, offset);
      const max = Math.max(open.max, offset + size);
      if (max - min <= GROUP_BYTES_MAX) {
        if (open.min !== offset || open.single !== size) open.single = 0;
        open.min = min;
        open.max = max;
        return;
      }
    }
    const mark = {
      at: this.#run.length,
      base,
      min: offset,
      max: offset + size,
      loops: this.#loops > 0,
      single: size,
    };
    this.#marks.push(mark);
    this.#openMarks.set(base, mark);
  }

  #computedStore(op: number, start: number, offset: number, size: number): void {
    const r = this.#reader;
    const type = storeType[op] as number;
    const value = this.#scratch(`value${type}`, type);
    const base = this.#scratch("address", this.#addressType);
    this.#run.op(OP_LOCAL_SET, value);
    this.#run.op(OP_LOCAL_TEE, base);
    const mark = { at: this.#run.length, base, min: offset, max: offset + size, loops: false, single: size };
    this.#marks.push(mark);
    this.#run.op(OP_LOCAL_GET, value);
    this.#run.copy(r.bytes, start, r.at);
  }

  /** An offset of 2 GiB and more: mark by a call; the sum cannot overflow unless the store traps. */
  #farStore(op: number, start: number, offset: number, size: number): void {
    const r = this.#reader;
    const type = storeType[op] as number;
    const value = this.#scratch(`value${type}`, type);
    const address = this.#scratch("address", this.#addressType);
    const w = this.#run;
    w.op(OP_LOCAL_SET, value);
    w.op(OP_LOCAL_TEE, address);
    if (offset < 2 ** 53) {
      w.op(OP_LOCAL_GET, address);
      if (this.#is64) w.i64Const(offset);
      else w.i32Const(offset);
      w.u8(this.#is64 ? 0x7c : 0x6a);
      w.i32Const(size);
      w.op(OP_CALL, this.#context.layout.fnMark);
      w.u8(0x1a);
    }
    w.op(OP_LOCAL_GET, value);
    w.copy(r.bytes, start, r.at);
  }

  /** The local that remembers the last page marked for `base`, -1 outside loops, where it would not pay. */
  #cacheFor(base: number, loops: boolean): number {
    if (!loops || base === CONSTANT) return -1;
    const known = this.#cacheOfLocal.get(base);
    if (known !== undefined) return known;
    let cache = this.#caches[this.#nextCache];
    if (cache === undefined) {
      cache = this.#newLocal(this.#addressType);
      this.#caches.push(cache);
    }
    this.#nextCache = (this.#nextCache + 1) % PAGE_CACHES_MAX;
    this.#cacheOfLocal.set(base, cache);
    return cache;
  }

  /** The first address of a mark plus `extra`, on the stack. */
  #markAddress(mark: Mark, extra: number): void {
    const w = this.#out;
    const offset = mark.min + extra;
    if (mark.base === CONSTANT) {
      this.#addressConstant(offset);
      return;
    }
    w.op(OP_LOCAL_GET, mark.base);
    if (offset === 0) return;
    this.#addressConstant(offset);
    w.u8(this.#is64 ? OP_I64_ADD : OP_I32_ADD);
  }

  #addressConstant(value: number): void {
    if (this.#is64) this.#out.i64Const(value);
    else this.#out.i32Const(value);
  }

  #writeMark(mark: Mark): void {
    const w = this.#out;
    const span = mark.max - mark.min;
    const cache = mark.single === 0 ? this.#cacheFor(mark.base, mark.loops) : -1;
    if (mark.single !== 0) this.#unmarkedOrUnaligned(mark, span);
    else if (cache >= 0) this.#outsidePage(mark, span, cache);
    else {
      this.#loadMap(mark, 0);
      this.#loadMap(mark, span - 1);
      w.code(0x71, 0x45); // and, eqz
    }
    this.#unlikelyIf();
    this.#markAddress(mark, 0);
    w.i32Const(span);
    w.op(OP_CALL, this.#context.layout.fnMark);
    if (cache >= 0) w.op(OP_LOCAL_SET, cache);
    else w.u8(0x1a);
    w.u8(OP_END);
  }

  /** Whether the mark's bytes do not all lie in the page that its cache remembers. */
  #outsidePage(mark: Mark, span: number, cache: number): void {
    const w = this.#out;
    this.#markAddress(mark, 0);
    w.op(OP_LOCAL_GET, cache);
    w.u8(this.#is64 ? OP_I64_SUB : OP_I32_SUB);
    this.#addressConstant(PAGE_BYTES - span);
    w.u8(this.#is64 ? 0x56 : 0x4b);
  }

  /** Whether the page is unmarked or the address is not a multiple of the store's size, so that it may reach the next page. */
  #unmarkedOrUnaligned(mark: Mark, size: number): void {
    const w = this.#out;
    this.#loadMap(mark, 0);
    if (size === 1) {
      w.u8(0x45);
      return;
    }
    this.#markAddress(mark, 0);
    if (this.#is64) w.u8(0xa7);
    w.i32Const(size - 1);
    w.code(0x71, 0x4d); // and, <=
  }

  /** The map's byte for the page of the mark's first address plus `extra`. */
  #loadMap(mark: Mark, extra: number): void {
    const w = this.#out;
    this.#markAddress(mark, extra);
    this.#addressConstant(PAGE_SHIFT);
    if (this.#is64) w.code(0x88, 0xa7);
    else w.u8(0x76);
    w.code(0x2d, 0x40, 0x01, 0x00); // i32.load8_u of memory 1
  }
}

function lebBytes(value: number): number {
  let n = 1;
  for (let v = value; v >= 0x80; v >>>= 7) n++;
  return n;
}

function valueTypeByte(type: ValueType): number {
  return { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f }[type];
}

/** The opcode number of the next instruction, without reading it; 0 when it has none of interest. */
function peekOpcode(r: Reader): number {
  const op = r.bytes[r.at] ?? 0;
  if (op < 0xfb) return op;
  const low = r.bytes[r.at + 1] ?? 0;
  const sub = low < 0x80 ? low : (low & 0x7f) | ((r.bytes[r.at + 2] ?? 0) << 7);
  return (op === 0xfc ? PREFIX_FC : PREFIX_SIMD) + (sub & 0xff);
}
