/** Random function bodies: typed statements and expressions over the shape of a module. */
import { functionBody, leb, sleb, TYPE_BYTES } from "./encode.testing.ts";
import { OPCODES } from "./names.ts";
import { constant, type Draw, type FunctionShape, type ModuleShape, typeIndex } from "./shape.testing.ts";
import { makesNaNs, type Scalar, SIGNATURES, type Signature } from "./signatures.testing.ts";

const END = 0x0b;
/** Locals that hold a result before its NaN is made canonical; nothing else reads them. */
const GUARDS: readonly Scalar[] = ["f32", "f64"];
/** Locals that are nearly always set to what arithmetic leaves, two of each type. */
const SUMS: readonly Scalar[] = ["f32", "f32", "f64", "f64"];
/** What is left of a tight loop's turns; these loops do not stand in one another. */
const TURNS: readonly Scalar[] = ["i32"];
const RESERVED: readonly Scalar[] = [...SUMS, ...TURNS, ...GUARDS];
const ARITHMETIC = "add sub mul div min max".split(" ");
const ARITHMETIC_OF_ONE = "ceil floor trunc nearest sqrt".split(" ");
const LOADS: Readonly<Record<Scalar, string>> = {
  i32: "load load8_s load8_u load16_s load16_u",
  i64: "load load8_s load8_u load16_s load16_u load32_s load32_u",
  f32: "load",
  f64: "load",
  v128:
    "load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u load8_splat load16_splat load32_splat " +
    "load64_splat load32_zero load64_zero load8_lane load16_lane load32_lane load64_lane",
};
const STORES: Readonly<Record<Scalar, string>> = {
  i32: "store store8 store16",
  i64: "store store8 store16 store32",
  f32: "store",
  f64: "store",
  v128: "store store8_lane store16_lane store32_lane store64_lane",
};

export class BodyGenerator {
  readonly #shape: ModuleShape;
  readonly #target: FunctionShape;
  readonly #draw: Draw;
  readonly #code: number[] = [];
  readonly #locals: Scalar[];
  /** What a branch to each open label carries, the outermost first. */
  readonly #labels: (readonly Scalar[])[];
  #budget: number;
  /** Within a tight loop; "plain" when nothing there may jump or call. */
  #tight: "no" | "yes" | "plain" = "no";
  /** How often, of 30 times, a sum is set to something else than arithmetic leaves. */
  readonly #impurity: number;

  constructor(shape: ModuleShape, target: FunctionShape, draw: Draw, size: number) {
    this.#shape = shape;
    this.#target = target;
    this.#draw = draw;
    this.#budget = size;
    this.#locals = [...target.params, "i32", "i64", "f32", "f64", "v128", ...RESERVED];
    this.#labels = [target.results];
    this.#impurity = [0, 1, 3, 12][draw(4)] as number;
  }

  body(): number[] {
    this.#burn();
    this.#block(this.#target.results, 6);
    const locals = this.#locals.slice(this.#target.params.length);
    return functionBody(
      locals.map((type) => TYPE_BYTES[type] as number),
      [...this.#code, END],
    );
  }

  #emit(...bytes: number[]): void {
    this.#code.push(...bytes);
  }

