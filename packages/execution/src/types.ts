/**
 * The joints inside execution: what running one message needs and yields (`MessageRunner`, implemented in runner/), what a
 * round yields (`BatchResult`), what followers are told (`StateDelta`). Scheduling and cycles are on one side, the System API
 * and Wasm on the other; neither knows the other's insides.
 */
import type { Batch, CanisterId, Height, Principal, PrincipalKey, TimeNs } from "@orrery/base";
import type {
  BlobKey,
  CanisterLogRecord,
  CanisterMeta,
  CanisterState,
  IngressEntry,
  InstalledModule,
  Outcall,
  PageDelta,
  PageId,
  RejectCode,
  ReplicatedState,
  RunningWork,
  SubnetInfo,
  TreeChange,
  WasmClosure,
} from "@orrery/state";
import type { CompiledCanister, FunctionProfile } from "@orrery/wasm";
import type { UserError } from "./error-codes.ts";

/** Which export or closure runs, with the arguments that only this context can see (interface spec, "Entry points"). */
export type EntryPoint =
  | {
      readonly kind: "update" | "replicated_query" | "query" | "composite_query";
      readonly method: string;
      readonly arg: Uint8Array;
    }
  /** The query method that an HTTPS outcall names to transform its response. */
  | { readonly kind: "transform"; readonly method: string; readonly arg: Uint8Array }
  | { readonly kind: "inspect_message"; readonly method: string; readonly arg: Uint8Array }
  | { readonly kind: "heartbeat" | "global_timer" | "on_low_wasm_memory" }
  | {
      readonly kind: "reply_callback" | "composite_reply_callback";
      readonly closure: WasmClosure;
      readonly arg: Uint8Array;
    }
  | {
      readonly kind: "reject_callback" | "composite_reject_callback";
      readonly closure: WasmClosure;
      readonly code: RejectCode;
      readonly message: string;
    }
  | {
      readonly kind: "cleanup" | "composite_cleanup";
      readonly closure: WasmClosure;
      readonly rejectCode: RejectCode | 0;
    };

/** Everything the System API may observe besides the canister itself. */
export interface MessageContext {
  readonly subnet: SubnetInfo;
  readonly time: TimeNs;
  readonly caller: Principal;
  readonly callerInfo: { readonly info: Uint8Array; readonly signer: Principal } | null;
  /** 0n unless this is a best-effort call. */
  readonly deadline: TimeNs;
  /** Cycles of the call context that are still to be had. */
  readonly cyclesAvailable: bigint;
  /** Cycles that came back with the response; already in the balance. */
  readonly cyclesRefunded: bigint;
  /** Whether a response may still be given in this call context. */
  readonly canRespond: boolean;
  readonly instructionLimit: bigint;
  /** Instructions earlier messages of this call context used, for `performance_counter(1)`. */
  readonly contextInstructions: bigint;
  /** CBOR certificate for `data_certificate`, non-replicated query entry of the target only. */
  readonly dataCertificate: Uint8Array | null;
  /** Memory the canister may still take on this subnet, bytes. */
  readonly subnetMemoryAvailable: bigint;
  /** Not there: runs to its end without a word. */
  readonly pace?: Pace;
  /** What one operation may not take beyond the end of a slice; not there: it has no slices. */
  readonly slice?: bigint;
  /** What its calls may take of the subnet; not there: as much as they want. */
  readonly callRoom?: CallRoom;
  /** Requests it may still send to `callee`; `call_perform` answers 2 at zero. */
  requestSlots(callee: CanisterId): number;
}

export interface CallRoom {
  /** Memory for guaranteed responses. */
  readonly guaranteedBytes: number;
  /** Callbacks besides those assured to every canister. */
  readonly callbacks: number;
  /** Calls of the canister that wait for a response as the message begins. */
  outstanding(): number;
}

/** For executions that tell how far they have come: instructions are handed out in slices. Never part of the result. */
export interface Pace {
  readonly slice: bigint;
  /** At least so many instructions have been executed. */
  report(executed: bigint): void;
}

/** A call made by a message that ended well. */
export interface OutgoingCall {
  readonly callee: CanisterId;
  readonly methodName: string;
  readonly payload: Uint8Array;
  readonly cycles: bigint;
  readonly reply: WasmClosure;
  readonly reject: WasmClosure;
  readonly cleanup: WasmClosure | null;
  /** Null: guaranteed response. */
  readonly timeoutSeconds: number | null;
  readonly prepaidExecution: bigint;
  readonly prepaidTransmission: bigint;
  /** Charged for sending the request itself; not refunded. */
  readonly transmissionCost: bigint;
}

export type ResponseGiven =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly message: string };

