/** The management canister through whole rounds: by users, and by a canister that forwards with cycles attached. */
import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type CanisterId,
  type Principal,
  principalFromText,
  principalToText,
  utf8,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { IngressStatus } from "@orrery/state";
import { wat } from "../testing/bench.testkit.ts";
import { FORWARDER, forward, forwardArg } from "../testing/forwarder.testkit.ts";
import { uploadChunkArg } from "../testing/snapshots.testkit.ts";
import { encode, idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { acceptManagementIngress, effectiveCanisterId } from "./effective-id.ts";
import { fetchCanisterLogs } from "./fetch-logs.ts";

const STRANGER: Principal = principalFromText("em77e-bvlzu-aq");

const EMPTY_MODULE = `(module (func (export "canister_update noop")))`;

function rejected(status: IngressStatus): { readonly errorCode: string; readonly message: string } {
  assert.equal(status.kind, "rejected");
  return status as Extract<IngressStatus, { kind: "rejected" }>;
}

function replied(status: IngressStatus): Uint8Array {
  assert.equal(status.kind, "replied", status.kind === "rejected" ? status.message : status.kind);
  return (status as Extract<IngressStatus, { kind: "replied" }>).reply;
}

const Visibility = IDL.Variant({
  controllers: IDL.Null,
  public: IDL.Null,
  allowed_viewers: IDL.Vec(IDL.Principal),
});

/** What current clients decode: none of these fields is optional for them. */
const ClientStatus = IDL.Record({
  status: IDL.Variant({ stopped: IDL.Null, stopping: IDL.Null, running: IDL.Null }),
  ready_for_migration: IDL.Bool,
  version: IDL.Nat64,
  settings: IDL.Record({
    controllers: IDL.Vec(IDL.Principal),
    compute_allocation: IDL.Nat,
    memory_allocation: IDL.Nat,
    freezing_threshold: IDL.Nat,
    reserved_cycles_limit: IDL.Nat,
    log_visibility: Visibility,
    snapshot_visibility: Visibility,
    status_visibility: Visibility,
    log_memory_limit: IDL.Nat,
    wasm_memory_limit: IDL.Nat,
    wasm_memory_threshold: IDL.Nat,
    environment_variables: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
    minimum_incoming_canister_call_cycles: IDL.Nat,
  }),
  module_hash: IDL.Opt(IDL.Vec(IDL.Nat8)),
  memory_size: IDL.Nat,
  memory_metrics: IDL.Record({
    wasm_memory_size: IDL.Nat,
    stable_memory_size: IDL.Nat,
    global_memory_size: IDL.Nat,
    wasm_binary_size: IDL.Nat,
    custom_sections_size: IDL.Nat,
    canister_history_size: IDL.Nat,
    wasm_chunk_store_size: IDL.Nat,
    snapshots_size: IDL.Nat,
    log_memory_store_size: IDL.Nat,
  }),
  cycles: IDL.Nat,
  reserved_cycles: IDL.Nat,
  idle_cycles_burned_per_day: IDL.Nat,
  query_stats: IDL.Record({
    num_calls_total: IDL.Nat,
    num_instructions_total: IDL.Nat,
    request_payload_bytes_total: IDL.Nat,
    response_payload_bytes_total: IDL.Nat,
  }),
});

interface Status {
  readonly status: Record<string, null>;
  readonly version: bigint;
  readonly cycles: bigint;
  readonly module_hash: readonly Uint8Array[];
  readonly settings: {
    readonly controllers: CandidPrincipal[];
    readonly environment_variables: unknown[];
  } & Record<string, unknown>;
  readonly memory_size: bigint;
  readonly memory_metrics: Record<string, bigint>;
  readonly idle_cycles_burned_per_day: bigint;
}

function statusOf(subnet: TestSubnet, id: CanisterId): Status {
  const reply = replied(subnet.manage("canister_status", id));
  return (IDL.decode([ClientStatus], reply) as unknown as [Status])[0];
}

const Settings = IDL.Record({
  controllers: IDL.Opt(IDL.Vec(IDL.Principal)),
  compute_allocation: IDL.Opt(IDL.Nat),
  memory_allocation: IDL.Opt(IDL.Nat),
  freezing_threshold: IDL.Opt(IDL.Nat),
  log_visibility: IDL.Opt(Visibility),
  log_memory_limit: IDL.Opt(IDL.Nat),
  wasm_memory_threshold: IDL.Opt(IDL.Nat),
  environment_variables: IDL.Opt(IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text }))),
});
const UpdateArgs = IDL.Record({ canister_id: IDL.Principal, settings: Settings });
const NOTHING = {
  controllers: [],
  compute_allocation: [],
  memory_allocation: [],
  freezing_threshold: [],
  log_visibility: [],
  log_memory_limit: [],
  wasm_memory_threshold: [],
  environment_variables: [],
};

