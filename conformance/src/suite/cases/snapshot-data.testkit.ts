/** Down- and upload of snapshots (interface spec, the methods `read_canister_snapshot_…` and `upload_canister_snapshot_…`), and what all snapshot methods refuse. */
import assert from "node:assert/strict";
import { hex, join, utf8 } from "../bytes.ts";
import { section } from "../case.ts";
import { rejected, relayedReject, relayedReply, replied, repliedNumber, repliedText } from "../checks.ts";
import type { Identity } from "../identity.ts";
import { decodeResult, managementCall, principal } from "../management.ts";
import { universalModule } from "../module.ts";
import { BIG, copied, get, ic0, op, reply, reply64, set, setHook } from "../script.ts";
import { type Outcome, valueAt } from "../wire.ts";
import { pair, type Universal, type World } from "../world.ts";
import { sha256 } from "./installation-shared.testkit.ts";

const snapshots = section("Management: snapshots", ["snapshots"]);

const MIB = 1_048_576;
const SLICE_MAX = 2_000_000;
const PAGE = 65_536n;

type Bytes = Uint8Array;
interface Metadata {
  readonly source: object;
  readonly taken_at_timestamp: bigint;
  readonly wasm_module_size: bigint;
  readonly globals: readonly object[];
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly wasm_chunk_store: readonly { readonly hash: Bytes }[];
  readonly canister_version: bigint;
  readonly certified_data: Bytes;
  readonly global_timer: readonly object[];
  readonly on_low_wasm_memory_hook_status: readonly object[];
}

const ask = (
  canister: Universal,
  method: string,
  value: object = {},
  as: Identity = canister.world.user,
): Promise<Outcome> => canister.world.manage(method, { canister_id: canister.id, ...value }, { as });
// biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
const told = async (canister: Universal, method: string, value: object = {}): Promise<any> =>
  decodeResult(method, replied(await ask(canister, method, value)));

const take = async (canister: Universal): Promise<Bytes> =>
  new Uint8Array((await told(canister, "take_canister_snapshot")).id);
const metadataOf = (canister: Universal, snapshot_id: Bytes): Promise<Metadata> =>
  told(canister, "read_canister_snapshot_metadata", { snapshot_id });
const read = (canister: Universal, snapshot_id: Bytes, kind: object): Promise<Outcome> =>
  ask(canister, "read_canister_snapshot_data", { snapshot_id, kind });
const chunkOf = (outcome: Outcome): Bytes =>
  new Uint8Array(decodeResult("read_canister_snapshot_data", replied(outcome)).chunk);

const PARTS = ["wasm_module", "wasm_memory", "stable_memory"] as const;
type Part = (typeof PARTS)[number];
const sizeOf = (metadata: Metadata, part: Part): number => Number(metadata[`${part}_size`]);
/** A whole part in slices of the longest length. */
async function download(canister: Universal, id: Bytes, part: Part, length: number): Promise<Bytes> {
  const slices: Bytes[] = [];
  for (let offset = 0; offset < length; offset += SLICE_MAX) {
    const size = BigInt(Math.min(SLICE_MAX, length - offset));
    slices.push(chunkOf(await read(canister, id, { [part]: { offset: BigInt(offset), size } })));
  }
  return join(slices);
}
/** The first of an optional field, as an argument has it. */
const plain = (option: readonly object[]): object | undefined => option[0];
const uploadable = (metadata: Metadata): object => ({
  ...metadata,
  global_timer: plain(metadata.global_timer),
  on_low_wasm_memory_hook_status: plain(metadata.on_low_wasm_memory_hook_status),
});
/** Metadata of an upload that holds nothing but a module. */
const SMALL = {
  wasm_module_size: 8n,
  globals: [],
  wasm_memory_size: 0n,
  stable_memory_size: 0n,
  certified_data: new Uint8Array(),
};
const announce = async (canister: Universal, metadata: object = SMALL): Promise<Bytes> =>
  new Uint8Array((await told(canister, "upload_canister_snapshot_metadata", metadata)).snapshot_id);
const upload = (canister: Universal, snapshot_id: Bytes, kind: object, chunk: Bytes): Promise<Outcome> =>
  ask(canister, "upload_canister_snapshot_data", { snapshot_id, kind, chunk });
