/**
 * Why the code of an invalid module is invalid (Wasm specification, "Validation Algorithm"): operand types, labels, indices and
 * immediates, one body or constant after the other, with the words of the replica's validator. The engine has given the verdict
 * already; its own words differ between versions and hosts, and what is told about a module is part of the state.
 */
import { type DecodedModule, functionType } from "./decode.ts";
import * as o from "./opcodes.ts";
import { readLocals, readOpcode, skipImmediates } from "./operators.ts";
import { invalidInReplicaAt, Reader } from "./reader.ts";
import { ADDRESS, alignmentOf, EXTERNREF, FUNCREF, I32, I64, lanesOf, signatureOf } from "./signatures.ts";
import { ANY, TypedStack } from "./typed-stack.ts";
import { TYPE_BYTES } from "./value-types.ts";

const EMPTY_BLOCK = -0x40;
const LABELS_MAX = 65_520; // what engines allow a jump table

/** What bodies and constants refer to besides what the decoder keeps. */
export interface Context {
  readonly module: DecodedModule;
  readonly is64: boolean;
  readonly globals: readonly { readonly type: number; readonly mutable: boolean }[];
  /** Element types of the segments. */
  readonly segments: readonly number[];
  /** Functions that a body may refer to. */
  readonly declared: ReadonlySet<number>;
  /** Operands that may still be looked at: an explanation is not worth any time. */
  readonly budget: { left: number };
}

/** Throws `InvalidModule` if the function's body is invalid, `TooLong` if that took too long to find out. */
export function checkBody(context: Context, index: number): void {
  const { module } = context;
  const body = module.bodies[index] as { start: number; end: number };
  const { params, results } = functionType(module, module.importedFunctions.length + index);
  const reader = new Reader(module.bytes, body.start, body.end);
  const groups: (readonly [end: number, type: number])[] = params.map((type, i) => [i + 1, TYPE_BYTES[type]]);
  let end = params.length;
  readLocals(reader, (count, type) => {
    end += count;
    groups.push([end, type]);
  });
  const typing = new Typing(context, reader, groups);
  typing.run(results.map((type) => TYPE_BYTES[type]));
  if (reader.at !== reader.end)
    throw invalidInReplicaAt(reader.at, "operators remaining after end of function body or expression");
}

/** A constant of this type; the reader stands behind it afterwards. */
export function checkConstant(context: Context, reader: Reader, type: number): void {
  new Typing(context, reader, []).run([type]);
}

class Typing {
  readonly #context: Context;
  readonly #module: DecodedModule;
  readonly #reader: Reader;
  /** Ends of the groups of locals, ascending, and their types. */
  readonly #locals: readonly (readonly [end: number, type: number])[];
  readonly #stack: TypedStack;

  constructor(context: Context, reader: Reader, locals: readonly (readonly [end: number, type: number])[]) {
    this.#context = context;
    this.#stack = new TypedStack(context.budget);
    this.#module = context.module;
    this.#reader = reader;
    this.#locals = locals;
  }

