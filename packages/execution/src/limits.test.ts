/**
 * Limits by kind of subnet against the replica's configuration: rs/config/src/subnet_config.rs (`SchedulerConfig`) and
 * rs/config/src/execution_environment.rs of dfinity/ic. Prices by kind are in fees.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SubnetType } from "@orrery/state";
import { isFree } from "./fees.ts";
import { type ExecutionLimits, limitsOf } from "./limits.ts";

const BILLION = 1_000_000_000n;

/** What differs, application subnets first; the round is the longest slice and two billion more. */
const BY_KIND: readonly (readonly [keyof ExecutionLimits, bigint, bigint])[] = [
  ["instructionsPerRound", 4n * BILLION, 7n * BILLION],
  ["instructionsPerSlice", 2n * BILLION, 2n * BILLION],
  ["instructionsPerInstallSlice", 2n * BILLION, 5n * BILLION],
  ["instructionsPerMessage", 40n * BILLION, 50n * BILLION],
  ["instructionsPerInstall", 300n * BILLION, 1_000n * BILLION],
  ["installDebitPerRound", 2n * BILLION, 0n],
  ["instructionsPerQuery", 5n * BILLION, 50n * BILLION],
  ["overheadPerMessage", 2_000_000n, 2_000_000n],
  ["partitions", 4n, 4n],
  ["longExecutionsMax", 4n, 4n],
  ["uploadChunkInstructions", 200_000_000n, 0n],
  ["snapshotInstructions", 2n * BILLION, 0n],
  ["snapshotDataInstructions", 5_000_000n, 0n],
  ["canistersPerSubnet", 250_000n, 250_000n],
  ["callbacksPerSubnet", 1_000_000n, 1_000_000n],
  ["customSectionBytes", 2n << 30n, 2n << 30n],
  ["bestEffortMessageBytes", 5n << 30n, 5n << 30n],
  ["guaranteedMessageBytes", 15n << 30n, BigInt(Number.MAX_SAFE_INTEGER)],
];

for (const [limit, application, system] of BY_KIND) {
  test(`${limit} of every kind of subnet`, () => {
    const told = (type: SubnetType): bigint => BigInt(limitsOf(type)[limit] ?? 0);
    assert.deepEqual([told("application"), told("system")], [application, system]);
    for (const type of ["verified_application", "cloud_engine"] as const)
      assert.equal(told(type), application);
  });
}

test("only system subnets and subnets with admins are free", () => {
  const kinds = ["system", "application", "verified_application", "cloud_engine"] as const;
  assert.deepEqual(
    kinds.map((type) => isFree({ type })),
    [true, false, false, false],
  );
  assert.equal(isFree({ type: "cloud_engine", admins: [Uint8Array.of(4) as never] }), true);
});