const load = (canister: Universal, snapshot_id: Bytes): Promise<Outcome> =>
  ask(canister, "load_canister_snapshot", { snapshot_id });

/** A canister with something in every part. */
async function filled(world: World): Promise<Universal> {
  const canister = await world.fresh();
  replied(
    await canister.update(
      [5, set(1), 6, op.global_set, "certified", ic0.certified_data_set],
      [2, ic0.stable64_grow, op.drop, 65_530, "across pages", ic0.stable64_write, ic0.msg_reply],
    ),
  );
  return canister;
}

snapshots("metadata tells the sizes of all parts, version, certified data and source", async (world) => {
  const canister = await filled(world);
  const id = await take(canister);
  const { version } = await canister.status();
  const metadata = await metadataOf(canister, id);
  assert.deepEqual(
    [metadata.wasm_module_size, metadata.wasm_memory_size, metadata.stable_memory_size],
    [BigInt(universalModule().length), 8n * PAGE, 2n * PAGE],
  );
  assert.ok("taken_from_canister" in metadata.source);
  assert.deepEqual([metadata.canister_version, metadata.wasm_chunk_store.length], [version, 0]);
  assert.equal(hex(new Uint8Array(metadata.certified_data)), hex(utf8("certified")));
  assert.ok(metadata.globals.some((global) => "i64" in global && global.i64 === 6n));
});
snapshots("metadata tells a timer that is set", async (world) => {
  const canister = await world.fresh();
  const far = BigInt(Date.now() + 3_600_000) * 1_000_000n;
  replied(await canister.update(far, ic0.global_timer_set, op.drop, ic0.msg_reply));
  const { global_timer } = await metadataOf(canister, await take(canister));
  assert.deepEqual(global_timer, [{ active: far }]);
});
snapshots("the module reads back as it was installed", async (world) => {
  const canister = await world.fresh();
  const id = await take(canister);
  const module = universalModule();
  assert.equal(hex(sha256(await download(canister, id, "wasm_module", module.length))), hex(sha256(module)));
});
snapshots("a slice is the bytes from its offset", async (world) => {
  const canister = await filled(world);
  const id = await take(canister);
  const slice = await read(canister, id, { stable_memory: { offset: 65_530n, size: 12n } });
  assert.equal(hex(chunkOf(slice)), hex(utf8("across pages")));
});
snapshots("a snapshot reads as it was taken, whatever came after", async (world) => {
  const canister = await filled(world);
  const id = await take(canister);
  replied(
    await canister.update(
      0,
      "now",
      ic0.stable64_write,
      65_530,
      "overwritten!",
      ic0.stable64_write,
      ic0.msg_reply,
    ),
  );
  const slice = await read(canister, id, { stable_memory: { offset: 65_530n, size: 12n } });
  assert.equal(hex(chunkOf(slice)), hex(utf8("across pages")));
});
snapshots.each("an empty slice at the end of a part is nothing", PARTS, async (world, part) => {
  const canister = await filled(world);
  const id = await take(canister);
  const offset = BigInt(sizeOf(await metadataOf(canister, id), part));
  assert.equal(chunkOf(await read(canister, id, { [part]: { offset, size: 0n } })).length, 0);
});
snapshots.each("a slice that ends behind its part is rejected", PARTS, async (world, part) => {
  const canister = await filled(world);
  const id = await take(canister);
  const end = BigInt(sizeOf(await metadataOf(canister, id), part));
  for (const [offset, size] of [
    [end, 1n],
    [end - 1n, 2n],
    [(1n << 64n) - 1n, 1n],
  ]) {
    const outcome = await read(canister, id, { [part]: { offset, size } });
    rejected(outcome, { code: 4, error: "IC0408", text: `offset: ${offset}, size: ${size}` });
  }
});
snapshots("a slice of two million bytes is given, of one more rejected", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(64, ic0.stable64_grow, op.drop, ic0.msg_reply));
  const id = await take(canister);
  const most = await read(canister, id, { stable_memory: { offset: 0n, size: BigInt(SLICE_MAX) } });
  assert.equal(chunkOf(most).length, SLICE_MAX);
  rejected(await read(canister, id, { stable_memory: { offset: 0n, size: BigInt(SLICE_MAX + 1) } }), {
    code: 4,
    error: "IC0408",
    text: "Requested slice too large: 2000001 > 2000000",
  });
});
snapshots("chunks of the store are listed and read by their hashes", async (world) => {
  const canister = await world.fresh();
  const chunk = utf8("a chunk");
  replied(await ask(canister, "upload_chunk", { chunk }));
  const id = await take(canister);
  replied(await ask(canister, "clear_chunk_store"));
  const { wasm_chunk_store } = await metadataOf(canister, id);
  assert.deepEqual(
    wasm_chunk_store.map(({ hash }) => hex(new Uint8Array(hash))),
    [hex(sha256(chunk))],
  );
  assert.equal(hex(chunkOf(await read(canister, id, { wasm_chunk: { hash: sha256(chunk) } }))), hex(chunk));
});
snapshots("a chunk that the snapshot does not have is rejected", async (world) => {
  const canister = await world.fresh();
  const id = await take(canister);
  rejected(await read(canister, id, { wasm_chunk: { hash: sha256(utf8("no")) } }), {
    code: [3, 4, 5],
    text: "not found",
  });
});

