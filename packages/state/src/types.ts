/**
 * The replicated state of a subnet as data (interface spec, "Abstract behaviour"). Rules that hold everywhere:
 * - plain mutable records, changed only by the thread that owns the tip, only between `applyBatch` and its return;
 * - memory contents live in page tables (pages.ts, page-table.ts), code and chunks in the blob store, never inline;
 * - no consumer depends on a Map's insertion order: whatever reaches a hash, a queue choice or an encoding sorts by key;
 * - `touch(state, canister)` is called on every canister record that changed, so that deltas cost the changes only.
 */
import {
  type CanisterId,
  type Height,
  type Principal,
  type PrincipalKey,
  principalKey,
  type TimeNs,
  type UserId,
} from "@orrery/base";
import type { LabelTree } from "@orrery/crypto";
import type { BlobStore } from "./blob-store.ts";
import type { CallerInfo, IngressInput, InputQueues, RejectCode, RequestInput } from "./messages.ts";
import type { PageTable } from "./page-table.ts";
import type { Outcall, PendingManagementCall } from "./pending.ts";
import type { CanisterLogRecord, HistoryChange, NodeMetricsSample } from "./reports.ts";
import type { CanisterSnapshot, SnapshotKey } from "./snapshot-types.ts";
import type { OutboundMessage, Stream } from "./streams.ts";
import type { SubnetInfo } from "./subnet.ts";
import type { RunningWork } from "./work.ts";

export type * from "./messages.ts";
export type * from "./reports.ts";
export type * from "./snapshot-types.ts";
export type * from "./streams.ts";
export type * from "./subnet.ts";

/** SHA-256 of a blob as lower-case hexadecimal text. */
export type BlobKey = string;

export type LogVisibility =
  | { readonly kind: "controllers" }
  | { readonly kind: "public" }
  | { readonly kind: "allowed_viewers"; readonly viewers: readonly Principal[] };

/** Interface spec, "Canister settings"; defaults in `settings.ts`. */
export interface CanisterSettings {
  controllers: readonly Principal[];
  computeAllocation: bigint;
  memoryAllocation: bigint;
  freezingThreshold: bigint;
  reservedCyclesLimit: bigint;
  minimumIncomingCallCycles: bigint;
  wasmMemoryLimit: bigint;
  wasmMemoryThreshold: bigint;
  logMemoryLimit: bigint;
  logVisibility: LogVisibility;
  snapshotVisibility: LogVisibility;
  statusVisibility: LogVisibility;
  /** Sorted by name (byte order), names unique. */
  environmentVariables: readonly { readonly name: string; readonly value: string }[];
}

export type StopRequest =
  | { readonly kind: "ingress"; readonly requestId: Uint8Array; readonly deadline: TimeNs }
  | {
      readonly kind: "call";
      readonly from: CanisterId;
      readonly callbackId: number;
      readonly cycles: bigint;
      readonly deadline: TimeNs;
    };

export type CanisterStatus =
  | { readonly kind: "running" }
  | { readonly kind: "stopping"; readonly requests: readonly StopRequest[] }
  | { readonly kind: "stopped" };

export interface CustomSection {
  readonly name: string;
  readonly visibility: "public" | "private";
  readonly content: Uint8Array;
}

/** What is installed. The uploaded bytes (raw or gzip) are blob `blob`; `hash` is their SHA-256, the public module hash. */
export interface InstalledModule {
  readonly blob: BlobKey;
  readonly hash: Uint8Array;
  /** Bytes of the uploaded module, for memory accounting. */
  readonly bytes: number;
  readonly is64: boolean;
  /** Of the mutable globals, in the engine's order: `CanisterMeta.globals` are their bits. */
  readonly globalTypes: readonly GlobalType[];
  readonly metadata: readonly CustomSection[];
  readonly exports: ModuleExports;
}

export type GlobalType = "i32" | "i64" | "f32" | "f64" | "v128";

export interface ModuleExports {
  readonly updates: readonly string[];
  readonly queries: readonly string[];
  readonly compositeQueries: readonly string[];
  readonly init: boolean;
  readonly preUpgrade: boolean;
  readonly postUpgrade: boolean;
  readonly heartbeat: boolean;
  readonly globalTimer: boolean;
  readonly inspectMessage: boolean;
  readonly onLowWasmMemory: boolean;
}