  run(results: readonly number[]): void {
    this.#stack.open(o.OP_BLOCK, [], results);
    while (this.#stack.depth > 0) {
      this.#stack.at = this.#reader.at;
      if (this.#stack.at === this.#reader.end)
        throw this.#stack.fail("control frames remain at end of function body or expression");
      this.#operator(readOpcode(this.#reader));
    }
  }

  #operator(op: number): void {
    this.#stack.spend(0);
    if (this.#control(op) || this.#variable(op) || this.#tableOrReference(op)) return;
    const signature = signatureOf(op);
    if (signature === undefined) throw this.#stack.fail(`illegal opcode: 0x${op.toString(16)}`);
    this.#immediates(op);
    this.#stack.popAll(this.#concrete(signature.params));
    this.#stack.push(this.#concrete(signature.results));
  }

  #concrete(types: readonly number[]): readonly number[] {
    if (!types.includes(ADDRESS)) return types;
    return types.map((type) => (type === ADDRESS ? this.#addressType() : type));
  }

  #addressType(): number {
    return this.#context.is64 ? I64 : I32;
  }

  #control(op: number): boolean {
    switch (op) {
      case o.OP_UNREACHABLE:
        this.#stack.unreachable();
        return true;
      case o.OP_BLOCK:
      case o.OP_LOOP:
      case o.OP_IF: {
        const { params, results } = this.#blockType();
        if (op === o.OP_IF) this.#stack.pop(I32);
        this.#stack.popAll(params);
        this.#stack.open(op, params, results);
        return true;
      }
      case o.OP_ELSE: {
        if (this.#stack.frame.op !== o.OP_IF) throw this.#stack.fail("`else` found outside `If` block");
        const { params, results } = this.#stack.close();
        this.#stack.open(o.OP_ELSE, params, results);
        return true;
      }
      case o.OP_END:
        this.#end();
        return true;
      case o.OP_BR:
        this.#stack.popAll(this.#stack.label(this.#reader.u32()));
        this.#stack.unreachable();
        return true;
      case o.OP_BR_IF: {
        this.#stack.pop(I32);
        const types = this.#stack.label(this.#reader.u32());
        this.#stack.popAll(types);
        this.#stack.push(types);
        return true;
      }
      case o.OP_BR_TABLE:
        this.#jumpTable();
        return true;
      case o.OP_RETURN:
        this.#stack.popAll(this.#stack.results);
        this.#stack.unreachable();
        return true;
      case o.OP_CALL:
        this.#call(this.#function(this.#reader.u32()));
        return true;
      case o.OP_CALL_INDIRECT:
        this.#callIndirect();
        return true;
      default:
        return this.#choice(op);
    }
  }

  #end(): void {
    let frame = this.#stack.close();
    if (frame.op === o.OP_IF) {
      // Without an else, what came in goes out.
      this.#stack.open(o.OP_ELSE, frame.params, frame.results);
      frame = this.#stack.close();
    }
    if (this.#stack.depth > 0) this.#stack.push(frame.results);
  }

  #blockType(): { readonly params: readonly number[]; readonly results: readonly number[] } {
    const r = this.#reader;
    skipImmediates(new Reader(r.bytes, r.at, r.end), o.IMM_BLOCK);
    const type = r.s33();
    if (type === EMPTY_BLOCK) return { params: [], results: [] };
    if (type < 0) return { params: [], results: [type + 0x80] };
    return this.#typeAt(type, "unknown type: type index out of bounds");
  }

