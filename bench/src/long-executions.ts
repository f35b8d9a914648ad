/**
 * Executions of full size over rounds: an update of almost 40 billion instructions and an installation of almost 300 billion, while
 * another canister answers an update in every round. Printed: how long the others waited, beside the time of one slice of the long
 * one in the same run, which is what they may have to wait for, and of a slice alone on a warm thread.
 * Run: node bench/src/long-executions.ts [billions of the update] [billions of the installation]
 */
import type { CanisterId } from "@orrery/base";
import type { WasmRunner } from "@orrery/execution";
import { limitsOf } from "@orrery/execution";
import { SPIN_INSTRUCTIONS, SPINNER, TestSubnet, u32 } from "@orrery/execution/testing";
import { createWorkerExecutor } from "@orrery/host/pool";
import { percentile } from "./lib/load.ts";

const UPDATE_BILLIONS = Number(process.argv[2] ?? 39);
const INSTALL_BILLIONS = Number(process.argv[3] ?? 290);
const CYCLES = 10n ** 18n;
const LIMITS = limitsOf("application");
/** Turns of the spinner's loop are 32-bit numbers, so that one installation has to make several runs of them. */
const INSTALL_RUNS = 4;
const INSTALLER = SPINNER.replace(
  '(func (export "canister_init") (call $spin (call $n)))',
  `(func (export "canister_init") ${"(call $spin (call $n))".repeat(INSTALL_RUNS)})`,
);

function turns(billions: number): number {
  return Math.floor((billions * 1e9) / SPIN_INSTRUCTIONS);
}

const subnet = new TestSubnet();
const executor = createWorkerExecutor({
  state: subnet.state,
  arena: subnet.arena,
  runner: subnet.runner as WasmRunner,
  workersMax: LIMITS.longExecutionsMax + LIMITS.partitions,
  sliceOf: ({ kind }) =>
    kind === "install" ? LIMITS.instructionsPerInstallSlice : LIMITS.instructionsPerSlice,
});

function spin(
  canisterId: CanisterId,
  count: number,
): { readonly bytes: Uint8Array; readonly id: Uint8Array } {
  return subnet.envelope({ canisterId, method: "spin", arg: u32(count) });
}

/** Milliseconds of one slice's instructions, run alone on this thread. */
function sliceMs(id: CanisterId): number {
  const count = turns(Number(LIMITS.instructionsPerSlice) / 1e9) - 1_000;
  const start = performance.now();
  subnet.round([spin(id, count).bytes]);
  return performance.now() - start;
}

interface Measured {
  readonly rounds: number;
  readonly seconds: number;
  readonly others: readonly number[];
}

/** Rounds with an update of another canister in each, until the long one is answered. */
function measure(long: { readonly bytes: Uint8Array; readonly id: Uint8Array }, other: CanisterId): Measured {
  const others: number[] = [];
  const begun = performance.now();
  for (let first = true; ; first = false) {
    const short = spin(other, 10);
    const start = performance.now();
    subnet.round(first ? [long.bytes, short.bytes] : [short.bytes]);
    if (subnet.status(short.id)?.kind !== "replied")
      throw new Error("another canister was not answered in its round");
    others.push(performance.now() - start);
    const kind = subnet.status(long.id)?.kind;
    if (kind === "rejected") throw new Error(JSON.stringify(subnet.status(long.id), (_, v) => String(v)));
    if (kind === "replied") break;
  }
  return {
    rounds: others.length,
    seconds: (performance.now() - begun) / 1_000,
    others: others.sort((a, b) => a - b),
  };
}

function print(name: string, billions: number, { rounds, seconds, others }: Measured): void {
  const slice = (seconds * 1_000) / rounds;
  const [p50, max] = [percentile(others, 0.5), others.at(-1) ?? 0];
  console.log(
    name.padEnd(12),
    `${billions} e9`.padStart(8),
    String(rounds).padStart(7),
    seconds.toFixed(1).padStart(9),
    slice.toFixed(0).padStart(10),
    p50.toFixed(0).padStart(14),
    max.toFixed(0).padStart(14),
    (p50 / slice).toFixed(2).padStart(12),
    (max / slice).toFixed(2).padStart(12),
  );
}

const [slow, other] = [1, 2].map(() => subnet.installed(SPINNER, { arg: u32(0), cycles: CYCLES })) as [
  CanisterId,
  CanisterId,
];
const empty = subnet.create({ cycles: CYCLES });
sliceMs(slow);
const slice = sliceMs(slow);
subnet.reload(subnet.runner, executor);
executor.prepare();
console.log(`one slice (${LIMITS.instructionsPerSlice} instructions) alone: ${slice.toFixed(0)} ms`);
console.log(
  "execution     instr.  rounds  seconds  slice ms  others p50 ms  others max ms  p50 / slice  max / slice",
);
print("update", UPDATE_BILLIONS, measure(spin(slow, turns(UPDATE_BILLIONS)), other));
const install = subnet.envelope({
  method: "install_code",
  arg: subnet.installArg(empty, INSTALLER, { arg: u32(turns(INSTALL_BILLIONS / INSTALL_RUNS)) }),
});
print("installation", INSTALL_BILLIONS, measure(install, other));
await executor.close();
