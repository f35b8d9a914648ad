/** Random programs against the reference interpreter: counts, results, memory, traps and dirty pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createEngine } from "./index.ts";
import {
  COUNTERS,
  FIRST_COUNTER,
  type Instruction,
  LOCAL_POINTER,
  Machine,
  type Op,
  PAGES,
  type Program,
  programText,
} from "./reference.testing.ts";
import { compile, instantiate } from "./testing.ts";
import { WasmTrap } from "./traps.ts";

const MEMORY_BYTES = PAGES * 65_536;
const i = (op: Op, n = 0): Instruction => ({ op, n });

/** Grows a program from a seed; `size` bounds the statements of a function, so that a failure can be made smaller. */
class Generator {
  readonly #size: number;
  readonly #is64: boolean;
  #state: number;
  #counters = 0;
  #function = 0;

  constructor(seed: number, size: number, is64: boolean) {
    this.#state = (seed | 1) >>> 0;
    this.#size = size;
    this.#is64 = is64;
  }

  /** A number below `bound`, by xorshift. */
  #pick(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }

  program(): Program {
    const functions: Instruction[][] = [];
    for (this.#function = 0; this.#function < 3; this.#function++) {
      this.#counters = 0;
      functions.push([...this.#statements(0, this.#size), ...this.#value(2)]);
    }
    return { is64: this.#is64, functions };
  }

  #statements(depth: number, most: number): Instruction[] {
    const out: Instruction[] = [];
    for (let n = 1 + this.#pick(most); n > 0; n--) out.push(...this.#statement(depth));
    return out;
  }

  #statement(depth: number): Instruction[] {
    const nested = depth < 4;
    switch (this.#pick(nested ? 16 : 9)) {
      case 0:
        return [...this.#value(2), i("set", 1 + this.#pick(2))];
      case 1:
        return [...this.#pointer(), i("set", LOCAL_POINTER)];
      case 2:
      case 3:
      case 4:
      case 5:
        return this.#store();
      case 6:
        return this.#pick(4) === 0 ? this.#bulk() : [i("get", 1), i("drop")];
      case 7:
        return depth > 0 ? [...this.#value(1), i("br_if", this.#pick(depth))] : [];
      case 8:
        return this.#rare();
      case 9:
      case 10:
        return [i("block"), ...this.#statements(depth + 1, 4), i("end")];
      case 11:
        return [...this.#value(1), i("if"), ...this.#statements(depth + 1, 3), i("end")];
      case 12:
        return [
          ...this.#value(1),
          i("if"),
          ...this.#statements(depth + 1, 3),
          i("else"),
          ...this.#statements(depth + 1, 3),
          i("end"),
        ];
      case 13:
      case 14:
        return this.#loop(depth);
      default:
        return this.#function === 0
          ? []
          : [...this.#value(1), i("call", this.#pick(this.#function)), i("set", 1)];
    }
  }

  #rare(): Instruction[] {
    switch (this.#pick(24)) {
      case 0:
        return [i("unreachable")];
      case 1:
        return [...this.#value(1), i("return")];
      case 2:
        return [...this.#value(1), ...this.#value(1), i("div_u"), i("drop")];
      case 3:
        return this.#is64 ? [] : [i("const", 1), i("grow"), i("drop")];
      default:
        return [...this.#value(1), i("set", 2)];
    }
  }

  #loop(depth: number): Instruction[] {
    if (this.#counters >= COUNTERS) return [];
    const counter = FIRST_COUNTER + this.#counters++;
    const turns = 1 + this.#pick(6);
    return [
      i("const", turns),
      i("set", counter),
      i("loop"),
      ...this.#statements(depth + 1, 4),
      i("get", LOCAL_POINTER),
      ...(this.#is64
        ? [i("const64", 1 + this.#pick(4000)), i("add64")]
        : [i("const", 1 + this.#pick(4000)), i("add")]),
      i("set", LOCAL_POINTER),
      i("get", counter),
      i("const", 1),
      i("sub"),
      i("tee", counter),
      i("br_if", 0),
      i("end"),
    ];
  }

  #value(depth: number): Instruction[] {
    switch (this.#pick(depth > 0 ? 7 : 2)) {
      case 0:
        return [i("const", this.#pick(2 ** 31))];
      case 1:
        return [i("get", this.#pick(3))];
      case 2:
        return [...this.#value(depth - 1), ...this.#value(depth - 1), i("add")];
      case 3:
        return [...this.#value(depth - 1), ...this.#value(depth - 1), i("mul")];
      case 4:
        return [...this.#value(depth - 1), ...this.#value(depth - 1), i("lt_u")];
      case 5:
        return [...this.#pointer(), i("load8", this.#pick(64))];
      default:
        return [...this.#pointer(), i("load", this.#pick(64))];
    }
  }

  /** An address that is nearly always in memory: a masked value, a constant, or the pointer local with a displacement. */
  #pointer(): Instruction[] {
    const extend = this.#is64 ? [i("extend")] : [];
    switch (this.#pick(4)) {
      case 0:
        return [...this.#value(1), i("const", MEMORY_BYTES - 1 - this.#pick(2) * 200), i("and"), ...extend];
      case 1:
        return [this.#is64 ? i("const64", this.#pick(MEMORY_BYTES)) : i("const", this.#pick(MEMORY_BYTES))];
      case 2:
        return [i("get", LOCAL_POINTER)];
      default:
        return [
          i("get", LOCAL_POINTER),
          ...(this.#is64
            ? [i("const64", this.#pick(600)), i("add64")]
            : [i("const", this.#pick(600)), i("add")]),
        ];
    }
  }

  #store(): Instruction[] {
    const offset = this.#pick(3) === 0 ? this.#pick(9000) : this.#pick(40);
    const op = (["store", "store8", "store16", "store64"] as const)[this.#pick(4)] ?? "store";
    const value = this.#value(1);
    return [...this.#pointer(), ...value, ...(op === "store64" ? [i("extend")] : []), i(op, offset)];
  }

  #bulk(): Instruction[] {
    const length = this.#is64 ? i("const64", this.#pick(9000)) : i("const", this.#pick(9000));
    if (this.#pick(2) === 0) return [...this.#pointer(), ...this.#value(0), length, i("fill")];
    return [...this.#pointer(), ...this.#pointer(), length, i("copy")];
  }
}

const LIMIT = 1_000_000n;
const engine = createEngine();

function check(seed: number, size: number, is64: boolean, limit: bigint): void {
  const program = new Generator(seed, size, is64).program();
  const argument = seed;
  const initial = new Uint8Array(MEMORY_BYTES);
  for (let at = 0; at < MEMORY_BYTES; at += 61) initial[at] = at % 251;
  const machine = new Machine(program, initial.slice(), limit - 9n);
  const expected = machine.run(argument);
  const compiled = compile(programText(program, argument), engine);
  for (const form of ["fast", "exact", "profile"] as const) {
    const instance = instantiate(engine, compiled, { form });
    instance.memoryBytes().set(initial);
    instance.setCounter(limit);
    let trap: WasmTrap | null = null;
    try {
      instance.call("canister_update go");
    } catch (error) {
      assert.ok(error instanceof WasmTrap, String(error));
      trap = error;
    }
    assert.equal(trap?.kind ?? "ok", expected.outcome, form);
    // In the fast form some turns of a loop may be run after the last instruction; the message is undone.
    const isLate = form === "fast" && trap?.kind === "out_of_instructions";
    if (isLate) assert.ok(instance.counter() < 0n);
    else assert.deepEqual(Buffer.compare(instance.memoryBytes(), machine.memory), 0, `${form}: memory`);
    if (trap === null) assert.equal(instance.readGlobals()[0], BigInt(expected.result >>> 0));
    // The method itself costs its entry, the constant, the call and the global.set; its run is charged first.
    if (trap?.exactCounter !== false && !isLate)
      assert.equal(instance.counter(), machine.counter, `${form}: counter`);
    const stacks = instance.takeProfile()?.stacks.map(({ instructions }) => instructions);
    // What a charge takes beyond the limit is no function's.
    const left = machine.counter > 0n ? machine.counter : 0n;
    if (stacks !== undefined)
      assert.equal(
        stacks.reduce((sum, one) => sum + one, 0n),
        limit - left,
      );
    const dirty = new Set(instance.dirtyPages());
    assert.equal(dirty.size, instance.dirtyPages().length);
    for (let page = 0; page < MEMORY_BYTES / 4096; page++) {
      const range = [page * 4096, (page + 1) * 4096] as const;
      const changed =
        Buffer.compare(instance.memoryBytes().subarray(...range), initial.subarray(...range)) !== 0;
      assert.ok(!changed || dirty.has(page), `${form}: page ${page} changed but is not dirty`);
    }
  }
}

const seeds = fc.noShrink(fc.nat(2 ** 31 - 1));
const sizes = fc.integer({ min: 1, max: 24 });
const OPTIONS = { numRuns: 120, seed: 20_261_122 };

for (const is64 of [false, true]) {
  test(`random programs agree with the reference interpreter (${is64 ? 64 : 32}-bit memory)`, () => {
    fc.assert(
      fc.property(seeds, sizes, (seed, size) => check(seed, size, is64, LIMIT)),
      OPTIONS,
    );
  });
  test(`programs that run out agree too (${is64 ? 64 : 32}-bit memory)`, () => {
    const limits = fc.integer({ min: 9, max: 3000 });
    const property = fc.property(seeds, sizes, limits, (seed, size, limit) =>
      check(seed, size, is64, BigInt(limit)),
    );
    fc.assert(property, OPTIONS);
  });
}
