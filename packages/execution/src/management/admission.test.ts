/** How management calls come in: what delayed induction costs, how many may wait, and the subnet's id as another name of `aaaaa-aa`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { touch } from "@orrery/state";
import { createExecution } from "../apply-batch.ts";
import { freezingThresholdCycles } from "../cycles.ts";
import { ErrorCode } from "../error-codes.ts";
import { ingressInductionCost } from "../fees.ts";
import { INGRESS_QUEUE_CAPACITY } from "../limits.ts";
import { FORWARDER, forward } from "../testing/forwarder.testkit.ts";
import { updateSettingsArg } from "../testing/settings.testkit.ts";
import { encode, idArg, TestSubnet } from "../testing/subnet.testkit.ts";
import { Watched } from "../testing/watched.testkit.ts";

test("update_settings that are charged after they ran pay for argument and name only", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const arg = updateSettingsArg(id, { status_visibility: { public: null } });
  for (const nonce of [new Uint8Array(0), new Uint8Array(32).fill(1)]) {
    const before = subnet.canister(id).meta.cycles;
    subnet.reply({ method: "update_settings", arg, nonce });
    const bytes = arg.length + "update_settings".length;
    const paid = before - subnet.canister(id).meta.cycles;
    assert.equal(paid, ingressInductionCost(subnet.state.subnet, bytes));
  }
});

test("every other message pays for its whole envelope, and is refused without the cycles for it", () => {
  const watched = new Watched();
  const { subnet } = watched;
  const id = subnet.create({ cycles: 10n ** 15n });
  for (const nonce of [new Uint8Array(0), new Uint8Array(32).fill(1)]) {
    const { bytes, id: request } = subnet.envelope({ method: "start_canister", arg: idArg(id), nonce });
    const before = subnet.canister(id).meta.cycles;
    subnet.round([bytes]);
    assert.equal(subnet.settle(request).kind, "replied");
    const paid = before - subnet.canister(id).meta.cycles;
    const price = ingressInductionCost(subnet.state.subnet, bytes.length);
    assert.equal(paid, price);
    const { meta } = subnet.canister(id);
    const threshold = freezingThresholdCycles(subnet.state.subnet, meta);
    for (const [cycles, code] of [
      [threshold + price, undefined],
      [threshold + price - 1n, ErrorCode.CanisterOutOfCycles],
    ] as const) {
      meta.cycles = cycles;
      touch(subnet.state, subnet.canister(id));
      subnet.round();
      assert.equal(watched.follow().inspect(bytes)?.code, code);
    }
    meta.cycles = 10n ** 15n;
  }
});

test("a round looks at few uploads that are no modules, by their inflated size", () => {
  const subnet = new TestSubnet({ limits: { instructionsPerRound: 64_000_000n } });
  const id = subnet.create();
  const arg = subnet.installArg(id, new Uint8Array(gzipSync(new Uint8Array(10_000_000))));
  const installs = [0, 1].map(() => subnet.envelope({ method: "install_code", arg }));
  const kinds = (): unknown[] => installs.map(({ id: request }) => subnet.status(request)?.kind);
  subnet.round(installs.map(({ bytes }) => bytes));
  assert.deepEqual(kinds(), ["rejected", "received"]);
  subnet.round();
  assert.deepEqual(kinds(), ["rejected", "rejected"]);
});

test("so many users' management calls wait and no more", () => {
  const subnet = new TestSubnet();
  const id = subnet.create();
  const filler = {
    kind: "ingress",
    requestId: new Uint8Array(32),
    sender: Uint8Array.of(4),
    methodName: "start_canister",
    arg: idArg(id),
    expiry: subnet.state.time,
    senderInfo: null,
  } as never;
  for (let i = 0; i < INGRESS_QUEUE_CAPACITY; i++) subnet.state.managementQueue.push(filler);
  // Rounds in which nothing of the queue runs.
  subnet.execution = createExecution(subnet.state, {
    runner: {} as never,
    arena: subnet.arena,
    limits: { instructionsPerRound: 0n },
  });
  const { bytes, id: request } = subnet.manageEnvelope("start_canister", id);
  subnet.round([bytes]);
  const status = subnet.status(request);
  assert.ok(status?.kind === "rejected");
  assert.deepEqual(
    [status.errorCode, status.message],
    ["IC0201", `Maximum queue capacity ${INGRESS_QUEUE_CAPACITY} reached`],
  );
});

test("a call to the subnet's own id is a management call, the caller's version included", () => {
  const subnet = new TestSubnet();
  const toSubnet = FORWARDER.replace(
    '(import "ic0" "trap"',
    `(import "ic0" "subnet_self_size" (func $self_size (result i32)))
     (import "ic0" "subnet_self_copy" (func $self_copy (param i32 i32 i32)))
     (import "ic0" "trap"`,
  ).replace(
    "(call $call_new (i32.const 0) (i32.const 0) (i32.const 9)",
    `(call $self_copy (i32.const 60000) (i32.const 0) (call $self_size))
     (call $call_new (i32.const 60000) (call $self_size) (i32.const 9)`,
  );
  const id: CanisterId = subnet.installed(toSubnet);
  const Args = IDL.Record({ canister_id: IDL.Principal, sender_canister_version: IDL.Opt(IDL.Nat64) });
  const arg = (version: bigint): Uint8Array =>
    encode([Args], [{ canister_id: CandidPrincipal.fromUint8Array(id), sender_canister_version: [version] }]);
  const wrong = forward(subnet, id, "uninstall_code", arg(666n));
  assert.ok(wrong.kind === "rejected");
  assert.match(wrong.message, /sender canister version 666 that does not match the actual sender canister/);
  const right = forward(subnet, id, "uninstall_code", arg(subnet.canister(id).meta.version));
  assert.ok(right.kind === "rejected");
  assert.match(right.message, /^IC0512: Only the controllers/);
  assert.equal(forward(subnet, id, "canister_status", idArg(id)).kind, "replied");
});
