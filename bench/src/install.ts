/**
 * Installation through `install_code` in `applyBatch`: of a module that nobody has seen (decoded, checked, instrumented, compiled,
 * initialised), and of the same module again, in another canister. The limits: what the engine takes to compile and initialise the
 * same module as it is, and to initialise it once more. Each time gets a module that differs in a custom section, since the engine
 * remembers modules.
 * Run: node bench/src/install.ts [repetitions]
 */
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { concatBytes, encodeUleb128, MANAGEMENT_CANISTER, utf8 } from "@orrery/base";
import { motokoFixture, otherFixture } from "@orrery/canisters/fixtures";
import { installFastHashes } from "@orrery/host";
import { percentile } from "./lib/load.ts";
import { plain } from "./lib/plain-program.ts";
import { type Subnet, settle, subnetWith } from "./lib/subnet.ts";

const REPETITIONS = Number(process.argv[2] ?? 5);
const EMPTY_CANDID: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

const Create = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const Created = IDL.Record({ canister_id: IDL.Principal });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function manage(
  subnet: Subnet,
  method: string,
  type: IDL.Type,
  value: unknown,
): { ms: number; reply: Uint8Array } {
  const arg = new Uint8Array(IDL.encode([type], [value]));
  const { ms, replies } = settle(subnet, [{ canister: MANAGEMENT_CANISTER, method, arg }]);
  return { ms, reply: replies[0] as Uint8Array };
}

/** Installs in a new canister; milliseconds of the installation. */
function install(subnet: Subnet, wasm_module: Uint8Array): number {
  const { reply } = manage(subnet, "provisional_create_canister_with_cycles", Create, {
    amount: [10n ** 16n],
  });
  const [{ canister_id }] = IDL.decode([Created], reply) as unknown as [{ canister_id: CandidPrincipal }];
  const id = CandidPrincipal.fromUint8Array(canister_id.toUint8Array());
  const value = { mode: { install: null }, canister_id: id, wasm_module, arg: EMPTY_CANDID };
  return manage(subnet, "install_code", Install, value).ms;
}

/** The module with a custom section that no other one has. */
function variant(wasm: Uint8Array, which: number): Uint8Array {
  const name = utf8(`variant ${which}`);
  const body = concatBytes(encodeUleb128(BigInt(name.length)), name);
  return concatBytes(wasm, Uint8Array.of(0), encodeUleb128(BigInt(body.length)), body);
}

const median = (all: number[]): number =>
  percentile(
    all.sort((a, b) => a - b),
    0.5,
  );

/** A median, its limit and their ratio. */
function columns(all: number[], limits: number[]): string[] {
  const [ours, limit] = [median(all), median(limits)];
  return [ours.toFixed(1).padStart(9), limit.toFixed(1).padStart(7), (ours / limit).toFixed(2).padStart(6)];
}

let variants = 0;
function compare(name: string, wasmGzip: Uint8Array, is64 = false): void {
  const wasm = new Uint8Array(gunzipSync(wasmGzip));
  const subnet = subnetWith([]);
  const compiling: number[] = [];
  const initialising: number[] = [];
  const cold: number[] = [];
  const cached: number[] = [];
  for (let i = 0; i <= REPETITIONS; i++) {
    const start = performance.now();
    const compiled = new WebAssembly.Module(variant(wasm, variants++));
    plain(compiled, is64).init();
    const compileMs = performance.now() - start;
    plain(compiled, is64).init();
    const initMs = performance.now() - start - compileMs;
    const module = variant(wasm, variants++);
    const coldMs = install(subnet, module);
    const cachedMs = install(subnet, module);
    // The first time is not counted: the code that does it is cold, too.
    if (i === 0) continue;
    compiling.push(compileMs);
    initialising.push(initMs);
    cold.push(coldMs);
    cached.push(cachedMs);
  }
  console.log(
    name.padEnd(28),
    `${(wasm.length / 1024 / 1024).toFixed(2)} MiB`.padStart(9),
    ...columns(cold, compiling),
    ...columns(cached, initialising),
  );
}

installFastHashes();
console.log("program                         module   cold ms   limit  ratio cached ms   limit  ratio");
compare("Motoko counter, 64-bit", motokoFixture("counter", "enhanced").wasmGzip, true);
compare("Motoko counter, 32-bit", motokoFixture("counter", "classic").wasmGzip);
compare("Azle (JavaScript engine)", otherFixture("registry").wasmGzip);
