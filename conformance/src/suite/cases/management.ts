/** Creation, settings, status, lifecycle (interface spec, "The IC management canister"). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hex, numbersOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber, repliedText } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { decodeResult, encodeArg, MANAGEMENT, managementCall, principal } from "../management.ts";
import { universalModule } from "../module.ts";
import {
  append64,
  callOut,
  code,
  gate,
  get,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  set,
  setHook,
} from "../script.ts";
import { reached, type Universal, type World } from "../world.ts";

const T = 1_000_000_000_000n;
const create = section("Management: create_canister");
const settings = section("Management: update_settings");
const status = section("Management: canister_status");
const metrics = section("Management: canister_metrics");
const stop = section("Management: stop_canister and start_canister");
const remove = section("Management: delete_canister");
const deposit = section("Management: deposit_cycles");
const random = section("Management: raw_rand");
const provisional = section("Management: provisional API");
const lifecycle = section("Canister lifecycle");

const idOf = (bytes: Uint8Array) => decodeResult("create_canister", bytes).canister_id;

/** A canister that a canister made. */
async function made(
  world: World,
  value: unknown = {},
  cycles = 2n * T,
): Promise<{ parent: Universal; id: ReturnType<typeof principal> }> {
  const parent = await world.fresh({ cycles: 50n * T });
  const outcome = await parent.update(managementCall("create_canister", value, { cycles }));
  return { parent, id: idOf(relayedReply(outcome)) };
}

