/** Prices against the published table and against figures that replicas print. */
import assert from "node:assert/strict";
import test from "node:test";
import type { SubnetId } from "@orrery/base";
import {
  callCost,
  costCall,
  costCreateCanister,
  costHttpRequest,
  costHttpRequestByUse,
  costSign,
  executionCost,
  ingressInductionCost,
  storageCost,
} from "./fees.ts";

const THIRTEEN = { type: "application", feeSize: 13 } as const;
const THIRTY_FOUR = { type: "application", feeSize: 34 } as const;
const SYSTEM = { type: "system", feeSize: 40 } as const;

test("a 13-node subnet pays the published table", () => {
  assert.equal(costCreateCanister(THIRTEEN), 500_000_000_000n);
  assert.equal(executionCost(THIRTEEN, 1_000_000_000n, false), 1_005_000_000n);
  assert.equal(executionCost(THIRTEEN, 1_000_000_000n, true), 2_005_000_000n);
  assert.equal(ingressInductionCost(THIRTEEN, 100), 1_400_000n);
  assert.equal(storageCost(THIRTEEN, 1n << 30n, 1n), 127_000n);
  assert.equal(costHttpRequest(THIRTEEN, 0n, 0n), 49_140_000n);
  assert.equal(costHttpRequest(THIRTEEN, 1n, 1n), 49_140_000n + 5_200n + 10_400n);
});

test("a call of 16 bytes costs what a replica's ic0.cost_call prints", () => {
  assert.equal(costCall(THIRTEEN, { methodNameBytes: 15, payloadBytes: 1, is64: false }), 42_102_428_000n);
  const { prepaidExecution, prepaidTransmission, transmissionCost } = callCost(THIRTEEN, {
    methodNameBytes: 15,
    payloadBytes: 1,
    is64: true,
  });
  assert.equal(prepaidExecution, 80_005_000_000n);
  assert.equal(prepaidTransmission, 2_097_152_000n);
  assert.equal(transmissionCost, 276_000n);
});

test("fees scale with the nominal size, and system subnets are free", () => {
  assert.equal(costCreateCanister(THIRTY_FOUR), 1_307_692_307_692n);
  assert.equal(costCreateCanister(SYSTEM), 0n);
  assert.equal(costHttpRequest(SYSTEM, 1n, 1n), 0n);
  assert.equal(costCall(SYSTEM, { methodNameBytes: 5, payloadBytes: 5, is64: false }), 0n);
});

test("signatures cost what their key's subnet costs", () => {
  const held = {
    ...THIRTEEN,
    chainKeys: [{ kind: "ecdsa", curve: "secp256k1", name: "key_1" }] as const,
    routing: [
      {
        subnetId: new Uint8Array(0) as unknown as SubnetId,
        ranges: [],
        chainKeys: [{ kind: "schnorr", algorithm: "ed25519", name: "test_key_1" }] as const,
      },
    ],
  };
  assert.deepEqual(costSign(held, { scheme: "ecdsa", code: 0, name: "key_1" }), {
    status: "ok",
    cycles: 26_153_846_153n,
  });
  assert.deepEqual(costSign(held, { scheme: "schnorr", code: 1, name: "test_key_1" }), {
    status: "ok",
    cycles: 10_000_000_000n,
  });
  assert.equal(
    costSign(held, { scheme: "ecdsa", code: 1, name: "key_1" }).status,
    "unknown_curve_or_algorithm",
  );
  for (const [scheme, code, name] of [
    ["vetkd", 0, "nobody"],
    ["vetkd", 0, "key_1"],
    ["ecdsa", 0, "test_key_1"],
    ["schnorr", 0, "test_key_1"],
  ] as const) {
    assert.equal(costSign(held, { scheme, code, name }).status, "unknown_key", `${scheme} ${code} ${name}`);
  }
});

test("outcalls priced by use cost what the replica's parts add up to", () => {
  const usage = {
    requestBytes: 100n,
    roundtripMs: 2_000n,
    rawResponseBytes: 1_000n,
    transformedResponseBytes: 500n,
    transformInstructions: 26n,
  };
  const each = 650_002n;
  assert.equal(
    costHttpRequestByUse(THIRTEEN, { ...usage, replication: { kind: "fully_replicated" } }),
    38_482_600n + 13n * each + 9_490n * 500n,
  );
  const flexible = 13n * (1_000_000n + 5_000n + 90_000n * 13n);
  const response = 2_000n * 13n + 100_000n;
  const gossip = 50n * 500n * 13n;
  assert.equal(
    costHttpRequestByUse(THIRTEEN, { ...usage, replication: { kind: "non_replicated" } }),
    flexible + 13n * response + each + gossip + 9_490n * 500n,
  );
  assert.equal(
    costHttpRequestByUse(THIRTEEN, { ...usage, replication: { kind: "flexible", counts: null } }),
    flexible + 13n * 9n * response + 13n * (each + gossip) + 9_490n * 13n * 681n + 13n * 4n * response,
  );
  assert.equal(costHttpRequestByUse(SYSTEM, { ...usage, replication: { kind: "fully_replicated" } }), 0n);
});
