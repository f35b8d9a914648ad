/** Snapshots, subnets, nodes, administrators, threshold keys, HTTPS outcalls: what a network may have (interface spec, the methods of these names). */
import assert from "node:assert/strict";
import { hex, numberOf } from "../bytes.ts";
import { section } from "../case.ts";
import {
  rejected,
  relayedReject,
  relayedReply,
  replied,
  repliedNumber,
  repliedNumbers,
  repliedText,
} from "../checks.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall, principal } from "../management.ts";
import {
  BIG,
  callOut,
  code,
  copied,
  get,
  HEAP_BYTES,
  type Item,
  ic0,
  op,
  relayReject,
  relayReply,
  reply,
  reply64,
  set,
} from "../script.ts";
import { valueAt } from "../wire.ts";
import type { Universal, World } from "../world.ts";
import { abroad } from "./abroad.testkit.ts";

const snapshots = section("Management: snapshots", ["snapshots"]);
const subnets = section("Management: subnet and node information", ["subnet information"]);
const keys = section("Management: threshold keys", ["chain keys"]);
const lists = section("Management: list_canisters");
const across = section("Inter-canister method calls", ["several subnets"]);

interface Snapshot {
  readonly id: Uint8Array;
  readonly taken_at_timestamp: bigint;
  readonly total_size: bigint;
}
const take = async (world: World, canister: Universal, more: object = {}): Promise<Snapshot> =>
  decodeResult(
    "take_canister_snapshot",
    replied(await world.manage("take_canister_snapshot", { canister_id: canister.id, ...more })),
  );
const load = (world: World, canister: Universal, snapshot: Snapshot) =>
  world.manage("load_canister_snapshot", { canister_id: canister.id, snapshot_id: snapshot.id });
const list = async (world: World, canister: Universal): Promise<Snapshot[]> =>
  decodeResult(
    "list_canister_snapshots",
    replied(await world.manage("list_canister_snapshots", { canister_id: canister.id })),
  );
const idText = ({ id }: Snapshot) => hex(new Uint8Array(id));

