/**
 * What a copy of a node's network costs, by the size of its state: `createNetwork({ from })` on the directory of a running network, with a
 * canister of 1 MiB as the limit of larger ones; then the first call in the copy, and a copy right after the network was called, which runs
 * those messages again. Fails when a copy of a network at rest takes more than 100 ms of processor time, whatever its size.
 * Run: node bench/src/forks.ts [size, MiB ...]
 */
import { IDL } from "@icp-sdk/core/candid";
import type { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CborMap, decodeCbor, utf8 } from "@orrery/base";
import { decodeCertificate, listLabels, lookupPath, lookupSubtree } from "@orrery/crypto";
import { pinNetwork } from "@orrery/host/kept-stores";
import { openNewest, type PinnedStore } from "@orrery/state";
import { createNetwork, type Network } from "ic-orrery";
import wabt from "wabt";
import { percentile } from "./lib/load.ts";
import { type RunningNetwork, startNetwork } from "./lib/network.ts";
import { signedEnvelope } from "./lib/requests.ts";

const GIVEN = process.argv.slice(2).map(Number);
const SIZES: readonly number[] = GIVEN.length > 0 ? GIVEN : [1, 100, 2048];
const RUNS = 15;
const CALL_RUNS = 3;
const CALLS = 500;
const LIMIT_MS = 100;
/** As much is run again where it is needed, in no time. */
const SMALL_MIB = 1;
const MIB: number = 1024 * 1024;
const WASM_PAGES_PER_MIB = 16;
const MANAGEMENT = "aaaaa-aa";
const CREATE: Uint8Array = new Uint8Array(IDL.encode([IDL.Record({})], [{}]));
const CREATED = IDL.Record({ canister_id: IDL.Principal });
const INSTALL = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

/** Writes to every 4 KiB page of so many MiB; `touch` to one. */
function source(mib: number): string {
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (memory ${mib * WASM_PAGES_PER_MIB})
    (func (export "canister_init") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${mib * MIB})))))
    (func (export "canister_update touch")
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $reply)))`;
}

/** What one call was replied with. */
async function call(
  network: RunningNetwork,
  asked: {
    readonly canisterId: string;
    readonly near: string;
    readonly method: string;
    readonly arg: Uint8Array;
  },
): Promise<Uint8Array> {
  const body = signedEnvelope({ kind: "call", nonce: nonce++, ...asked });
  const url = `http://127.0.0.1:${network.port}/api/v4/canister/${asked.near}/call`;
  for (;;) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/cbor" },
      body,
    });
    // Still under way: asked again, it is the same call.
    if (answer.status === 202) continue;
    const document = decodeCbor(new Uint8Array(await answer.arrayBuffer())) as CborMap;
    if (document.get("status") !== "replied") throw new Error(`${asked.method}: ${[...document].join()}`);
    const certificate = decodeCertificate(document.get("certificate") as Uint8Array);
    if (!certificate.ok) throw new Error(certificate.error.message);
    const { tree } = certificate.value;
    const requests = lookupSubtree(tree, [utf8("request_status")]);
    const [id] = requests.kind === "found" ? listLabels(requests.value) : [];
    const reply = lookupPath(tree, [utf8("request_status"), id ?? new Uint8Array(), utf8("reply")]);
    if (reply.kind !== "found") throw new Error(`${asked.method} was not replied to`);
    return reply.value;
  }
}
let nonce = 0;

/** A canister of that size on the network; its id. */
async function fill(network: RunningNetwork, mib: number): Promise<string> {
  const near = network.defaultEffectiveCanisterId;
  const method = "provisional_create_canister_with_cycles";
  const reply = await call(network, { canisterId: MANAGEMENT, near, method, arg: CREATE });
  const [{ canister_id }] = IDL.decode([CREATED], reply) as unknown as [
    { readonly canister_id: CandidPrincipal },
  ];
  const wasm = (await wabt()).parseWat("heap.wat", source(mib)).toBinary({}).buffer;
  const arg = IDL.encode(
    [INSTALL],
    [{ mode: { install: null }, canister_id, wasm_module: wasm, arg: new Uint8Array() }],
  );
  await call(network, { canisterId: MANAGEMENT, near, method: "install_code", arg: new Uint8Array(arg) });
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

async function measure(mib: number): Promise<boolean> {
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
    for (let i = 0; i < CALLS; i++) await call(network, { ...touch, near: canisterId });
    const rounds = keptBy(network).behind;
    const late = await timed(copy);
    await late.value.stop();
    told(`  copy with ${rounds} rounds to run again`, [late]);
    return cpu <= LIMIT_MS;
  } finally {
    await network.stop();
  }
}

const first = await timed(() => createNetwork());
await first.value.stop();
told("the first network of a program, for comparison", [first]);
let isMet = true;
for (const mib of SIZES) isMet = (await measure(mib)) && isMet;
console.log(`at most ${LIMIT_MS} ms of processor time whatever the size: ${isMet ? "met" : "MISSED"}`);
if (!isMet) process.exitCode = 1;
