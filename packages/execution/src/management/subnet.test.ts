/** What a subnet tells of itself: its nodes' blocks by day, its version. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, type Principal, selfAuthenticating, utf8 } from "@orrery/base";
import { treeGet, treeHash } from "@orrery/crypto";
import { fullTree } from "@orrery/state";
import { REPLICA_VERSION } from "../limits.ts";
import { lateAllocation, localNetwork } from "../local-network.ts";
import { Mirror } from "../query/mirror.ts";
import { takeSnapshot } from "../query/snapshot.ts";
import { routerOf } from "../streams/routing.ts";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { encode, TestSubnet } from "../testing/subnet.testkit.ts";

const DAY = 86_400_000_000_000n;

interface Sample {
  readonly timestamp_nanos: bigint;
  readonly node_metrics: readonly {
    readonly node_id: CandidPrincipal;
    readonly num_blocks_proposed_total: bigint;
    readonly num_block_failures_total: bigint;
  }[];
}

const History = IDL.Vec(
  IDL.Record({
    timestamp_nanos: IDL.Nat64,
    node_metrics: IDL.Vec(
      IDL.Record({
        node_id: IDL.Principal,
        num_blocks_proposed_total: IDL.Nat64,
        num_block_failures_total: IDL.Nat64,
      }),
    ),
  }),
);

function historyArg(subnetId: Principal, start: bigint): Uint8Array {
  const type = IDL.Record({ subnet_id: IDL.Principal, start_at_timestamp_nanos: IDL.Nat64 });
  return encode(
    [type],
    [{ subnet_id: CandidPrincipal.fromUint8Array(subnetId), start_at_timestamp_nanos: start }],
  );
}

function history(subnet: TestSubnet, from: CanisterId, start = 0n): readonly Sample[] {
  const arg = historyArg(subnet.state.subnet.subnetId, start);
  const status = forward(subnet, from, "node_metrics_history", arg);
  assert.equal(status.kind, "replied");
  return IDL.decode([History], status.kind === "replied" ? status.reply : arg)[0] as unknown as Sample[];
}

test("node_metrics_history has a sample a day, sixty at most, each with what there was in all", () => {
  const nodeId = Uint8Array.of(3, 3, 2) as Principal;
  const subnet = new TestSubnet({ subnet: { nodes: [{ nodeId, publicKey: new Uint8Array(44) }] } });
  const asker = subnet.installed(FORWARDER);
  const [today] = history(subnet, asker);
  assert.deepEqual(today?.node_metrics[0]?.node_id.toUint8Array(), nodeId);
  assert.equal(today?.node_metrics[0]?.num_block_failures_total, 0n);
  const soFar = today?.node_metrics[0]?.num_blocks_proposed_total ?? 0n;
  assert.ok(soFar > 0n && soFar <= BigInt(subnet.state.height));
  for (let day = 0; day < 70; day++) {
    subnet.round([], DAY);
    subnet.round();
  }
  const samples = history(subnet, asker);
  assert.equal(samples.length, 60);
  const days = samples.map(({ timestamp_nanos }) => timestamp_nanos / DAY);
  assert.deepEqual(new Set(days).size, 60);
  assert.deepEqual(
    days,
    [...days].sort((a, b) => Number(a - b)),
  );
  const totals = samples.map(({ node_metrics }) => node_metrics[0]?.num_blocks_proposed_total ?? 0n);
  assert.equal((totals[10] ?? 0n) - (totals[9] ?? 0n), 2n, "two blocks a day");
  const since = history(subnet, asker, samples[50]?.timestamp_nanos);
  assert.equal(since.length, 10);
});

test("blocks are their makers'", () => {
  const [first, second] = [Uint8Array.of(3, 3, 2), Uint8Array.of(4, 4, 2)] as [Principal, Principal];
  const nodes = [first, second].map((nodeId) => ({ nodeId, publicKey: new Uint8Array(44) }));
  const subnet = new TestSubnet({ subnet: { nodes } });
  const asker = subnet.installed(FORWARDER);
  const made = (): Map<string, bigint> =>
    new Map(
      history(subnet, asker)
        .at(-1)
        ?.node_metrics.map((one) => [`${one.node_id.toUint8Array()}`, one.num_blocks_proposed_total]),
    );
  const before = made();
  for (let i = 0; i < 7; i++) subnet.round([], 1n, { maker: second });
  const after = made();
  assert.equal(before.get(`${second}`), undefined);
  assert.equal(after.get(`${second}`), 7n);
  assert.ok((after.get(`${first}`) ?? 0n) > (before.get(`${first}`) ?? 0n));
});

test("another subnet's metrics and version are not here to be had", () => {
  const subnet = new TestSubnet();
  const asker = subnet.installed(FORWARDER);
  const other = Uint8Array.of(1, 2, 3) as Principal;
  const { subnetId } = subnet.state.subnet;
  const Info = IDL.Record({ subnet_id: IDL.Principal });
  const info = (id: Principal): Uint8Array =>
    encode([Info], [{ subnet_id: CandidPrincipal.fromUint8Array(id) }]);
  for (const [method, arg] of [
    ["node_metrics_history", historyArg(other, 0n)],
    ["subnet_info", info(other)],
    ["subnet_metrics", info(other)],
  ] as const) {
    const status = forward(subnet, asker, method, arg);
    assert.equal(status.kind, "rejected", method);
  }
  const status = forward(subnet, asker, "subnet_info", info(subnetId));
  assert.equal(status.kind, "replied");
  const Result = IDL.Record({ replica_version: IDL.Text, registry_version: IDL.Nat64 });
  const [decoded] = IDL.decode([Result], status.kind === "replied" ? status.reply : info(other));
  assert.deepEqual(decoded, { replica_version: REPLICA_VERSION, registry_version: 1n });
});

test("subnet_metrics are those of the certified tree before the round, at its height", () => {
  const subnet = new TestSubnet();
  const asker = subnet.installed(FORWARDER);
  subnet.create();
  const { state } = subnet;
  const arg = encode(
    [IDL.Record({ subnet_id: IDL.Principal })],
    [{ subnet_id: CandidPrincipal.fromUint8Array(state.subnet.subnetId) }],
  );
  const status = forward(subnet, asker, "subnet_metrics", arg);
  assert.equal(status.kind, "replied", JSON.stringify(status));
  const Metrics = IDL.Record({
    block_height: IDL.Nat,
    num_canisters: IDL.Nat,
    canister_state_bytes: IDL.Nat,
    consumed_cycles_total: IDL.Nat,
    update_transactions_total: IDL.Nat,
  });
  const [metrics] = IDL.decode([Metrics], status.kind === "replied" ? status.reply : arg) as unknown as [
    Record<string, bigint>,
  ];
  assert.equal(metrics["num_canisters"], 2n);
  assert.ok((metrics["canister_state_bytes"] ?? 0n) > 65_536n);
  const {
    block_height: height,
    consumed_cycles_total: consumed,
    update_transactions_total: updates,
  } = metrics;
  assert.ok(height !== undefined && height > 0n && height <= BigInt(state.height));
  // What the call itself took is not there yet.
  assert.ok(consumed !== undefined && consumed > 0n && consumed < state.consumedCyclesTotal);
  assert.ok(updates !== undefined && updates > 0n && updates < state.updateTransactionsTotal);
});

test("nodes that a batch names take the place of those before, in the certified tree and in the record of the subnet", () => {
  const node = (number: number) => ({
    nodeId: Uint8Array.of(3, 3, number) as Principal,
    publicKey: new Uint8Array(44).fill(number),
  });
  const subnet = new TestSubnet({ subnet: { nodes: [1, 2, 3, 4].map(node) } });
  const { state } = subnet;
  const shown = (): readonly number[] => {
    const path = [utf8("subnet"), state.subnet.subnetId, utf8("node")];
    return [1, 2, 3, 4, 5].filter((number) => {
      const leaf = treeGet(state.tree, [...path, node(number).nodeId, utf8("public_key")]);
      if (leaf !== null) assert.deepEqual(leaf, node(number).publicKey);
      return leaf !== null;
    });
  };
  subnet.round();
  assert.deepEqual(shown(), [1, 2, 3, 4]);
  const changed = subnet.round([], 1n, { nodes: [1, 2, 4, 5].map(node) });
  assert.deepEqual(shown(), [1, 2, 4, 5]);
  const edits = ({ delta }: typeof changed): number =>
    delta.tree.filter(({ path }) => path.length === 5).length;
  assert.equal(edits(changed), 2);
  assert.deepEqual(treeHash(fullTree(state)), changed.rootHash);
  assert.equal(edits(subnet.round([], 1n, { nodes: [1, 2, 4, 5].map(node) })), 0);
  assert.deepEqual(state.subnet.nodes, [1, 2, 4, 5].map(node));
  assert.equal(state.subnet.feeSize, new TestSubnet().state.subnet.feeSize);
});

test("subnets that a batch names come to the certified tree and to the routing table, once", () => {
  const makers = { bls: { publicKey: (secret: Uint8Array) => new Uint8Array(96).fill(secret[0] ?? 0) } };
  const [root, application] = localNetwork({
    seed: new Uint8Array(32).fill(1),
    subnets: [
      { type: "system", feeSize: 13 },
      { type: "application", feeSize: 13 },
    ],
    local: false,
    makers: { ...makers, ed25519PublicKeyDer: (secret) => secret.slice() },
  });
  assert.ok(root !== undefined && application !== undefined);
  const late = { place: 2, type: "verified_application", publicKey: new Uint8Array(133).fill(7) };
  const subnetId = selfAuthenticating(late.publicKey) as Principal;
  const unknown = { ...late, place: 3, type: "of a later program" };
  for (const { info } of [root, application]) {
    const subnet = new TestSubnet({ subnet: info });
    const { state } = subnet;
    subnet.round();
    const mirror = new Mirror(takeSnapshot(state));
    const { start } = lateAllocation(2);
    assert.notDeepEqual(routerOf(state.subnet).route(start)?.subnetId, subnetId);
    const grown = subnet.round([], 1n, { subnets: [late, unknown] });
    assert.deepEqual(treeHash(fullTree(state)), grown.rootHash);
    const leaf = (name: string) => treeGet(state.tree, [utf8("subnet"), subnetId, utf8(name)]);
    assert.deepEqual(leaf("public_key"), late.publicKey);
    assert.deepEqual(leaf("type"), utf8("verified_application"));
    assert.notEqual(leaf("canister_ranges"), null);
    const route = routerOf(state.subnet).route(start);
    assert.deepEqual([route?.subnetId, route?.type], [subnetId, "verified_application"]);
    assert.deepEqual(grown.delta.subnet, state.subnet);
    // Whoever follows has the same tree, and the same table.
    mirror.apply(grown.delta, { moved: () => {}, removed: () => {} });
    assert.deepEqual(mirror.subnet, state.subnet);
    const again = subnet.round([], 1n, { subnets: [late] });
    assert.equal(again.delta.subnet, undefined);
    assert.equal(
      again.delta.tree.some(({ path }) => path.length > 2 && path[1] === subnetId),
      false,
    );
  }
});
