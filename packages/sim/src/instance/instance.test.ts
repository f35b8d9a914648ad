/** Networks in one place: ids and routing, time and rounds, calls, instruments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  canisterIdFromIndex,
  MANAGEMENT_CANISTER,
  principalFromText,
  principalToText,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { verifyCertificate } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import type { Instance, SubnetTopology } from "./index.ts";
import {
  call,
  candid,
  createCanister,
  createdId,
  creation,
  fixture,
  GENESIS,
  install,
  installed,
  natOf,
  newInstance,
  query,
  update,
} from "./instance.testkit.ts";

const codeOf = (code: string): { readonly code: string } => ({ code });
const idOf = (text: string): ReturnType<typeof principalFromText> => principalFromText(text);

function kindOf(instance: Instance, kind: SubnetTopology["kind"]): SubnetTopology {
  const found = instance.topology().subnets.find((subnet) => subnet.kind === kind);
  assert.ok(found !== undefined, `a subnet of kind ${kind}`);
  return found;
}

test("a round takes a block of messages: a thousand, or four megabytes", () => {
  const instance = newInstance(["application"]);
  const id = installed(instance, "counter.eop");
  const submit = (one: Parameters<Instance["submitIngress"]>[0]) => {
    const submitted = instance.submitIngress(one);
    assert.ok(submitted.ok);
    return submitted.value;
  };
  // What takes no instructions, so that nothing else ends the round.
  const many = Array.from({ length: 1_001 }, () => submit(call(id, "missing")));
  const waiting = (of: typeof many): number =>
    of.filter((one) => instance.ingressStatus(one) === null).length;
  instance.tick();
  assert.equal(waiting(many), 1);
  instance.tick();
  assert.equal(waiting(many), 0);
  const long = Array.from({ length: 3 }, () =>
    submit({ ...call(id, "missing"), arg: new Uint8Array(1_900_000) }),
  );
  instance.tick();
  assert.equal(waiting(long), 1);
  assert.equal(instance.settle(), true);
  assert.equal(waiting(long), 0);
});

test("a counter counts, is queried, and what it does not know is rejected", () => {
  const instance = newInstance(["application"]);
  const id = installed(instance, "counter.eop");
  assert.equal(natOf(update(instance, call(id, "inc"))), 1n);
  assert.equal(natOf(query(instance, call(id, "get"))), 1n);
  const missing = instance.submitIngress(call(id, "missing"));
  assert.ok(missing.ok);
  assert.equal(instance.ingressStatus(missing.value), null);
  const answer = instance.awaitIngress(missing.value);
  assert.ok(!answer.ok);
  assert.deepEqual([answer.error.code, answer.error.errorCode, answer.error.certified], [5, 536, true]);
  assert.deepEqual(instance.ingressStatus(missing.value, ANONYMOUS), answer);
  assert.throws(
    () => instance.ingressStatus(missing.value, selfAuthenticating(Uint8Array.of(1))),
    codeOf("call_foreign"),
  );
  const refused = instance.query(call(id, "missing"));
  assert.ok(!refused.ok);
  assert.equal(refused.error.errorCode, 536);
  assert.doesNotMatch(refused.error.message, /IC0536/);
  const unknown = instance.submitIngress(call(idOf("lqy7q-dh777-77777-aaaaq-cai"), "inc"));
  assert.ok(!unknown.ok);
  assert.deepEqual([unknown.error.errorCode, unknown.error.certified], [301, false]);
});

test("canister ids are PocketIC's for the same topology", () => {
  const alone = newInstance(["application"]);
  assert.equal(principalToText(createCanister(alone)), "lxzze-o7777-77777-aaaaa-cai");
  assert.equal(principalToText(createCanister(alone)), "lqy7q-dh777-77777-aaaaq-cai");
  const named = newInstance(["application", "ii", "nns"]);
  assert.deepEqual(
    named.topology().subnets.map(({ kind, size, type }) => [kind, size, type]),
    [
      ["nns", 40, "system"],
      ["ii", 34, "system"],
      ["application", 13, "application"],
    ],
  );
  assert.equal(principalToText(createCanister(named)), "tqzl2-p7777-77776-aaaaa-cai");
  assert.equal(principalToText(createCanister(named)), "txyno-ch777-77776-aaaaq-cai");
  assert.equal(principalToText(named.topology().defaultEffectiveCanisterId), "tqzl2-p7777-77776-aaaaa-cai");
  const ranges = (kind: SubnetTopology["kind"]): string[][] =>
    kindOf(named, kind).ranges.map(({ start, end }) => [principalToText(start), principalToText(end)]);
  assert.deepEqual(ranges("nns").slice(0, 2), [
    ["rwlgt-iiaaa-aaaaa-aaaaa-cai", "renrk-eyaaa-aaaaa-aaada-cai"],
    ["qoctq-giaaa-aaaaa-aaaea-cai", "n5n4y-3aaaa-aaaaa-p777q-cai"],
  ]);
  assert.deepEqual(ranges("ii").slice(0, 2), [
    ["rdmx6-jaaaa-aaaaa-aaadq-cai", "rdmx6-jaaaa-aaaaa-aaadq-cai"],
    ["uc7f6-kaaaa-aaaaq-qaaaa-cai", "ijz7v-ziaaa-aaaaq-7777q-cai"],
  ]);
  assert.equal(
    principalToText(kindOf(named, "ii").id),
    "uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe",
  );
  const everything = newInstance(["sns", "fiduciary", "bitcoin", "test_threshold_keys", "system"]);
  for (const { kind, id, ranges: held } of everything.topology().subnets) {
    if (kind === "system") continue;
    const first = held[0]?.start as Uint8Array;
    const specified = everything.submitIngress(creation(principalToText(first)));
    assert.ok(specified.ok);
    assert.deepEqual(specified.value.subnetId, id);
    assert.deepEqual(
      createdId(update(everything, creation(null, { kind: "subnet", id }))),
      held.at(-1)?.start,
    );
  }
});

test("topologies that cannot be are refused", () => {
  assert.throws(() => newInstance([]), codeOf("topology_invalid"));
  assert.throws(() => newInstance(["nns", "nns"]), codeOf("topology_invalid"));
  assert.throws(() => newInstance(["moon" as "nns"]), codeOf("topology_invalid"));
  assert.throws(
    () => newInstance(Array.from({ length: 65 }, () => "application")),
    codeOf("topology_invalid"),
  );
  assert.throws(() => newInstance(["application"], { seed: new Uint8Array(3) }), codeOf("seed_invalid"));
});

test("an id of the public network brings its subnet; a generated one cannot be asked for", () => {
  const instance = newInstance(["application"]);
  const wanted = "y2aaj-miaaa-aaaad-aacxq-cai";
  assert.deepEqual(principalToText(createdId(update(instance, creation(wanted)))), wanted);
  assert.equal(instance.topology().subnets.length, 2);
  const host = instance.subnetOf(idOf(wanted));
  assert.ok(host !== null);
  install(instance, idOf(wanted), fixture("counter.eop"));
  assert.equal(natOf(update(instance, call(idOf(wanted), "inc"))), 1n);
  // The other subnet knows the new one.
  const caller = installed(instance, "caller.eop");
  assert.notDeepEqual(instance.subnetOf(caller), host);
  const callee = createCanister(instance, host);
  install(instance, callee, fixture("callee.eop"));
  assert.equal(natOf(update(instance, call(caller, "relay", relayArg(principalToText(callee), 20n)))), 20n);
  // Bitcoin's canister brings a subnet of that kind, with its id.
  update(instance, creation("g4xu7-jiaaa-aaaan-aaaaq-cai"));
  assert.equal(
    principalToText(kindOf(instance, "bitcoin").id),
    "w4rem-dv5e3-widiz-wbpea-kbttk-mnzfm-tzrc7-svcj3-kbxyb-zamch-hqe",
  );
  for (const id of [
    "rwlgt-iiaaa-aaaaa-aaaaa-cai",
    "rdmx6-jaaaa-aaaaa-aaadq-cai",
    principalToText(canisterIdFromIndex(2n ** 40n)),
  ]) {
    assert.throws(() => instance.submitIngress(creation(id)), codeOf("call_unroutable"));
  }
  const generated = instance.submitIngress(creation("lqy7q-dh777-77777-aaaaq-cai"));
  assert.ok(generated.ok);
  const answer = instance.awaitIngress(generated.value);
  assert.ok(!answer.ok);
  assert.equal(answer.error.errorCode, 408);
  assert.match(answer.error.message, /belongs to the canister allocation ranges of the test environment/);
});

function relayArg(callee: string, n: bigint): Uint8Array {
  return candid([IDL.Principal, IDL.Nat], [Principal.fromText(callee), n]);
}

test("calls are routed by what they say, then by what they are about", () => {
  const instance = newInstance(["nns", "application", "application"]);
  const [, first, second] = instance.topology().subnets;
  assert.ok(first !== undefined && second !== undefined);
  const id = createCanister(instance, second.id);
  assert.deepEqual(instance.subnetOf(id), second.id);
  assert.deepEqual(instance.subnetOf(createCanister(instance)), first.id);
  assert.equal(instance.subnetOf(idOf("rwlgt-iiaaa-aaaaa-aaaaa-cai")), null);
  assert.deepEqual(instance.hostOf(idOf("rwlgt-iiaaa-aaaaa-aaaaa-cai")), kindOf(instance, "nns").id);
  const undirected = call(MANAGEMENT_CANISTER, "raw_rand");
  assert.throws(() => instance.query(undirected), codeOf("call_unroutable"));
  const nobody = call(MANAGEMENT_CANISTER, "raw_rand", undefined, {
    effective: { kind: "subnet", id: idOf("aaaaa-aa") },
  });
  assert.throws(() => instance.submitIngress(nobody), codeOf("subnet_unknown"));
  const broken = call(MANAGEMENT_CANISTER, "stop_canister", Uint8Array.of(1, 2, 3));
  assert.throws(() => instance.submitIngress(broken), codeOf("call_unroutable"));
});

test("a round takes a nanosecond unless the time was moved, which goes forwards only", () => {
  const instance = newInstance(["application"]);
  assert.equal(instance.time, GENESIS);
  instance.tick();
  assert.equal(instance.time, GENESIS + 1n);
  instance.setTime(GENESIS + 500n);
  assert.equal(instance.time, GENESIS + 500n);
  instance.tick();
  assert.equal(instance.time, GENESIS + 500n);
  instance.tick();
  assert.equal(instance.time, GENESIS + 501n);
  instance.setTime(GENESIS + 501n);
  assert.throws(() => instance.setTime(GENESIS + 500n), codeOf("time_backwards"));
  assert.throws(() => instance.setCertifiedTime(GENESIS), codeOf("time_backwards"));
});

const bls = await createMclBls();

function certifiedTime(instance: Instance, subnet: SubnetTopology): bigint {
  const replica = instance.replicaOf({ kind: "subnet", id: subnet.id });
  const answer = replica.readState({
    destination: { kind: "subnet", id: subnet.id },
    ranges: "sharded",
    paths: [[utf8("time")]],
    sender: ANONYMOUS,
    targets: null,
  });
  assert.ok(answer.kind === "certificate");
  const verified = verifyCertificate({
    bytes: answer.certificate,
    rootKeyDer: instance.rootKey,
    scope: { subnet: subnet.id },
    bls,
  });
  assert.ok(verified.ok, verified.ok ? "" : JSON.stringify(verified.error));
  return verified.value.time;
}

test("certificates of every subnet verify under the root's key, and certified time shows at once", () => {
  const instance = newInstance(["nns", "sns", "application"]);
  const later = GENESIS + 3_600_000_000_000n;
  instance.setCertifiedTime(later);
  for (const subnet of instance.topology().subnets) assert.equal(certifiedTime(instance, subnet), later);
  instance.setTime(later + 5n);
  for (const subnet of instance.topology().subnets) assert.equal(certifiedTime(instance, subnet), later);
  assert.deepEqual(instance.rootKey, instance.publicKey(kindOf(instance, "nns").id));
  assert.throws(() => instance.publicKey(idOf("aaaaa-aa")), codeOf("subnet_unknown"));
});

test("timers fire when their time has come and a round is run", () => {
  const instance = newInstance(["application"]);
  const id = installed(instance, "timers.eop");
  update(instance, call(id, "startRecurring", candid([IDL.Nat], [10n])));
  const ticks = (): bigint => {
    const counts = IDL.Record({ ticks: IDL.Nat });
    const [{ ticks: value }] = IDL.decode([counts], query(instance, call(id, "counts"))) as unknown as [
      { readonly ticks: bigint },
    ];
    return value;
  };
  assert.ok(instance.settle());
  assert.equal(ticks(), 0n);
  const due = instance.nextDue();
  assert.ok(due !== null && due > instance.time);
  instance.setTime(due);
  assert.equal(ticks(), 0n);
  instance.tick();
  assert.ok(instance.settle());
  assert.equal(ticks(), 1n);
});

test("instruments change balances and stable memory at once", () => {
  const instance = newInstance(["application"]);
  const id = installed(instance, "stable-structures.classic");
  const before = instance.cycles(id);
  assert.equal(instance.addCycles(id, 5_000n), before + 5_000n);
  assert.equal(instance.cycles(id), before + 5_000n);
  assert.equal(instance.addCycles(id, 2n ** 128n), 2n ** 128n - 1n);
  const stable = instance.stableMemory(id);
  const bytes = new Uint8Array(70_000).fill(9);
  instance.setStableMemory(id, bytes);
  const kept = instance.stableMemory(id);
  assert.equal(kept.length, 2 * 65_536);
  assert.deepEqual(kept.subarray(0, bytes.length), bytes);
  assert.ok(kept.subarray(bytes.length).every((byte) => byte === 0));
  instance.setStableMemory(id, stable);
  assert.deepEqual(instance.stableMemory(id), stable);
  assert.deepEqual(instance.controllers(id), [ANONYMOUS]);
  const nobody = idOf("lqy7q-dh777-77777-aaaaq-cai");
  assert.throws(() => instance.cycles(nobody), codeOf("canister_unknown"));
  assert.equal(instance.canisterExists(nobody), false);
  assert.equal(instance.keepsHeap(id), false);
  assert.equal(instance.keepsHeap(installed(instance, "counter.eop")), true);
});

test("a round is made by a node that the subnet has", () => {
  const instance = newInstance(["application"]);
  const [subnet] = instance.topology().subnets;
  assert.ok(subnet !== undefined);
  const [nodeId] = subnet.nodes;
  assert.ok(nodeId !== undefined);
  instance.tick([{ subnetId: subnet.id, nodeId, failed: [] }]);
  const invalid = codeOf("blockmaker_invalid");
  assert.throws(() => instance.tick([{ subnetId: subnet.id, nodeId, failed: [nodeId] }]), invalid);
  assert.throws(
    () => instance.tick([{ subnetId: subnet.id, nodeId: idOf("aaaaa-aa"), failed: [] }]),
    invalid,
  );
  assert.equal(instance.time, GENESIS + 1n);
});

test("subnets can be deleted, named ones and the last one cannot", () => {
  const instance = newInstance(["nns", "application", "application"]);
  const [nns, first, second] = instance.topology().subnets;
  assert.ok(nns !== undefined && first !== undefined && second !== undefined);
  const id = createCanister(instance, second.id);
  install(instance, id, fixture("counter.eop"));
  assert.throws(() => instance.deleteSubnet(nns.id), codeOf("subnet_named"));
  instance.deleteSubnet(first.id);
  assert.equal(natOf(update(instance, call(id, "inc"))), 1n);
  assert.deepEqual(
    instance.topology().subnets.map((subnet) => subnet.id),
    [nns.id, second.id],
  );
  assert.throws(() => instance.publicKey(first.id), codeOf("subnet_unknown"));
  const alone = newInstance(["application"]);
  assert.throws(
    () => alone.deleteSubnet(alone.topology().subnets[0]?.id as typeof nns.id),
    codeOf("subnet_named"),
  );
  instance.dispose();
  assert.throws(() => instance.tick(), codeOf("instance_gone"));
});

test("free subnets cost nothing, benchmarking ones let messages be long", () => {
  const instance = newInstance([], {
    topology: [
      { kind: "application", costSchedule: "free" },
      { kind: "application", instructions: "benchmarking" },
    ],
  });
  const [free, bench] = instance.topology().subnets;
  assert.ok(free !== undefined && bench !== undefined);
  assert.deepEqual(
    [free.costSchedule, bench.costSchedule, bench.instructions],
    ["free", "normal", "benchmarking"],
  );
  const id = installed(instance, "counter.eop", free.id);
  const balance = instance.cycles(id);
  update(instance, call(id, "inc"));
  instance.setTime(instance.time + 86_400_000_000_000n);
  instance.tick();
  assert.equal(instance.cycles(id), balance);
  const paying = createCanister(instance, bench.id);
  // Prepaid for as many instructions as it may execute.
  instance.addCycles(paying, 10n ** 18n);
  install(instance, paying, fixture("counter.eop"));
  const before = instance.cycles(paying);
  update(instance, call(paying, "inc"));
  assert.ok(instance.cycles(paying) < before);
});
