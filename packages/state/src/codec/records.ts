/**
 * Durable form of the records of state/types.ts: a canister (all but its pages and blobs), an ingress entry, the system record
 * (everything else). Field by field; the building blocks see to determinism and strictness.
 */
import type { CanisterId, NodeId, Principal, SubnetId, UserId } from "@orrery/base";
import type {
  Callback,
  CallContext,
  CallOrigin,
  CanisterLogRecord,
  CanisterMeta,
  CanisterRange,
  CanisterSettings,
  CanisterSnapshot,
  CanisterState,
  CanisterStatus,
  ChainKeyId,
  CustomSection,
  GlobalType,
  HistoryChange,
  HistoryDetails,
  HistoryOrigin,
  IngressEntry,
  IngressStatus,
  InstalledModule,
  LogVisibility,
  ModuleExports,
  NodeMetrics,
  NodeMetricsSample,
  QuerySums,
  ReplicatedState,
  RoutingEntry,
  SnapshotMemory,
  SnapshotSource,
  StopRequest,
  SubnetInfo,
  SubnetType,
} from "../types.ts";
import {
  bigInteger,
  bool,
  branded,
  bytes,
  type Codec,
  decodeWith,
  encodeWith,
  integer,
  list,
  literal,
  nullable,
  numberedMap,
  optional,
  record,
  remembered,
  text,
  textMap,
  union,
} from "./codec.ts";
import { callerInfo, managementInput, outputs, queues, stream } from "./messages.ts";
import { outcall, pendingManagementCall, schnorrAlgorithm } from "./pending.ts";
import { closure, rejectCode, runningWork } from "./work.ts";

const principal = branded<Principal>();
const canisterId = branded<CanisterId>();
const userId = branded<UserId>();
const subnetType = literal<SubnetType>("application", "system", "verified_application", "cloud_engine");

const canisterRange = record<CanisterRange>({ start: canisterId, end: canisterId });

const chainKeys = list(
  union<ChainKeyId>({
    ecdsa: { curve: literal<"secp256k1">("secp256k1"), name: text },
    schnorr: { algorithm: schnorrAlgorithm, name: text },
    vetkd: { curve: literal<"bls12_381_g2">("bls12_381_g2"), name: text },
  }),
);

const routingEntry = record<RoutingEntry>({
  subnetId: branded<SubnetId>(),
  ranges: list(canisterRange),
  publicKey: optional(bytes),
  type: optional(subnetType),
  chainKeys: optional(chainKeys),
} as { [K in keyof Required<RoutingEntry>]: Codec<Required<RoutingEntry>[K]> });

export const subnetInfoCodec: Codec<SubnetInfo> = record<SubnetInfo>({
  subnetId: branded<SubnetId>(),
  type: subnetType,
  publicKey: bytes,
  rootKey: bytes,
  rootSubnetId: branded<SubnetId>(),
  routing: list(routingEntry),
  allocation: canisterRange,
  nodes: list(record<SubnetInfo["nodes"][number]>({ nodeId: branded<NodeId>(), publicKey: bytes })),
  feeSize: integer,
  local: bool,
  chainKeys: optional(chainKeys),
  admins: optional(list(principal)),
  free: optional(bool),
  allocationReserved: optional(bool),
} as { [K in keyof Required<SubnetInfo>]: Codec<Required<SubnetInfo>[K]> });

const visibility = union<LogVisibility>({
  controllers: {},
  public: {},
  allowed_viewers: { viewers: list(principal) },
});

const settings = record<CanisterSettings>({
  controllers: list(principal),
  computeAllocation: bigInteger,
  memoryAllocation: bigInteger,
  freezingThreshold: bigInteger,
  reservedCyclesLimit: bigInteger,
  minimumIncomingCallCycles: bigInteger,
  wasmMemoryLimit: bigInteger,
  wasmMemoryThreshold: bigInteger,
  logMemoryLimit: bigInteger,
  logVisibility: visibility,
  snapshotVisibility: visibility,
  statusVisibility: visibility,
  environmentVariables: list(
    record<{ readonly name: string; readonly value: string }>({ name: text, value: text }),
  ),
});

const stopRequest = union<StopRequest>({
  ingress: { requestId: bytes, deadline: bigInteger },
  call: { from: canisterId, callbackId: integer, cycles: bigInteger, deadline: bigInteger },
});