function settingsArg(id: CanisterId, settings: Record<string, unknown>): Uint8Array {
  const canister_id = CandidPrincipal.fromUint8Array(id);
  return encode([UpdateArgs], [{ canister_id, settings: { ...NOTHING, ...settings } }]);
}

function update(subnet: TestSubnet, id: CanisterId, settings: Record<string, unknown>): IngressStatus {
  return subnet.call({ method: "update_settings", arg: settingsArg(id, settings) });
}

test("canister_status answers every field that clients decode", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const status = statusOf(subnet, id);
  assert.deepEqual(status.status, { running: null });
  assert.deepEqual(status.module_hash[0], sha256(wat(FORWARDER)));
  assert.equal(status.memory_metrics["wasm_memory_size"], 4n * 65_536n);
  const sum = Object.values(status.memory_metrics).reduce((a, b) => a + b, 0n);
  assert.equal(status.memory_size, sum);
  assert.equal(status.idle_cycles_burned_per_day, (sum * 127_000n * 86_400n) / (1n << 30n));
  assert.equal(status.settings.controllers[0]?.toText(), principalToText(ANONYMOUS));
  const stranger = rejected(subnet.manage("canister_status", id, STRANGER));
  assert.equal(stranger.errorCode, "IC0542");
  assert.equal(stranger.message, "Caller em77e-bvlzu-aq is not allowed to read the canister status");
  assert.match(
    rejected(subnet.manage("start_canister", id, STRANGER)).message,
    /^Only the controllers of the canister .*\nCanister's controllers: 2vxsx-fae\nSender's ID: em77e-bvlzu-aq\nExecute this call from a controller of /,
  );
});

test("settings are changed, normalised and recorded, or refused as a whole", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const before = statusOf(subnet, id).version;
  const variables = [
    { name: "b", value: "2" },
    { name: "a", value: "1" },
  ];
  replied(
    update(subnet, id, {
      environment_variables: [variables],
      freezing_threshold: [60n],
      log_memory_limit: [0n],
    }),
  );
  const after = statusOf(subnet, id);
  assert.equal(after.version, before + 1n);
  assert.deepEqual(after.settings.environment_variables, variables.toReversed());
  assert.equal(after.settings["freezing_threshold"], 60n);
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [
      { compute_allocation: [101n] },
      "IC0504",
      /^ComputeAllocation expected to be in the range \[0\.\.100\], got 101$/,
    ],
    [{ memory_allocation: [(1n << 48n) + 1n] }, "IC0504", /MemoryAllocation expected/],
    [{ freezing_threshold: [1n << 64n] }, "IC0504", /Freezing threshold expected/],
    [{ wasm_memory_threshold: [(1n << 48n) + 1n] }, "IC0504", /Wasm memory threshold expected/],
    [
      { log_memory_limit: [1n] },
      "IC0406",
      /^The canister log memory limit 1 is too low\. It must be at least 4096\.$/,
    ],
    [
      { log_memory_limit: [2_097_153n] },
      "IC0406",
      /^The canister log memory limit 2097153 is too high\. It must be at most 2097152\.$/,
    ],
    [
      { controllers: [Array.from({ length: 11 }, () => CandidPrincipal.anonymous())] },
      "IC0408",
      /^Error decoding candid: .*The number of elements exceeds maximum allowed 10$/,
    ],
    [
      { log_visibility: [{ allowed_viewers: Array(11).fill(CandidPrincipal.anonymous()) }] },
      "IC0408",
      /^Error decoding candid: .*The number of elements exceeds maximum allowed 10$/,
    ],
    [{ environment_variables: [[variables[0], variables[0]]] }, "IC0408", /Duplicate environment variables/],
    [
      { environment_variables: [[{ name: "x".repeat(129), value: "" }]] },
      "IC0408",
      /exceeds the maximum allowed length of 128/,
    ],
    [
      { compute_allocation: [100n], freezing_threshold: [10_000_000_000n] },
      "IC0530",
      /Cannot increase compute allocation/,
    ],
  ];
  for (const [settings, code, text] of cases) {
    const { errorCode, message } = rejected(update(subnet, id, settings));
    assert.equal(errorCode, code, message);
    assert.match(message, text);
  }
  assert.equal(statusOf(subnet, id).version, after.version);
  assert.equal(subnet.canister(id).historyTotal, 1n);
  replied(
    update(subnet, id, {
      controllers: [[CandidPrincipal.fromUint8Array(STRANGER), CandidPrincipal.anonymous()]],
    }),
  );
  assert.equal(subnet.canister(id).historyTotal, 2n);
  assert.equal(subnet.manage("canister_status", id, STRANGER).kind, "replied");
});

