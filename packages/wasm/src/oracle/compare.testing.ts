/**
 * One random module on four executors: the plain engine, the oracle and this package in its two forms. What must agree is in
 * `compare`: outcome, memory, globals, what imports saw (the counter too), the counter at the end and at traps, and that every
 * page that changed is marked.
 */
import assert from "node:assert/strict";
import {
  type CanisterInstance,
  type CompiledCanister,
  createEngine,
  type Engine,
  type Form,
  WasmTrap,
} from "../index.ts";
import { METHOD } from "./generate.testing.ts";
import { OracleMachine } from "./machine.ts";
import { TRAP_KINDS } from "./players.testing.ts";
import { wordsOf } from "./script.testing.ts";
import { OracleTrap, type Value } from "./values.ts";

/** Static charges of the imports that random modules have, from the text of the metering rules. */
const IMPORT_COSTS: Readonly<Record<string, number>> = {
  performance_counter: 200,
  time: 500,
  msg_arg_data_size: 500,
  debug_print: 100,
  is_controller: 1000,
  global_timer_set: 500,
  msg_reply: 500,
};

/** An exception of the host, which passes through canister code. */
class HostRefusal extends Error {}

interface Call {
  readonly name: string;
  readonly args: readonly string[];
  readonly counter: bigint;
  readonly result: Value | undefined;
}

/** What a run was. */
export interface Observation {
  readonly outcome: string;
  readonly counter: bigint;
  readonly calls: readonly Call[];
  readonly refills: number;
  readonly memory: Uint8Array;
  /** Mutable globals as words. */
  readonly globals: readonly (readonly bigint[])[];
}

export interface CompareOptions {
  readonly limit: bigint;
  /** Instructions given when there are none left, as often as this; then the run ends. */
  readonly refills: number;
}

const REFILL = 700n;

interface Meter {
  read(): bigint;
  charge(amount: number): void;
}

/** The imports with a record of their calls; what they return depends on their arguments and on the counter. */
class Host {
  readonly calls: Call[] = [];
  refills = 0;
  readonly #is64: boolean;
  readonly #meter: () => Meter;
  readonly #refillsMax: number;

  constructor(is64: boolean, meter: () => Meter, refillsMax: number) {
    this.#is64 = is64;
    this.#meter = meter;
    this.#refillsMax = refillsMax;
  }

  /** Runs an import. */
  run(name: string, args: readonly Value[]): Value | undefined {
    const counter = this.#meter().read();
    const result = this.#result(name, args, counter);
    this.calls.push({ name, args: args.map(String), counter, result });
    if (name === "debug_print")
      this.#meter().charge(Number(BigInt.asUintN(7, BigInt(args[1] as number | bigint))));
    if (name === "msg_reply" && this.calls.length % 5 === 4) throw new HostRefusal("no reply");
    return result;
  }

  #result(name: string, args: readonly Value[], counter: bigint): Value | undefined {
    if (name === "performance_counter") return BigInt.asIntN(64, 1_000_000n - counter);
    if (name === "time") return 1_700_000_000_000_000_000n + BigInt(this.calls.length);
    if (name === "msg_arg_data_size") return this.#is64 ? 77n : 77;
    if (name === "is_controller") return this.calls.length & 1;
    return name === "global_timer_set" ? BigInt(args[0] as bigint) ^ 5n : undefined;
  }

  /** Whether a run that is out of instructions goes on. */
  refill(): boolean {
    return this.refills++ < this.#refillsMax;
  }

  record(): Record<string, (...args: never[]) => Value | undefined> {
    return Object.fromEntries(
      Object.keys(IMPORT_COSTS).map((name) => [name, (...args: never[]) => this.run(name, args)]),
    );
  }
}

