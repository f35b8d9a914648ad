/** The rate of installations: who installed much waits, whatever became of it, and the wait survives a restart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCanister, encodeCanister } from "@orrery/state";
import { TestSubnet } from "../testing/subnet.testkit.ts";

const MODULE = `(module (func (export "canister_update x") (drop (i32.add (i32.const 1) (i32.const 2)))))`;
const TRAPPING = `(module (func (export "canister_init") unreachable))`;
const REINSTALL = { mode: { reinstall: null } };

function rounds(subnet: TestSubnet, count: number): void {
  for (let i = 0; i < count; i++) subnet.round();
}

for (const [what, module, outcome] of [
  ["succeeded", MODULE, "replied"],
  ["failed", TRAPPING, "rejected"],
] as const) {
  test(`an installation that ${what} is waited for`, () => {
    const subnet = new TestSubnet({ limits: { installDebitPerRound: 4_000n } });
    const id = subnet.create();
    assert.equal(subnet.install(id, module).kind, outcome);
    const canister = subnet.canister(id);
    const debit = canister.installDebit ?? 0n;
    assert.ok(debit > 12_000n, `${debit}`);
    assert.equal(decodeCanister(encodeCanister(canister), canister.memory).installDebit, debit);
    const refused = subnet.install(id, MODULE, REINSTALL);
    assert.equal(refused.kind === "rejected" && refused.errorCode, "IC0209");
    assert.match(
      refused.kind === "rejected" ? refused.message : "",
      /^Canister \S+ is rate limited because it executed too many instructions in the previous install_code messages\. Please retry installation after several minutes\.\nRetry the installation at a later time\./,
    );
    // One share a round, restarts or not; another canister does not wait.
    assert.equal(subnet.install(subnet.create(), MODULE).kind, "replied");
    rounds(subnet, 2);
    subnet.reload(subnet.runner);
    const left = canister.installDebit ?? 0n;
    assert.ok(left > 0n && left < debit);
    rounds(subnet, Number(left / 4_000n) + 1);
    assert.equal(canister.installDebit, undefined);
    assert.equal(subnet.install(id, MODULE, REINSTALL).kind, "replied");
  });
}

test("on a local network nobody waits unless told to", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(MODULE);
  assert.equal(subnet.canister(id).installDebit, undefined);
  assert.equal(subnet.install(id, MODULE, REINSTALL).kind, "replied");
});
