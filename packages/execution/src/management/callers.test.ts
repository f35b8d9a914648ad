/**
 * Who may call which method of the management canister how: one table, a row a method, its section of the interface specification
 * beside it. A cell says what becomes of the call of a caller of that kind: "ok" (whoever asked may, whatever else is wrong with
 * the call), or the error code of the refusal. Users are asked twice: before submission, and in a block that has the message anyway.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type CanisterId,
  MANAGEMENT_CANISTER,
  type Principal,
  principalKey,
  principalToText,
} from "@orrery/base";
import { errorCodeText } from "../error-codes.ts";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { encode, idArg } from "../testing/subnet.testkit.ts";
import { STRANGER, Watched } from "../testing/watched.testkit.ts";
import { acceptManagementIngress } from "./effective-id.ts";
import { managementMethod } from "./methods.ts";

const ADMIN = Uint8Array.of(7, 7, 7, 2) as Principal;

const CALLERS = [
  "controller",
  "stranger",
  "admin",
  "canister_controller",
  "canister_itself",
  "canister_other",
  "query_controller",
  "query_stranger",
  "query_admin",
] as const;
type Caller = (typeof CALLERS)[number];

/** What each kind of caller meets, in the order of `CALLERS`. */
type Row = readonly [method: string, section: string, ...cells: string[]];

/** Never as a query; IC0536 "not found". */
const NQ = ["IC0536", "IC0536", "IC0536"] as const;
/** Never by users; IC0406 "Only canisters can call". */
const NU = ["IC0406", "IC0406", "IC0406"] as const;
const CONTROLLERS = ["ok", "IC0512", "IC0512", "ok", "IC0512", "IC0512", ...NQ] as const;
const CONTROLLERS_AND_ITSELF = ["ok", "IC0512", "IC0512", "ok", "ok", "IC0512", ...NQ] as const;
const CONTROLLERS_AND_ADMINS = ["ok", "IC0541", "ok", "ok", "IC0541", "IC0541", ...NQ] as const;
const VIEWERS = ["ok", "IC0406", "IC0406", "ok", "IC0406", "IC0406", ...NQ] as const;
const CANISTERS = [...NU, "ok", "ok", "ok", ...NQ] as const;
const ANYBODY = ["ok", "ok", "ok", "ok", "ok", "ok", ...NQ] as const;

