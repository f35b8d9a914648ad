/** Networks of several subnets: random workloads under faults of the slices, certificates, the same trace from the same seed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import { ed25519ToDer, sha256, type VerifyCertificateOptions, verifyCertificate } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import type { OutboundMessage } from "@orrery/state";
import { createSimNetwork, type SimNetwork } from "./network.ts";
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
  steps: 20,
  callsPerStep: 3,
  ...more,
});

test("without faults every call between subnets is answered once, in order, and no cycle is lost", () => {
  const report = runNetworkWorkload(workload(1));
  assert.ok(report.messages > 100, `${report.messages} messages`);
  assert.equal(report.refused, 0);
});

test("faults of slices delay messages and do nothing else", () => {
  for (let seed = 2; seed < 4; seed++) {
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
  const report = runNetworkWorkload(workload(11, { limits, callsPerStep: 6, restart: 0.2 }));
  assert.ok(report.messages > 100, `${report.messages} messages`);
});

/** Every queue of messages to other subnets. */
function outputs(network: SimNetwork): OutboundMessage[][] {
  return network.subnets.flatMap(({ state }) =>
    [...state.canisters.values()].flatMap(({ queues }) => [...queues.outputs.values()]),
  );
}

const isRequest = (message: OutboundMessage): boolean => message.kind === "request";

/** What goes wrong, with what the verdict says; `once` tells whether it could be done. */
const SABOTAGE: readonly [string, RegExp, (network: SimNetwork) => boolean][] = [
  [
    "a canister gets a cycle from nowhere",
    /1 cycles too many/,
    ({ subnets }) => {
      for (const canister of subnets[1]?.state.canisters.values() ?? []) {
        canister.meta.cycles++;
        return true;
      }
      return false;
    },
  ],
  [
    "a response without cycles is lost",
    /left over|never answered/,
    (network) => {
      const empty = (one: OutboundMessage): boolean => one.kind === "response" && one.input.refund === 0n;
      const queue = outputs(network).find((one) => one.some(empty) && one.length > 1);
      return queue !== undefined && queue.splice(queue.findIndex(empty), 1).length === 1;
    },
  ],
  [
    "a request overtakes another",
    /request \d+ after \d+/,
    (network) => {
      const queue = outputs(network).find((one) => one.length > 1 && one.every(isRequest));
      queue?.reverse();
      return queue !== undefined;
    },
  ],
  [
    "a request is sent twice",
    /cycles too many|request \d+ after \d+|answered twice/,
    (network) => {
      const queue = outputs(network).find((one) => one.some(isRequest));
      queue?.push(queue.find(isRequest) as OutboundMessage);
      return queue !== undefined;
    },
  ],
  [
    "a stream forgets its first message",
    /cycles too many|left over|never answered/,
    ({ subnets }) => {
      for (const { state } of subnets) {
        for (const stream of state.streams.values()) {
          if (stream.messages.length < 2) continue;
          stream.messages.splice(1, 1);
          return true;
        }
      }
      return false;
    },
  ],
];

test("the verdict finds what goes wrong between subnets", () => {
  const limits = { streamMessages: 2, systemStreamMessages: 1 };
  for (const [what, verdict, act] of SABOTAGE) {
    let done = false;
    const sabotage = (network: SimNetwork): void => {
      done ||= act(network);
    };
    const options = workload(21, { limits, callsPerStep: 6, steps: 12, settleSteps: 60, sabotage });
    assert.throws(() => runNetworkWorkload(options), verdict, what);
    assert.ok(done, `never happened: ${what}`);
  }
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