create("a canister makes one and controls it", async (world) => {
  const { parent, id } = await made(world);
  const outcome = await parent.update(managementCall("canister_status", { canister_id: id }));
  const told = decodeResult("canister_status", relayedReply(outcome));
  assert.deepEqual(told.settings.controllers.map(String), [parent.id.toText()]);
});
create("it has the attached cycles less the fee of 500 billion", async (world) => {
  const { parent, id } = await made(world, {}, 2n * T);
  const told = decodeResult(
    "canister_status",
    relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
  );
  assert.equal(told.cycles, 2n * T - 500_000_000_000n);
});
create("controllers may be given", async (world) => {
  const { id } = await made(world, { settings: { controllers: [principal(world.user.sender)] } });
  replied(await world.manage("canister_status", { canister_id: id }));
});
create("it is empty and runs", async (world) => {
  const { id } = await made(world, { settings: { controllers: [principal(world.user.sender)] } });
  const told = decodeResult(
    "canister_status",
    replied(await world.manage("canister_status", { canister_id: id })),
  );
  assert.ok("running" in told.status && told.module_hash.length === 0);
});
create("fewer cycles than the fee are rejected and come back", async (world) => {
  const parent = await world.universal();
  const call = {
    to: MANAGEMENT,
    method: "create_canister",
    arg: encodeArg("create_canister", {}),
    cycles: 499_999_999_999n,
  };
  repliedNumber(
    await parent.update(callOut({ ...call, onReject: [ic0.msg_cycles_refunded, reply64] })),
    499_999_999_999n,
  );
  relayedReject(
    await parent.update(callOut(call)),
    4,
    "Creating a canister requires a fee of 500000000000 that is deducted from the canister's initial balance but only 499999999999 cycles were received with the create_canister request.",
  );
});
create("exactly the fee makes a canister without cycles", async (world) => {
  const { parent, id } = await made(world, {}, 500_000_000_000n);
  const outcome = await parent.update(managementCall("canister_status", { canister_id: id }));
  assert.equal(decodeResult("canister_status", relayedReply(outcome)).cycles, 0n);
});
create("no cycles are rejected", async (world) => {
  const parent = await world.universal();
  relayedReject(await parent.update(managementCall("create_canister", {})), 4, "requires a fee");
});
create("users cannot, by an ingress message", async (world) => {
  rejected(await world.manage("create_canister", {}), {
    code: 4,
    error: ["IC0406", "IC0410"],
    from: "submission",
  });
});
create("eleven controllers are rejected and the cycles come back", async (world) => {
  const parent = await world.universal();
  const controllers = Array.from({ length: 11 }, (_, i) => principal(Uint8Array.of(i, 1)));
  const call = {
    to: MANAGEMENT,
    method: "create_canister",
    arg: encodeArg("create_canister", { settings: { controllers } }),
    cycles: T,
  };
  repliedNumber(await parent.update(callOut({ ...call, onReject: [ic0.msg_cycles_refunded, reply64] })), T);
});
create("an invalid setting is rejected and nothing is made", async (world) => {
  const parent = await world.universal();
  relayedReject(
    await parent.update(
      managementCall("create_canister", { settings: { compute_allocation: 101n } }, { cycles: T }),
    ),
    5,
    "ComputeAllocation expected to be in the range [0..100], got 101",
  );
});
create("two creations have different ids", async (world) => {
  const [a, b] = await Promise.all([made(world), made(world)]);
  assert.notEqual(a.id.toText(), b.id.toText());
});
create("an id of ten bytes that ends with 0x01 0x01", async (world) => {
  const bytes = (await made(world)).id.toUint8Array();
  assert.ok(bytes.length === 10 && bytes[8] === 1 && bytes[9] === 1);
});
create("its version is 0", async (world) => {
  const { parent, id } = await made(world);
  assert.equal(
    decodeResult(
      "canister_status",
      relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
    ).version,
    0n,
  );
});
create("environment variables may be given", async (world) => {
  const environment_variables = [{ name: "A", value: "b" }];
  const { parent, id } = await made(world, { settings: { environment_variables } });
  const told = decodeResult(
    "canister_status",
    relayedReply(await parent.update(managementCall("canister_status", { canister_id: id }))),
  );
  assert.deepEqual(told.settings.environment_variables, environment_variables);
});
create("a wrong sender_canister_version traps the caller", async (world) => {
  const parent = await world.universal();
  rejected(
    await parent.update(
      managementCall("create_canister", { sender_canister_version: 12_345n }, { cycles: T }),
    ),
    { code: 5, error: "IC0504" },
  );
});
create("the right sender_canister_version is taken", async (world) => {
  const parent = await world.fresh();
  relayedReply(
    await parent.update(managementCall("create_canister", { sender_canister_version: 1n }, { cycles: T })),
  );
});
create("an argument that is no Candid is rejected", async (world) => {
  const parent = await world.universal();
  relayedReject(
    await parent.update(
      callOut({ to: MANAGEMENT, method: "create_canister", arg: Uint8Array.of(1, 2, 3), cycles: T }),
    ),
    [4, 5],
    /decod/i,
  );
});

