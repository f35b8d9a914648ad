/** Installing, upgrading, chunks, uninstalling, history, metadata, logs (interface spec, the management methods of these names). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hex, numberOf, textOf } from "../bytes.ts";
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
import { ANONYMOUS } from "../identity.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import { assemble, gzip, universalModule } from "../module.ts";
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
  times,
} from "../script.ts";
import { reached, type Universal, type World } from "../world.ts";

const T = 1_000_000_000_000n;
const install = section("Management: install_code");
const chunks = section("Management: chunk store");
const uninstall = section("Management: uninstall_code");
const info = section("Management: canister_info");
const metadata = section("Management: canister_metadata");
const logs = section("Management: fetch_canister_logs");
const upgrades = section("Abstract behaviour: upgrades");

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());
const INSTALL = { install: null };
const REINSTALL = { reinstall: null };
const UPGRADE = { upgrade: null };
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
install("a wrong sender_canister_version of a canister traps it", async (world) => {
  const [parent, child] = [await world.universal(), await world.fresh({ install: false })];
  await child.configure({ controllers: [parent.id] });
  const value = {
    mode: INSTALL,
    canister_id: child.id,
    wasm_module: universalModule(),
    arg: new Uint8Array(),
    sender_canister_version: 9_999n,
  };
  rejected(await parent.update(managementCall("install_code", value)), { code: 5, error: "IC0504" });
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

const upload = async (world: World, store: Universal, chunk: Uint8Array) =>
  decodeResult("upload_chunk", replied(await world.manage("upload_chunk", { canister_id: store.id, chunk })))
    .hash as Uint8Array;
const stored = async (world: World, store: Universal) =>
  (
    decodeResult(
      "stored_chunks",
      replied(await world.manage("stored_chunks", { canister_id: store.id })),
    ) as { hash: Uint8Array }[]
  ).map(({ hash }) => hex(new Uint8Array(hash)));

chunks("upload_chunk answers the SHA-256", async (world) => {
  const canister = await world.fresh({ install: false });
  const chunk = new Uint8Array(1_000).fill(3);
  assert.equal(hex(new Uint8Array(await upload(world, canister, chunk))), hex(sha256(chunk)));
});
chunks("stored_chunks lists what is there", async (world) => {
  const canister = await world.fresh({ install: false });
  const parts = [Uint8Array.of(1), Uint8Array.of(2)];
  for (const part of parts) await upload(world, canister, part);
  assert.deepEqual((await stored(world, canister)).sort(), parts.map((part) => hex(sha256(part))).sort());
});
chunks("the same chunk twice is there once", async (world) => {
  const canister = await world.fresh({ install: false });
  await upload(world, canister, Uint8Array.of(1));
  await upload(world, canister, Uint8Array.of(1));
  assert.equal((await stored(world, canister)).length, 1);
});
chunks("a chunk of a megabyte is taken", async (world) => {
  const canister = await world.fresh({ install: false });
  await upload(world, canister, new Uint8Array(1024 * 1024));
});
chunks("a chunk of a megabyte and a byte is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  const outcome = await world.manage("upload_chunk", {
    canister_id: canister.id,
    chunk: new Uint8Array(1024 * 1024 + 1),
  });
  rejected(outcome, { code: 5, error: "IC0504", text: "exceeds the maximum chunk size of 1048576" });
});
chunks("an empty chunk is taken", async (world) => {
  const canister = await world.fresh({ install: false });
  assert.equal(
    hex(new Uint8Array(await upload(world, canister, new Uint8Array()))),
    hex(sha256(new Uint8Array())),
  );
});
chunks("each chunk counts as a megabyte of memory", async (world) => {
  const canister = await world.fresh({ install: false });
  await upload(world, canister, Uint8Array.of(1));
  assert.equal((await canister.status()).memory_metrics.wasm_chunk_store_size, 1_048_576n);
});
chunks("clear_chunk_store empties it", async (world) => {
  const canister = await world.fresh({ install: false });
  await upload(world, canister, Uint8Array.of(1));
  replied(await world.manage("clear_chunk_store", { canister_id: canister.id }));
  assert.deepEqual(await stored(world, canister), []);
});
chunks("a stranger may not upload", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(
    await world.manage(
      "upload_chunk",
      { canister_id: canister.id, chunk: Uint8Array.of(1) },
      { as: world.stranger },
    ),
    { error: "IC0512" },
  );
});
chunks("a stranger may not list", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("stored_chunks", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});
chunks("a stranger may not clear", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await world.manage("clear_chunk_store", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});
chunks("a canister may use its own store", async (world) => {
  const canister = await world.fresh();
  relayedReply(
    await canister.update(
      managementCall("upload_chunk", { canister_id: canister.id, chunk: Uint8Array.of(1) }),
    ),
  );
  relayedReply(await canister.update(managementCall("stored_chunks", { canister_id: canister.id })));
  relayedReply(await canister.update(managementCall("clear_chunk_store", { canister_id: canister.id })));
});
chunks("another canister may not", async (world) => {
  const [a, b] = [await world.universal(), await world.fresh({ install: false })];
  relayedReject(
    await a.update(managementCall("upload_chunk", { canister_id: b.id, chunk: Uint8Array.of(1) })),
    5,
    "Only the controllers",
  );
});

async function chunked(
  world: World,
  target: Universal,
  options: {
    store?: Universal;
    module?: Uint8Array;
    mode?: unknown;
    hash?: Uint8Array;
    hashes?: readonly Uint8Array[];
  } = {},
) {
  const module = options.module ?? universalModule();
  const store = options.store ?? target;
  const parts = [module.slice(0, 3_000), module.slice(3_000)];
  if (options.hashes === undefined) for (const part of parts) await upload(world, store, part);
  return await world.manage(
    "install_chunked_code",
    {
      mode: options.mode ?? INSTALL,
      target_canister: target.id,
      ...(options.store === undefined ? {} : { store_canister: options.store.id }),
      chunk_hashes_list: (options.hashes ?? parts.map(sha256)).map((hash) => ({ hash })),
      wasm_module_hash: options.hash ?? sha256(module),
      arg: new Uint8Array(),
    },
    { near: target.id },
  );
}

chunks("install_chunked_code installs from the target's own store", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await chunked(world, canister));
  repliedText(await canister.query("in parts", reply), "in parts");
});
chunks("install_chunked_code installs from another store", async (world) => {
  const [target, store] = [await world.fresh({ install: false }), await world.fresh({ install: false })];
  replied(await chunked(world, target, { store }));
  repliedText(await target.query("from afar", reply), "from afar");
});
chunks("the module hash is that of the whole", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await chunked(world, canister));
  assert.equal(hex(new Uint8Array((await canister.status()).module_hash[0])), hex(sha256(universalModule())));
});
chunks("a gzip in parts is taken", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await chunked(world, canister, { module: gzip(universalModule()) }));
  repliedText(await canister.query("zipped", reply), "zipped");
});
chunks("install_chunked_code upgrades", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(9, set(1), ic0.msg_reply));
  replied(await chunked(world, canister, { mode: UPGRADE }));
  repliedNumber(await canister.query(get(1), reply64), 0);
});
chunks("a wrong module hash is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await chunked(world, canister, { hash: new Uint8Array(32) }), {
    code: 5,
    error: "IC0504",
    text: /Wasm chunk store|hash/,
  });
});
chunks("an unknown chunk is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await chunked(world, canister, { hashes: [new Uint8Array(32)] }), {
    code: 5,
    error: "IC0504",
    text: /not found|Chunk/i,
  });
});
chunks("a list without chunks is rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await chunked(world, canister, { hashes: [] }), { code: [4, 5] });
});
chunks("a store of another controller is refused", async (world) => {
  const [target, store] = [await world.fresh({ install: false }), await world.fresh({ install: false })];
  for (const part of [universalModule().slice(0, 3_000), universalModule().slice(3_000)])
    await upload(world, store, part);
  await store.configure({ controllers: [principal(world.stranger.sender)] });
  rejected(await chunked(world, target, { store, hashes: [sha256(universalModule().slice(0, 3_000))] }), {
    code: 5,
    error: "IC0512",
  });
});
chunks("a store that does not exist is refused", async (world) => {
  const [target, store] = [await world.fresh({ install: false }), await world.fresh({ install: false })];
  replied(await world.manage("stop_canister", { canister_id: store.id }));
  replied(await world.manage("delete_canister", { canister_id: store.id }));
  assert.notEqual((await chunked(world, target, { store, hashes: [new Uint8Array(32)] })).kind, "replied");
});
chunks("a stranger may not install from chunks", async (world) => {
  const canister = await world.fresh({ install: false });
  const value = {
    mode: INSTALL,
    target_canister: canister.id,
    chunk_hashes_list: [],
    wasm_module_hash: new Uint8Array(32),
    arg: new Uint8Array(),
  };
  rejected(await world.manage("install_chunked_code", value, { as: world.stranger, near: canister.id }), {
    error: "IC0512",
  });
});
chunks("the store survives an installation", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await chunked(world, canister));
  assert.equal((await stored(world, canister)).length, 2);
});

uninstall("an uninstalled canister is empty", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  assert.deepEqual((await canister.status()).module_hash, []);
  rejected(await canister.update(ic0.msg_reply), { error: "IC0537" });
});
uninstall("it keeps balance, controllers and settings", async (world) => {
  const canister = await world.fresh({ settings: { freezing_threshold: 77n } });
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  const told = await canister.status();
  assert.ok(told.settings.freezing_threshold === 77n && told.cycles > 90n * T);
  assert.deepEqual(told.settings.controllers.map(String), [principal(world.user.sender).toText()]);
});
uninstall("it loses heap and stable memory", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(9, set(1), 3, ic0.stable64_grow, op.drop, ic0.msg_reply));
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  replied(await canister.install(INSTALL));
  repliedNumbers(await canister.query(get(1), append64, ic0.stable64_size, append64, ic0.msg_reply), 0, 0);
});
uninstall("its memory is counted no more", async (world) => {
  const canister = await world.fresh();
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  const { memory_metrics } = await canister.status();
  assert.equal(
    memory_metrics.wasm_memory_size + memory_metrics.stable_memory_size + memory_metrics.wasm_binary_size,
    0n,
  );
});
uninstall("its version rises", async (world) => {
  const canister = await world.fresh();
  const before = (await canister.status()).version;
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  assert.equal((await canister.status()).version, before + 1n);
});
uninstall("an empty canister may be uninstalled", async (world) => {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
});
uninstall("a stranger may not", async (world) => {
  const canister = await world.fresh();
  rejected(await world.manage("uninstall_code", { canister_id: canister.id }, { as: world.stranger }), {
    error: "IC0512",
  });
});
uninstall("its log is gone", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update("old", ic0.debug_print, ic0.msg_reply));
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  assert.equal(await canister.log(), "");
});
uninstall("users' calls that wait are rejected", async (world) => {
  const [helper, canister] = [await world.universal(), await world.fresh()];
  const outcome = canister.update(1, set(1), callOut({ to: helper.bytes, arg: code(gate) }));
  await reached(canister, 1);
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  rejected(await outcome, { code: 4, text: /uninstalled/ });
  replied(await helper.update(openGate));
});
uninstall("cycles of calls that wait go back", async (world) => {
  const [from, helper, canister] = [await world.universal(), await world.universal(), await world.fresh()];
  const arg = code(1, set(1), callOut({ to: helper.bytes, arg: code(gate) }));
  const outcome = from.update(
    callOut({ to: canister.bytes, arg, cycles: 777n, onReject: [ic0.msg_cycles_refunded, reply64] }),
  );
  await reached(canister, 1);
  replied(await world.manage("uninstall_code", { canister_id: canister.id }));
  repliedNumber(await outcome, 777);
  replied(await helper.update(openGate));
});

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
    text: "fetch_canister_logs API is only accessible in non-replicated mode",
  });
});
logs("a canister's update call is rejected", async (world) => {
  const canister = await world.universal();
  relayedReject(
    await canister.update(managementCall("fetch_canister_logs", { canister_id: canister.id })),
    [4, 5],
    "only accessible in non-replicated mode",
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
logs("a failed installation's log is kept", async (world) => {
  const canister = await world.fresh({ install: false });
  rejected(await canister.install(INSTALL, { program: ["too bad", ic0.trap] }), { error: "IC0503" });
  assert.match(await canister.log(), /\[TRAP\]: too bad/);
});
logs("they survive an upgrade", async (world) => {
  const canister = await world.universal();
  replied(await canister.update("before", ic0.debug_print, ic0.msg_reply));
  replied(await canister.upgrade());
  assert.equal(await canister.log(), "before");
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
