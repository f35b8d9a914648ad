/** Helpers of this package's tests: text to binary, and an instance over a fresh memory. */
import wabt from "wabt";
import {
  type CanisterInstance,
  type CompiledCanister,
  createEngine,
  type Engine,
  type Form,
  type InstanceHooks,
} from "./index.ts";

const toolkit = await wabt();

/** Assembles Wasm text; the module need not be valid for canisters. */
export function wat(text: string): Uint8Array {
  const features = {
    memory64: true,
    simd: true,
    tail_call: true,
    threads: true,
    exceptions: true,
    multi_value: true,
  };
  const module = toolkit.parseWat("test.wat", text, features);
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

type HostFunctions = Readonly<Record<string, (...args: never[]) => unknown>>;

export interface TestOptions {
  readonly engine?: Engine;
  readonly form?: Form;
  readonly ic0?: HostFunctions | ((instance: () => CanisterInstance) => HostFunctions);
  readonly hooks?: InstanceHooks;
}

export function compile(text: string, engine: Engine = createEngine()): CompiledCanister {
  const result = engine.compile(wat(text));
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** Compiles, instantiates and writes the initial memory. */
export function start(text: string, options: TestOptions = {}): CanisterInstance {
  const engine = options.engine ?? createEngine();
  return instantiate(engine, compile(text, engine), options);
}

export function instantiate(
  engine: Engine,
  compiled: CompiledCanister,
  options: TestOptions = {},
): CanisterInstance {
  const { memory: declared } = compiled.info;
  const memory =
    declared === null ? null : engine.memories.acquire({ is64: declared.is64, pages: declared.minPages });
  let instance: CanisterInstance | undefined;
  const ic0 =
    typeof options.ic0 === "function" ? options.ic0(() => instance as CanisterInstance) : (options.ic0 ?? {});
  instance = engine.instantiate(compiled, {
    memory,
    ic0,
    form: options.form ?? "fast",
    hooks: options.hooks ?? {},
  });
  for (const [i, page] of compiled.image.pages.entries())
    instance.write(page * 4096, compiled.image.bytes[i] as Uint8Array);
  instance.clearDirty();
  return instance;
}

const LIMIT = 1_000_000_000_000n;

/** Runs a method with a full counter; the instructions used and what was thrown. */
export function run(instance: CanisterInstance, method: string): { used: bigint; error: unknown } {
  instance.clearDirty();
  instance.setCounter(LIMIT);
  let error: unknown = null;
  try {
    instance.call(`canister_update ${method}`);
  } catch (thrown) {
    error = thrown;
  }
  return { used: LIMIT - instance.counter(), error };
}
