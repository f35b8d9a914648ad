/** Payments over time cost nothing until a record is read, and are then the same as if each had been made at its time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, principalKey, toHex } from "@orrery/base";
import { CheckpointCollector, decodeCanister, encodeCanister } from "@orrery/state";
import { Mirror } from "../query/mirror.ts";
import { formedView } from "../testing/formed.testkit.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER } from "../testing/watched.testkit.ts";
import { gridPoint, payUntil } from "./upkeep.ts";

const ELEVEN_SECONDS = 11_000_000_000n;
const MONTH: bigint = 30n * 86_400_000_000_000n;

interface Followed {
  readonly subnet: TestSubnet;
  readonly mirror: Mirror;
  readonly ids: readonly CanisterId[];
}

function followed(): Followed {
  const subnet = new TestSubnet();
  const ids = [subnet.installed(COUNTER), subnet.installed(COUNTER), subnet.create()];
  for (const id of ids.slice(0, 2)) {
    const { meta } = subnet.canister(id);
    meta.settings = { ...meta.settings, computeAllocation: 1n };
    subnet.state.changed.canisters.add(principalKey(id));
  }
  subnet.round();
  return { subnet, mirror: new Mirror(formedView(subnet.state)), ids };
}

function follow({ subnet, mirror }: Followed): void {
  const { delta } = subnet.results.at(-1) as (typeof subnet.results)[number];
  mirror.apply(structuredClone(delta), { moved: () => {}, removed: () => {} });
}

function assertSame({ subnet, mirror, ids }: Followed): void {
  for (const id of ids) {
    const { meta, consumed } = subnet.canister(id);
    const mirrored = mirror.canister(id);
    assert.ok(mirrored !== null);
    assert.equal(mirrored.meta.cycles, meta.cycles);
    assert.equal(mirrored.meta.reservedCycles, meta.reservedCycles);
    for (const [use, amount] of consumed) assert.equal(mirrored.consumed.get(use), amount, use);
  }
}

describe("payments over time", () => {
  test("are told to nobody, and a follower has them to the cycle", () => {
    const all = followed();
    const { subnet, ids } = all;
    const [first] = ids as [CanisterId];
    for (const advance of [ELEVEN_SECONDS, 1_000n, ELEVEN_SECONDS, MONTH / 100n]) {
      const before = subnet.canister(first).meta.cycles;
      const grid = gridPoint(subnet.state.time);
      const { delta } = subnet.round([], advance);
      assert.equal(subnet.canister(first).meta.cycles < before, gridPoint(subnet.state.time) > grid);
      assert.deepEqual(delta.canisters, []);
      follow(all);
      assertSame(all);
    }
    const ran = subnet.round([subnet.envelope({ canisterId: first, method: "inc" }).bytes], ELEVEN_SECONDS);
    assert.deepEqual(
      ran.delta.canisters.map(({ meta }) => toHex(meta.id)),
      [toHex(first)],
    );
    follow(all);
    assertSame(all);
  });

  test("are no reason for a checkpoint to name a canister: its old record comes to the same", () => {
    const { subnet, ids } = followed();
    const old = new Map(ids.map((id) => [principalKey(id), encodeCanister(subnet.canister(id))]));
    const collector = new CheckpointCollector(subnet.state, subnet.state.height);
    collector.absorb(subnet.round([], ELEVEN_SECONDS).delta);
    assert.deepEqual(collector.collect(subnet.state, "delta", subnet.arena).canisters, []);
    for (const [key, record] of old) {
      const now = subnet.state.canisters.get(key);
      assert.ok(now !== undefined);
      const restored = decodeCanister(record, now.memory);
      payUntil(subnet.state.subnet, restored, gridPoint(subnet.state.time));
      assert.notEqual(toHex(record), toHex(encodeCanister(now)));
      assert.equal(toHex(encodeCanister(restored)), toHex(encodeCanister(now)));
    }
  });

  test("time is billed at what a canister held then, not at what it grows to", () => {
    const subnet = new TestSubnet();
    const large = `(module (memory 1024) (func (export "canister_update x")))`;
    const id = subnet.create({ cycles: 2_000_000_000_000n });
    subnet.round([], MONTH);
    subnet.install(id, large);
    const before = subnet.canister(id).meta.cycles;
    subnet.round([], ELEVEN_SECONDS);
    // 127,000 cycles a GiB and second, 64 MiB and a little more, for at most two steps of the grid.
    const fair = (127_000n * 65n * 20n) / 1_024n;
    const paid = before - subnet.canister(id).meta.cycles;
    assert.ok(paid > 0n && paid <= fair, `${paid} of ${fair}`);
  });
});