/** Small, structured-cloneable part of a canister: what queries, read_state and the System API look at. */
export interface CanisterMeta {
  readonly id: CanisterId;
  status: CanisterStatus;
  settings: CanisterSettings;
  /** Main balance; `reservedCycles` is apart. Never negative. */
  cycles: bigint;
  reservedCycles: bigint;
  /** `canister_version` of the interface specification. */
  version: bigint;
  module: InstalledModule | null;
  /** Values of the module's mutable globals as raw bits, in the engine's order. */
  globals: readonly bigint[];
  /** Wasm pages (64 KiB). */
  heapPages: number;
  stablePages: number;
  certifiedData: Uint8Array;
  /** 0n = inactive. */
  globalTimer: TimeNs;
  lowMemoryHook: "not_satisfied" | "ready" | "executed";
  createdAt: TimeNs;
  installedAt: TimeNs | null;
  /** Bytes held by chunk store, history and snapshots, for memory accounting. */
  chunkStoreBytes: number;
  snapshotBytes: number;
  historyBytes: number;
  customSectionBytes: number;
  logBytes: number;
  /** Memory of calls whose response must find room: one of full length reserved or the response itself, and what requests exceed that. */
  guaranteedMessageBytes: number;
  /** Queued messages of best-effort calls. */
  bestEffortMessageBytes: number;
}

export interface WasmMemoryState {
  readonly heap: PageTable;
  readonly stable: PageTable;
}

export type CallOrigin =
  | {
      readonly kind: "ingress";
      readonly requestId: Uint8Array;
      readonly sender: UserId;
      readonly senderInfo: CallerInfo | null;
    }
  | {
      readonly kind: "canister";
      readonly from: CanisterId;
      readonly callbackId: number;
      readonly deadline: TimeNs;
    }
  | { readonly kind: "task" };

/** Interface spec, "Call contexts". */
export interface CallContext {
  readonly id: number;
  readonly origin: CallOrigin;
  /** False once replied or rejected; always false for tasks. */
  needsToRespond: boolean;
  /** The canister was uninstalled since; late responses are dropped. */
  deleted: boolean;
  availableCycles: bigint;
  instructionsExecuted: bigint;
  /** Callbacks not yet answered. */
  outstanding: number;
  readonly createdAt: TimeNs;
}

/** A funcref-table closure. `env` is the raw i32 or i64 bits. */
export interface WasmClosure {
  readonly fun: number;
  readonly env: bigint;
}

export interface Callback {
  readonly id: number;
  readonly contextId: number;
  readonly callee: CanisterId;
  readonly reply: WasmClosure;
  readonly reject: WasmClosure;
  readonly cleanup: WasmClosure | null;
  readonly cyclesSent: bigint;
  /** Reserved at `call_perform`, refunded as far as unused. */
  readonly prepaidExecution: bigint;
  readonly prepaidTransmission: bigint;
  /** 0n = guaranteed response. */
  readonly deadline: TimeNs;
}

export type SystemTask = "heartbeat" | "global_timer" | "on_low_wasm_memory";

/** Calls, instructions and bytes of queries. */
export interface QuerySums {
  readonly calls: bigint;
  readonly instructions: bigint;
  readonly requestBytes: bigint;
  readonly responseBytes: bigint;
}

export interface CanisterState {
  readonly meta: CanisterMeta;
  readonly memory: WasmMemoryState;
  readonly callContexts: Map<number, CallContext>;
  readonly callbacks: Map<number, Callback>;
  nextContextId: number;
  nextCallbackId: number;
  readonly queues: InputQueues;
  /** Requests sent and not yet answered, per callee: bounded by `QUEUE_CAPACITY`. */
  readonly outstandingByCallee: Map<PrincipalKey, number>;
  logs: readonly CanisterLogRecord[];
  nextLogIdx: bigint;
  history: readonly HistoryChange[];
  historyTotal: bigint;
  /** Sorted insertion is not needed: listings sort. Value: blob key and size. */
  readonly chunks: Map<BlobKey, { readonly bytes: number }>;
  /** Keys of its snapshots in `ReplicatedState.snapshots`, oldest first. */
  snapshots: readonly SnapshotKey[];
  /** Local number of the next snapshot; never used twice. */
  nextSnapshot: bigint;
  /** What queries took in the epochs that ended. */
  queryStats: QuerySums;
  /** Cycles consumed by use case, for `canister_metrics` and `/subnet/<id>/metrics`. */
  readonly consumed: Map<string, bigint>;
  /** Scheduler: accumulated priority in millionths of a percent; ties break by id. */
  priority: number;
  /** Scheduler: what its rounds cost and is not yet taken from `priority`, because a long message still runs. */
  priorityCredit: number;
  /** The message or installation under way; nothing else of the canister runs meanwhile. */
  running: RunningWork | null;
  /** Time up to which storage and compute have been paid; whole intervals, but for the first. */
  chargedUntil: TimeNs;
  /** Instructions of installations that rounds have not made good for yet; not there: none. */
  installDebit?: bigint;
  /** Its last task took several rounds: a message that waits goes before the next task. */
  messagesFirst?: boolean;
  /** Scheduler: whose turn it is among its responses, requests and ingress messages (`newPicker`); not there: 0. */
  inputTurn?: number;
  /** Scheduler: whose request it took last, while others wait: the sender's turn is next whose key comes after it. */
  lastSender?: PrincipalKey;
  /** Its last message took more than the first slice of one, pages counted: the next has a short one. */
  heavy?: boolean;
}

