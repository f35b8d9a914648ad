/**
 * A simulated network's run written down: what was drawn in it is told, so that a part of it can be told too. As JSON (bigints as "5n") it can be
 * run again for ever.
 */
import { OrreryError } from "@orrery/base";
import { CALM, type FaultPlan } from "../subnet/faults.ts";
import type { Script, Strike } from "../subnet/strikes.ts";
import type { SimulationOptions, SimulationReport, ToldSubnet } from "./simulate.ts";

/** Of files; another number is another format. */
const FORMAT = 1;

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

/** What each kind of fault is told with. */
const STRIKES: Readonly<Record<Strike["kind"], Readonly<Record<string, string>>>> = {
  crash: { node: "number", awayNs: "bigint" },
  restart: { node: "number" },
  disk_loss: { node: "number", awayNs: "bigint" },
  torn_write: { node: "number", part: "number" },
  slow: { node: "number", forNs: "bigint" },
  corrupt: { node: "number" },
  cut: { side: "object", isOneWay: "boolean", forNs: "bigint" },
  replace: { goes: "number", comes: "number" },
  part_round: { height: "number", side: "object", forNs: "bigint" },
  halt: { forNs: "bigint" },
  stretch: { blocks: "number" },
  upgrade: {},
};

function isStrike(value: unknown): value is Strike {
  if (!isRecord(value)) return false;
  const parts = STRIKES[String(value["kind"]) as Strike["kind"]];
  return parts !== undefined && Object.entries(parts).every(([name, type]) => typeof value[name] === type);
}

function isScript(value: unknown): value is Script {
  return (
    Array.isArray(value) &&
    value.every(
      (second: unknown) =>
        isRecord(second) &&
        isCount(second["drawn"]) &&
        Array.isArray(second["strikes"]) &&
        second["strikes"].every(isStrike),
    )
  );
}

const isPlan = (value: unknown): value is FaultPlan =>
  isRecord(value) &&
  Object.entries(CALM).every(([name, usual]) => typeof value[name] === typeof usual) &&
  (value["twins"] === undefined || isCount(value["twins"]));

function isScenario(value: unknown): value is Scenario {
  if (!isRecord(value) || value["orreryScenario"] !== FORMAT) return false;
  const { told, faults, state, subnetCount } = value;
  const counts = ["seed", "nodesPerSubnet", "subnetCount", "rounds"];
  return (
    counts.every((name) => isCount(value[name])) &&
    (state === "canisters" || state === "hashes") &&
    Array.isArray(faults) &&
    faults.every((name) => typeof name === "string") &&
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
