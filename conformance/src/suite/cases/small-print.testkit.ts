/** Sentences beside the main rules of several sections: what stays, what comes back, what is not done a second time. */
import assert from "node:assert/strict";
import { numbersOf, parseRelayed } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { decodeResult, encodeArg, type MethodName, managementCall } from "../management.ts";
import {
  append64,
  callOut,
  code,
  GATE_TURNS,
  gate,
  get,
  ic0,
  op,
  openGate,
  reply64,
  set,
  setHook,
} from "../script.ts";
import { pair, reached, type Universal, type World } from "../world.ts";
import { otherSubnet } from "./abroad.testkit.ts";
import { DAY, HOUR, timed } from "./clock-shared.testkit.ts";
import { T } from "./cycles-shared.testkit.ts";
import { statusOf } from "./management-shared.testkit.ts";

const info = section("Management: canister_info");
const stopping = section("Management: stop_canister and start_canister");
const deletion = section("Management: delete_canister");
const status = section("Management: canister_status");
const settings = section("Management: update_settings");
const uninstall = section("Management: uninstall_code");
const install = section("Management: install_code");
const randomness = section("Management: raw_rand");
const lifecycle = section("Canister lifecycle");
const cycles = section("Cycles");
const calls = section("Inter-canister method calls");
const timers = section("Global timer");
const heartbeats = timed("Heartbeats and low-memory hook");
/** In a network of its own, where nobody else has an allocation. */
const alone = timed("Management: update_settings");

info("a creation with environment variables tells their hash, one without none", async (world) => {
  const helper = await world.shared();
  const variables = [{ name: "a", value: "b" }];
  const hashes: number[] = [];
  for (const environment_variables of [variables, undefined]) {
    const canister = await world.fresh({ install: false, settings: { environment_variables } });
    const asked = managementCall("canister_info", { canister_id: canister.id, num_requested_changes: 1n });
    const told = decodeResult("canister_info", relayedReply(await helper.update(asked)));
    hashes.push(told.recent_changes[0].details[0].creation.environment_variables_hash[0]?.length ?? 0);
  }
  assert.deepEqual(hashes, [32, 0]);
});

/** A canister with a call that the other one does not answer before `openGate`. */
async function waiting(
  world: World,
  options: { readonly cycles?: bigint } = {},
): Promise<{ from: Universal; to: Universal; answer: ReturnType<Universal["update"]> }> {
  const [from, to] = [await world.fresh(), await world.universal()];
  const onReply = [1, set(1), ic0.msg_reply];
  const answer = from.update(
    callOut({ to: to.bytes, arg: code(gate), onReply, onReject: onReply, ...options }),
  );
  await reached(to, GATE_TURNS);
  return { from, to, answer };
}
const isIn = async (world: World, { id }: Universal, expected: string): Promise<true | null> =>
  expected in (await statusOf(world, id)).status ? true : null;

stopping("while it stops, updates and queries of users are refused", async (world) => {
  const { from, to, answer } = await waiting(world);
  const stop = world.manage("stop_canister", { canister_id: from.id });
  await world.eventually("stopping", () => isIn(world, from, "stopping"));
  rejected(await from.update(ic0.msg_reply), { code: 5, error: "IC0509", from: "submission" });
  rejected(await from.query(ic0.msg_reply), { code: 5, error: "IC0509" });
  replied(await to.update(openGate));
  replied(await answer);
  replied(await stop);
});

uninstall("a late answer runs no callback, and its cycles come back", async (world) => {
  const { from, to, answer } = await waiting(world, { cycles: 3n * T });
  replied(await world.manage("uninstall_code", { canister_id: from.id }));
  rejected(await answer, { code: 4, text: "Canister has been uninstalled" });
  replied(await from.install({ install: null }));
  const before = (await from.status()).cycles as bigint;
  replied(await to.update(openGate));
  await world.eventually("the refund", async () => {
    const now = (await from.status()).cycles as bigint;
    return now > before + 2n * T ? true : null;
  });
  repliedNumber(await from.query(get(1), reply64), 0);
});

uninstall(
  "a call that was under way keeps the canister from being stopped until it is answered",
  async (world) => {
    const { from, to, answer } = await waiting(world);
    replied(await world.manage("uninstall_code", { canister_id: from.id }));
    rejected(await answer, { code: 4 });
    const stop = world.manage("stop_canister", { canister_id: from.id });
    await world.eventually("stopping", () => isIn(world, from, "stopping"));
    rejected(await world.manage("delete_canister", { canister_id: from.id }), { error: "IC0510" });
    replied(await to.update(openGate));
    replied(await stop);
    assert.equal(await isIn(world, from, "stopped"), true);
  },
);

install("a reinstallation keeps calls under way: the new code gets the answer", async (world) => {
  const { from, to, answer } = await waiting(world);
  replied(await from.install({ reinstall: null }));
  repliedNumber(await from.query(get(1), reply64), 0);
  replied(await to.update(openGate));
  // The program of the callback is gone with the heap: the new code runs nothing, and has not replied.
  rejected(await answer, { code: 5, error: "IC0506" });
});

deletion("an id that was deleted is not given again", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  const later = await Promise.all([1, 2, 3].map(() => world.fresh({ install: false })));
  assert.ok(later.every(({ id }) => id.compareTo(canister.id) === "gt"));
});

status("nothing is reserved, nothing migrates, and the history takes memory", async (world) => {
  const told = await (await world.fresh()).status();
  assert.deepEqual([told.ready_for_migration, told.reserved_cycles], [false, 0n]);
  assert.ok(told.memory_metrics.canister_history_size > 0n);
});

