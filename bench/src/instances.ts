/**
 * What networks in one place cost: making one, the memory that it takes and gives back, an idle round, copies of large ones, and networks
 * of the library after the first. The limits are those that the library promises, in processor time of the thread, since other
 * programs take their turns; a run that breaks one ends with 1.
 * Run: node --expose-gc bench/src/instances.ts [heap of the large network, MiB] [canisters of the populous network]
 */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId, MANAGEMENT_CANISTER, principalFromText } from "@orrery/base";
import { createMclBls } from "@orrery/crypto/mcl";
import { createNodeSigner, inflateGzip, installFastHashes, nodePublicKeyDer } from "@orrery/host";
import {
  createInstance,
  type Instance,
  type InstanceHost,
  SharedEngine,
  type SubnetKind,
} from "@orrery/sim/instance";
import { createNetwork } from "ic-orrery";
import { heapModule } from "./lib/heap-module.ts";

const LARGE_MIB = Number(process.argv[2] ?? 1024);
const POPULATION = Number(process.argv[3] ?? 1_000);
const RUNS = 15;
const KEPT = 40;
const IDLE_ROUNDS = 500;
const MIB: number = 1024 * 1024;
const GENESIS = 1_620_328_630_000_000_000n;
const SEVEN: readonly SubnetKind[] = ["nns", "sns", "ii", "fiduciary", "bitcoin", "system", "application"];

installFastHashes();
const host: InstanceHost = {
  bls: await createMclBls(),
  inflate: inflateGzip,
  ed25519PublicKeyDer: nodePublicKeyDer,
  ed25519Signer: createNodeSigner,
  engine: new SharedEngine(),
};
const make = (kinds: readonly SubnetKind[]): Instance =>
  createInstance({
    topology: kinds.map((kind) => ({ kind })),
    seed: new Uint8Array(32),
    time: GENESIS,
    host,
  });

function cpuMs(what: () => void): number {
  const before = process.threadCpuUsage();
  what();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

function collect(): void {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
}

function memory(): number {
  collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

const resident = (): number => {
  collect();
  return process.memoryUsage.rss();
};

let broken = 0;

function told(what: string, value: number, unit: string, limit: number | null): void {
  const text = limit === null ? "" : `, at most ${limit}: ${value <= limit ? "met" : "MISSED"}`;
  if (limit !== null && value > limit) broken++;
  console.log(`${what}: ${value.toFixed(value < 10 ? 2 : 1)} ${unit}${text}`);
}

const candid = (type: IDL.Type, value: unknown): Uint8Array => new Uint8Array(IDL.encode([type], [value]));

function manage(instance: Instance, method: string, arg: Uint8Array): Uint8Array {
  const submitted = instance.submitIngress({
    sender: ANONYMOUS,
    canisterId: MANAGEMENT_CANISTER,
    method,
    arg,
  });
  if (!submitted.ok) throw new Error(submitted.error.message);
  const answer = instance.awaitIngress(submitted.value);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

const Creation = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const Created = IDL.Record({ canister_id: IDL.Principal });
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function install(instance: Instance, wasm: Uint8Array): CanisterId {
  const reply = manage(
    instance,
    "provisional_create_canister_with_cycles",
    candid(Creation, { amount: [10n ** 18n] }),
  );
  const [{ canister_id }] = IDL.decode([Created], reply) as unknown as [{ readonly canister_id: Principal }];
  const code = { mode: { install: null }, canister_id, wasm_module: wasm, arg: new Uint8Array(0) };
  manage(instance, "install_code", candid(Install, code));
  return principalFromText(canister_id.toText());
}

function creation(): void {
  make(["application"]).dispose();
  for (const kinds of [["application"], SEVEN] as const) {
    const all = cpuMs(() => {
      for (let i = 0; i < RUNS; i++) make(kinds).dispose();
    });
    const name = `a network of ${kinds.length} subnet${kinds.length === 1 ? "" : "s"}`;
    told(name, all / RUNS, "ms", 50);
    const before = memory();
    const kept = Array.from({ length: KEPT }, () => make(kinds));
    told(`  memory of one of ${KEPT}`, (memory() - before) / KEPT / MIB, "MiB", 5);
    const [one] = kept as [Instance];
    told(
      "  an idle round",
      cpuMs(() => {
        for (let i = 0; i < IDLE_ROUNDS; i++) one.tick();
      }) / IDLE_ROUNDS,
      "ms",
      null,
    );
    for (const instance of kept) instance.dispose();
    kept.length = 0;
    told("  left of it when deleted", Math.max(0, (memory() - before) / KEPT / MIB), "MiB", 0.1);
  }
}

async function withCanister(): Promise<void> {
  const wasm = await heapModule(1);
  install(make(["application"]), wasm);
  const before = resident();
  const kept = Array.from({ length: KEPT }, () => {
    const instance = make(["application"]);
    install(instance, wasm);
    return instance;
  });
  told(
    "resident memory of a network with a canister of 1 MiB",
    (resident() - before) / KEPT / MIB,
    "MiB",
    null,
  );
  for (const instance of kept) instance.dispose();
}

async function forks(): Promise<void> {
  for (const mib of [1, LARGE_MIB]) {
    const instance = make(["application"]);
    install(instance, await heapModule(mib));
    const copies = (): void => {
      for (let i = 0; i < RUNS; i++) instance.fork().dispose();
    };
    told(`a copy of a network with ${mib} MiB of heap, made and deleted`, cpuMs(copies) / RUNS, "ms", 100);
    instance.dispose();
  }
  const populous = make(["application"]);
  const wasm = await heapModule(1);
  for (let i = 0; i < POPULATION; i++) install(populous, wasm);
  const copies = (): void => {
    for (let i = 0; i < RUNS; i++) populous.fork().dispose();
  };
  told(`a copy of a network with ${POPULATION} canisters, made and deleted`, cpuMs(copies) / RUNS, "ms", 100);
  populous.dispose();
}

async function library(): Promise<void> {
  const started = performance.now();
  await (await createNetwork()).stop();
  told("the library's first network (wall time)", performance.now() - started, "ms", null);
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const begun = performance.now();
    const network = await createNetwork();
    times.push(performance.now() - begun);
    await network.stop();
  }
  told(`every other, best of ${RUNS} (wall time)`, Math.min(...times), "ms", 20);
}

creation();
await withCanister();
await forks();
await library();
process.exitCode = broken > 0 ? 1 : 0;