test("a module comes in chunks, gzipped, and is put together only as announced", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const module = new Uint8Array(gzipSync(wat(FORWARDER)));
  const pieces = [module.slice(0, 100), module.slice(100)];
  for (const chunk of pieces) {
    replied(subnet.call({ method: "upload_chunk", arg: uploadChunkArg(id, chunk) }));
  }
  assert.equal(statusOf(subnet, id).memory_metrics["wasm_chunk_store_size"], 2n * 1024n * 1024n);
  const ChunkedArgs = IDL.Record({
    mode: IDL.Variant({ install: IDL.Null }),
    target_canister: IDL.Principal,
    chunk_hashes_list: IDL.Vec(IDL.Record({ hash: IDL.Vec(IDL.Nat8) })),
    wasm_module_hash: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
  });
  const arg = (hash: Uint8Array): Uint8Array =>
    encode(
      [ChunkedArgs],
      [
        {
          mode: { install: null },
          target_canister: CandidPrincipal.fromUint8Array(id),
          chunk_hashes_list: pieces.map((piece) => ({ hash: sha256(piece) })),
          wasm_module_hash: hash,
          arg: [],
        },
      ],
    );
  const wrong = rejected(subnet.call({ method: "install_chunked_code", arg: arg(new Uint8Array(32)) }));
  assert.match(wrong.message, /^Error from Wasm chunk store: Wasm module hash .* does not match given hash/);
  replied(subnet.call({ method: "install_chunked_code", arg: arg(sha256(module)) }));
  assert.deepEqual(statusOf(subnet, id).module_hash[0], sha256(module));
  replied(subnet.manage("clear_chunk_store", id));
  assert.equal(subnet.state.blobs.size, 1);
});

test("canisters create canisters with the cycles they attach", () => {
  const subnet = new TestSubnet();
  const creator = subnet.installed(FORWARDER, { cycles: 10_000_000_000_000n });
  const noArgs = encode([IDL.Record({})], [{}]);
  const poor = rejected(forward(subnet, creator, "create_canister", noArgs, 499_999_999_999n));
  assert.match(
    poor.message,
    /^IC0403: Creating a canister requires a fee of 500000000000 .* but only 499999999999 cycles/,
  );
  const reply = replied(forward(subnet, creator, "create_canister", noArgs, 2_000_000_000_000n));
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
    { canister_id: CandidPrincipal },
  ];
  const child = subnet.canister(canister_id.toUint8Array() as CanisterId);
  assert.equal(child.meta.cycles, 1_500_000_000_000n);
  assert.deepEqual(child.meta.settings.controllers, [creator]);
  assert.deepEqual(child.history[0]?.origin, {
    kind: "canister",
    canisterId: creator,
    canisterVersion: null,
  });
  replied(forward(subnet, creator, "deposit_cycles", idArg(child.meta.id), 7_000n));
  assert.equal(child.meta.cycles, 1_500_000_007_000n);
});

test("a canister that misstates its version is rejected, a user may state anything", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const Args = IDL.Record({ canister_id: IDL.Principal, sender_canister_version: IDL.Opt(IDL.Nat64) });
  const arg = (version: bigint): Uint8Array =>
    encode([Args], [{ canister_id: CandidPrincipal.fromUint8Array(id), sender_canister_version: [version] }]);
  const wrong = rejected(forward(subnet, id, "uninstall_code", arg(666n)));
  assert.equal(wrong.errorCode, "IC0406");
  assert.match(
    wrong.message,
    /^IC0504: Management canister call payload includes sender canister version 666 that does not match the actual sender canister version 1\./,
  );
  const right = rejected(forward(subnet, id, "uninstall_code", arg(subnet.canister(id).meta.version)));
  assert.match(right.message, /^IC0512: Only the controllers/);
  replied(subnet.call({ method: "uninstall_code", arg: arg(666n) }));
});

test("raw_rand is answered in a later round, each time differently", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const first = subnet.submit({
    canisterId: id,
    method: "forward",
    arg: forwardArg("raw_rand", encode([], [])),
  });
  assert.equal(subnet.status(first)?.kind, "processing");
  assert.equal(subnet.results.at(-1)?.moreWork, true);
  subnet.round();
  const [one] = IDL.decode([IDL.Vec(IDL.Nat8)], replied(subnet.settle(first)));
  const [two] = IDL.decode([IDL.Vec(IDL.Nat8)], replied(forward(subnet, id, "raw_rand", encode([], []))));
  assert.equal((one as unknown as Uint8Array).length, 32);
  assert.notDeepEqual(one, two);
});