const canisterStatus = union<CanisterStatus>({
  running: {},
  stopping: { requests: list(stopRequest) },
  stopped: {},
});

const moduleExports = record<ModuleExports>({
  updates: list(text),
  queries: list(text),
  compositeQueries: list(text),
  init: bool,
  preUpgrade: bool,
  postUpgrade: bool,
  heartbeat: bool,
  globalTimer: bool,
  inspectMessage: bool,
  onLowWasmMemory: bool,
});

const globalType = literal<GlobalType>("i32", "i64", "f32", "f64", "v128");

const installedModule = record<InstalledModule>({
  blob: text,
  hash: bytes,
  bytes: integer,
  is64: bool,
  globalTypes: list(globalType),
  metadata: list(
    record<CustomSection>({
      name: text,
      visibility: literal<CustomSection["visibility"]>("public", "private"),
      content: bytes,
    }),
  ),
  exports: moduleExports,
});

const lowMemoryHook = literal<CanisterMeta["lowMemoryHook"]>("not_satisfied", "ready", "executed");

const canisterMeta = record<CanisterMeta>({
  id: canisterId,
  status: canisterStatus,
  settings,
  cycles: bigInteger,
  reservedCycles: bigInteger,
  version: bigInteger,
  module: nullable(remembered(installedModule)),
  globals: list(bigInteger),
  heapPages: integer,
  stablePages: integer,
  certifiedData: bytes,
  globalTimer: bigInteger,
  lowMemoryHook,
  createdAt: bigInteger,
  installedAt: nullable(bigInteger),
  chunkStoreBytes: integer,
  snapshotBytes: integer,
  historyBytes: integer,
  customSectionBytes: integer,
  logBytes: integer,
  guaranteedMessageBytes: integer,
  bestEffortMessageBytes: integer,
});

const callOrigin = union<CallOrigin>({
  ingress: { requestId: bytes, sender: userId, senderInfo: nullable(callerInfo) },
  canister: { from: canisterId, callbackId: integer, deadline: bigInteger },
  task: {},
});

const callContext = record<CallContext>({
  id: integer,
  origin: callOrigin,
  needsToRespond: bool,
  deleted: bool,
  availableCycles: bigInteger,
  instructionsExecuted: bigInteger,
  outstanding: integer,
  createdAt: bigInteger,
});

const callback = record<Callback>({
  id: integer,
  contextId: integer,
  callee: canisterId,
  reply: closure,
  reject: closure,
  cleanup: nullable(closure),
  cyclesSent: bigInteger,
  prepaidExecution: bigInteger,
  prepaidTransmission: bigInteger,
  deadline: bigInteger,
});

const historyOrigin = union<HistoryOrigin>({
  user: { userId: principal },
  canister: { canisterId, canisterVersion: nullable(bigInteger) },
});

const snapshotSource = literal<SnapshotSource>("taken_from_canister", "metadata_upload");

const historyDetails = union<HistoryDetails>({
  creation: { controllers: list(principal), environmentVariablesHash: nullable(bytes) },
  code_uninstall: {},
  code_deployment: {
    mode: literal<"install" | "reinstall" | "upgrade">("install", "reinstall", "upgrade"),
    moduleHash: bytes,
  },
  controllers_change: { controllers: list(principal) },
  load_snapshot: {
    snapshotId: bytes,
    canisterVersion: bigInteger,
    takenAt: bigInteger,
    source: snapshotSource,
    fromCanister: nullable(canisterId),
  },
});

const chunks = textMap(record<{ readonly bytes: number }>({ bytes: integer }));

const querySums = record<QuerySums>({
  calls: bigInteger,
  instructions: bigInteger,
  requestBytes: bigInteger,
  responseBytes: bigInteger,
});

type CanisterRecord = Omit<CanisterState, "memory">;

