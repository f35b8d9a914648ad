/** Snapshots through whole rounds: what is kept, restored, shared, paid for and refused, and how it survives the canister. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId, type Principal, principalToText, toHex } from "@orrery/base";
import { snapshotKey, touch } from "@orrery/state";
import { executionCost } from "../fees.ts";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { updateSettingsArg } from "../testing/settings.testkit.ts";
import {
  dataArg,
  type Metadata,
  metadataArg,
  replyOf,
  SnapshotList,
  SnapshotMetadata,
  snapshotArg,
  takeArg,
  uploadChunkArg,
  uploadDataArg,
} from "../testing/snapshots.testkit.ts";
import { idArg, TestSubnet } from "../testing/subnet.testkit.ts";

const STRANGER = Uint8Array.of(9, 9, 9, 1) as Principal;

/** A counter in a global, a heap byte and a stable byte; `set` also grows both memories. */
const COUNTER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (memory 1)
  (global $count (mut i32) (i32.const 0))
  (global $float (mut f64) (f64.const nan:0x4000000000001))
  (global $fixed i32 (i32.const 5))
  (func (export "canister_init") (drop (call $grow (i64.const 1))))
  (func (export "canister_update inc")
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (i32.const 5000) (global.get $count))
    (call $write (i64.const 40000) (i64.const 5000) (i64.const 1))
    (call $certify (i32.const 5000) (i32.const 1))
    (call $reply))
  (func (export "canister_update grow")
    (drop (memory.grow (i32.const 1)))
    (i32.store8 (i32.const 70000) (i32.const 7))
    (drop (call $grow (i64.const 2)))
    (drop (call $timer (i64.const 0x7fffffffffffffff)))
    (call $reply))
  (func (export "canister_query get")
    (i32.store (i32.const 0) (global.get $count))
    (i32.store8 (i32.const 1) (i32.load8_u (i32.const 5000)))
    (call $read (i64.const 2) (i64.const 40000) (i64.const 1))
    (call $append (i32.const 0) (i32.const 3))
    (call $reply)))`;

interface Setup {
  readonly subnet: TestSubnet;
  readonly id: CanisterId;
}

function counter(times: number): Setup {
  const subnet = new TestSubnet();
  const id = subnet.installed(COUNTER);
  for (let i = 0; i < times; i++) subnet.reply({ canisterId: id, method: "inc" });
  return { subnet, id };
}

function get({ subnet, id }: Setup): number[] {
  return [...subnet.reply({ canisterId: id, method: "get" })];
}

function take({ subnet, id }: Setup, options: Parameters<typeof takeArg>[1] = {}): Uint8Array {
  const reply = subnet.reply({ method: "take_canister_snapshot", arg: takeArg(id, options) });
  return replyOf(SnapshotList.single, reply).id;
}

function load({ subnet, id }: Setup, snapshot: Uint8Array): void {
  subnet.reply({ method: "load_canister_snapshot", arg: snapshotArg(id, snapshot) });
}

function list({ subnet, id }: Setup): readonly { id: Uint8Array; total_size: bigint }[] {
  return replyOf(SnapshotList.all, subnet.reply({ method: "list_canister_snapshots", arg: idArg(id) }));
}

function metadata({ subnet, id }: Setup, snapshot: Uint8Array): Metadata {
  const reply = subnet.reply({ method: "read_canister_snapshot_metadata", arg: snapshotArg(id, snapshot) });
  return replyOf(SnapshotMetadata, reply);
}

function refusal(
  { subnet }: Setup,
  method: string,
  arg: Uint8Array,
  sender: Principal = ANONYMOUS,
): readonly [string, string] {
  const { errorCode, message } = subnet.rejection({ method, arg, sender });
  return [errorCode, message];
}

describe("taking and loading", () => {
  test("brings globals, heap, stable memory and certified data back", () => {
    const setup = counter(3);
    const { subnet, id } = setup;
    const { meta } = subnet.canister(id);
    const snapshot = take(setup);
    const version = meta.version;
    const before = [...meta.globals];
    subnet.reply({ canisterId: id, method: "grow" });
    subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(get(setup), [4, 4, 4]);
    assert.equal(meta.heapPages, 2);
    load(setup, snapshot);
    assert.deepEqual(get(setup), [3, 3, 3]);
    assert.deepEqual([meta.heapPages, meta.stablePages], [1, 1]);
    assert.deepEqual(meta.globals, before);
    assert.deepEqual(meta.certifiedData, Uint8Array.of(3));
    assert.equal(meta.globalTimer, 0x7fffffffffffffffn, "a taken snapshot says nothing of the timer");
    assert.equal(meta.version, version + 5n);
    assert.ok((meta.installedAt ?? 0n) > (subnet.state.snapshots.get(snapshotKey(snapshot))?.takenAt ?? 0n));
    subnet.reply({ canisterId: id, method: "inc" });
    assert.deepEqual(get(setup), [4, 4, 4]);
    load(setup, snapshot);
    assert.deepEqual(get(setup), [3, 3, 3]);
  });

  test("is recorded with source, time and version", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const { version } = subnet.canister(id).meta;
    const snapshot = take(setup);
    const taken = subnet.state.snapshots.get(snapshotKey(snapshot));
    load(setup, snapshot);
    assert.deepEqual(subnet.canister(id).history.at(-1), {
      timestamp: subnet.state.time,
      canisterVersion: version + 1n,
      origin: { kind: "user", userId: ANONYMOUS },
      details: {
        kind: "load_snapshot",
        snapshotId: snapshot,
        canisterVersion: version,
        takenAt: taken?.takenAt,
        source: "taken_from_canister",
        fromCanister: null,
      },
    });
  });

  test("shares pages by reference, and gives every page and blob back in the end", () => {
    const setup = counter(2);
    const { subnet, id } = setup;
    subnet.arena.reclaim(subnet.state.height);
    const used = subnet.arena.livePages;
    const blobs = subnet.state.blobs.size;
    const first = take(setup);
    const second = take(setup);
    assert.equal(subnet.arena.livePages, used, "a snapshot has no pages of its own");
    subnet.reply({ canisterId: id, method: "inc" });
    subnet.reply({ canisterId: id, method: "grow" });
    load(setup, first);
    for (const snapshot of [first, second])
      subnet.reply({ method: "delete_canister_snapshot", arg: snapshotArg(id, snapshot) });
    subnet.arena.reclaim(subnet.state.height);
    assert.equal(subnet.arena.livePages, used);
    assert.equal(subnet.canister(id).meta.snapshotBytes, 0);
    take(setup);
    subnet.manage("stop_canister", id);
    subnet.manage("delete_canister", id);
    subnet.arena.reclaim(subnet.state.height);
    assert.equal(subnet.arena.livePages, 0);
    assert.equal(subnet.state.snapshots.size, 0);
    assert.equal(subnet.state.blobs.size, blobs - 1);
  });

  test("a snapshot in the round of the write keeps what stood there", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const messages = [
      subnet.envelope({ method: "take_canister_snapshot", arg: takeArg(id) }),
      subnet.envelope({ canisterId: id, method: "inc" }),
      subnet.envelope({ canisterId: id, method: "inc" }),
    ];
    subnet.round(messages.map(({ bytes }) => bytes));
    assert.deepEqual(get(setup), [3, 3, 3]);
    const [one] = list(setup);
    load(setup, one?.id as Uint8Array);
    assert.deepEqual(get(setup), [1, 1, 1]);
  });

  test("takes another one's place, up to ten; ids are never used twice", () => {
    const setup = counter(0);
    const ids = Array.from({ length: 10 }, () => take(setup));
    assert.deepEqual(
      list(setup).map(({ id }) => toHex(id)),
      ids.map(toHex),
    );
    const name = principalToText(setup.id);
    assert.deepEqual(refusal(setup, "take_canister_snapshot", takeArg(setup.id)), [
      "IC0406",
      `Canister ${name} has reached the maximum number of snapshots allowed: 10.\nConsider deleting an unnecessary ` +
        "snapshot of the specified canister before creating a new one. See documentation: canister-snapshot-limit-exceeded",
    ]);
    const replaced = take(setup, { replace: ids[3] as Uint8Array });
    assert.equal(toHex(replaced), `000000000000000a${toHex(setup.id)}`);
    assert.equal(list(setup).length, 10);
    assert.ok(!list(setup).some(({ id }) => toHex(id) === toHex(ids[3] as Uint8Array)));
    assert.deepEqual(
      refusal(setup, "take_canister_snapshot", takeArg(setup.id, { replace: ids[3] as Uint8Array })),
      [
        "IC0305",
        `Could not find the snapshot ID ${name}-3 for canister ${name}.\nUse the \`list_canister_snapshot\` API to see which ` +
          "snapshots are present. See documentation: " +
          "https://internetcomputer.org/docs/current/references/execution-errors#canister-snapshot-not-found",
      ],
    );
  });

  test("outlives the code, and comes with it gone when asked", () => {
    const setup = counter(2);
    const { subnet, id } = setup;
    subnet.reply({ method: "upload_chunk", arg: uploadChunkArg(id, Uint8Array.of(1, 2)) });
    const snapshot = take(setup, { uninstall: true });
    const { meta, history } = subnet.canister(id);
    assert.equal(meta.module, null);
    assert.equal(meta.chunkStoreBytes, 0);
    assert.deepEqual(history.at(-1)?.details, { kind: "code_uninstall" });
    assert.deepEqual(refusal(setup, "take_canister_snapshot", takeArg(id)), [
      "IC0406",
      `Failed to create snapshot for empty canister ${principalToText(id)}:`,
    ]);
    load(setup, snapshot);
    assert.deepEqual(get(setup), [2, 2, 2]);
    assert.equal(subnet.canister(id).chunks.size, 1);
  });

  test("goes when the canister runs out of cycles", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    take(setup);
    subnet.canister(id).meta.cycles = 1n;
    subnet.canister(id).meta.settings = { ...subnet.canister(id).meta.settings, computeAllocation: 50n };
    touch(subnet.state, subnet.canister(id));
    subnet.round([], 1n);
    subnet.round([], 40_000_000_000n);
    assert.equal(subnet.canister(id).meta.module, null);
    assert.equal(subnet.state.snapshots.size, 0);
    assert.equal(subnet.canister(id).meta.snapshotBytes, 0);
  });

  test("another canister's snapshot is for those who control both", () => {
    const setup = counter(2);
    const { subnet, id } = setup;
    const snapshot = take(setup);
    const other = subnet.installed(COUNTER);
    load({ subnet, id: other }, snapshot);
    assert.deepEqual(get({ subnet, id: other }), [2, 2, 2]);
    const details = subnet.canister(other).history.at(-1)?.details;
    assert.ok(details?.kind === "load_snapshot" && details.fromCanister !== null);
    assert.equal(principalToText(details.fromCanister), principalToText(id));
    const foreign = subnet.create({ sender: STRANGER });
    assert.deepEqual(refusal(setup, "load_canister_snapshot", snapshotArg(foreign, snapshot), STRANGER), [
      "IC0406",
      `Only a controller of the canister that snapshot ${principalToText(id)}-0 belongs to can load it on canister ` +
        `${principalToText(foreign)}. Sender: ${principalToText(STRANGER)}.\nMake sure you are a controller of the ` +
        "canister that the snapshot belongs to. See documentation: canister-snapshot-not-controller",
    ]);
    for (const method of ["delete_canister_snapshot", "read_canister_snapshot_metadata"]) {
      const [code, text] = refusal(setup, method, snapshotArg(other, snapshot));
      assert.equal(code, "IC0406");
      assert.match(text, /^The snapshot [a-z0-9-]+-0 does not belong to canister /);
    }
  });
});

