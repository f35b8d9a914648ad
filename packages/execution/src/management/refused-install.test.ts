/** What a failed installation tells and costs: which part is told of where several fail, and that only what was done is paid. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type CanisterId, utf8 } from "@orrery/base";
import { executionCost } from "../fees.ts";
import { wat } from "../testing/bench.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const OLD = `(module
  (func (export "canister_pre_upgrade"))
  (func (export "canister_update x")))`;
/** Counts as many instructions before it fails. */
const TRAPPING = `(module
  (func (export "canister_pre_upgrade") nop nop nop unreachable)
  (func (export "canister_update x")))`;
const SECTION = utf8("icp:private enhanced-orthogonal-persistence");
const PERSISTENT = Uint8Array.from([...wat(TRAPPING), 0, SECTION.length + 1, SECTION.length, ...SECTION]);
const LARGE = `(module (func (export "canister_update x") ${"(drop (i32.const 1))".repeat(500)}))`;
const UPGRADE = { upgrade: [] };
const NOTHING = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 200]);

/** What an installation that fails tells, and what its instructions cost. */
function failing(
  subnet: TestSubnet,
  id: CanisterId,
  module: string | Uint8Array,
  mode: unknown = { install: null },
): { readonly code: string; readonly message: string; readonly cost: bigint } {
  const consumed = (): bigint => subnet.canister(id).consumed.get("instructions") ?? 0n;
  const before = consumed();
  const status = subnet.install(id, module, { mode });
  assert.ok(status.kind === "rejected", JSON.stringify(status));
  const { errorCode, message } = status;
  return { code: errorCode, message, cost: consumed() - before };
}

const cost = (subnet: TestSubnet, instructions: bigint): bigint =>
  executionCost(subnet.state.subnet, instructions, false);

describe("an upload that is no module", () => {
  test("is paid as if each of its bytes were an operator", () => {
    const subnet = new TestSubnet();
    const id = subnet.create();
    for (const length of [9, 1_000, 20_000]) {
      const upload = new Uint8Array(length);
      upload.set(NOTHING);
      const { code, cost: paid } = failing(subnet, id, upload);
      assert.equal(code, "IC0505");
      assert.equal(paid, cost(subnet, 6_000n * BigInt(length)));
    }
  });

  test("is paid by the length that a gzip stream states, up to what an installation may execute", () => {
    const subnet = new TestSubnet({ limits: { instructionsPerInstall: 1_000_000_000n } });
    const id = subnet.create();
    const small = gzipSync(new Uint8Array(30_000));
    assert.equal(failing(subnet, id, small).cost, cost(subnet, 180_000_000n));
    const large = gzipSync(new Uint8Array(300_000));
    assert.equal(failing(subnet, id, large).cost, cost(subnet, 1_000_000_000n));
  });

  test("is told only after pre_upgrade, which is paid too", () => {
    const subnet = new TestSubnet();
    const id = subnet.installed(OLD);
    const { code, cost: paid } = failing(subnet, id, NOTHING, UPGRADE);
    assert.equal(code, "IC0505");
    assert.ok(paid >= cost(subnet, 6_000n * 9n));
    const trapping = subnet.installed(TRAPPING);
    const told = failing(subnet, trapping, NOTHING, UPGRADE);
    assert.equal(told.code, "IC0502");
    assert.ok(told.cost < cost(subnet, 100n), `${told.cost}`);
    const skipping = { upgrade: [{ skip_pre_upgrade: [true], wasm_memory_persistence: [] }] };
    assert.equal(failing(subnet, trapping, NOTHING, skipping).code, "IC0505");
  });
});

test("a pre_upgrade that fails is told before a missing option, and costs what it executed", () => {
  const subnet = new TestSubnet();
  const persistent = subnet.installed(PERSISTENT);
  assert.equal(failing(subnet, persistent, OLD, UPGRADE).code, "IC0502");
  const skipping = { upgrade: [{ skip_pre_upgrade: [true], wasm_memory_persistence: [] }] };
  const refused = failing(subnet, persistent, LARGE, skipping);
  assert.equal(refused.code, "IC0504");
  assert.match(refused.message, /Missing upgrade option/);
  assert.equal(refused.cost, cost(subnet, 0n), "nobody pays for compiling what is refused for the option");
});

test("compiling the new module is not paid where pre_upgrade fails", () => {
  const subnet = new TestSubnet();
  const trapping = subnet.installed(TRAPPING);
  const small = failing(subnet, trapping, OLD, UPGRADE);
  const large = failing(subnet, trapping, LARGE, UPGRADE);
  assert.equal(small.code, "IC0502");
  assert.equal(large.cost, small.cost);
  assert.ok(large.cost < cost(subnet, 100n));
  assert.equal(subnet.install(trapping, LARGE, { mode: { reinstall: null } }).kind, "replied");
});

test("what failed installations printed is kept, until one succeeds", () => {
  const printing = (text: string, end = ""): string => `(module
    (import "ic0" "debug_print" (func $print (param i32 i32)))
    (memory 1)
    (data (i32.const 0) "${text}")
    (func (export "canister_init") (call $print (i32.const 0) (i32.const ${text.length})) ${end})
    (func (export "canister_pre_upgrade") (call $print (i32.const 0) (i32.const ${text.length}))))`;
  const subnet = new TestSubnet();
  const id = subnet.create();
  const log = (): string[] =>
    subnet.canister(id).logs.map(({ content }) => new TextDecoder().decode(content));
  failing(subnet, id, printing("first", "unreachable"));
  assert.equal(log()[0], "first");
  assert.equal(subnet.install(id, printing("second")).kind, "replied");
  assert.deepEqual(log(), ["second"]);
  assert.equal(subnet.install(id, printing("third"), { mode: UPGRADE }).kind, "replied");
  assert.deepEqual(log(), ["second", "second"]);
});
