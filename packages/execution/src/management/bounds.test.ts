/**
 * Canisters at their limits: what is exactly as much as allowed is taken, one more is refused with its code, and changes nothing. Limits
 * are the interface specification's and the replica's (rs/config, rs/limits, rs/types/management_canister_types of dfinity/ic).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import { HISTORY_ENTRIES_MAX } from "../limits.ts";
import { updateSettingsArg } from "../testing/settings.testkit.ts";
import { uploadChunkArg } from "../testing/snapshots.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const RICH = 10n ** 24n;
const MIB = 1_024 ** 2;
const PAGE = 65_536n;

/** What a call came to: `ok` or the code of its error. */
function outcome(status: IngressStatus): string {
  return status.kind === "rejected" ? status.errorCode : status.kind === "replied" ? "ok" : status.kind;
}

type Settings = Parameters<typeof updateSettingsArg>[1];

function set(subnet: TestSubnet, id: CanisterId, settings: Settings): string {
  return outcome(subnet.call({ method: "update_settings", arg: updateSettingsArg(id, settings) }));
}

const someone = (n: number): CandidPrincipal => CandidPrincipal.fromUint8Array(Uint8Array.of(n, 1, 2, 3, 1));
const people = (n: number): CandidPrincipal[] => [
  CandidPrincipal.anonymous(),
  ...Array.from({ length: n - 1 }, (_, i) => someone(i)),
];
const variables = (n: number): unknown =>
  Array.from({ length: n }, (_, i) => ({ name: `v${i}`, value: "x" }));
const variable = (name: number, value: number): unknown => [
  { name: "n".repeat(name), value: "v".repeat(value) },
];

describe("settings", () => {
  const rows: readonly (readonly [string, Settings, Settings, string])[] = [
    ["ten controllers", { controllers: people(10) }, { controllers: people(11) }, "IC0408"],
    ["100 % of compute", { compute_allocation: 100n }, { compute_allocation: 101n }, "IC0504"],
    ["a log of 4,096 bytes", { log_memory_limit: 4_096n }, { log_memory_limit: 4_095n }, "IC0406"],
    ["a log of 2 MiB", { log_memory_limit: 2_097_152n }, { log_memory_limit: 2_097_153n }, "IC0406"],
    ["no log", { log_memory_limit: 0n }, { log_memory_limit: 1n }, "IC0406"],
    [
      "2^48 bytes as Wasm memory limit",
      { wasm_memory_limit: 1n << 48n },
      { wasm_memory_limit: (1n << 48n) + 1n },
      "IC0504",
    ],
    [
      "2^48 bytes as threshold",
      { wasm_memory_threshold: 1n << 48n },
      { wasm_memory_threshold: (1n << 48n) + 1n },
      "IC0504",
    ],
    [
      "2^64 - 1 seconds",
      { freezing_threshold: (1n << 64n) - 1n },
      { freezing_threshold: 1n << 64n },
      "IC0504",
    ],
    [
      "2^128 - 1 cycles reserved",
      { reserved_cycles_limit: (1n << 128n) - 1n },
      { reserved_cycles_limit: 1n << 128n },
      "IC0504",
    ],
    [
      "2^128 - 1 cycles asked for",
      { minimum_incoming_canister_call_cycles: (1n << 128n) - 1n },
      { minimum_incoming_canister_call_cycles: 1n << 128n },
      "IC0504",
    ],
    [
      "20 variables",
      { environment_variables: variables(20) },
      { environment_variables: variables(21) },
      "IC0408",
    ],
    [
      "names of 128 bytes",
      { environment_variables: variable(128, 1) },
      { environment_variables: variable(129, 1) },
      "IC0408",
    ],
    [
      "values of 128 bytes",
      { environment_variables: variable(1, 128) },
      { environment_variables: variable(1, 129) },
      "IC0408",
    ],
    ...(["log_visibility", "snapshot_visibility", "status_visibility"] as const).map(
      (name): readonly [string, Settings, Settings, string] => [
        `ten viewers by ${name}`,
        { [name]: { allowed_viewers: people(10) } },
        { [name]: { allowed_viewers: people(11) } },
        "IC0408",
      ],
    ),
  ];
  for (const [what, allowed, refused, code] of rows) {
    test(`${what}, and not one more or less`, () => {
      const subnet = new TestSubnet();
      const id = subnet.create({ cycles: RICH });
      const { settings, version } = subnet.canister(id).meta;
      assert.equal(set(subnet, id, refused), code);
      assert.deepEqual(subnet.canister(id).meta.settings, settings);
      assert.equal(subnet.canister(id).meta.version, version);
      assert.equal(set(subnet, id, allowed), "ok");
      assert.equal(subnet.canister(id).meta.version, version + 1n);
    });
  }

  test("a subnet's compute goes to 299 %", () => {
    const subnet = new TestSubnet();
    const ids = [100n, 100n, 98n, 1n].map((compute_allocation) => {
      const id = subnet.create({ cycles: RICH });
      assert.equal(set(subnet, id, { compute_allocation }), "ok");
      return id;
    });
    const last = subnet.create({ cycles: RICH });
    assert.equal(set(subnet, last, { compute_allocation: 1n }), "IC0101");
    assert.equal(set(subnet, ids[3] as CanisterId, { compute_allocation: 2n }), "IC0101");
    assert.equal(set(subnet, ids[3] as CanisterId, { compute_allocation: 0n }), "ok");
    assert.equal(set(subnet, last, { compute_allocation: 1n }), "ok");
  });
});