describe("prices and memory", () => {
  test("baseline and a cycle's worth for each byte, stored and counted as memory", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const { meta } = subnet.canister(id);
    const balance = meta.cycles;
    const reply = subnet.reply({ method: "take_canister_snapshot", arg: takeArg(id) });
    const size = replyOf(SnapshotList.single, reply).total_size;
    const module = meta.module?.bytes ?? 0;
    assert.equal(size, BigInt(2 * 65_536 + module + 2 * 8 + 1));
    assert.equal(meta.snapshotBytes, Number(size));
    const induction =
      balance - meta.cycles - executionCost(subnet.state.subnet, 2_000_000_000n + size, false);
    assert.ok(induction > 1_200_000n && induction < 2_000_000n, `induction of ${induction}`);
    const paid = meta.cycles;
    const compile = 6_000n;
    load(setup, replyOf(SnapshotList.single, reply).id);
    const { subnet: info } = subnet.state;
    const least = executionCost(info, 2_000_000_000n, false) + executionCost(info, size, false);
    assert.ok(paid - meta.cycles > least + compile, "the load pays baseline, bytes and compilation");
  });

  test("a canister that it would freeze, or that cannot pay, keeps its cycles", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const { meta } = subnet.canister(id);
    meta.cycles = 2_000_000_000n;
    const [code, text] = refusal(setup, "take_canister_snapshot", takeArg(id));
    assert.equal(code, "IC0207");
    assert.match(
      text,
      /^Canister snapshotting failed with: `Canister [a-z0-9-]+ is out of cycles: please top up the canister with at least \d+ additional cycles`\nTry sending more cycles with the request\. See documentation: canister-snapshot-not-enough-cycles$/,
    );
    assert.equal(subnet.state.snapshots.size, 0);
    meta.cycles = 10n ** 13n;
    subnet.reply({ canisterId: id, method: "grow" });
    meta.settings = { ...meta.settings, freezingThreshold: 10n ** 12n };
    const [frozen, why] = refusal(setup, "take_canister_snapshot", takeArg(id));
    assert.equal(frozen, "IC0207", why);
  });

  test("a frozen canister gives up its snapshots: that frees memory", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const { meta } = subnet.canister(id);
    meta.cycles = 10n ** 15n;
    const snapshot = take(setup);
    // Another canister asks, since users pay for their messages from the canister's cycles.
    const controller = subnet.installed(FORWARDER);
    meta.settings = { ...meta.settings, controllers: [controller], freezingThreshold: 10n ** 15n };
    const status = forward(subnet, controller, "delete_canister_snapshot", snapshotArg(id, snapshot));
    assert.equal(status.kind, "replied", JSON.stringify(status));
    assert.equal(subnet.state.snapshots.size, 0);
  });
});

