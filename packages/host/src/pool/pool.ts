/**
 * The threads of a canister pool as the thread that executes rounds sees them: it gives a worker a job, polls what has come back,
 * and sleeps until there is news. It never returns to its event loop in between, so everything here is synchronous. What a worker
 * has been sent is known here, so that jobs carry differences; a worker that died has nothing.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { assert, OrreryError, type PrincipalKey, principalKey } from "@orrery/base";
import { type Job, type JobResult, sceneOf, type WasmRunner } from "@orrery/execution";
import type { BlobKey, PageArena, PageDelta, PageId, PageTable, ReplicatedState } from "@orrery/state";
import type { CompiledCanister } from "@orrery/wasm";
import {
  type Board,
  type JobMessage,
  type JobReport,
  newBoard,
  type SupervisorCall,
  type SupervisorReport,
  type SupervisorStart,
} from "./protocol.ts";

/** Canisters that a worker holds; each costs its page tables, and some an instance. */
const CANISTERS_PER_WORKER_MAX = 64;
const MODULES_PER_WORKER_MAX = 32;
/** Only in case that a signal is missed. */
const POLL_MS = 1_000;
/** Instructions after which a worker tells how far it is, if a slice is longer: some milliseconds. */
const PACE_INSTRUCTIONS = 5_000_000n;

export interface PoolOptions {
  readonly state: ReplicatedState;
  readonly arena: Pick<PageArena, "slabs" | "epoch" | "isOlderThan">;
  readonly runner: WasmRunner;
  /** Instructions of a slice. */
  readonly sliceOf: (work: Job["work"]) => bigint;
  readonly workersMax: number;
  readonly storeDirectory?: string | null;
  readonly heapMb?: number;
  /** The module that workers run instead of the usual one. */
  readonly workerFile?: string;
}

/** What became of a job. */
export interface Finished {
  readonly work: Job["work"];
  /** Null: its worker died, nothing is known. */
  readonly outcome: { readonly result: JobResult; readonly compiled: CompiledCanister | null } | null;
}

interface Sent {
  readonly heap: PageTable;
  readonly stable: PageTable;
  /** Of the arena then: an id that is younger may hold something else by now. */
  readonly epoch: number;
}

interface Slot {
  readonly index: number;
  port: MessagePort;
  job: { readonly id: number; readonly work: Job["work"] } | null;
  slabs: number;
  /** Least recently used first. */
  canisters: Map<PrincipalKey, Sent>;
  modules: Set<BlobKey>;
}

const HEAP_MB = 2_048;
/** A checkpoint file was replaced between a worker's look at where a page is and its reading: the next look finds it. */
const MOVED = "file_missing";

