/** History, metadata and logs (interface spec, "canister_info", "canister_metadata", "fetch_canister_logs"). */
import assert from "node:assert/strict";
import { hex, numberOf, textOf } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied } from "../checks.ts";
import { ANONYMOUS } from "../identity.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import { universalModule } from "../module.ts";
import { ic0, reply64, times } from "../script.ts";
import type { Universal, World } from "../world.ts";
import { INSTALL, REINSTALL, sha256 } from "./installation-shared.testkit.ts";

const info = section("Management: canister_info");

const metadata = section("Management: canister_metadata");

const logs = section("Management: fetch_canister_logs");

async function historyOf(world: World, canister: Universal, requested?: bigint) {
  const asker = await world.universal();
  const value = {
    canister_id: canister.id,
    ...(requested === undefined ? {} : { num_requested_changes: requested }),
  };
  return decodeResult(
    "canister_info",
    relayedReply(await asker.update(managementCall("canister_info", value))),
  );
}

info("it tells controllers and module hash", async (world) => {
  const canister = await world.fresh();
  const told = await historyOf(world, canister);
  assert.deepEqual(told.controllers.map(String), [principal(world.user.sender).toText()]);
  assert.equal(hex(new Uint8Array(told.module_hash[0])), hex(sha256(universalModule())));
});

info("no changes are told unless they are asked for", async (world) => {
  const told = await historyOf(world, await world.fresh());
  assert.equal(told.total_num_changes, 2n);
  assert.deepEqual(told.recent_changes, []);
});

info("creation by a user", async (world) => {
  const [first] = (await historyOf(world, await world.fresh({ install: false }), 5n)).recent_changes;
  assert.deepEqual(first.origin.from_user.user_id.toText(), principal(world.user.sender).toText());
  assert.deepEqual(first.details[0].creation.controllers.map(String), [
    principal(world.user.sender).toText(),
  ]);
});

info("installation, with the hash of the module", async (world) => {
  const change = (await historyOf(world, await world.fresh(), 5n)).recent_changes.at(-1);
  assert.deepEqual(Object.keys(change.details[0].code_deployment.mode), ["install"]);
  assert.equal(
    hex(new Uint8Array(change.details[0].code_deployment.module_hash)),
    hex(sha256(universalModule())),
  );
});

info("reinstallation and upgrade", async (world) => {
  const canister = await world.fresh();
  replied(await canister.install(REINSTALL));
  replied(await canister.upgrade());
  const modes = (await historyOf(world, canister, 2n)).recent_changes.map(
    (one: { details: { code_deployment: { mode: object } }[] }) =>
      Object.keys(one.details[0]?.code_deployment.mode ?? {})[0],
  );
  assert.deepEqual(modes, ["reinstall", "upgrade"]);
});

info("uninstallation", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  assert.ok("code_uninstall" in (await historyOf(world, canister, 1n)).recent_changes[0].details[0]);
});

info("a change of controllers", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ controllers: [principal(world.stranger.sender)] });
  const [last] = (await historyOf(world, canister, 1n)).recent_changes;
  assert.deepEqual(last.details[0].controllers_change.controllers.map(String), [
    principal(world.stranger.sender).toText(),
  ]);
});

info("a change of other settings is not told", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ freezing_threshold: 5n });
  assert.equal((await historyOf(world, canister)).total_num_changes, 1n);
});

info("a change by a canister tells it and its version", async (world) => {
  const [parent, child] = [await world.fresh(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  relayedReply(
    await parent.update(
      managementCall("uninstall_code", { canister_id: child.id, sender_canister_version: 1n }),
    ),
  );
  const value = {
    mode: INSTALL,
    canister_id: child.id,
    wasm_module: universalModule(),
    arg: new Uint8Array(),
  };
  relayedReply(await parent.update(managementCall("install_code", value)));
  const [last] = (await historyOf(world, child, 1n)).recent_changes;
  assert.equal(last.origin.from_canister.canister_id.toText(), parent.id.toText());
});

info("only as many changes as were asked for, the newest", async (world) => {
  const canister = await world.fresh();
  replied(await canister.upgrade());
  const told = await historyOf(world, canister, 1n);
  assert.equal(told.recent_changes.length, 1);
  assert.ok("upgrade" in told.recent_changes[0].details[0].code_deployment.mode);
});

info("at least twenty changes are kept", async (world) => {
  const canister = await world.fresh({ install: false });
  for (let i = 0; i < 22; i++) await canister.configure({ controllers: [principal(world.user.sender)] });
  const told = await historyOf(world, canister, 100n);
  assert.equal(told.total_num_changes, 23n);
  assert.ok(told.recent_changes.length >= 20);
});

info("any canister may ask", async (world) => {
  const canister = await world.fresh({ install: false });
  await canister.configure({ controllers: [] });
  assert.deepEqual((await historyOf(world, canister)).controllers, []);
});

info("users cannot, by an ingress message", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("canister_info", { canister_id: canister.id }), {
    code: 4,
    error: "IC0406",
    text: "Only canisters can call ic00 method canister_info",
  });
});

info("a canister that does not exist has no history", async (world) => {
  const asker = await world.universal();
  relayedReject(
    await asker.update(
      managementCall("canister_info", {
        canister_id: principal(Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9, 1, 1)),
      }),
    ),
    3,
  );
});

const SECTIONS = { "icp:public open": "for all", "icp:private closed": "for few" };

metadata("a canister reads a public section", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ sections: SECTIONS })];
  const outcome = await asker.update(
    managementCall("canister_metadata", { canister_id: canister.id, name: "open" }),
  );
  assert.equal(
    textOf(new Uint8Array(decodeResult("canister_metadata", relayedReply(outcome)).value)),
    "for all",
  );
});

