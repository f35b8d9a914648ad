/**
 * The same internalised module on four executors: the plain engine, the oracle, and this package in its two forms. Operands and
 * results pass through ports (internalise.testing.ts) as words of 64 bits.
 */
import assert from "node:assert/strict";
import {
  type CanisterInstance,
  type CompiledCanister,
  type Engine,
  type Form,
  type TrapKind,
  WasmTrap,
} from "../index.ts";
import { type Entry, type Internalised, portExport } from "./internalise.testing.ts";
import { OracleMachine } from "./machine.ts";
import { OracleTrap, type OracleTrapKind } from "./values.ts";

export type Outcome =
  | { readonly kind: "returned"; readonly words: readonly bigint[]; readonly used: bigint | null }
  | { readonly kind: "trapped"; readonly trap: string; readonly used: bigint | null }
  | { readonly kind: "exhausted"; readonly used: bigint | null };

export interface Player {
  readonly name: string;
  start(): Outcome;
  call(entry: Entry, words: readonly bigint[]): Outcome;
  memory(): Uint8Array;
}

/** The package's names for the traps of the core specification, which are the replica's: it has none for a null entry. */
export const TRAP_KINDS: Readonly<Record<string, TrapKind>> = {
  unreachable: "unreachable",
  "out of bounds memory access": "heap_out_of_bounds",
  "out of bounds table access": "table_out_of_bounds",
  "undefined element": "table_out_of_bounds",
  "uninitialized element": "other",
  "indirect call type mismatch": "bad_signature",
  "integer divide by zero": "integer_division_by_zero",
  "integer overflow": "other",
  "invalid conversion to integer": "other",
  "call stack exhausted": "stack_overflow",
  "out of instructions": "out_of_instructions",
} satisfies Record<OracleTrapKind, TrapKind>;

const LIMIT = 1_000_000_000_000n;

export class PlainPlayer implements Player {
  readonly name = "plain";
  readonly #module: Internalised;
  readonly #exports: Record<string, unknown>;
  /** The start function runs when the module is instantiated. */
  readonly #started: Outcome;

  constructor(module: Internalised) {
    this.#module = module;
    let exports: Record<string, unknown> = {};
    this.#started = this.#outcome([], () => {
      exports = new WebAssembly.Instance(new WebAssembly.Module(module.wasm)).exports;
    });
    this.#exports = exports;
  }

  start(): Outcome {
    return this.#started;
  }

  call(entry: Entry, words: readonly bigint[]): Outcome {
    return this.#outcome(words, () => (this.#exports[entry.method] as () => void)());
  }

  #outcome(words: readonly bigint[], run: () => void): Outcome {
    for (const [i, word] of words.entries()) this.#port(i).value = BigInt.asIntN(64, word);
    try {
      run();
      const results = this.#exports === undefined ? [] : this.#results();
      return { kind: "returned", words: results, used: null };
    } catch (error) {
      if (error instanceof RangeError) return { kind: "exhausted", used: null };
      if (error instanceof WebAssembly.RuntimeError)
        return { kind: "trapped", trap: error.message, used: null };
      throw error;
    }
  }

  memory(): Uint8Array {
    throw new Error("a plain module's memory need not be exported");
  }

  #results(): bigint[] {
    return Array.from({ length: this.#module.ports }, (_, i) =>
      BigInt.asUintN(64, this.#port(i).value as bigint),
    );
  }

  #port(i: number): WebAssembly.Global {
    return this.#exports[portExport(i)] as WebAssembly.Global;
  }
}

export class OraclePlayer implements Player {
  readonly name = "oracle";
  readonly #module: Internalised;
  readonly #machine: OracleMachine;

  constructor(module: Internalised) {
    this.#module = module;
    this.#machine = new OracleMachine(module.wasm, { callDepthMax: 1200 });
  }

  start(): Outcome {
    return this.#outcome([], () => this.#machine.start());
  }

  call(entry: Entry, words: readonly bigint[]): Outcome {
    return this.#outcome(words, () => this.#machine.call(entry.method));
  }

  memory(): Uint8Array {
    return this.#machine.memories[0]?.bytes ?? new Uint8Array(0);
  }