const TABLE: readonly Row[] = [
  ["create_canister", "ic-create_canister", "IC0406", "IC0406", "ok", "ok", "ok", "ok", ...NQ],
  ["update_settings", "ic-update_settings", ...CONTROLLERS],
  ["upload_chunk", "ic-upload_chunk", ...CONTROLLERS_AND_ITSELF],
  ["clear_chunk_store", "ic-clear_chunk_store", ...CONTROLLERS_AND_ITSELF],
  ["stored_chunks", "ic-stored_chunks", ...CONTROLLERS_AND_ITSELF],
  ["install_code", "ic-install_code", ...CONTROLLERS],
  ["install_chunked_code", "ic-install_chunked_code", ...CONTROLLERS],
  ["uninstall_code", "ic-uninstall_code", ...CONTROLLERS_AND_ADMINS],
  ["start_canister", "ic-start_canister", ...CONTROLLERS_AND_ADMINS],
  ["stop_canister", "ic-stop_canister", ...CONTROLLERS_AND_ADMINS],
  // A canister cannot delete itself, whoever controls it.
  ["delete_canister", "ic-delete_canister", "ok", "IC0541", "ok", "ok", "IC0512", "IC0541", ...NQ],
  [
    "canister_status",
    "ic-canister_status",
    ...["ok", "IC0542", "ok", "ok", "ok", "IC0542", "ok", "IC0542", "ok"],
  ],
  [
    "canister_metrics",
    "ic-canister_metrics",
    ...["ok", "IC0541", "ok", "ok", "IC0541", "IC0541", "ok", "IC0541", "ok"],
  ],
  ["canister_info", "ic-canister_info", ...CANISTERS],
  ["canister_metadata", "ic-canister_metadata", ...CANISTERS],
  ["deposit_cycles", "ic-deposit_cycles", ...CANISTERS],
  ["raw_rand", "ic-raw_rand", ...CANISTERS],
  ["node_metrics_history", "ic-node_metrics_history", ...CANISTERS],
  ["subnet_info", "ic-subnet_info", ...CANISTERS],
  ["subnet_metrics", "the replica's", ...CANISTERS],
  ["take_canister_snapshot", "ic-take_canister_snapshot", ...CONTROLLERS],
  ["load_canister_snapshot", "ic-load_canister_snapshot", ...CONTROLLERS],
  ["delete_canister_snapshot", "ic-delete_canister_snapshot", ...CONTROLLERS],
  ["upload_canister_snapshot_metadata", "ic-upload_canister_snapshot_metadata", ...CONTROLLERS],
  ["upload_canister_snapshot_data", "ic-upload_canister_snapshot_data", ...CONTROLLERS],
  ["list_canister_snapshots", "ic-list_canister_snapshots", ...VIEWERS],
  ["read_canister_snapshot_metadata", "ic-read_canister_snapshot_metadata", ...VIEWERS],
  ["read_canister_snapshot_data", "ic-read_canister_snapshot_data", ...VIEWERS],
  [
    "fetch_canister_logs",
    "ic-fetch_canister_logs",
    ...["IC0406", "IC0406", "IC0406", "IC0504", "IC0504", "IC0504", "ok", "IC0406", "IC0406"],
  ],
  [
    "list_canisters",
    "ic-list_canisters",
    ...["IC0406", "IC0406", "IC0406", "IC0410", "IC0410", "IC0410", "IC0410", "IC0410", "ok"],
  ],
  ["provisional_create_canister_with_cycles", "ic-provisional_create_canister_with_cycles", ...ANYBODY],
  ["provisional_top_up_canister", "ic-provisional_top_up_canister", ...ANYBODY],
  // Not supported: to canisters it says so by name.
  ["flexible_http_request", "not in the specification yet", ...CANISTERS],
  // Canister migration: only a canister of the root subnet, and there only the migration canister.
  ["rename_canister", "canister renaming", ...NU, "IC0406", "IC0512", "IC0512", ...NQ],
];

const ANSWER_SLICE = IDL.Variant({ wasm_memory: IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 }) });

/** Enough of every method's argument; what is not a field of a method is ignored by it. */
const ARGUMENT: IDL.Type = IDL.Record({
  canister_id: IDL.Principal,
  target_canister: IDL.Principal,
  subnet_id: IDL.Principal,
  start_at_timestamp_nanos: IDL.Nat64,
  name: IDL.Text,
  settings: IDL.Record({}),
  chunk: IDL.Vec(IDL.Nat8),
  mode: IDL.Variant({ install: IDL.Null }),
  wasm_module: IDL.Vec(IDL.Nat8),
  wasm_module_hash: IDL.Vec(IDL.Nat8),
  chunk_hashes_list: IDL.Vec(IDL.Record({ hash: IDL.Vec(IDL.Nat8) })),
  arg: IDL.Vec(IDL.Nat8),
  snapshot_id: IDL.Vec(IDL.Nat8),
  wasm_module_size: IDL.Nat64,
  wasm_memory_size: IDL.Nat64,
  stable_memory_size: IDL.Nat64,
  globals: IDL.Vec(IDL.Variant({ i32: IDL.Int32 })),
  certified_data: IDL.Vec(IDL.Nat8),
});

