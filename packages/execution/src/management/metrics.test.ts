/**
 * `canister_metrics` (interface spec, "canister_metrics"): what a canister consumed for each of nine uses, against prices written
 * down here as they are published for a subnet of 13 nodes; and what is left of a canister that runs out of cycles (interface spec,
 * "Canister out of cycles"; the replica's `uninstall_canister`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { ANONYMOUS, type CanisterId, principalKey } from "@orrery/base";
import { ASKER, askArg } from "../testing/asker.testkit.ts";
import { FORWARDER, forward, forwardArg } from "../testing/forwarder.testkit.ts";
import { takeArg, uploadChunkArg } from "../testing/snapshots.testkit.ts";
import { encode, idArg, type Message, TestSubnet } from "../testing/subnet.testkit.ts";
import { totalCycles } from "../testing/total-cycles.testkit.ts";
import { encodeCanisterMetrics } from "./status.ts";

const GIB = 1n << 30n;
const HOUR = 3_600n;
const SECOND = 1_000_000_000n;
const USES = [
  "memory",
  "compute_allocation",
  "ingress_induction",
  "instructions",
  "request_and_response_transmission",
  "uninstall",
  "canister_creation",
  "http_outcalls",
  "burned_cycles",
] as const;
const Metrics = IDL.Record({
  cycles_consumed: IDL.Record(Object.fromEntries(USES.map((use) => [use, IDL.Nat]))),
});

type Consumed = Record<(typeof USES)[number], bigint>;

function decoded(bytes: Uint8Array): Consumed {
  const [{ cycles_consumed }] = IDL.decode([Metrics], bytes) as unknown as [{ cycles_consumed: Consumed }];
  return cycles_consumed;
}

/** Asks, and burns a thousand cycles. */
const BURNER = ASKER.replace(
  "(memory 80)",
  '(import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32))) (memory 80)',
).replace(
  ";; Transforms",
  `(func (export "canister_update burn") (call $burn (i64.const 0) (i64.const 1000) (i32.const 0))
    (call $append (i32.const 0) (i32.const 16)) (call $reply))
  ;; Transforms`,
);

function createdBy(subnet: TestSubnet): CanisterId {
  const creator = subnet.installed(FORWARDER, { cycles: 10n ** 16n });
  const status = forward(
    subnet,
    creator,
    "create_canister",
    encode([IDL.Record({})], [{}]),
    1_000_500_000_000_000n,
  );
  assert.equal(status.kind, "replied");
  const id = [...subnet.state.canisters.values()].at(-1)?.meta.id as CanisterId;
  subnet.execution.edit(principalKey(id), ({ meta }) => {
    meta.settings = { ...meta.settings, controllers: [ANONYMOUS] };
  });
  return id;
}

