/** An installation whose memories would freeze the canister is refused as a whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const LARGE_FROM_THE_START = `(module (memory 32768) (func (export "canister_update x")))`;
const LARGE_BY_INIT = `(module (memory 1) (func (export "canister_init") (drop (memory.grow (i32.const 32768)))))`;
const SMALL = `(module (memory 1) (func (export "canister_update x")))`;

for (const [what, module] of [
  ["begins with", LARGE_FROM_THE_START],
  ["grows to", LARGE_BY_INIT],
] as const) {
  test(`a module that ${what} more memory than the canister can keep is refused, and nothing of it stays`, () => {
    const subnet = new TestSubnet();
    const poor = subnet.create({ cycles: 500_000_000_000n });
    const status = subnet.install(poor, module);
    assert.equal(status.kind, "rejected");
    assert.match(status.kind === "rejected" ? status.message : "", /due to insufficient cycles/);
    const { meta, memory } = subnet.canister(poor);
    assert.equal(meta.module, null);
    assert.equal(meta.heapPages, 0);
    assert.equal(memory.heap.pageCount, 0);
    assert.equal(subnet.install(poor, SMALL).kind, "replied");
    const rich = subnet.create({ cycles: 5_000_000_000_000n });
    assert.equal(subnet.install(rich, module).kind, "replied");
  });
}