snapshots("what was downloaded and uploaded to another canister is the canister again", async (world) => {
  const [from, to] = [await filled(world), await world.fresh({ install: false })];
  const id = await take(from);
  const metadata = await metadataOf(from, id);
  const copy = await announce(to, uploadable(metadata));
  for (const part of PARTS) {
    const bytes = await download(from, id, part, sizeOf(metadata, part));
    for (let at = 0; at < bytes.length; at += MIB)
      replied(await upload(to, copy, { [part]: { offset: BigInt(at) } }, bytes.slice(at, at + MIB)));
  }
  replied(await load(to, copy));
  repliedNumber(await to.query(get(1), reply64), 5);
  repliedNumber(await to.query(op.global_get, reply64), 6);
  repliedText(await to.query(BIG, 65_530, 12, ic0.stable64_read, BIG, 12, reply), "across pages");
  const certificate = await world.wire.verify(
    replied(await to.query(copied("data_certificate"), reply)),
    to.destination,
  );
  assert.equal(
    hex(valueAt(certificate, "canister", to.bytes, "certified_data") ?? new Uint8Array()),
    hex(utf8("certified")),
  );
  assert.equal(hex(new Uint8Array((await to.status()).module_hash[0])), hex(sha256(universalModule())));
});
snapshots("an upload that was loaded is in the history with its source", async (world) => {
  const [from, to] = [await world.fresh(), await world.fresh({ install: false })];
  const id = await take(from);
  const metadata = await metadataOf(from, id);
  const copy = await announce(to, uploadable(metadata));
  for (const part of PARTS) {
    const bytes = await download(from, id, part, sizeOf(metadata, part));
    if (bytes.length > 0) replied(await upload(to, copy, { [part]: { offset: 0n } }, bytes));
  }
  replied(await load(to, copy));
  const asker = await world.universal();
  const info = { canister_id: to.id, num_requested_changes: 1n };
  const { recent_changes } = decodeResult(
    "canister_info",
    relayedReply(await asker.update(managementCall("canister_info", info))),
  );
  assert.ok("metadata_upload" in recent_changes[0].details[0].load_snapshot.source);
});
snapshots("an upload's timer is set by its loading", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(setHook("global_timer", 9, set(2)), ic0.msg_reply));
  const id = await take(canister);
  const metadata = { ...uploadable(await metadataOf(canister, id)), global_timer: { active: 1n } };
  const copy = await announce(canister, metadata);
  for (const part of PARTS) {
    const bytes = await download(canister, id, part, sizeOf(metadata as unknown as Metadata, part));
    if (bytes.length > 0) replied(await upload(canister, copy, { [part]: { offset: 0n } }, bytes));
  }
  replied(await load(canister, copy));
  await world.eventually("the timer", async () =>
    replied(await canister.query(get(2), reply64))[0] === 9 ? true : null,
  );
});
snapshots("an upload is all zeros until it is written", async (world) => {
  const canister = await world.fresh();
  const id = await announce(canister, { ...SMALL, stable_memory_size: PAGE });
  const slice = await read(canister, id, { stable_memory: { offset: 0n, size: 4n } });
  assert.deepEqual([...chunkOf(slice)], [0, 0, 0, 0]);
  replied(await upload(canister, id, { stable_memory: { offset: 1n } }, Uint8Array.of(7, 8)));
  const written = await read(canister, id, { stable_memory: { offset: 0n, size: 4n } });
  assert.deepEqual([...chunkOf(written)], [0, 7, 8, 0]);
});
snapshots("an upload's metadata tells its source", async (world) => {
  const canister = await world.fresh();
  const metadata = await metadataOf(canister, await announce(canister));
  assert.ok("metadata_upload" in metadata.source);
});
snapshots("an upload counts as the canister's memory at once", async (world) => {
  const canister = await world.fresh();
  await announce(canister, { ...SMALL, stable_memory_size: 16n * PAGE });
  assert.ok((await canister.status()).memory_metrics.snapshots_size >= 16n * PAGE);
});
snapshots("an upload may take another snapshot's place", async (world) => {
  const canister = await world.fresh();
  const first = await take(canister);
  const second = await announce(canister, { ...SMALL, replace_snapshot: first });
  const listed = await told(canister, "list_canister_snapshots");
  assert.deepEqual(
    listed.map(({ id }: { id: Bytes }) => hex(new Uint8Array(id))),
    [hex(second)],
  );
});
snapshots("an eleventh upload is rejected", async (world) => {
  const canister = await world.fresh();
  for (let i = 0; i < 10; i++) await announce(canister);
  rejected(await ask(canister, "upload_canister_snapshot_metadata", SMALL), {
    code: 4,
    error: "IC0406",
    text: "maximum number of snapshots allowed: 10",
  });
});
snapshots.each(
  "metadata that no canister can have is rejected",
  [
    { wasm_module_size: 0n },
    { wasm_module_size: 100n * BigInt(MIB) + 1n },
    { wasm_memory_size: 1n },
    { wasm_memory_size: (4n << 30n) + PAGE },
    { stable_memory_size: PAGE + 1n },
    { stable_memory_size: (500n << 30n) + PAGE },
    { certified_data: new Uint8Array(33) },
    { globals: Array.from({ length: 1_001 }, () => ({ i32: 0 })) },
  ],
  async (world, more) => {
    const canister = await world.fresh();
    const outcome = await ask(canister, "upload_canister_snapshot_metadata", { ...SMALL, ...more });
    rejected(outcome, { code: 4, error: "IC0408", text: "Snapshot Metadata contains invalid data" });
    assert.deepEqual(await told(canister, "list_canister_snapshots"), []);
  },
);
snapshots("an upload without its module cannot be loaded", async (world) => {
  const canister = await world.fresh();
  const outcome = await load(canister, await announce(canister));
  rejected(outcome, { code: 5, error: "IC0505" });
  repliedNumber(await canister.query(7, reply64), 7);
});
snapshots.each(
  "an upload that contradicts its module cannot be loaded",
  [
    { what: "globals", more: { globals: [{ i32: 1 }] }, text: "globals" },
    { what: "no globals", more: { globals: [] }, text: "globals" },
    { what: "hook", more: { on_low_wasm_memory_hook_status: { ready: null } }, text: /[Hh]ook/ },
  ],
  async (world, { more, text }) => {
    const canister = await world.fresh();
    const id = await take(canister);
    const metadata = { ...uploadable(await metadataOf(canister, id)), ...more };
    const copy = await announce(canister, metadata);
    replied(await upload(canister, copy, { wasm_module: { offset: 0n } }, universalModule()));
    rejected(await load(canister, copy), { code: 4, error: "IC0408", text });
  },
);
snapshots("what was taken cannot be written to", async (world) => {
  const canister = await world.fresh();
  const outcome = await upload(
    canister,
    await take(canister),
    { wasm_module: { offset: 0n } },
    Uint8Array.of(1),
  );
  rejected(outcome, { code: 4, error: "IC0409" });
});
snapshots.each("bytes behind the end of a part are rejected", PARTS, async (world, part) => {
  const canister = await world.fresh();
  const sizes = { ...SMALL, wasm_module_size: 100n, wasm_memory_size: PAGE, stable_memory_size: PAGE };
  const id = await announce(canister, sizes);
  const end = part === "wasm_module" ? 100n : PAGE;
  replied(await upload(canister, id, { [part]: { offset: end - 1n } }, Uint8Array.of(1)));
  for (const offset of [end, (1n << 64n) - 1n])
    rejected(await upload(canister, id, { [part]: { offset } }, Uint8Array.of(1)), {
      code: 4,
      error: "IC0408",
    });
});
snapshots("a chunk of a megabyte is taken, of a byte more rejected", async (world) => {
  const canister = await world.fresh();
  const id = await announce(canister);
  replied(await upload(canister, id, { wasm_chunk: null }, new Uint8Array(MIB)));
  assert.equal((await metadataOf(canister, id)).wasm_chunk_store.length, 1);
  rejected(await upload(canister, id, { wasm_chunk: null }, new Uint8Array(MIB + 1)), {
    code: [4, 5],
    text: "exceeds",
  });
});

