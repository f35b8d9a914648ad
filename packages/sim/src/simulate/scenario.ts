/**
 * A simulated network's run written down: what was drawn in it is told, so that a part of it can be told too. As JSON (bigints as "5n") it can be
 * run again for ever.
 */
import { OrreryError } from "@orrery/base";
import { CALM, type FaultPlan, MISBEHAVIOURS } from "../subnet/faults.ts";
import type { Script, Strike } from "../subnet/strikes.ts";
import { FAULT_NAMES } from "./fault-list.ts";
import type { SimulationOptions, SimulationReport, ToldSubnet } from "./simulate.ts";

/** Of files; another number is another format. */
const FORMAT = 1;

/** What a file can ask for, as the command can. */
const NODES_MAX = 40;
const SUBNETS_MAX = 100;
/** Canister ids are divided among so many. */
const CANISTER_SUBNETS_MAX = 64;
const ROUNDS_MAX = 1_000_000;
const INTERVAL_MAX = 10_000;
/** Numbers of a run's randomness that a second takes. */
const DRAWN_MAX = 100_000;

export interface Scenario extends Omit<SimulationOptions, "recorders" | "onProgress" | "keys"> {
  readonly told: readonly ToldSubnet[];
}

/** The run with what was drawn in it told instead. */
export function scenarioOf(options: SimulationOptions, { told }: Pick<SimulationReport, "told">): Scenario {
  const { seed, nodesPerSubnet, subnetCount, rounds, state, faults } = options;
  return { seed, nodesPerSubnet, subnetCount, rounds, state, faults, told };
}

export function encodeScenario(scenario: Scenario): string {
  const written = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value);
  return `${JSON.stringify({ orreryScenario: FORMAT, ...scenario }, written, 1)}\n`;
}

const BIG = /^-?\d{1,30}n$/;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const isTime = (value: unknown): value is bigint => typeof value === "bigint" && value >= 0n;
const isChance = (value: unknown): value is number => typeof value === "number" && value >= 0;
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
function isTimes(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [least, most]: readonly unknown[] = value;
  return isTime(least) && isTime(most) && least <= most;
}
const isSide = (value: unknown): boolean => Array.isArray(value) && value.every(isCount);
const isUpTo =
  (most: number) =>
  (value: unknown): value is number =>
    isCount(value) && value > 0 && value <= most;

const isUpToNodes = (value: unknown): boolean => isCount(value) && value <= NODES_MAX;

type Parts = Readonly<Record<string, (value: unknown) => boolean>>;

const hasParts = (value: Readonly<Record<string, unknown>>, parts: Parts): boolean =>
  Object.entries(parts).every(([name, isOne]) => isOne(value[name]));

/** What each kind of fault is told with. */
const STRIKES: Readonly<Record<Strike["kind"], Parts>> = {
  crash: { node: isCount, awayNs: isTime },
  restart: { node: isCount },
  disk_loss: { node: isCount, awayNs: isTime },
  torn_write: { node: isCount, part: isChance },
  slow: { node: isCount, forNs: isTime },
  corrupt: { node: isCount },
  cut: { side: isSide, isOneWay: isFlag, forNs: isTime },
  replace: { goes: isCount, comes: isCount },
  part_round: { height: isCount, side: isSide, forNs: isTime },
  halt: { forNs: isTime },
  stretch: { blocks: isUpTo(INTERVAL_MAX) },
  upgrade: {},
  create: { members: isUpTo(NODES_MAX) },
};

function isStrike(value: unknown): value is Strike {
  if (!isRecord(value)) return false;
  const kind = String(value["kind"]);
  return Object.hasOwn(STRIKES, kind) && hasParts(value, STRIKES[kind as Strike["kind"]]);
}

function isScript(value: unknown): value is Script {
  return (
    Array.isArray(value) &&
    value.every(
      (second: unknown) =>
        isRecord(second) &&
        isCount(second["drawn"]) &&
        second["drawn"] <= DRAWN_MAX &&
        Array.isArray(second["strikes"]) &&
        second["strikes"].every(isStrike),
    )
  );
}

const isKind = (value: unknown): boolean => MISBEHAVIOURS.some((kind) => kind === value);

/** Of a usual value: what another one in its place looks like. */
function isLike(usual: unknown, value: unknown): boolean {
  if (typeof usual === "bigint") return isTime(value);
  if (typeof usual === "number") return isChance(value);
  return typeof usual === "boolean" ? isFlag(value) : isTimes(value);
}

function isRange(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [least, most]: readonly unknown[] = value;
  return isUpTo(INTERVAL_MAX)(least) && isUpTo(INTERVAL_MAX)(most) && least <= most;
}

/** What is not in every plan: files of before have none of it. */
const OPTIONAL: Parts = {
  stretchPerSecond: isChance,
  intervalBlocks: isRange,
  upgradePerSecond: isChance,
  createPerSecond: isChance,
  twins: isUpToNodes,
};

function isPlan(value: unknown): value is FaultPlan {
  if (!isRecord(value)) return false;
  const { byzantine: _none, ...usual } = CALM;
  const { byzantine } = value;
  return (
    Object.entries(usual).every(([name, each]) => isLike(each, value[name])) &&
    Array.isArray(byzantine) &&
    byzantine.every((kinds: unknown) => (Array.isArray(kinds) ? kinds.every(isKind) : isKind(kinds))) &&
    Object.entries(OPTIONAL).every(([name, isOne]) => value[name] === undefined || isOne(value[name]))
  );
}

function isScenario(value: unknown): value is Scenario {
  if (!isRecord(value) || value["orreryScenario"] !== FORMAT) return false;
  const { told, faults, state, subnetCount } = value;
  return (
    hasParts(value, { seed: isCount, nodesPerSubnet: isUpTo(NODES_MAX), rounds: isUpTo(ROUNDS_MAX) }) &&
    (state === "canisters" || state === "hashes") &&
    isUpTo(state === "canisters" ? CANISTER_SUBNETS_MAX : SUBNETS_MAX)(subnetCount) &&
    Array.isArray(faults) &&
    faults.every((name) => FAULT_NAMES.includes(name)) &&
    Array.isArray(told) &&
    told.length === subnetCount &&
    told.every((each: unknown) => isRecord(each) && isPlan(each["plan"]) && isScript(each["script"]))
  );
}

/** Throws `scenario_invalid` for what is none. */
export function decodeScenario(text: string): Scenario {
  const revived = (_: string, value: unknown): unknown =>
    typeof value === "string" && BIG.test(value) ? BigInt(value.slice(0, -1)) : value;
  let read: unknown;
  try {
    read = JSON.parse(text, revived);
  } catch (cause) {
    throw new OrreryError("scenario_invalid", `a scenario is JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isScenario(read)) {
    throw new OrreryError(
      "scenario_invalid",
      `this is no scenario of format ${FORMAT}; take a file that \`orrery simulate --shrink\` wrote`,
    );
  }
  return read;
}
