/**
 * A slow interpreter of a small instruction set, written from the metering rules alone: it charges each run of operators
 * when the run starts and notices an empty counter at function entry, loop heads and dynamic charges. The rewriter is
 * compared with it on random programs (differential.test.ts).
 */

export type Op =
  | "const"
  | "const64"
  | "get"
  | "set"
  | "tee"
  | "add"
  | "sub"
  | "mul"
  | "and"
  | "lt_u"
  | "div_u"
  | "drop"
  | "extend"
  | "add64"
  | "load"
  | "load8"
  | "store"
  | "store8"
  | "store16"
  | "store64"
  | "block"
  | "loop"
  | "if"
  | "else"
  | "end"
  | "br"
  | "br_if"
  | "return"
  | "unreachable"
  | "call"
  | "fill"
  | "copy"
  | "grow";

export interface Instruction {
  readonly op: Op;
  /** Constant, local, label, function or memory offset. */
  readonly n: number;
}

export interface Program {
  readonly is64: boolean;
  /** Bodies of functions (i32) -> i32 without the last `end`; the last one is run. */
  readonly functions: readonly (readonly Instruction[])[];
}

/** Locals of every function: the parameter, two i32, an address, and a counter for each loop. */
export const LOCAL_POINTER = 3;
export const FIRST_COUNTER = 4;
export const COUNTERS = 6;
export const PAGES = 4;

export type Outcome =
  | "ok"
  | "heap_out_of_bounds"
  | "integer_division_by_zero"
  | "unreachable"
  | "out_of_instructions";

export class Stop extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome);
    this.outcome = outcome;
  }
}

const ENDS_RUN: ReadonlySet<Op> = new Set([
  "loop",
  "if",
  "else",
  "end",
  "br",
  "br_if",
  "return",
  "unreachable",
]);
const WEIGHTS: Partial<Record<Op, number>> = {
  block: 0,
  loop: 0,
  else: 0,
  end: 0,
  if: 2,
  br: 2,
  br_if: 2,
  call: 5,
  div_u: 10,
  fill: 100,
  copy: 100,
  grow: 300,
};
const MEMORY: ReadonlySet<Op> = new Set(["load", "load8", "store", "store8", "store16", "store64"]);

function weight(op: Op, is64: boolean): number {
  if (MEMORY.has(op)) return is64 ? 2 : 1;
  return WEIGHTS[op] ?? 1;
}

interface Body {
  readonly code: readonly Instruction[];
  /** Cost of the run that starts here, -1 elsewhere. */
  readonly runCost: number[];
  /** Of block, loop, if and else: where the matching else and end are. */
  readonly elseAt: Map<number, number>;
  readonly endAt: Map<number, number>;
}

function prepare(instructions: readonly Instruction[], is64: boolean): Body {
  const code = [...instructions, { op: "end", n: 0 } as const];
  const runCost = new Array<number>(code.length + 1).fill(-1);
  const elseAt = new Map<number, number>();
  const endAt = new Map<number, number>();
  const open: number[] = [];
  let runStart = 0;
  let cost = 1;
  for (const [at, { op }] of code.entries()) {
    cost += weight(op, is64);
    if (op === "block" || op === "loop" || op === "if") open.push(at);
    if (op === "else") elseAt.set(open[open.length - 1] as number, at);
    if (op === "end") {
      const opened = open.pop();
      if (opened !== undefined) endAt.set(opened, at);
    }
    if (!ENDS_RUN.has(op)) continue;
    runCost[runStart] = cost;
    runStart = at + 1;
    cost = 0;
  }
  return { code, runCost, elseAt, endAt };
}

/** Runs a program from a memory image; the memory is changed in place. */
export class Machine {
  readonly #bodies: readonly Body[];
  memory: Uint8Array;
  counter: bigint;

