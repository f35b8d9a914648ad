/** Canisters whose messages take long, or write to very many pages: their next message begins with a short slice. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExecutionLimits } from "../limits.ts";
import { record, replay, SMALL, SPINNER, TestSubnet, u32 } from "../testing/long.testkit.ts";

const CYCLES = 10n ** 15n;
/** Some 230,000 instructions, and 32 pages. */
const SOME = u32(10_000);
const LIMITS: Partial<ExecutionLimits> = {
  ...SMALL,
  instructionsPerFirstSlice: 1_000_000n,
  instructionsPerHeavySlice: 100_000n,
};

function rounds(
  subnet: TestSubnet,
  canisterId: ReturnType<TestSubnet["installed"]>,
  arg: Uint8Array,
): number {
  const before = subnet.state.height;
  subnet.reply({ canisterId, method: "spin", arg });
  return subnet.state.height - before;
}

describe("a canister that was heavy", () => {
  test("is answered a round later once, and at once when it was light again", () => {
    const subnet = new TestSubnet({ limits: LIMITS });
    const id = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
    assert.equal(rounds(subnet, id, SOME), 1);
    assert.equal(rounds(subnet, id, u32(100_000)), 2);
    assert.equal(rounds(subnet, id, SOME), 2);
    assert.equal(rounds(subnet, id, SOME), 1);
  });

  test("is so as well by the pages that it writes to", () => {
    const subnet = new TestSubnet({ limits: { ...LIMITS, instructionsPerPage: 30_000n } });
    const id = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
    assert.equal(rounds(subnet, id, SOME), 1);
    assert.equal(rounds(subnet, id, SOME), 2);
  });

  test("never is where no limit says so", () => {
    const subnet = new TestSubnet({ limits: { ...LIMITS, instructionsPerHeavySlice: null } });
    const id = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
    assert.equal(rounds(subnet, id, u32(100_000)), 2);
    assert.equal(rounds(subnet, id, SOME), 1);
  });

  test("is known as such after a restart", () => {
    const recording = record(LIMITS, (subnet) => {
      const canisterId = subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES });
      for (const turns of [100_000, 10_000, 10_000])
        subnet.reply({ canisterId, method: "spin", arg: u32(turns) });
    });
    replay(recording, { restart: () => true });
  });
});
