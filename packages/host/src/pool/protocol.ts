/**
 * What the threads of a canister pool say to each other. The thread that executes rounds gives jobs over one port to each worker
 * and never waits for an event; how far a worker has come is on the shared board. A supervisor starts workers and replaces those
 * that die, since the thread that waits cannot notice.
 */
import type { MessagePort } from "node:worker_threads";
import type { PrincipalKey } from "@orrery/base";
import type { JobResult, JobScene } from "@orrery/execution";
import type { BlobKey, CanisterMeta, PageDelta, RunningWork, Slab } from "@orrery/state";
import type { CompiledCanister } from "@orrery/wasm";
import type { ErrorDescription } from "../port-channel.ts";

/** Shared numbers: a signal that anybody raises who has news, and for each worker the instructions of its job so far. */
export interface Board {
  readonly buffer: SharedArrayBuffer;
  readonly signal: Int32Array;
  readonly progress: BigInt64Array;
}

const SIGNAL_BYTES = 8;

export function newBoard(workers: number): Board {
  return boardOf(new SharedArrayBuffer(SIGNAL_BYTES * (1 + workers)));
}

export function boardOf(buffer: SharedArrayBuffer): Board {
  return { buffer, signal: new Int32Array(buffer, 0, 1), progress: new BigInt64Array(buffer, SIGNAL_BYTES) };
}

/** Wakes the thread that executes rounds. */
export function raise({ signal }: Pick<Board, "signal">): void {
  Atomics.add(signal, 0, 1);
  Atomics.notify(signal, 0);
}

/** Fixed for the life of a pool; reaches every worker. */
export interface PoolStart {
  readonly board: SharedArrayBuffer;
  /** The module that workers run. */
  readonly workerFile: string;
  /** Where pages that are on the disk only are read; null when there are none. */
  readonly storeDirectory: string | null;
  readonly heapMb: number;
}

export interface SupervisorStart extends PoolStart {
  readonly control: MessagePort;
}

export interface WorkerStart extends PoolStart {
  readonly index: number;
  readonly jobs: MessagePort;
}

export type SupervisorCall =
  /** Starts a worker; what is sent to it by then waits. */
  | { readonly kind: "spawn"; readonly worker: number; readonly jobs: MessagePort }
  /** Ends the worker's thread wherever it is; it is replaced like any that dies. */
  | { readonly kind: "kill"; readonly worker: number }
  | { readonly kind: "close" };

/** A worker's replacement is on its way; what the port holds waits for it. */
export type SupervisorReport =
  | { readonly kind: "worker"; readonly worker: number; readonly port: MessagePort }
  | { readonly kind: "failed"; readonly error: ErrorDescription };

export interface JobMessage {
  readonly id: number;
  readonly key: PrincipalKey;
  readonly meta: CanisterMeta;
  /** The worker starts from empty memories instead of what it has. */
  readonly fresh: boolean;
  readonly heap: PageDelta;
  readonly stable: PageDelta;
  readonly slabs: readonly Slab[];
  /** Canisters and modules that the worker drops. */
  readonly forgetCanisters: readonly PrincipalKey[];
  readonly forgetModules: readonly BlobKey[];
  readonly modules: readonly { readonly blob: BlobKey; readonly compiled: CompiledCanister }[];
  readonly scene: JobScene;
  readonly work: RunningWork;
  /** Instructions after which the worker tells how far it is. */
  readonly pace: bigint;
}

export type JobReport =
  | {
      readonly id: number;
      readonly error: null;
      readonly result: JobResult;
      /** Of an installation. */
      readonly compiled: CompiledCanister | null;
    }
  | { readonly id: number; readonly error: ErrorDescription };