/** Every method with a snapshot's id. */
const OF_ONE: readonly (readonly [string, object])[] = [
  ["load_canister_snapshot", {}],
  ["delete_canister_snapshot", {}],
  ["read_canister_snapshot_metadata", {}],
  ["read_canister_snapshot_data", { kind: { wasm_module: { offset: 0n, size: 1n } } }],
  ["upload_canister_snapshot_data", { kind: { wasm_module: { offset: 0n } }, chunk: Uint8Array.of(1) }],
];
const ALL: readonly (readonly [string, object])[] = [
  ...OF_ONE,
  ["take_canister_snapshot", {}],
  ["list_canister_snapshots", {}],
  ["upload_canister_snapshot_metadata", SMALL],
];
snapshots.each(
  "an id that no snapshot has is rejected, whichever the method",
  OF_ONE,
  async (world, [method, more]) => {
    const canister = await world.fresh();
    const snapshot_id = join([new Uint8Array([0, 0, 0, 0, 0, 0, 0, 9]), canister.bytes]);
    rejected(await ask(canister, method, { snapshot_id, ...more }), {
      code: 3,
      error: "IC0305",
      text: `Could not find the snapshot ID ${canister.id.toText()}-9 for canister ${canister.id.toText()}`,
    });
  },
);
snapshots.each(
  "an id that is none is rejected, whichever the method",
  OF_ONE,
  async (world, [method, more]) => {
    const canister = await world.fresh();
    for (const length of [0, 7, 38]) {
      const outcome = await ask(canister, method, { snapshot_id: new Uint8Array(length), ...more });
      rejected(outcome, { code: [3, 4], error: ["IC0408", "IC0305"] });
    }
  },
);
snapshots.each(
  "another canister's snapshot is for its own methods only, save loading",
  OF_ONE.filter(([method]) => method !== "load_canister_snapshot"),
  async (world, [method, more]) => {
    const [own, other] = [await world.fresh(), await world.fresh()];
    const snapshot_id = await take(other);
    rejected(await ask(own, method, { snapshot_id, ...more }), {
      code: 4,
      error: "IC0406",
      text: "does not belong to canister",
    });
    assert.equal((await told(other, "list_canister_snapshots")).length, 1);
  },
);
snapshots("loading another canister's snapshot needs control over both", async (world) => {
  const [own, other] = [await world.fresh(), await world.fresh()];
  const snapshot_id = await take(other);
  await own.configure({ controllers: [principal(world.user.sender), principal(world.stranger.sender)] });
  rejected(await ask(own, "load_canister_snapshot", { snapshot_id }, world.stranger), {
    code: 4,
    error: "IC0406",
    text: "Only a controller of the canister that snapshot",
  });
});
/** Those that `snapshot_visibility` opens are refused in other words than those for controllers. */
const FOR_VIEWERS = /^(read|list)_/;
snapshots.each("a stranger may not, whichever the method", ALL, async (world, [method, more]) => {
  const canister = await world.fresh();
  const snapshot_id = await take(canister);
  const outcome = await ask(canister, method, { snapshot_id, ...more }, world.stranger);
  rejected(
    outcome,
    FOR_VIEWERS.test(method)
      ? { code: 4, error: "IC0406", text: "is not allowed to access canister snapshots" }
      : { code: 5, error: "IC0512", text: "Only the controllers of the canister" },
  );
});
snapshots.each(
  "an allowed viewer lists and reads, and does nothing else",
  ALL,
  async (world, [method, more]) => {
    const viewer = world.stranger;
    const settings = { snapshot_visibility: { allowed_viewers: [principal(viewer.sender)] } };
    const canister = await world.fresh({ settings });
    const snapshot_id = await take(canister);
    const outcome = await ask(canister, method, { snapshot_id, ...more }, viewer);
    if (FOR_VIEWERS.test(method)) replied(outcome);
    else rejected(outcome, { code: 5, error: "IC0512" });
  },
);
snapshots.each(
  "a canister that does not exist has none, whichever the method",
  ALL,
  async (world, [method, more]) => {
    const canister = await world.fresh({ install: false });
    replied(await ask(canister, "stop_canister"));
    replied(await ask(canister, "delete_canister"));
    const snapshot_id = join([new Uint8Array(8), canister.bytes]);
    rejected(await ask(canister, method, { snapshot_id, ...more }), { error: ["IC0301", "IC0305"], code: 3 });
  },
);
snapshots.each(
  "a canister may do it to one that it controls, and to no other",
  ALL.filter(([method]) => method !== "upload_canister_snapshot_data"),
  async (world, [method, more]) => {
    const [parent, other] = await pair(world);
    const child = await world.fresh();
    await child.configure({ controllers: [parent.id, principal(world.user.sender)] });
    const value = { canister_id: child.id, snapshot_id: await take(child), ...more };
    relayedReject(
      await other.update(managementCall(method, value)),
      [4, 5],
      /Only the controllers of the canister|is not allowed to access canister snapshots/,
    );
    relayedReply(await parent.update(managementCall(method, value)));
  },
);
snapshots("one is taken, loaded and listed while the canister is stopped", async (world) => {
  const canister = await world.fresh();
  replied(await canister.update(5, set(1), ic0.msg_reply));
  replied(await ask(canister, "stop_canister"));
  const id = await take(canister);
  replied(await ask(canister, "start_canister"));
  replied(await canister.update(6, set(1), ic0.msg_reply));
  replied(await ask(canister, "stop_canister"));
  replied(await load(canister, id));
  assert.ok("stopped" in (await canister.status()).status);
  replied(await ask(canister, "start_canister"));
  repliedNumber(await canister.query(get(1), reply64), 5);
});
snapshots("one that a canister takes of itself while it runs is of the state at that time", async (world) => {
  const canister = await world.fresh();
  await canister.configure({ controllers: [canister.id, principal(world.user.sender)] });
  const value = { canister_id: canister.id };
  relayedReply(await canister.update(5, set(1), managementCall("take_canister_snapshot", value), 6, set(1)));
  // The snapshot was taken after the message that asked for it.
  const [{ id }] = await told(canister, "list_canister_snapshots");
  replied(await canister.update(7, set(1), ic0.msg_reply));
  replied(await load(canister, new Uint8Array(id)));
  repliedNumber(await canister.query(get(1), reply64), 6);
});
snapshots("deleting a canister takes its snapshots with it", async (world) => {
  const [canister, other] = [await world.fresh(), await world.fresh()];
  const snapshot_id = await take(canister);
  replied(await ask(canister, "stop_canister"));
  replied(await ask(canister, "delete_canister"));
  rejected(await load(other, snapshot_id), { code: 3, error: ["IC0305", "IC0301"] });
});
snapshots("taking and loading cost cycles", async (world) => {
  const canister = await world.fresh();
  const before = (await canister.status()).cycles;
  const id = await take(canister);
  const between = (await canister.status()).cycles;
  replied(await load(canister, id));
  const after = (await canister.status()).cycles;
  // Two billion instructions at 13 nodes' price.
  assert.ok(
    before - between > 2_000_000_000n && between - after > 2_000_000_000n,
    `${before} ${between} ${after}`,
  );
});
