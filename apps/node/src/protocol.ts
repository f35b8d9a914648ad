/**
 * What the threads of a node say to each other (design §3 "Threads of a node"). Main: HTTP, pools, consensus. Execution: owns
 * the mutable tip. View: answers queries and read_state from the certified mirror. Storage: block log and checkpoint writes.
 * Everything is plain data; pages travel as ids into shared slabs.
 */
import type { Batch, Height, TimeNs } from "@orrery/base";
import type { StateDelta } from "@orrery/execution";
import type { CheckpointInput, Slab } from "@orrery/state";
import type { MessagePort } from "node:worker_threads";

export interface WorkerStart {
  readonly stateDirectory: string;
  readonly genesis: Uint8Array;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** Main → execution. */
export type ExecutionCall = {
  readonly kind: "start";
  readonly view: MessagePort;
  readonly storage: MessagePort;
  /** Finalized records after the checkpoint, oldest first, as the log holds them. */
  readonly records: readonly { readonly height: Height; readonly record: Uint8Array }[];
};

export type ExecutionPost = { readonly kind: "batch"; readonly batch: Batch } | { readonly kind: "shutdown" };

export interface ExecutionStarted {
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly time: TimeNs;
  readonly replayed: number;
}

/** Execution → main. */
export type ExecutionReport =
  | {
      readonly kind: "executed";
      readonly height: Height;
      /** Hex request ids that became terminal. */
      readonly answered: readonly string[];
      readonly moreWork: boolean;
      readonly nextTimer: TimeNs | null;
      readonly heartbeats: boolean;
      readonly durationMs: number;
    }
  | { readonly kind: "shut_down" };

/** Execution → view. `slabs` are those made since the last message. */
export type ViewFeed =
  | { readonly kind: "snapshot"; readonly snapshot: unknown; readonly slabs: readonly Slab[]; readonly certification: Certification }
  | { readonly kind: "delta"; readonly delta: StateDelta; readonly slabs: readonly Slab[]; readonly modules: readonly unknown[]; readonly certification: Certification };

export interface Certification {
  readonly signature: Uint8Array;
}

/** View → execution: everything up to `height` is applied, older page versions may go. */
export type ViewAcknowledgement = { readonly kind: "applied"; readonly height: Height };

/** Execution → storage. */
export type StorageFeed = { readonly kind: "checkpoint"; readonly input: CheckpointInput; readonly slabs: readonly Slab[] };

/** Storage → execution. */
export type StorageAcknowledgement = { readonly kind: "checkpointed"; readonly height: Height };

/** Main → storage. */
export type StoragePost = { readonly kind: "append"; readonly height: Height; readonly record: Uint8Array };

/** Storage → main. */
export type StorageReport = { readonly kind: "durable"; readonly height: Height };
