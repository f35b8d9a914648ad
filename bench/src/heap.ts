/**
 * What a message and a checkpoint cost as the heap grows, at a fixed number of pages written: the same canister with 1 MiB and with
 * 1 GiB of memory, all of it in use, in turns. The small heap is the limit of the large one.
 * Run: node bench/src/heap.ts [messages] [large heap, MiB]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANONYMOUS, canisterIdFromIndex, encodeCbor } from "@orrery/base";
import { createExecution, type Execution, installGenesis, WasmRunner } from "@orrery/execution";
import { createFileDisk, inflateGzip, installFastHashes } from "@orrery/host";
import {
  CheckpointCollector,
  newState,
  openStore,
  PageArena,
  type ReplicatedState,
  type Store,
} from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";
import { percentile } from "./lib/load.ts";
import { soleSubnet } from "./lib/subnet.ts";

const MESSAGES = Number(process.argv[2] ?? 400);
const LARGE_MIB = Number(process.argv[3] ?? 1024);
const SMALL_MIB = 1;
const PAGES_WRITTEN = 16;
const CHECKPOINTS = 15;
const WASM_PAGES_PER_MIB = 16;

/** `init` writes to every 4 KiB page; `touch` to 16 of them, spread over the whole memory. */
function source(mib: number): string {
  const bytes = mib * 1024 * 1024;
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (memory ${mib * WASM_PAGES_PER_MIB})
    (global $round (mut i32) (i32.const 0))
    (func (export "canister_init") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes})))))
    (func (export "canister_update touch") (local $at i32)
      (global.set $round (i32.add (global.get $round) (i32.const 1)))
      (loop $next
        (i32.store offset=8 (local.get $at) (global.get $round))
        (local.set $at (i32.add (local.get $at) (i32.const ${bytes / PAGES_WRITTEN})))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes}))))
      (call $reply)))`;
}

interface Subject {
  readonly name: string;
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly execution: Execution;
  readonly collector: CheckpointCollector;
  readonly store: Store;
  readonly folder: string;
  readonly messageMs: number[];
  readonly checkpointMs: number[];
}

async function prepare(mib: number): Promise<Subject> {
  const toolkit = await wabt();
  const { buffer } = toolkit.parseWat("heap.wat", source(mib)).toBinary({});
  const time = 1_700_000_000_000_000_000n;
  const id = canisterIdFromIndex(1n);
  const arena = new PageArena();
  const state = newState({ subnet: soleSubnet(), time });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  const genesis = {
    id,
    controllers: [ANONYMOUS],
    cycles: 10n ** 18n,
    wasm: Uint8Array.from(buffer),
    arg: new Uint8Array(0),
  };
  installGenesis(state, runner, [genesis]);
  const folder = mkdtempSync(join(tmpdir(), "orrery-heap-"));
  const store = openStore(createFileDisk(folder), {
    networkId: new Uint8Array(32).fill(mib & 255),
    createIfMissing: true,
    salt: new Uint8Array(16).fill(1),
  });
  return {
    name: `${mib} MiB`,
    state,
    arena,
    execution: createExecution(state, { runner, arena }),
    collector: new CheckpointCollector(state, null),
    store,
    folder,
    messageMs: [],
    checkpointMs: [],
  };
}

function envelope(nonce: number, time: bigint): Uint8Array {
  const fields = new Map<string, string | bigint | Uint8Array>([
    ["request_type", "call"],
    ["sender", ANONYMOUS],
    ["ingress_expiry", time + 240_000_000_000n],
    ["canister_id", canisterIdFromIndex(1n)],
    ["method_name", "touch"],
    ["arg", new Uint8Array(0)],
    ["nonce", new Uint8Array(Float64Array.of(nonce).buffer)],
  ]);
  return encodeCbor({ content: fields });
}

/** One batch with one message; milliseconds of `applyBatch`. */
function message(subject: Subject, nonce: number): number {
  const { state, arena, execution, collector, store } = subject;
  const height = state.height + 1;
  const time = state.time + 1_000n;
  const batch = {
    height,
    time,
    registryVersion: 1,
    randomness: new Uint8Array(32),
    ingress: [envelope(nonce, time)],
  };
  arena.advance(height);
  const start = performance.now();
  const result = execution.applyBatch(batch);
  const ms = performance.now() - start;
  if (result.answered.length !== 1) throw new Error("the message was not answered in its round");
  collector.absorb(result.delta);
  arena.reclaim(Math.min(height, collector.reclaimLimit()));
  store.appendBlocks([{ height, bytes: Uint8Array.of(1) }]);
  return ms;
}

/** Collects and writes what changed; milliseconds. */
function checkpoint(subject: Subject): number {
  const { state, arena, collector, store } = subject;
  const start = performance.now();
  store.writeCheckpoint(collector.collect(state, "delta", arena), arena);
  collector.finished();
  return performance.now() - start;
}

installFastHashes();
const subjects = [await prepare(SMALL_MIB), await prepare(LARGE_MIB)] as const;
let nonce = 0;
for (const subject of subjects) {
  for (let i = 0; i < 50; i++) message(subject, nonce++);
  console.log(
    `first checkpoint of ${subject.name.padStart(9)}: ${checkpoint(subject).toFixed(0)} ms (the whole state, once)`,
  );
}
for (let i = 0; i < MESSAGES; i++)
  for (const subject of subjects) subject.messageMs.push(message(subject, nonce++));
for (let i = 0; i < CHECKPOINTS; i++) {
  for (const subject of subjects) {
    message(subject, nonce++);
    subject.checkpointMs.push(checkpoint(subject));
  }
}
const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
const [small, large] = subjects;
const row = (what: string, a: number, b: number, target: string): void =>
  console.log(
    `${what.padEnd(28)} ${a.toFixed(3).padStart(9)} ms ${b.toFixed(3).padStart(9)} ms   ${(b / a).toFixed(2)} × ${target}`,
  );
console.log(
  `\n${PAGES_WRITTEN} pages written${"".padEnd(13)} ${small.name.padStart(12)} ${large.name.padStart(12)}   ratio`,
);
row(
  "message in applyBatch, warm",
  median(small.messageMs),
  median(large.messageMs),
  "(target: at most 1.20)",
);
row("delta checkpoint", median(small.checkpointMs), median(large.checkpointMs), "");
for (const { store, folder } of subjects) {
  store.close();
  rmSync(folder, { recursive: true });
}