provisional("a user makes a canister with 100 trillion cycles by default", async (world) => {
  const canister = await world.fresh({ install: false });
  const { cycles } = await canister.status();
  assert.ok(cycles > 99n * T && cycles <= 100n * T);
});
provisional("an amount may be given", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 7n * T });
  const { cycles } = await canister.status();
  assert.ok(cycles > 6n * T && cycles <= 7n * T);
});
provisional("an amount of zero makes a canister without cycles", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 0n });
  rejected(await canister.update(ic0.msg_reply), { code: 2, error: "IC0207" });
});
provisional("the maker is the controller", async (world) => {
  const canister = await world.fresh({ install: false });
  assert.deepEqual((await canister.status()).settings.controllers.map(String), [
    principal(world.user.sender).toText(),
  ]);
});
provisional("anybody may, the anonymous user too", async (world) => {
  const outcome = await world.manage("provisional_create_canister_with_cycles", {}, { as: ANONYMOUS });
  assert.ok(idOf(replied(outcome)));
});
provisional("settings may be given", async (world) => {
  const canister = await world.fresh({ install: false, settings: { freezing_threshold: 1_234n } });
  assert.equal((await canister.status()).settings.freezing_threshold, 1_234n);
});
provisional("a canister may use it and gets the attached cycles back", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("provisional_create_canister_with_cycles", { amount: T });
  const outcome = await canister.update(
    callOut({
      to: MANAGEMENT,
      method: "provisional_create_canister_with_cycles",
      arg,
      cycles: 500n,
      onReply: [ic0.msg_cycles_refunded, reply64],
    }),
  );
  repliedNumber(outcome, 500);
});
provisional("top-up adds the amount", async (world) => {
  const canister = await world.fresh({ install: false });
  const before = (await canister.status()).cycles;
  replied(await world.manage("provisional_top_up_canister", { canister_id: canister.id, amount: 5n * T }));
  const added = (await canister.status()).cycles - before;
  assert.ok(added > 4n * T && added <= 5n * T);
});
provisional("anybody may top up any canister", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(
    await world.manage(
      "provisional_top_up_canister",
      { canister_id: canister.id, amount: 5n },
      { as: world.stranger },
    ),
  );
});
provisional("topping up what does not exist is rejected", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("provisional_top_up_canister", { canister_id: canister.id, amount: 5n }), {
    code: 3,
    error: "IC0301",
  });
});
provisional.needing("several subnets")("a specified id of another subnet is rejected", async (world) => {
  const { home, subnets, near } = world.target;
  const other = subnets.find(({ id, ranges }) => id.toText() !== home.id.toText() && ranges.length > 0);
  const specified_id = principal(other?.ranges[0]?.end ?? new Uint8Array());
  const outcome = await world.manage("provisional_create_canister_with_cycles", { specified_id }, { near });
  rejected(outcome, { code: 4, error: "IC0405", text: "is not hosted by subnet" });
});
provisional("a specified id that exists is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage(
    "provisional_create_canister_with_cycles",
    { specified_id: canister.id },
    { near: canister.id },
  );
  rejected(outcome, { error: "IC0205", text: "already exists" });
});

async function deleted(world: World): Promise<Universal> {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  return canister;
}

async function configured(world: World, given: Record<string, unknown>) {
  const canister = await world.fresh({ install: false });
  await canister.configure(given);
  return (await canister.status()).settings;
}
async function misconfigured(
  world: World,
  given: Record<string, unknown>,
  text: RegExp | string,
  error: string | readonly string[] = "IC0504",
) {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage("update_settings", { canister_id: canister.id, settings: given });
  rejected(outcome, { code: [4, 5], error, text });
  assert.equal((await canister.status()).version, 0n);
}

