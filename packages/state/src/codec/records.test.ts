import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CanisterId,
  type CborValue,
  decodeCbor,
  encodeCborBare,
  OrreryError,
  type Principal,
  type UserId,
} from "@orrery/base";
import fc from "fast-check";
import { newCanister, newState } from "../new-state.ts";
import { PageTable } from "../page-table.ts";
import type {
  Callback,
  CallContext,
  CanisterSnapshot,
  CanisterState,
  GlobalType,
  IngressEntry,
  IngressInput,
  OutboundMessage,
  RejectReason,
  RequestInput,
  ResponseInput,
  SnapshotSource,
  Stream,
  SubnetInfo,
} from "../types.ts";
import type { MessageWork, ReplicatedEntry, RunningWork } from "../work.ts";
import { bigInteger, decodeWith, encodeWith } from "./codec.ts";
import {
  decodeCanister,
  decodeIngressEntry,
  decodeSnapshot,
  decodeSystem,
  encodeCanister,
  encodeIngressEntry,
  encodeSnapshot,
  encodeSystem,
} from "./records.ts";

/** Plain objects, as decoders make them. */
function record<T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as unknown as fc.Arbitrary<T>;
}

const blob = fc.uint8Array({ maxLength: 40 });
const principal = fc.uint8Array({ maxLength: 29 }) as fc.Arbitrary<
  Uint8Array & Principal & CanisterId & UserId
>;
const nat = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const time = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const int = fc.nat();
const name = fc.string({ maxLength: 12, unit: "grapheme" });
const hex = blob.map((b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join(""));

const senderInfo = fc.option(record({ info: blob, signer: principal }));
const ingressInput: fc.Arbitrary<IngressInput> = record({
  kind: fc.constant("ingress" as const),
  requestId: blob,
  sender: principal,
  methodName: name,
  arg: blob,
  expiry: time,
  senderInfo,
});
const requestInput: fc.Arbitrary<RequestInput> = record({
  kind: fc.constant("request" as const),
  from: principal,
  callbackId: int,
  methodName: name,
  payload: blob,
  cycles: nat,
  deadline: time,
});
const responseInput: fc.Arbitrary<ResponseInput> = record({
  kind: fc.constant("response" as const),
  from: principal,
  callbackId: int,
  payload: fc.oneof(
    record({ kind: fc.constant("reply" as const), data: blob }),
    record({ kind: fc.constant("reject" as const), code: fc.constantFrom(1, 2, 3, 4, 5, 6), message: name }),
  ),
  refund: nat,
});
const outbound: fc.Arbitrary<OutboundMessage> = fc.oneof(
  record({ kind: fc.constant("request" as const), callee: principal, input: requestInput }),
  record({
    kind: fc.constant("response" as const),
    to: principal,
    input: fc
      .tuple(responseInput, fc.option(time))
      .map(([input, deadline]) => (deadline === null ? input : { ...input, deadline })),
  }),
);
const stream: fc.Arbitrary<Stream> = record({
  begin: time,
  messages: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: outbound },
      { weight: 1, arbitrary: record({ kind: fc.constant("refund" as const), to: principal, cycles: nat }) },
    ),
    { maxLength: 3 },
  ),
  messageBytes: int,
  signalsEnd: time,
  rejectSignals: fc.array(
    record({
      reason: fc.constantFrom<RejectReason>("canister_not_found", "queue_full", "unknown"),
      index: time,
    }),
    { maxLength: 2 },
  ),
});
const callContext: fc.Arbitrary<CallContext> = record({
  id: int,
  origin: fc.oneof(
    record({
      kind: fc.constant("ingress" as const),
      requestId: blob,
      sender: principal,
      senderInfo: fc.option(record({ info: blob, signer: principal })),
    }),
    record({ kind: fc.constant("canister" as const), from: principal, callbackId: int, deadline: time }),
    record({ kind: fc.constant("task" as const) }),
  ),
  needsToRespond: fc.boolean(),
  deleted: fc.boolean(),
  availableCycles: nat,
  instructionsExecuted: nat,
  outstanding: int,
  createdAt: time,
});
const closure = record({ fun: int, env: fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }) });
const started = {
  prepaid: record({ cycles: nat, instructionLimit: time, is64: fc.boolean() }),
  startTime: time,
  startHeight: int,
  subnetMemoryAvailable: nat,
  balance: nat,
  messageBytes: int,
  prioritized: fc.boolean(),
  slicesGranted: int,
  inductionDebit: nat,
};
const work: fc.Arbitrary<RunningWork> = fc.oneof(
  record({
    kind: fc.constant("message" as const),
    ...started,
    contextId: int,
    entry: fc.oneof(
      record({
        kind: fc.constantFrom("update" as const, "replicated_query" as const),
        method: name,
        arg: blob,
      }),
      record({ kind: fc.constantFrom("heartbeat" as const, "on_low_wasm_memory" as const) }),
      record({ kind: fc.constant("reply_callback" as const), closure, arg: blob }),
    ) as fc.Arbitrary<ReplicatedEntry>,
    instructionLimit: time,
    totalLimit: time,
    guaranteedBytesAvailable: int,
    callbacksAvailable: int,
    cyclesRefunded: nat,
    cleanup: fc.option(record({ closure, rejectCode: fc.constantFrom(0, 4) })) as fc.Arbitrary<
      MessageWork["cleanup"]
    >,
  }),
  record({
    kind: fc.constant("install" as const),
    ...started,
    origin: fc.oneof(
      record({ kind: fc.constant("ingress" as const), requestId: blob }),
      record({ kind: fc.constant("call" as const), from: principal, callbackId: int }),
    ),
    sender: principal,
    cycles: nat,
    mode: fc.constantFrom("install" as const, "reinstall" as const, "upgrade" as const),
    skipPreUpgrade: fc.boolean(),
    persistence: fc.constantFrom("keep" as const, "replace" as const, null),
    arg: blob,
    senderVersion: fc.option(time),
    blob: hex,
    customSectionsAvailable: int,
    extraInstructions: nat,
  }),
);
const callback: fc.Arbitrary<Callback> = record({
  id: int,
  contextId: int,
  callee: principal,
  reply: closure,
  reject: closure,
  cleanup: fc.option(closure),
  cyclesSent: nat,
  prepaidExecution: nat,
  prepaidTransmission: nat,
  deadline: time,
});
const numbered = <T extends { readonly id: number }>(item: fc.Arbitrary<T>): fc.Arbitrary<Map<number, T>> =>
  fc.array(item, { maxLength: 3 }).map((items) => new Map(items.map((it) => [it.id, it])));
