/**
 * What it costs to bring back a canister whose live instance was dropped, with all of its 1 MiB of memory in use: from pages in memory,
 * and from pages on the disk (in the system's cache). And what it costs to undo a message, by the size of the heap. The limits, in the
 * same run: a plain WebAssembly instance over a copy of 1 MiB, and the same message that ends well. In processor time of the thread; ends
 * with 1 when a target is missed.
 * Run: node bench/src/rebuild.ts [repetitions]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANONYMOUS, canisterIdFromIndex, principalKey } from "@orrery/base";
import { installGenesis, type MessageContext, QUEUE_CAPACITY, WasmRunner } from "@orrery/execution";
import { createFileDisk, inflateGzip, installFastHashes } from "@orrery/host";
import {
  type CanisterState,
  CheckpointCollector,
  ColdPages,
  newState,
  openStore,
  PageArena,
  type ReplicatedState,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";
import { Gate } from "./lib/gate.ts";
import { percentile } from "./lib/load.ts";
import { soleSubnet } from "./lib/subnet.ts";
import { threadMilliseconds } from "./lib/thread-clock.ts";

const REPETITIONS = Number(process.argv[2] ?? 400);
const CANISTERS = 40;
const REBUILD_MS_MAX = 1;
const gate = new Gate();
const MIB = 1 << 20;
const LARGE_MIB = 256;
const PAGES_WRITTEN = 16;

/** `touch` adds one at the beginning of 16 pages, and then traps when its argument is not empty. */
function source(mib: number): string {
  const bytes = mib * MIB;
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_arg_data_size" (func $size (result i32)))
    (memory ${mib * 16})
    (func (export "canister_init") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes})))))
    (func (export "canister_update touch") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const ${bytes / PAGES_WRITTEN})))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes}))))
      (if (call $size) (then (unreachable)))
      (call $reply))
    (func (export "canister_update nothing") (call $reply)))`;
}

interface Subject {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly canisters: readonly CanisterState[];
  runner(instancesMax: number): WasmRunner;
}

const toolkit = await wabt();
installFastHashes();
const folder = mkdtempSync(join(tmpdir(), "orrery-rebuild-"));

function prepare(name: string, mib: number, count: number, hotPagesMax?: number): Subject {
  const disk = createFileDisk(folder);
  const arena = new PageArena({ cold: new ColdPages(disk), hotPagesMax });
  const state = newState({ subnet: soleSubnet(), time: 1_700_000_000_000_000_000n });
  const runner = (instancesMax: number): WasmRunner =>
    new WasmRunner({
      engine: createEngine(),
      pages: arena,
      modules: state.blobs,
      inflate: inflateGzip,
      instancesMax,
    });
  const wasm = Uint8Array.from(toolkit.parseWat(name, source(mib)).toBinary({}).buffer);
  const genesis = Array.from({ length: count }, (_, i) => ({
    id: canisterIdFromIndex(BigInt(i)),
    controllers: [ANONYMOUS],
    cycles: 10n ** 18n,
    wasm,
    arg: new Uint8Array(0),
  }));
  installGenesis(state, runner(1), genesis);
  // Each canister has its own pages, as after a life of its own.
  const writer = runner(1);
  for (const canister of state.canisters.values()) {
    for (const [index, id] of [...canister.memory.heap.entries()]) {
      const page = arena.view(id).slice();
      page[8] = Number(BigInt(canister.meta.id[7] as number)) + 1;
      arena.retire(canister.memory.heap.set(index, arena.allocate(page)));
    }
    canister.memory.heap.takeDelta();
    writer.evict(canister.meta.id);
  }
  arena.advance(1);
  const canisters = genesis.map(({ id }) => state.canisters.get(principalKey(id)) as CanisterState);
  return { state, arena, canisters, runner };
}

const context = (state: ReplicatedState): MessageContext => ({
  subnet: state.subnet,
  time: state.time,
  caller: ANONYMOUS,
  callerInfo: null,
  deadline: 0n,
  cyclesAvailable: 0n,
  cyclesRefunded: 0n,
  canRespond: true,
  instructionLimit: 1_000_000_000n,
  contextInstructions: 0n,
  dataCertificate: null,
  subnetMemoryAvailable: 1n << 40n,
  requestSlots: () => QUEUE_CAPACITY,
});

function median(action: (i: number) => void, repetitions = REPETITIONS): number {
  for (let i = 0; i < 50; i++) action(i);
  const ms: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    const start = threadMilliseconds();
    action(i);
    ms.push(threadMilliseconds() - start);
  }
  return percentile(
    ms.sort((a, b) => a - b),
    0.5,
  );
}

function call(runner: WasmRunner, subject: Subject, which: number, method: string, traps: boolean): void {
  const canister = subject.canisters[which % subject.canisters.length] as CanisterState;
  const entry = { kind: "update", method, arg: new Uint8Array(traps ? 1 : 0) } as const;
  const { error } = runner.execute(canister, entry, context(subject.state));
  if ((error !== null) !== traps) throw new Error(error?.message ?? "the message did not trap");
}

const small = prepare("small.wat", 1, CANISTERS);
const plainSource = `(module (import "m" "m" (memory 16)) (func (export "nothing")))`;
const plain = new WebAssembly.Module(
  Uint8Array.from(toolkit.parseWat("plain.wat", plainSource).toBinary({}).buffer),
);
const memory = new WebAssembly.Memory({ initial: 16 });
const image = new Uint8Array(MIB).fill(7);
const limitMs = median(() => {
  new Uint8Array(memory.buffer).set(image);
  (new WebAssembly.Instance(plain, { m: { m: memory } }).exports["nothing"] as () => void)();
});
const roomy = small.runner(CANISTERS);
const liveMs = median((i) => call(roomy, small, i, "nothing", false));
const tight = small.runner(1);
const hotMs = median((i) => call(tight, small, i, "nothing", false));
const store = openStore(createFileDisk(folder), {
  networkId: new Uint8Array(32),
  createIfMissing: true,
  salt: new Uint8Array(16).fill(1),
});
const cold = prepare("cold.wat", 1, CANISTERS, 0);
cold.state.height = 1;
store.appendBlocks([{ height: 1, bytes: Uint8Array.of(1) }]);
const collector = new CheckpointCollector(cold.state, null);
store.writeCheckpoint(collector.collect(cold.state, "full", cold.arena), cold.arena);
collector.finished();
cold.arena.cool();
const coldRunner = cold.runner(1);
const coldMs = median((i) => call(coldRunner, cold, i, "nothing", false));
const row = (what: string, ms: number, note: string): void =>
  console.log(`${what.padEnd(58)} ${ms.toFixed(3).padStart(8)} ms  ${note}`);
row("plain instance over a copy of 1 MiB", limitMs, "(limit)");
row("message on a live instance", liveMs, "");
row(
  "message after eviction, 256 pages in memory",
  hotMs,
  `rebuild ${(hotMs - liveMs).toFixed(3)} ms (target: at most 1), ${((hotMs - liveMs) / limitMs).toFixed(2)} × limit`,
);
row(
  "message after eviction, 256 pages on the disk",
  coldMs,
  `rebuild ${(coldMs - liveMs).toFixed(3)} ms (target: at most 1), ${((coldMs - liveMs) / limitMs).toFixed(2)} × limit`,
);
gate.atMost("a canister of 1 MiB brought back from memory, ms", hotMs - liveMs, REBUILD_MS_MAX);
gate.atMost("a canister of 1 MiB brought back from the disk, ms", coldMs - liveMs, REBUILD_MS_MAX);
console.log(`${cold.arena.hotPages} hot pages, ${cold.arena.coldReads} read from the disk`);

const large = prepare("large.wat", LARGE_MIB, 1);
for (const [name, subject] of [
  ["1 MiB", small],
  [`${LARGE_MIB} MiB`, large],
] as const) {
  const runner = subject.runner(CANISTERS);
  let epoch = subject.arena.epoch;
  const next = (): void => {
    subject.arena.advance(++epoch);
    subject.arena.reclaim(epoch - 1);
  };
  const goodMs = median(() => {
    next();
    call(runner, subject, 0, "touch", false);
  });
  const undoneMs = median(() => {
    next();
    call(runner, subject, 0, "touch", true);
  });
  row(`${PAGES_WRITTEN} pages written, ${name} heap`, goodMs, "");
  row(`the same, undone`, undoneMs, `${(undoneMs / goodMs).toFixed(2)} × the same that ends well`);
}
store.close();
rmSync(folder, { recursive: true });
process.exitCode = gate.exitCode();