/** What a message did. `effects` is null when it trapped: memory, globals and stable memory are then as before it. */
export interface MessageOutcome {
  readonly error: UserError | null;
  readonly instructions: bigint;
  readonly effects: MessageEffects | null;
  /** debug_print and trap texts, kept even when the message trapped. */
  readonly logs: readonly Uint8Array[];
  /** Records of this execution that made room for these; not there: none. Indices count them. */
  readonly logsDropped?: number;
  readonly heapPagesTouched: number;
  /** Its instructions by function; not there: nobody asked. */
  readonly profile?: FunctionProfile;
  /** Not yet in the canister's record; not there: committed, or nothing to commit. */
  readonly change?: MemoryChange;
  /** Of an upgrade: pre_upgrade failed, and the new module was not looked at. */
  readonly endedBefore?: true;
}

/** Pages by number: ascending, contents one after the other. */
export interface PagesChange {
  readonly indices: Uint32Array;
  readonly bytes: Uint8Array;
}

/** What an execution changed in a canister's memories and globals, as plain data that may cross threads. */
export interface MemoryChange {
  readonly heap: PagesChange;
  readonly stable: PagesChange;
  readonly globals: readonly bigint[];
  /** Wasm pages. */
  readonly heapPages: number;
  readonly stablePages: number;
  /** Pages that are not listed are empty then, instead of as they were. */
  readonly replacesHeap: boolean;
  readonly replacesStable: boolean;
}

export interface MessageEffects {
  readonly response: ResponseGiven | null;
  readonly calls: readonly OutgoingCall[];
  readonly cyclesAccepted: bigint;
  readonly cyclesBurned: bigint;
  /** Moves from the main balance to the reserved one. */
  readonly cyclesReserved: bigint;
  /** `mint_cycles`: the cycles minting canister only. */
  readonly cyclesMinted: bigint;
  readonly certifiedData: Uint8Array | null;
  /** Null: not set in this message. */
  readonly globalTimer: TimeNs | null;
  /** inspect_message only. */
  readonly accepted: boolean;
}

export interface InstallRequest {
  readonly mode: "install" | "reinstall" | "upgrade";
  readonly skipPreUpgrade: boolean;
  readonly keepHeap: boolean;
  readonly module: InstalledModule;
  readonly arg: Uint8Array;
  /** Asked before anything is committed: what the hooks have come to. An error undoes all. */
  readonly refuse?: (end: InstallEnd) => UserError | null;
}

export interface InstallEnd {
  /** Wasm pages. */
  readonly heapPages: number;
  readonly stablePages: number;
  readonly cyclesBurned: bigint;
}

/** What running a canister needs of its record. */
export type RunnableCanister = Pick<CanisterState, "meta" | "memory">;

/**
 * Runs Wasm. On success it commits pages, globals, heapPages, stablePages into the canister's record (nothing else: balance,
 * timer, certified data, calls and response are the caller's to apply), as long as the instructions are within `commitWithin`;
 * otherwise the outcome has them as its `change`. On failure it leaves no trace.
 */
export interface MessageRunner {
  /** Replicated execution. For `replicated_query` memory is rolled back in any case. */
  execute(
    canister: RunnableCanister,
    entry: EntryPoint,
    context: MessageContext,
    commitWithin?: bigint,
  ): MessageOutcome;
  /**
   * Install, reinstall or upgrade as one atomic execution: pre_upgrade of the old code, `(start)`, init or post_upgrade of the
   * new. Commits memories and globals; `meta.module` stays the caller's to set after success.
   */
  install(
    canister: RunnableCanister,
    request: InstallRequest,
    context: MessageContext,
    commitWithin?: bigint,
  ): MessageOutcome;
  /** Of an upgrade whose new module is refused: pre_upgrade of the old code, which leaves no trace; null where there is none. */
  preUpgrade?(canister: RunnableCanister, context: MessageContext): MessageOutcome | null;
  /** Puts what an execution changed into the record, which is as it was when that began. */
  commit(canister: RunnableCanister, change: MemoryChange): void;
  /** inspect_message: never commits. */
  inspect(canister: RunnableCanister, entry: EntryPoint, context: MessageContext): MessageOutcome;
  /** Drops a canister's live instance (uninstall, delete, reinstall by another path). */
  evict(canister: CanisterId): void;
  /** The compiled form of an installed module, for other threads. */
  compiledModule?(module: InstalledModule): CompiledCanister;
  /** Validates and compiles uploaded bytes (raw or gzip) into a record, or says why not. Cached by hash. */
  compile(
    uploaded: Uint8Array,
  ):
    | { readonly ok: true; readonly value: CompiledUpload }
    | { readonly ok: false; readonly error: UserError };
}

export interface CompiledUpload {
  /** Ready to become `meta.module`. */
  readonly module: InstalledModule;
  /** Instructions charged for compilation. */
  readonly instructions: bigint;
  readonly customSectionBytes: number;
  /** Sizes that its memory may have, in Wasm pages; null without one. */
  readonly memory: { readonly minPages: number; readonly maxPages: number } | null;
}