  #op(name: string, ...immediates: number[]): void {
    const opcode = OPCODES.get(name);
    if (opcode === undefined) throw new Error(`no instruction ${name}`);
    if (opcode < 0x100) this.#emit(opcode, ...immediates);
    else this.#emit(opcode >> 8, ...leb(opcode & 0xff), ...immediates);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#draw(items.length)] as T;
  }

  #type(): Scalar {
    return this.#shape.vectors && this.#draw(4) === 0
      ? "v128"
      : this.#pick(["i32", "i64", "f32", "f64"] as const);
  }

  #constant(type: Scalar): void {
    this.#emit(...constant(type, this.#draw));
  }

  /** Uses one unit of fuel; without any left the function returns. */
  #burn(): void {
    this.#op("global.get", 0);
    this.#emit(0x45, 0x04, 0x40);
    for (const type of this.#target.results) this.#constant(type);
    this.#emit(0x0f, END);
    this.#op("global.get", 0);
    this.#emit(0x41, 1, 0x6b);
    this.#op("global.set", 0);
  }

  /** Statements, then values of `results`, or a jump instead of them. */
  #block(results: readonly Scalar[], most: number): void {
    for (let n = this.#draw(most) + 1; n > 0 && this.#budget > 0; n--) this.#statement();
    if (this.#draw(10) === 0) this.#jump();
    else for (const type of results) this.#value(type, 2);
  }

  /** Leaves the block for good; what follows, if anything, is never run. */
  #jump(): void {
    const depth = this.#draw(this.#labels.length);
    switch (this.#draw(this.#draw(4) === 0 ? 4 : 3)) {
      case 0:
        this.#carry(depth);
        this.#emit(0x0c, ...leb(depth));
        break;
      case 1:
        this.#carry(this.#labels.length - 1);
        this.#emit(0x0f);
        break;
      case 2:
        this.#branchTable(depth);
        break;
      default:
        this.#emit(0x00);
    }
    if (this.#draw(3) === 0) this.#emit(0x41, 5, 0x1a);
  }

  #label(depth: number): readonly Scalar[] {
    return this.#labels[this.#labels.length - 1 - depth] as readonly Scalar[];
  }

  /** The values that a branch to the label takes along. */
  #carry(depth: number): void {
    for (const type of this.#label(depth)) this.#value(type, 1);
  }

  #branchTable(depth: number): void {
    const wanted = this.#label(depth).join();
    const same = this.#labels.map((_, i) => i).filter((i) => this.#label(i).join() === wanted);
    this.#carry(depth);
    this.#value("i32", 1);
    if (this.#draw(2) === 0) this.#emit(0x41, 3, 0x71);
    const targets = Array.from({ length: this.#draw(4) }, () => this.#pick(same));
    this.#emit(0x0e, ...leb(targets.length), ...targets.flatMap((i) => leb(i)), ...leb(depth));
  }

  #statement(): void {
    this.#budget--;
    const draw = this.#draw(this.#tight === "plain" ? 7 : 26);
    if (draw >= 24) this.#sums();
    else if (draw >= 23) this.#showSum();
    else if (draw >= 20) this.#tightLoop();
    else if (draw < 4) this.#store();
    else if (draw < 6) this.#assign();
    else if (this.#tight === "plain") this.#sums();
    else if (draw < 8) this.#structure([]);
    else if (draw === 8) this.#loop();
    else if (draw === 9) this.#conditionalBranch();
    else if (draw < 12) this.#dropAll(this.#call());
    else if (draw === 12) this.#dropAll(this.#callIndirect());
    else if (draw === 13) this.#bulk();
    else if (draw === 14) {
      const results = [this.#type(), ...(this.#draw(2) === 0 ? [this.#type()] : [])];
      this.#structure(results);
      this.#dropAll(results);
    } else if (draw === 15) this.#rare();
    else {
      this.#value(this.#type(), 3);
      this.#emit(0x1a);
    }
  }

  #rare(): void {
    switch (this.#draw(8)) {
      case 0:
        this.#emit(0x01);
        return;
      case 1:
        this.#value(this.#address(), 0);
        if (this.#draw(2) === 0) this.#mask(1);
        this.#op("memory.grow", 0);
        this.#emit(0x1a);
        return;
      case 2:
        this.#op("data.drop", this.#draw(2));
        return;
      case 3:
        this.#op("elem.drop", this.#draw(3));
        return;
      case 4:
        this.#emit(0x41, this.#draw(10));
        this.#op("table.get", 0);
        this.#emit(0xd1, 0x1a);
        return;
      case 5:
        this.#emit(0xd2, ...leb(this.#shape.importCount), 0xd1, 0x1a);
        return;
      case 6:
        this.#op("table.size", 0);
        this.#emit(0x1a);
        return;
      default:
        this.#emit(0xd0, 0x70, 0xd0, 0x70, 0x41, 1, 0x1c, 1, 0x70, 0xd1, 0x1a);
    }
  }

  #assign(): void {
    if (this.#draw(2) === 0) {
      this.#setSum(this.#pick(["f32", "f64"] as const));
      return;
    }
    const type = this.#type();
    this.#value(type, 2);
    const globals = this.#shape.globals.flatMap((item, i) =>
      i > 0 && item.mutable && item.type === type ? [i] : [],
    );
    if (globals.length > 0 && this.#draw(3) === 0) this.#op("global.set", ...leb(this.#pick(globals)));
    else this.#op("local.set", ...leb(this.#local(type)));
  }

  #local(type: Scalar): number {
    const own = this.#locals.slice(0, -RESERVED.length);
    return this.#pick(own.flatMap((item, i) => (item === type ? [i] : [])));
  }

  #dropAll(types: readonly Scalar[]): void {
    for (const type of types.toReversed()) {
      if (this.#draw(2) === 0) this.#emit(0x1a);
      else this.#op("local.set", ...leb(this.#local(type)));
    }
  }

  /** A block or an if that takes parameters and leaves `results`. */
  #structure(results: readonly Scalar[]): void {
    const params = this.#draw(3) === 0 ? [this.#type()] : [];
    for (const type of params) this.#value(type, 1);
    const kind = this.#draw(3);
    if (kind > 0) this.#value("i32", 2);
    this.#emit(kind > 0 ? 0x04 : 0x02, ...this.#blockType(params, results));
    this.#labels.push(results);
    this.#takeParams(params);
    this.#block(results, 3);
    if (kind === 1 || (kind === 2 && params.join() !== results.join())) {
      this.#emit(0x05);
      this.#takeParams(params);
      this.#block(results, 3);
    }
    this.#labels.pop();
    this.#emit(END);
  }

  #takeParams(params: readonly Scalar[]): void {
    for (const type of params.toReversed()) this.#op("local.set", ...leb(this.#local(type)));
  }

  #blockType(params: readonly Scalar[], results: readonly Scalar[]): number[] {
    if (params.length === 0 && results.length === 0) return [0x40];
    if (params.length === 0 && results.length === 1) return [TYPE_BYTES[results[0] as Scalar] as number];
    return sleb(typeIndex(this.#shape.types, { params, results }));
  }

  /** A loop whose label takes its parameters; it goes on while a condition holds and fuel is left. */
  #loop(): void {
    if (this.#tight !== "no") return;
    const params = this.#draw(2) === 0 ? [this.#type()] : [];
    for (const type of params) this.#value(type, 1);
    this.#emit(0x03, ...this.#blockType(params, []));
    this.#labels.push(params);
    this.#takeParams(params);
    this.#burn();
    this.#block([], 4);
    this.#carry(0);
    this.#value("i32", 1);
    this.#emit(0x0d, 0);
    this.#dropAll(params);
    this.#labels.pop();
    this.#emit(END);
  }

  /** A small loop that counts its turns in a local, in one of the forms that compilers give them. */
  #tightLoop(): void {
    if (this.#tight !== "no") return;
    this.#emit(0x41, 1 + this.#draw(14));
    this.#turns("local.set");
    if (this.#draw(2) === 0) this.#plainLoop();
    else this.#steppedLoop();
    this.#tight = "no";
  }

  #turns(operation: string): void {
    this.#op(operation, ...leb(this.#locals.length - GUARDS.length - TURNS.length));
  }

  #countTurn(operation: string): void {
    this.#turns("local.get");
    this.#emit(0x41, 1, 0x6b);
    this.#turns(operation);
  }

  /** Nothing but operators, and the condition at the end; now and then with a result. */
  #plainLoop(): void {
    this.#tight = "plain";
    const results = this.#draw(4) === 0 ? [this.#type()] : [];
    this.#emit(0x03, ...this.#blockType([], results));
    for (let n = 1 + this.#draw(3); n > 0; n--) this.#statement();
    this.#countTurn("local.tee");
    if (this.#draw(3) === 0) {
      this.#value("i32", 1);
      this.#emit(0x71);
    }
    this.#emit(0x0d, 0);
    for (const type of results) this.#value(type, 1);
    this.#emit(END);
    this.#dropAll(results);
  }

  /** The turns are counted at the start, so that any jump back ends some time. */
  #steppedLoop(): void {
    this.#tight = "yes";
    const isWhile = this.#draw(2) === 0;
    if (isWhile) {
      this.#emit(0x02, 0x40, 0x03, 0x40);
      this.#labels.push([], []);
      this.#turns("local.get");
      this.#emit(0x45, 0x0d, 1);
    } else {
      this.#emit(0x03, 0x40);
      this.#turns("local.get");
      this.#emit(0x04, 0x40);
      this.#labels.push([], []);
    }
    this.#countTurn("local.set");
    for (let n = 1 + this.#draw(3); n > 0; n--) this.#statement();
    if (this.#draw(3) === 0) {
      this.#value("i32", 1);
      this.#emit(0x0d, isWhile ? 0 : 1);
      if (this.#draw(2) === 0) this.#statement();
    }
    if (this.#draw(4) > 0) this.#emit(0x0c, isWhile ? 0 : 1);
    this.#labels.length -= 2;
    this.#emit(END, END);
  }

  #conditionalBranch(): void {
    const depth = this.#draw(this.#labels.length);
    this.#carry(depth);
    this.#value("i32", 2);
    this.#emit(0x0d, ...leb(depth));
    this.#dropAll(this.#label(depth));
  }

  #call(): readonly Scalar[] {
    const index = this.#draw(this.#shape.functions.length);
    const target = this.#shape.functions[index] as FunctionShape;
    for (const type of target.params) this.#value(type, 1);
    this.#emit(0x10, ...leb(index));
    return target.results;
  }

  /** Mostly an entry of the right type; now and then any position, in the table or not. */
  #callIndirect(): readonly Scalar[] {
    const { functions, entries, tableSize } = this.#shape;
    const at = this.#draw(entries.length);
    const target = this.#draw(25) === 0 ? this.#pick(functions) : functions[entries[at] as number];
    const { params, results, type } = target as ModuleShape["functions"][number];
    for (const param of params) this.#value(param, 1);
    this.#value("i32", 1);
    if (this.#draw(25) > 0) this.#emit(0x41, 0, 0x71, 0x41, at + 1, 0x72);
    else if (this.#draw(3) > 0) this.#emit(0x41, tableSize < 8 ? 3 : 7, 0x71);
    this.#emit(0x11, ...leb(type), 0);
    return results;
  }

  #address(): Scalar {
    return this.#shape.is64 ? "i64" : "i32";
  }

  /** `and` with a constant of the address type. */
  #mask(mask: number): void {
    this.#emit(this.#shape.is64 ? 0x42 : 0x41, ...sleb(mask), this.#shape.is64 ? 0x83 : 0x71);
  }

  /** An address that is nearly always in memory. */
  #pointer(): void {
    this.#value(this.#address(), 2);
    const draw = this.#draw(60);
    if (draw > 0) this.#mask(draw < 8 ? 0x1ffff : draw < 20 ? 0xff8 : 0xffff);
  }

  /** Alignment (which changes nothing) and displacement. */
  #memoryArgument(): number[] {
    const offset = this.#draw(4) === 0 ? this.#draw(this.#draw(8) === 0 ? 70_000 : 9000) : this.#draw(64);
    if (this.#draw(100) > 0) return [0, ...leb(offset)];
    return [
      0,
      ...leb(
        this.#shape.is64 && this.#draw(2) === 0 ? 2n ** 64n - 1n - BigInt(offset) : 2 ** 32 - 1 - offset,
      ),
    ];
  }

  #store(): void {
    const type = this.#type();
    const operation = this.#pick(STORES[type].split(" "));
    this.#pointer();
    this.#value(type, 2);
    this.#op(`${type}.${operation}`, ...this.#memoryArgument(), ...this.#lane(operation));
  }

  /** The lane that an access of one lane names. */
  #lane(operation: string): number[] {
    const bits = /(\d+)_lane$/.exec(operation)?.[1];
    return bits === undefined ? [] : [this.#draw(128 / Number(bits))];
  }

  #bulk(): void {
    const kind = this.#draw(3);
    this.#pointer();
    if (kind === 0) this.#value("i32", 1);
    else if (kind === 1) this.#pointer();
    else this.#emit(0x41, this.#draw(30));
    const isNarrow = kind === 2 || !this.#shape.is64;
    const length = this.#draw(kind === 2 ? 12 : 9000);
    this.#emit(isNarrow ? 0x41 : 0x42, ...sleb(this.#draw(40) === 0 ? -1 - length : length));
    if (kind === 0) this.#op("memory.fill", 0);
    else if (kind === 1) this.#op("memory.copy", 0, 0);
    else this.#op("memory.init", this.#draw(2), 0);
  }

  /** Leaves one value. */
  #value(type: Scalar, depth: number): void {
    this.#budget--;
    if ((type === "f32" || type === "f64") && this.#draw(3) === 0) {
      this.#sum(type, depth);
      return;
    }
    const leaf = depth <= 0 || this.#budget <= 0;
    const draw = this.#draw(leaf ? 3 : 14);
    if (draw === 0) this.#constant(type);
    else if (draw === 1) this.#op("local.get", ...leb(this.#local(type)));
    else if (draw === 2) this.#globalOrConstant(type);
    else if (draw < 8) this.#operation(this.#pick(SIGNATURES[type]), depth - 1);
    else if (draw < 10) this.#load(type);
    else if (this.#tight === "plain" && (draw === 10 || draw === 13)) this.#constant(type);
    else if (draw === 10) this.#structure([type]);
    else if (draw === 11) {
      this.#value(type, depth - 1);
      this.#op("local.tee", ...leb(this.#local(type)));
    } else if (draw === 12) {
      this.#value(type, depth - 1);
      this.#value(type, depth - 1);
      this.#value("i32", depth - 1);
      this.#emit(
        ...(this.#draw(2) === 0 && type !== "v128" ? [0x1b] : [0x1c, 1, TYPE_BYTES[type] as number]),
      );
    } else this.#callFor(type);
  }

  #sumLocal(type: "f32" | "f64"): number {
    const first = this.#locals.length - RESERVED.length + SUMS.indexOf(type);
    return first + this.#draw(2);
  }

  /** Arithmetic on sums and other values, of the kind that leaves canonical NaNs. */
  #arithmetic(type: "f32" | "f64", depth: number): void {
    const isBinary = this.#draw(4) > 0;
    this.#value(type, depth - 1);
    if (isBinary) {
      if (this.#draw(6) === 0) this.#oddNan(type);
      else this.#value(type, depth - 1);
    }
    const name = `${type}.${this.#pick(isBinary ? ARITHMETIC : ARITHMETIC_OF_ONE)}`;
    this.#op(name);
    if (this.#shape.guarded) this.#guard(type);
  }

  /** A float by way of the sums. */
  #sum(type: "f32" | "f64", depth: number): void {
    const draw = this.#draw(depth > 0 ? 6 : 3);
    if (draw === 3) this.#arithmetic(type, depth);
    else if (draw > 3) {
      this.#arithmetic(type, depth);
      this.#op("local.tee", ...leb(this.#sumLocal(type)));
    } else this.#op("local.get", ...leb(this.#sumLocal(type)));
  }

  #setSum(type: "f32" | "f64"): void {
    const draw = this.#draw(30);
    if (this.#draw(30) < this.#impurity) this.#payload(type);
    else if (draw < 8) this.#op("local.get", ...leb(this.#sumLocal(type)));
    else if (draw < 12) this.#constant(type);
    else this.#arithmetic(type, 2);
    this.#op("local.set", ...leb(this.#sumLocal(type)));
  }

  /** A NaN that arithmetic does not leave. */
  #oddNan(type: "f32" | "f64"): void {
    this.#emit(...(type === "f32" ? [0x43, 2, 0, 0xd0, 0xff] : [0x44, 2, 0, 0, 0, 0, 0, 0xfa, 0xff]));
  }

  /** A value that may be any NaN. */
  #payload(type: "f32" | "f64"): void {
    const draw = this.#draw(4);
    if (draw === 0) this.#value(type, 2);
    else if (draw === 1) this.#oddNan(type);
    else if (draw === 2) {
      this.#emit(this.#shape.is64 ? 0x42 : 0x41, ...sleb(8 * this.#draw(16)));
      this.#op(`${type}.load`, 0, 0);
    } else this.#op("local.get", ...leb(this.#local(type)));
  }

  /** Sums, shown and set, one after the other. */
  #sums(): void {
    for (let n = 2 + this.#draw(5); n > 0; n--) {
      this.#budget--;
      if (this.#draw(4) === 0) this.#showSum();
      else if (this.#tight !== "plain" && this.#draw(6) === 0) this.#conditionalBranch();
      else this.#setSum(this.#pick(["f32", "f64"] as const));
    }
  }

  /** Puts a sum's bits in memory. */
  #showSum(): void {
    const type = this.#pick(["f32", "f64"] as const);
    this.#emit(this.#shape.is64 ? 0x42 : 0x41, ...sleb(8 * this.#draw(16)));
    this.#op("local.get", ...leb(this.#sumLocal(type)));
    this.#op(`${type}.store`, ...this.#memoryArgument());
  }

  #globalOrConstant(type: Scalar): void {
    const globals = this.#shape.globals.flatMap((item, i) => (i > 0 && item.type === type ? [i] : []));
    if (globals.length > 0) this.#op("global.get", ...leb(this.#pick(globals)));
    else this.#constant(type);
  }

  #callFor(type: Scalar): void {
    if (type === this.#address() && this.#draw(3) === 0) {
      this.#op("memory.size", 0);
      return;
    }
    const results = this.#draw(4) === 0 ? this.#callIndirect() : this.#call();
    this.#dropAll(results);
    this.#constant(type);
  }

  #load(type: Scalar): void {
    const operation = this.#pick(LOADS[type].split(" "));
    this.#pointer();
    if (operation.endsWith("_lane")) this.#value(type, 1);
    this.#op(`${type}.${operation}`, ...this.#memoryArgument(), ...this.#lane(operation));
  }

  #operation(signature: Signature, depth: number): void {
    const { name, params, result, lanes } = signature;
    const isRisky = /^i(32|64)\.(trunc_f|div|rem)/.test(name);
    // Vectors come into scalar code only where they are wanted, and traps of arithmetic are kept rare.
    if (
      (params.includes("v128") && !this.#shape.vectors) ||
      (isRisky && params.length === 1 && this.#draw(30) > 0)
    ) {
      this.#constant(result);
      return;
    }
    for (const type of params) this.#value(type, depth);
    if (isRisky && params.length === 2 && this.#draw(30) > 0) {
      this.#constant(result);
      this.#emit(...(result === "i32" ? [0x71, 0x41, 3, 0x72] : [0x83, 0x42, 3, 0x84]));
    }
    const immediates =
      lanes === 32 ? Array.from({ length: 16 }, () => this.#draw(32)) : lanes > 0 ? [this.#draw(lanes)] : [];
    this.#op(name, ...immediates);
    if (this.#shape.guarded && makesNaNs(name) && (result === "f32" || result === "f64")) this.#guard(result);
  }

  /** Replaces any NaN on the stack by the canonical one, by means of the module's own. */
  #guard(type: "f32" | "f64"): void {
    const scratch = this.#locals.lastIndexOf(type);
    this.#op("local.tee", ...leb(scratch));
    if (type === "f32") this.#emit(0x43, 0, 0, 0xc0, 0x7f);
    else this.#emit(0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f);
    this.#op("local.get", ...leb(scratch));
    this.#op("local.get", ...leb(scratch));
    this.#op(`${type}.eq`);
    this.#emit(0x1b);
  }
}
