/**
 * The golden programs on one subnet, all at the same time: installed in one round, then the same step of each in one round, so that
 * real programs of every language run beside each other in each round.
 */
import assert from "node:assert/strict";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import type { ExecutionLimits } from "@orrery/execution";
import { type Recording, record, SMALL, type TestSubnet } from "@orrery/execution/testing";
import { goldenPrograms, type Program } from "../golden/programs.testkit.ts";

const CYCLES = 1n << 70n;
const SECOND = 1_000_000_000n;
const ROUNDS_MAX = 1_000;
/** Slices that most steps of real programs fit in, and installations do not. */
const LIMITS: Partial<ExecutionLimits> = {
  ...SMALL,
  instructionsPerRound: 100_000_000n,
  instructionsPerSlice: 20_000_000n,
  instructionsPerInstallSlice: 500_000_000n,
  instructionsPerMessage: 2_000_000_000n,
  instructionsPerInstall: 20_000_000_000n,
};

interface Placed {
  readonly program: Program;
  readonly main: CanisterId;
  readonly partner: CanisterId | null;
}

function answered(subnet: TestSubnet): void {
  const open = (): boolean =>
    [...subnet.state.ingressHistory.values()].some(
      ({ status }) => status.kind === "received" || status.kind === "processing",
    );
  for (let i = 0; open(); i++) {
    assert.ok(i < ROUNDS_MAX, "a message is not answered");
    subnet.round([], SECOND / 20n);
  }
}

function place(subnet: TestSubnet, programs: readonly Program[]): readonly Placed[] {
  const placed = programs.map((program) => ({
    program,
    main: subnet.create({ cycles: CYCLES }),
    partner: program.partner === null ? null : subnet.create({ cycles: CYCLES }),
  }));
  const install = (id: CanisterId, wasm: Uint8Array, arg: Uint8Array): Uint8Array =>
    subnet.envelope({ method: "install_code", arg: subnet.installArg(id, wasm, { arg }) }).bytes;
  subnet.round(
    placed.flatMap(({ program: { module, init, partner }, main, partner: second }) => [
      ...(second === null || partner === null ? [] : [install(second, partner, init)]),
      install(main, module, init),
    ]),
  );
  answered(subnet);
  for (const { main, program } of placed)
    assert.ok(subnet.canister(main).meta.module !== null, `${program.name} is installed`);
  return placed;
}

function play(subnet: TestSubnet, programs: readonly Program[]): void {
  const running = place(subnet, programs).map(({ program, main, partner }) => ({
    main,
    steps: program.steps(Principal.fromUint8Array(partner ?? main)),
  }));
  const most = Math.max(...running.map(({ steps }) => steps.length));
  for (let turn = 0; turn < most; turn++) {
    let advanceNs = SECOND;
    const batch: Uint8Array[] = [];
    for (const { main, steps } of running) {
      const step = steps[turn];
      if (step === undefined) continue;
      if ("seconds" in step) advanceNs = BigInt(step.seconds) * SECOND;
      else batch.push(subnet.envelope({ canisterId: main, method: step.method, arg: step.arg }).bytes);
    }
    subnet.round(batch, advanceNs);
    answered(subnet);
  }
}

export function goldenRecording(): Recording {
  return record(LIMITS, (subnet) => play(subnet, goldenPrograms(subnet.state.subnet.subnetId)));
}
