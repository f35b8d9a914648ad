/** Reading logs: by canisters in replicated execution, as far as an answer goes, and what it counts for; and a method not there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { ANONYMOUS, type CanisterId } from "@orrery/base";
import type { CanisterLogRecord } from "@orrery/state";
import { LOG_RESPONSE_BYTES_MAX } from "../limits.ts";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { encode, idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { fetchCanisterLogs } from "./fetch-logs.ts";

const Range = IDL.Record({ start: IDL.Nat64, end: IDL.Nat64 });
const Args = IDL.Record({
  canister_id: IDL.Principal,
  filter: IDL.Opt(IDL.Variant({ by_idx: Range, by_timestamp_nanos: Range })),
});
const Logs = IDL.Record({
  canister_log_records: IDL.Vec(
    IDL.Record({ idx: IDL.Nat64, timestamp_nanos: IDL.Nat64, content: IDL.Vec(IDL.Nat8) }),
  ),
});

function indices(reply: Uint8Array): readonly bigint[] {
  const [{ canister_log_records }] = IDL.decode([Logs], reply) as unknown as [
    { canister_log_records: { idx: bigint }[] },
  ];
  return canister_log_records.map(({ idx }) => idx);
}

test("a canister that may see the log reads it by a call, for nothing but the call", () => {
  const subnet = new TestSubnet();
  const [asker, asked] = [subnet.installed(FORWARDER, { cycles: 10n ** 15n }), subnet.installed(FORWARDER)];
  subnet.reply({ canisterId: asked, method: "log", arg: Uint8Array.of(65, 66) });
  const refused = forward(subnet, asker, "fetch_canister_logs", idArg(asked), 1_000n);
  assert.equal(refused.kind, "rejected");
  assert.match(
    refused.kind === "rejected" ? refused.message : "",
    /^IC0406: Caller \S+ is not allowed to access canister logs$/,
  );
  const { meta } = subnet.canister(asked);
  meta.settings = { ...meta.settings, logVisibility: { kind: "public" } };
  const balance = (): bigint => subnet.canister(asker).meta.cycles;
  const spent = (cycles: bigint): bigint => {
    const before = balance();
    const status = forward(subnet, asker, "fetch_canister_logs", idArg(asked), cycles);
    assert.equal(status.kind, "replied", JSON.stringify(status));
    if (status.kind === "replied") assert.deepEqual(indices(status.reply), [0n]);
    return before - balance();
  };
  assert.equal(spent(10n ** 12n), spent(0n), "attached cycles come back");
});

test("where canisters pay for no calls they cannot have the work of reading for nothing", () => {
  const subnet = new TestSubnet({ subnet: { admins: [ANONYMOUS] } });
  const asker = subnet.installed(FORWARDER);
  const status = forward(subnet, asker, "fetch_canister_logs", idArg(asker));
  assert.deepEqual(status, {
    kind: "rejected",
    code: 4,
    errorCode: "IC0406",
    message:
      "IC0504: fetch_canister_logs can only be called by a canister on a subnet with a normal cost schedule.",
  });
});

test("users are refused by an update call, in words of their own", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const rejection = subnet.rejection({ method: "fetch_canister_logs", arg: idArg(id) });
  assert.deepEqual(
    [rejection.errorCode, rejection.message],
    ["IC0406", "fetch_canister_logs API is not accessible via ingress in replicated mode"],
  );
});

test("an answer holds the newest records, or the first ones of a range; it counts by record and byte", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const { meta } = subnet.canister(id);
  const content = new Uint8Array(100_000);
  const logs = Array.from(
    { length: 25 },
    (_, i): CanisterLogRecord => ({
      idx: BigInt(i),
      timestamp: 1_000n + BigInt(i),
      content,
    }),
  );
  const read = (filter: unknown[]): { readonly found: readonly bigint[]; readonly instructions: bigint } => {
    const arg = encode([Args], [{ canister_id: CandidPrincipal.fromUint8Array(id as CanisterId), filter }]);
    const result = fetchCanisterLogs({ sender: ANONYMOUS, arg }, { meta, logs });
    assert.ok(result.ok);
    assert.ok(result.value.reply.length <= LOG_RESPONSE_BYTES_MAX + 4_096);
    return { found: indices(result.value.reply), instructions: result.value.instructions };
  };
  const newest = read([]);
  assert.deepEqual([newest.found.length, newest.found[0], newest.found.at(-1)], [19, 6n, 24n]);
  assert.equal(newest.instructions, 150_000n + 19n * (900n + 100_000n));
  const first = read([{ by_idx: { start: 2n, end: 100n } }]);
  assert.deepEqual([first.found.length, first.found[0]], [19, 2n]);
  assert.deepEqual(read([{ by_timestamp_nanos: { start: 1_003n, end: 1_005n } }]).found, [3n, 4n]);
  assert.deepEqual(read([{ by_idx: { start: 5n, end: 5n } }]), { found: [], instructions: 150_000n });
  assert.deepEqual(read([{ by_idx: { start: 7n, end: 3n } }]).found, []);
});

test("a method that is not supported says so by its name", () => {
  const subnet = new TestSubnet();
  const id = subnet.installed(FORWARDER);
  const status = forward(subnet, id, "flexible_http_request", encode([], []), 5n);
  assert.equal(
    status.kind === "rejected" && status.message,
    "IC0406: The management canister method 'flexible_http_request' is not supported by this subnet yet",
  );
});