settings("a compute_allocation that the balance does not last for is rejected", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 2n * T });
  const asked = { canister_id: canister.id, settings: { compute_allocation: 10n } };
  const text = "Cannot increase compute allocation to 10% due to insufficient cycles";
  rejected(await world.manage("update_settings", asked), { code: 5, error: "IC0530", text });
  assert.equal((await canister.status()).settings.compute_allocation, 0n);
});

settings("a memory_allocation that the balance does not last for is rejected", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 2n * T });
  const asked = { canister_id: canister.id, settings: { memory_allocation: 100n << 30n } };
  rejected(await world.manage("update_settings", asked), { code: 5, error: "IC0531" });
});

alone("compute allocations of 299 per cent in all are taken, one more is not", async (world) => {
  const allocations = [100n, 100n, 99n];
  for (const compute_allocation of allocations)
    await world.fresh({ install: false, cycles: 10_000n * T, settings: { compute_allocation } });
  const late = await world.fresh({ install: false, cycles: 10_000n * T });
  const asked = { canister_id: late.id, settings: { compute_allocation: 1n } };
  rejected(await world.manage("update_settings", asked), {
    code: 1,
    error: "IC0101",
    text: "remaining compute capacity is 0%",
  });
});

const FREE: readonly MethodName[] = [
  "canister_status",
  "canister_info",
  "canister_metrics",
  "stored_chunks",
  "start_canister",
  "list_canister_snapshots",
];
cycles.each("cycles of a management call that takes none come back", FREE, async (world, method) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, (await world.shared()).id] });
  const onReply = [ic0.msg_cycles_refunded, reply64];
  const arg = encodeArg(method, { canister_id: canister.id });
  const call = { to: new Uint8Array(), method, arg, cycles: 123_456_789n, onReply };
  repliedNumber(await canister.update(callOut(call)), 123_456_789n);
});

randomness("its cycles come back", async (world) => {
  const canister = await world.universal();
  const onReply = [ic0.msg_cycles_refunded, reply64];
  const call = {
    to: new Uint8Array(),
    method: "raw_rand",
    arg: encodeArg("raw_rand", null),
    cycles: 77n,
    onReply,
  };
  repliedNumber(await canister.update(callOut(call)), 77n);
});

cycles("a trap costs what was executed before it", async (world) => {
  const canister = await world.fresh();
  const cost = async (spins: number): Promise<bigint> => {
    const before = (await canister.status()).cycles as bigint;
    rejected(await canister.update(spins, op.spin, op.unreachable), { error: "IC0502" });
    return before - ((await canister.status()).cycles as bigint);
  };
  const [short, long] = [await cost(10), await cost(10_000_000)];
  // Ten million loops of eight instructions; storage in between is next to nothing.
  assert.ok(long - short > 70_000_000n, `${short}, ${long}`);
});

calls.needing("several subnets")(
  "an application canister does not reach the management canister under a subnet's id",
  async (world) => {
    const canister = await world.universal();
    for (const subnet of [world.target.home, otherSubnet(world)]) {
      const to = subnet?.id.toUint8Array() as Uint8Array;
      relayedReject(await canister.update(managementCall("raw_rand", null, { to })), 3);
    }
  },
);

lifecycle("a canister that is made again under another's control starts from nothing", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(5, set(1), 7, ic0.stable64_grow, op.drop, ic0.msg_reply));
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  await canister.configure({
    controllers: [(await world.shared()).id, ...(await canister.status()).settings.controllers],
  });
  replied(await canister.install({ install: null }));
  const [register, pages] = numbersOf(
    replied(await canister.query(get(1), append64, ic0.stable64_size, reply64)),
  );
  assert.deepEqual([register, pages], [0n, 0n]);
});

timers("one that is set to the end of time is told and does not run", async (world) => {
  const canister = await world.universal();
  const end = (1n << 64n) - 1n;
  replied(
    await canister.update(
      setHook("global_timer", 1, set(1)),
      end,
      ic0.global_timer_set,
      op.drop,
      ic0.msg_reply,
    ),
  );
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), end);
  repliedNumber(await canister.query(get(1), reply64), 0);
});

heartbeats("canister_heartbeat pauses while the canister is frozen", async (world) => {
  const canister = await world.fresh({
    heartbeat: true,
    cycles: 20n * T,
    settings: { compute_allocation: 10n, freezing_threshold: 86_400n },
  });
  replied(await canister.update(setHook("heartbeat", get(1), 1, op.add, set(1)), ic0.msg_reply));
  await world.advance(HOUR / 60n);
  await reached(canister, 1);
  await world.advance(DAY + DAY / 2n);
  rejected(await canister.update(ic0.msg_reply), { error: "IC0207" });
  const version = async (): Promise<bigint> => (await statusOf(world, canister.id)).version;
  const before = await version();
  for (let i = 0; i < 5; i++) await world.advance(HOUR / 60n);
  assert.equal(await version(), before);
  const helper = await world.fresh({ cycles: 1_000n * T });
  const deposit = managementCall("deposit_cycles", { canister_id: canister.id }, { cycles: 500n * T });
  relayedReply(await helper.update(deposit));
  await world.advance(HOUR / 60n);
  await world.eventually("a heartbeat", async () => ((await version()) > before ? true : null));
});

calls("a relayed reject keeps its text to the byte", async (world) => {
  const [from, to] = await pair(world);
  const text = "Grüße, 你好, \u{1f600}".repeat(20);
  const relayed = parseRelayed(
    replied(await from.update(callOut({ to: to.bytes, arg: code(text, ic0.msg_reject) }))),
  );
  assert.deepEqual(relayed, { kind: "reject", code: 4, message: text });
});
