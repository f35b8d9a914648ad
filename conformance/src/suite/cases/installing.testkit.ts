/** Installation and upgrades (interface spec, "IC method install_code", "Abstract behaviour"). */
import assert from "node:assert/strict";
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
import { managementCall, principal } from "../management.ts";
import { assemble, universalModule } from "../module.ts";
import {
  append64,
  BIG,
  callOut,
  code,
  gate,
  get,
  ic0,
  op,
  openGate,
  reply,
  reply64,
  replyLog,
  set,
  setHook,
} from "../script.ts";
import { reached } from "../world.ts";
import { INSTALL, REINSTALL, T, UPGRADE } from "./installation-shared.testkit.ts";

const MISSTATED = "that does not match the actual sender canister version";
const install = section("Management: install_code");

const upgrades = section("Abstract behaviour: upgrades");

const EOP = { "icp:private enhanced-orthogonal-persistence": "" };

const persistence = (kind: "keep" | "replace") => ({
  upgrade: { wasm_memory_persistence: { [kind]: null } },
});

install("install into an empty canister", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await canister.install(INSTALL));
  repliedText(await canister.query("here", reply), "here");
});

install("install into a canister with code is rejected", async (world) => {
  const canister = await world.fresh();
  rejected(await canister.install(INSTALL), {
    code: 5,
    error: "IC0514",
    text: "cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead.",
  });
});

install("reinstall into an empty canister", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await canister.install(REINSTALL));
  repliedText(await canister.query("here", reply), "here");
});

install("reinstall wipes the heap", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(9, set(1), 10, op.global_set, ic0.msg_reply));
  replied(await canister.install(REINSTALL));
  repliedNumbers(await canister.query(get(1), append64, op.global_get, append64, ic0.msg_reply), 0, 0);
});

install("reinstall keeps balance, settings and id", async (world) => {
  const canister = await world.fresh({ settings: { freezing_threshold: 77n } });
  replied(await canister.install(REINSTALL));
  const told = await canister.status();
  assert.ok(told.settings.freezing_threshold === 77n && told.cycles > 90n * T);
});

install("reinstall clears the log", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update("old", ic0.debug_print, ic0.msg_reply));
  replied(await canister.install(REINSTALL));
  assert.equal(await canister.log(), "");
});

install("upgrade of an empty canister is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install(UPGRADE), { code: 5, error: "IC0537" });
});

install("upgrade wipes the heap", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(9, set(1), ic0.msg_reply));
  replied(await canister.upgrade());
  repliedNumber(await canister.query(get(1), reply64), 0);
});

install("a trap in canister_init leaves the canister empty", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install(INSTALL, { program: [op.unreachable] }), {
    code: 5,
    error: "IC0502",
    from: "state",
  });
  assert.deepEqual((await canister.status()).module_hash, []);
});

install("ic0.trap in canister_init is told", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install(INSTALL, { program: ["not today", ic0.trap] }), {
    code: 5,
    error: "IC0503",
    text: "not today",
  });
});

install("a trap in canister_init of a reinstallation keeps code and state", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(9, set(1), 1, ic0.stable64_grow, op.drop, ic0.msg_reply));
  rejected(await canister.install(REINSTALL, { program: [op.unreachable] }), { error: "IC0502" });
  repliedNumbers(await canister.query(get(1), append64, ic0.stable64_size, append64, ic0.msg_reply), 9, 1);
});

install("a trap in canister_post_upgrade keeps code and state", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(9, set(1), ic0.msg_reply));
  rejected(await canister.install(UPGRADE, { width: 64, program: [op.unreachable] }), { error: "IC0502" });
  repliedNumber(await canister.query(get(1), reply64), 9);
});

install("a trap in canister_pre_upgrade keeps code and state", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(9, set(1), setHook("pre_upgrade", op.unreachable), ic0.msg_reply));
  rejected(await canister.upgrade(), { error: "IC0502" });
  repliedNumber(await canister.query(get(1), reply64), 9);
});

install("skip_pre_upgrade skips it", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", op.unreachable), ic0.msg_reply));
  replied(await canister.install({ upgrade: { skip_pre_upgrade: true } }));
});

install("skip_pre_upgrade of false does not", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", op.unreachable), ic0.msg_reply));
  rejected(await canister.install({ upgrade: { skip_pre_upgrade: false } }), { error: "IC0502" });
});