test("a canister with an open call context stops only when it closes; start cancels the stop", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const open = subnet.envelope({
    canisterId: id,
    method: "forward",
    arg: forwardArg("raw_rand", encode([], [])),
  });
  const stop = subnet.manageEnvelope("stop_canister", id);
  subnet.round([open.bytes]);
  subnet.round([stop.bytes]);
  assert.equal(subnet.settle(stop.id).kind, "replied");
  assert.equal(subnet.status(open.id)?.kind, "replied");
  assert.deepEqual(statusOf(subnet, id).status, { stopped: null });
  replied(subnet.manage("start_canister", id));
});

/** A call context that stays open until the test ends. */
function holdOpen(subnet: TestSubnet, id: CanisterId): void {
  subnet.canister(id).callContexts.set(1_000_000, {
    id: 1_000_000,
    origin: { kind: "task" },
    needsToRespond: false,
    deleted: false,
    availableCycles: 0n,
    instructionsExecuted: 0n,
    outstanding: 1,
    createdAt: 0n,
  });
}

test("starting cancels a stop, and a stop request times out after five minutes", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  holdOpen(subnet, id);
  const requests = ["stop_canister", "stop_canister"].map((method) => subnet.manageEnvelope(method, id));
  for (const { bytes } of requests) subnet.round([bytes]);
  for (const request of requests) assert.equal(subnet.status(request.id)?.kind, "processing");
  assert.equal(rejected(subnet.call({ canisterId: id, method: "boom" })).errorCode, "IC0509");
  replied(subnet.manage("start_canister", id));
  for (const request of requests) assert.equal(rejected(subnet.settle(request.id)).errorCode, "IC0511");
  const slow = subnet.manageEnvelope("stop_canister", id);
  subnet.round([slow.bytes]);
  subnet.round([], 301_000_000_000n);
  assert.equal(rejected(subnet.settle(slow.id)).errorCode, "IC0206");
  assert.equal(subnet.canister(id).meta.status.kind, "stopping");
});

test("uninstalling rejects what is open and gives everything back", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const open = subnet.submit({
    canisterId: id,
    method: "forward",
    arg: forwardArg("raw_rand", encode([], [])),
  });
  const uninstall = subnet.manageEnvelope("uninstall_code", id);
  const logs = subnet.canister(id).meta;
  // Kept back, so that the answer comes after the uninstallation.
  const held = subnet.state.pendingManagement.splice(0);
  subnet.round([uninstall.bytes]);
  const error = rejected(subnet.settle(open));
  assert.equal(error.errorCode, "IC0406");
  assert.equal(error.message, "Canister has been uninstalled.");
  assert.equal(subnet.canister(id).callContexts.size, 1);
  const before = logs.cycles;
  subnet.state.pendingManagement.push(...held);
  subnet.round();
  assert.equal(subnet.canister(id).callContexts.size, 0);
  assert.ok(logs.cycles > before);
  assert.equal(rejected(subnet.call({ canisterId: id, method: "boom" })).errorCode, "IC0537");
  assert.equal(subnet.state.blobs.size, 0);
  subnet.arena.reclaim(subnet.state.height);
  assert.equal(subnet.arena.livePages, 0);
});

test("info, metadata and unsupported methods answer canisters by name", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const InfoArgs = IDL.Record({ canister_id: IDL.Principal, num_requested_changes: IDL.Opt(IDL.Nat64) });
  const canister_id = CandidPrincipal.fromUint8Array(id);
  const info = replied(
    forward(subnet, id, "canister_info", encode([InfoArgs], [{ canister_id, num_requested_changes: [5n] }])),
  );
  const Change = IDL.Record({ canister_version: IDL.Nat64, timestamp_nanos: IDL.Nat64 });
  const [decoded] = IDL.decode(
    [
      IDL.Record({
        total_num_changes: IDL.Nat64,
        recent_changes: IDL.Vec(Change),
        controllers: IDL.Vec(IDL.Principal),
      }),
    ],
    info,
  ) as unknown as [{ total_num_changes: bigint; recent_changes: { canister_version: bigint }[] }];
  assert.equal(decoded.total_num_changes, 2n);
  assert.deepEqual(
    decoded.recent_changes.map((change) => change.canister_version),
    [0n, 1n],
  );
  const MetadataArgs = IDL.Record({ canister_id: IDL.Principal, name: IDL.Text });
  const none = rejected(
    forward(subnet, id, "canister_metadata", encode([MetadataArgs], [{ canister_id, name: "x" }])),
  );
  assert.match(none.message, /has no metadata section with the name x/);
  const route = "Unable to route management canister request";
  const unknown = rejected(forward(subnet, id, "no_such_method", encode([], [])));
  assert.equal(unknown.message, `${route} no_such_method: MethodNotFound("no_such_method")`);
  const garbled = rejected(forward(subnet, id, "canister_info", utf8("garbage")));
  const error = 'UserError(UserError { code: InvalidManagementPayload, description: "Error decoding candid: ';
  assert.ok(garbled.message.startsWith(`${route} canister_info: ${error}`), garbled.message);
});

