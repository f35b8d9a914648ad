/**
 * `orrery simulate`: a simulated network's run and what became of it. One seed shows how often each fault took place; many seeds, each with some
 * of the faults, show how many ended how. Fails where a fault that was asked for never took place in a run long enough for it.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import {
  allFaults,
  drawnFaults,
  FAULT_NAMES,
  Recorder,
  roundsToSee,
  type SimulationReport,
  simulate,
  timelineToHtml,
  unfit,
} from "@orrery/sim/simulate";
import { type Io, jsonDocument, table } from "./io.ts";

export interface SimulateOptions {
  readonly nodesPerSubnet: number;
  readonly subnetCount: number;
  readonly seed: number;
  readonly seeds?: readonly [number, number];
  readonly faults: string;
  readonly rounds: number;
  readonly state: "canisters" | "hashes";
  readonly timeline?: string;
  readonly json?: true;
}

type Verdict = SimulationReport["verdict"];

const EXIT_CODES: Readonly<Record<Verdict, number>> = { ok: 0, unsafe: 10, stalled: 11 };
const COLOURS = { ok: "green", unsafe: "red", stalled: "yellow" } as const;
/** Failures and violations that are printed. */
const SHOWN_MAX = 20;
const PROGRESS_MS = 500;
/** Of a network whose canister ids are divided among its subnets. */
const SUBNETS_MAX = 64;

function faultsFor(list: string, members: number): readonly string[] {
  if (list === "none") return [];
  if (list === "all") return allFaults(members);
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !FAULT_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new OrreryError(
      "fault_unknown",
      `there is no fault "${unknown}"; take all, none, or some of ${FAULT_NAMES.join(", ")}`,
    );
  }
  const why = unfit(names, members);
  if (why !== null) throw new OrreryError("fault_unfit", why);
  return FAULT_NAMES.filter((name) => names.includes(name));
}

/** Said at most so often. */
function progress(io: Io): (text: string) => void {
  let last = performance.now();
  return (text) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS) return;
    last = now;
    io.err(io.style("dim", `${text}\n`));
  };
}

export async function simulateNetwork(options: SimulateOptions, io: Io): Promise<number> {
  const faults = faultsFor(options.faults, options.nodesPerSubnet);
  if (options.state === "canisters" && options.subnetCount > SUBNETS_MAX) {
    throw new OrreryError(
      "simulation_too_large",
      `canisters run on at most ${SUBNETS_MAX} subnets of one network, not on ${options.subnetCount}; take fewer, or --state hashes`,
    );
  }
  return options.seeds === undefined
    ? simulateOne(options, faults, io)
    : simulateMany(options, options.seeds, { faults, io });
}

function timesRealTime(seconds: number, startedMs: number): number {
  return Math.round((seconds / ((performance.now() - startedMs) / 1_000)) * 10) / 10;
}

function simulateOne(options: SimulateOptions, faults: readonly string[], io: Io): number {
  const { seed, nodesPerSubnet, subnetCount, rounds, state, json } = options;
  const startedMs = performance.now();
  const say = progress(io);
  const { timeline } = options;
  const recorders = timeline === undefined ? [] : Array.from({ length: subnetCount }, () => new Recorder());
  const report = simulate({
    recorders,
    seed,
    nodesPerSubnet,
    subnetCount,
    faults,
    rounds,
    state,
    onProgress: ({ phase, rounds: done }) =>
      say(phase === "faults" ? `${done} of ${rounds} rounds …` : `${done} rounds, recovering …`),
  });
  const speed = timesRealTime(report.seconds, startedMs);
  const written =
    timeline === undefined
      ? null
      : writeTimeline(resolve(io.cwd, timeline), { recorders, members: nodesPerSubnet }, report);
  if (written !== null) io.err(io.style("dim", `Wrote ${written}.\n`));
  if (json === true) io.out(jsonDocument(documentOf(report, options, speed)));
  else io.out(textOf(report, options, { speed, io }));
  const missing = [...report.faults].flatMap(([name, times]) =>
    times === 0 && report.rounds >= roundsToSee(name) ? [name] : [],
  );
  if (report.verdict === "ok" && missing.length > 0) {
    throw new OrreryError(
      "fault_missing",
      `${missing.join(", ")} never took place in ${report.rounds} rounds; take more rounds or another seed`,
    );
  }
  return EXIT_CODES[report.verdict];
}

/** Its path. */
function writeTimeline(
  path: string,
  { recorders, members }: { readonly recorders: readonly Recorder[]; readonly members: number },
  report: SimulationReport,
): string {
  const { seed, verdict, rounds, seconds, faults, traceHash } = report;
  const asked = [...faults].map(([name, times]) => `${name} ${times}`).join(", ");
  const page = timelineToHtml(recorders, {
    title: `Simulated rounds of seed ${seed}`,
    facts: [
      ["verdict", verdict],
      ["rounds", `${rounds} in ${seconds} s of virtual time`],
      ["faults", asked === "" ? "none" : asked],
      ["trace hash", traceHash],
    ],
    faulty: report.faultyNodes,
    members,
  });
  try {
    writeFileSync(path, page);
  } catch (cause) {
    throw new OrreryError(
      "file_unwritable",
      `${path} cannot be written (${(cause as Error).message}); name another file`,
      { cause },
    );
  }
  return path;
}

