/**
 * Canister code on the host's WebAssembly: compile once, instantiate over an imported memory, run messages. Synchronous, one
 * engine for each thread. An engine runs one message at a time: its instances share the page map.
 */
import { err, OrreryError, ok, type Result } from "@orrery/base";
import type { Form } from "./code-context.ts";
import { type DecodedModule, decodeModule } from "./decode.ts";
import { type InitialImage, initialImage } from "./image.ts";
import { CanisterInstance, type InstanceHooks } from "./instance.ts";
import { instrument } from "./instrument.ts";
import { MemoryPool } from "./memory-pool.ts";
import { PageMap } from "./page-map.ts";
import { InvalidModule, outgrown } from "./reader.ts";
import { STACK_BYTES } from "./stack.ts";
import type { ModuleInfo, WasmValidationError } from "./types.ts";
import { validateModule } from "./validate.ts";

/** Instructions charged at install for each operator compiled. */
export const COMPILE_INSTRUCTIONS_PER_OPERATOR = 6_000n;

/** Plain data; may be posted to other threads and used by their engines. */
export interface CompiledCanister {
  /** The module as decoded (not gzipped, not instrumented). */
  readonly wasm: Uint8Array;
  readonly info: ModuleInfo;
  /** The fast form. */
  readonly module: WebAssembly.Module;
  /** Initial memory; written by whoever installs. */
  readonly image: InitialImage;
  readonly compileInstructions: bigint;
}

export interface InstantiateOptions {
  /** Of the kind and at least the size the module declares; null when it declares none. */
  readonly memory: WebAssembly.Memory | null;
  /** The System API: every function in `info.imports`. */
  readonly ic0: Readonly<Record<string, (...args: never[]) => unknown>>;
  readonly hooks?: InstanceHooks;
  readonly form?: Form;
}

export interface EngineOptions {
  readonly stackBytes?: number;
}

export class Engine {
  readonly memories: MemoryPool = new MemoryPool();
  readonly #map: PageMap = new PageMap();
  readonly #stackBytes: number;
  readonly #exact: WeakMap<Uint8Array, WebAssembly.Module> = new WeakMap();
  readonly #profiling: WeakMap<Uint8Array, WebAssembly.Module> = new WeakMap();

  constructor(options: EngineOptions = {}) {
    this.#stackBytes = options.stackBytes ?? STACK_BYTES;
  }

  /** Validates, instruments and compiles. The bytes are kept and must not change. */
  compile(wasm: Uint8Array): Result<CompiledCanister, WasmValidationError> {
    const validated = validateModule(wasm);
    if (!validated.ok) return err(validated.error);
    const info = validated.value;
    const decoded = decodeModule(wasm);
    const module = fastForm(decoded);
    if (!module.ok) return err(module.error);
    const compiled: CompiledCanister = {
      wasm,
      info,
      module: module.value,
      image: initialImage(decoded),
      compileInstructions: COMPILE_INSTRUCTIONS_PER_OPERATOR * BigInt(info.compileOperators),
    };
    const problem = this.#probe(compiled);
    return problem === null ? ok(compiled) : err(problem);
  }

  /** Instantiates once for nothing: an element segment outside its table makes every instantiation trap. */
  #probe(compiled: CompiledCanister): WasmValidationError | null {
    const { info } = compiled;
    const pages = info.memory?.minPages ?? 0;
    const memory = info.memory === null ? null : this.memories.acquire({ is64: info.is64, pages });
    const ic0 = Object.fromEntries(info.imports.map((name) => [name, (): void => {}]));
    try {
      this.instantiate(compiled, { memory, ic0 });
      return null;
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      // The engine's own words are its version's; nothing but an element segment traps here. These are what the replica's engine says.
      const message =
        "Failed to instantiate module: wasm trap: undefined element: out of bounds table access";
      return { kind: "instantiation", message };
    } finally {
      if (memory !== null) this.memories.release(memory, info.is64, []);
    }
  }

  /** Instantiates over `memory`, which the caller has filled; the start function does not run. */
  instantiate(compiled: CompiledCanister, options: InstantiateOptions): CanisterInstance {
    const form = options.form ?? "fast";
    for (const name of compiled.info.imports) {
      if (typeof options.ic0[name] !== "function") {
        throw new OrreryError(
          "wasm_import_missing",
          `the host does not provide ic0.${name}: pass it in the ic0 record`,
        );
      }
    }
    return new CanisterInstance({
      compiled,
      module: form === "fast" ? compiled.module : this.#otherModule(compiled, form),
      form,
      memory: options.memory,
      map: this.#map,
      ic0: options.ic0,
      hooks: options.hooks ?? {},
      stackBytes: this.#stackBytes,
    });
  }

  #otherModule(compiled: CompiledCanister, form: "exact" | "profile"): WebAssembly.Module {
    const modules = form === "exact" ? this.#exact : this.#profiling;
    let module = modules.get(compiled.wasm);
    if (module === undefined) {
      module = new WebAssembly.Module(instrument(decodeModule(compiled.wasm), { form }));
      modules.set(compiled.wasm, module);
    }
    return module;
  }
}

/** Shorter bodies come nowhere near what engines take, whatever is added to them. */
const LONG_BODY_BYTES = 200_000;

/** Compiles the fast form, having made sure that a run in the exact one will not be refused. */
function fastForm(decoded: DecodedModule): Result<WebAssembly.Module, WasmValidationError> {
  try {
    const fast = instrument(decoded, { form: "fast" });
    // Calls through tables are longer in the exact form, which must be there when a message has trapped.
    if (decoded.bodies.some(({ start, end }) => end - start > LONG_BODY_BYTES))
      instrument(decoded, { form: "exact" });
    return ok(new WebAssembly.Module(fast));
  } catch (error) {
    if (error instanceof InvalidModule) return err(error.reason);
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    // Not one of the limits that are counted: the same words on every host.
    return err(outgrown("the engine does not take it").reason);
  }
}

export function createEngine(options: EngineOptions = {}): Engine {
  return new Engine(options);
}