const keyed = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<Map<string, T>> =>
  fc.array(fc.tuple(hex, item), { maxLength: 3 }).map((items) => new Map(items));

const visibility = fc.oneof(
  record({ kind: fc.constantFrom("controllers" as const, "public" as const) }),
  record({ kind: fc.constant("allowed_viewers" as const), viewers: fc.array(principal, { maxLength: 2 }) }),
);
const status = fc.oneof(
  record({ kind: fc.constantFrom("running" as const, "stopped" as const) }),
  record({
    kind: fc.constant("stopping" as const),
    requests: fc.array(
      fc.oneof(
        record({ kind: fc.constant("ingress" as const), requestId: blob, deadline: time }),
        record({
          kind: fc.constant("call" as const),
          from: principal,
          callbackId: int,
          cycles: nat,
          deadline: time,
        }),
      ),
      { maxLength: 2 },
    ),
  }),
);
const globalType = fc.constantFrom<GlobalType>("i32", "i64", "f32", "f64", "v128");
const installed = record({
  blob: hex,
  hash: blob,
  bytes: int,
  is64: fc.boolean(),
  globalTypes: fc.array(globalType, { maxLength: 3 }),
  metadata: fc.array(
    record({ name, visibility: fc.constantFrom("public" as const, "private" as const), content: blob }),
  ),
  exports: record({
    updates: fc.array(name),
    queries: fc.array(name),
    compositeQueries: fc.array(name),
    init: fc.boolean(),
    preUpgrade: fc.boolean(),
    postUpgrade: fc.boolean(),
    heartbeat: fc.boolean(),
    globalTimer: fc.boolean(),
    inspectMessage: fc.boolean(),
    onLowWasmMemory: fc.boolean(),
  }),
});
const snapshotSource = fc.constantFrom<SnapshotSource>("taken_from_canister", "metadata_upload");
const history = record({
  timestamp: time,
  canisterVersion: time,
  origin: fc.oneof(
    record({ kind: fc.constant("user" as const), userId: principal }),
    record({
      kind: fc.constant("canister" as const),
      canisterId: principal,
      canisterVersion: fc.option(time),
    }),
  ),
  details: fc.oneof(
    record({ kind: fc.constant("code_uninstall" as const) }),
    record({
      kind: fc.constant("controllers_change" as const),
      controllers: fc.array(principal, { maxLength: 2 }),
    }),
    record({
      kind: fc.constant("creation" as const),
      controllers: fc.array(principal, { maxLength: 2 }),
      environmentVariablesHash: fc.option(blob),
    }),
    record({
      kind: fc.constant("code_deployment" as const),
      mode: fc.constantFrom("install" as const, "reinstall" as const, "upgrade" as const),
      moduleHash: blob,
    }),
    record({
      kind: fc.constant("load_snapshot" as const),
      snapshotId: blob,
      canisterVersion: time,
      takenAt: time,
      source: snapshotSource,
      fromCanister: fc.option(principal),
    }),
  ),
});

