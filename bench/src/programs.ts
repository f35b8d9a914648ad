/**
 * What instrumentation costs whole programs: a Motoko actor whose collector runs, in both persistence modes, and a large module
 * (TypeScript compiled by Azle, 2 MB and more of code). Each runs the same messages as it is and instrumented, over the same
 * stand-ins for the System API, in turns; the best of some rounds counts, after the engine has optimised both, in processor time of the
 * thread. Ends with 1 when a target is missed that is not published as missed.
 * Run: node bench/src/programs.ts [rounds]
 */
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { prepareEngine } from "@orrery/host/engine-flags";
import { type CompiledCanister, createEngine, type Engine } from "@orrery/wasm";
import { Gate } from "./lib/gate.ts";
import { type Message, type Program, plain, standIns, type World } from "./lib/plain-program.ts";
import { threadMilliseconds } from "./lib/thread-clock.ts";

const ROUNDS = Number(process.argv[2] ?? 9);
const LIMIT = 2n ** 40n - 1n;
/** Programs with a collector, instrumented over plain. */
const RATIO_MAX = 1.35;
const AZLE = "Azle (JavaScript engine), 1,000 puts";
/** What docs/benchmarks.md says of them ("Instrumentation, by workload"). */
const gate = new Gate({ missed: { [AZLE]: 1.45 } });

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
  const start = threadMilliseconds();
  for (const message of messages) program.run(message);
  return threadMilliseconds() - start;
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
    ` ${gate.atMost(name, ours / base, RATIO_MAX)}`,
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

prepareEngine();
console.log("program                                           module  plain ms  instr ms  ratio  target");
for (const [mode, label] of [
  ["enhanced", "64-bit, incremental collector"],
  ["classic", "32-bit, copying collector"],
] as const) {
  const { wasmGzip } = motokoFixture("heap", mode);
  compare(`Motoko lists, ${label}`, wasmGzip, Array<Message>(15).fill(grow));
  compare(`Motoko arrays, ${label}`, wasmGzip, Array<Message>(15).fill(churn));
}
compare(
  AZLE,
  otherFixture("registry").wasmGzip,
  Array.from({ length: 1_000 }, (_, n) => put(n)),
);
process.exitCode = gate.exitCode();