snapshots("a snapshot is listed with its id, time and size", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  const [listed] = await list(world, canister);
  assert.deepEqual(listed, taken);
  assert.ok(taken.total_size > 8n * 65_536n && taken.taken_at_timestamp > 0n);
});
snapshots("a canister without snapshots has none", async (world) => {
  assert.deepEqual(await list(world, await world.fresh()), []);
});
snapshots("loading one brings the heap back", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(5, set(1), ic0.msg_reply));
  const taken = await take(world, canister);
  replied(await canister.update(6, set(1), ic0.msg_reply));
  replied(await load(world, canister, taken));
  repliedNumber(await canister.query(get(1), reply64), 5);
});
snapshots("loading one brings stable memory back", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(1, ic0.stable64_grow, op.drop, 0, "old", ic0.stable64_write, ic0.msg_reply));
  const taken = await take(world, canister);
  replied(await canister.update(3, ic0.stable64_grow, op.drop, 0, "new", ic0.stable64_write, ic0.msg_reply));
  replied(await load(world, canister, taken));
  repliedText(await canister.query(BIG, 0, 3, ic0.stable64_read, BIG, 3, reply), "old");
  repliedNumber(await canister.query(ic0.stable64_size, reply64), 1);
});
snapshots("loading one brings globals back", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(5, op.global_set, ic0.msg_reply));
  const taken = await take(world, canister);
  replied(await canister.update(6, op.global_set, ic0.msg_reply));
  replied(await load(world, canister, taken));
  repliedNumber(await canister.query(op.global_get, reply64), 5);
});
snapshots("loading one brings the code back", async (world) => {
  const canister = await world.fresh();
  const hash = hex(new Uint8Array((await canister.status()).module_hash[0]));
  const taken = await take(world, canister);
  replied(await canister.install({ upgrade: null }, { width: 64 }));
  replied(await load(world, canister, taken));
  assert.equal(hex(new Uint8Array((await canister.status()).module_hash[0])), hash);
});
snapshots("loading one brings certified data back", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update("then", ic0.certified_data_set, ic0.msg_reply));
  const taken = await take(world, canister);
  replied(await canister.update("now", ic0.certified_data_set, ic0.msg_reply));
  replied(await load(world, canister, taken));
  const certificate = await world.wire.verify(
    replied(await canister.query(copied("data_certificate"), reply)),
    canister.destination,
  );
  assert.equal(
    new TextDecoder().decode(
      valueAt(certificate, "canister", canister.bytes, "certified_data") ?? new Uint8Array(),
    ),
    "then",
  );
});
snapshots("loading one keeps balance and settings", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  await canister.configure({ freezing_threshold: 99n });
  replied(await load(world, canister, taken));
  assert.equal((await canister.status()).settings.freezing_threshold, 99n);
});
snapshots("loading one raises the version", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  const before = (await canister.status()).version;
  replied(await load(world, canister, taken));
  assert.equal((await canister.status()).version, before + 1n);
});
snapshots("loading one is in the history", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh()];
  replied(await load(world, canister, await take(world, canister)));
  const told = decodeResult(
    "canister_info",
    relayedReply(
      await asker.update(
        managementCall("canister_info", { canister_id: canister.id, num_requested_changes: 1n }),
      ),
    ),
  );
  assert.ok("load_snapshot" in told.recent_changes[0].details[0]);
});
snapshots("ten snapshots may be kept", async (world) => {
  const canister = await world.fresh();
  for (let i = 0; i < 10; i++) await take(world, canister);
  assert.equal((await list(world, canister)).length, 10);
});
snapshots("an eleventh is rejected", async (world) => {
  const canister = await world.fresh();
  for (let i = 0; i < 10; i++) await take(world, canister);
  rejected(await world.manage("take_canister_snapshot", { canister_id: canister.id }), { code: [4, 5] });
});
snapshots("one may be replaced", async (world) => {
  const canister = await world.fresh();
  const first = await take(world, canister);
  const second = await take(world, canister, { replace_snapshot: first.id });
  assert.deepEqual((await list(world, canister)).map(idText), [idText(second)]);
});
snapshots("replacing what does not exist is rejected", async (world) => {
  const canister = await world.fresh();
  rejected(
    await world.manage("take_canister_snapshot", {
      canister_id: canister.id,
      replace_snapshot: Uint8Array.of(1, 2, 3),
    }),
    { code: [3, 4, 5] },
  );
});
snapshots("one may be deleted", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  replied(
    await world.manage("delete_canister_snapshot", { canister_id: canister.id, snapshot_id: taken.id }),
  );
  assert.deepEqual(await list(world, canister), []);
});
snapshots("deleting one that does not exist is rejected", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  replied(
    await world.manage("delete_canister_snapshot", { canister_id: canister.id, snapshot_id: taken.id }),
  );
  rejected(
    await world.manage("delete_canister_snapshot", { canister_id: canister.id, snapshot_id: taken.id }),
    { code: 3, error: "IC0305", text: "Could not find the snapshot ID" },
  );
});
snapshots("loading one that does not exist is rejected", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  replied(
    await world.manage("delete_canister_snapshot", { canister_id: canister.id, snapshot_id: taken.id }),
  );
  rejected(await load(world, canister, taken), { code: 3, error: "IC0305" });
});
snapshots("an empty canister has nothing to take", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("take_canister_snapshot", { canister_id: canister.id }), {
    code: [4, 5],
    text: /empty|no Wasm module/,
  });
});
snapshots("a stranger may not take one", async (world) => {
  const canister = await world.fresh();
  rejected(
    await world.manage("take_canister_snapshot", { canister_id: canister.id }, { as: world.stranger }),
    { code: 5, error: "IC0512" },
  );
});
snapshots("a stranger may not load one", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  rejected(
    await world.manage(
      "load_canister_snapshot",
      { canister_id: canister.id, snapshot_id: taken.id },
      { as: world.stranger },
    ),
    { code: 5, error: "IC0512" },
  );
});
snapshots("a stranger may not delete one", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  rejected(
    await world.manage(
      "delete_canister_snapshot",
      { canister_id: canister.id, snapshot_id: taken.id },
      { as: world.stranger },
    ),
    { code: 5, error: "IC0512" },
  );
});
snapshots("a stranger may not list them", async (world) => {
  const canister = await world.fresh();
  assert.equal(
    (await world.manage("list_canister_snapshots", { canister_id: canister.id }, { as: world.stranger }))
      .kind,
    "rejected",
  );
});
snapshots("anybody lists them where snapshot_visibility is public", async (world) => {
  const canister = await world.fresh({ settings: { snapshot_visibility: { public: null } } });
  replied(
    await world.manage("list_canister_snapshots", { canister_id: canister.id }, { as: world.stranger }),
  );
});
snapshots("one of another canister may be loaded by a controller of both", async (world) => {
  const [a, b] = [await world.fresh(), await world.fresh()];
  replied(await a.update(5, set(1), ic0.msg_reply));
  replied(await load(world, b, await take(world, a)));
  repliedNumber(await b.query(get(1), reply64), 5);
});
snapshots("their size counts as the canister's memory", async (world) => {
  const canister = await world.fresh();
  const taken = await take(world, canister);
  assert.equal((await canister.status()).memory_metrics.snapshots_size, taken.total_size);
});
snapshots("taking one may uninstall the code", async (world) => {
  const canister = await world.fresh();
  await take(world, canister, { uninstall_code: true });
  assert.deepEqual((await canister.status()).module_hash, []);
  assert.equal((await list(world, canister)).length, 1);
});
snapshots("they survive an uninstallation", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(5, set(1), ic0.msg_reply));
  const taken = await take(world, canister);
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  replied(await load(world, canister, taken));
  repliedNumber(await canister.query(get(1), reply64), 5);
});
snapshots("a canister takes one of another that it controls", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh()];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  relayedReply(await parent.update(managementCall("take_canister_snapshot", { canister_id: child.id })));
  assert.equal((await list(world, child)).length, 1);
});