export class CanisterPool {
  readonly #options: PoolOptions;
  readonly #board: Board;
  readonly #slots: Slot[] = [];
  #supervisor: { readonly worker: Worker; readonly control: MessagePort } | null = null;
  #nextId = 1;
  #seen = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#board = newBoard(options.workersMax);
  }

  /** Gives the job to a worker that has nothing to do, one that knows the canister if possible; false when all are busy. */
  give(job: Job): boolean {
    const key = principalKey(job.canister.meta.id);
    const idle = this.#slots.filter((slot) => slot.job === null);
    const slot = idle.find((one) => one.canisters.has(key)) ?? idle[0] ?? this.#newSlot();
    if (slot === null) return false;
    const id = this.#nextId++;
    slot.job = { id, work: job.work };
    Atomics.store(this.#board.progress, slot.index, 0n);
    slot.port.postMessage(this.#message(slot, key, id, job));
    return true;
  }

  /** Instructions that the job has executed so far, at least. */
  progress(work: Job["work"]): bigint {
    const slot = this.#slots.find((one) => one.job?.work === work);
    return slot === undefined ? 0n : Atomics.load(this.#board.progress, slot.index);
  }

  /** What has come in since the last call. */
  poll(): Finished[] {
    this.#seen = Atomics.load(this.#board.signal, 0);
    const finished: Finished[] = [];
    for (const slot of this.#slots) this.#receive(slot, finished);
    this.#takeReplacements(finished);
    return finished;
  }

  /** Sleeps until something happened after the last `poll`. */
  wait(): void {
    Atomics.wait(this.#board.signal, 0, this.#seen, POLL_MS);
  }

  /** Resolves when something happened after the last `poll`, or after a while. */
  async untilNews(): Promise<void> {
    const waited = Atomics.waitAsync(this.#board.signal, 0, this.#seen, POLL_MS);
    if (waited.async) await waited.value;
  }

  /** Ends the thread of the worker that runs `work`; for tests of what happens then. */
  kill(work: Job["work"]): void {
    const slot = this.#slots.find((one) => one.job?.work === work);
    if (slot !== undefined) this.#call({ kind: "kill", worker: slot.index });
  }

  get workers(): number {
    return this.#slots.length;
  }

  async close(): Promise<void> {
    const supervisor = this.#supervisor;
    if (supervisor === null) return;
    this.#supervisor = null;
    supervisor.worker.ref();
    const ended = new Promise<void>((resolve) => supervisor.worker.once("exit", () => resolve()));
    supervisor.control.postMessage({ kind: "close" } satisfies SupervisorCall);
    await ended;
    supervisor.control.close();
  }

  /** Starts a first worker and does not wait for it. */
  prepare(): void {
    if (this.#slots.length === 0) this.#addSlot();
  }

  #newSlot(): Slot | null {
    if (this.#slots.length >= this.#options.workersMax) return null;
    return this.#addSlot();
  }

  #addSlot(): Slot {
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    const slot: Slot = {
      index: this.#slots.length,
      port: port1,
      job: null,
      slabs: 0,
      canisters: new Map(),
      modules: new Set(),
    };
    this.#slots.push(slot);
    this.#call({ kind: "spawn", worker: slot.index, jobs: port2 }, [port2]);
    return slot;
  }

  #call(call: SupervisorCall, transfer: MessagePort[] = []): void {
    this.#supervisor ??= this.#startSupervisor();
    this.#supervisor.control.postMessage(call, transfer);
  }

  #startSupervisor(): { readonly worker: Worker; readonly control: MessagePort } {
    const { port1, port2 } = new MessageChannel();
    const start: SupervisorStart = {
      board: this.#board.buffer,
      workerFile: this.#options.workerFile ?? new URL("./canister-worker.ts", import.meta.url).href,
      storeDirectory: this.#options.storeDirectory ?? null,
      heapMb: this.#options.heapMb ?? HEAP_MB,
      control: port2,
    };
    const worker = new Worker(new URL("./supervisor.ts", import.meta.url), {
      name: "canister-supervisor",
      workerData: start,
      transferList: [port2],
    });
    // The pool does not keep a process alive that has nothing else to do.
    worker.unref();
    port1.unref();
    return { worker, control: port1 };
  }

  #receive(slot: Slot, finished: Finished[]): void {
    if (slot.job === null) return;
    const received = receiveMessageOnPort(slot.port) as { message: JobReport } | undefined;
    if (received === undefined) return;
    const { job } = slot;
    const { message } = received;
    assert(message.id === job.id, "a worker answers the job that it was given");
    slot.job = null;
    if (message.error?.code === MOVED) {
      finished.push({ work: job.work, outcome: null });
      return;
    }
    if (message.error !== null) {
      const { code, message: text, stack } = message.error;
      throw new OrreryError(code, text, { data: { stack } });
    }
    finished.push({ work: job.work, outcome: { result: message.result, compiled: message.compiled } });
  }

  /** New workers, in place of dead ones or the first of their slots. */
  #takeReplacements(finished: Finished[]): void {
    for (;;) {
      const control = this.#supervisor?.control;
      if (control === undefined) return;
      const received = receiveMessageOnPort(control) as { message: SupervisorReport } | undefined;
      if (received === undefined) return;
      const { message } = received;
      if (message.kind === "failed") throw new OrreryError(message.error.code, message.error.message);
      const slot = this.#slots[message.worker];
      assert(slot !== undefined, "a worker was started that nobody asked for");
      // What it said before it died counts.
      this.#receive(slot, finished);
      const lost = slot.job;
      slot.port.close();
      slot.port = message.port;
      slot.port.unref();
      slot.job = null;
      slot.slabs = 0;
      slot.canisters = new Map();
      slot.modules = new Set();
      if (lost !== null) finished.push({ work: lost.work, outcome: null });
    }
  }

  #message(slot: Slot, key: PrincipalKey, id: number, job: Job): JobMessage {
    const { state, arena, runner, sliceOf } = this.#options;
    const { canister, work } = job;
    const { heap, stable } = canister.memory;
    const sent = slot.canisters.get(key);
    slot.canisters.delete(key);
    slot.canisters.set(key, { heap: heap.clone(), stable: stable.clone(), epoch: arena.epoch });
    const isKnown = (page: PageId): boolean => arena.isOlderThan(page, sent?.epoch ?? 0);
    const slabs = arena.slabs(slot.slabs);
    slot.slabs += slabs.length;
    const { module } = canister.meta;
    const modules: JobMessage["modules"][number][] = [];
    const send = (blob: BlobKey, compiled: CompiledCanister | null): void => {
      if (compiled === null || slot.modules.has(blob)) return;
      modules.push({ blob, compiled });
      slot.modules.add(blob);
    };
    if (module !== null) send(module.blob, runner.compiledModule(module));
    if (work.kind === "install") send(work.blob, runner.cachedModule(work.blob));
    const slice = sliceOf(work);
    return {
      id,
      key,
      meta: canister.meta,
      fresh: sent === undefined,
      heap: difference(heap, sent?.heap, isKnown),
      stable: difference(stable, sent?.stable, isKnown),
      slabs,
      forgetCanisters: shrink(slot.canisters, CANISTERS_PER_WORKER_MAX),
      forgetModules: shrink(slot.modules, MODULES_PER_WORKER_MAX),
      modules,
      scene: sceneOf(state, job),
      work,
      pace: slice < PACE_INSTRUCTIONS ? slice : PACE_INSTRUCTIONS,
    };
  }
}

/** Takes out the oldest keys beyond `max`. */
function shrink(
  held: { readonly size: number; keys(): Iterable<string>; delete(key: string): boolean },
  max: number,
): string[] {
  const dropped: string[] = [];
  for (const key of held.keys()) {
    if (held.size <= max) break;
    held.delete(key);
    dropped.push(key);
  }
  return dropped;
}

/** Pages of `table` that whoever has `before` lacks: other ids, and ids whose bytes are not those that it read. */
function difference(
  table: PageTable,
  before: PageTable | undefined,
  isKnown: (page: PageId) => boolean,
): PageDelta {
  const pairs: number[] = [];
  if (before === undefined) {
    for (const [index, id] of table.entries()) pairs.push(index, id);
    return Uint32Array.from(pairs);
  }
  for (const [index, id] of before.differences(table, (id) => !isKnown(id))) pairs.push(index, id);
  return Uint32Array.from(pairs);
}