function documentOf(
  report: SimulationReport,
  options: SimulateOptions,
  speed: number,
): Record<string, unknown> {
  const { seed, rounds, traceHash, verdict, violations, faults } = report;
  return {
    seed,
    nodes_per_subnet: options.nodesPerSubnet,
    subnet_count: options.subnetCount,
    state: options.state,
    rounds,
    trace_hash: traceHash,
    verdict,
    violations,
    faults: Object.fromEntries(faults),
    intervals: report.intervals,
    states_fetched: report.syncs,
    virtual_seconds: report.seconds,
    recovery_seconds: report.recoverySeconds,
    times_real_time: speed,
  };
}

function textOf(
  report: SimulationReport,
  { nodesPerSubnet, subnetCount }: SimulateOptions,
  { speed, io }: { readonly speed: number; readonly io: Io },
): string {
  const { verdict, rounds, violations, faults, recoverySeconds } = report;
  const rows: (readonly string[])[] = [
    ["verdict", io.style(COLOURS[verdict], verdict, "out")],
    ["network", `${subnetCount} × ${nodesPerSubnet} nodes`],
    ["rounds", `${rounds}, ${report.intervals} intervals`],
    ["virtual time", `${report.seconds} s, ${speed} times as fast as the clock`],
    ["recovery", recoverySeconds === null ? "did not recover" : `${recoverySeconds} s`],
    ["states fetched", `${report.syncs}`],
    ["trace hash", report.traceHash],
  ];
  const head = [io.style("bold", "FAULT", "out"), io.style("bold", "TIMES", "out")];
  const counts = [...faults].map(([name, times]) => [name, `${times}`]);
  const wrong = violations.slice(0, SHOWN_MAX).map((text) => `${text}\n`);
  return `${table(rows)}${counts.length === 0 ? "" : `\n${table([head, ...counts])}`}${wrong.length === 0 ? "" : `\n${wrong.join("")}`}`;
}

function simulateMany(
  options: SimulateOptions,
  [from, to]: readonly [number, number],
  { faults, io }: { readonly faults: readonly string[]; readonly io: Io },
): number {
  const { nodesPerSubnet, subnetCount, rounds, state, json } = options;
  const startedMs = performance.now();
  const say = progress(io);
  const counts: Record<Verdict, number> = { ok: 0, unsafe: 0, stalled: 0 };
  const failed: SimulationReport[] = [];
  const sums = { rounds: 0, seconds: 0, intervalsLeast: Number.POSITIVE_INFINITY };
  for (let seed = from; seed <= to; seed++) {
    const drawn = drawnFaults(faults, nodesPerSubnet, seed);
    const report = simulate({ seed, nodesPerSubnet, subnetCount, faults: drawn, rounds, state });
    counts[report.verdict]++;
    sums.rounds += report.roundsTotal;
    sums.seconds += report.seconds;
    sums.intervalsLeast = Math.min(sums.intervalsLeast, report.intervals);
    if (report.verdict !== "ok") failed.push(report);
    say(`${seed - from + 1} of ${to - from + 1} seeds, ${sums.rounds} rounds, ${failed.length} failed …`);
  }
  const speed = timesRealTime(sums.seconds, startedMs);
  const shown = failed.slice(0, SHOWN_MAX).map(({ seed, verdict, violations, faults: drawn }) => ({
    seed,
    verdict,
    violations: violations.slice(0, SHOWN_MAX),
    faults: [...drawn.keys()],
  }));
  const worst: Verdict = counts.unsafe > 0 ? "unsafe" : counts.stalled > 0 ? "stalled" : "ok";
  if (json === true) {
    io.out(
      jsonDocument({
        seeds: { from, to },
        nodes_per_subnet: nodesPerSubnet,
        subnet_count: subnetCount,
        state,
        rounds: sums.rounds,
        intervals_least: sums.intervalsLeast,
        verdict: worst,
        verdicts: counts,
        failed: shown,
        virtual_seconds: sums.seconds,
        times_real_time: speed,
      }),
    );
    return EXIT_CODES[worst];
  }
  const rows = (Object.keys(counts) as Verdict[]).map((name) => [
    io.style(COLOURS[name], name, "out"),
    `${counts[name]}`,
  ]);
  io.out(table([[io.style("bold", "VERDICT", "out"), io.style("bold", "SEEDS", "out")], ...rows]));
  io.out(
    `\n${sums.rounds} rounds, at least ${sums.intervalsLeast} intervals a seed, ${speed} times as fast as the clock.\n`,
  );
  for (const { seed, verdict, violations, faults: drawn } of shown) {
    io.out(`\nseed ${seed}: ${verdict}\n${violations.map((text) => `  ${text}\n`).join("")}`);
    const list = drawn.length === 0 ? "none" : drawn.join(",");
    io.out(
      `  again: orrery simulate --nodes-per-subnet ${nodesPerSubnet} --subnet-count ${subnetCount} --rounds ${rounds} --state ${state} --seed ${seed} --faults ${list}\n`,
    );
  }
  return EXIT_CODES[worst];
}