subnets("subnet_info tells the version", async (world) => {
  const canister = await world.universal();
  const told = decodeResult(
    "subnet_info",
    relayedReply(await canister.update(managementCall("subnet_info", { subnet_id: world.target.home.id }))),
  );
  assert.ok(told.replica_version.length > 0);
});
subnets("subnet_info of a subnet that does not exist is rejected", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    managementCall("subnet_info", { subnet_id: principal(world.stranger.sender) }),
  );
  relayedReject(outcome, [3, 4, 5]);
});
subnets("node_metrics_history tells the subnet's nodes", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(
    managementCall("node_metrics_history", { subnet_id: world.target.home.id, start_at_timestamp_nanos: 0n }),
  );
  const days = decodeResult("node_metrics_history", relayedReply(outcome));
  assert.ok(Array.isArray(days) && days.length <= 60);
});
subnets("users cannot ask for subnet_info by ingress", async (world) => {
  rejected(await world.manage("subnet_info", { subnet_id: world.target.home.id }), {
    code: 4,
    error: "IC0406",
  });
});
subnets("users cannot ask for node_metrics_history by ingress", async (world) => {
  rejected(
    await world.manage("node_metrics_history", {
      subnet_id: world.target.home.id,
      start_at_timestamp_nanos: 0n,
    }),
    { code: 4, error: "IC0406" },
  );
});

lists("list_canisters by somebody who is no administrator is rejected", async (world) => {
  rejected(await world.manageQuery("list_canisters", {}, { as: world.stranger }), { code: 4 });
});
lists(
  "list_canisters through the subnet's endpoint by somebody who is no administrator is rejected",
  async (world) => {
    const fields = {
      canister_id: MANAGEMENT,
      method_name: "list_canisters",
      arg: encodeArg("list_canisters", {}),
    };
    rejected(await world.query(`subnet/${world.target.home.id.toText()}`, fields), { code: 4 });
  },
);
lists("list_canisters by an update call is rejected", async (world) => {
  rejected(await world.manage("list_canisters", {}), { code: 4, error: "IC0406", from: "submission" });
});

const key_id = { curve: { secp256k1: null }, name: "key_1" };
const publicKey = async (canister: Universal, more: object = {}) =>
  decodeResult(
    "ecdsa_public_key",
    relayedReply(
      await canister.update(managementCall("ecdsa_public_key", { derivation_path: [], key_id, ...more })),
    ),
  );
