/** Which changes would leave intervals without room for the keys that are dealt in them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegistryChange } from "./record.ts";
import { addressOf, approved, joining, nodeOf, registryOf } from "./registry.testkit.ts";
import type { Registry } from "./registry.ts";
import { roomFault } from "./room.ts";

const CREATING: readonly RegistryChange[] = [
  { kind: "create", subnet: 2, type: "application" },
  ...[20, 21, 22, 23].map(
    (operator): RegistryChange => ({
      kind: "join",
      address: addressOf(operator),
      nodes: [nodeOf(operator, 2)],
    }),
  ),
];
const interval = (subnet: number, blocks: number): RegistryChange => ({ kind: "interval", subnet, blocks });

function faultOf(registry: Registry, changes: readonly RegistryChange[], created = 0): string | null {
  const judged = registry.judge(registry.propose(changes));
  assert.ok(judged.ok);
  return roomFault(registry, judged.value, created);
}

test("a subnet is created where intervals have room for its keys, and these stay so long until it has them", () => {
  const registry = registryOf(7);
  // Three and five dealings for the nodes' own keys, ten for the others', and half as many blocks again.
  assert.match(
    faultOf(registry, CREATING) ?? "",
    /subnet 0 would have 20 blocks, and 7 nodes need 28 .*subnet that it creates.*--interval 0=28/,
  );
  assert.match(faultOf(registry, [...CREATING, interval(0, 27)]) ?? "", /27 blocks/);
  const enough = [...CREATING, interval(0, 28)];
  assert.equal(faultOf(registry, enough), null);
  assert.ok(registry.append(approved(registry.propose(enough), [0, 1, 2, 3, 4])).ok);
  assert.match(faultOf(registry, [interval(0, 20)]) ?? "", /need 28/);
  assert.equal(faultOf(registry, [interval(0, 20)], 1), null);
  assert.equal(faultOf(registry, [interval(1, 20)]), null);
});

test("nodes come where intervals have room for the keys of all; of what stays as it is nothing is said", () => {
  const registry = registryOf(13);
  assert.match(faultOf(registry, [joining(13)]) ?? "", /subnet 0 would have 20 blocks, and 14 nodes need 22/);
  assert.match(faultOf(registry, [joining(13), interval(0, 22)]) ?? "", /subnet 1 .* --interval 1=22/);
  assert.equal(faultOf(registry, [joining(13), interval(0, 22), interval(1, 22)]), null);
  assert.equal(faultOf(registry, [{ kind: "halt", subnet: 1, halts: true }]), null);
});