describe("chunk store", () => {
  test("pieces of 1 MiB, and not a byte more", () => {
    const subnet = new TestSubnet();
    const id = subnet.create({ cycles: RICH });
    const upload = (bytes: number): string =>
      outcome(subnet.call({ method: "upload_chunk", arg: uploadChunkArg(id, new Uint8Array(bytes)) }));
    assert.equal(upload(MIB + 1), "IC0504");
    assert.equal(subnet.canister(id).chunks.size, 0);
    assert.equal(upload(MIB), "ok");
    assert.equal(upload(0), "ok");
  });

  test("a hundred pieces; one more is refused unless it is there already", () => {
    const subnet = new TestSubnet({ limits: { uploadChunkInstructions: 0n } });
    const id = subnet.create({ cycles: RICH });
    const sent = (n: number): Uint8Array =>
      subnet.submit({ method: "upload_chunk", arg: uploadChunkArg(id, Uint8Array.of(n)) });
    const all = Array.from({ length: 100 }, (_, n) => outcome(subnet.settle(sent(n))));
    assert.deepEqual(new Set(all), new Set(["ok"]));
    assert.equal(outcome(subnet.settle(sent(100))), "IC0504");
    assert.equal(outcome(subnet.settle(sent(99))), "ok");
    assert.equal(subnet.canister(id).chunks.size, 100);
    assert.equal(outcome(subnet.manage("clear_chunk_store", id)), "ok");
    assert.equal(outcome(subnet.settle(sent(100))), "ok");
  });
});

describe("history", () => {
  test("keeps twenty changes, and counts all", () => {
    const subnet = new TestSubnet();
    const id = subnet.create({ cycles: RICH });
    const { history } = subnet.canister(id);
    assert.equal(history.length, 1);
    const kept = (): number => subnet.canister(id).history.length;
    for (let n = 2; n <= HISTORY_ENTRIES_MAX + 1; n++) {
      const arg = updateSettingsArg(id, { controllers: [CandidPrincipal.anonymous(), someone(n)] });
      subnet.reply({ method: "update_settings", arg });
      assert.equal(kept(), Math.min(n, 20));
    }
    const { historyTotal, history: after } = subnet.canister(id);
    assert.equal(historyTotal, 21n);
    // The creation is the one that went.
    assert.deepEqual(
      after.map(({ details }) => details.kind),
      Array(20).fill("controllers_change"),
    );
  });
});

/** Grows its Wasm memory by as many pages as the first byte of its argument, wherever it runs. */
const GROWING = (pages: number): string => `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
  (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory ${pages}) (table funcref (elem $back)) (data (i32.const 32) "echo")
  (global $more (mut i32) (i32.const 0))
  (func $arg (result i32) (if (call $size) (then (call $copy (i32.const 0) (i32.const 0) (i32.const 1)))) (i32.load8_u (i32.const 0)))
  (func $grow (drop (memory.grow (call $arg))))
  (func $back (param i32) (drop (memory.grow (global.get $more))) (call $reply))
  (func (export "canister_init") (call $grow))
  (func (export "canister_post_upgrade") (call $grow))
  (func (export "canister_pre_upgrade") (drop (memory.grow (global.get $more))))
  (func (export "canister_update grow") (call $grow) (call $reply))
  (func (export "canister_update echo") (call $reply))
  (func (export "canister_query look") (call $grow) (call $reply))
  (func (export "canister_update later") (global.set $more (call $arg)) (call $reply))
  (func (export "canister_update arm") (global.set $more (call $arg)) (drop (call $timer (i64.const 1))) (call $reply))
  (func (export "canister_global_timer") (drop (memory.grow (global.get $more))))
  (func (export "canister_update call") (global.set $more (call $arg))
    (call $self (i32.const 0) (i32.const 0) (i32.const 10))
    (call $new (i32.const 0) (i32.const 10) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (call $perform))))`;

