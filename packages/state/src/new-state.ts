/**
 * Fresh records: the state of a subnet at genesis, a canister at creation, the default settings (interface spec, "Canister
 * settings"; `wasm_memory_limit` and `log_memory_limit` are the replica's defaults, which are ahead of it).
 */
import type { CanisterId, Principal, TimeNs } from "@orrery/base";
import { canisterIndex, OrreryError } from "@orrery/base";
import { emptyTree } from "@orrery/crypto";
import { BlobStore } from "./blob-store.ts";
import { CanisterMap } from "./canister-map.ts";
import { fullTree } from "./canonical-state.ts";
import { PageTable } from "./page-table.ts";
import type {
  CanisterSettings,
  CanisterState,
  LogVisibility,
  ReplicatedState,
  SnapshotKey,
  SubnetInfo,
} from "./types.ts";

/** Seconds: 30 days. */
export const FREEZING_THRESHOLD_DEFAULT = 2_592_000n;
/** Cycles. */
export const RESERVED_CYCLES_LIMIT_DEFAULT = 5_000_000_000_000n;
/** Bytes: 3 GiB. */
export const WASM_MEMORY_LIMIT_DEFAULT: bigint = 3n << 30n;
/** Bytes. */
export const LOG_MEMORY_LIMIT_DEFAULT = 4_096n;

/** Shared by the canisters that have none. */
const NO_SNAPSHOTS: readonly SnapshotKey[] = [];

const NO_BYTES: Uint8Array = new Uint8Array(0);
const CONTROLLERS_ONLY: LogVisibility = { kind: "controllers" };

export function defaultSettings(controllers: readonly Principal[]): CanisterSettings {
  return {
    controllers,
    computeAllocation: 0n,
    memoryAllocation: 0n,
    freezingThreshold: FREEZING_THRESHOLD_DEFAULT,
    reservedCyclesLimit: RESERVED_CYCLES_LIMIT_DEFAULT,
    minimumIncomingCallCycles: 0n,
    wasmMemoryLimit: WASM_MEMORY_LIMIT_DEFAULT,
    wasmMemoryThreshold: 0n,
    logMemoryLimit: LOG_MEMORY_LIMIT_DEFAULT,
    logVisibility: CONTROLLERS_ONLY,
    snapshotVisibility: CONTROLLERS_ONLY,
    statusVisibility: CONTROLLERS_ONLY,
    environmentVariables: [],
  };
}

export interface NewCanisterOptions {
  readonly id: CanisterId;
  readonly controllers: readonly Principal[];
  readonly cycles: bigint;
  /** Time of the block that creates it: creation timestamp, and storage is paid from here on. */
  readonly time: TimeNs;
  /** Over the defaults; `controllers` above wins. */
  readonly settings?: Partial<CanisterSettings>;
}

/** An empty, running canister; nothing is in any state yet, and no history entry is made. */
export function newCanister(options: NewCanisterOptions): CanisterState {
  const { id, controllers, cycles, time, settings } = options;
  return {
    meta: {
      id,
      status: { kind: "running" },
      settings: { ...defaultSettings(controllers), ...settings, controllers },
      cycles,
      reservedCycles: 0n,
      version: 0n,
      module: null,
      globals: [],
      heapPages: 0,
      stablePages: 0,
      certifiedData: NO_BYTES,
      globalTimer: 0n,
      lowMemoryHook: "not_satisfied",
      createdAt: time,
      installedAt: null,
      chunkStoreBytes: 0,
      snapshotBytes: 0,
      historyBytes: 0,
      customSectionBytes: 0,
      logBytes: 0,
      guaranteedMessageBytes: 0,
      bestEffortMessageBytes: 0,
    },
    memory: { heap: new PageTable(), stable: new PageTable() },
    callContexts: new Map(),
    callbacks: new Map(),
    nextContextId: 1,
    nextCallbackId: 1,
    queues: { ingress: [], responses: [], requests: new Map(), outputs: new Map() },
    outstandingByCallee: new Map(),
    logs: [],
    nextLogIdx: 0n,
    history: [],
    historyTotal: 0n,
    chunks: new Map(),
    snapshots: NO_SNAPSHOTS,
    nextSnapshot: 0n,
    queryStats: { calls: 0n, instructions: 0n, requestBytes: 0n, responseBytes: 0n },
    consumed: new Map(),
    priority: 0,
    priorityCredit: 0,
    running: null,
    chargedUntil: time,
  };
}

/** The state before the first block: no canisters, height 0, its certified tree built. */
export function newState(options: { readonly subnet: SubnetInfo; readonly time: TimeNs }): ReplicatedState {
  const { subnet, time } = options;
  const first = canisterIndex(subnet.allocation.start);
  if (first === null) {
    throw new OrreryError(
      "genesis_invalid",
      "the allocation range starts at a principal that is not a canister id; name a canister id",
    );
  }
  const state: ReplicatedState = {
    subnet,
    height: 0,
    time,
    canisters: new CanisterMap(),
    ingressHistory: new Map(),
    pendingManagement: [],
    outcalls: new Map(),
    nextOutcall: 0,
    managementQueue: [],
    streams: new Map(),
    subnetOutputs: new Map(),
    refunds: new Map(),
    blobs: new BlobStore(),
    snapshots: new Map(),
    changedSnapshots: new Set(),
    nextCanisterIndex: first,
    randomness: new Uint8Array(32),
    updateTransactionsTotal: 0n,
    consumedCyclesTotal: 0n,
    nodeMetrics: [],
    tree: emptyTree(),
    changed: {
      canisters: new Set(),
      ingress: new Set(),
      streams: new Set(),
      nodes: new Set(),
      subnets: new Set(),
    },
  };
  state.tree = fullTree(state);
  return state;
}
