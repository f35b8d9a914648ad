/** What goes wrong in a second of a simulated subnet: drawn from the run's seed, never more than its plan allows; or told by a script. */
import { faultsOf } from "@orrery/consensus/member";
import { drawnBetween, type Random } from "../random.ts";
import type { FaultPlan } from "./faults.ts";
import type { SimNode } from "./sim-node.ts";
import { inflict, type Means, type Strike, type Struck } from "./strikes.ts";
import type { WorldOptions } from "./world-nodes.ts";

export interface Sky extends Means {
  /** Members, and what may go wrong; without spares they never change. */
  readonly options: Pick<WorldOptions, "nodes" | "spares" | "faults">;
  readonly random: Random;
  isHonest(node: number): boolean;
}

/** Heights from the one that is delivered on that have a shape, how often they do, and for how long. */
const PARTED_AHEAD = 6;
const PARTED = 0.6;
const PARTED_NS: readonly [bigint, bigint] = [1_000_000_000n, 5_000_000_000n];

/** Subnets that one run asks for: each takes an interval of its own. Of so many nodes. */
const CREATED_MAX = 6;
const CREATED_SIZES: readonly number[] = [4, 4, 1, 7];

/** What is drawn comes to pass at once: what follows is drawn of how things are then. */
type Drawing = Sky & { readonly strike: (strike: Strike) => void };

/** Chances of 0 draw nothing, so that a plan's runs stay the same when more can go wrong. */
function strikes(random: Random, chance: number): boolean {
  return chance > 0 && random.chance(chance);
}

/** A second's faults: those that are told, or else drawn ones. */
export function strike(sky: Sky, told: Struck | null): Struck {
  const { random } = sky;
  if (told !== null) {
    for (let i = 0; i < told.drawn; i++) random.next();
    for (const each of told.strikes) inflict(sky, each);
    return told;
  }
  const struck: Strike[] = [];
  let drawn = 0;
  const next = (): number => {
    drawn++;
    return random.next();
  };
  const counted: Random = {
    next,
    below: (bound) => Math.floor(next() * bound),
    chance: (p) => next() < p,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
  };
  drawAll({
    ...sky,
    random: counted,
    strike: (each) => {
      struck.push(each);
      inflict(sky, each);
    },
  });
  return { strikes: struck, drawn };
}

function drawAll(drawing: Drawing): void {
  const { options, random, links, nodes } = drawing;
  const { faults } = options;
  const { crashPerSecond, awayNs, partitionPerSecond, onewayPerSecond } = faults;
  for (const { isUp, index } of nodes) {
    if (!isUp || !random.chance(crashPerSecond)) continue;
    drawing.strike({ kind: "crash", node: index, awayNs: drawnBetween(random, awayNs) });
  }
  corruptSome(drawing);
  changeRegistry(drawing);
  if (!links.isCut && random.chance(partitionPerSecond)) cut(drawing, false);
  if (!links.isCut && strikes(random, onewayPerSecond)) cut(drawing, true);
  for (const node of nodes) strikeNode(drawing, node);
  partRounds(drawing);
}

/** Shapes of the next heights, so that twins hear different things. */
function partRounds(drawing: Drawing): void {
  const { options, random, links, nodes, checkers } = drawing;
  if ((options.faults.twins ?? 0) === 0) return;
  for (let height = checkers.height + 1; height <= checkers.height + PARTED_AHEAD; height++) {
    if (links.isParted(height) || !random.chance(PARTED)) continue;
    const side = nodes.map(({ index }) => index).filter(() => random.chance(0.5));
    drawing.strike({ kind: "part_round", height, side, forNs: drawnBetween(random, PARTED_NS) });
  }
}

function cut(drawing: Drawing, isOneWay: boolean): void {
  const { nodes, random, options } = drawing;
  const side = nodes.map(({ index }) => index).filter(() => random.chance(0.5));
  drawing.strike({ kind: "cut", side, isOneWay, forNs: drawnBetween(random, options.faults.partedNs) });
}

function strikeNode(drawing: Drawing, { index, isUp }: SimNode): void {
  const { options, random, links } = drawing;
  const { faults, nodes: members } = options;
  const { restartPerSecond, tornWritePerSecond, diskLossPerSecond, slowPerSecond, slowForNs } = faults;
  if (!isUp) return;
  if (!links.isSlow(index) && strikes(random, slowPerSecond))
    drawing.strike({ kind: "slow", node: index, forNs: drawnBetween(random, slowForNs) });
  if (strikes(random, tornWritePerSecond))
    drawing.strike({ kind: "torn_write", node: index, part: random.next() });
  // Who loses what it signed is one of those who may be faulty.
  if (index < forgettingMost(faults, members) && strikes(random, diskLossPerSecond))
    drawing.strike({ kind: "disk_loss", node: index, awayNs: drawnBetween(random, faults.awayNs) });
  else if (strikes(random, restartPerSecond)) drawing.strike({ kind: "restart", node: index });
}

/** Other members: honest ones come and go, so that no more of them are faulty than may be. */
function changeMembers(drawing: Drawing): void {
  const { registry, nodes, random } = drawing;
  const { members } = registry.newest;
  const honest = members.filter((index) => drawing.isHonest(index));
  const identities = drawing.options.nodes + (drawing.options.spares ?? 0);
  const spare = nodes
    .map(({ index }) => index)
    .filter((index) => index < identities && !members.includes(index));
  const comes = spare[random.below(spare.length)];
  const goes = honest[random.below(honest.length)];
  if (comes !== undefined && goes !== undefined) drawing.strike({ kind: "replace", goes, comes });
}

function changeRegistry(drawing: Drawing): void {
  const { options, random, registry } = drawing;
  const { faults, spares } = options;
  if (spares === null) return;
  if (random.chance(faults.changePerSecond)) changeMembers(drawing);
  const { stretchPerSecond = 0, intervalBlocks: [least, most] = [0, 0], upgradePerSecond = 0 } = faults;
  const { createPerSecond = 0 } = faults;
  if (strikes(random, stretchPerSecond))
    drawing.strike({ kind: "stretch", blocks: least + random.below(most - least + 1) });
  if (strikes(random, upgradePerSecond)) drawing.strike({ kind: "upgrade" });
  if ((registry.newest.planned?.length ?? 0) < CREATED_MAX && strikes(random, createPerSecond))
    drawing.strike({ kind: "create", members: CREATED_SIZES[random.below(CREATED_SIZES.length)] ?? 1 });
  if (registry.newest.halts || !random.chance(faults.haltPerSecond)) return;
  drawing.strike({ kind: "halt", forNs: drawnBetween(random, faults.haltedNs) });
}

/** Nodes at the lowest places whose disks may be lost: one fewer than may be faulty where states break too. */
function forgettingMost({ corruptPerSecond }: FaultPlan, members: number): number {
  return faultsOf(members) - (corruptPerSecond > 0 ? 1 : 0);
}

/** Never more nodes than may be faulty. */
function corruptSome(drawing: Drawing): void {
  const { options, nodes, checkers, random } = drawing;
  const { faults, nodes: members } = options;
  const { corruptPerSecond, byzantine, diskLossPerSecond, twins = 0 } = faults;
  const misbehaving = Math.max(byzantine.length, twins);
  const others = diskLossPerSecond > 0 ? forgettingMost(faults, members) : misbehaving;
  const most = faultsOf(members) - others;
  for (const { isUp, index } of nodes) {
    if (!isUp || !drawing.isHonest(index) || checkers.corrupted.size >= most) continue;
    if (random.chance(corruptPerSecond)) drawing.strike({ kind: "corrupt", node: index });
  }
}
