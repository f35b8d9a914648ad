/** The chunk store, uninstallation (interface spec, the management methods of these names). */
import assert from "node:assert/strict";
import { hex } from "../bytes.ts";
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
import { decodeResult, managementCall, principal } from "../management.ts";
import { gzip, universalModule } from "../module.ts";
import { append64, callOut, code, gate, get, ic0, op, openGate, reply, reply64, set } from "../script.ts";
import { reached, type Universal, type World } from "../world.ts";
import { INSTALL, sha256, T, UPGRADE } from "./installation-shared.testkit.ts";

const chunks = section("Management: chunk store");

const uninstall = section("Management: uninstall_code");

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
