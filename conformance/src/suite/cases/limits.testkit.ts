/** Both sides of limits (resource limits of the developer documentation, the replica's constants): the last that is taken, the first that is not. */
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import { hex } from "../bytes.ts";
import { section } from "../case.ts";
import { refused, rejected, replied } from "../checks.ts";
import { ed25519 } from "../identity.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import { code, ic0, join, op, reply64 } from "../script.ts";
import type { Request } from "../wire.ts";
import { Universal, type World } from "../world.ts";

const call = section("Request: Call");
const http = section("HTTPS interface");
const chunks = section("Management: chunk store");
const settings = section("Management: update_settings");
const create = section("Management: create_canister");
const info = section("Management: canister_info");
const logs = section("Management: fetch_canister_logs");
const metrics = section("Management: subnet and node information", ["time control", "subnet information"]);

const MIB = 1_048_576;

/** A call whose envelope has so many bytes; the method replies with its argument's length. */
function sized(world: World, canister: Universal, bytes: number): Request {
  const program = code(ic0.msg_arg_data_size, reply64, op.stop);
  const of = (padding: number): Request =>
    world.sign("call", {
      canister_id: canister.bytes,
      method_name: "update",
      arg: join([program, new Uint8Array(padding)]),
    });
  const around = of(100_000).body.length - 100_000;
  const request = of(bytes - around);
  assert.equal(request.body.length, bytes);
  return request;
}

async function takesUpTo(world: World, canister: Universal, max: number): Promise<void> {
  const send = (request: Request) => world.wire.call(canister.destination, request, { identity: world.user });
  assert.equal((await send(sized(world, canister, max))).kind, "replied");
  const over = sized(world, canister, max + 1);
  const sizes = `Message byte size ${max + 1} is larger than the max allowed ${max}.`;
  refused(await send(over), 413, `Request ${hex(over.id)} is too large. ${sizes}`);
}

call("a message of exactly 2 MiB is taken, of a byte more 413", async (world) => {
  await takesUpTo(world, await world.universal(), 2 * MIB);
});

call.needing("several subnets")(
  "on a system subnet a message of 3.5 MiB is taken, of a byte more 413",
  async (world) => {
    const { root } = world.target;
    const range = root.ranges.at(-1);
    assert.ok(root.type === "system" && range !== undefined);
    const near = Principal.fromUint8Array(range.start);
    const created = await world.manage("provisional_create_canister_with_cycles", {}, { near });
    const canister = new Universal(world, decodeResult("create_canister", replied(created)).canister_id);
    replied(await canister.install({ install: null }));
    await takesUpTo(world, canister, 3.5 * MIB);
  },
);

http("a body of exactly 5 MiB is read, of a byte more it is not", async (world) => {
  const canister = await world.shared();
  const post = (bytes: number) =>
    world.wire.post(`/api/v4/${canister.destination}/call`, new Uint8Array(bytes)).catch(() => null);
  assert.equal((await post(5 * MIB))?.status, 400);
  // A client that is still sending when the connection is closed may not see the answer.
  assert.ok([null, 413].includes((await post(5 * MIB + 1))?.status ?? null));
});

chunks("a hundred chunks are kept, one more is rejected until the store is emptied", async (world) => {
  const canister = await world.fresh({ cycles: 1_000_000_000_000_000n });
  const upload = (i: number) =>
    world.manage("upload_chunk", { canister_id: canister.id, chunk: Uint8Array.of(i) });
  await Promise.all(Array.from({ length: 100 }, async (_, i) => replied(await upload(i))));
  const text = "Wasm chunk store has already reached maximum capacity of 104857600 bytes";
  rejected(await upload(100), { code: 5, error: "IC0504", text });
  // What is there already takes no place.
  replied(await upload(7));
  const listed = await world.manage("stored_chunks", { canister_id: canister.id });
  assert.equal(decodeResult("stored_chunks", replied(listed)).length, 100);
  replied(await world.manage("clear_chunk_store", { canister_id: canister.id }));
  replied(await upload(100));
});

