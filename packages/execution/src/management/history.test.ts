/**
 * Canister history (interface spec, "Canister history", "IC method `canister_info`"): every kind of change with its origin, version
 * and time, decoded by the types that clients use; the hash of environment variables computed here from its definition.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId } from "@orrery/base";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { updateSettingsArg } from "../testing/settings.testkit.ts";
import { replyOf, SnapshotList, snapshotArg, takeArg } from "../testing/snapshots.testkit.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";

const Blob = IDL.Vec(IDL.Nat8);
const Change = IDL.Record({
  timestamp_nanos: IDL.Nat64,
  canister_version: IDL.Nat64,
  origin: IDL.Variant({
    from_user: IDL.Record({ user_id: IDL.Principal }),
    from_canister: IDL.Record({ canister_id: IDL.Principal, canister_version: IDL.Opt(IDL.Nat64) }),
  }),
  details: IDL.Variant({
    creation: IDL.Record({
      controllers: IDL.Vec(IDL.Principal),
      environment_variables_hash: IDL.Opt(Blob),
    }),
    code_uninstall: IDL.Null,
    code_deployment: IDL.Record({
      mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null }),
      module_hash: Blob,
    }),
    load_snapshot: IDL.Record({
      canister_version: IDL.Nat64,
      snapshot_id: Blob,
      taken_at_timestamp: IDL.Nat64,
    }),
    controllers_change: IDL.Record({ controllers: IDL.Vec(IDL.Principal) }),
  }),
});
const Info = IDL.Record({
  total_num_changes: IDL.Nat64,
  recent_changes: IDL.Vec(Change),
  module_hash: IDL.Opt(Blob),
  controllers: IDL.Vec(IDL.Principal),
});

interface Shown {
  readonly timestamp_nanos: bigint;
  readonly canister_version: bigint;
  readonly origin: unknown;
  readonly details: Record<string, Record<string, unknown>>;
}

interface Told {
  readonly total_num_changes: bigint;
  readonly recent_changes: readonly Shown[];
  readonly module_hash: readonly Uint8Array[];
}

function info(subnet: TestSubnet, asking: CanisterId, id: CanisterId, count: bigint): Told {
  const type = IDL.Record({ canister_id: IDL.Principal, num_requested_changes: IDL.Opt(IDL.Nat64) });
  const arg = encode([type], [{ canister_id: Principal.fromUint8Array(id), num_requested_changes: [count] }]);
  const status = forward(subnet, asking, "canister_info", arg);
  assert.equal(status.kind, "replied", JSON.stringify(status));
  const reply = status.kind === "replied" ? status.reply : new Uint8Array(0);
  return IDL.decode([Info], reply)[0] as unknown as Told;
}

const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const MODULE = "(module (memory 1))";

test("shows every change with who made it, at which version and when", () => {
  const subnet = new TestSubnet();
  const owner = subnet.installed(FORWARDER, { cycles: 10n ** 16n });
  const variables = [
    { name: "b", value: "second" },
    { name: "a", value: "first" },
  ];
  const settings = IDL.Record({
    controllers: IDL.Opt(IDL.Vec(IDL.Principal)),
    environment_variables: IDL.Opt(IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text }))),
  });
  const controllers = [Principal.fromUint8Array(owner), Principal.anonymous()];
  const made = forward(
    subnet,
    owner,
    "create_canister",
    encode(
      [IDL.Record({ settings: IDL.Opt(settings) })],
      [{ settings: [{ controllers: [controllers], environment_variables: [variables] }] }],
    ),
    10n ** 15n,
  );
  assert.equal(made.kind, "replied", JSON.stringify(made));
  const times = [subnet.state.time];
  const id = [...subnet.state.canisters.values()].at(-1)?.meta.id as CanisterId;

  const then = (act: () => void): void => {
    act();
    times.push(subnet.state.time);
  };
  then(() => assert.equal(subnet.install(id, MODULE).kind, "replied"));
  const snapshot = replyOf(
    SnapshotList.single,
    subnet.reply({ method: "take_canister_snapshot", arg: takeArg(id) }),
  );
  then(() => assert.equal(subnet.install(id, MODULE, { mode: { upgrade: [] } }).kind, "replied"));
  then(() => assert.equal(subnet.install(id, MODULE, { mode: { reinstall: null } }).kind, "replied"));
  const kept = [Principal.anonymous(), Principal.fromUint8Array(owner), Principal.fromUint8Array(id)];
  then(() => subnet.reply({ method: "update_settings", arg: updateSettingsArg(id, { controllers: kept }) }));
  then(() => assert.equal(subnet.manage("uninstall_code", id).kind, "replied"));
  then(() => subnet.reply({ method: "load_canister_snapshot", arg: snapshotArg(id, snapshot.id) }));

  const told = info(subnet, owner, id, 20n);
  assert.equal(told.total_num_changes, 7n);
  const changes = told.recent_changes;
  const kinds = changes.map(({ details }) => Object.keys(details)[0]);
  assert.deepEqual(kinds, [
    "creation",
    "code_deployment",
    "code_deployment",
    "code_deployment",
    "controllers_change",
    "code_uninstall",
    "load_snapshot",
  ]);
  const modes = changes
    .slice(1, 4)
    .map(({ details }) => Object.keys(details["code_deployment"]?.["mode"] ?? {})[0]);
  assert.deepEqual(modes, ["install", "upgrade", "reinstall"]);
  // Taking a snapshot changes nothing; all else counts one.
  assert.deepEqual(
    changes.map(({ canister_version }) => canister_version),
    [0n, 1n, 2n, 3n, 4n, 5n, 6n],
  );
  for (const [at, { timestamp_nanos }] of changes.entries())
    assert.ok(
      timestamp_nanos <= (times[at] as bigint) && timestamp_nanos > (times[at] as bigint) - 10n ** 9n,
    );
  const [creation] = changes;
  const by = creation?.origin as { readonly from_canister: { readonly canister_id: Principal } };
  assert.equal(by.from_canister.canister_id.toText(), Principal.fromUint8Array(owner).toText());
  for (const { origin } of changes.slice(1))
    assert.equal(
      (origin as { from_user: { user_id: Principal } }).from_user.user_id.toText(),
      Principal.fromUint8Array(ANONYMOUS).toText(),
    );
  const pairs = variables.map(({ name, value }) => Buffer.concat([sha256(name), sha256(value)]));
  const [hash] = (creation?.details["creation"]?.["environment_variables_hash"] ?? []) as Uint8Array[];
  assert.deepEqual(Buffer.from(hash as Uint8Array), sha256(...pairs.sort(Buffer.compare)));
  const loaded = changes[6]?.details["load_snapshot"];
  assert.equal(loaded?.["canister_version"], 1n, "of the canister when it was taken");
  assert.deepEqual(new Uint8Array(loaded?.["snapshot_id"] as Uint8Array), new Uint8Array(snapshot.id));
  assert.ok((loaded?.["taken_at_timestamp"] as bigint) < (times[2] as bigint));

  assert.deepEqual(
    info(subnet, owner, id, 2n).recent_changes.map(({ details }) => Object.keys(details)[0]),
    ["code_uninstall", "load_snapshot"],
  );
  assert.deepEqual(info(subnet, owner, id, 0n).recent_changes, []);
});

test("a canister made without variables has no hash of them, one with an empty list has", () => {
  const subnet = new TestSubnet();
  const owner = subnet.installed(FORWARDER, { cycles: 10n ** 16n });
  const hashOf = (settings: IDL.Type | null, value: unknown): unknown => {
    const type = settings === null ? IDL.Record({}) : IDL.Record({ settings: IDL.Opt(settings) });
    const status = forward(subnet, owner, "create_canister", encode([type], [value]), 10n ** 15n);
    assert.equal(status.kind, "replied", JSON.stringify(status));
    const id = [...subnet.state.canisters.values()].at(-1)?.meta.id as CanisterId;
    const [change] = info(subnet, owner, id, 1n).recent_changes;
    return change?.details["creation"]?.["environment_variables_hash"];
  };
  const type = IDL.Record({
    environment_variables: IDL.Opt(IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text }))),
  });
  assert.deepEqual(hashOf(null, {}), []);
  const [empty] = hashOf(type, { settings: [{ environment_variables: [[]] }] }) as Uint8Array[];
  assert.deepEqual(Buffer.from(empty as Uint8Array), sha256());
});
