/**
 * Limits of execution and messaging (interface spec, "Resource limits"; the replica's configuration of an application subnet).
 * Each is a bound that some loop, queue or message has; those that a test or a subnet may choose are fields of
 * `ExecutionLimits`.
 */
import type { SubnetInfo, SubnetType } from "@orrery/state";

/** Instructions of one update, heartbeat, timer or callback. */
export const INSTRUCTIONS_PER_MESSAGE_MAX = 40_000_000_000n;
/** Instructions of one installation, hooks and compilation included. */
export const INSTRUCTIONS_PER_INSTALL_MAX = 300_000_000_000n;
/** Instructions of a slice, of messages and of installations; on system subnets those of installations are longer. */
const INSTRUCTIONS_PER_SLICE = 2_000_000_000n;
const INSTRUCTIONS_PER_SYSTEM_INSTALL_SLICE = 5_000_000_000n;
/** Instructions of one query, replicated or not. */
const INSTRUCTIONS_PER_QUERY_MAX = 5_000_000_000n;
/** Instructions of `canister_inspect_message`. */
export const INSTRUCTIONS_PER_INSPECT_MAX = 200_000_000n;
/** Share of a message's instructions kept for the cleanup callback, so that it can run after the limit was hit. */
export const CLEANUP_INSTRUCTIONS_SHARE = 5n;

/** Request or response between canisters, bytes: what every subnet accepts. */
export const INTER_CANISTER_PAYLOAD_BYTES_MAX = 2_097_152;
/** Request to a canister of the same subnet, bytes. */
export const SAME_SUBNET_PAYLOAD_BYTES_MAX: number = 10 * 1024 * 1024;
/** Reply of a replicated message, bytes. */
export const RESPONSE_BYTES_MAX = 2_097_152;
/** Reply of a non-replicated query, bytes. */
export const QUERY_RESPONSE_BYTES_MAX = 3_145_728;
/** Method name in a call, bytes. */
export const METHOD_NAME_BYTES_MAX = 20_000;
/** What a message between canisters counts for besides its payload, bytes, and what a request reserves for its response. */
export const MESSAGE_HEADER_BYTES = 112;
export const RESPONSE_RESERVATION_BYTES: number = RESPONSE_BYTES_MAX + MESSAGE_HEADER_BYTES;
/** Memory of all calls of a subnet whose response is guaranteed, reservations included, bytes; system subnets have no limit. */
export const GUARANTEED_MESSAGE_BYTES_MAX: number = 15 * 1024 ** 3;
/** Queued messages of best-effort calls of a subnet at the end of a round, bytes. */
export const BEST_EFFORT_MESSAGE_BYTES_MAX: number = 5 * 1024 ** 3;
/** Calls of a subnet that wait for a response; beyond it each canister has those assured to it. */
export const CALLBACKS_PER_SUBNET_MAX = 1_000_000;
export const CALLBACKS_PER_CANISTER_ASSURED = 50;
/** Requests in flight between one pair of canisters. */
export const QUEUE_CAPACITY = 500;
/** Ingress messages waiting at one canister; the replica bounds its ingress queues through the history's memory. */
export const INGRESS_QUEUE_CAPACITY = 5_000;
/** Arguments of the ingress messages that wait at the management canister, bytes; ours, since they are in memory on a laptop. */
export const MANAGEMENT_INGRESS_BYTES_MAX: number = 512 * 1024 * 1024;
/** Reject texts are cut to this many bytes before they travel. */
export const REJECT_TEXT_BYTES_MAX = 8_192;