settings("log_memory_limit of 4,096 and of 2 MiB are taken, of a byte more rejected", async (world) => {
  const canister = await world.fresh({ install: false });
  for (const limit of [4_096n, 2_097_152n]) {
    await canister.configure({ log_memory_limit: limit });
    assert.deepEqual((await canister.status()).settings.log_memory_limit, [limit]);
  }
  const over = { canister_id: canister.id, settings: { log_memory_limit: 2_097_153n } };
  rejected(await world.manage("update_settings", over), {
    code: 4,
    error: "IC0406",
    text: "log memory limit",
  });
});

settings("freezing_threshold of 2^64 - 1 is taken where the balance lasts for it", async (world) => {
  const [frozen, free] = await Promise.all([
    world.fresh({ install: false }),
    world.fresh({ install: false, cycles: 10n ** 33n }),
  ]);
  const threshold = (1n << 64n) - 1n;
  for (const canister of [frozen, free]) await canister.configure({ freezing_threshold: threshold });
  replied(await free.install({ install: null }));
  rejected(await frozen.install({ install: null }), { error: "IC0207" });
});

settings("ten controllers and ten viewers of each kind at once are taken", async (world) => {
  const ten = [world.user, ...Array.from({ length: 9 }, () => ed25519())].map(({ sender }) =>
    principal(sender),
  );
  const canister = await world.fresh({ install: false });
  await canister.configure({
    controllers: ten,
    log_visibility: { allowed_viewers: ten },
    snapshot_visibility: { allowed_viewers: ten },
    status_visibility: { allowed_viewers: ten },
  });
  const { settings: told } = await canister.status();
  assert.equal(told.controllers.length, 10);
  const [snapshots, status] = [told.snapshot_visibility[0], told.status_visibility[0]];
  for (const visibility of [told.log_visibility, snapshots, status])
    assert.equal(visibility?.allowed_viewers?.length, 10);
});

create("ten controllers are taken", async (world) => {
  const parent = await world.fresh({ cycles: 50_000_000_000_000n });
  const controllers = [parent.id, ...Array.from({ length: 9 }, (_, i) => principal(Uint8Array.of(i, 1)))];
  const created = managementCall(
    "create_canister",
    { settings: { controllers } },
    { cycles: 2_000_000_000_000n },
  );
  const relayed = replied(await parent.update(created));
  assert.equal(relayed[0], 1);
});

info("twenty changes are kept of more", async (world) => {
  const canister = await world.fresh({ install: false });
  const mine = principal(world.user.sender);
  for (let i = 0; i < 22; i++)
    await canister.configure({ controllers: [mine, principal(Uint8Array.of(i, 1))] });
  const helper = await world.shared();
  const asked = { canister_id: canister.id, num_requested_changes: 100n };
  const relayed = replied(await helper.update(managementCall("canister_info", asked)));
  const { total_num_changes: total, recent_changes: recent } = decodeResult(
    "canister_info",
    relayed.slice(1),
  );
  assert.deepEqual([total, recent.length, recent[0].canister_version], [23n, 20, 3n]);
});

logs("records of 4 KiB together are kept, older ones make room", async (world) => {
  const canister = await world.fresh();
  for (let i = 0; i < 9; i++)
    replied(await canister.update(`${i}`.repeat(1_000), ic0.debug_print, ic0.msg_reply));
  const lines = (await canister.log()).split("\n");
  assert.ok(lines.length === 3 || lines.length === 4, `${lines.length} records`);
  assert.deepEqual(
    lines.map((line) => line[0]),
    ["5", "6", "7", "8"].slice(-lines.length),
  );
});

metrics("node_metrics_history keeps sixty days", async (world) => {
  const canister = await world.universal();
  for (let day = 0; day < 64; day++) await world.advance(86_400_000_000_000n);
  const value = { subnet_id: world.target.home.id, start_at_timestamp_nanos: 0n };
  const relayed = replied(await canister.update(managementCall("node_metrics_history", value)));
  assert.equal(decodeResult("node_metrics_history", relayed.slice(1)).length, 60);
});
