/** Which records make the registry's next version, and what each says of the subnets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborValue, decodeCbor, encodeCborBare, OrreryError } from "@orrery/base";
import fc from "fast-check";
import { decodeRecord, encodeRecord, type RegistryChange } from "./record.ts";
import {
  addressOf,
  approved,
  GENESIS,
  idOf,
  joining,
  leaving,
  nodeOf,
  registryOf,
} from "./registry.testkit.ts";

const added = (() => {
  const registry = registryOf(4);
  const more: readonly RegistryChange[] = [0, 1].flatMap((subnet) => [
    { kind: "upgrade", subnet, from: "0.9.0", to: "1.0.0-rc.1" },
    { kind: "interval", subnet, blocks: 300 + subnet },
  ]);
  return approved(registry.propose([joining(4), leaving(0, 1), ...more]), [0, 1, 2]);
})();

test("versions follow each other, and each says who the members are; places are given once", () => {
  const registry = registryOf(4);
  assert.equal(registry.version, 1);
  assert.equal(registry.record(0, 2), null);
  assert.equal(registry.record(0, 1)?.publicKeys, undefined);
  const appended = registry.append(added);
  assert.ok(appended.ok);
  assert.equal(registry.version, 2);
  assert.deepEqual(
    registry.record(0, 2)?.members,
    [0, 1, 2, 3, 4].map((each) => idOf(each, 0)),
  );
  assert.deepEqual(
    registry.record(1, 2)?.members,
    [1, 2, 3, 4].map((each) => idOf(each, 1)),
  );
  assert.deepEqual(registry.record(1, 2)?.publicKeys?.at(-1), nodeOf(4, 1).publicKey);
  assert.deepEqual(registry.processes.at(-1)?.address, addressOf(4));
  assert.equal(registry.node(1, idOf(4, 1))?.place, 4);
  // Of five nodes of the root four have to approve, the new one among them.
  const next = registry.propose([joining(5), leaving(1, 0), leaving(4, 1)]);
  assert.match(faultOf(registry.append(approved(next, [1, 2, 3]))), /3 nodes approve it, and it takes 4/);
  assert.equal(faultOf(registry.append(approved(next, [1, 2, 3, 4]))), "");
  assert.deepEqual(registry.members(0, 3), [0, 2, 3, 4, 5]);
  assert.deepEqual(registry.members(1, 3), [1, 2, 3, 5]);
  assert.deepEqual(
    registry.record(1, 2)?.members,
    [1, 2, 3, 4].map((each) => idOf(each, 1)),
  );
  const halting = registry.propose([{ kind: "halt", subnet: 1, halts: true }]);
  assert.equal(faultOf(registry.append(approved(halting, [0, 2, 3, 5]))), "");
  assert.deepEqual([registry.halts(1, 3), registry.halts(1, 4), registry.halts(0, 4)], [false, true, false]);
  assert.deepEqual(
    registry.since(2).map(({ mutation }) => mutation.version),
    [3, 4],
  );
  // What a version says of programs and intervals is so for later ones, until another one says otherwise.
  assert.deepEqual([registry.upgrade(0, 1), registry.firstReplicaVersion(0)], [null, "0.9.0"]);
  assert.equal(registry.record(0, 1)?.replicaVersion, undefined);
  assert.deepEqual([registry.record(0, 1)?.intervalLength, registry.record(1, 4)?.intervalLength], [20, 301]);
  assert.equal(registry.record(1, 4)?.replicaVersion, "1.0.0-rc.1");
  // Another node that has the records comes to the same.
  const other = registryOf(4);
  for (const record of registry.since(1)) assert.ok(other.append(encodeRecord(record)).ok);
  assert.deepEqual(other.record(0, 4), registry.record(0, 4));
});

function faultOf(result: ReturnType<ReturnType<typeof registryOf>["append"]>): string {
  return result.ok ? "" : result.error;
}

test("a record that is another one's, or that too few decided, changes nothing", () => {
  const registry = registryOf(4);
  const mutation = registry.propose([joining(4)]);
  const forged = (change: Partial<typeof mutation>, operators = [0, 1, 2]): Uint8Array =>
    approved({ ...mutation, ...change }, operators);
  const twice = decodeRecord(forged({}));
  const [first, ...rest] = twice.approvals;
  assert.ok(first !== undefined);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [forged({}, [0, 1]), /2 nodes approve it, and it takes 3/],
    [forged({}, [0, 1, 4]), /does not hold/],
    [forged({ version: 3 }), /it is version 3, and the newest is 1/],
    [forged({ version: 1 }), /it is version 1/],
    [forged({ previous: new Uint8Array(32) }), /follows another version/],
    [encodeRecord({ ...twice, approvals: [first, first, ...rest] }), /not in their order/],
    [encodeRecord({ ...twice, approvals: [...twice.approvals].reverse() }), /not in their order/],
    [encodeRecord({ ...twice, mutation: { ...mutation, changes: [joining(5)] } }), /does not hold/],
    [Uint8Array.of(1), /not a record of the registry/],
  ];
  for (const [bytes, expected] of cases) assert.match(faultOf(registry.append(bytes)), expected);
  assert.equal(registry.version, 1);
  assert.equal(faultOf(registry.append(forged({}))), "");
  assert.match(faultOf(registry.append(forged({}))), /it is version 2, and the newest is 2/);
});

test("changes that a subnet cannot take are refused, whoever approves them", () => {
  const [known, stranger] = [nodeOf(4, 0), nodeOf(5, 0)];
  const join = (nodes: readonly (typeof known)[]): RegistryChange => ({
    kind: "join",
    address: addressOf(4),
    nodes,
  });
  const cases: readonly (readonly [readonly RegistryChange[], RegExp])[] = [
    [[leaving(0, 0)], /would have 3 nodes, fewer than 4/],
    [[leaving(4, 0)], /is no node of subnet 0/],
    [[joining(4), leaving(1, 0), leaving(1, 0)], /is no node of subnet 0/],
    [[joining(0)], /is or was a node already/],
    [[joining(4), joining(4)], /is or was a node already/],
    [[join([{ ...nodeOf(0, 0), subnet: 1 }])], /is or was a node already/],
    [[join([known, { ...known, subnet: 1 }])], /is or was a node already/],
    [[join([{ ...known, subnet: 2 }])], /there is no subnet 2/],
    [[{ kind: "halt", subnet: 2, halts: true }], /there is no subnet 2/],
    [[{ kind: "interval", subnet: 2, blocks: 50 }], /there is no subnet 2/],
    [[upgrading(2, "0.1.0", "0.2.0")], /there is no subnet 2/],
    [[upgrading(0, "0.1.0", "0.2.0")], /subnets 0 and 1 have nodes in one process/],
    [[upgrading(0, "0.1.0", "0.1.0")], /runs version 0.1.0 already/],
    [[upgrading(0, "0.1.0", "0.2.0"), upgrading(0, "0.1.0", "0.3.0")], /runs version 0.2.0, not 0.1.0/],
    [[join([{ ...known, encryption: stranger.encryption }])], /encryption key|possession|proof/],
    [[join([{ ...known, publicKey: stranger.publicKey }])], /node /],
    [[join([{ ...known, signature: stranger.signature }])], /did not sign/],
  ];
  for (const [changes, expected] of cases) {
    const registry = registryOf(4);
    assert.match(faultOf(registry.append(approved(registry.propose(changes), [0, 1, 2, 3]))), expected);
  }
  // Who left does not come back under the same id, since shares of it may be anywhere.
  const registry = registryOf(4);
  assert.equal(
    faultOf(registry.append(approved(registry.propose([joining(4), leaving(0, 0)]), [0, 1, 2]))),
    "",
  );
  const back = registry.propose([join([nodeOf(0, 0)])]);
  assert.match(faultOf(registry.append(approved(back, [1, 2, 3, 4]))), /is or was a node already/);
});

test("damaged records, and any bytes, are refused or are the one encoding of something else", () => {
  const isStrict = (bytes: Uint8Array): void => {
    try {
      assert.deepEqual(encodeRecord(decodeRecord(bytes)), bytes);
    } catch (error) {
      assert.equal((error as OrreryError).code, "registry_invalid");
    }
  };
  fc.assert(
    fc.property(fc.nat(added.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const copy = added.slice();
      copy[at] = (copy[at] as number) ^ flip;
      isStrict(copy);
      isStrict(added.subarray(0, at));
      assert.equal(registryOfFour().append(copy).ok, false);
    }),
    { numRuns: 300 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), isStrict));
});

test("versions of programs and lengths of intervals are what they can be, and nothing else", () => {
  const bytesOf = (change: RegistryChange): Uint8Array =>
    approved(registryOf(4).propose([change]), [0, 1, 2]);
  const versions = [
    "0.1",
    "v0.1.0",
    "0.1.0+build",
    "01.0.0",
    "0.1.0-",
    "0.1.0 ",
    "",
    `0.1.0-${"a".repeat(43)}`,
  ];
  const odd: readonly RegistryChange[] = [
    ...versions.flatMap((version) => [upgrading(0, version, "0.2.0"), upgrading(0, "0.1.0", version)]),
    ...[19, 2_001, -20, 0].map((blocks) => ({ kind: "interval", subnet: 0, blocks }) as const),
  ];
  for (const change of odd) {
    assert.throws(() => decodeRecord(bytesOf(change)), { code: "registry_invalid" });
    assert.equal(registryOf(4).judge(registryOf(4).propose([change])).ok, false);
  }
  for (const change of [
    upgrading(0, "0.1.0", "10.20.30-a-1.b.2"),
    { kind: "interval", subnet: 1, blocks: 2_000 },
  ] as const)
    assert.deepEqual(decodeRecord(bytesOf(change)).mutation.changes, [change]);
});

const upgrading = (subnet: number, from: string, to: string): RegistryChange => ({
  kind: "upgrade",
  ...{ subnet, from, to },
});

/** Nothing is appended to it. */
const four = registryOf(4);
const registryOfFour = () => four;