/** How long a request whose response is guaranteed waits for room in a stream, ns. */
export const REQUEST_LIFETIME_NS = 300_000_000_000n;
/** Longest lifetime of an ingress message, ns. */
export const INGRESS_TTL_NS = 300_000_000_000n;
/** How long a terminal status stays at least, ns. */
export const INGRESS_STATUS_KEPT_NS = 300_000_000_000n;
/** `stop_canister` gives up after this time, ns. */
export const STOP_TIMEOUT_NS = 300_000_000_000n;
/** Longest time that a best-effort call may ask for, seconds. */
export const CALL_TIMEOUT_SECONDS_MAX = 300;
/** HTTPS outcalls that wait for an answer. */
export const OUTCALLS_MAX = 3_000;
/** Bodies and transform contexts that these hold; ours, since a state that waits for the world must fit a laptop. */
export const OUTCALLS_BYTES_MAX: number = 512 * 1024 * 1024;
/** An outcall that has no answer by then, block time, gets none, ns. */
export const OUTCALL_TIMEOUT_NS = 60_000_000_000n;
/** Of an outcall: its URL, bytes. */
export const URL_BYTES_MAX = 8_192;
/** Headers of a request or a response: how many, how long a name or a value, how long all together, bytes. */
export const HEADERS_MAX = 64;
export const HEADER_BYTES_MAX = 8_192;
export const HEADERS_BYTES_MAX: number = 48 * 1024;
/** Headers and body of a request, bytes. */
export const OUTCALL_REQUEST_BYTES_MAX = 2_000_000;
/** Headers and body of a response, and what a transform makes of it, bytes. */
export const OUTCALL_RESPONSE_BYTES_MAX = 2_000_000;
/** Elements of a derivation path. */
export const DERIVATION_PATH_LENGTH_MAX = 255;
/** What calls on chain keys count for in a round, by the time that they take: a step of a path, a signature, vetKD's parts. */
export const DERIVATION_STEP_INSTRUCTIONS = 2_000_000n;
export const SIGNATURE_INSTRUCTIONS = 10_000_000n;
export const VETKD_PUBLIC_KEY_INSTRUCTIONS = 25_000_000n;
export const VETKD_KEY_INSTRUCTIONS = 60_000_000n;
/** Of answers on chain keys in one round; the first is given whatever it counts for, the rest waits. */
export const CHAIN_KEY_INSTRUCTIONS_PER_ROUND = 500_000_000n;
/** Requests that wait for one chain key (`max_queue_size` of its configuration). */
export const SIGNATURE_QUEUE_CAPACITY = 20;
/** Storage and compute are charged in steps of this length, ns. */
export const CHARGE_INTERVAL_NS = 10_000_000_000n;
/** Grid of heartbeats on a node, ns of block time. */
export const HEARTBEAT_INTERVAL_NS = 1_000_000_000n;

/** Subnet memory for canisters, bytes. */
export const SUBNET_MEMORY_BYTES_MAX: bigint = 2n << 40n;
/** Of it, what only callbacks may take: a canister must be able to deal with an answer on a subnet that is full. */
export const SUBNET_MEMORY_FOR_CALLBACKS_BYTES: bigint = 10n << 30n;
/** Subnet memory in use from which new memory reserves cycles, bytes. */
export const STORAGE_RESERVATION_THRESHOLD_BYTES: bigint = 750n << 30n;
/** Seconds of payments that memory reserves on a full subnet; in between in proportion. */
export const STORAGE_RESERVATION_SECONDS_MAX = 300_000_000n;
/** What a message or a management call may take of the subnet's free memory is one share of so many: others run beside it. */
export const MEMORY_SHARES = 4n;
/** Custom sections of all modules of a subnet, bytes. */
export const CUSTOM_SECTIONS_BYTES_MAX: number = 2 * 1024 ** 3;
/** Canisters on one subnet. */
export const CANISTERS_PER_SUBNET_MAX = 250_000;
/** Time that the messages of one composite query may take together; the host measures it. */
export const COMPOSITE_QUERY_TIME_MS_MAX = 10_000;
/** Compute that all canisters of a subnet may reserve together, percent. */
export const SUBNET_COMPUTE_PERCENT_MAX = 299n;

export const CONTROLLERS_MAX = 10;
export const VIEWERS_MAX = 10;
export const ENVIRONMENT_VARIABLES_MAX = 20;
export const ENVIRONMENT_VARIABLE_BYTES_MAX = 128;
export const WASM_MEMORY_LIMIT_MAX: bigint = 1n << 48n;
export const MEMORY_ALLOCATION_MAX: bigint = 1n << 48n;
/** Records that one answer of `fetch_canister_logs` holds, bytes. */
export const LOG_RESPONSE_BYTES_MAX = 2_000_000;
export const LOG_MEMORY_LIMIT_MIN = 4_096n;
export const LOG_MEMORY_LIMIT_MAX: bigint = 2n << 20n;