describe("download and upload", () => {
  test("metadata says all that is restored, and every NaN as it is", () => {
    const setup = counter(2);
    const { subnet, id } = setup;
    const { version } = subnet.canister(id).meta;
    const snapshot = take(setup);
    const told = metadata(setup, snapshot);
    assert.deepEqual(told.source, { taken_from_canister: null });
    assert.equal(told.wasm_memory_size, 65_536n);
    assert.equal(told.stable_memory_size, 65_536n);
    assert.equal(told.canister_version, version);
    assert.deepEqual(Uint8Array.from(told.certified_data), Uint8Array.of(2));
    assert.deepEqual(told.global_timer, [{ inactive: null }]);
    assert.deepEqual(told.on_low_wasm_memory_hook_status, [{ condition_not_satisfied: null }]);
    assert.equal(told.globals.length, 2);
    assert.deepEqual(told.globals[0], { i32: 2 });
    assert.ok(Number.isNaN(told.globals[1]?.f64));
    const raw = subnet.reply({ method: "read_canister_snapshot_metadata", arg: snapshotArg(id, snapshot) });
    assert.ok(toHex(raw).includes("010000000000f47f"), "the NaN's payload travels");
  });

  test("round trip: what was downloaded and uploaded is the canister again", () => {
    const setup = counter(5);
    const { subnet, id } = setup;
    subnet.reply({ canisterId: id, method: "grow" });
    subnet.reply({ method: "upload_chunk", arg: uploadChunkArg(id, Uint8Array.of(8, 8)) });
    const source = take(setup);
    const told = metadata(setup, source);
    const target: Setup = { subnet, id: subnet.create() };
    const uploaded = replyOf(
      SnapshotList.uploaded,
      subnet.reply({ method: "upload_canister_snapshot_metadata", arg: metadataArg(target.id, told) }),
    ).snapshot_id;
    for (const [part, size] of [
      ["wasm_module", told.wasm_module_size],
      ["wasm_memory", told.wasm_memory_size],
      ["stable_memory", told.stable_memory_size],
    ] as const) {
      const step = 50_001n;
      for (let offset = 0n; offset < size; offset += step) {
        const length = size - offset < step ? size - offset : step;
        const chunk = replyOf(
          SnapshotList.data,
          subnet.reply({
            method: "read_canister_snapshot_data",
            arg: dataArg(id, source, { [part]: { offset, size: length } }),
          }),
        ).chunk;
        assert.equal(chunk.length, Number(length));
        subnet.reply({
          method: "upload_canister_snapshot_data",
          arg: uploadDataArg(target.id, uploaded, { kind: { [part]: { offset } }, chunk }),
        });
      }
    }
    const [hash] = told.wasm_chunk_store;
    const chunk = replyOf(
      SnapshotList.data,
      subnet.reply({
        method: "read_canister_snapshot_data",
        arg: dataArg(id, source, { wasm_chunk: { hash: hash?.hash } }),
      }),
    ).chunk;
    subnet.reply({
      method: "upload_canister_snapshot_data",
      arg: uploadDataArg(target.id, uploaded, { kind: { wasm_chunk: null }, chunk }),
    });
    load(target, uploaded);
    assert.deepEqual(get(target), [5, 5, 5]);
    const { meta, chunks, history } = subnet.canister(target.id);
    const original = subnet.canister(id);
    assert.deepEqual(meta.globals, original.meta.globals);
    assert.deepEqual(meta.module?.hash, original.meta.module?.hash);
    assert.equal(meta.globalTimer, 0x7fffffffffffffffn);
    assert.deepEqual([...chunks.keys()], [...original.chunks.keys()]);
    const details = history.at(-1)?.details;
    assert.ok(details?.kind === "load_snapshot" && details.source === "metadata_upload");
  });

  test("slices end where the part ends, two megabytes at a time", () => {
    const setup = counter(0);
    const { id } = setup;
    const snapshot = take(setup);
    const read = (kind: unknown): readonly [string, string] =>
      refusal(setup, "read_canister_snapshot_data", dataArg(id, snapshot, kind));
    assert.deepEqual(read({ wasm_memory: { offset: 65_536n, size: 1n } }), [
      "IC0408",
      "Invalid subslice into wasm module / main memory / stable memory: offset: 65536, size: 1",
    ]);
    assert.deepEqual(read({ stable_memory: { offset: 0n, size: 2_000_001n } }), [
      "IC0408",
      "Requested slice too large: 2000001 > 2000000",
    ]);
    assert.match(
      read({ wasm_chunk: { hash: new Uint8Array(32) } })[1],
      /^Error from Wasm chunk store: WasmChunkHash \[00, .* not found\./,
    );
    assert.match(
      read({ wasm_chunk: { hash: new Uint8Array(3) } })[1],
      /Bytes \[00, 00, 00\] are not a valid WasmChunkHash\./,
    );
    assert.equal(read({ wasm_memory: { offset: 2n ** 64n - 1n, size: 1n } })[0], "IC0408");
  });

  test("metadata out of bounds is refused by name", () => {
    const setup = counter(0);
    const good = metadata(setup, take(setup));
    const cases: readonly (readonly [Partial<Metadata>, string])[] = [
      [{ wasm_module_size: 0n }, "WasmModuleEmpty"],
      [{ wasm_module_size: 100n * 1_048_576n + 1n }, "WasmModuleTooLarge"],
      [{ wasm_memory_size: 123n }, "WasmMemoryNotPageAligned"],
      [{ wasm_memory_size: (4n << 30n) + 65_536n }, "WasmMemoryTooLarge"],
      [{ stable_memory_size: 123n }, "StableMemoryNotPageAligned"],
      [{ stable_memory_size: (500n << 30n) + 65_536n }, "StableMemoryTooLarge"],
      [{ globals: Array.from({ length: 1_001 }, () => ({ i32: 1 })) }, "ExportedGlobalsTooLarge"],
      [{ certified_data: new Uint8Array(33) }, "CertifiedDataTooLarge"],
    ];
    for (const [change, name] of cases) {
      assert.deepEqual(
        refusal(setup, "upload_canister_snapshot_metadata", metadataArg(setup.id, { ...good, ...change })),
        ["IC0408", `Snapshot Metadata contains invalid data: ${name}`],
      );
    }
  });

  test("what was taken cannot be written to, and an upload must agree with its module", () => {
    const setup = counter(0);
    const { subnet, id } = setup;
    const taken = take(setup);
    const good = metadata(setup, taken);
    const write = { kind: { wasm_memory: { offset: 0n } }, chunk: Uint8Array.of(1) };
    assert.deepEqual(refusal(setup, "upload_canister_snapshot_data", uploadDataArg(id, taken, write)), [
      "IC0409",
      "Only canister snapshots created by metadata upload can be mutated.",
    ]);
    const upload = (change: Partial<Metadata>, module: Uint8Array): Uint8Array => {
      const told = { ...good, ...change, wasm_module_size: BigInt(module.length) };
      const reply = subnet.reply({ method: "upload_canister_snapshot_metadata", arg: metadataArg(id, told) });
      const uploaded = replyOf(SnapshotList.uploaded, reply).snapshot_id;
      subnet.reply({
        method: "upload_canister_snapshot_data",
        arg: uploadDataArg(id, uploaded, { kind: { wasm_module: { offset: 0n } }, chunk: module }),
      });
      return uploaded;
    };
    const blob = subnet.state.blobs.get(subnet.canister(id).meta.module?.blob ?? "");
    const loading = (snapshot: Uint8Array): readonly [string, string] =>
      refusal(setup, "load_canister_snapshot", snapshotArg(id, snapshot));
    assert.deepEqual(loading(upload({ globals: [{ i32: 1 }, { i32: 1 }] }, blob)), [
      "IC0408",
      "Wasm exported globals of canister module and snapshot metadata do not match.",
    ]);
    assert.deepEqual(loading(upload({ on_low_wasm_memory_hook_status: [{ ready: null }] }, blob)), [
      "IC0408",
      "Hook status (Some(Ready)) of uploaded snapshot is inconsistent with the canister's state (hook condition satisfied: false).",
    ]);
    assert.match(loading(upload({ wasm_memory_size: 0n }, blob))[1], /^Wasm memory of 0 pages /);
    const [code, text] = loading(upload({}, Uint8Array.of(0, 0x61, 0x73, 0x6d, 9)));
    assert.equal(code, "IC0505");
    assert.match(text, /^Error from Canister [a-z0-9-]+: Canister's Wasm module is not valid: /);
    const beyond = { kind: { wasm_module: { offset: BigInt(blob.length) - 5n } }, chunk: new Uint8Array(10) };
    const last = upload({}, blob);
    assert.equal(
      refusal(setup, "upload_canister_snapshot_data", uploadDataArg(id, last, beyond))[0],
      "IC0408",
    );
    const timed = upload({ global_timer: [{ active: 2n ** 62n }] }, blob);
    load(setup, timed);
    assert.equal(subnet.canister(id).meta.globalTimer, 2n ** 62n);
    assert.deepEqual(get(setup), [0, 0, 0]);
  });
});

test("a round tries few modules that are none", () => {
  const subnet = new TestSubnet({ limits: { instructionsPerRound: 64_000_000n } });
  const setup = { subnet, id: subnet.installed(COUNTER) };
  const told = { ...metadata(setup, take(setup)), wasm_module_size: 10_000_000n };
  const arg = metadataArg(setup.id, told);
  const { snapshot_id } = replyOf(
    SnapshotList.uploaded,
    subnet.reply({ method: "upload_canister_snapshot_metadata", arg }),
  );
  const loads = [0, 1].map(() =>
    subnet.envelope({ method: "load_canister_snapshot", arg: snapshotArg(setup.id, snapshot_id) }),
  );
  const kinds = (): unknown[] => loads.map(({ id }) => subnet.status(id)?.kind);
  subnet.round(loads.map(({ bytes }) => bytes));
  assert.deepEqual(kinds(), ["rejected", "received"]);
  subnet.round();
  assert.deepEqual(kinds(), ["rejected", "rejected"]);
});

describe("visibility", () => {
  test("viewers read and list; they do not take, load, upload or delete", () => {
    const setup = counter(1);
    const { subnet, id } = setup;
    const snapshot = take(setup);
    const reads: readonly (readonly [string, Uint8Array])[] = [
      ["list_canister_snapshots", idArg(id)],
      ["read_canister_snapshot_metadata", snapshotArg(id, snapshot)],
      ["read_canister_snapshot_data", dataArg(id, snapshot, { wasm_memory: { offset: 0n, size: 4n } })],
    ];
    const writes: readonly (readonly [string, Uint8Array])[] = [
      ["take_canister_snapshot", takeArg(id)],
      ["load_canister_snapshot", snapshotArg(id, snapshot)],
      ["delete_canister_snapshot", snapshotArg(id, snapshot)],
    ];
    const settings: readonly (readonly [unknown, boolean])[] = [
      [{ controllers: null }, false],
      [{ allowed_viewers: [CandidPrincipal.fromUint8Array(STRANGER)] }, true],
      [{ allowed_viewers: [] }, false],
      [{ public: null }, true],
    ];
    for (const [visibility, readable] of settings) {
      subnet.reply({
        method: "update_settings",
        arg: updateSettingsArg(id, { snapshot_visibility: visibility }),
      });
      for (const [method, arg] of reads) {
        const status = subnet.call({ method, arg, sender: STRANGER });
        assert.equal(status.kind, readable ? "replied" : "rejected", method);
      }
      for (const [method, arg] of writes)
        assert.equal(refusal(setup, method, arg, STRANGER)[0], "IC0512", method);
    }
  });
});
