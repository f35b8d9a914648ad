/** Networks of several subnets: random workloads under faults of the slices, certificates, the same trace from the same seed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { ed25519ToDer, sha256, type VerifyCertificateOptions, verifyCertificate } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { createSimNetwork } from "./network.ts";
import { runNetworkWorkload, type WorkloadOptions } from "./network-workload.ts";
import { ScriptRunner, ScriptWatch } from "./script-runner.ts";

const bls = await createMclBls();
/** Node keys sign nothing here, so any bytes do for their public halves. */
const ed25519PublicKeyDer = (secret: Uint8Array): Uint8Array => ed25519ToDer(sha256(secret));

const KINDS = [
  { type: "system", feeSize: 13 },
  { type: "application", feeSize: 13 },
  { type: "application", feeSize: 34 },
  { type: "verified_application", feeSize: 13 },
] as const;

const EVERY_FAULT = {
  delayed: 0.3,
  duplicated: 0.3,
  dropped: 0.2,
  partial: 0.3,
  truncated: 0.1,
  damaged: 0.1,
  misSigned: 0.1,
  stale: 0.2,
};

const workload = (seed: number, more: Partial<WorkloadOptions> = {}): WorkloadOptions => ({
  seed,
  subnets: KINDS.slice(0, 3),
  bls,
  ed25519PublicKeyDer,
  canistersPerSubnet: 3,
  steps: 30,
  callsPerStep: 3,
  ...more,
});

test("without faults every call between subnets is answered once, in order, and no cycle is lost", () => {
  const report = runNetworkWorkload(workload(1));
  assert.ok(report.messages > 100, `${report.messages} messages`);
  assert.equal(report.refused, 0);
});

test("faults of slices delay messages and do nothing else", () => {
  for (let seed = 2; seed < 5; seed++) {
    const report = runNetworkWorkload(
      workload(seed, { subnets: KINDS, faults: EVERY_FAULT, stall: 0.2, restart: 0.05 }),
    );
    assert.ok(report.refused > 10, `${report.refused} slices refused`);
  }
});

test("one seed gives one trace, another seed another", () => {
  const options = { faults: EVERY_FAULT, stall: 0.1, steps: 10 };
  const first = runNetworkWorkload(workload(7, options));
  assert.deepEqual(runNetworkWorkload(workload(7, options)), first);
  assert.notEqual(runNetworkWorkload(workload(8, options)).traceHash, first.traceHash);
});

test("streams that fill up make messages wait, and nothing is lost or overtakes", () => {
  const limits = { streamMessages: 3, streamBytes: 2_000, systemStreamMessages: 1 };
  const report = runNetworkWorkload(workload(11, { limits, callsPerStep: 6 }));
  assert.ok(report.messages > 200, `${report.messages} messages`);
});

test("certificates of every subnet verify under the root key, through the delegation", () => {
  const network = createSimNetwork({
    seed: 5,
    subnets: KINDS,
    bls,
    ed25519PublicKeyDer,
    runner: () => new ScriptRunner(new ScriptWatch()),
  });
  network.run(2);
  const root = network.subnets[0];
  assert.ok(root !== undefined);
  for (const { index, keys, info } of network.subnets) {
    const path = [utf8("subnet"), keys.subnetId, utf8("type")];
    const options: Omit<VerifyCertificateOptions, "scope"> = {
      bytes: network.certificate(index, [path]),
      rootKeyDer: root.keys.subnetPublicKey,
      bls,
    };
    assert.ok(verifyCertificate({ ...options, scope: { subnet: keys.subnetId } }).ok);
    assert.ok(verifyCertificate({ ...options, scope: { canister: info.allocation.start } }).ok);
    const other = network.subnets[(index + 1) % KINDS.length];
    assert.ok(other !== undefined);
    if (index > 0)
      assert.ok(!verifyCertificate({ ...options, scope: { canister: other.info.allocation.start } }).ok);
  }
});
