/**
 * Figures of a node in the Prometheus text format, shown at `/metrics` after those of the HTTPS interface: one line for each subnet,
 * labelled by its id. Names end in their unit.
 */
import type { Height } from "@orrery/base";
import type { UnfinishedKeys } from "./replica/key-runs.ts";

/** What rounds of a subnet came to since the start. */
export interface RoundFigures {
  rounds: number;
  answers: number;
  instructions: bigint;
  seconds: number;
}

export interface SubnetFigures extends Readonly<RoundFigures> {
  readonly subnetId: string;
  readonly publishedHeight: Height;
  readonly poolMessages: number;
  readonly watchers: number;
  /** The node's state is another one than its subnet's. */
  readonly isDiverged?: boolean;
  /** Keys that its last interval did not bring. */
  readonly unfinishedKeys?: readonly UnfinishedKeys[];
  /** Versions of the program; wanted: that which the registry names, null where it names none. */
  readonly versions?: { readonly running: string; readonly wanted: string | null };
}

const SECONDS_PER_MS = 0.001;

export function newRoundFigures(): RoundFigures {
  return { rounds: 0, answers: 0, instructions: 0n, seconds: 0 };
}

/** A round was executed. */
export function countRound(
  figures: RoundFigures,
  report: { readonly instructions: bigint; readonly durationMs: number; readonly answers: number },
): void {
  figures.rounds++;
  figures.answers += report.answers;
  figures.instructions += report.instructions;
  figures.seconds += report.durationMs * SECONDS_PER_MS;
}

const isPending = (versions: SubnetFigures["versions"]): boolean =>
  versions !== undefined && versions.wanted !== null && versions.wanted !== versions.running;

type Metric = readonly [
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: (figures: SubnetFigures) => number | bigint,
];

const METRICS: readonly Metric[] = [
  ["gauge", "orrery_published_height", "Height of the newest published state.", (of) => of.publishedHeight],
  ["gauge", "orrery_ingress_pool_messages", "Messages waiting for a block.", (of) => of.poolMessages],
  ["gauge", "orrery_waiting_clients", "Clients waiting for an answer.", (of) => of.watchers],
  [
    "gauge",
    "orrery_state_diverged",
    "1 while the node's state is another one than its subnet's.",
    (of) => (of.isDiverged === true ? 1 : 0),
  ],
  [
    "gauge",
    "orrery_upgrade_pending",
    "1 while the registry names another version of the program than the node runs.",
    ({ versions }) => (isPending(versions) ? 1 : 0),
  ],
  [
    "gauge",
    "orrery_intervals_without_keys",
    "Intervals in a row that ended without keys that were to come of them.",
    ({ unfinishedKeys = [] }) => Math.max(0, ...unfinishedKeys.map(({ intervals }) => intervals)),
  ],
  ["counter", "orrery_rounds_total", "Rounds executed since the start.", (of) => of.rounds],
  ["counter", "orrery_answers_total", "Update calls answered since the start.", (of) => of.answers],
  [
    "counter",
    "orrery_executed_instructions_total",
    "Instructions executed in rounds.",
    (of) => of.instructions,
  ],
  ["counter", "orrery_round_execution_seconds_total", "Time spent executing rounds.", (of) => of.seconds],
];

export function renderMetrics(subnets: readonly SubnetFigures[]): string {
  let text = "";
  for (const [type, name, help, value] of METRICS) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const figures of subnets) text += `${name}{subnet="${figures.subnetId}"} ${value(figures)}\n`;
  }
  const named = subnets.filter(({ versions }) => versions !== undefined);
  if (named.length === 0) return text;
  text +=
    "# HELP orrery_replica_version_info Version of the program that the node runs, and the one that the registry names.\n";
  text += "# TYPE orrery_replica_version_info gauge\n";
  for (const { subnetId, versions } of named)
    text += `orrery_replica_version_info{subnet="${subnetId}",running="${versions?.running}",wanted="${versions?.wanted ?? ""}"} 1\n`;
  return text;
}

/** Of the main thread of a node that is watched. */
export function renderTurns(maxSeconds: number): string {
  const name = "orrery_main_turn_max_seconds";
  const help = "Longest turn of the main thread's event loop since the last look, processor time.";
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${maxSeconds}\n`;
}