interface Made {
  readonly subnet: TestSubnet;
  readonly id: CanisterId;
}

describe("wasm_memory_limit", () => {
  const limited = (pages: bigint): Made => {
    const subnet = new TestSubnet();
    const id = subnet.create({ cycles: RICH });
    assert.equal(set(subnet, id, { wasm_memory_limit: pages * PAGE }), "ok");
    return { subnet, id };
  };
  const grown = (made: Made, method: string, pages: number): string =>
    outcome(made.subnet.call({ canisterId: made.id, method, arg: Uint8Array.of(pages) }));
  const pagesOf = ({ subnet, id }: Made): number => subnet.canister(id).meta.heapPages;

  test("an update grows up to it", () => {
    const made = limited(4n);
    assert.equal(outcome(made.subnet.install(made.id, GROWING(1))), "ok");
    assert.equal(grown(made, "grow", 4), "IC0539");
    assert.equal(pagesOf(made), 1);
    assert.equal(grown(made, "grow", 3), "ok");
    assert.equal(pagesOf(made), 4);
  });

  test("a module begins within it, with what init, start or post_upgrade add", () => {
    const made = limited(4n);
    assert.equal(outcome(made.subnet.install(made.id, GROWING(5))), "IC0539");
    assert.equal(outcome(made.subnet.install(made.id, GROWING(1), { arg: Uint8Array.of(4) })), "IC0539");
    assert.equal(outcome(made.subnet.install(made.id, "(module (memory 5))")), "IC0539");
    assert.equal(made.subnet.canister(made.id).meta.module, null);
    assert.equal(outcome(made.subnet.install(made.id, GROWING(1), { arg: Uint8Array.of(3) })), "ok");
    const upgrade = { upgrade: [] };
    const upgraded = (pages: number, arg: number): string =>
      outcome(made.subnet.install(made.id, GROWING(pages), { mode: upgrade, arg: Uint8Array.of(arg) }));
    assert.equal(upgraded(5, 0), "IC0539");
    assert.equal(upgraded(4, 1), "IC0539");
    assert.equal(upgraded(4, 0), "ok");
    assert.equal(outcome(made.subnet.install(made.id, GROWING(5), { mode: { reinstall: null } })), "IC0539");
  });

  test("queries, callbacks, timers and pre_upgrade do not know it", () => {
    const made = limited(4n);
    const { subnet, id } = made;
    assert.equal(outcome(subnet.install(id, GROWING(1))), "ok");
    assert.equal(grown(made, "look", 9), "ok");
    assert.equal(pagesOf(made), 1);
    assert.equal(grown(made, "later", 9), "ok");
    assert.equal(outcome(subnet.install(id, GROWING(1), { mode: { upgrade: [] } })), "ok");
    assert.equal(grown(made, "call", 9), "ok");
    assert.equal(pagesOf(made), 10);
    assert.equal(outcome(subnet.install(id, GROWING(1), { mode: { reinstall: null } })), "ok");
    assert.equal(grown(made, "arm", 9), "ok");
    subnet.round();
    assert.equal(pagesOf(made), 10);
  });

  test("over it no update begins, and all else goes on", () => {
    const made = limited(4n);
    const { subnet, id } = made;
    assert.equal(outcome(subnet.install(id, GROWING(1))), "ok");
    assert.equal(grown(made, "grow", 3), "ok");
    assert.equal(set(subnet, id, { wasm_memory_limit: 4n * PAGE - 1n }), "ok");
    const status = subnet.rejection({ canisterId: id, method: "echo" });
    assert.equal(status.errorCode, "IC0539");
    assert.match(
      status.message,
      /^Error from Canister \S+: Canister exceeded its current Wasm memory limit of 262143 bytes\. The peak Wasm memory usage was 262144 bytes\./,
    );
    assert.equal(grown(made, "look", 0), "ok");
    assert.equal(outcome(subnet.manage("canister_status", id)), "ok");
    assert.equal(set(subnet, id, { wasm_memory_limit: 0n }), "ok");
    assert.equal(grown(made, "grow", 1), "ok");
  });
});
