/**
 * What a message, a query and a checkpoint cost as the heap grows, at a fixed number of pages written or read: the same canister with
 * 1 MiB and with 1 GiB of memory, all of it in use, in turns. The small heap is the limit of the large one. In processor time of the
 * thread; ends with 1 when a target is missed.
 * Run: node bench/src/heap.ts [messages] [large heap, MiB]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANONYMOUS, canisterIdFromIndex, encodeCbor } from "@orrery/base";
import {
  CertifiedView,
  createExecution,
  type Execution,
  installGenesis,
  WasmRunner,
} from "@orrery/execution";
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
import { Gate } from "./lib/gate.ts";
import { gathered } from "./lib/gathered.ts";
import { percentile } from "./lib/load.ts";
import { soleSubnet } from "./lib/subnet.ts";
import { threadMilliseconds } from "./lib/thread-clock.ts";

const MESSAGES = Number(process.argv[2] ?? 400);
const LARGE_MIB = Number(process.argv[3] ?? 1024);
const SMALL_MIB = 1;
const PAGES_WRITTEN = 16;
const CHECKPOINTS = 15;
const WASM_PAGES_PER_MIB = 16;
/** What the large heap may cost more. */
const RATIO_MAX = 1.2;
const certification = { signature: new Uint8Array(48), delegation: null };

/** `init` writes to every 4 KiB page; `touch` to 16 of them, spread over the whole memory, `look` reads those, `scratch` writes them for nothing. */
function source(mib: number): string {
  const bytes = mib * 1024 * 1024;
  return `(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (memory ${mib * WASM_PAGES_PER_MIB})
    (global $round (mut i32) (i32.const 0))
    (func (export "canister_init") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes})))))
    (func (export "canister_query look") (local $at i32)
      (loop $next
        (call $append (i32.add (local.get $at) (i32.const 8)) (i32.const 4))
        (local.set $at (i32.add (local.get $at) (i32.const ${bytes / PAGES_WRITTEN})))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes}))))
      (call $reply))
    (func (export "canister_query scratch") (local $at i32)
      (loop $next
        (i32.store offset=8 (local.get $at) (i32.const -1))
        (local.set $at (i32.add (local.get $at) (i32.const ${bytes / PAGES_WRITTEN})))
        (br_if $next (i32.lt_u (local.get $at) (i32.const ${bytes}))))
      (call $reply))
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
  /** Follows from when it is made. */
  view: CertifiedView | null;
  readonly messageMs: number[];
  /** With an instance of the height before, and with one of this height. */
  readonly movedMs: number[];
  readonly queryMs: number[];
  readonly scratchMs: number[];
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
    view: null,
    messageMs: [],
    movedMs: [],
    queryMs: [],
    scratchMs: [],
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
  const start = threadMilliseconds();
  const result = execution.applyBatch(batch);
  const ms = threadMilliseconds() - start;
  if (result.answered.length !== 1) throw new Error("the message was not answered in its round");
  collector.absorb(result.delta);
  subject.view?.apply(result.delta, certification);
  arena.reclaim(Math.min(height, collector.reclaimLimit()));
  store.appendBlocks([{ height, bytes: Uint8Array.of(1) }]);
  return ms;
}

/** Collects and writes what changed; milliseconds. */
function checkpoint(subject: Subject): number {
  const { state, arena, collector, store } = subject;
  const start = threadMilliseconds();
  store.writeCheckpoint(collector.collect(state, "delta", arena), arena);
  collector.finished();
  return threadMilliseconds() - start;
}

/** One query from the view, milliseconds; each of the pages read must be as the last message left it. */
function query({ view, state }: Subject, methodName: "look" | "scratch", round: number): number {
  if (view === null) throw new Error("nobody follows");
  const asked = { sender: ANONYMOUS, senderInfo: null, canisterId: canisterIdFromIndex(1n), methodName };
  const start = threadMilliseconds();
  const { outcome } = view.query({ ...asked, arg: new Uint8Array(0) });
  const ms = threadMilliseconds() - start;
  if (outcome.status !== "replied") throw new Error(`${outcome.rejectMessage} at height ${state.height}`);
  const words = new Uint32Array(outcome.reply.slice().buffer);
  const expected = methodName === "look" ? PAGES_WRITTEN : 0;
  if (words.length !== expected || words.some((word) => word !== round))
    throw new Error(`${methodName}: ${words}, not ${round}`);
  return ms;
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
for (const subject of subjects) {
  subject.view = new CertifiedView({
    snapshot: gathered(subject.state).formed,
    certification,
    pages: subject.arena,
    inflate: inflateGzip,
  });
  const first = query(subject, "look", 50 + MESSAGES);
  console.log(`first query with ${subject.name.padStart(9)}: ${first.toFixed(0)} ms (the instance is made)`);
}
for (let i = 0; i < MESSAGES; i++) {
  for (const subject of subjects) {
    message(subject, nonce++);
    const round = 50 + MESSAGES + i + 1;
    subject.movedMs.push(query(subject, "look", round));
    subject.queryMs.push(query(subject, "look", round));
    subject.scratchMs.push(query(subject, "scratch", round));
    query(subject, "look", round);
  }
}
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
const gate = new Gate();
const row = (what: string, of: (subject: Subject) => readonly number[]): void => {
  const [a, b] = [median(of(small)), median(of(large))];
  const verdict = gate.atMost(what, b / a, RATIO_MAX);
  console.log(
    `${what.padEnd(36)} ${a.toFixed(3).padStart(9)} ms ${b.toFixed(3).padStart(9)} ms   ${(b / a).toFixed(2)} × (target: at most ${RATIO_MAX}): ${verdict}`,
  );
};
console.log(
  `\n${PAGES_WRITTEN} pages${"".padEnd(29)} ${small.name.padStart(12)} ${large.name.padStart(12)}   ratio`,
);
row("message in applyBatch, warm", (of) => of.messageMs);
row("query that reads them, written since", (of) => of.movedMs);
row("query that reads them again", (of) => of.queryMs);
row("query that writes them for nothing", (of) => of.scratchMs);
row("delta checkpoint", (of) => of.checkpointMs);
process.exitCode = gate.exitCode();
for (const { store, folder } of subjects) {
  store.close();
  rmSync(folder, { recursive: true });
}
