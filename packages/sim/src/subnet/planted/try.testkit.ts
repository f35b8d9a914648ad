/** A battery of simulated subnets that a planted bug runs through: calm, stormy with every misbehaviour, halting, slow. */
import { assert } from "@orrery/base";
import { CALM, type FaultPlan, MISBEHAVIOURS, STORMY } from "../faults.ts";
import { runSubnet, type SubnetRun, worldFor } from "../run.ts";
import type { SimNode } from "../sim-node.ts";
import { type Changed, created, stretched, upgraded } from "./changing.testkit.ts";
import { goesOnFromPackage } from "./going-on.testkit.ts";
import { latePackages } from "./late-package.testkit.ts";
import { severalAtOnce } from "./several.testkit.ts";

const SECOND = 1_000_000_000n;
const INTERVAL = 12;
/** How closely a node is watched until it fetches a state, which takes it half a second; and for how long. */
const FETCH_STEP_NS: bigint = SECOND / 100n;
const FETCH_STEPS_MAX = 1_000;
/** A calm subnet of four makes a block of rank 0 in 300 ms and two crossings. */
const CALM_RATE: readonly [number, number] = [2.8, 3.6];

export interface Trial {
  /** How it was noticed; null when it was not. */
  readonly caught: string | null;
  /** Rounds until then, or all. */
  readonly rounds: number;
}

const run = (seed: number, nodes: number, faults: FaultPlan, seconds = 25): SubnetRun => ({
  seed,
  nodes,
  spares: 2,
  seconds,
  messagesPerSecond: 2,
  catchUpInterval: INTERVAL,
  faults,
});

function ofRun(options: SubnetRun): Trial {
  const { verdict, violations, rounds, seconds, undealt } = runSubnet(options);
  if (verdict !== "ok") return { caught: violations[0] ?? verdict, rounds };
  const rate = rounds / seconds;
  const isCalm = options.faults === CALM;
  if (isCalm && (rate < CALM_RATE[0] || rate > CALM_RATE[1]))
    return { caught: `${rate.toFixed(1)} rounds a second where all is calm`, rounds };
  // Where nothing is lost there are dealings enough, whoever deals wrongly.
  const allDeal = options.faults.loss === 0 && options.faults.crashPerSecond === 0;
  return { caught: allDeal && undealt > 0 ? `${undealt} summaries without new keys` : null, rounds };
}

/** All blocks are of rank 0 where all is calm, and all nodes lead. */
function calmRanks(): Trial {
  const world = worldFor(run(1, 4, CALM));
  world.run(world.now + 8n * SECOND);
  const { blocks } = world.checkers;
  const proposals = world.nodes.flatMap(({ published }) =>
    [...published.values()].filter((artifact) => artifact.kind === "proposal"),
  );
  if (proposals.some(({ block }) => block.rank > 0))
    return { caught: "blocks of higher ranks where all is calm", rounds: blocks.length };
  if (blocks.length > 8 * CALM_RATE[1] + 3)
    return { caught: `${blocks.length} rounds in 8 seconds where all is calm`, rounds: blocks.length };
  const leaders = new Set(proposals.map(({ signer }) => signer));
  return { caught: leaders.size < 4 ? `${leaders.size} of 4 lead` : null, rounds: blocks.length };
}

/** With execution as slow as `executionNs`. */
function halting(executionNs?: bigint, byzantine: FaultPlan["byzantine"] = []): Trial {
  const world = worldFor(run(1, 4, { ...CALM, byzantine }), executionNs);
  world.run(world.now + 5n * SECOND);
  world.halt(true);
  const wait = executionNs === undefined ? 20n * SECOND : 40n * executionNs;
  for (let i = 0; i < 20; i++) {
    const message = new Uint8Array(8).fill(i + 1);
    world.submit(message);
    world.run(world.now + wait / 20n);
  }
  const { violations, blocks } = world.checkers;
  const [stood] = world.nodes.map(({ member }) => member?.pool.notarizedHeight ?? 0);
  const caught = (what: string): Trial => ({ caught: what, rounds: blocks.length });
  if (violations[0] !== undefined) return caught(violations[0]);
  if (world.nodes.some(({ member }) => member?.isHalted !== true)) return caught("it does not halt");
  const halted = Math.max(...[...world.summaries].flatMap(([height, { halts }]) => (halts ? [height] : [])));
  if (blocks.some(({ height, payload }) => height > halted && payload.ingress.length > 0))
    return caught("something is ordered while it halts");
  world.run(world.now + 10n * SECOND);
  const [stands] = world.nodes.map(({ member }) => member?.pool.notarizedHeight ?? 0);
  if (stood !== stands) return caught("it does not stand still");
  world.halt(false);
  world.run(world.now + wait);
  return { caught: world.commonHeight > (stood ?? 0) ? null : "it does not go on", rounds: blocks.length };
}