settings("the defaults are the published ones", async (world) => {
  const told = (await (await world.fresh({ install: false })).status()).settings;
  assert.equal(told.compute_allocation, 0n);
  assert.equal(told.memory_allocation, 0n);
  assert.equal(told.freezing_threshold, 2_592_000n);
  assert.equal(told.reserved_cycles_limit, 5_000_000_000_000n);
  assert.deepEqual(told.log_visibility, { controllers: null });
  assert.deepEqual(told.environment_variables, []);
  assert.equal(told.wasm_memory_threshold, 0n);
});
settings("controllers are replaced", async (world) => {
  const controllers = [principal(world.user.sender), principal(world.stranger.sender)];
  assert.deepEqual(
    (await configured(world, { controllers })).controllers.map(String).sort(),
    controllers.map(String).sort(),
  );
});
settings("ten controllers are allowed", async (world) => {
  const controllers = [
    principal(world.user.sender),
    ...Array.from({ length: 9 }, (_, i) => principal(Uint8Array.of(i, 1))),
  ];
  assert.equal((await configured(world, { controllers })).controllers.length, 10);
});
settings("eleven controllers are rejected", async (world) => {
  const controllers = Array.from({ length: 11 }, (_, i) => principal(Uint8Array.of(i, 1)));
  await misconfigured(world, { controllers }, "'controllers' length exceeds maximum size allowed of 10", [
    "IC0504",
    "IC0408",
  ]);
});
settings("a canister may lose all controllers", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ controllers: [] });
  rejected(await world.manage("canister_status", { canister_id: canister.id }), { error: "IC0542" });
});
settings("a former controller has no rights", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ controllers: [principal(world.stranger.sender)] });
  rejected(await world.manage("update_settings", { canister_id: canister.id, settings: {} }), {
    code: 5,
    error: "IC0512",
  });
  replied(
    await world.manage("update_settings", { canister_id: canister.id, settings: {} }, { as: world.stranger }),
  );
});
settings("the anonymous principal may be a controller", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ controllers: [principal(ANONYMOUS.sender)] });
  replied(await world.manage("canister_status", { canister_id: canister.id }, { as: ANONYMOUS }));
});
settings("absent fields stay", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ freezing_threshold: 77n });
  await canister.configure({ compute_allocation: 1n });
  assert.equal((await canister.status()).settings.freezing_threshold, 77n);
});
settings("compute_allocation of 101 is rejected", async (world) => {
  await misconfigured(
    world,
    { compute_allocation: 101n },
    "ComputeAllocation expected to be in the range [0..100], got 101",
  );
});
settings("compute_allocation of 1 is taken", async (world) => {
  assert.equal((await configured(world, { compute_allocation: 1n })).compute_allocation, 1n);
});
settings("memory_allocation of 2^48 + 1 is rejected", async (world) => {
  await misconfigured(
    world,
    { memory_allocation: (1n << 48n) + 1n },
    "MemoryAllocation expected to be in the range",
  );
});
settings("memory_allocation of a gigabyte is taken", async (world) => {
  assert.equal((await configured(world, { memory_allocation: 1n << 30n })).memory_allocation, 1n << 30n);
});
settings("freezing_threshold of 2^64 is rejected", async (world) => {
  await misconfigured(world, { freezing_threshold: 1n << 64n }, "2^64-1");
});
settings("reserved_cycles_limit of 2^128 - 1 is taken", async (world) => {
  assert.equal(
    (await configured(world, { reserved_cycles_limit: (1n << 128n) - 1n })).reserved_cycles_limit,
    (1n << 128n) - 1n,
  );
});
settings("reserved_cycles_limit of 2^128 is rejected", async (world) => {
  await misconfigured(world, { reserved_cycles_limit: 1n << 128n }, "2^128-1");
});
settings("wasm_memory_limit of 2^48 is taken", async (world) => {
  assert.equal((await configured(world, { wasm_memory_limit: 1n << 48n })).wasm_memory_limit, 1n << 48n);
});
settings("wasm_memory_limit of 2^48 + 1 is rejected", async (world) => {
  await misconfigured(world, { wasm_memory_limit: (1n << 48n) + 1n }, "2^48");
});
settings("wasm_memory_threshold of 2^48 is taken", async (world) => {
  assert.equal(
    (await configured(world, { wasm_memory_threshold: 1n << 48n })).wasm_memory_threshold,
    1n << 48n,
  );
});
settings("wasm_memory_threshold of 2^48 + 1 is rejected", async (world) => {
  await misconfigured(world, { wasm_memory_threshold: (1n << 48n) + 1n }, "2^48");
});
settings("minimum_incoming_canister_call_cycles is told", async (world) => {
  assert.deepEqual(
    (await configured(world, { minimum_incoming_canister_call_cycles: 500n }))
      .minimum_incoming_canister_call_cycles,
    [500n],
  );
});
settings(
  "calls with fewer cycles than minimum_incoming_canister_call_cycles are rejected with refund",
  async (world) => {
    const [from, to] = [
      await world.universal(),
      await world.fresh({ settings: { minimum_incoming_canister_call_cycles: 500n } }),
    ];
    repliedNumber(
      await from.update(
        callOut({
          to: to.bytes,
          arg: code(ic0.msg_reply),
          cycles: 499n,
          onReject: [ic0.msg_cycles_refunded, reply64],
        }),
      ),
      499,
    );
    relayedReject(await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply), cycles: 499n })), 5);
  },
);
settings("calls with as many cycles as minimum_incoming_canister_call_cycles are taken", async (world) => {
  const [from, to] = [
    await world.universal(),
    await world.fresh({ settings: { minimum_incoming_canister_call_cycles: 500n } }),
  ];
  relayedReply(await from.update(callOut({ to: to.bytes, arg: code(ic0.msg_reply), cycles: 500n })));
});
settings("minimum_incoming_canister_call_cycles does not bind users", async (world) => {
  const canister = await world.fresh({ settings: { minimum_incoming_canister_call_cycles: 500n } });
  replied(await canister.update(ic0.msg_reply));
});
settings("minimum_incoming_canister_call_cycles does not bind calls to oneself", async (world) => {
  const canister = await world.fresh({ settings: { minimum_incoming_canister_call_cycles: 500n } });
  relayedReply(await canister.update(callOut({ to: canister.bytes, arg: code(ic0.msg_reply) })));
});
settings.each(
  "log_visibility takes each of its forms",
  ["controllers", "public"] as const,
  async (world, form) => {
    assert.deepEqual((await configured(world, { log_visibility: { [form]: null } })).log_visibility, {
      [form]: null,
    });
  },
);
settings("ten allowed viewers of the log", async (world) => {
  const viewers = Array.from({ length: 10 }, (_, i) => principal(Uint8Array.of(i, 1)));
  assert.equal(
    (await configured(world, { log_visibility: { allowed_viewers: viewers } })).log_visibility.allowed_viewers
      .length,
    10,
  );
});
settings("eleven allowed viewers of the log are rejected", async (world) => {
  const viewers = Array.from({ length: 11 }, (_, i) => principal(Uint8Array.of(i, 1)));
  await misconfigured(
    world,
    { log_visibility: { allowed_viewers: viewers } },
    /allowed viewers|allowed_viewers|length/,
    ["IC0504", "IC0408"],
  );
});
settings("snapshot_visibility is told", async (world) => {
  assert.deepEqual((await configured(world, { snapshot_visibility: { public: null } })).snapshot_visibility, [
    { public: null },
  ]);
});
settings("status_visibility is told", async (world) => {
  assert.deepEqual((await configured(world, { status_visibility: { public: null } })).status_visibility, [
    { public: null },
  ]);
});
settings("twenty environment variables are allowed", async (world) => {
  const environment_variables = Array.from({ length: 20 }, (_, i) => ({ name: `N${i}`, value: "v" }));
  assert.equal((await configured(world, { environment_variables })).environment_variables.length, 20);
});
settings("twenty-one environment variables are rejected", async (world) => {
  const environment_variables = Array.from({ length: 21 }, (_, i) => ({ name: `N${i}`, value: "v" }));
  await misconfigured(world, { environment_variables }, /environment variables/i, ["IC0408", "IC0504"]);
});
settings("an environment variable's name of 129 bytes is rejected", async (world) => {
  await misconfigured(world, { environment_variables: [{ name: "n".repeat(129), value: "v" }] }, /name/i, [
    "IC0408",
    "IC0504",
  ]);
});
settings("an environment variable's value of 129 bytes is rejected", async (world) => {
  await misconfigured(world, { environment_variables: [{ name: "n", value: "v".repeat(129) }] }, /value/i, [
    "IC0408",
    "IC0504",
  ]);
});
settings("name and value of 128 bytes are allowed", async (world) => {
  const environment_variables = [{ name: "n".repeat(128), value: "v".repeat(128) }];
  assert.deepEqual(
    (await configured(world, { environment_variables })).environment_variables,
    environment_variables,
  );
});
settings("an environment variable's name twice is rejected", async (world) => {
  const environment_variables = [
    { name: "n", value: "1" },
    { name: "n", value: "2" },
  ];
  await misconfigured(world, { environment_variables }, /unique|duplicate/i, ["IC0408", "IC0504"]);
});
settings("log_memory_limit of 0 turns the log off", async (world) => {
  const canister = await world.fresh({ settings: { log_memory_limit: 0n } });
  replied(await canister.update("unheard", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "");
});
settings("log_memory_limit of 4,095 is rejected", async (world) => {
  await misconfigured(world, { log_memory_limit: 4_095n }, /log memory limit/i, ["IC0406", "IC0408"]);
});
settings("a larger log_memory_limit keeps more", async (world) => {
  const canister = await world.fresh({ settings: { log_memory_limit: 20_000n } });
  for (let i = 0; i < 3; i++)
    replied(await canister.update("x".repeat(3_000), ic0.debug_print, ic0.msg_reply));
  assert.ok((await canister.log()).length > 8_000);
});
settings("wasm_memory_limit binds an update's growth", async (world) => {
  const canister = await world.fresh({ settings: { wasm_memory_limit: 1_000_000n } });
  rejected(await canister.update(50, op.memory_grow, reply64), {
    code: 5,
    error: "IC0539",
    text: "Canister exceeded its current Wasm memory limit of 1000000 bytes.",
  });
});
settings("wasm_memory_limit does not bind a query's growth", async (world) => {
  const canister = await world.fresh({ settings: { wasm_memory_limit: 1_000_000n } });
  repliedNumber(await canister.query(50, op.memory_grow, reply64), 8);
});
settings("wasm_memory_limit does not bind a callback's growth", async (world) => {
  const canister = await world.fresh({ settings: { wasm_memory_limit: 1_000_000n } });
  repliedNumber(
    await canister.update(
      callOut({
        to: canister.bytes,
        method: "query",
        arg: code(ic0.msg_reply),
        onReply: [50, op.memory_grow, reply64],
      }),
    ),
    8,
  );
});
settings("wasm_memory_limit binds canister_init", async (world) => {
  const canister = await world.fresh({ install: false, settings: { wasm_memory_limit: 1_000_000n } });
  rejected(await canister.install({ install: null }, { program: [50, op.memory_grow, op.drop] }), {
    code: 5,
    error: "IC0539",
  });
});
settings("a stranger may not change them", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage(
    "update_settings",
    { canister_id: canister.id, settings: {} },
    { as: world.stranger },
  );
  rejected(outcome, {
    code: 5,
    error: "IC0512",
    text: `Only the controllers of the canister ${canister.id.toText()} can control it.`,
  });
});
settings("the error tells the controllers and the sender", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage(
    "update_settings",
    { canister_id: canister.id, settings: {} },
    { as: world.stranger },
  );
  const [owner, other] = [world.user, world.stranger].map(({ sender }) => principal(sender).toText());
  rejected(outcome, { text: `Canister's controllers: ${owner}\nSender's ID: ${other}` });
});
settings("a canister that is a controller may change them", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  relayedReply(
    await parent.update(
      managementCall("update_settings", { canister_id: child.id, settings: { freezing_threshold: 5n } }),
    ),
  );
  assert.equal((await child.status()).settings.freezing_threshold, 5n);
});
settings("a canister may change its own, if it controls itself", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, principal(world.user.sender)] });
  relayedReply(
    await canister.update(
      managementCall("update_settings", { canister_id: canister.id, settings: { freezing_threshold: 6n } }),
    ),
  );
  assert.equal((await canister.status()).settings.freezing_threshold, 6n);
});
settings("a user's sender_canister_version is not looked at", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(
    await world.manage("update_settings", {
      canister_id: canister.id,
      settings: {},
      sender_canister_version: 666n,
    }),
  );
});
settings("a canister's wrong sender_canister_version traps it", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id] });
  rejected(
    await parent.update(
      managementCall("update_settings", {
        canister_id: child.id,
        settings: {},
        sender_canister_version: 66_666n,
      }),
    ),
    { code: 5, error: "IC0504" },
  );
});
settings("what does not exist has none", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("update_settings", { canister_id: canister.id, settings: {} }), {
    code: 3,
    error: "IC0301",
  });
});

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
    text: "is not allowed to access canister status",
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
    "is not allowed to access canister status",
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