keys("ecdsa_public_key is a compressed point with a chain code", async (world) => {
  const { public_key, chain_code } = await publicKey(await world.universal());
  assert.ok(
    public_key.length === 33 && (public_key[0] === 2 || public_key[0] === 3) && chain_code.length === 32,
  );
});
keys("the same path has the same key", async (world) => {
  const canister = await world.universal();
  const [a, b] = await Promise.all([publicKey(canister), publicKey(canister)]);
  assert.deepEqual(a, b);
});
keys("another path has another key", async (world) => {
  const canister = await world.universal();
  const [a, b] = await Promise.all([
    publicKey(canister),
    publicKey(canister, { derivation_path: [Uint8Array.of(1)] }),
  ]);
  assert.notDeepEqual(a.public_key, b.public_key);
});
keys("another canister has another key", async (world) => {
  const [a, b] = await Promise.all([
    world.universal().then((one) => publicKey(one)),
    world.universal().then((one) => publicKey(one)),
  ]);
  assert.notDeepEqual(a.public_key, b.public_key);
});
keys("another canister's key may be asked for", async (world) => {
  const [a, b] = await world.universals(2);
  if (a === undefined || b === undefined) throw new Error("no canisters");
  assert.deepEqual(await publicKey(a, { canister_id: b.id }), await publicKey(b));
});
keys("an unknown key is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(
      managementCall("ecdsa_public_key", {
        derivation_path: [],
        key_id: { curve: { secp256k1: null }, name: "no such key" },
      }),
    ),
    [3, 4, 5],
  );
});
keys("a path of 256 elements is rejected", async (world) => {
  const canister = await world.universal();
  const derivation_path = Array.from({ length: 256 }, () => Uint8Array.of(1));
  relayedReject(
    await canister.update(managementCall("ecdsa_public_key", { derivation_path, key_id })),
    [4, 5],
  );
});
keys("users cannot ask by ingress", async (world) => {
  rejected(await world.manage("ecdsa_public_key", { derivation_path: [], key_id }), {
    code: 4,
    error: "IC0406",
  });
});

across("a call to another subnet is answered", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  assert.equal(
    numberOf(relayedReply(await from.update(callOut({ to: to.bytes, arg: code(7, reply64) })))),
    7n,
  );
});
across("a call back from another subnet is answered", async (world) => {
  const [near, far] = [await world.universal(), await abroad(world)];
  assert.equal(
    numberOf(relayedReply(await far.update(callOut({ to: near.bytes, arg: code(7, reply64) })))),
    7n,
  );
});
across("a reject of another subnet arrives", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code("far", ic0.msg_reject) })), 4, /^far$/);
});
across("a trap of another subnet arrives", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  relayedReject(await from.update(callOut({ to: to.bytes, arg: code("boom", ic0.trap) })), 5, "boom");
});
across("cycles travel between subnets", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  const arg = code(2_000, ic0.msg_cycles_accept, op.drop, ic0.msg_reply);
  repliedNumber(
    await from.update(
      callOut({ to: to.bytes, arg, cycles: 5_000n, onReply: [ic0.msg_cycles_refunded, reply64] }),
    ),
    3_000,
  );
});
across("a canister that another subnet does not have is a reject", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  const gone = to.bytes.slice();
  gone[6] = 0xfe;
  relayedReject(await from.update(callOut({ to: gone, arg: code(ic0.msg_reply) })), 3);
});
across("calls between two subnets start in their order", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  const ordered = (n: number) =>
    callOut({ to: to.bytes, arg: code(n, op.log64, ic0.msg_reply), onReply: n === 3 ? [ic0.msg_reply] : [] });
  replied(await from.update(ordered(1), ordered(2), ordered(3)));
  repliedNumbers(await to.query(op.log, reply), 1, 2, 3);
});
across("a payload over 2 MiB to another subnet is rejected", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  const grow: Item = [64, op.memory_grow, op.drop];
  const callbacks: Item = [1, [code(relayReply), op.keep], 1, [code(relayReject), op.keep]];
  const payload: Item = [HEAP_BYTES, 2_097_152, ic0.call_data_append];
  const outcome = await from.update(
    grow,
    to.bytes,
    "update",
    callbacks,
    ic0.call_new,
    payload,
    ic0.call_perform,
    op.drop,
  );
  relayedReject(outcome, [1, 2, 3, 4, 5]);
});
across("a composite query does not reach another subnet", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  relayedReject(
    await from.composite(callOut({ to: to.bytes, method: "query", arg: code(7, reply64) })),
    [3, 5],
  );
});
across("a canister controls another subnet's canister", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  await to.configure({ controllers: [from.id, principal(world.user.sender)] });
  const told = decodeResult(
    "canister_status",
    relayedReply(await from.update(managementCall("canister_status", { canister_id: to.id }))),
  );
  assert.ok("running" in told.status);
});
across("deposit_cycles reaches another subnet's canister", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  const before = (await to.status()).cycles;
  relayedReply(
    await from.update(
      managementCall("deposit_cycles", { canister_id: to.id }, { cycles: 1_000_000_000_000n }),
    ),
  );
  assert.ok((await to.status()).cycles - before > 900_000_000_000n);
});
across("a best-effort call to another subnet is answered", async (world) => {
  const [from, to] = [await world.universal(), await abroad(world)];
  assert.equal(
    numberOf(
      relayedReply(await from.update(callOut({ to: to.bytes, arg: code(7, reply64), timeoutSeconds: 60 }))),
    ),
    7n,
  );
});