const snapshot: fc.Arbitrary<Omit<CanisterSnapshot, "memory">> = record({
  id: blob,
  canisterId: principal,
  source: snapshotSource,
  takenAt: time,
  canisterVersion: time,
  sizeBytes: int,
  module: record({ blob: fc.option(hex), bytes: int }),
  globals: fc.array(record({ type: globalType, bits: nat }), { maxLength: 4 }),
  heapPages: int,
  stablePages: int,
  certifiedData: blob,
  globalTimer: fc.option(time),
  lowMemoryHook: fc.option(fc.constantFrom("not_satisfied" as const, "ready" as const, "executed" as const)),
  chunks: keyed(record({ bytes: int })),
});

const canister: fc.Arbitrary<CanisterState> = record({
  id: principal,
  controllers: fc.array(principal, { maxLength: 3 }),
  cycles: nat,
  visibility,
  status,
  module: fc.option(installed),
  globals: fc.array(fc.bigInt({ min: -(1n << 127n), max: (1n << 128n) - 1n }), { maxLength: 4 }),
  installedAt: fc.option(time),
  contexts: numbered(callContext),
  callbacks: numbered(callback),
  ingress: fc.array(ingressInput, { maxLength: 2 }),
  responses: fc.array(responseInput, { maxLength: 2 }),
  requests: keyed(fc.array(requestInput, { maxLength: 2 })),
  outputs: keyed(fc.array(outbound, { maxLength: 2 })),
  outstanding: keyed(int),
  chunks: keyed(record({ bytes: int })),
  consumed: keyed(nat),
  logs: fc.array(record({ idx: time, timestamp: time, content: blob }), { maxLength: 2 }),
  history: fc.array(history, { maxLength: 2 }),
  priority: fc.integer(),
  running: fc.option(work),
}).map((r): CanisterState => {
  const made = newCanister({ id: r.id, controllers: r.controllers, cycles: r.cycles, time: 5n });
  Object.assign(made.meta, {
    status: r.status,
    module: r.module,
    globals: r.globals,
    installedAt: r.installedAt,
  });
  made.meta.settings.logVisibility = r.visibility;
  made.meta.settings.environmentVariables = [{ name: "a", value: "b" }];
  return {
    ...made,
    callContexts: r.contexts,
    callbacks: r.callbacks,
    queues: { ingress: r.ingress, responses: r.responses, requests: r.requests, outputs: r.outputs },
    outstandingByCallee: r.outstanding,
    chunks: r.chunks,
    consumed: r.consumed,
    logs: r.logs,
    history: r.history,
    priority: r.priority,
    running: r.running,
  };
});

const entry: fc.Arbitrary<IngressEntry> = record({
  requestId: blob,
  sender: principal,
  receiver: principal,
  effectiveId: principal,
  status: fc.oneof(
    record({ kind: fc.constantFrom("received" as const, "processing" as const, "done" as const) }),
    record({ kind: fc.constant("replied" as const), reply: blob }),
    record({
      kind: fc.constant("rejected" as const),
      code: fc.constantFrom(1, 2, 3, 4, 5, 6),
      message: name,
      errorCode: name,
    }),
  ),
  expiry: time,
  pruneAt: fc.option(time),
});