deposit("a canister gives cycles to another", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false, cycles: T })];
  const before = (await to.status()).cycles;
  relayedReply(
    await from.update(managementCall("deposit_cycles", { canister_id: to.id }, { cycles: 3n * T })),
  );
  const added = (await to.status()).cycles - before;
  assert.ok(added > 2n * T && added <= 3n * T);
});
deposit("anybody's canister may", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  await to.configure({ controllers: [] });
  relayedReply(await from.update(managementCall("deposit_cycles", { canister_id: to.id }, { cycles: 5n })));
});
deposit("nothing comes back", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  const arg = encodeArg("deposit_cycles", { canister_id: to.id });
  repliedNumber(
    await from.update(
      callOut({
        to: MANAGEMENT,
        method: "deposit_cycles",
        arg,
        cycles: 5n,
        onReply: [ic0.msg_cycles_refunded, reply64],
      }),
    ),
    0,
  );
});
deposit("to what does not exist comes back", async (world) => {
  const [from, to] = [await world.universal(), await deleted(world)];
  const arg = encodeArg("deposit_cycles", { canister_id: to.id });
  repliedNumber(
    await from.update(
      callOut({
        to: MANAGEMENT,
        method: "deposit_cycles",
        arg,
        cycles: 5n,
        onReject: [ic0.msg_cycles_refunded, reply64],
      }),
    ),
    5,
  );
});
deposit("without cycles is fine", async (world) => {
  const [from, to] = [await world.universal(), await world.fresh({ install: false })];
  relayedReply(await from.update(managementCall("deposit_cycles", { canister_id: to.id })));
});
deposit("users cannot, by an ingress message", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("deposit_cycles", { canister_id: canister.id }), {
    code: 4,
    error: "IC0406",
    text: "Only canisters can call ic00 method deposit_cycles",
    from: "submission",
  });
});

