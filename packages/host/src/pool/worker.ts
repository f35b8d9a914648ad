/**
 * A worker thread of a canister pool: runs one job at a time to its end and tells now and then how far it is. It owns
 * instances as caches of page tables and commits nothing; what an execution changed goes back as data.
 */
import type { MessagePort } from "node:worker_threads";
import { workerData } from "node:worker_threads";
import { assert, OrreryError, type PrincipalKey } from "@orrery/base";
import { type JobResult, runWork, WasmRunner } from "@orrery/execution";
import {
  type BlobKey,
  type CanisterMeta,
  ColdPages,
  PAGE_BYTES,
  type PageId,
  PageReader,
  PageTable,
  type WasmMemoryState,
} from "@orrery/state";
import { type CompiledCanister, createEngine } from "@orrery/wasm";
import { installFastHashes } from "../fast-crypto.ts";
import { createFileDisk } from "../file-disk.ts";
import { describeError } from "../port-channel.ts";
import { yieldToOthers } from "../priority.ts";
import { inflateGzip } from "../world.ts";
import { boardOf, type JobMessage, type JobReport, raise, type WorkerStart } from "./protocol.ts";

/** Live instances of a worker: it runs few canisters, the long ones. */
const INSTANCES_MAX = 16;

/** Payloads of calls from this size are handed over; shorter ones, and those that are part of something larger, are copied. */
const HANDED_OVER_BYTES_MIN = 64 * 1024;

/** Pages may move while they are read here: a copy is checked, a view would not be. */
class CopyingReader extends PageReader {
  override view(id: PageId): Uint8Array {
    const page = new Uint8Array(PAGE_BYTES);
    this.read(id, page, 0);
    return page;
  }
}

interface Mirrored {
  readonly meta: CanisterMeta;
  readonly memory: WasmMemoryState;
}

class CanisterWorker {
  readonly #pages: PageReader;
  readonly #runner: WasmRunner;
  readonly #memories = new Map<PrincipalKey, WasmMemoryState>();
  /** Decoded bytes of the modules that were given. */
  readonly #modules = new Map<BlobKey, Uint8Array>();

  constructor(storeDirectory: string | null) {
    const cold = storeDirectory === null ? undefined : new ColdPages(createFileDisk(storeDirectory));
    this.#pages = new CopyingReader({ cold });
    this.#runner = new WasmRunner({
      engine: createEngine(),
      pages: this.#pages,
      modules: { get: (key) => this.#modules.get(key) ?? null },
      inflate: inflateGzip,
      instancesMax: INSTANCES_MAX,
    });
  }

  /** Runs a job; `report` is called at its pace. */
  run(job: JobMessage, report: (executed: bigint) => void): JobReport {
    const canister = this.#mirror(job);
    const { scene, work, pace, id } = job;
    const upload = work.kind === "install" && !this.#modules.has(work.blob) ? work.blob : null;
    if (upload !== null && scene.kind === "install") this.#modules.set(upload, scene.upload);
    // Nothing commits here: every change comes back.
    const result = runWork(this.#runner, canister, {
      scene,
      work,
      commitWithin: -1n,
      pace: { slice: pace, report },
    });
    const compiled = upload === null ? null : this.#compiledOf(result);
    // Whoever runs the module next is given it compiled.
    if (upload !== null) this.#modules.delete(upload);
    return { id, error: null, result, compiled };
  }

  #compiledOf({ compiled }: JobResult): CompiledCanister | null {
    return compiled === null ? null : this.#runner.compiledModule(compiled.module);
  }

  #mirror(job: JobMessage): Mirrored {
    for (const slab of job.slabs) this.#pages.addSlab(slab);
    this.#pages.closeSuperseded();
    for (const key of job.forgetCanisters) this.#memories.delete(key);
    for (const blob of job.forgetModules) this.#modules.delete(blob);
    for (const { blob, compiled } of job.modules) {
      this.#modules.set(blob, compiled.wasm);
      this.#runner.adoptModule(blob, compiled);
    }
    if (job.fresh) {
      this.#runner.evict(job.meta.id);
      this.#memories.set(job.key, { heap: new PageTable(), stable: new PageTable() });
    }
    const memory = this.#memories.get(job.key);
    assert(memory !== undefined, "a canister's memories are sent before changes to them");
    memory.heap.applyDelta(job.heap);
    memory.stable.applyDelta(job.stable);
    const canister = { meta: job.meta, memory };
    this.#runner.refresh(canister, job.heap);
    return canister;
  }
}

/** Serves jobs until the pool ends. `onSlice` is told of every step of the pace, before anybody else. */
export function serveJobs(start: WorkerStart, onSlice: (executed: bigint) => void = () => {}): void {
  installFastHashes();
  // Rounds hardly ever wait for it.
  yieldToOthers();
  const board = boardOf(start.board);
  const worker = new CanisterWorker(start.storeDirectory);
  const jobs: MessagePort = start.jobs;
  jobs.on("message", (job: JobMessage) => {
    let report: JobReport;
    try {
      report = worker.run(job, (executed) => {
        onSlice(executed);
        Atomics.store(board.progress, start.index, executed);
        raise(board);
      });
    } catch (error) {
      // Ends the thread with all that it holds; another begins the job again. What the host refuses decides nothing.
      if (error instanceof OrreryError && error.code === "wasm_host_memory") throw error;
      report = { id: job.id, error: describeError(error) };
    }
    jobs.postMessage(report, transferable(report));
    raise(board);
  });
}

/** Page contents and payloads of calls are handed over, not copied: there may be gigabytes. */
function transferable(report: JobReport): ArrayBuffer[] {
  if (report.error !== null) return [];
  const { change, effects } = report.result.outcome;
  const buffers = new Set<ArrayBuffer>();
  if (change !== undefined) {
    for (const { bytes } of [change.heap, change.stable]) buffers.add(bytes.buffer as ArrayBuffer);
  }
  for (const { payload } of effects?.calls ?? []) {
    const { buffer, length } = payload;
    if (length < HANDED_OVER_BYTES_MIN || length < buffer.byteLength) continue;
    buffers.add(buffer as ArrayBuffer);
  }
  return [...buffers];
}

export function workerStart(): WorkerStart {
  return workerData as WorkerStart;
}