  #typeAt(index: number, unknown: string): { readonly params: number[]; readonly results: number[] } {
    const type = this.#module.types[index];
    if (type === undefined) throw this.#stack.fail(unknown);
    this.#stack.spend(type.params.length + type.results.length);
    const bytes = (types: typeof type.params): number[] => types.map((one) => TYPE_BYTES[one]);
    return { params: bytes(type.params), results: bytes(type.results) };
  }

  #jumpTable(): void {
    const r = this.#reader;
    const count = r.count("br_table");
    if (count > LABELS_MAX) throw this.#stack.fail("br_table size is out of bounds");
    const depths = new Set<number>();
    for (let n = count; n > 0; n--) depths.add(r.u32());
    const last = this.#stack.label(r.u32());
    this.#stack.pop(I32);
    for (const depth of depths) {
      const types = this.#stack.label(depth);
      if (types.length !== last.length)
        throw this.#stack.fail("type mismatch: br_table target labels have different number of types");
      this.#stack.check(types);
    }
    this.#stack.popAll(last);
    this.#stack.unreachable();
  }

  #function(index: number): { readonly params: number[]; readonly results: number[] } {
    const { importedFunctions, functions } = this.#module;
    const local = index - importedFunctions.length;
    const type = local < 0 ? importedFunctions[index]?.typeIndex : functions[local];
    if (type === undefined) throw this.#stack.fail(`unknown function ${index}: function index out of bounds`);
    return this.#typeAt(type, "unknown type: type index out of bounds");
  }

  #call({
    params,
    results,
  }: {
    readonly params: readonly number[];
    readonly results: readonly number[];
  }): void {
    this.#stack.popAll(params);
    this.#stack.push(results);
  }

  #callIndirect(): void {
    const type = this.#reader.u32();
    const table = this.#table(this.#reader.u32());
    if (table.element !== FUNCREF)
      throw this.#stack.fail("type mismatch: indirect calls must go through a table with type <= funcref");
    const signature = this.#typeAt(type, "unknown type: type index out of bounds");
    this.#stack.pop(table.index);
    this.#call(signature);
  }

  #choice(op: number): boolean {
    if (op === 0x1a) this.#stack.pop(ANY);
    else if (op === 0x1b) {
      this.#stack.pop(I32);
      const [b, a] = [this.#stack.pop(ANY), this.#stack.pop(ANY)];
      if ([a, b].some((type) => type === FUNCREF || type === EXTERNREF))
        throw this.#stack.fail("type mismatch: select only takes integral types");
      if (a !== b && a !== ANY && b !== ANY)
        throw this.#stack.fail("type mismatch: select operands have different types");
      this.#stack.push([a === ANY ? b : a]);
    } else if (op === 0x1c) {
      const r = this.#reader;
      skipImmediates(new Reader(r.bytes, r.at, r.end), o.IMM_SELECT_TYPES);
      if (r.u32() !== 1) throw this.#stack.fail("invalid result arity");
      const type = r.u8();
      this.#stack.popAll([type, type, I32]);
      this.#stack.push([type]);
    } else return false;
    return true;
  }

  #variable(op: number): boolean {
    if (op >= o.OP_LOCAL_GET && op <= o.OP_LOCAL_TEE) {
      const type = this.#local(this.#reader.u32());
      if (op !== o.OP_LOCAL_GET) this.#stack.pop(type);
      if (op !== o.OP_LOCAL_SET) this.#stack.push([type]);
      return true;
    }
    if (op !== o.OP_GLOBAL_GET && op !== o.OP_GLOBAL_SET) return false;
    const global = this.#context.globals[this.#reader.u32()];
    if (global === undefined) throw this.#stack.fail("unknown global: global index out of bounds");
    if (op === o.OP_GLOBAL_GET) this.#stack.push([global.type]);
    else if (!global.mutable)
      throw this.#stack.fail("global is immutable: cannot modify it with `global.set`");
    else this.#stack.pop(global.type);
    return true;
  }

  #local(index: number): number {
    let low = 0;
    let high = this.#locals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#locals[middle] as readonly [number, number])[0] > index) high = middle;
      else low = middle + 1;
    }
    const group = this.#locals[low];
    if (group === undefined) throw this.#stack.fail(`unknown local ${index}: local index out of bounds`);
    return group[1];
  }

  #table(index: number): { readonly element: number; readonly index: number } {
    const table = this.#module.tables[index];
    if (table === undefined) throw this.#stack.fail(`unknown table ${index}: table index out of bounds`);
    return { element: TYPE_BYTES[table.type], index: table.is64 ? I64 : I32 };
  }

  #segment(index: number): number {
    const type = this.#context.segments[index];
    if (type === undefined)
      throw this.#stack.fail(`unknown elem segment ${index}: segment index out of bounds`);
    return type;
  }

  #tableOrReference(op: number): boolean {
    const r = this.#reader;
    switch (op) {
      case 0x25:
      case 0x26:
      case o.PREFIX_FC + 15:
      case o.PREFIX_FC + 16:
      case o.PREFIX_FC + 17:
        this.#tableAccess(op, this.#table(r.u32()));
        return true;
      case o.PREFIX_FC + 12: {
        const segment = this.#segment(r.u32());
        const table = this.#table(r.u32());
        if (segment !== table.element) throw this.#stack.fail("type mismatch");
        this.#stack.popAll([table.index, I32, I32]);
        return true;
      }
      case o.PREFIX_FC + 14: {
        const [to, from] = [this.#table(r.u32()), this.#table(r.u32())];
        if (to.element !== from.element) throw this.#stack.fail("type mismatch");
        this.#stack.popAll([to.index, from.index, Math.max(to.index, from.index)]);
        return true;
      }
      case 0xd0:
        skipImmediates(new Reader(r.bytes, r.at, r.end), o.IMM_REF_TYPE);
        this.#stack.push([r.u8()]);
        return true;
      case 0xd1:
        this.#stack.popReference();
        this.#stack.push([I32]);
        return true;
      case o.OP_REF_FUNC: {
        const index = r.u32();
        this.#function(index);
        if (!this.#context.declared.has(index)) throw this.#stack.fail("undeclared function reference");
        this.#stack.push([FUNCREF]);
        return true;
      }
      default:
        return false;
    }
  }

  /** table.get, set, grow, size, fill. */
  #tableAccess(op: number, { element, index }: { readonly element: number; readonly index: number }): void {
    if (op === 0x25) {
      this.#stack.pop(index);
      this.#stack.push([element]);
    } else if (op === 0x26) this.#stack.popAll([index, element]);
    else if (op === o.PREFIX_FC + 15) {
      this.#stack.popAll([element, index]);
      this.#stack.push([index]);
    } else if (op === o.PREFIX_FC + 16) this.#stack.push([index]);
    else this.#stack.popAll([index, element, index]);
  }

  #immediates(op: number): void {
    const r = this.#reader;
    const immediate = o.immediates[op] as number;
    switch (immediate) {
      case o.IMM_MEMARG:
      case o.IMM_MEMARG_LANE:
        this.#memory();
        this.#memoryArgument(op, r.u32(), r.u64());
        if (immediate === o.IMM_MEMARG_LANE) this.#lane(r.u8(), lanesOf(op));
        return;
      case o.IMM_LANE:
        this.#lane(r.u8(), lanesOf(op));
        return;
      case o.IMM_DATA_MEMORY:
      case o.IMM_DATA:
        if (immediate === o.IMM_DATA_MEMORY) this.#memory();
        this.#dataSegment(r.u32());
        if (immediate === o.IMM_DATA_MEMORY) skipImmediates(r, o.IMM_MEMORY);
        return;
      case o.IMM_ELEM:
        this.#segment(r.u32());
        return;
      case o.IMM_BYTES16:
        if (op === o.PREFIX_SIMD + 13) for (let i = 0; i < 16; i++) this.#lane(r.u8(), 32);
        else r.skip(16);
        return;
      case o.IMM_MEMORY:
      case o.IMM_MEMORY_MEMORY:
        this.#memory();
        skipImmediates(r, immediate);
        return;
      default:
        skipImmediates(r, immediate);
    }
  }

  #memory(): void {
    if (this.#module.memories.length === 0) throw this.#stack.fail("unknown memory 0");
  }

  #memoryArgument(op: number, alignment: number, offset: number): void {
    if (alignment > alignmentOf(op))
      throw this.#stack.fail("invalid memop alignment: alignment must not be larger than natural");
    if (!this.#context.is64 && offset >= 2 ** 32)
      throw this.#stack.fail("offset out of range: must be <= 2**32");
  }

  #lane(lane: number, lanes: number): void {
    if (lane >= lanes) throw this.#stack.fail("SIMD index out of bounds");
  }

  #dataSegment(index: number): void {
    const { dataCount } = this.#module;
    if (dataCount === null) throw this.#stack.fail("data count section required");
    if (index >= dataCount) throw this.#stack.fail(`unknown data segment ${index}`);
  }
}
