/** Status, metrics, stopping, starting, deletion (interface spec, the management methods of these names). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hex } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedText } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall, principal } from "../management.ts";
import { universalModule } from "../module.ts";
import { callOut, code, gate, get, ic0, op, openGate, reply, set, setHook } from "../script.ts";
import { reached, type Universal, type World } from "../world.ts";
import { deleted, made } from "./management-shared.testkit.ts";

const status = section("Management: canister_status");

const metrics = section("Management: canister_metrics");

const stop = section("Management: stop_canister and start_canister");

const remove = section("Management: delete_canister");

const lifecycle = section("Canister lifecycle");

status("a controller reads it", async (world) => {
  const told = await (await world.fresh()).status();
  assert.ok("running" in told.status);
});

status("the module's hash is told", async (world) => {
  const hash = createHash("sha256").update(universalModule()).digest("hex");
  assert.equal(hex(new Uint8Array((await (await world.fresh()).status()).module_hash[0])), hash);
});

status("an empty canister has no module hash", async (world) => {
  assert.deepEqual((await (await world.fresh({ install: false })).status()).module_hash, []);
});

status("a stranger may not read it", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("canister_status", { canister_id: canister.id }, { as: world.stranger }), {
    code: 5,
    error: "IC0542",
    from: "submission",
    text: "is not allowed to read the canister status",
  });
});

status("a stranger may not read it by a query", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manageQuery("canister_status", { canister_id: canister.id }, { as: world.stranger }), {
    code: 5,
    error: "IC0542",
    from: "query",
  });
});

status("a controller reads it by a query", async (world) => {
  const canister = await world.fresh({ install: false });
  const told = decodeResult(
    "canister_status",
    replied(await world.manageQuery("canister_status", { canister_id: canister.id })),
  );
  assert.ok("running" in told.status);
});

status("the canister itself reads it", async (world) => {
  const canister = await world.universal();
  const told = decodeResult(
    "canister_status",
    relayedReply(await canister.update(managementCall("canister_status", { canister_id: canister.id }))),
  );
  assert.ok("running" in told.status);
});

status("another canister may not read it", async (world) => {
  const [a, b] = [await world.universal(), await world.fresh({ install: false })];
  relayedReject(
    await a.update(managementCall("canister_status", { canister_id: b.id })),
    5,
    "is not allowed to read the canister status",
  );
});

status("anybody reads it where status_visibility is public", async (world) => {
  const canister = await world.fresh({ install: false, settings: { status_visibility: { public: null } } });
  replied(await world.manage("canister_status", { canister_id: canister.id }, { as: world.stranger }));
  replied(await world.manageQuery("canister_status", { canister_id: canister.id }, { as: ANONYMOUS }));
});

status("an allowed viewer reads it", async (world) => {
  const allowed_viewers = [principal(world.stranger.sender)];
  const canister = await world.fresh({
    install: false,
    settings: { status_visibility: { allowed_viewers } },
  });
  replied(await world.manage("canister_status", { canister_id: canister.id }, { as: world.stranger }));
  rejected(await world.manage("canister_status", { canister_id: canister.id }, { as: ANONYMOUS }), {
    error: "IC0542",
  });
});

status("the heap's pages are told", async (world) => {
  const canister = await world.fresh();
  assert.equal((await canister.status()).memory_metrics.wasm_memory_size, BigInt(8 * 65_536));
  replied(await canister.update(2, op.memory_grow, op.drop, ic0.msg_reply));
  assert.equal((await canister.status()).memory_metrics.wasm_memory_size, BigInt(10 * 65_536));
});

status("the module's bytes are told", async (world) => {
  assert.equal(
    (await (await world.fresh()).status()).memory_metrics.wasm_binary_size,
    BigInt(universalModule().length),
  );
});

status("the sum of the parts is memory_size", async (world) => {
  const { memory_metrics, memory_size } = await (await world.fresh()).status();
  const sum = Object.values(memory_metrics as Record<string, bigint>).reduce((all, one) => all + one, 0n);
  assert.equal(memory_size, sum);
});

status("an idle canister burns cycles by its memory", async (world) => {
  const canister = await world.fresh();
  const before = (await canister.status()).idle_cycles_burned_per_day;
  replied(await canister.update(100, ic0.stable64_grow, op.drop, ic0.msg_reply));
  assert.ok((await canister.status()).idle_cycles_burned_per_day > before);
});

status("a compute allocation burns cycles", async (world) => {
  const canister = await world.fresh({ install: false });
  const before = (await canister.status()).idle_cycles_burned_per_day;
  await canister.configure({ compute_allocation: 1n });
  assert.equal((await canister.status()).idle_cycles_burned_per_day - before, 10_000_000n * 86_400n);
});

status("a canister that does not exist has none", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("canister_status", { canister_id: canister.id }), {
    code: 3,
    error: "IC0301",
    text: "not found",
  });
});

status("it is told while the canister is stopped", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  assert.ok("stopped" in (await canister.status()).status);
});

status("an update by ingress and a query tell the same settings", async (world) => {
  const canister = await world.fresh({ install: false });
  const query = decodeResult(
    "canister_status",
    replied(await world.manageQuery("canister_status", { canister_id: canister.id })),
  );
  assert.deepEqual(query.settings, (await canister.status()).settings);
});

status("no queries are counted for a new canister", async (world) => {
  const { query_stats } = await (await world.fresh({ install: false })).status();
  assert.equal(query_stats.num_calls_total, 0n);
});

metrics("a controller reads them", async (world) => {
  const canister = await world.fresh();
  const told = decodeResult(
    "canister_metrics",
    replied(await world.manage("canister_metrics", { canister_id: canister.id })),
  );
  assert.ok(told.cycles_consumed.instructions > 0n);
});

metrics("a controller reads them by a query", async (world) => {
  const canister = await world.fresh();
  const told = decodeResult(
    "canister_metrics",
    replied(await world.manageQuery("canister_metrics", { canister_id: canister.id })),
  );
  assert.ok(told.cycles_consumed.ingress_induction > 0n);
});

metrics("a stranger may not", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("canister_metrics", { canister_id: canister.id }, { as: world.stranger }), {
    code: 5,
    error: "IC0512",
  });
});

metrics("a stranger may not by a query", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(
    await world.manageQuery("canister_metrics", { canister_id: canister.id }, { as: world.stranger }),
    { code: 5, error: "IC0512" },
  );
});

metrics("a message's instructions are added", async (world) => {
  const canister = await world.fresh();
  const read = async () =>
    decodeResult(
      "canister_metrics",
      replied(await world.manage("canister_metrics", { canister_id: canister.id })),
    ).cycles_consumed.instructions;
  const before = await read();
  replied(await canister.update(1_000_000, op.spin, ic0.msg_reply));
  assert.ok((await read()) - before > 5_000_000n);
});

metrics("the creation's fee is told", async (world) => {
  const { parent, id } = await made(world);
  const told = decodeResult(
    "canister_metrics",
    relayedReply(await parent.update(managementCall("canister_metrics", { canister_id: id }))),
  );
  assert.equal(told.cycles_consumed.canister_creation, 500_000_000_000n);
});

stop("a stopped canister is stopped", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  assert.ok("stopped" in (await canister.status()).status);
});

stop("stopping twice is fine", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
});

stop("a started canister runs", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  repliedText(await canister.update("on", reply), "on");
});

stop("starting twice is fine", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
});

stop("a stranger may not stop", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("stop_canister", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});

stop("a stranger may not start", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("start_canister", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});

stop("a canister with an open call is stopping until it is answered", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.msg_reply] }),
  );
  await reached(canister, 1);
  const stopped = world.manage("stop_canister", { canister_id: canister.id });
  await stopping(world, canister);
  rejected(await canister.update(ic0.msg_reply), { code: 5, error: "IC0509", text: "is stopping" });
  rejected(await canister.query(ic0.msg_reply), { code: 5, error: "IC0509" });
  replied(await helper.update(openGate));
  replied(await outcome);
  replied(await stopped);
  assert.ok("stopped" in (await canister.status()).status);
});

stop("starting a stopping canister cancels the stopping", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.msg_reply] }),
  );
  await reached(canister, 1);
  const stopped = world.manage("stop_canister", { canister_id: canister.id });
  await stopping(world, canister);
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  rejected(await stopped, { code: 5, error: "IC0511", text: "was cancelled" });
  replied(await helper.update(openGate));
  replied(await outcome);
});

stop("two requests to stop are both answered", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.msg_reply] }),
  );
  await reached(canister, 1);
  const both = [1, 2].map(() => world.manage("stop_canister", { canister_id: canister.id }));
  await stopping(world, canister);
  replied(await helper.update(openGate));
  replied(await outcome);
  for (const one of both) replied(await one);
});

stop("another canister's call to a stopping one is rejected", async (world) => {
  const [helper, other, canister] = [await world.universal(), await world.universal(), await world.fresh()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.msg_reply] }),
  );
  await reached(canister, 1);
  const stopped = world.manage("stop_canister", { canister_id: canister.id });
  await stopping(world, canister);
  relayedReject(
    await other.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply) })),
    5,
    "is stopping",
  );
  replied(await helper.update(openGate));
  await outcome;
  replied(await stopped);
});

stop("a stopped canister may be upgraded", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await canister.upgrade());
  assert.ok("stopped" in (await canister.status()).status);
});

stop("an empty canister can be stopped and started", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
});

async function stopping(world: World, canister: Universal): Promise<void> {
  await world.eventually("stopping", async () =>
    "stopping" in (await canister.status()).status ? true : null,
  );
}

remove("a stopped canister is deleted", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("canister_status", { canister_id: canister.id }), { code: 3, error: "IC0301" });
});

remove("a running canister is not", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("delete_canister", { canister_id: canister.id }), {
    code: 5,
    error: "IC0510",
    text: `Canister ${canister.id.toText()} must be stopped before it is deleted.`,
  });
});

remove("a stranger may not", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  rejected(await world.manage("delete_canister", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});

remove("a canister cannot delete itself", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, principal(world.user.sender)] });
  relayedReject(
    await canister.update(managementCall("delete_canister", { canister_id: canister.id })),
    5,
    "cannot delete itself",
  );
});

remove("a canister that controls it may", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  replied(await world.manage("stop_canister", { canister_id: child.id }));
  relayedReply(await parent.update(managementCall("delete_canister", { canister_id: child.id })));
});

remove("twice is once too often", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("delete_canister", { canister_id: canister.id }), { code: 3, error: "IC0301" });
});

lifecycle("a deleted canister's calls in flight are rejected", async (world) => {
  const from = await world.universal();
  const gone = await deleted(world);
  relayedReject(await from.update(callOut({ to: gone.bytes, arg: code(ic0.msg_reply) })), 3);
});

lifecycle("a canister that is deleted while it waits cannot be: it does not stop", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: [ic0.msg_reply] }),
  );
  await reached(canister, 1);
  const stopped = world.manage("stop_canister", { canister_id: canister.id });
  await stopping(world, canister);
  rejected(await world.manage("delete_canister", { canister_id: canister.id }), { error: "IC0510" });
  replied(await helper.update(openGate));
  await outcome;
  replied(await stopped);
});

lifecycle("heartbeats do not run while the canister is stopped", async (world) => {
  const canister = await world.fresh({ heartbeat: true });
  replied(await canister.update(setHook("heartbeat", get(1), 1, op.add, set(1)), ic0.msg_reply));
  await reached(canister, 1);
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("start_canister", { canister_id: canister.id }));
  replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
});

lifecycle("an unknown method of the management canister is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(
      callOut({ to: MANAGEMENT, method: "make_coffee", arg: encodeArg("raw_rand", undefined) }),
    ),
    3,
    "Unable to route management canister request make_coffee",
  );
});

lifecycle("an unknown method is rejected for users", async (world) => {
  rejected(await world.manage("make_coffee", undefined, { arg: new TextEncoder().encode("DIDL\0\0") }), {
    code: 5,
    error: "IC0536",
    text: "Management canister has no method 'make_coffee'",
  });
});

lifecycle("an unknown method is rejected for queries", async (world) => {
  rejected(await world.manageQuery("make_coffee", undefined, { arg: new TextEncoder().encode("DIDL\0\0") }), {
    code: 5,
    error: "IC0536",
  });
});

lifecycle(
  "the management canister may be called by its textual id only as the empty principal",
  async (world) => {
    const canister = await world.universal();
    relayedReject(
      await canister.update(
        callOut({ to: Uint8Array.of(0), method: "raw_rand", arg: encodeArg("raw_rand", undefined) }),
      ),
      3,
    );
  },
);