/** An execution that a partition of a round asks for, as the canister's record says (`running`). */
export interface Job {
  readonly canister: CanisterState;
  readonly work: RunningWork;
  /** Its result is due when it took no more instructions than these. */
  readonly granted: bigint;
}

export interface JobResult {
  /** Instructions of all parts, the cleanup callback's and compilation included; nothing is left to commit. */
  readonly outcome: MessageOutcome;
  /** What the cleanup callback did, where one ran and ended well. */
  readonly cleanup: MessageEffects | null;
  /** Installations: the module that is now to be the canister's. */
  readonly compiled: CompiledUpload | null;
  /** Instructions that are paid; not there: those that the outcome counts, which say when it is due and are never fewer. */
  readonly paid?: bigint;
}

/** A sequence of executions, each of which may depend on how those before it ended. */
export interface Partition {
  /** The next one, or null when there is none for now. */
  next(): Job | null;
  /** How it ended; null when it goes on beyond what was granted. */
  done(job: Job, result: JobResult | null): void;
}

/** Running jobs on the thread that owns the state. */
export interface LocalJobs {
  /** Runs, or takes what was kept of an earlier round; null, and keeps it, when more than `granted` instructions are needed. */
  run(job: Job): JobResult | null;
  /** The same with at most `limit` instructions: "outgrown", without a trace, when they do not suffice. */
  probe(job: Job, limit: bigint): JobResult | "outgrown";
  /** Commits a result that came from elsewhere. */
  adopt(job: Job, result: JobResult): JobResult;
}

/** Runs independent partitions to their ends; the result is the same whatever runs where and in which order. */
export interface Executor {
  run(partitions: readonly Partition[], local: LocalJobs): void;
}

/** All that followers (query view, checkpoint writer) need to move from the previous height to this one. Structured-cloneable. */
export interface StateDelta {
  readonly height: Height;
  readonly time: TimeNs;
  readonly rootHash: Uint8Array;
  readonly canisters: readonly CanisterDelta[];
  /** Canisters that ceased to exist, before those in `canisters` came to be: one made anew under its id is in both. */
  readonly deleted: readonly PrincipalKey[];
  readonly tree: readonly TreeChange[];
  /** Entries that appeared or changed, without reply bytes (those are in the tree), and keys that were pruned. */
  readonly ingress: readonly Pick<IngressEntry, "requestId" | "sender" | "receiver" | "effectiveId">[];
  readonly ingressPruned: readonly string[];
  /** Uploaded bytes of modules that were installed in this round (`newModules`). */
  readonly modules: readonly ModuleBytes[];
  /** Where subnets came to the network. */
  readonly subnet?: SubnetInfo;
}

export interface ModuleBytes {
  readonly key: BlobKey;
  readonly bytes: Uint8Array;
  /** As this thread compiled it, when no canister had it before: whoever follows need not compile it again. */
  readonly compiled?: CompiledCanister;
}

export interface CanisterDelta {
  readonly meta: CanisterMeta;
  /** The module is the one that followers have, and left out of `meta` (null there): its metadata may be a megabyte. */
  readonly sameModule: boolean;
  readonly heap: PageDelta;
  readonly stable: PageDelta;
  /** Null: unchanged. */
  readonly logs: readonly CanisterLogRecord[] | null;
  /** Cycles consumed by use case, for `canister_metrics` as a query. */
  readonly consumed: ReadonlyMap<string, bigint>;
  readonly queryStats: CanisterState["queryStats"];
  /** From here on the view reckons what the canister pays for storage and compute itself; null: nothing, in the middle of a message. */
  readonly chargedUntil: TimeNs | null;
}

export interface BatchResult {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  readonly delta: StateDelta;
  /** Request ids whose status became terminal in this round. */
  readonly answered: readonly Uint8Array[];
  readonly instructions: bigint;
  /** Work is left over (queued messages, timers due now): the next round should follow without waiting for ingress. */
  readonly moreWork: boolean;
  /** Some of it are executions that go on over rounds. */
  readonly longWork: boolean;
  /** Some of it needs no slice of theirs. */
  readonly shortWork: boolean;
  /** Earliest timer that is not due yet, or null. */
  readonly nextTimer: TimeNs | null;
  /** Whether canisters have heartbeats; where they run every round they make none due, and `nextTimer` does not tell of them. */
  readonly heartbeats: boolean;
  /** HTTPS outcalls that the host should make now, and those that it need not make any more. */
  readonly outcalls: { readonly started: readonly Outcall[]; readonly ended: readonly number[] };
}

export type ApplyBatch = (state: ReplicatedState, batch: Batch) => BatchResult;

export type { PageId, TreeChange };
