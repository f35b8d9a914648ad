/** Simulated subnets whose registry changes the length of intervals, names another version of the program, or asks for another subnet, and what has to come of it. */
import { creationsMissing, violationsOf } from "../creating.ts";
import type { FaultPlan } from "../faults.ts";
import { faultsOfFounded } from "../founded.ts";
import { type SubnetRun, worldFor } from "../run.ts";
import type { World } from "../world.ts";

const SECOND = 1_000_000_000n;
/** Of virtual time, in which a subnet has to be created where all is calm. */
const CREATION_SECONDS = 60;

export interface Changed {
  /** What is wrong; null: nothing is. */
  readonly wrong: string | null;
  readonly rounds: number;
}

/** Twice, longer and shorter. */
export function stretched(run: SubnetRun): Changed {
  const world = worldFor(run);
  for (const length of [run.catchUpInterval + 7, run.catchUpInterval - 2]) {
    world.registry.stretch(length, world.now);
    world.run(world.now + 40n * SECOND);
    const lengths = [...world.summaries.values()].map((summary) => summary.length);
    const { blocks } = world.checkers;
    const [wrong] = violationsOf(world);
    if (wrong !== undefined) return { wrong, rounds: blocks.length };
    if (!lengths.includes(length))
      return { wrong: `no interval has ${length} blocks`, rounds: blocks.length };
  }
  world.heal();
  world.run(world.now + 20n * SECOND);
  const { blocks, height } = world.checkers;
  const isBehind = world.commonHeight < height - run.catchUpInterval;
  return {
    wrong: violationsOf(world)[0] ?? (isBehind ? "a node stays behind" : null),
    rounds: blocks.length,
  };
}

const early = (faults: FaultPlan): boolean => faults.crashPerSecond === 0 && faults.loss === 0;

/** Twice; the last node is there early with the second version, and waits. `executionNs`: blocks may come sooner than states. */
export function upgraded(run: SubnetRun, executionNs?: bigint): Changed {
  const world = worldFor(run, executionNs);
  const last = world.nodes[run.nodes - 1];
  const done = (wrong: string | null): Changed => ({ wrong, rounds: world.checkers.blocks.length });
  for (const [i, version] of ["2.0.0", "3.0.0"].entries()) {
    world.run(world.now + 5n * SECOND);
    world.registry.upgrade(world.now);
    if (i === 1 && early(run.faults) && last !== undefined) {
      last.install(version);
      world.boot(last.index);
    }
    for (let part = 0; part < 20; part++) {
      world.submit(new Uint8Array(8).fill(20 * i + part + 1));
      world.run(world.now + 2n * SECOND);
    }
    const fault = violationsOf(world)[0] ?? faultOfUpgrades(world);
    if (fault !== null) return done(fault);
  }
  world.heal();
  world.run(world.now + 40n * SECOND);
  const { height } = world.checkers;
  const isBehind = world.commonHeight < height - run.catchUpInterval;
  const isOld = world.nodes.slice(0, run.nodes).some(({ program }) => program !== "3.0.0");
  return done(
    violationsOf(world)[0] ??
      (isOld ? "a node runs an old program" : isBehind ? "a node stays behind" : null),
  );
}

/** Which versions are named, how often. */
function faultOfUpgrades({ summaries, registry }: World): string | null {
  const upgrades = [...summaries].filter(([, { upgrades: isOne }]) => isOne === true);
  const named = new Set(upgrades.map(([, { replicaVersion }]) => replicaVersion));
  if (!named.has(registry.newest.replicaVersion)) return "no summary names the version";
  return upgrades.length > named.size ? "a version is named as another one twice" : null;
}

/** Two subnets are asked for at once; all members start again from the package of each. */
export function created(run: SubnetRun): Changed {
  const world = worldFor(run);
  const done = (wrong: string | null): Changed => ({ wrong, rounds: world.checkers.blocks.length });
  for (const members of [4, 1]) world.registry.create(members, world.now);
  for (let left = 1; left >= 0; left--) {
    for (let seconds = 0; creationsMissing(world) > left; seconds++) {
      const [wrong] = violationsOf(world);
      if (wrong !== undefined) return done(wrong);
      if (seconds > CREATION_SECONDS) return done(`${left + 1} subnets are not created`);
      world.run(world.now + SECOND);
    }
    for (const node of world.nodes) {
      node.crash();
      world.boot(node.index);
    }
  }
  world.run(world.now + 20n * SECOND);
  return done(violationsOf(world)[0] ?? faultsOfFounded(world, run.seed)[0] ?? null);
}
