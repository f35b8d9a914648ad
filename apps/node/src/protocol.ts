/**
 * What the threads of a node say to each other (docs/ARCHITECTURE.md "Threads of a node"). Main: HTTP, pools, consensus. Execution: owns
 * the mutable tips. View: answers queries and read_state from the certified mirrors. Storage: block logs and checkpoint writes.
 * Every thread hosts all subnets of its process; a message names the one that it is about by its place in the genesis. Everything is
 * plain data; pages travel as ids into shared slabs.
 */
import type { MessagePort } from "node:worker_threads";
import type { Batch, Height, LogLevel, PrincipalKey, RequestId, SubnetId, TimeNs } from "@orrery/base";
import type { FetchedOutcall, SliceRequest, StateDelta, ViewEnd, ViewPart } from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import type { Destination, RangesForm, StateQuery, UserQuery } from "@orrery/http";
import type { CanisterInput, CheckpointInfo, CheckpointInput, LogRecord, Outcall, Slab } from "@orrery/state";

/** How much is done before a checkpoint is due and how long a log segment grows; what is left out is as a network needs it. */
export interface DurabilityOptions {
  readonly checkpointRounds?: number;
  readonly logSegmentBytes?: number;
  /** Pages of a subnet that stay in memory beside those that no checkpoint holds. */
  readonly hotPagesMax?: number;
  /** Rounds before the newest checkpoint that can run again as long as the network lives; by default what is left over from writing. */
  readonly keepRounds?: number;
}

/** 0 is the prompt view, 1 the patient one. */
export type ViewIndex = 0 | 1;
/** Names of their threads. */
export const VIEW_NAMES = ["view", "patient-view"] as const;

/** Place of a subnet in the genesis; 0 is the root. */
export type SubnetIndex = number;

/** Of every subnet that the process has a node of, in the order of the genesis. */
export type BySubnet<T> = ReadonlyMap<SubnetIndex, T>;

/** A message about one of the subnets. */
export type About<T> = T & { readonly subnet: SubnetIndex };

/** `workerData` of every thread. */
export interface WorkerStart {
  /** Holds a store for each subnet (`storeDirectory`). */
  readonly stateDirectory: string;
  readonly durability: DurabilityOptions;
  readonly logLevel: LogLevel;
  /** Of `NodeOptions.chaosFile`. */
  readonly chaosFile: string | null;
  /** Place of this node in subnets of several. */
  readonly self: number;
  /** Subnets that the process has a node of, ascending; null: all. */
  readonly hosted: readonly SubnetIndex[] | null;
}

// ---- storage ----

export type StorageCall =
  /** Opens the stores, creating them when the directory is empty; answers with `StorageOpened`. */
  | { readonly kind: "open"; readonly freshGenesis: Uint8Array; readonly salt: Uint8Array }
  /** Records of the log from a height on down, as many as go to a peer at once: `Uint8Array[]`, none when the first is not there. */
  | About<{ readonly kind: "blocks"; readonly from: Height }>
  | { readonly kind: "close" };

export interface StorageOpened {
  readonly genesis: Uint8Array;
  readonly networkId: Uint8Array;
  readonly subnets: BySubnet<RecoveredSubnet>;
}

export interface RecoveredSubnet {
  /** The block of the checkpoint's height, where the chain goes on; null at genesis. */
  readonly checkpointBlock: Uint8Array | null;
  /** After the checkpoint, oldest first. */
  readonly records: readonly LogRecord[];
  /** Height of the newest catch-up package that it persisted; 0: none. */
  readonly packaged: Height;
  /** Of a member of a subnet of several nodes: what it persisted and did not purge, in its order. */
  readonly artifacts: readonly RecoveredArtifact[];
}

/** An artifact of consensus, encoded. */
export interface RecoveredArtifact {
  readonly height: Height;
  readonly bytes: Uint8Array;
}

export type StoragePost =
  | About<{ readonly kind: "append"; readonly record: LogRecord }>
  /** Artifacts to be made durable: before blocks that are appended after them. */
  | About<{
      readonly kind: "keep";
      readonly sequence: number;
      readonly records: readonly RecoveredArtifact[];
    }>
  /** Artifacts of heights below are not needed any more. */
  | About<{ readonly kind: "purge"; readonly below: Height }>
  | { readonly kind: "feed"; readonly port: MessagePort };
export type StorageReport =
  | About<{ readonly kind: "durable"; readonly height: Height }>
  | About<{ readonly kind: "kept"; readonly sequence: number }>;

/** Execution → storage, and what it gets back once the checkpoint is current. */
export type CheckpointFeed = About<{
  readonly kind: "checkpoint";
  readonly input: CheckpointInput;
  readonly slabs: readonly Slab[];
}>;
export type StorageFeed =
  | CheckpointFeed
  /** A part of the next full checkpoint. */
  | About<{ readonly kind: "gathered"; readonly canisters: readonly CanisterInput[] }>
  /** Page versions retired up to `epoch` are reclaimed: superseded checkpoint files may go. */
  | About<{ readonly kind: "release"; readonly epoch: number }>
  /** What a block led to, to be kept beside it. */
  | About<{ readonly kind: "certified"; readonly height: Height; readonly rootHash: Uint8Array }>;
export type StorageAcknowledgement = About<{ readonly kind: "checkpointed"; readonly info: CheckpointInfo }>;

// ---- execution ----