function onOracle(machine: OracleMachine, host: Host, limit: bigint): Observation {
  machine.counter = limit;
  let outcome = "returned";
  try {
    machine.call(METHOD);
  } catch (error) {
    if (error instanceof OracleTrap) outcome = TRAP_KINDS[error.kind] as string;
    else if (error instanceof HostRefusal) outcome = error.message;
    else throw error;
  }
  const globals = machine.module.globals.flatMap(({ mutable }, i) =>
    mutable ? [wordsOf(machine.globals[i] as Value)] : [],
  );
  const memory = machine.memories[0]?.bytes.slice() ?? new Uint8Array(0);
  return { outcome, counter: machine.counter, calls: host.calls, refills: host.refills, memory, globals };
}

function oracleFor(
  wasm: Uint8Array,
  is64: boolean,
  options: CompareOptions,
): { machine: OracleMachine; host: Host } {
  const meter: Meter = {
    read: () => machine.counter,
    charge: (amount) => machine.charge(BigInt(amount)),
  };
  const host = new Host(is64, () => meter, options.refills);
  const imports = Object.fromEntries(
    Object.keys(IMPORT_COSTS).map((name) => [
      name,
      (...args: Value[]): readonly Value[] => {
        const result = host.run(name, args);
        return result === undefined ? [] : [result];
      },
    ]),
  );
  const machine: OracleMachine = new OracleMachine(wasm, {
    imports,
    importCosts: IMPORT_COSTS,
    outOfInstructions: () => {
      while (machine.counter < 0n) {
        if (!host.refill()) throw new OracleTrap("out of instructions");
        machine.counter += REFILL;
      }
    },
  });
  return { machine, host };
}

interface OwnRun extends Observation {
  /** Counter, memory and kind are final: the message is not undone, or not in the fast form. */
  readonly isExact: boolean;
  readonly dirty: ReadonlySet<number>;
}

class OwnPlayer {
  readonly #instance: CanisterInstance;
  readonly #form: Form;
  #host: Host;
  readonly #is64: boolean;
  readonly #options: CompareOptions;