test("a record with a field that is wrong, missing or too many is refused", () => {
  const [key, sign] = [new Uint8Array(44), new Uint8Array(64)];
  const node: readonly CborValue[] = [0, key, key, sign];
  const of = (...changes: readonly CborValue[]): CborValue => [[1, 2, GENESIS, changes], []];
  const join = (...fields: readonly CborValue[]): CborValue => of(["join", ...fields]);
  decodeRecord(encodeCborBare(join("a.example", 1, [node, [1, key, key, sign]])));
  const wrong: readonly CborValue[] = [
    [],
    [[1, 2, GENESIS, []], []],
    [[2, 2, GENESIS, [["halt", 0, true]]], []],
    [[1, 2, GENESIS.subarray(1), [["halt", 0, true]]], []],
    [[1, -1, GENESIS, [["halt", 0, true]]], []],
    [[1, 2, GENESIS, [["halt", 0, true]]]],
    [[1, 2, GENESIS, [["halt", 0, true]]], [[key, key]]],
    of(["halt", 0]),
    of(["halt", 0, 1]),
    of(["halt", 64, true]),
    of(["grow", 0, true]),
    of(["leave", 0, key]),
    of(["leave", 0]),
    of(...Array.from({ length: 65 }, () => ["halt", 0, true])),
    join("", 1, [node]),
    join("a b", 1, [node]),
    join("a", 0, [node]),
    join("a", 65_536, [node]),
    join("a", 1, []),
    join("a", 1, [node, node]),
    join("a", 1, [[0, key, key, key]]),
    join("a", 1, [[0, key, sign]]),
  ];
  for (const value of wrong)
    assert.throws(
      () => decodeRecord(encodeCborBare(value)),
      (error) => error instanceof OrreryError && error.code === "registry_invalid",
      JSON.stringify(value),
    );
  assert.ok(decodeCbor(added) !== null);
});

