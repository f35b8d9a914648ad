/**
 * The operand stack of code that is being validated, by types, and the blocks that are open (Wasm specification, "Validation
 * Algorithm"). In code that cannot be reached operands are whatever is asked for.
 */
import { OP_LOOP } from "./opcodes.ts";
import { type InvalidModule, invalidInReplicaAt } from "./reader.ts";
import { EXTERNREF, F32, F64, FUNCREF, I32, I64, V128 } from "./signatures.ts";

/** A type that is not known, in code that cannot be reached. */
export const ANY = 0;

const NAMES: ReadonlyMap<number, string> = new Map([
  [I32, "i32"],
  [I64, "i64"],
  [F32, "f32"],
  [F64, "f64"],
  [V128, "v128"],
  [FUNCREF, "funcref"],
  [EXTERNREF, "externref"],
]);

export function typeName(type: number): string {
  return NAMES.get(type) ?? "a type";
}

/** Thrown when the budget is used up. */
export class TooLong extends Error {}

export interface Frame {
  readonly op: number;
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly height: number;
  unreachable: boolean;
}

export class TypedStack {
  readonly operands: number[] = [];
  readonly #frames: Frame[] = [];
  /** Operands that may still be looked at. */
  readonly #budget: { left: number };
  /** Where the instruction begins. */
  at = 0;

  constructor(budget: { left: number }) {
    this.#budget = budget;
  }

  get depth(): number {
    return this.#frames.length;
  }

  /** The function's results. */
  get results(): readonly number[] {
    return (this.#frames[0] as Frame).results;
  }

  fail(what: string): InvalidModule {
    return invalidInReplicaAt(this.at, what);
  }

  get frame(): Frame {
    return this.#frames[this.#frames.length - 1] as Frame;
  }

  spend(operands: number): void {
    this.#budget.left -= operands + 1;
    if (this.#budget.left < 0) throw new TooLong();
  }

  push(types: readonly number[]): void {
    this.spend(types.length);
    for (const type of types) this.operands.push(type);
  }

  /** Takes an operand of this type, of any when it is `ANY`; tells which it was. */
  pop(expected: number): number {
    const { height, unreachable } = this.frame;
    if (this.operands.length === height) {
      if (unreachable) return ANY;
      throw this.fail(`type mismatch: expected ${typeName(expected)} but nothing on stack`);
    }
    const found = this.operands.pop() as number;
    if (found !== expected && found !== ANY && expected !== ANY)
      throw this.fail(`type mismatch: expected ${typeName(expected)}, found ${typeName(found)}`);
    return found;
  }

  popAll(types: readonly number[]): void {
    this.spend(types.length);
    for (let i = types.length - 1; i >= 0; i--) this.pop(types[i] as number);
  }

  /** Whether these could be popped, which they are not. */
  check(types: readonly number[]): void {
    const found = this.operands.slice(this.frame.height);
    this.spend(found.length);
    this.popAll(types);
    this.operands.length = this.frame.height;
    this.push(found);
  }

  popReference(): void {
    const found = this.pop(ANY);
    if (found !== ANY && found !== FUNCREF && found !== EXTERNREF)
      throw this.fail(`type mismatch: expected ref but found ${typeName(found)}`);
  }

  open(op: number, params: readonly number[], results: readonly number[]): void {
    this.#frames.push({ op, params, results, height: this.operands.length, unreachable: false });
    this.push(params);
  }

  close(): Frame {
    const frame = this.frame;
    this.popAll(frame.results);
    if (this.operands.length !== frame.height)
      throw this.fail("type mismatch: values remaining on stack at end of block");
    this.#frames.pop();
    return frame;
  }

  unreachable(): void {
    const frame = this.frame;
    this.operands.length = frame.height;
    frame.unreachable = true;
  }

  label(depth: number): readonly number[] {
    const frame = this.#frames[this.#frames.length - 1 - depth];
    if (frame === undefined) throw this.fail("unknown label: branch depth too large");
    return frame.op === OP_LOOP ? frame.params : frame.results;
  }
}