const canisterCodec = record<CanisterRecord>({
  meta: canisterMeta,
  callContexts: numberedMap(callContext),
  callbacks: numberedMap(callback),
  nextContextId: integer,
  nextCallbackId: integer,
  queues,
  outstandingByCallee: textMap(integer),
  logs: list(record<CanisterLogRecord>({ idx: bigInteger, timestamp: bigInteger, content: bytes })),
  nextLogIdx: bigInteger,
  history: list(
    record<HistoryChange>({
      timestamp: bigInteger,
      canisterVersion: bigInteger,
      origin: historyOrigin,
      details: historyDetails,
    }),
  ),
  historyTotal: bigInteger,
  chunks,
  snapshots: list(text),
  nextSnapshot: bigInteger,
  queryStats: querySums,
  consumed: textMap(bigInteger),
  priority: integer,
  priorityCredit: integer,
  running: nullable(runningWork),
  chargedUntil: bigInteger,
  installDebit: optional(bigInteger),
  messagesFirst: optional(bool),
  inputTurn: optional(integer),
  lastSender: optional(text),
  heavy: optional(bool),
});

type SnapshotRecord = Omit<CanisterSnapshot, "memory">;

const snapshotCodec = record<SnapshotRecord>({
  id: bytes,
  canisterId,
  source: snapshotSource,
  takenAt: bigInteger,
  canisterVersion: bigInteger,
  sizeBytes: integer,
  module: record<CanisterSnapshot["module"]>({ blob: nullable(text), bytes: integer }),
  globals: list(record<CanisterSnapshot["globals"][number]>({ type: globalType, bits: bigInteger })),
  heapPages: integer,
  stablePages: integer,
  certifiedData: bytes,
  globalTimer: nullable(bigInteger),
  lowMemoryHook: nullable(lowMemoryHook),
  chunks,
});

const ingressEntryCodec = record<IngressEntry>({
  requestId: bytes,
  sender: userId,
  receiver: canisterId,
  effectiveId: principal,
  status: union<IngressStatus>({
    received: {},
    processing: {},
    replied: { reply: bytes },
    rejected: { code: rejectCode, message: text, errorCode: text },
    done: {},
  }),
  expiry: bigInteger,
  pruneAt: nullable(bigInteger),
});

/** All of a state that is neither a canister, an ingress entry, a blob, nor computed from those. */
export type SystemRecord = Omit<
  ReplicatedState,
  "canisters" | "ingressHistory" | "blobs" | "snapshots" | "changedSnapshots" | "tree" | "changed"
>;

const systemCodec = record<SystemRecord>({
  subnet: subnetInfoCodec,
  height: integer,
  time: bigInteger,
  pendingManagement: list(pendingManagementCall),
  outcalls: numberedMap(outcall),
  nextOutcall: integer,
  managementQueue: list(managementInput),
  streams: textMap(stream),
  subnetOutputs: outputs,
  refunds: textMap(bigInteger),
  nextCanisterIndex: bigInteger,
  randomness: bytes,
  updateTransactionsTotal: bigInteger,
  consumedCyclesTotal: bigInteger,
  epochQueries: optional(textMap(querySums)),
  nodeMetrics: list(
    record<NodeMetricsSample>({
      time: bigInteger,
      nodes: list(
        record<NodeMetrics>({ nodeId: principal, blocksProposed: bigInteger, blockFailures: bigInteger }),
      ),
    }),
  ),
});

/** A canister without the contents of its memories. */
export function encodeCanister(canister: CanisterState): Uint8Array {
  return encodeWith(canisterCodec, canister);
}

/** The memories are the caller's to attach. */
export function decodeCanister(record: Uint8Array, memory: CanisterState["memory"]): CanisterState {
  return { ...decodeWith(canisterCodec, record), memory };
}

/** A snapshot without the contents of its memories. */
export function encodeSnapshot(snapshot: CanisterSnapshot): Uint8Array {
  return encodeWith(snapshotCodec, snapshot);
}

/** The memories are the caller's to attach. */
export function decodeSnapshot(record: Uint8Array, memory: SnapshotMemory): CanisterSnapshot {
  return { ...decodeWith(snapshotCodec, record), memory };
}

export function encodeIngressEntry(entry: IngressEntry): Uint8Array {
  return encodeWith(ingressEntryCodec, entry);
}

export function decodeIngressEntry(record: Uint8Array): IngressEntry {
  return decodeWith(ingressEntryCodec, record);
}

export function encodeSystem(state: SystemRecord): Uint8Array {
  return encodeWith(systemCodec, state);
}

export function decodeSystem(record: Uint8Array): SystemRecord {
  return decodeWith(systemCodec, record);
}