test("logs are kept within their limit and read by whom the settings say", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  for (let i = 0; i < 30; i++)
    subnet.reply({ canisterId: id, method: "log", arg: utf8(`${i} `.padEnd(200, ".")) });
  rejected(subnet.call({ canisterId: id, method: "boom" }));
  const canister = subnet.canister(id);
  assert.ok(canister.meta.logBytes <= 4_096);
  const Filter = IDL.Variant({ by_idx: IDL.Record({ start: IDL.Nat64, end: IDL.Nat64 }) });
  const LogArgs = IDL.Record({ canister_id: IDL.Principal, filter: IDL.Opt(Filter) });
  const LogRecord = IDL.Record({ idx: IDL.Nat64, timestamp_nanos: IDL.Nat64, content: IDL.Vec(IDL.Nat8) });
  const read = (filter: unknown[], sender: Principal = ANONYMOUS): { idx: bigint }[] | string => {
    const arg = encode([LogArgs], [{ canister_id: CandidPrincipal.fromUint8Array(id), filter }]);
    const result = fetchCanisterLogs({ sender, arg }, canister);
    if (!result.ok) return result.error.message;
    const [reply] = IDL.decode(
      [IDL.Record({ canister_log_records: IDL.Vec(LogRecord) })],
      result.value.reply,
    ) as unknown as [{ canister_log_records: { idx: bigint }[] }];
    return reply.canister_log_records;
  };
  const all = read([]) as { idx: bigint }[];
  assert.equal(all.at(-1)?.idx, 30n);
  assert.ok(all.length < 31);
  const two = read([{ by_idx: { start: 28n, end: 30n } }]) as { idx: bigint }[];
  assert.deepEqual(
    two.map(({ idx }) => idx),
    [28n, 29n],
  );
  assert.match(read([], STRANGER) as string, /is not allowed to access canister logs/);
  replied(update(subnet, id, { log_visibility: [{ public: null }] }));
  assert.ok(Array.isArray(read([], STRANGER)));
});

test("what users may send is decided before submission and again at execution", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(EMPTY_MODULE);
  const view = {
    subnet: subnet.state.subnet,
    canister: (wanted: Principal) =>
      subnet.state.canisters.get([...wanted].map((b) => b.toString(16).padStart(2, "0")).join(""))?.meta ??
      null,
  };
  const accept = (methodName: string, arg: Uint8Array, sender: Principal = ANONYMOUS): number | null =>
    acceptManagementIngress(view, { methodName, arg, sender })?.code ?? null;
  assert.equal(accept("canister_status", idArg(id)), null);
  assert.equal(accept("canister_status", idArg(id), STRANGER), 542);
  assert.equal(accept("raw_rand", encode([], [])), 406);
  assert.equal(accept("fetch_canister_logs", idArg(id)), 406);
  assert.equal(accept("no_such_method", idArg(id)), 536);
  assert.equal(accept("provisional_top_up_canister", idArg(id), STRANGER), null);
  assert.equal(
    acceptManagementIngress(
      { ...view, subnet: { ...view.subnet, local: false } },
      { methodName: "provisional_create_canister_with_cycles", arg: encode([], []), sender: ANONYMOUS },
    )?.code,
    406,
  );
  assert.deepEqual(effectiveCanisterId("install_code", subnet.installArg(id, EMPTY_MODULE)), {
    ok: true,
    value: id,
  });
  assert.equal(rejected(subnet.call({ method: "raw_rand", arg: encode([], []) })).errorCode, "IC0406");
  assert.equal(rejected(subnet.call({ method: "fetch_canister_logs", arg: idArg(id) })).errorCode, "IC0406");
  assert.equal(rejected(subnet.manage("uninstall_code", id, STRANGER)).errorCode, "IC0512");
});
