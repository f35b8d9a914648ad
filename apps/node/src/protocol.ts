/**
 * What the threads of a node say to each other (docs/ARCHITECTURE.md "Threads of a node"). Main: HTTP, pools, consensus. Execution: owns
 * the mutable tip. View: answers queries and read_state from the certified mirror. Storage: block log and checkpoint writes.
 * Everything is plain data; pages travel as ids into shared slabs.
 */
import type { MessagePort } from "node:worker_threads";
import type { Batch, Height, LogLevel, RequestId, TimeNs } from "@orrery/base";
import type { StateDelta, ViewSnapshot } from "@orrery/execution";
import type { Destination, RangesForm, StateQuery, UserQuery } from "@orrery/http";
import type { CheckpointInfo, CheckpointInput, LogRecord, Slab } from "@orrery/state";

/** How much is done before a checkpoint is due and how long a log segment grows; what is left out is as a network needs it. */
export interface DurabilityOptions {
  readonly checkpointRounds?: number;
  readonly logSegmentBytes?: number;
}

/** `workerData` of every thread. */
export interface WorkerStart {
  readonly stateDirectory: string;
  readonly durability: DurabilityOptions;
  readonly logLevel: LogLevel;
}

// ---- storage ----

export type StorageCall =
  /** Opens the store, creating it when the directory is empty; answers with `StorageOpened`. */
  | { readonly kind: "open"; readonly freshGenesis: Uint8Array; readonly salt: Uint8Array }
  | { readonly kind: "close" };

export interface StorageOpened {
  readonly genesis: Uint8Array;
  readonly networkId: Uint8Array;
  /** The block of the checkpoint's height, where the chain goes on; null at genesis. */
  readonly checkpointBlock: Uint8Array | null;
  /** After the checkpoint, oldest first. */
  readonly records: readonly LogRecord[];
}

export type StoragePost =
  | { readonly kind: "append"; readonly record: LogRecord }
  | { readonly kind: "feed"; readonly port: MessagePort };
export type StorageReport = { readonly kind: "durable"; readonly height: Height };

/** Execution → storage, and what it gets back once the checkpoint is current. */
export type StorageFeed = {
  readonly kind: "checkpoint";
  readonly input: CheckpointInput;
  readonly slabs: readonly Slab[];
};
export type StorageAcknowledgement = { readonly kind: "checkpointed"; readonly info: CheckpointInfo };

// ---- execution ----

export type ExecutionCall =
  | {
      readonly kind: "start";
      readonly genesis: Uint8Array;
      readonly networkId: Uint8Array;
      readonly checkpointBlock: Uint8Array | null;
      readonly records: readonly LogRecord[];
      readonly view: MessagePort;
      readonly storage: MessagePort;
    }
  /** Writes what is left to a checkpoint, so that the next start replays nothing. */
  | { readonly kind: "shutdown" };

export interface ExecutionStarted {
  readonly tip: { readonly height: Height; readonly hash: Uint8Array; readonly time: TimeNs };
  readonly replayed: number;
  readonly wake: Wake;
}

export interface Wake {
  readonly moreWork: boolean;
  /** When something is due by itself: timers, heartbeats, deadlines. */
  readonly nextTimer: TimeNs | null;
}

export type ExecutionPost = { readonly kind: "batch"; readonly batch: Batch };

export type ExecutionReport = {
  readonly kind: "executed";
  readonly height: Height;
  /** Hex request ids that became terminal. */
  readonly answered: readonly string[];
  readonly wake: Wake;
  readonly instructions: bigint;
  readonly durationMs: number;
};

// ---- view ----

/** Execution → view. `slabs` are those made since the last message; publication is main's to order. */
export type ViewFeed =
  | {
      readonly kind: "snapshot";
      readonly snapshot: ViewSnapshot;
      readonly slabs: readonly Slab[];
      readonly signature: Uint8Array;
    }
  | {
      readonly kind: "delta";
      readonly delta: StateDelta;
      readonly slabs: readonly Slab[];
      readonly signature: Uint8Array;
    };

/** View → execution: queries see `height`; page versions retired before may be reclaimed. */
export type ViewAcknowledgement = { readonly kind: "applied"; readonly height: Height };

/** Main → view, handled strictly in order: an answer after `publish(h)` sees at least h. */
export type ViewPost =
  | { readonly kind: "publish"; readonly height: Height }
  | { readonly kind: "feed"; readonly port: MessagePort };

export type ViewCall =
  | { readonly kind: "query"; readonly query: UserQuery }
  | { readonly kind: "read_state"; readonly query: StateQuery }
  /** For a block: `QueryStats[]`, what queries took since it was last asked. */
  | { readonly kind: "take_query_stats" }
  | {
      readonly kind: "request_certificate";
      readonly requestId: RequestId;
      readonly destination: Destination;
      readonly ranges: RangesForm;
    }
  | {
      readonly kind: "inspect";
      readonly envelope: Uint8Array;
      readonly requestId: RequestId;
      readonly destination: Destination;
    };