const nodeAlone = (operator: number, subnet: number): RegistryChange => ({
  kind: "join",
  address: addressOf(operator),
  nodes: [nodeOf(operator, subnet)],
});
const fourOf = (subnet: number): readonly RegistryChange[] =>
  [10, 11, 12, 13].map((operator) => nodeAlone(operator, subnet));

test("a record creates a subnet, of which the root's members are told", () => {
  const registry = registryOf(4);
  assert.equal(registry.record(0, 1)?.planned, undefined);
  const create: RegistryChange = { kind: "create", subnet: 2, type: "verified_application" };
  const mutation = registry.propose([create, ...fourOf(2)]);
  assert.equal(faultOf(registry.append(approved(mutation, [0, 1, 2]))), "");
  assert.deepEqual(registry.subnets, [0, 1, 2]);
  assert.equal(registry.created(2), "verified_application");
  assert.deepEqual([registry.created(0), registry.created(3)], [null, null]);
  const members = [10, 11, 12, 13].map((operator) => idOf(operator, 2));
  assert.deepEqual(registry.record(0, 2)?.planned, [{ subnet: 2, members }]);
  assert.deepEqual(registry.record(2, 2)?.members, members);
  for (const [subnet, version] of [
    [1, 2],
    [2, 2],
    [0, 1],
  ] as const)
    assert.equal(registry.record(subnet, version)?.planned, undefined);
  assert.equal(registry.record(2, 1), null);
  assert.ok(members.every((nodeId) => registry.of(0).keysOf(nodeId) !== null));
  const both: RegistryChange = { kind: "join", address: addressOf(9), nodes: [nodeOf(9, 0), nodeOf(9, 2)] };
  assert.match(faultOf(registry.append(approved(registry.propose([both]), [0, 1, 2]))), /has no other node/);
  // Others may join it before it has its keys, and after.
  assert.equal(faultOf(registry.append(approved(registry.propose([nodeAlone(14, 2)]), [0, 1, 2]))), "");
  assert.equal(registry.record(0, 3)?.planned?.[0]?.members.length, 5);
  assert.equal(registry.record(0, 2)?.planned?.[0]?.members.length, 4);
  assert.deepEqual(decodeRecord(approved(mutation, [0, 1, 2])).mutation, mutation);
});

test("a subnet is created in its turn, of enough nodes that do nothing else", () => {
  const create = (subnet: number): RegistryChange => ({ kind: "create", subnet, type: "application" });
  const both: RegistryChange = { kind: "join", address: addressOf(9), nodes: [nodeOf(9, 1), nodeOf(9, 2)] };
  for (const [changes, fault] of [
    [[create(3), ...fourOf(3)], /the next subnet of the network is number 2, not 3/],
    [[create(1)], /number 2, not 1/],
    [[create(2), create(2), ...fourOf(2)], /number 3, not 2/],
    [[create(2)], /subnet 2 would have 0 nodes, fewer than 4/],
    [[create(2), ...fourOf(2).slice(1)], /would have 3 nodes/],
    [[...fourOf(2), create(2)], /there is no subnet 2/],
    [[create(2), ...fourOf(2), both], /which a record created, has no other node/],
  ] as const) {
    const registry = registryOf(4);
    assert.match(faultOf(registry.append(approved(registry.propose(changes), [0, 1, 2]))), fault);
    assert.deepEqual([registry.version, registry.subnets], [1, [0, 1]]);
  }
});