metadata("a stranger's canister does not read a private section", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ sections: SECTIONS })];
  relayedReject(
    await asker.update(managementCall("canister_metadata", { canister_id: canister.id, name: "closed" })),
    [4, 5],
  );
});

metadata("a controller canister reads a private section", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ sections: SECTIONS })];
  await canister.configure({ controllers: [asker.id] });
  const outcome = await asker.update(
    managementCall("canister_metadata", { canister_id: canister.id, name: "closed" }),
  );
  assert.equal(
    textOf(new Uint8Array(decodeResult("canister_metadata", relayedReply(outcome)).value)),
    "for few",
  );
});

metadata("a section that does not exist is rejected", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ sections: SECTIONS })];
  relayedReject(
    await asker.update(managementCall("canister_metadata", { canister_id: canister.id, name: "nothing" })),
    [4, 5],
    /nothing|not found|no custom section/i,
  );
});

metadata("an empty canister has none", async (world) => {
  const [asker, canister] = [await world.universal(), await world.fresh({ install: false })];
  relayedReject(
    await asker.update(managementCall("canister_metadata", { canister_id: canister.id, name: "open" })),
    [4, 5],
  );
});

metadata("users cannot, by an ingress message", async (world) => {
  const canister = await world.fresh({ sections: SECTIONS });
  rejected(await world.manage("canister_metadata", { canister_id: canister.id, name: "open" }), {
    code: 4,
    error: "IC0406",
  });
});

const fetchLogs = async (world: World, canister: Universal, filter?: unknown) =>
  decodeResult(
    "fetch_canister_logs",
    replied(await world.manageQuery("fetch_canister_logs", { canister_id: canister.id, filter })),
  ).canister_log_records as { idx: bigint; timestamp_nanos: bigint; content: Uint8Array }[];

logs("a controller reads them by a query", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("one", ic0.debug_print, "two", ic0.debug_print, ic0.msg_reply));
  assert.equal(await canister.log(), "one\ntwo");
});

logs("indices count from zero and rise by one", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(times(3, ["x", ic0.debug_print]), ic0.msg_reply));
  assert.deepEqual(
    (await fetchLogs(world, canister)).map(({ idx }) => idx),
    [0n, 1n, 2n],
  );
});

logs("time stamps are the message's time", async (world) => {
  const canister = await world.universal();
  const now = numberOf(replied(await canister.update("x", ic0.debug_print, ic0.time, reply64)));
  assert.equal((await fetchLogs(world, canister))[0]?.timestamp_nanos, now);
});

logs("a stranger may not read them", async (world) => {
  const canister = await world.universal();
  rejected(
    await world.manageQuery("fetch_canister_logs", { canister_id: canister.id }, { as: world.stranger }),
    { code: 4, error: "IC0406", text: "not allowed to" },
  );
});

logs("anybody reads public logs", async (world) => {
  const canister = await world.fresh({ settings: { log_visibility: { public: null } } });
  replied(await world.manageQuery("fetch_canister_logs", { canister_id: canister.id }, { as: ANONYMOUS }));
});

logs("an allowed viewer reads them", async (world) => {
  const canister = await world.fresh({
    settings: { log_visibility: { allowed_viewers: [principal(world.stranger.sender)] } },
  });
  replied(
    await world.manageQuery("fetch_canister_logs", { canister_id: canister.id }, { as: world.stranger }),
  );
});

logs("somebody who is no allowed viewer does not", async (world) => {
  const canister = await world.fresh({
    settings: { log_visibility: { allowed_viewers: [principal(world.stranger.sender)] } },
  });
  rejected(await world.manageQuery("fetch_canister_logs", { canister_id: canister.id }, { as: ANONYMOUS }), {
    error: "IC0406",
  });
});

logs("an update call is rejected", async (world) => {
  const canister = await world.universal();
  rejected(await world.manage("fetch_canister_logs", { canister_id: canister.id }), {
    code: 4,
    error: "IC0406",
    text: "fetch_canister_logs API is ",
  });
});

logs("a canister reads public logs by a call", async (world) => {
  const canister = await world.fresh({ settings: { log_visibility: { public: null } } });
  relayedReply(await canister.update(managementCall("fetch_canister_logs", { canister_id: canister.id })));
});

logs("a canister that may not see them is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(managementCall("fetch_canister_logs", { canister_id: canister.id })),
    [4, 5],
    "is not allowed to access canister logs",
  );
});

logs("a filter by index", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(times(5, ["x", ic0.debug_print]), ic0.msg_reply));
  assert.deepEqual(
    (await fetchLogs(world, canister, { by_idx: { start: 1n, end: 3n } })).map(({ idx }) => idx),
    [1n, 2n],
  );
});

logs("a filter by time", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update("early", ic0.debug_print, ic0.msg_reply));
  const now = numberOf(replied(await canister.update("late", ic0.debug_print, ic0.time, reply64)));
  const records = await fetchLogs(world, canister, { by_timestamp_nanos: { start: now, end: now + 1n } });
  assert.deepEqual(
    records.map(({ content }) => textOf(new Uint8Array(content))),
    ["late"],
  );
});

logs("canister_init may log", async (world) => {
  const canister = await world.fresh({ init: ["from init", ic0.debug_print] });
  assert.equal(await canister.log(), "from init");
});

logs("a failed installation's log is kept until one succeeds", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install(INSTALL, { program: ["too bad", ic0.trap] }), { error: "IC0503" });
  assert.match(await canister.log(), /\[TRAP\]: too bad/);
  replied(await canister.install(INSTALL));
  assert.equal(await canister.log(), "");
});

logs("they survive an upgrade", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("before", ic0.debug_print, ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await canister.log(), "before");
});