/** Interface spec, "Request status". */
export type IngressStatus =
  | { readonly kind: "received" }
  | { readonly kind: "processing" }
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | {
      readonly kind: "rejected";
      readonly code: RejectCode;
      readonly message: string;
      readonly errorCode: string;
    }
  | { readonly kind: "done" };

export interface IngressEntry {
  readonly requestId: Uint8Array;
  readonly sender: UserId;
  readonly receiver: CanisterId;
  /** Effective canister id: what read_state's URL must name. */
  readonly effectiveId: Principal;
  status: IngressStatus;
  readonly expiry: TimeNs;
  /** When it may be pruned; set when the status becomes terminal. */
  pruneAt: TimeNs | null;
}

export interface ReplicatedState {
  /** Replaced where the subnet's nodes or the network's subnets change, never changed in place. */
  subnet: SubnetInfo;
  height: Height;
  time: TimeNs;
  readonly canisters: Map<PrincipalKey, CanisterState>;
  readonly ingressHistory: Map<string, IngressEntry>;
  readonly pendingManagement: PendingManagementCall[];
  /** HTTPS outcalls that are not answered, by their numbers. */
  readonly outcalls: Map<number, Outcall>;
  /** Number of the next outcall; never used twice. */
  nextOutcall: number;
  /** Management-canister calls waiting for a free slot in a round. */
  readonly managementQueue: (RequestInput | IngressInput)[];
  /** To every other subnet that there ever was a message for or from. */
  readonly streams: Map<PrincipalKey, Stream>;
  /** As `InputQueues.outputs`: what the management canister, and canisters deleted since, have to say to other subnets. */
  readonly subnetOutputs: Map<PrincipalKey, OutboundMessage[]>;
  /** Cycles of best-effort calls that were given up, by the canister that they go back to; credited or routed each round. */
  readonly refunds: Map<PrincipalKey, bigint>;
  /** Uploaded modules and chunks; each record that names one holds a reference. */
  readonly blobs: BlobStore;
  /** Snapshots of all canisters. */
  readonly snapshots: Map<SnapshotKey, CanisterSnapshot>;
  /** Snapshots that appeared, disappeared or were written to since the last checkpoint was collected. */
  readonly changedSnapshots: Set<SnapshotKey>;
  /** Index of the next canister id to allocate. */
  nextCanisterIndex: bigint;
  /** Deterministic generator state: 32 bytes, re-keyed each round from the batch's randomness. */
  randomness: Uint8Array;
  updateTransactionsTotal: bigint;
  consumedCyclesTotal: bigint;
  /** The last sample of each UTC day, oldest first; the last one goes on. */
  nodeMetrics: readonly NodeMetricsSample[];
  /** What queries took since the epoch of their statistics began, by canister; not there: nothing. */
  epochQueries?: ReadonlyMap<PrincipalKey, QuerySums>;
  /** Certified state tree of `height` (canonical-state.ts keeps it in step with the records). */
  tree: LabelTree;
  /** Records changed since the last delta was taken; keys of `canisters`, of `ingressHistory`, of `streams` and of the subnet's nodes. */
  readonly changed: {
    readonly canisters: Set<PrincipalKey>;
    readonly ingress: Set<string>;
    readonly streams: Set<PrincipalKey>;
    /** Ids of nodes that came or went. */
    readonly nodes: Set<PrincipalKey>;
    /** Ids of subnets whose entries in the routing table are new, or have other ranges. */
    readonly subnets: Set<PrincipalKey>;
  };
}

/** Marks a canister as changed in this round. */
export function touch(state: ReplicatedState, canister: CanisterState): void {
  state.changed.canisters.add(canisterKey(canister));
}

export function canisterKey(canister: CanisterState): PrincipalKey {
  return principalKey(canister.meta.id);
}