random("32 bytes", async (world) => {
  const canister = await world.universal();
  const outcome = await canister.update(managementCall("raw_rand", undefined));
  assert.equal(decodeResult("raw_rand", relayedReply(outcome)).length, 32);
});
random("each call has bytes of its own", async (world) => {
  const canister = await world.universal();
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, () => canister.update(managementCall("raw_rand", undefined))),
  );
  assert.equal(new Set(outcomes.map((outcome) => hex(relayedReply(outcome)))).size, 6);
});
random("the answer is not known in the round of the question", async (world) => {
  const canister = await world.universal();
  const arg = encodeArg("raw_rand", undefined);
  const outcome = await canister.update(
    ic0.time,
    set(1),
    callOut({ to: MANAGEMENT, method: "raw_rand", arg, onReply: [get(1), append64, ic0.time, reply64] }),
  );
  const [asked, answered] = numbersOf(replied(outcome));
  assert.ok(asked !== undefined && answered !== undefined && answered > asked);
});
random("an argument that is not empty is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(callOut({ to: MANAGEMENT, method: "raw_rand", arg: Uint8Array.of(9) })),
    [4, 5],
  );
});
random("users cannot, by an ingress message", async (world) => {
  rejected(await world.manage("raw_rand", undefined), { code: 4, error: "IC0406", from: "submission" });
});
random("a query cannot", async (world) => {
  rejected(await world.manageQuery("raw_rand", undefined), { code: 5, error: "IC0536" });
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