function argument(method: string, target: CanisterId, subnetId: Principal): Uint8Array {
  const values = {
    canister_id: CandidPrincipal.fromUint8Array(target),
    target_canister: CandidPrincipal.fromUint8Array(target),
    subnet_id: CandidPrincipal.fromUint8Array(subnetId),
    start_at_timestamp_nanos: 0n,
    name: "candid:service",
    settings: {},
    chunk: [1],
    mode: { install: null },
    wasm_module: [],
    wasm_module_hash: [],
    chunk_hashes_list: [],
    arg: [],
    snapshot_id: new Uint8Array(18),
    wasm_module_size: 1n,
    wasm_memory_size: 0n,
    stable_memory_size: 0n,
    globals: [],
    certified_data: [],
  };
  if (method === "list_canisters") return encode([], []);
  if (method === "provisional_top_up_canister")
    return encode(
      [IDL.Record({ canister_id: IDL.Principal, amount: IDL.Nat })],
      [{ canister_id: values.canister_id, amount: 1n }],
    );
  if (method === "create_canister" || method === "provisional_create_canister_with_cycles")
    return encode([IDL.Record({})], [{}]);
  const kinds: Record<string, readonly [IDL.Type, unknown]> = {
    read_canister_snapshot_data: [ANSWER_SLICE, { wasm_memory: { offset: 0n, size: 0n } }],
    upload_canister_snapshot_data: [IDL.Variant({ wasm_chunk: IDL.Null }), { wasm_chunk: null }],
  };
  const kind = kinds[method];
  if (kind === undefined) return encode([ARGUMENT], [values]);
  const fields = (ARGUMENT as IDL.RecordClass)._fields;
  return encode(
    [IDL.Record({ ...Object.fromEntries(fields), kind: kind[0] })],
    [{ ...values, kind: kind[1] }],
  );
}

interface World {
  readonly watched: Watched;
  readonly controllerCanister: CanisterId;
  readonly governance: CanisterId;
  readonly otherCanister: CanisterId;
}

function newWorld(): World {
  const watched = new Watched(() => {}, { subnet: { admins: [ADMIN] } });
  const { subnet } = watched;
  const controllerCanister = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  // The one that takes the public network's governance canister's id may more than others.
  const governance = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  assert.equal(principalToText(governance), "rrkah-fqaaa-aaaaa-aaaaq-cai");
  const otherCanister = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  return { watched, controllerCanister, governance, otherCanister };
}

/** A target of its own for each cell: controlled by the anonymous user and a canister, and able to forward. */
function target({ watched, controllerCanister }: World): CanisterId {
  const id = watched.subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  const { meta } = watched.subnet.canister(id);
  meta.settings = { ...meta.settings, controllers: [ANONYMOUS, controllerCanister] };
  return id;
}

/** Codes by which a caller is told that it may not, and the texts of those that other failures share. */
const REFUSALS = new Set(["IC0410", "IC0512", "IC0536", "IC0541", "IC0542"]);
const REFUSAL_TEXTS =
  /^(IC0\d{3}: )?(Only canisters can call|\S+ API is not accessible via ingress in replicated mode|\S+ can only be called by a canister on a subnet with a normal cost schedule|Caller \S+ is not allowed|The caller is not authorized)/;

function verdict(code: string, message: string): string {
  return REFUSALS.has(code) || REFUSAL_TEXTS.test(message) ? code : "ok";
}

const CALLER_OF_USER: Readonly<Record<string, Principal>> = {
  controller: ANONYMOUS,
  stranger: STRANGER,
  admin: ADMIN,
};

function byUser(world: World, method: string, sender: Principal): string {
  const { subnet } = world.watched;
  const id = target(world);
  const arg = argument(method, id, subnet.state.subnet.subnetId);
  const { state } = subnet;
  const view = {
    subnet: state.subnet,
    canister: (wanted: Principal) => state.canisters.get(principalKey(wanted))?.meta ?? null,
  };
  const early = acceptManagementIngress(view, { methodName: method, arg, sender });
  const status = subnet.call({ method, arg, sender });
  const late = status.kind === "rejected" ? verdict(status.errorCode, status.message) : "ok";
  const before = early === null ? "ok" : errorCodeText(early.code);
  assert.equal(before, late, `${method}: what is said before submission is what the block's message meets`);
  return late;
}

function byCanister(world: World, method: string, caller: Caller): string {
  const { subnet } = world.watched;
  const id = target(world);
  const from = { canister_controller: world.controllerCanister, canister_itself: id }[caller as string];
  const arg = argument(method, id, subnet.state.subnet.subnetId);
  const cycles = method === "create_canister" ? 1_000_000_000_000n : 0n;
  const status = forward(subnet, from ?? world.otherCanister, method, arg, cycles);
  if (status.kind !== "rejected") return "ok";
  return verdict(/^(IC\d{4}): /.exec(status.message)?.[1] ?? status.errorCode, status.message);
}

