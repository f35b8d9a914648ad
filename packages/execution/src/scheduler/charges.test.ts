/** Payments over time reach followers and checkpoints at the cost of a few numbers each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, principalKey, toHex } from "@orrery/base";
import { CheckpointCollector, encodeCanister } from "@orrery/state";
import { Mirror } from "../query/mirror.ts";
import { takeSnapshot } from "../query/snapshot.ts";
import { TestSubnet } from "../testing/subnet.testkit.ts";
import { COUNTER } from "../testing/watched.testkit.ts";

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
  }
  subnet.round();
  return { subnet, mirror: new Mirror(structuredClone(takeSnapshot(subnet.state))), ids };
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
  test("are told by balance alone, and a follower has them to the cycle", () => {
    const all = followed();
    const { subnet, ids } = all;
    const [first, second, third] = ids as [CanisterId, CanisterId, CanisterId];
    const before = subnet.canister(first).meta.cycles;
    const { delta } = subnet.round([], ELEVEN_SECONDS);
    assert.ok(subnet.canister(first).meta.cycles < before);
    assert.deepEqual(delta.canisters, []);
    assert.deepEqual([...delta.charged.keys].sort(), ids.map(principalKey).sort());
    follow(all);
    assertSame(all);
    // Who also ran is told in full, once.
    const ran = subnet.round(
      [subnet.envelope({ canisterId: first, method: "inc" }).bytes],
      ELEVEN_SECONDS,
    ).delta;
    assert.deepEqual(
      ran.canisters.map(({ meta }) => toHex(meta.id)),
      [toHex(first)],
    );
    assert.deepEqual([...ran.charged.keys].sort(), [second, third].map(principalKey).sort());
    follow(all);
    assertSame(all);
    assert.deepEqual(subnet.round().delta.charged.keys, []);
  });

  test("belong to the next checkpoint", () => {
    const { subnet, ids } = followed();
    const collector = new CheckpointCollector(subnet.state, subnet.state.height);
    collector.absorb(subnet.round([], ELEVEN_SECONDS).delta);
    const { canisters } = collector.collect(subnet.state, "delta", subnet.arena);
    const paid = ids.map((id) => subnet.canister(id));
    assert.deepEqual(
      canisters.map(({ id, record }) => [toHex(id), toHex(record)]),
      paid.map((canister) => [toHex(canister.meta.id), toHex(encodeCanister(canister))]),
    );
    assert.ok(canisters.every(({ heap, stable }) => heap.length === 0 && stable.length === 0));
  });

  test("time is billed at what a canister held then, not at what it grows to", () => {
    const subnet = new TestSubnet();
    const large = `(module (memory 1024) (func (export "canister_update x")))`;
    const id = subnet.create({ cycles: 2_000_000_000_000n });
    subnet.round([], MONTH);
    subnet.install(id, large);
    const { meta } = subnet.canister(id);
    const before = meta.cycles;
    subnet.round([], ELEVEN_SECONDS);
    // 127,000 cycles a GiB and second, 64 MiB and a little more, for at most two steps of the grid.
    const fair = (127_000n * 65n * 22n) / 1_024n;
    assert.ok(
      before - meta.cycles > 0n && before - meta.cycles <= fair,
      `${before - meta.cycles} of ${fair}`,
    );
  });
});