test("canister records come back as they were, whatever the order of their maps", () => {
  fc.assert(
    fc.property(canister, (value) => {
      const bytes = encodeCanister(value);
      const back = decodeCanister(bytes, value.memory);
      assert.deepEqual(back, value);
      const reversed = {
        ...value,
        callContexts: new Map([...value.callContexts].reverse()),
        consumed: new Map([...value.consumed].reverse()),
      };
      assert.deepEqual(encodeCanister(reversed), bytes);
      assert.deepEqual(
        encodeCborBare(decodeCbor(bytes)),
        bytes,
        "the direct writer and the general encoder agree",
      );
    }),
    { numRuns: 200 },
  );
});

test("snapshot records come back as they were", () => {
  const tables = { heap: new PageTable(), stable: new PageTable(), module: new PageTable() };
  fc.assert(
    fc.property(snapshot, (value) => {
      const whole = { ...value, memory: tables };
      assert.deepEqual(decodeSnapshot(encodeSnapshot(whole), tables), whole);
    }),
  );
});

test("ingress entries come back as they were", () => {
  fc.assert(
    fc.property(entry, (value) => assert.deepEqual(decodeIngressEntry(encodeIngressEntry(value)), value)),
  );
});

const id = (n: number): Principal => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, n, 1, 1) as Principal;
const subnet: SubnetInfo = {
  subnetId: id(9),
  type: "application",
  publicKey: Uint8Array.of(1),
  rootKey: Uint8Array.of(2),
  rootSubnetId: id(8),
  routing: [
    { subnetId: id(9), ranges: [{ start: id(1), end: id(2) }] },
    {
      subnetId: id(8),
      ranges: [],
      publicKey: Uint8Array.of(2),
      type: "system",
      chainKeys: [
        { kind: "ecdsa", curve: "secp256k1", name: "key_1" },
        { kind: "schnorr", algorithm: "ed25519", name: "key_1" },
        { kind: "vetkd", curve: "bls12_381_g2", name: "key_1" },
      ],
    },
  ],
  allocation: { start: id(1), end: id(2) },
  nodes: [{ nodeId: id(7), publicKey: Uint8Array.of(3) }],
  feeSize: 13,
  local: true,
};

test("the system record comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(requestInput, ingressInput)),
      nat,
      fc.array(int),
      keyed(stream),
      keyed(fc.array(outbound, { minLength: 1, maxLength: 2 })),
      keyed(nat),
      (queue, total, heights, streams, subnetOutputs, refunds) => {
        const state = { ...newState({ subnet, time: 7n }), streams, subnetOutputs, refunds };
        state.consumedCyclesTotal = total;
        state.managementQueue.push(...queue);
        for (const height of heights)
          state.pendingManagement.push({
            kind: "raw_rand",
            from: id(1),
            callbackId: 1,
            refund: total,
            height,
          });
        const { canisters, ingressHistory, blobs, snapshots, changedSnapshots, tree, changed, ...system } =
          state;
        assert.deepEqual(decodeSystem(encodeSystem(state)), system);
      },
    ),
  );
});

test("anything but the one encoding is refused", () => {
  const bytes = encodeIngressEntry(fc.sample(entry, { numRuns: 1, seed: 3 })[0] as IngressEntry);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ mask;
      try {
        // A change that is itself a valid record decodes to that other record.
        assert.deepEqual(encodeIngressEntry(decodeIngressEntry(changed)), changed);
      } catch (cause) {
        assert.ok(cause instanceof OrreryError && cause.code === "record_invalid", String(cause));
      }
    }),
    { numRuns: 500 },
  );
  for (const value of [null, 1, [], new Map([["requestId", 1]])] as CborValue[]) {
    assert.throws(() => decodeIngressEntry(encodeCborBare(value)), { code: "record_invalid" });
  }
});

test("integers of any size and sign", () => {
  fc.assert(
    fc.property(fc.bigInt(), (value) =>
      assert.equal(decodeWith(bigInteger, encodeWith(bigInteger, value)), value),
    ),
  );
});