/** Nothing is certified any more, since one of four is silent and two certify something else; a subnet that is to halt does so all the same. */
function haltingUncertified(): Trial {
  const faults: FaultPlan = { ...CALM, byzantine: ["silent", "wrong_certification", "wrong_certification"] };
  const world = worldFor({ ...run(1, 4, faults), catchUpInterval: 10 });
  world.halt(true);
  world.run(world.now + 3_000n * SECOND);
  const { violations, blocks } = world.checkers;
  const halts = world.nodes.slice(1, 4).every(({ member }) => member?.isHalted === true);
  return { caught: violations[0] ?? (halts ? null : "it does not halt"), rounds: blocks.length };
}

/** A node is away for a while, and one that forges tells it of every height before the others do: it comes back to them all the same. */
function deceived(seed: number): Trial {
  const delayNs = [SECOND / 1_000n, SECOND / 8n] as const;
  const faults: FaultPlan = { ...CALM, delayNs, byzantine: ["forge"] };
  const world = worldFor({ ...run(seed, 4, faults), spares: null, catchUpInterval: 400 });
  world.run(world.now + 5n * SECOND);
  world.nodes[3]?.crash();
  world.run(world.now + 100n * SECOND);
  world.heal();
  world.run(world.now + SECOND);
  const { violations, blocks, height } = world.checkers;
  const isBehind = world.commonHeight < height - 2;
  return {
    caught: violations[0] ?? (isBehind ? "who was deceived stays behind" : null),
    rounds: blocks.length,
  };
}

/** A node is away until the others have nothing of what it missed, and stays up when it is back; or goes down once more while it fetches the state. */
function absent(isInterrupted: boolean): Trial {
  const world = worldFor(run(1, 4, CALM));
  const [node] = world.nodes as [SimNode];
  world.run(world.now + 5n * SECOND);
  node.crash();
  world.run(world.now + 150n * SECOND);
  world.heal();
  if (isInterrupted) {
    const isFetching = (): boolean => (node.member?.newestPackage?.height ?? 0) > node.height;
    for (let steps = 0; !isFetching(); steps++) {
      assert(steps < FETCH_STEPS_MAX, "who was away fetches a state");
      world.run(world.now + FETCH_STEP_NS);
    }
    node.crash();
    world.boot(node.index);
  }
  world.run(world.now + 20n * SECOND);
  const { violations, blocks, height } = world.checkers;
  const isBehind = world.commonHeight < height - INTERVAL;
  return { caught: violations[0] ?? (isBehind ? "who was away stays behind" : null), rounds: blocks.length };
}

/** Nothing is executed: the subnet slows down, and stops before it fills its members' memory. */
function uncertified(): Trial {
  const world = worldFor(run(1, 4, CALM), 100_000n * SECOND);
  world.run(world.now + 20_000n * SECOND);
  const { violations, blocks } = world.checkers;
  return { caught: violations[0] ?? null, rounds: blocks.length };
}

function several(): Trial {
  const { notarized, finalizes, height } = severalAtOnce();
  return { caught: finalizes && notarized > 1 ? "a member finalizes one of several" : null, rounds: height };
}

function goingOn(): Trial {
  const { violations, height } = goesOnFromPackage();
  return { caught: violations[0] ?? null, rounds: height ?? 0 };
}