function byQuery(world: World, method: string, sender: Principal): string {
  const { watched } = world;
  const arg = argument(method, target(world), watched.subnet.state.subnet.subnetId);
  const outcome = watched.query(MANAGEMENT_CANISTER, method, arg, sender);
  if (outcome.status === "replied") return "ok";
  return verdict(outcome.errorCode, outcome.rejectMessage);
}

describe("who may call what", () => {
  const world = newWorld();
  for (const [method, section, ...cells] of TABLE) {
    test(`${method} (${section})`, () => {
      assert.notEqual(managementMethod(method), null);
      assert.equal(cells.length, CALLERS.length);
      const met = CALLERS.map((caller) => {
        if (caller.startsWith("canister_")) return byCanister(world, method, caller);
        if (caller.startsWith("query_"))
          return byQuery(world, method, CALLER_OF_USER[caller.slice("query_".length)] as Principal);
        return byUser(world, method, CALLER_OF_USER[caller] as Principal);
      });
      assert.deepEqual(Object.fromEntries(CALLERS.map((caller, i) => [caller, met[i]])), {
        ...Object.fromEntries(CALLERS.map((caller, i) => [caller, cells[i]])),
      });
    });
  }

  test("governance empties every canister, and may do nothing else to it", () => {
    const { subnet } = world.watched;
    const id = target(world);
    const stop = forward(subnet, world.governance, "stop_canister", idArg(id));
    assert.match(stop.kind === "rejected" ? stop.message : "", /^IC0541/);
    assert.equal(forward(subnet, world.governance, "uninstall_code", idArg(id)).kind, "replied");
    assert.equal(subnet.canister(id).meta.module, null);
  });

  test("without admins nobody is told of them, and nobody lists or creates", () => {
    const watched = new Watched();
    const id = watched.subnet.create();
    const refused = watched.query(MANAGEMENT_CANISTER, "list_canisters", encode([], []));
    assert.equal(refused.status, "rejected");
    assert.match(
      refused.status === "rejected" ? refused.rejectMessage : "",
      /^IC0406: list_canisters is only available on subnets with subnet admins$/,
    );
    const status = watched.subnet.manage("start_canister", id, STRANGER);
    assert.equal(status.kind === "rejected" && status.errorCode, "IC0512");
    const view = { subnet: watched.subnet.state.subnet, canister: () => null };
    const arg = encode([IDL.Record({})], [{}]);
    assert.equal(
      acceptManagementIngress(view, { methodName: "create_canister", arg, sender: ADMIN })?.code,
      406,
    );
  });

  test("an admin creates for nothing and lists what is there, gaps apart", () => {
    const watched = new Watched(() => {}, { subnet: { admins: [ADMIN] } });
    const { subnet } = watched;
    const arg = encode([IDL.Record({})], [{}]);
    for (let i = 0; i < 5; i++) subnet.reply({ method: "create_canister", arg, sender: ADMIN });
    const ids = [...subnet.state.canisters.values()].map(({ meta }) => meta.id);
    assert.equal(subnet.canister(ids[0] as CanisterId).meta.cycles, 0n);
    assert.deepEqual(subnet.canister(ids[0] as CanisterId).meta.settings.controllers, [ADMIN]);
    const gone = ids[2] as CanisterId;
    subnet.reply({ method: "stop_canister", arg: idArg(gone), sender: ADMIN });
    subnet.reply({ method: "delete_canister", arg: idArg(gone), sender: ADMIN });
    const outcome = watched.query(MANAGEMENT_CANISTER, "list_canisters", encode([], []), ADMIN);
    assert.equal(outcome.status, "replied");
    const Ranges = IDL.Record({
      canisters: IDL.Vec(IDL.Record({ start: IDL.Principal, end: IDL.Principal })),
    });
    const [{ canisters }] = IDL.decode(
      [Ranges],
      outcome.status === "replied" ? outcome.reply : arg,
    ) as unknown as [{ canisters: { start: CandidPrincipal; end: CandidPrincipal }[] }];
    const text = (id: Uint8Array | undefined): string => CandidPrincipal.fromUint8Array(id ?? ADMIN).toText();
    assert.deepEqual(
      canisters.map(({ start, end }) => [start.toText(), end.toText()]),
      [
        [text(ids[0]), text(ids[1])],
        [text(ids[3]), text(ids[4])],
      ],
    );
  });
});