/** Chunk store: pieces per canister and bytes per piece, each accounted as a full piece. */
export const CHUNKS_MAX = 100;
export const CHUNK_BYTES_MAX: number = 1024 * 1024;
/** Changes kept in a canister's history. */
export const HISTORY_ENTRIES_MAX = 20;
/** Share of a round's instructions up to which management calls that execute much begin. */
export const MANAGEMENT_INSTRUCTIONS_SHARE = 16n;
/** Days that `node_metrics_history` looks back. */
export const NODE_METRICS_SAMPLES_MAX = 60;
/** What `subnet_info` calls this implementation of the protocol; part of results, so it changes with them only. */
export const REPLICA_VERSION = "orrery-1";
/** Snapshots of one canister. */
export const SNAPSHOTS_MAX = 10;
/** Longest slice of a snapshot that one call reads, bytes. */
export const SNAPSHOT_SLICE_BYTES_MAX = 2_000_000;
/** Globals in uploaded metadata: as many as a module may have. */
export const SNAPSHOT_GLOBALS_MAX = 1_000;
export const CERTIFIED_DATA_BYTES_MAX = 32;
export const HEAP_BYTES_MAX_32: bigint = 4n << 30n;
export const HEAP_BYTES_MAX_64: bigint = 6n << 30n;
export const STABLE_BYTES_MAX: bigint = 500n << 30n;
/** Uploaded module, uncompressed or not, bytes. */
export const WASM_MODULE_BYTES_MAX: number = 100 * 1024 * 1024;

/** Balance of provisionally created canisters when no amount is given. */
export const PROVISIONAL_CYCLES_DEFAULT = 100_000_000_000_000n;

/**
 * Replies and reject texts that the ingress history holds, bytes. The replica's 4 GiB is more than a process on a laptop can hold;
 * statuses over the limit become `done`, the oldest first.
 */
export const INGRESS_HISTORY_BYTES_MAX: number = 1024 * 1024 * 1024;

export interface ExecutionLimits {
  /** A partition of a round stops starting messages once it executed this many instructions. */
  readonly instructionsPerRound: bigint;
  /** The same of subnets whose blocks several nodes agree on, where rounds are fewer and cost more; null: as of one. */
  readonly instructionsPerAgreedRound: bigint | null;
  /** A canister's turn in a partition ends when it executed so many, and goes on when the others had theirs; null: when it has no work. */
  readonly instructionsPerTurn: bigint | null;
  /** A message that executes more goes on in the next round, with a slice in each. */
  readonly instructionsPerSlice: bigint;
  /** The slice of the round in which a message begins, and with which others wait; null: as long as any. */
  readonly instructionsPerFirstSlice: bigint | null;
  /** The same where the canister's message before took more than that, or changed `HEAVY_HEAP_PAGES`. */
  readonly instructionsPerHeavySlice: bigint | null;
  /** Whether replicated queries have slices as well; without, they end in the round in which they begin. */
  readonly replicatedQuerySlices: boolean;
  /** Slices of an installation; of its first one the same as of a message's. */
  readonly instructionsPerInstallSlice: bigint;
  readonly instructionsPerFirstInstallSlice: bigint | null;
  /** Installations of larger modules, decoded, have no slice in the round in which they begin: compiling takes that time elsewhere. */
  readonly firstSliceModuleBytes: number;
  /** Messages of more than one slice that a round gives slices to; others wait. */
  readonly longExecutionsMax: number;
  readonly instructionsPerMessage: bigint;
  readonly instructionsPerInstall: bigint;
  /** A canister that installed more waits as many rounds for its next installation as this is part of it; 0n: it does not wait. */
  readonly installDebitPerRound: bigint;
  readonly instructionsPerQuery: bigint;
  /** Added to every message when a round counts: bounds how many cheap messages a round runs. */
  readonly overheadPerMessage: bigint;
  /** Groups of canisters that a round runs side by side; each has `instructionsPerRound`. Part of the result, not of the host. */
  readonly partitions: number;
  /** 0n: heartbeats run every round. */
  readonly heartbeatIntervalNs: bigint;
  readonly ingressHistoryBytes: number;
  /** Blocks for which statistics of queries are added up before canisters are told of them. */
  readonly queryStatsEpochBlocks: number;
  /** A stream to another subnet takes no further message once it holds this many, or this many bytes. */
  readonly streamMessages: number;
  readonly streamBytes: number;
  /** Towards system subnets: what they take at once, of a stream or of all that came back unanswered. */
  readonly systemStreamMessages: number;
  readonly canistersPerSubnet: number;
  readonly guaranteedMessageBytes: number;
  readonly bestEffortMessageBytes: number;
  readonly callbacksPerSubnet: number;
  readonly customSectionBytes: number;
  /** Instructions that storing a chunk counts for. */
  readonly uploadChunkInstructions: bigint;
  /** Instructions that taking, loading or announcing a snapshot counts for, besides one a byte. */
  readonly snapshotInstructions: bigint;
  /** Instructions that reading a slice of a snapshot counts for, besides one a byte. */
  readonly snapshotDataInstructions: bigint;
}