  #outcome(words: readonly bigint[], run: () => void): Outcome {
    const machine = this.#machine;
    const { firstPort, ports } = this.#module;
    for (const [i, word] of words.entries()) machine.globals[firstPort + i] = BigInt.asIntN(64, word);
    machine.counter = LIMIT;
    const used = (): bigint => LIMIT - machine.counter;
    try {
      run();
    } catch (error) {
      if (error instanceof RangeError) return { kind: "exhausted", used: null };
      if (!(error instanceof OracleTrap)) throw error;
      if (error.kind === "call stack exhausted") return { kind: "exhausted", used: null };
      return { kind: "trapped", trap: error.kind, used: used() };
    }
    const results = machine.globals.slice(firstPort, firstPort + ports);
    return {
      kind: "returned",
      words: results.map((word) => BigInt.asUintN(64, word as bigint)),
      used: used(),
    };
  }
}

export class CanisterPlayer implements Player {
  readonly name: string;
  readonly #ports: number;
  readonly #instance: CanisterInstance;

  constructor(module: Internalised, form: Form, engine: Engine, compiled: CompiledCanister) {
    this.name = form;
    this.#ports = module.ports;
    const { memory: declared } = compiled.info;
    const memory =
      declared === null ? null : engine.memories.acquire({ is64: declared.is64, pages: declared.minPages });
    this.#instance = engine.instantiate(compiled, { memory, ic0: {}, form });
    for (const [i, page] of compiled.image.pages.entries())
      this.#instance.write(page * 4096, compiled.image.bytes[i] as Uint8Array);
  }

  start(): Outcome {
    return this.#outcome([], () => this.#instance.start());
  }

  call(entry: Entry, words: readonly bigint[]): Outcome {
    return this.#outcome(words, () => this.#instance.call(entry.method));
  }

  memory(): Uint8Array {
    return this.#instance.memoryBytes();
  }

  #outcome(words: readonly bigint[], run: () => void): Outcome {
    const instance = this.#instance;
    if (words.length > 0) {
      // The ports are the last of the mutable globals.
      const globals = instance.readGlobals();
      globals.splice(globals.length - this.#ports, words.length, ...words);
      instance.writeGlobals(globals);
    }
    instance.clearDirty();
    instance.setCounter(LIMIT);
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof WasmTrap, `${this.name}: ${error}`);
      const used = error.exactCounter ? LIMIT - instance.counter() : null;
      if (error.kind === "stack_overflow") return { kind: "exhausted", used: null };
      return { kind: "trapped", trap: error.kind, used };
    }
    return {
      kind: "returned",
      words: instance.readGlobals().slice(-this.#ports),
      used: LIMIT - instance.counter(),
    };
  }
}

/** How the outcomes differ from each other; the plain engine's NaNs may have any bits. */
export function disagreement(players: readonly Player[], outcomes: readonly Outcome[]): string | null {
  const [plain, oracle, ...ours] = outcomes as [Outcome, Outcome, ...Outcome[]];
  if (plain.kind !== oracle.kind) return `plain ${plain.kind}, oracle ${oracle.kind}`;
  for (const [i, outcome] of ours.entries()) {
    const name = players[i + 2]?.name;
    if (outcome.kind !== oracle.kind) return `${name} ${outcome.kind}, oracle ${oracle.kind}`;
    if (oracle.kind === "trapped" && outcome.kind === "trapped" && !sameTrap(oracle.trap, outcome))
      return `${name} trapped with ${outcome.trap}, oracle ${oracle.trap}`;
    if (oracle.kind === "returned" && outcome.kind === "returned") {
      const at = oracle.words.findIndex((word, k) => word !== outcome.words[k]);
      if (at >= 0)
        return `${name} word ${at} ${outcome.words[at]?.toString(16)}, oracle ${oracle.words[at]?.toString(16)}`;
    }
    // Where the stack ends differs: the oracle counts calls.
    if (oracle.kind !== "exhausted" && outcome.used !== null && outcome.used !== oracle.used)
      return `${name} used ${outcome.used}, oracle ${oracle.used}`;
  }
  return null;
}

/** In the fast form a trap's kind may not be final; then only that there is one counts. */
function sameTrap(oracle: string, outcome: Outcome & { kind: "trapped" }): boolean {
  return outcome.used === null || TRAP_KINDS[oracle] === outcome.trap;
}