install("a stranger may not", async (world) => {
  const canister = await world.fresh();
  const value = {
    mode: REINSTALL,
    canister_id: canister.id,
    wasm_module: universalModule(),
    arg: new Uint8Array(),
  };
  rejected(await world.manage("install_code", value, { as: world.stranger }), {
    code: 5,
    error: "IC0512",
    from: "submission",
  });
});

install("a canister installs into another that it controls", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  const value = {
    mode: INSTALL,
    canister_id: child.id,
    wasm_module: universalModule(),
    arg: code("by a canister", op.log_blob),
  };
  relayedReply(await parent.update(managementCall("install_code", value)));
  repliedText(await child.query(replyLog), "by a canister");
});

install("a canister's reject tells the error code", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
  const value = {
    mode: INSTALL,
    canister_id: child.id,
    wasm_module: new Uint8Array(3),
    arg: new Uint8Array(),
  };
  relayedReject(
    await parent.update(managementCall("install_code", value)),
    5,
    /Canister's Wasm module is not valid/,
  );
});

install("an installation costs cycles", async (world) => {
  const canister = await world.fresh({ install: false });
  const before = (await canister.status()).cycles;
  replied(await canister.install(INSTALL));
  assert.ok(before - (await canister.status()).cycles > 1_000_000n);
});

install("a failed installation costs cycles too", async (world) => {
  const canister = await world.fresh({ install: false });
  const before = (await canister.status()).cycles;
  rejected(await canister.install(INSTALL, { program: [1_000_000, op.spin, op.unreachable] }), {
    error: "IC0502",
  });
  assert.ok(before - (await canister.status()).cycles > 6_000_000n);
});

install("a canister without cycles cannot be installed", async (world) => {
  const canister = await world.fresh({
    install: false,
    cycles: 100_000_000n,
    settings: { freezing_threshold: 0n },
  });
  rejected(await canister.install(INSTALL), { code: 2, error: "IC0207", text: "out of cycles" });
});

install("an installation that would freeze the canister is rejected", async (world) => {
  const canister = await world.fresh({ install: false, cycles: 5n * T });
  const outcome = await canister.install(INSTALL, {
    program: [500_000, ic0.stable64_grow, op.drop],
  });
  rejected(outcome, { code: [2, 5], text: /insufficient cycles|out of cycles/ });
  assert.deepEqual((await canister.status()).module_hash, []);
});

install("a canister's wrong sender_canister_version is rejected", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id] });
  const wasm_module = universalModule();
  const value = {
    mode: INSTALL,
    canister_id: child.id,
    wasm_module,
    arg: new Uint8Array(),
    sender_canister_version: 9_999n,
  };
  relayedReject(await parent.update(managementCall("install_code", value)), 5, MISSTATED);
});

install("an argument that is no Candid is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage("install_code", undefined, {
    near: canister.id,
    arg: Uint8Array.of(1, 2),
  });
  assert.notEqual(outcome.kind, "replied");
});

install("messages to the canister wait until it is installed", async (world) => {
  const canister = await world.universal();
  const [upgraded, answered] = await Promise.all([
    canister.upgrade(1_000_000, op.spin),
    canister.update("still", reply),
  ]);
  replied(upgraded);
  repliedText(answered, "still");
});

upgrades("canister_pre_upgrade, then the start function, then canister_post_upgrade", async (world) => {
  const canister = await world.universal();
  const add = (text: string) => [
    BIG,
    0,
    8,
    ic0.stable64_read,
    BIG,
    op.load64,
    text,
    ic0.stable64_write,
    0,
    BIG,
    BIG,
    BIG,
    op.load64,
    text.length,
    op.add,
    op.store64,
    8,
    ic0.stable64_write,
  ];
  replied(
    await canister.update(
      1,
      ic0.stable64_grow,
      op.drop,
      BIG,
      8,
      op.store64,
      0,
      BIG,
      8,
      ic0.stable64_write,
      setHook("pre_upgrade", add("pre,")),
      ic0.msg_reply,
    ),
  );
  replied(await canister.install(UPGRADE, { start: code(add("start,")), program: [add("post")] }));
  repliedText(await canister.query(BIG, 8, 14, ic0.stable64_read, BIG, 14, reply), "pre,start,post");
});

upgrades("from 32 to 64 bits", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(1, ic0.stable64_grow, op.drop, 0, "kept", ic0.stable64_write, ic0.msg_reply));
  replied(await canister.install(UPGRADE, { width: 64 }));
  repliedText(await canister.query(BIG, 0, 4, ic0.stable64_read, BIG, 4, reply), "kept");
});