function late(): Trial {
  const packages = latePackages();
  const isThere = [...packages.values()].some((subnet) => subnet !== null);
  const rounds = Math.max(...packages.keys());
  return { caught: isThere ? null : "no package creates the subnet that was created", rounds };
}

const changed = ({ wrong: caught, rounds }: Changed): Trial => ({ caught, rounds });

const STORM: FaultPlan = { ...STORMY, crashPerSecond: 0.15, awayNs: [SECOND / 5n, 10n * SECOND] };
const OUTAGES: FaultPlan = { ...STORM, crashPerSecond: 0.5, awayNs: [SECOND / 5n, 4n * SECOND] };

/** Ranks take turns faster than blocks cross. */
const HURRY = { catchUpInterval: 60, unitDelayNs: SECOND / 20n, initialNotaryDelayNs: SECOND / 50n };
const RACE: FaultPlan = { ...STORMY, crashPerSecond: 0, partitionPerSecond: 0 };
/** Long enough that nobody has what they missed any more. */
const ABSENCES: FaultPlan = { ...CALM, crashPerSecond: 0.03, awayNs: [40n * SECOND, 60n * SECOND] };

const TRIALS: readonly (() => Trial)[] = [
  () => calmRanks(),
  () => ofRun(run(1, 4, CALM, 20)),
  ...MISBEHAVIOURS.map((kind) => () => ofRun(run(3, 4, { ...STORMY, byzantine: [kind] }, 15))),
  () => halting(),
  () => halting(30n * SECOND),
  () => halting(3n * SECOND, ["always_order"]),
  () => haltingUncertified(),
  () => absent(false),
  () => absent(true),
  () => changed(stretched(run(19, 4, CALM))),
  () => changed(upgraded(run(20, 4, CALM))),
  () => changed(upgraded(run(20, 4, CALM), SECOND)),
  () => changed(upgraded(run(21, 4, { ...CALM, byzantine: ["always_order"] }))),
  () => changed(created({ ...run(22, 4, CALM), catchUpInterval: 18 })),
  () => changed(created({ ...run(23, 4, { ...CALM, byzantine: ["wrong_dealings"] }), catchUpInterval: 18 })),
  ...[1, 2, 3, 4].map((seed) => () => deceived(seed)),
  () => uncertified(),
  ...MISBEHAVIOURS.map((kind) => () => ofRun(run(12, 4, { ...CALM, byzantine: [kind] }, 40))),
  () => ofRun({ ...run(13, 4, { ...CALM, byzantine: ["flood"] }, 100), spares: null }),
  ...[14, 15, 16].map(
    (seed) => () =>
      ofRun({ ...run(seed, 4, { ...RACE, byzantine: seed > 14 ? ["sign_everything"] : [] }, 8), ...HURRY }),
  ),
  () => ofRun(run(4, 4, { ...STORM, corruptPerSecond: 0.1 })),
  ...[5, 6, 7, 8].map((seed) => () => ofRun(run(seed, 4, OUTAGES))),
  ...MISBEHAVIOURS.map((kind) => () => ofRun(run(9, 5, { ...STORM, byzantine: [kind] }, 15))),
  // As long as it takes to be over the bounds.
  () => ofRun(run(2, 4, CALM, 140)),
  ...[17, 18].map((seed) => () => ofRun(run(seed, 4, ABSENCES, 100))),
  several,
  goingOn,
  late,
  ...[10, 11].map((seed) => () => ofRun(run(seed, 7, { ...STORM, byzantine: ["equivocate", "forge"] }, 15))),
];

/** A plant that is no program: nobody noticed anything. */
const isBroken = (error: unknown): boolean =>
  error instanceof ReferenceError || error instanceof TypeError || error instanceof SyntaxError;

/** Until something is noticed. Throws when the program itself is broken. */
export function battery(trials: readonly (() => Trial)[] = TRIALS): Trial {
  let rounds = 0;
  for (const trial of trials) {
    let result: Trial;
    try {
      result = trial();
    } catch (error) {
      if (isBroken(error)) throw error;
      return { caught: (error as Error).message, rounds };
    }
    rounds += result.rounds;
    if (result.caught !== null) return { caught: result.caught, rounds };
  }
  return { caught: null, rounds };
}
