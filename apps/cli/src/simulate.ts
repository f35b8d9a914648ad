/**
 * `orrery simulate`: a simulated network's run and what became of it. One seed shows how often each fault took place; many seeds, each with some
 * of the faults, show how many ended how. Fails where a fault that was asked for never took place in a run long enough for it.
 */
import { OrreryError } from "@orrery/base";
import { installFastHashes } from "@orrery/host";
import {
  allFaults,
  FAULT_NAMES,
  Recorder,
  roundsToSee,
  type SimulationOptions,
  type SimulationReport,
  simulate,
  timelineToHtml,
  unfit,
} from "@orrery/sim/simulate";
import { type Io, jsonDocument, table } from "./io.ts";
import { COLOURS, EXIT_CODES, progress, SHOWN_MAX, timesRealTime } from "./simulate-common.ts";
import { keysOf } from "./simulate-record.ts";
import { readScenario, shrinkInto, writeFile } from "./simulate-scenario.ts";
import { simulateSeeds } from "./simulate-seeds.ts";

export interface SimulateOptions {
  readonly nodesPerSubnet: number;
  readonly subnetCount: number;
  readonly seed: number;
  readonly seeds?: readonly [number, number];
  /** Of many seeds: threads, and a file. */
  readonly jobs?: number;
  readonly record?: string;
  readonly faults: string;
  readonly rounds: number;
  readonly state: "canisters" | "hashes";
  readonly keys: "ideal" | "real";
  readonly timeline?: string;
  /** Files. */
  readonly shrink?: string;
  readonly scenario?: string;
  readonly json?: true;
}

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

export async function simulateNetwork(options: SimulateOptions, io: Io): Promise<number> {
  installFastHashes();
  if (options.scenario !== undefined) {
    const { told, faults, ...scenario } = readScenario(io, options.scenario);
    return simulateOne({ ...options, ...scenario }, { faults, told }, io);
  }
  const faults = faultsFor(options.faults, options.nodesPerSubnet);
  if (options.state === "canisters" && options.subnetCount > SUBNETS_MAX) {
    throw new OrreryError(
      "simulation_too_large",
      `canisters run on at most ${SUBNETS_MAX} subnets of one network, not on ${options.subnetCount}; take fewer, or --state hashes`,
    );
  }
  if (options.keys === "real" && options.state === "canisters") {
    throw new OrreryError(
      "simulation_too_real",
      "canisters run with ideal keys alone; take --state hashes with --keys real",
    );
  }
  if (options.seeds === undefined)
    return simulateOne(options, { faults, ...(await keysOf(options.keys)) }, io);
  const { nodesPerSubnet, subnetCount, rounds, state, keys, record, jobs = 1 } = options;
  const [from, to] = options.seeds;
  const all = { nodesPerSubnet, subnetCount, rounds, state, keys, faults };
  return await simulateSeeds({ options: all, from, to, jobs, record, json: options.json === true }, io);
}

function simulateOne(
  options: SimulateOptions,
  wrong: Pick<SimulationOptions, "faults" | "told" | "keys">,
  io: Io,
): number {
  const { seed, nodesPerSubnet, subnetCount, rounds, state, json } = options;
  const startedMs = performance.now();
  const say = progress(io);
  const { timeline } = options;
  const recorders = timeline === undefined ? [] : Array.from({ length: subnetCount }, () => new Recorder());
  const run: SimulationOptions = { seed, nodesPerSubnet, subnetCount, rounds, state, ...wrong };
  const report = simulate({
    ...run,
    recorders,
    onProgress: ({ phase, rounds: done }) =>
      say(phase === "faults" ? `${done} of ${rounds} rounds …` : `${done} rounds, recovering …`),
  });
  const speed = timesRealTime(report.seconds, startedMs);
  const written =
    timeline === undefined
      ? null
      : writeFile(io, timeline, timelineOf({ recorders, members: nodesPerSubnet }, report));
  if (written !== null) io.err(io.style("dim", `Wrote ${written}.\n`));
  if (json === true) io.out(jsonDocument(documentOf(report, options, speed)));
  else io.out(textOf(report, options, { speed, io }));
  if (report.verdict !== "ok") {
    if (options.shrink !== undefined) shrinkInto(options.shrink, run, { io, say });
    else if (options.keys === "ideal")
      io.err(
        io.style("dim", "Once more with --shrink FILE makes the shortest run of it that fails alike.\n"),
      );
  }
  const missing = [...report.faults].flatMap(([name, times]) =>
    wrong.told === undefined && times === 0 && report.rounds >= roundsToSee(name) ? [name] : [],
  );
  if (report.verdict === "ok" && missing.length > 0) {
    throw new OrreryError(
      "fault_missing",
      `${missing.join(", ")} never took place in ${report.rounds} rounds; take more rounds or another seed`,
    );
  }
  return EXIT_CODES[report.verdict];
}

function timelineOf(
  { recorders, members }: { readonly recorders: readonly Recorder[]; readonly members: number },
  report: SimulationReport,
): string {
  const { seed, verdict, rounds, seconds, faults, traceHash } = report;
  const asked = [...faults].map(([name, times]) => `${name} ${times}`).join(", ");
  return timelineToHtml(recorders, {
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
    keys: options.keys,
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
