/** Modules that come by snapshots are held to what installed ones are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, concatBytes, utf8 } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import { wat } from "../testing/bench.testkit.ts";
import {
  metadataArg,
  replyOf,
  SnapshotList,
  snapshotArg,
  takeArg,
  uploadDataArg,
} from "../testing/snapshots.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}

function section(name: string, bytes: number): Uint8Array {
  const body = concatBytes(Uint8Array.from(leb(name.length)), utf8(name), new Uint8Array(bytes));
  return concatBytes(Uint8Array.of(0, ...leb(body.length)), body);
}

const EMPTY = "(module)";

function withSections(...sections: readonly Uint8Array[]): Uint8Array {
  return concatBytes(wat(EMPTY), ...sections);
}

function loadUploaded(subnet: TestSubnet, id: CanisterId, module: Uint8Array): IngressStatus {
  const metadata = {
    wasm_module_size: BigInt(module.length),
    globals: [],
    wasm_memory_size: 0n,
    stable_memory_size: 0n,
    certified_data: new Uint8Array(0),
    global_timer: [],
    on_low_wasm_memory_hook_status: [],
  };
  const arg = metadataArg(id, metadata as never);
  const reply = subnet.reply({ method: "upload_canister_snapshot_metadata", arg });
  const { snapshot_id } = replyOf(SnapshotList.uploaded, reply);
  const write = { kind: { wasm_module: { offset: 0n } }, chunk: module };
  subnet.reply({ method: "upload_canister_snapshot_data", arg: uploadDataArg(id, snapshot_id, write) });
  return subnet.call({ method: "load_canister_snapshot", arg: snapshotArg(id, snapshot_id) });
}

function refusal(status: IngressStatus): readonly [string, string] {
  return status.kind === "rejected" ? [status.errorCode, status.message] : [status.kind, ""];
}

const numbered = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => section(`icp:public s${i}`, 1));

for (const [what, module, text] of [
  ["number of custom sections", withSections(...numbered(17)), /custom sections/],
  ["size of custom sections", withSections(section("icp:private big", 1 << 20)), /custom sections/],
  ["names of custom sections", withSections(section("icp:neither x", 1)), /custom section/],
  [
    "one name in two visibilities",
    withSections(section("icp:public a", 1), section("icp:private a", 1)),
    /custom section/,
  ],
  [
    "number of exported methods",
    wat(
      `(module ${Array.from({ length: 1_001 }, (_, i) => `(func (export "canister_query q${i}"))`).join("")})`,
    ),
    /exported/i,
  ],
  ["number of globals", wat(`(module ${"(global i32 (i32.const 0))".repeat(1_001)})`), /globals/],
  ["names of imports", wat(`(module (import "ic0" "no_such_thing" (func)))`), /import/],
] as const) {
  test(`an uploaded module is refused for its ${what}`, () => {
    const subnet = new TestSubnet();
    const id = subnet.installed(EMPTY);
    const installed = refusal(subnet.install(subnet.create(), module));
    assert.equal(installed[0], "IC0505");
    assert.match(installed[1], text);
    const [code, message] = refusal(loadUploaded(subnet, id, module));
    assert.equal(code, "IC0505");
    const reason = /Canister's Wasm module is not valid: (.*)/.exec(installed[1])?.[1];
    assert.ok(reason !== undefined && message.includes(reason), `${message} says ${reason}`);
  });
}

test("at the limits it is loaded", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(EMPTY);
  assert.equal(loadUploaded(subnet, id, withSections(...numbered(16))).kind, "replied");
});

test("a subnet's room for custom sections holds for loads, uploaded or taken", () => {
  const subnet = new TestSubnet({ limits: { customSectionBytes: 4_000 } });
  const large = withSections(section("icp:public s", 900));
  const [id, other] = [subnet.installed(large), subnet.installed(EMPTY)];
  const [code, text] = refusal(loadUploaded(subnet, other, large));
  assert.equal(code, "IC0101");
  assert.match(text, /^Canister requested \d+ B of Wasm custom sections memory but only \d+ B are available/);
  const taken = replyOf(
    SnapshotList.single,
    subnet.reply({ method: "take_canister_snapshot", arg: takeArg(id) }),
  );
  const load = subnet.call({ method: "load_canister_snapshot", arg: snapshotArg(other, taken.id) });
  assert.equal(refusal(load)[0], "IC0101");
  // Its own canister has these sections already.
  assert.equal(
    subnet.call({ method: "load_canister_snapshot", arg: snapshotArg(id, taken.id) }).kind,
    "replied",
  );
});
