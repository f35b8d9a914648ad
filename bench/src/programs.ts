/**
 * What instrumentation costs whole programs: a Motoko actor whose collector runs, in both persistence modes, and a large module
 * (TypeScript compiled by Azle, 2 MB and more of code). Each runs the same messages as it is and instrumented, over the same
 * stand-ins for the System API, in turns; the best of some rounds counts, after the engine has optimised both.
 * Run: node bench/src/programs.ts [rounds]
 */
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { type CompiledCanister, createEngine, type Engine, IC0_IMPORTS } from "@orrery/wasm";

const ROUNDS = Number(process.argv[2] ?? 9);
const STABLE_PAGE_BYTES = 65_536;
const LIMIT = 2n ** 40n - 1n;

interface Message {
  readonly method: string;
  readonly arg: Uint8Array;
}

/** Memory and argument of the message that runs; what the System API's stand-ins work on. */
interface World {
  arg: Uint8Array;
  stable: Uint8Array;
  /** What was answered, in hexadecimal. */
  readonly replies: string[];
  write(address: number, bytes: Uint8Array): void;
  read(address: number, length: number): Uint8Array;
}

interface Program {
  run(message: Message): void;
  init(): void;
}

/** Every import answers zero but those a program cannot do without. */
function standIns(is64: boolean, world: World): Record<string, (...args: never[]) => unknown> {
  const size = (value: number): number | bigint => (is64 ? BigInt(value) : value);
  const ic0: Record<string, (...args: never[]) => unknown> = {};
  for (const [name, { results }] of IC0_IMPORTS) {
    const [result] = results;
    const wide = result === "i64" || (result === "I" && is64);
    ic0[name] = result === undefined ? () => {} : wide ? () => 0n : () => 0;
  }
  ic0["msg_arg_data_size"] = () => size(world.arg.length);
  ic0["msg_arg_data_copy"] = (to: number | bigint, from: number | bigint, length: number | bigint) =>
    world.write(Number(to), world.arg.subarray(Number(from), Number(from) + Number(length)));
  ic0["msg_reply_data_append"] = (at: number | bigint, length: number | bigint) => {
    world.replies.push(Buffer.from(world.read(Number(at), Number(length))).toString("hex"));
  };
  ic0["stable64_size"] = () => BigInt(world.stable.length / STABLE_PAGE_BYTES);
  ic0["stable64_grow"] = (pages: bigint) => {
    const before = world.stable;
    world.stable = new Uint8Array(before.length + Number(pages) * STABLE_PAGE_BYTES);
    world.stable.set(before);
    return BigInt(before.length / STABLE_PAGE_BYTES);
  };
  ic0["stable64_write"] = (to: bigint, from: bigint, length: bigint) =>
    world.stable.set(world.read(Number(from), Number(length)), Number(to));
  ic0["stable64_read"] = (to: bigint, from: bigint, length: bigint) =>
    world.write(Number(to), world.stable.subarray(Number(from), Number(from + length)));
  ic0["msg_caller_size"] = () => size(1);
  ic0["canister_self_size"] = () => size(10);
  ic0["time"] = () => 1_700_000_000_000_000_000n;
  ic0["trap"] = (at: number | bigint, length: number | bigint) => {
    throw new Error(`trapped: ${new TextDecoder().decode(world.read(Number(at), Number(length)))}`);
  };
  return ic0;
}

function plain(module: WebAssembly.Module, is64: boolean): Program {
  let memory: WebAssembly.Memory | null = null;
  const bytes = (): Uint8Array => new Uint8Array((memory as WebAssembly.Memory).buffer);
  const world: World = {
    arg: new Uint8Array(0),
    stable: new Uint8Array(0),
    replies: [],
    write: (address, data) => bytes().set(data, address),
    read: (address, length) => bytes().slice(address, address + length),
  };
  const { exports } = new WebAssembly.Instance(module, { ic0: standIns(is64, world) });
  memory = Object.values(exports).find((one) => one instanceof WebAssembly.Memory) ?? null;
  const call = (name: string): void => (exports[name] as (() => void) | undefined)?.();
  return {
    init(): void {
      world.arg = new Uint8Array(IDL.encode([], []));
      call("canister_init");
    },
    run({ method, arg }): void {
      world.arg = arg;
      call(`canister_update ${method}`);
    },
  };
}

function instrumented(engine: Engine, compiled: CompiledCanister): Program {
  const { info, image } = compiled;
  const memory = engine.memories.acquire({ is64: info.is64, pages: info.memory?.minPages ?? 0 });
  const world: World = {
    arg: new Uint8Array(0),
    stable: new Uint8Array(0),
    replies: [],
    write: (address, data) => instance.write(address, data),
    read: (address, length) => instance.memoryBytes().slice(address, address + length),
  };
  const instance = engine.instantiate(compiled, { memory, ic0: standIns(info.is64, world) });
  for (const [i, page] of image.pages.entries()) instance.write(page * 4096, image.bytes[i] as Uint8Array);
  const call = (name: string): void => {
    instance.clearDirty();
    instance.setCounter(LIMIT);
    instance.call(name);
  };
  return {
    init(): void {
      instance.setCounter(LIMIT);
      instance.start();
      world.arg = new Uint8Array(IDL.encode([], []));
      if (instance.hasExport("canister_init")) call("canister_init");
    },
    run({ method, arg }): void {
      world.arg = arg;
      call(`canister_update ${method}`);
    },
  };
}

function milliseconds(program: Program, messages: readonly Message[]): number {
  program.init();
  const start = performance.now();
  for (const message of messages) program.run(message);
  return performance.now() - start;
}

function compare(name: string, wasmGzip: Uint8Array, messages: readonly Message[]): void {
  const wasm = new Uint8Array(gunzipSync(wasmGzip));
  const engine = createEngine();
  const compiled = engine.compile(wasm);
  if (!compiled.ok) throw new Error(compiled.error.message);
  const module = new WebAssembly.Module(wasm);
  let [base, ours] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++) {
    base = Math.min(base, milliseconds(plain(module, compiled.value.info.is64), messages));
    ours = Math.min(ours, milliseconds(instrumented(engine, compiled.value), messages));
  }
  console.log(
    name.padEnd(44),
    `${(wasm.length / 1024 / 1024).toFixed(2)} MiB`.padStart(9),
    base.toFixed(1).padStart(9),
    ours.toFixed(1).padStart(9),
    (ours / base).toFixed(2).padStart(6),
  );
}

const nats = (...values: readonly number[]): Uint8Array =>
  new Uint8Array(
    IDL.encode(
      values.map(() => IDL.Nat),
      values.map(BigInt),
    ),
  );
const grow: Message = { method: "grow", arg: nats(20_000) };
const churn: Message = { method: "churn", arg: nats(200, 5_000) };
const put = (n: number): Message => ({
  method: "put",
  arg: new Uint8Array(IDL.encode([IDL.Text, IDL.Text], [`key ${n}`, "value ".repeat(20)])),
});

console.log("program                                           module  plain ms  instr ms  ratio");
for (const [mode, label] of [
  ["enhanced", "64-bit, incremental collector"],
  ["classic", "32-bit, copying collector"],
] as const) {
  const { wasmGzip } = motokoFixture("heap", mode);
  compare(`Motoko lists, ${label}`, wasmGzip, Array<Message>(15).fill(grow));
  compare(`Motoko arrays, ${label}`, wasmGzip, Array<Message>(15).fill(churn));
}
compare(
  "Azle (JavaScript engine), 1,000 puts",
  otherFixture("registry").wasmGzip,
  Array.from({ length: 1_000 }, (_, n) => put(n)),
);