test("every use of cycles is counted by itself, to the cycle", () => {
  const subnet = new TestSubnet();
  const id = createdBy(subnet);
  assert.equal(subnet.canister(id).meta.cycles, 1_000_000_000_000_000n);
  const all = totalCycles(subnet.state);
  let induction = 0n;
  const send = (message: Message): Uint8Array => {
    const { bytes, id: request } = subnet.envelope(message);
    induction += 1_200_000n + 2_000n * BigInt(bytes.length);
    subnet.round([bytes]);
    return request;
  };
  const replied = (message: Message): Uint8Array => {
    const status = subnet.settle(send(message));
    assert.equal(status.kind, "replied", JSON.stringify(status));
    return status.kind === "replied" ? status.reply : new Uint8Array(0);
  };
  replied({ method: "install_code", arg: subnet.installArg(id, BURNER) });
  replied({ canisterId: id, method: "burn" });

  const url = "https://example.com/";
  const request = IDL.Record({
    url: IDL.Text,
    method: IDL.Variant({ get: IDL.Null }),
    headers: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
  });
  const payload = encode([request], [{ url, method: { get: null }, headers: [] }]);
  const asked = send({
    canisterId: id,
    method: "ask",
    arg: askArg("http_request", payload, 30_000_000_000n),
  });
  const data = new Uint8Array(77);
  const outcall = [...subnet.state.outcalls.keys()][0] as number;
  subnet.round([], 1n, { responses: [{ outcall, spent: 0n, content: { kind: "reply", data } }] });
  assert.equal(subnet.settle(asked).kind, "replied");

  assert.equal(subnet.canister(id).consumed.get("memory") ?? 0n, 0n, "no point of the grid was passed");
  subnet.execution.edit(principalKey(id), ({ meta }) => {
    meta.settings = { ...meta.settings, memoryAllocation: GIB, computeAllocation: 2n };
  });
  subnet.round([], HOUR * SECOND);
  const metrics = decoded(replied({ method: "canister_metrics", arg: idArg(id) }));

  const { instructions, ...rest } = metrics;
  assert.deepEqual(rest, {
    memory: 127_000n * HOUR,
    compute_allocation: 2n * 10_000_000n * HOUR,
    ingress_induction: induction,
    request_and_response_transmission:
      260_000n + 1_000n * BigInt("http_request".length + payload.length) + 1_000n * BigInt(data.length),
    uninstall: 0n,
    canister_creation: 500_000_000_000n,
    // Linear and quadratic base, the URL's bytes, two megabytes of a response; of each of 13 nodes.
    http_outcalls: 13n * (3_000_000n + 13n * 60_000n + 400n * BigInt(url.length) + 800n * 2_000_000n),
    burned_cycles: 1_000n,
  });
  // Whatever else left the balance it was for instructions: installation, two updates, a callback.
  const { meta } = subnet.canister(id);
  const others = Object.values(rest).reduce((a, b) => a + b, 0n) - 500_000_000_000n;
  assert.equal(instructions, 1_000_000_000_000_000n - meta.cycles - others);
  assert.ok(instructions > 4n * 5_000_000n);
  assert.equal(totalCycles(subnet.state), all);

  meta.cycles = 1_000_000n;
  meta.reservedCycles = 234_567n;
  subnet.reload(subnet.runner);
  subnet.round([], 10n * SECOND);
  const after = decoded(encodeCanisterMetrics(subnet.canister(id).consumed));
  // Ten seconds of a gigabyte cost 1,270,000: nothing is paid, all that is left is burned.
  assert.deepEqual({ ...after }, { ...metrics, uninstall: 1_234_567n });
  assert.deepEqual([subnet.canister(id).meta.cycles, subnet.canister(id).meta.reservedCycles], [0n, 0n]);
});

test("a canister that runs out of cycles loses code, data and allocations, and answers what is open", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  const caller = subnet.installed(FORWARDER, { cycles: 10n ** 15n });
  subnet.reply({ method: "upload_chunk", arg: uploadChunkArg(id, Uint8Array.of(1)) });
  subnet.reply({ method: "take_canister_snapshot", arg: takeArg(id) });
  subnet.reply({ canisterId: id, method: "log", arg: Uint8Array.of(65) });
  // It waits for the subnet's randomness, which does not come.
  const open = subnet.submit({
    canisterId: id,
    method: "forward",
    arg: forwardArg("raw_rand", encode([], [])),
  });
  subnet.state.pendingManagement.splice(0);
  subnet.execution.edit(principalKey(id), ({ meta }) => {
    meta.globalTimer = 1n << 62n;
    meta.certifiedData = Uint8Array.of(1);
    meta.cycles = 0n;
    meta.settings = { ...meta.settings, memoryAllocation: GIB, computeAllocation: 5n };
  });
  const before = subnet.canister(id);
  const { version } = before.meta;
  const { historyTotal } = before;
  assert.ok(before.logs.length > 0 && before.chunks.size > 0 && before.history.length > 0);
  assert.equal(before.callContexts.size, 1);
  assert.equal(before.snapshots.length, 1);
  subnet.round([], 20n * SECOND);

  const status = subnet.status(open);
  assert.deepEqual(status?.kind === "rejected" && [status.code, status.errorCode, status.message], [
    4,
    "IC0406",
    "Canister has been uninstalled.",
  ]);
  const { meta, logs, chunks, snapshots, history, callContexts, historyTotal: total } = subnet.canister(id);
  assert.deepEqual([meta.module, meta.heapPages, meta.stablePages, meta.globalTimer], [null, 0, 0, 0n]);
  assert.deepEqual([meta.certifiedData.length, snapshots.length], [0, 0]);
  assert.deepEqual([logs.length, chunks.size, history.length], [0, 0, 0]);
  assert.deepEqual([meta.settings.computeAllocation, meta.settings.memoryAllocation], [0n, 0n]);
  assert.deepEqual([meta.version, total, meta.status.kind], [version + 1n, historyTotal, "running"]);
  assert.equal(meta.settings.controllers.length, 1);
  assert.equal(
    [...callContexts.values()].every(({ deleted }) => deleted),
    true,
  );
  // The id stays, empty, and can be given cycles and code again.
  const told = forward(subnet, caller, "deposit_cycles", idArg(id), 10n ** 13n);
  assert.equal(told.kind, "replied");
  assert.equal(subnet.install(id, FORWARDER).kind, "replied");
});
