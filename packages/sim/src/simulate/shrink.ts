/**
 * From a run that fails to a short one that fails alike: single faults are left out as long as what is wrong stays, then subnets, members,
 * rounds, what messages suffer, members that misbehave, and long times.
 */
import { faultsOf } from "@orrery/consensus/member";
import { CALM, type FaultPlan } from "../subnet/faults.ts";
import type { Strike } from "../subnet/strikes.ts";
import { encodeScenario, type Scenario, scenarioOf } from "./scenario.ts";
import { type SimulationOptions, type SimulationReport, simulate } from "./simulate.ts";

/** The fewest of which some may be faulty. */
const NODES_LEAST = 4;
/** Of one shrinking. */
const RUNS_MAX = 400;
/** Longer times become so long, ns. */
const USUAL_NS = 1_000_000_000n;

/** What is wrong, whichever node and height it is at; null for a run that is well. */
export function failureOf({
  verdict,
  violations,
}: Pick<SimulationReport, "verdict" | "violations">): string | null {
  if (verdict === "ok") return null;
  return violations[0]?.replaceAll(/[0-9a-f]*\d[0-9a-f]*/g, "#").replace(/^subnet #: /, "") ?? verdict;
}

/** The items without any of which `holds` would not hold any more, or nearly; `holds` holds for all of them. Zeller's delta debugging. */
export function shrunk<T>(items: readonly T[], holds: (items: readonly T[]) => boolean): readonly T[] {
  let left = items;
  for (let parts = 2; left.length > 0; ) {
    const size = Math.ceil(left.length / parts);
    const without = Array.from({ length: Math.ceil(left.length / size) }, (_, part) =>
      left.filter((_item, place) => Math.floor(place / size) !== part),
    ).find(holds);
    if (without !== undefined) {
      left = without;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(left.length, 2 * parts);
  }
  return left;
}

interface Timed {
  readonly subnet: number;
  readonly second: number;
  readonly strike: Strike;
}

const strikesOf = ({ told }: Scenario): readonly Timed[] =>
  told.flatMap(({ script }, subnet) =>
    script.flatMap(({ strikes }, second) => strikes.map((strike) => ({ subnet, second, strike }))),
  );

function withStrikes(scenario: Scenario, kept: readonly Timed[]): Scenario {
  const told = scenario.told.map(({ plan, script }, subnet) => ({
    plan,
    script: script.map(({ drawn }, second) => ({
      drawn,
      strikes: kept
        .filter((timed) => timed.subnet === subnet && timed.second === second)
        .map(({ strike }) => strike),
    })),
  }));
  return { ...scenario, told };
}

/** The same fault, of a usual length where it is longer; a new subnet of one node. */
function brief(strike: Strike): Strike {
  if ("awayNs" in strike && strike.awayNs > USUAL_NS) return { ...strike, awayNs: USUAL_NS };
  if ("forNs" in strike && strike.forNs > USUAL_NS) return { ...strike, forNs: USUAL_NS };
  if (strike.kind === "create") return { ...strike, members: 1 };
  return strike;
}

function withPlans(scenario: Scenario, change: (plan: FaultPlan) => Partial<FaultPlan>): Scenario {
  const told = scenario.told.map(({ plan, script }) => ({ plan: { ...plan, ...change(plan) }, script }));
  return { ...scenario, told };
}

/** Members that misbehave: fewer, or in fewer ways. */
function tamer({ byzantine }: FaultPlan): readonly FaultPlan["byzantine"][] {
  return byzantine.flatMap((kinds, place) => {
    const without = byzantine.filter((_kind, at) => at !== place);
    const alone = typeof kinds === "string" || kinds.length < 2 ? [] : kinds;
    return [without, ...alone.map((kind) => byzantine.map((each, at) => (at === place ? kind : each)))];
  });
}

/** Members of some subnet that are not the protocol's: they misbehave, or their disks do. */
function isOver({ told, nodesPerSubnet }: Scenario): boolean {
  return told.some(({ plan, script }) => {
    const faulty = new Set(plan.byzantine.slice(0, nodesPerSubnet).keys());
    for (let node = 0; node < (plan.twins ?? 0); node++) faulty.add(node);
    for (const strike of script.flatMap(({ strikes }) => strikes))
      if ((strike.kind === "corrupt" || strike.kind === "disk_loss") && strike.node < nodesPerSubnet)
        faulty.add(strike.node);
    return faulty.size > faultsOf(nodesPerSubnet);
  });
}

/** The fewest members, of which so many misbehave as may. */
function fewest(scenario: Scenario): Scenario {
  const nodesPerSubnet = Math.min(NODES_LEAST, scenario.nodesPerSubnet);
  const most = faultsOf(nodesPerSubnet);
  const few = withPlans(scenario, ({ byzantine, twins }) => ({
    byzantine: byzantine.slice(0, most),
    ...(twins === undefined ? {} : { twins: Math.min(twins, most) }),
  }));
  return { ...few, nodesPerSubnet };
}

/** Fewer things at a time; what takes most away comes first. */
function simpler(scenario: Scenario): readonly Scenario[] {
  const { rounds, nodesPerSubnet, subnetCount, told } = scenario;
  const strikes = strikesOf(scenario);
  const { delayNs, registryDelayNs, skewNs } = CALM;
  const calm = [
    { byzantine: [] },
    { loss: 0 },
    { duplicate: 0 },
    { reorder: 0 },
    { delayNs },
    { registryDelayNs },
    { skewNs },
    { liesOnSync: false },
    ...(told.some(({ plan }) => (plan.twins ?? 0) > 0) ? [{ twins: 0 }] : []),
  ];
  const all: readonly Scenario[] = [
    { ...scenario, subnetCount: 1, told: told.slice(0, 1) },
    { ...scenario, subnetCount: subnetCount - 1, told: told.slice(0, -1) },
    { ...scenario, state: "hashes" },
    { ...scenario, nodesPerSubnet: Math.min(NODES_LEAST, nodesPerSubnet) },
    fewest(scenario),
    ...[Math.floor(rounds / 2), Math.floor((3 * rounds) / 4), rounds - 1].map((fewer) => ({
      ...scenario,
      rounds: fewer,
    })),
    ...calm.map((change) => withPlans(scenario, () => change)),
    ...told.flatMap(({ plan }, subnet) =>
      tamer(plan).map((byzantine) => ({
        ...scenario,
        told: told.map((each, at) => (at === subnet ? { ...each, plan: { ...plan, byzantine } } : each)),
      })),
    ),
    ...strikes.map((_, place) =>
      withStrikes(
        scenario,
        strikes.map((timed, at) => (at === place ? { ...timed, strike: brief(timed.strike) } : timed)),
      ),
    ),
  ];
  const own = encodeScenario(scenario);
  // With more faulty members than may be, another run fails alike for a reason that is no bug.
  const over = isOver(scenario);
  return all.filter(
    (other) =>
      other.rounds > 0 && other.subnetCount > 0 && (over || !isOver(other)) && encodeScenario(other) !== own,
  );
}

export interface Shrunk {
  readonly scenario: Scenario;
  /** As `failureOf` has it. */
  readonly failure: string;
  readonly strikes: { readonly before: number; readonly after: number };
  readonly rounds: { readonly before: number; readonly after: number };
  /** That it took. */
  readonly runs: number;
}

export interface ShrinkOptions {
  /** How a run is made, where it is not as usual. */
  readonly runs?: (options: SimulationOptions) => SimulationReport;
  /** After each run: how many there were, and how many single faults are left. */
  readonly onProgress?: (runs: number, strikes: number) => void;
}

/** The shortest run that is found that fails as this one does; null for a run that is well. */
export function shrink(
  options: SimulationOptions,
  { runs = simulate, onProgress = (): void => undefined }: ShrinkOptions = {},
): Shrunk | null {
  const { recorders: _recorders, onProgress: _says, ...bare } = options;
  const drawn = runs(bare);
  const failure = failureOf(drawn);
  if (failure === null) return null;
  let count = 1;
  let best = scenarioOf(options, drawn);
  const before = strikesOf(best).length;
  const fails = (scenario: Scenario): boolean => {
    if (count >= RUNS_MAX) return false;
    count++;
    const report = runs(scenario);
    const isAlike = failureOf(report) === failure;
    // Seconds that did not come any more are gone.
    if (isAlike) best = scenarioOf(scenario, report);
    onProgress(count, strikesOf(best).length);
    return isAlike;
  };
  for (let isSmaller = true; isSmaller; ) {
    const scenario = best;
    shrunk(strikesOf(scenario), (kept) => fails(withStrikes(scenario, kept)));
    isSmaller = false;
    while (simpler(best).some(fails)) isSmaller = true;
  }
  return {
    scenario: best,
    failure,
    strikes: { before, after: strikesOf(best).length },
    rounds: { before: options.rounds, after: best.rounds },
    runs: count,
  };
}
