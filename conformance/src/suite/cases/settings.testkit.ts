/** Canister settings and their effects (interface spec, "IC method update_settings"). */
import assert from "node:assert/strict";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { managementCall, principal } from "../management.ts";
import { callOut, code, ic0, op, reply64 } from "../script.ts";
import type { World } from "../world.ts";
import { deleted } from "./management-shared.testkit.ts";

const MISSTATED = "that does not match the actual sender canister version";
const settings = section("Management: update_settings");

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
  await misconfigured(world, { controllers }, "number of elements exceeds maximum allowed 10", "IC0408");
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
    "number of elements exceeds maximum allowed 10",
    "IC0408",
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

settings("a canister's wrong sender_canister_version is rejected", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id] });
  const value = { canister_id: child.id, settings: {}, sender_canister_version: 66_666n };
  relayedReject(await parent.update(managementCall("update_settings", value)), 5, MISSTATED);
});

settings("what does not exist has none", async (world) => {
  const canister = await deleted(world);
  rejected(await world.manage("update_settings", { canister_id: canister.id, settings: {} }), {
    code: 3,
    error: "IC0301",
  });
});
