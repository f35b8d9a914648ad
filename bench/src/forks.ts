/**
 * What a copy of a node's network costs, by the size of its state: `createNetwork({ from })` on the directory of a running network, with a
 * canister of 1 MiB as the limit of larger ones; then the first call in the copy, and a copy right after the network was called, which it
 * writes down first. Fails when a copy, at rest or right after calls, takes more than 100 ms of processor time, whatever its size.
 * Run: node bench/src/forks.ts [size, MiB ...]
 */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { pinNetwork } from "@orrery/host/kept-stores";
import { openNewest, type PinnedStore } from "@orrery/state";
import { createNetwork, type Network } from "ic-orrery";
import { CanisterClient } from "./lib/canister-client.ts";
import { Gate } from "./lib/gate.ts";
import { heapModule } from "./lib/heap-module.ts";
import { percentile } from "./lib/load.ts";
import { type RunningNetwork, startNetwork } from "./lib/network.ts";

const GIVEN = process.argv.slice(2).map(Number);
const SIZES: readonly number[] = GIVEN.length > 0 ? GIVEN : [1, 100, 2048];
const RUNS = 15;
const CALL_RUNS = 3;
const CALLS = 500;
const BUSY_RUNS = 5;
const LIMIT_MS = 100;
const gate = new Gate({ missed: { "copy right after calls, 2048 MiB": 158 } });
/** As much is run again where it is needed, in no time. */
const SMALL_MIB = 1;
const MIB: number = 1024 * 1024;
const MANAGEMENT = "aaaaa-aa";
const CREATE: Uint8Array = new Uint8Array(IDL.encode([IDL.Record({})], [{}]));
const CREATED = IDL.Record({ canister_id: IDL.Principal });
const INSTALL = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

/** A canister of that size on the network; its id. */
async function fill(network: RunningNetwork, mib: number): Promise<string> {
  const client = new CanisterClient(network);
  const manage = (effective: string, method: string, arg: Uint8Array): Promise<Uint8Array> =>
    client.one({ kind: "call", canisterId: MANAGEMENT, effective, method, arg });
  const near = network.defaultEffectiveCanisterId;
  const reply = await manage(near, "provisional_create_canister_with_cycles", CREATE);
  const [{ canister_id }] = IDL.decode([CREATED], reply) as unknown as [
    { readonly canister_id: CandidPrincipal },
  ];
  const code = {
    mode: { install: null },
    canister_id,
    wasm_module: await heapModule(mib),
    arg: new Uint8Array(),
  };
  await manage(near, "install_code", new Uint8Array(IDL.encode([INSTALL], [code])));
  return canister_id.toText();
}

interface Kept {
  /** Rounds that a copy has to run again. */
  readonly behind: number;
  /** Of the checkpoint, in its files. */
  readonly bytes: number;
}

/** What the network has written down. */
function keptBy({ stateDir }: RunningNetwork): Kept {
  const pinned = pinNetwork(stateDir);
  try {
    const store = pinned.stores[1] as PinnedStore;
    const { loaded, last } = openNewest(store, { hotPagesMax: 0 });
    return { behind: last - (loaded?.info.height ?? 0), bytes: loaded?.info.chainBytes ?? 0 };
  } finally {
    pinned.close();
  }
}

/** Until the network has written down what takes long to run again. */
async function rest(network: RunningNetwork, mib: number): Promise<void> {
  while (mib > SMALL_MIB && keptBy(network).bytes < mib * MIB)
    await new Promise((resolve) => setTimeout(resolve, 500));
}

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function timed<T>(what: () => Promise<T> | T): Promise<Cost & { readonly value: T }> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  const value = await what();
  const wallMs = performance.now() - wall;
  const { user, system } = process.cpuUsage(cpu);
  return { value, wallMs, cpuMs: (user + system) / 1_000 };
}

function median(costs: readonly Cost[], of: keyof Cost): number {
  const values = costs.map((cost) => cost[of]).sort((a, b) => a - b);
  return percentile(values, 0.5);
}

function told(what: string, costs: readonly Cost[]): number {
  const [cpu, wall] = [median(costs, "cpuMs"), median(costs, "wallMs")];
  console.log(
    `${what.padEnd(44)} ${cpu.toFixed(1).padStart(7)} ms processor, ${wall.toFixed(1).padStart(7)} ms wall`,
  );
  return cpu;
}

async function measure(mib: number): Promise<void> {
  const network = await startNetwork();
  try {
    const canisterId = await fill(network, mib);
    await rest(network, mib);
    const from = network.stateDir;
    const copy = (): Promise<Network> => createNetwork({ from });
    const touch = { canisterId, method: "touch", arg: new Uint8Array() };
    const [copies, calls, again]: [Cost[], Cost[], Cost[]] = [[], [], []];
    for (let i = 0; i < RUNS; i++) {
      const made = await timed(copy);
      copies.push(made);
      const fork = await timed(() => made.value.fork());
      again.push(fork);
      await Promise.all([made.value.stop(), fork.value.stop()]);
    }
    // Apart: giving a large memory back takes time as well.
    for (let i = 0; i < CALL_RUNS; i++) {
      const made = await copy();
      calls.push(await timed(() => made.update(touch)));
      await made.stop();
    }
    const cpu = told(`copy of a network with ${mib} MiB`, copies);
    told("  copy of the copy", again);
    told("  first call in it", calls);
    const client = new CanisterClient(network);
    const busy: Cost[] = [];
    let [before, after] = [0, 0];
    for (let i = 0; i < BUSY_RUNS; i++) {
      for (let call = 0; call < CALLS; call++) await client.one({ kind: "call", ...touch });
      before = keptBy(network).behind;
      const late = await timed(copy);
      after = keptBy(network).behind;
      busy.push(late);
      await late.value.stop();
    }
    const busyCpu = told(`  copy right after ${CALLS} calls`, busy);
    console.log(`    rounds since the checkpoint before it and after it: ${before}, ${after}`);
    gate.atMost(`copy of a network with ${mib} MiB`, cpu, LIMIT_MS);
    gate.atMost(`copy right after calls, ${mib} MiB`, busyCpu, LIMIT_MS);
  } finally {
    await network.stop();
  }
}

const first = await timed(() => createNetwork());
await first.value.stop();
told("the first network of a program, for comparison", [first]);
for (const mib of SIZES) await measure(mib);
process.exitCode = gate.exitCode({ everythingRan: GIVEN.length === 0 });