  constructor(engine: Engine, compiled: CompiledCanister, form: Form, options: CompareOptions) {
    const { info } = compiled;
    this.#form = form;
    this.#is64 = info.is64;
    this.#options = options;
    this.#host = this.#newHost();
    const pages = info.memory?.minPages ?? 0;
    const memory = info.memory === null ? null : engine.memories.acquire({ is64: info.is64, pages });
    const ic0 = Object.fromEntries(
      info.imports.map((name) => [name, (...args: never[]) => this.#host.run(name, args)]),
    );
    const instance: CanisterInstance = engine.instantiate(compiled, {
      memory,
      ic0,
      form,
      hooks: {
        outOfInstructions: () => {
          while (instance.counter() < 0n) {
            if (!this.#host.refill()) throw new WasmTrap("out_of_instructions", true);
            instance.setCounter(instance.counter() + REFILL);
          }
        },
      },
    });
    this.#instance = instance;
    for (const [i, page] of compiled.image.pages.entries())
      instance.write(page * 4096, compiled.image.bytes[i] as Uint8Array);
  }

  #newHost(): Host {
    const meter: Meter = {
      read: () => this.#instance.counter(),
      charge: (amount) => this.#instance.charge(amount),
    };
    return new Host(this.#is64, () => meter, this.#options.refills);
  }

  run(): OwnRun {
    const instance = this.#instance;
    this.#host = this.#newHost();
    instance.clearDirty();
    instance.setCounter(this.#options.limit);
    let outcome = "returned";
    let isExact = true;
    try {
      instance.call(METHOD);
    } catch (error) {
      if (error instanceof HostRefusal) outcome = error.message;
      else if (error instanceof WasmTrap) {
        outcome = error.kind;
        isExact = error.exactCounter && (this.#form === "exact" || outcome !== "out_of_instructions");
      } else throw error;
    }
    const { mutableGlobals } = instance.compiled.info;
    const globals = instance.readGlobals().map((bits, i) => {
      const low = BigInt.asUintN(64, bits);
      return mutableGlobals[i]?.type === "v128" ? [low, bits >> 64n] : [low];
    });
    const { calls, refills } = this.#host;
    const memory = instance.memoryBytes().slice();
    const dirty = new Set(instance.dirtyPages());
    return { outcome, counter: instance.counter(), calls, refills, memory, globals, isExact, dirty };
  }
}

/** What a message did by all executors that count. */
export interface Agreed {
  readonly outcome: string;
  readonly used: bigint;
}

/** Runs the module's method (twice when instances may be used again); throws where executors disagree. */
export function compare(wasm: Uint8Array, options: CompareOptions & { readonly plain: boolean }): Agreed[] {
  const engine = createEngine();
  const compiled = engine.compile(wasm);
  if (!compiled.ok) throw new Error(`refused: ${compiled.error.message}`);
  const { info } = compiled.value;
  const agreed: Agreed[] = [];
  const messages = info.freshInstancePerMessage ? 1 : 2;
  const expected: Observation[] = [];
  const { machine, host } = oracleFor(wasm, info.is64, options);
  const before: Uint8Array[] = [machine.memories[0]?.bytes.slice() ?? new Uint8Array(0)];
  for (let n = 0; n < messages; n++) {
    host.calls.length = 0;
    host.refills = 0;
    const seen = onOracle(machine, host, options.limit);
    expected.push({ ...seen, calls: [...seen.calls] });
    before.push(seen.memory);
    agreed.push({ outcome: seen.outcome, used: options.limit - seen.counter });
  }
  for (const form of ["exact", "fast"] as const) {
    const player = new OwnPlayer(engine, compiled.value, form, options);
    for (const [n, oracle] of expected.entries()) {
      const own = player.run();
      check(`${form}, message ${n}`, oracle, own, before[n] as Uint8Array);
      // A trap in the fast form ends in a roll-back.
      if (!own.isExact) break;
    }
  }
  if (options.plain && agreed[0]?.outcome === "returned") comparePlain(wasm, expected[0] as Observation);
  return agreed;
}

function check(label: string, oracle: Observation, own: OwnRun, before: Uint8Array): void {
  const pages = Math.ceil(own.memory.length / 4096);
  for (let page = 0; page < pages; page++) {
    const [start, end] = [page * 4096, (page + 1) * 4096];
    const isSame = Buffer.compare(own.memory.subarray(start, end), paddedPage(before, start)) === 0;
    assert.ok(isSame || own.dirty.has(page), `${label}: page ${page} changed but is not dirty`);
  }
  assert.deepEqual(own.calls, oracle.calls, `${label}: imports`);
  assert.equal(
    own.outcome === "returned",
    oracle.outcome === "returned",
    `${label}: ${own.outcome}, ${oracle.outcome}`,
  );
  // A trap of the engine in the fast form may come before a check that is late.
  if (own.outcome === "out_of_instructions" || own.isExact) {
    assert.equal(own.outcome, oracle.outcome, `${label}: outcome`);
    assert.equal(own.refills, oracle.refills, `${label}: out of instructions`);
  }
  if (!own.isExact) return;
  assert.equal(own.counter, oracle.counter, `${label}: counter after ${own.outcome}`);
  assert.deepEqual(own.globals, oracle.globals, `${label}: globals`);
  assert.equal(own.memory.length, oracle.memory.length, `${label}: memory size`);
  assert.equal(Buffer.compare(own.memory, oracle.memory), 0, `${label}: memory`);
}

const ZEROS = new Uint8Array(4096);

function paddedPage(memory: Uint8Array, start: number): Uint8Array {
  return start < memory.length ? memory.subarray(start, start + 4096) : ZEROS;
}

/** The plain engine, with the results that the imports gave to the oracle. */
function comparePlain(wasm: Uint8Array, oracle: Observation): void {
  let next = 0;
  const ic0 = Object.fromEntries(
    Object.keys(IMPORT_COSTS).map((name) => [name, () => oracle.calls[next++]?.result as never]),
  );
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), { ic0 });
  (instance.exports[METHOD] as () => void)();
  assert.equal(next, oracle.calls.length, "plain: imports");
  const exported = instance.exports["memory"] as WebAssembly.Memory | undefined;
  const memory = new Uint8Array(exported?.buffer ?? new ArrayBuffer(0));
  assert.equal(Buffer.compare(memory, oracle.memory), 0, "plain: memory");
}
