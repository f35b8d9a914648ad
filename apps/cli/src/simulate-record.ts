/**
 * What became of each of many simulated seeds, and the file that keeps it (`orrery simulate --seeds FROM..TO --record FILE`): a line of what was asked
 * for, then one for each seed, in the order in which they ended. A command that was stopped goes on where it was; a line that was cut off is dropped.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { OrreryError } from "@orrery/base";
import { writeWhole } from "@orrery/host/write-whole";
import { drawnFaults, type SimulationOptions, type SimulationReport, simulate } from "@orrery/sim/simulate";
import type { Io } from "./io.ts";
import { SHOWN_MAX, type Verdict } from "./simulate-common.ts";

/** What all seeds have in common; `faults`: of which each takes some. */
export interface SeedOptions
  extends Pick<SimulationOptions, "nodesPerSubnet" | "subnetCount" | "rounds" | "state" | "faults"> {
  readonly keys: "ideal" | "real";
}

/** What runs take for keys: nothing for ideal ones. */
export async function keysOf(kind: SeedOptions["keys"]): Promise<Pick<SimulationOptions, "keys">> {
  return kind === "ideal" ? {} : { keys: await (await import("@orrery/sim/real-keys")).loadRealKeys() };
}

export interface SeedResult {
  readonly seed: number;
  readonly verdict: Verdict;
  /** Of all subnets. */
  readonly rounds: number;
  /** Of the subnet with the fewest. */
  readonly intervals: number;
  /** Of virtual time. */
  readonly seconds: number;
  /** The first ones. */
  readonly violations: readonly string[];
  /** How often each of those that it took took place. */
  readonly faults: Readonly<Record<string, number>>;
}

/** `simulation_broken`: not a verdict, but an error of the program, which names the seed. */
function simulateNamed(options: SimulationOptions): SimulationReport {
  try {
    return simulate(options);
  } catch (cause) {
    throw new OrreryError(
      "simulation_broken",
      `the run of seed ${options.seed} ended with an error of the program (${(cause as Error).message}); run it alone with --seed ${options.seed} --faults ${options.faults.join(",")}, and report it`,
      { cause, data: { seed: options.seed } },
    );
  }
}

export function simulateSeed(
  { keys: _kind, ...options }: SeedOptions,
  seed: number,
  keys: Pick<SimulationOptions, "keys">,
): SeedResult {
  const faults = drawnFaults(options.faults, options.nodesPerSubnet, seed);
  const report = simulateNamed({ ...options, ...keys, seed, faults });
  const { verdict, roundsTotal: rounds, intervals, seconds, violations } = report;
  const counts = Object.fromEntries(report.faults);
  return {
    ...{ seed, verdict, rounds, intervals, seconds, faults: counts },
    violations: violations.slice(0, SHOWN_MAX),
  };
}

export interface SeedRecord {
  /** Of before. */
  readonly results: readonly SeedResult[];
  add(result: SeedResult): void;
}

export const NO_RECORD: SeedRecord = { results: [], add: () => {} };

const FORMAT = 1;

/** `record_differs` where the file is of other runs; `file_unwritable`. */
export function openRecord(io: Io, file: string, options: SeedOptions): SeedRecord {
  const path = resolve(io.cwd, file);
  const head = JSON.stringify({ orrerySeeds: FORMAT, ...inOrder(options) });
  const unwritable = (cause: unknown): OrreryError =>
    new OrreryError(
      "file_unwritable",
      `${path} cannot be written (${(cause as Error).message}); name another file`,
      { cause },
    );
  const write = (act: () => void): void => {
    try {
      act();
    } catch (cause) {
      throw unwritable(cause);
    }
  };
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const [first = "", ...lines] = text.split("\n");
  if (text !== "" && first !== head) {
    throw new OrreryError(
      "record_differs",
      `${path} has other runs than these, or none; name another file, or ask for the same nodes, subnets, rounds, state and faults`,
    );
  }
  const results = lines.map(resultFrom).filter((result) => result !== null);
  // Whole again, without what was cut off.
  const whole = [head, ...results.map((result) => JSON.stringify(result)), ""].join("\n");
  if (whole !== text) write(() => writeWhole(path, whole));
  return { results, add: (result) => write(() => appendFileSync(path, `${JSON.stringify(result)}\n`)) };
}

/** Without the usual keys, which files of before do not name. */
function inOrder({ nodesPerSubnet, subnetCount, rounds, state, keys, faults }: SeedOptions): object {
  return { nodesPerSubnet, subnetCount, rounds, state, ...(keys === "ideal" ? {} : { keys }), faults };
}

function resultFrom(line: string): SeedResult | null {
  try {
    return JSON.parse(line) as SeedResult;
  } catch {
    return null;
  }
}