/**
 * Heap pages that a message changes: as many take longer than other messages should wait, copied at first and compared at last.
 * From here on they are counted one by one, since marks of pages differ between the forms of a module.
 */
export const HEAVY_HEAP_PAGES = 2_500;

const DEFAULT_LIMITS: ExecutionLimits = {
  instructionsPerRound: 4_000_000_000n,
  instructionsPerAgreedRound: null,
  instructionsPerTurn: null,
  instructionsPerSlice: INSTRUCTIONS_PER_SLICE,
  instructionsPerFirstSlice: null,
  instructionsPerHeavySlice: null,
  replicatedQuerySlices: false,
  instructionsPerInstallSlice: INSTRUCTIONS_PER_SLICE,
  instructionsPerFirstInstallSlice: null,
  firstSliceModuleBytes: WASM_MODULE_BYTES_MAX,
  longExecutionsMax: 4,
  instructionsPerMessage: INSTRUCTIONS_PER_MESSAGE_MAX,
  instructionsPerInstall: INSTRUCTIONS_PER_INSTALL_MAX,
  installDebitPerRound: 2_000_000_000n,
  instructionsPerQuery: INSTRUCTIONS_PER_QUERY_MAX,
  overheadPerMessage: 2_000_000n,
  partitions: 4,
  heartbeatIntervalNs: HEARTBEAT_INTERVAL_NS,
  ingressHistoryBytes: INGRESS_HISTORY_BYTES_MAX,
  queryStatsEpochBlocks: 600,
  streamMessages: 10_000,
  streamBytes: 10 * 1024 * 1024,
  systemStreamMessages: 100,
  canistersPerSubnet: CANISTERS_PER_SUBNET_MAX,
  guaranteedMessageBytes: GUARANTEED_MESSAGE_BYTES_MAX,
  bestEffortMessageBytes: BEST_EFFORT_MESSAGE_BYTES_MAX,
  callbacksPerSubnet: CALLBACKS_PER_SUBNET_MAX,
  customSectionBytes: CUSTOM_SECTIONS_BYTES_MAX,
  uploadChunkInstructions: 200_000_000n,
  snapshotInstructions: 2_000_000_000n,
  snapshotDataInstructions: 5_000_000n,
};

/** System subnets run longer messages, and what stores data counts for nothing in their rounds. */
const SYSTEM_LIMITS: ExecutionLimits = {
  ...DEFAULT_LIMITS,
  instructionsPerRound: 7_000_000_000n,
  instructionsPerInstallSlice: INSTRUCTIONS_PER_SYSTEM_INSTALL_SLICE,
  instructionsPerMessage: 50_000_000_000n,
  instructionsPerInstall: 1_000_000_000_000n,
  installDebitPerRound: 0n,
  instructionsPerQuery: 50_000_000_000n,
  guaranteedMessageBytes: Number.MAX_SAFE_INTEGER,
  uploadChunkInstructions: 0n,
  snapshotInstructions: 0n,
  snapshotDataInstructions: 0n,
};

/**
 * Local networks make blocks when there is something to do: statistics of queries are shown sooner, and whoever installs twice in a
 * row need not wait for blocks that nobody makes.
 */
const LOCAL_LIMITS: Partial<ExecutionLimits> = { queryStatsEpochBlocks: 60, installDebitPerRound: 0n };

/** What holds on a subnet unless its host says otherwise. */
export function subnetLimits({ type, local }: Pick<SubnetInfo, "type" | "local">): ExecutionLimits {
  return local ? { ...limitsOf(type), ...LOCAL_LIMITS } : limitsOf(type);
}

/** What holds in a round: by the nodes that the state lists, so that all of them come to the same. */
export function roundLimits(limits: ExecutionLimits, { nodes }: Pick<SubnetInfo, "nodes">): ExecutionLimits {
  const { instructionsPerAgreedRound: agreed } = limits;
  return agreed === null || nodes.length <= 1 ? limits : { ...limits, instructionsPerRound: agreed };
}

/**
 * The slice that no single operation may overrun by as much again (replica). A host's slices may be shorter: what a canister is told
 * must not depend on that.
 */
export function protocolSlice(type: SubnetType, what: "message" | "install"): bigint {
  const { instructionsPerSlice, instructionsPerInstallSlice } = limitsOf(type);
  return what === "install" ? instructionsPerInstallSlice : instructionsPerSlice;
}

/** Verified application subnets and cloud engines have the limits of application subnets. */
export function limitsOf(type: SubnetType): ExecutionLimits {
  return type === "system" ? SYSTEM_LIMITS : DEFAULT_LIMITS;
}