upgrades("from 64 to 32 bits", async (world) => {
  const canister = await world.universal({ width: 64 });
  replied(await canister.install(UPGRADE));
  repliedText(await canister.query("back", reply), "back");
});

upgrades("keep keeps the heap", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.update(9, set(1), ic0.msg_reply));
  replied(await canister.install(persistence("keep"), { sections: EOP }));
  repliedNumber(await canister.query(get(1), reply64), 9);
});

upgrades("keep does not keep globals", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.update(9, op.global_set, ic0.msg_reply));
  replied(await canister.install(persistence("keep"), { sections: EOP }));
  repliedNumber(await canister.query(op.global_get, reply64), 0);
});

upgrades("keep keeps a heap that has grown", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.update(5, op.memory_grow, op.drop, 12 * 65_536, 0x2a, op.store64, ic0.msg_reply));
  replied(await canister.install(persistence("keep"), { sections: EOP }));
  repliedNumbers(
    await canister.query(op.memory_size, append64, 12 * 65_536, op.load64, append64, ic0.msg_reply),
    13,
    0x2a,
  );
});

upgrades("keep does not write the new module's data again", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.update(0x6000, 0, 16, op.memory_fill, ic0.msg_reply));
  replied(await canister.install(persistence("keep"), { sections: EOP }));
  repliedNumber(await canister.query(0x6000, op.load64, reply64), 0);
});

upgrades("replace wipes the heap", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.update(9, set(1), ic0.msg_reply));
  replied(await canister.install(persistence("replace"), { sections: EOP }));
  repliedNumber(await canister.query(get(1), reply64), 0);
});

upgrades("a module with enhanced persistence needs the option", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  rejected(await canister.install(UPGRADE, { sections: EOP }), {
    code: 5,
    error: "IC0504",
    text: "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option.",
  });
});

upgrades("keep needs a new module with enhanced persistence", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  rejected(await canister.install(persistence("keep")), {
    code: 5,
    error: "IC0504",
    text: "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister module supports enhanced orthogonal persistence.",
  });
});

upgrades("replace takes a new module without enhanced persistence", async (world) => {
  const canister = await world.fresh({ sections: EOP });
  replied(await canister.install(persistence("replace")));
});

upgrades("a module without enhanced persistence needs no option", async (world) => {
  replied(await (await world.universal()).upgrade());
});

upgrades("a failed upgrade keeps the certified data and the timer", async (world) => {
  const canister = await world.universal();
  const far = BigInt(Date.now() + 3_600_000) * 1_000_000n;
  replied(await canister.update(far, ic0.global_timer_set, op.drop, ic0.msg_reply));
  rejected(await canister.upgrade(0, ic0.global_timer_set, op.drop, op.unreachable), { error: "IC0502" });
  repliedNumber(await canister.update(0, ic0.global_timer_set, reply64), far);
});

upgrades("what canister_pre_upgrade writes to the heap is gone", async (world) => {
  const canister = await world.universal();
  replied(await canister.update(setHook("pre_upgrade", 9, set(1)), ic0.msg_reply));
  replied(await canister.upgrade());
  repliedNumber(await canister.query(get(1), reply64), 0);
});

upgrades("calls in flight are answered by the new code", async (world) => {
  const [helper, canister] = [await world.universal(), await world.universal()];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: ["old program", reply] }),
  );
  await reached(canister, 1);
  // The callback's environment points into the old heap: the new code finds no program there.
  replied(await canister.upgrade());
  replied(await helper.update(openGate));
  assert.equal((await outcome).kind, "rejected");
});

upgrades("calls in flight survive with keep", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh({ sections: EOP })];
  const outcome = canister.update(
    1,
    set(1),
    callOut({ to: helper.bytes, arg: code(gate), onReply: ["kept program", reply] }),
  );
  await reached(canister, 1);
  replied(await canister.install(persistence("keep"), { sections: EOP }));
  replied(await helper.update(openGate));
  repliedText(await outcome, "kept program");
});

install("a module without exports installs and answers nothing", async (world) => {
  const canister = await world.universal();
  const value = {
    mode: REINSTALL,
    canister_id: canister.id,
    wasm_module: await assemble("(module)"),
    arg: new Uint8Array(),
  };
  replied(await world.manage("install_code", value));
  rejected(await canister.update(ic0.msg_reply), { error: "IC0536" });
});
