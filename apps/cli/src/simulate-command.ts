/** The options of `orrery simulate`. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Io } from "./io.ts";
import type { SimulateOptions } from "./simulate.ts";

const NODES_MAX = 40;
const SUBNETS_MAX = 100;
const ROUNDS_MAX = 1_000_000;
const JOBS_MAX = 64;

function between(least: number, most: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < least || count > most)
      throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}.`);
    return count;
  };
}

/** Of one command: what became of each is kept. */
const SEEDS_MAX = 1_000_000;

function parseSeeds(text: string): readonly [number, number] {
  const [, first, last] = /^(\d{1,15})\.\.(\d{1,15})$/.exec(text) ?? [];
  if (first === undefined || last === undefined || Number(first) > Number(last))
    throw new InvalidArgumentError("expected two whole numbers as in 1..100.");
  if (Number(last) - Number(first) >= SEEDS_MAX)
    throw new InvalidArgumentError(`expected at most ${SEEDS_MAX} seeds.`);
  return [Number(first), Number(last)];
}

function addSeedOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--seeds <from..to>", "many runs, each with some of the faults")
        .argParser(parseSeeds)
        .conflicts(["seed", "timeline"]),
    )
    .addOption(
      new Option("--jobs <count>", "threads that share the seeds; what is said in the end stays the same")
        .argParser(between(1, JOBS_MAX))
        .conflicts(["seed", "timeline", "shrink", "scenario"]),
    )
    .addOption(
      new Option(
        "--record <file>",
        "keep what became of each seed there, and go on where a command before was stopped",
      ).conflicts(["seed", "timeline", "shrink", "scenario"]),
    );
}

export function addSimulateCommand(program: Command, io: Io, done: (code: number) => void): void {
  addSeedOptions(program.command("simulate"))
    .description(
      "run subnets of many members in one process, on virtual time, with faults drawn from a seed, and judge them: exit code 10 when something unsafe happened, 11 when they did not go on",
    )
    .addOption(
      new Option("--nodes-per-subnet <count>", "members of each subnet")
        .argParser(between(1, NODES_MAX))
        .default(4),
    )
    .addOption(new Option("--subnet-count <count>", "subnets").argParser(between(1, SUBNETS_MAX)).default(1))
    .addOption(
      new Option("--seed <number>", "everything else follows from it")
        .argParser(between(0, Number.MAX_SAFE_INTEGER))
        .default(1),
    )
    .addOption(
      new Option(
        "--faults <list>",
        'names with commas between, "all" or "none"; a name that does not exist lists them',
      ).default("all"),
    )
    .addOption(
      new Option("--rounds <count>", "blocks of each subnet").argParser(between(1, ROUNDS_MAX)).default(200),
    )
    .addOption(
      new Option(
        "--state <kind>",
        "what nodes execute: canisters that count and call each other across subnets, or hashes that stand for that, which is faster",
      )
        .choices(["canisters", "hashes"])
        .default("canisters"),
    )
    .addOption(
      new Option(
        "--keys <kind>",
        "ideal ones, which are hashes, or real BLS keys with their distributed generation, which is slower",
      )
        .choices(["ideal", "real"])
        .default("ideal"),
    )
    .addOption(new Option("--timeline <file>", "write a page that shows the rounds, for any browser"))
    .addOption(
      new Option(
        "--shrink <file>",
        "where the run fails, look for the shortest one that fails alike, and write that as a scenario",
      ).conflicts(["seeds", "keys"]),
    )
    .addOption(
      new Option(
        "--scenario <file>",
        "run what --shrink wrote, in place of what all other options say",
      ).conflicts(["seed", "seeds", "faults", "rounds", "state", "nodesPerSubnet", "subnetCount", "keys"]),
    )
    .addOption(new Option("--json", "print one JSON document"))
    .action(async (options: SimulateOptions, command: Command) => {
      if (options.seeds === undefined && (options.jobs !== undefined || options.record !== undefined))
        command.error("error: --jobs and --record are of many seeds; take --seeds FROM..TO with them");
      done(await (await import("./simulate.ts")).simulateNetwork(options, io));
    });
}