export type ExecutionCall =
  | {
      readonly kind: "start";
      readonly genesis: Uint8Array;
      readonly networkId: Uint8Array;
      readonly subnets: BySubnet<RecoveredSubnet>;
      readonly storage: MessagePort;
    }
  /**
   * Sends a view the state between the rounds that go on, and all that follows, in place of an earlier view of the same index; answers
   * with the heights that it begins at (`BySubnet<Height>`) once they are sent.
   */
  | { readonly kind: "attach"; readonly view: ViewIndex; readonly port: MessagePort }
  /** Writes to checkpoints what would take a while to run again; answers when it can be read. */
  | { readonly kind: "checkpoint"; readonly when: "asked" | "ending" }
  /** Writes what is left to checkpoints, so that the next start replays nothing. */
  | { readonly kind: "shutdown" };

/** Of one subnet; the call to start answers with all of them (`BySubnet`). */
export interface ExecutionStarted {
  readonly tip: { readonly height: Height; readonly hash: Uint8Array; readonly time: TimeNs };
  readonly replayed: number;
  readonly wake: Wake;
  /** HTTPS outcalls that the state waits for. */
  readonly outcalls: readonly StartedOutcall[];
  /** Of the state at the tip. */
  readonly rootHash: Uint8Array;
  /** In subnets of several nodes: of whole states at catch-up heights that were executed again. */
  readonly stateHashes: readonly { readonly height: Height; readonly stateHash: Uint8Array }[];
}

/** An HTTPS outcall to be made, and how much may be downloaded for it. */
export interface StartedOutcall {
  readonly outcall: Outcall;
  readonly maxResponseBytes: number;
}

/**
 * Executions under way over rounds: none; some, and a round that gives them slices waits for nobody (`ready`) or for their workers
 * (`behind`).
 */
export type LongExecutions = "none" | "ready" | "behind";

export interface Wake {
  /** There is something to do without giving slices. */
  readonly moreWork: boolean;
  readonly long: LongExecutions;
  /** When something is due by itself: timers, heartbeats, deadlines. */
  readonly nextTimer: TimeNs | null;
}

export type ExecutionPost = About<{ readonly kind: "batch"; readonly batch: Batch }>;

export type ExecutionReport = RoundReport | ReadyReport;

/** What was behind after the round at `height` is ready. */
export type ReadyReport = About<{ readonly kind: "ready"; readonly height: Height }>;

export type RoundReport = About<{
  readonly kind: "executed";
  readonly height: Height;
  /** Subnets whose stream changed, as certified from this height on. */
  readonly streams: readonly PrincipalKey[];
  /** Hex request ids that became terminal. */
  readonly answered: readonly string[];
  readonly wake: Wake;
  readonly outcalls: { readonly started: readonly StartedOutcall[]; readonly ended: readonly number[] };
  readonly instructions: bigint;
  readonly durationMs: number;
  /** In subnets of several nodes, to be certified; null where the state is signed at once. */
  readonly outcome: { readonly rootHash: Uint8Array; readonly stateHash: Uint8Array | null } | null;
}>;

// ---- view ----

/**
 * Execution → view: the state in parts, deltas of rounds between them, then its end, then deltas. `slabs` are those made since the last
 * message that had some; publication is main's to order. `signature`: null in subnets of several nodes, where it comes with the publication.
 */
export type ViewFeed = About<
  | { readonly kind: "part"; readonly part: ViewPart }
  | {
      readonly kind: "end";
      readonly end: ViewEnd;
      readonly slabs: readonly Slab[];
      readonly signature: Uint8Array | null;
    }
  | {
      readonly kind: "delta";
      readonly delta: StateDelta;
      readonly slabs: readonly Slab[];
      readonly signature: Uint8Array | null;
    }
>;

/** A view to execution: queries see `height`, page versions retired before may be reclaimed; it has taken a part, and another may come. */
export type ViewProgress = { readonly kind: "applied"; readonly height: Height } | { readonly kind: "taken" };
export type ViewAcknowledgement = About<ViewProgress>;

/** Main → view, for a subnet handled strictly in order: an answer after `publish(h)` sees at least h. */
export type ViewPost =
  /** `signature`: of the subnet on the state; then heights below that were not published are shown with it. */
  | About<{ readonly kind: "publish"; readonly height: Height; readonly signature: Uint8Array | null }>
  /** Verified: certificates carry it from now on. */
  | About<{ readonly kind: "delegate"; readonly delegation: Delegation }>
  | { readonly kind: "feed"; readonly port: MessagePort };

/** `CertifiedView.judgeSlice`. */
export type SliceVerdict = "good" | "unfit" | "wrong";

export type ViewCall =
  /** The slice of `source`'s stream that this subnet should take next, certified: `Uint8Array | null`. */
  | { readonly kind: "slice"; readonly source: SubnetIndex }
  /** What to ask the nodes of another subnet for, so that it goes on where this subnet is: `SliceRequest`. */
  | { readonly kind: "slice_request"; readonly source: SubnetId }
  /** What another subnet's node asks for: `Uint8Array | null`. */
  | { readonly kind: "slice_for"; readonly request: SliceRequest }
  /** Of a slice that another subnet's node gave: `SliceVerdict`. */
  | { readonly kind: "judge_slice"; readonly source: SubnetId; readonly slice: Uint8Array }
  /** How far this subnet's stream to another one goes: `StreamEnds | null`. */
  | { readonly kind: "stream_ends"; readonly to: SubnetId }
  /** Of the root subnet: its word for another subnet, `Delegation | null`. */
  | { readonly kind: "delegation"; readonly subnetId: SubnetId }
  /** With `probe`, the answer is "outgrown" when more instructions are needed. */
  | { readonly kind: "query"; readonly query: UserQuery; readonly probe?: bigint }
  /** `OutcallResponse`: what was fetched, transformed as the caller asked. */
  | { readonly kind: "answer_outcall"; readonly outcall: Outcall; readonly fetched: FetchedOutcall }
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
      readonly canister: PrincipalKey;
      readonly probe?: bigint;
      readonly envelope: Uint8Array;
      readonly requestId: RequestId;
      readonly destination: Destination;
    };