  constructor(program: Program, memory: Uint8Array, counter: bigint) {
    this.#bodies = program.functions.map((code) => prepare(code, program.is64));
    this.memory = memory;
    this.counter = counter;
  }

  run(argument: number): { outcome: Outcome; result: number } {
    try {
      return { outcome: "ok", result: this.#call(this.#bodies.length - 1, argument) };
    } catch (error) {
      if (error instanceof Stop) return { outcome: error.outcome, result: 0 };
      throw error;
    }
  }

  #charge(cost: number | bigint, checked: boolean): void {
    this.counter -= BigInt(cost);
    if (checked && this.counter < 0n) throw new Stop("out_of_instructions");
  }

  #bounds(address: number, length: number): number {
    if (address + length > this.memory.length) throw new Stop("heap_out_of_bounds");
    return address;
  }

  #call(index: number, argument: number): number {
    const { code, runCost, elseAt, endAt } = this.#bodies[index] as Body;
    const locals = new Array<number>(FIRST_COUNTER + COUNTERS).fill(0);
    locals[0] = argument;
    const stack: number[] = [];
    const pop = (): number => stack.pop() as number;
    const labels: { at: number; height: number; loop: boolean }[] = [];
    const view = new DataView(this.memory.buffer);
    let at = 0;
    let checked = true;
    const branch = (depth: number): boolean => {
      if (depth >= labels.length) return true;
      labels.length -= depth;
      const label = labels[labels.length - 1] as (typeof labels)[number];
      stack.length = label.height;
      if (label.loop) at = label.at + 1;
      else {
        labels.pop();
        at = (endAt.get(label.at) as number) + 1;
      }
      checked = label.loop;
      return false;
    };
    for (;;) {
      const cost = runCost[at] as number;
      if (cost >= 0) {
        this.#charge(cost, checked);
        checked = false;
      }
      const here = at;
      const { op, n } = code[at++] as Instruction;
      switch (op) {
        case "const":
          stack.push(n >>> 0);
          break;
        case "const64":
          stack.push(n);
          break;
        case "get":
          stack.push(locals[n] as number);
          break;
        case "set":
          locals[n] = pop();
          break;
        case "tee":
          locals[n] = stack[stack.length - 1] as number;
          break;
        case "add":
          stack.push((pop() + pop()) >>> 0);
          break;
        case "sub": {
          const b = pop();
          stack.push((pop() - b) >>> 0);
          break;
        }
        case "mul":
          stack.push(Math.imul(pop(), pop()) >>> 0);
          break;
        case "and":
          stack.push((pop() & pop()) >>> 0);
          break;
        case "lt_u": {
          const b = pop();
          stack.push(pop() < b ? 1 : 0);
          break;
        }
        case "div_u": {
          const b = pop();
          const a = pop();
          if (b === 0) throw new Stop("integer_division_by_zero");
          stack.push(Math.floor(a / b));
          break;
        }
        case "drop":
          pop();
          break;
        case "extend":
          break;
        case "add64": {
          const b = pop();
          const sum = pop() + b;
          stack.push(sum < 0 ? sum + 2 ** 64 : sum);
          break;
        }
        case "load":
          stack.push(view.getUint32(this.#bounds(pop() + n, 4), true));
          break;
        case "load8":
          stack.push(view.getUint8(this.#bounds(pop() + n, 1)));
          break;
        case "store": {
          const v = pop();
          view.setUint32(this.#bounds(pop() + n, 4), v, true);
          break;
        }
        case "store8": {
          const v = pop();
          view.setUint8(this.#bounds(pop() + n, 1), v);
          break;
        }
        case "store16": {
          const v = pop();
          view.setUint16(this.#bounds(pop() + n, 2), v, true);
          break;
        }
        case "store64": {
          const v = pop();
          view.setBigUint64(this.#bounds(pop() + n, 8), BigInt(v), true);
          break;
        }
        case "block":
          labels.push({ at: here, height: stack.length, loop: false });
          break;
        case "loop":
          labels.push({ at: here, height: stack.length, loop: true });
          checked = true;
          break;
        case "if": {
          const condition = pop();
          labels.push({ at: here, height: stack.length, loop: false });
          if (condition === 0) {
            const skipped = elseAt.get(here);
            at = skipped === undefined ? (endAt.get(here) as number) : skipped + 1;
            if (skipped === undefined) {
              labels.pop();
              at++;
            }
          }
          break;
        }
        case "else":
          at = (endAt.get((labels.pop() as { at: number }).at) as number) + 1;
          break;
        case "end":
          if (labels.pop() === undefined) return pop();
          break;
        case "br":
          if (branch(n)) return pop();
          break;
        case "br_if":
          if (pop() !== 0 && branch(n)) return pop();
          break;
        case "return":
          return pop();
        case "unreachable":
          throw new Stop("unreachable");
        case "call":
          stack.push(this.#call(n, pop()));
          break;
        case "fill": {
          const length = pop();
          const value = pop();
          const target = pop();
          this.#charge(length, true);
          this.memory.fill(value, this.#bounds(target, length), target + length);
          break;
        }
        case "copy": {
          const length = pop();
          const source = pop();
          const target = pop();
          this.#charge(length, true);
          this.#bounds(source, length);
          this.memory.copyWithin(this.#bounds(target, length), source, source + length);
          break;
        }
        case "grow":
          pop();
          stack.push(0xffffffff);
          break;
        default:
          throw new Error(`unknown operator ${op satisfies never}`);
      }
    }
  }
}

const TEXT: Readonly<Record<Op, (n: number, is64: boolean) => string>> = {
  const: (n) => `i32.const ${n | 0}`,
  const64: (n) => `i64.const ${n}`,
  get: (n) => `local.get ${n}`,
  set: (n) => `local.set ${n}`,
  tee: (n) => `local.tee ${n}`,
  add: () => "i32.add",
  sub: () => "i32.sub",
  mul: () => "i32.mul",
  and: () => "i32.and",
  lt_u: () => "i32.lt_u",
  div_u: () => "i32.div_u",
  drop: () => "drop",
  extend: () => "i64.extend_i32_u",
  add64: () => "i64.add",
  load: (n) => `i32.load offset=${n}`,
  load8: (n) => `i32.load8_u offset=${n}`,
  store: (n) => `i32.store offset=${n}`,
  store8: (n) => `i32.store8 offset=${n}`,
  store16: (n) => `i32.store16 offset=${n}`,
  store64: (n) => `i64.store offset=${n}`,
  block: () => "block",
  loop: () => "loop",
  if: () => "if",
  else: () => "else",
  end: () => "end",
  br: (n) => `br ${n}`,
  br_if: (n) => `br_if ${n}`,
  return: () => "return",
  unreachable: () => "unreachable",
  call: (n) => `call $f${n}`,
  fill: () => "memory.fill",
  copy: () => "memory.copy",
  grow: (_, is64) => (is64 ? "i32.wrap_i64 i64.extend_i32_u memory.grow i32.wrap_i64" : "memory.grow"),
};

/** The program as Wasm text: method `go` stores the result of the last function for `argument` in global 0. */
export function programText(program: Program, argument: number): string {
  const { is64, functions } = program;
  const address = is64 ? "i64" : "i32";
  const bodies = functions.map(
    (code, i) => `(func $f${i} (param i32) (result i32) (local i32 i32 ${address} ${"i32 ".repeat(COUNTERS)})
      ${code.map(({ op, n }) => TEXT[op](n, is64)).join("\n")})`,
  );
  return `(module (memory ${is64 ? "i64 " : ""}${PAGES} ${PAGES}) (global (mut i32) (i32.const 0)) ${bodies.join("\n")}
    (func (export "canister_update go") (global.set 0 (call $f${functions.length - 1} (i32.const ${argument | 0})))))`;
}
