/** What goes wrong in a second of a simulated subnet: drawn from the run's seed, never more than its plan allows. */
import { faultsOf } from "@orrery/consensus/member";
import type { Random } from "../random.ts";
import type { Checkers } from "./checkers.ts";
import type { FaultPlan } from "./faults.ts";
import type { Links } from "./links.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimRegistry } from "./sim-registry.ts";
import type { Tally } from "./tally.ts";
import type { WorldEvent } from "./world-nodes.ts";

/** Of a node that starts again at once, ns. */
const RESTART_NS = 1_000_000n;

export interface Struck {
  readonly members: number;
  readonly hasSpares: boolean;
  readonly faults: FaultPlan;
  readonly random: Random;
  readonly links: Links;
  readonly tally: Tally;
  readonly nodes: readonly SimNode[];
  readonly registry: SimRegistry;
  readonly checkers: Checkers;
  isHonest(node: number): boolean;
  plan(afterNs: bigint, event: WorldEvent): void;
  /** Its disk is empty from now on, and it is down. */
  loseDisk(node: SimNode): void;
  readonly now: bigint;
  wakeAll(): void;
  halt(halts: boolean): void;
}

/** Chances of 0 draw nothing, so that a plan's runs stay the same when more can go wrong. */
function strikes(random: Random, chance: number): boolean {
  return chance > 0 && random.chance(chance);
}

/** Draws a second's faults. */
export function strike(struck: Struck): void {
  const { faults, random, links, nodes, tally } = struck;
  const { crashPerSecond, awayNs, partitionPerSecond, partedNs, onewayPerSecond } = faults;
  for (const node of nodes) {
    if (!node.isUp || !random.chance(crashPerSecond)) continue;
    node.crash();
    tally.note("crash");
    struck.plan(links.between(awayNs), { kind: "boot", node: node.index });
  }
  corruptSome(struck);
  changeRegistry(struck);
  if (!links.isCut && random.chance(partitionPerSecond)) part(struck, false, partedNs);
  if (!links.isCut && strikes(random, onewayPerSecond)) part(struck, true, partedNs);
  for (const node of nodes) strikeNode(struck, node);
}

function part(
  { nodes, random, links, plan }: Struck,
  isOneWay: boolean,
  partedNs: FaultPlan["partedNs"],
): void {
  links.cut(new Set(nodes.map(({ index }) => index).filter(() => random.chance(0.5))), isOneWay);
  plan(links.between(partedNs), { kind: "heal" });
}

function strikeNode(struck: Struck, node: SimNode): void {
  const { faults, random, links, tally, members } = struck;
  const { restartPerSecond, tornWritePerSecond, diskLossPerSecond, slowPerSecond, slowForNs } = faults;
  const { index } = node;
  if (!node.isUp) return;
  if (!links.isSlow(index) && strikes(random, slowPerSecond)) {
    links.slow(index);
    struck.plan(links.between(slowForNs), { kind: "hasten", node: index });
  }
  if (strikes(random, tornWritePerSecond)) node.tear(random.next());
  // Who loses what it signed is one of those who may be faulty.
  if (index < forgettingMost(faults, members) && strikes(random, diskLossPerSecond)) {
    struck.loseDisk(node);
    tally.note("disk-loss");
    struck.plan(links.between(faults.awayNs), { kind: "boot", node: index });
  } else if (strikes(random, restartPerSecond)) {
    node.crash();
    tally.note("restart");
    struck.plan(RESTART_NS, { kind: "boot", node: index });
  }
}

/** Other members, from a while later on: honest ones come and go, so that no more of them are faulty than may be. */
function changeMembers(struck: Struck): void {
  const { registry, nodes, random, now } = struck;
  const { members } = registry.newest;
  const honest = members.filter((index) => struck.isHonest(index));
  const spare = nodes.map(({ index }) => index).filter((index) => !members.includes(index));
  const comes = spare[random.below(spare.length)];
  const goes = honest[random.below(honest.length)];
  if (comes !== undefined && goes !== undefined) {
    registry.replace(goes, comes, now);
    struck.tally.note("membership");
  }
  struck.wakeAll();
}

function changeRegistry(struck: Struck): void {
  const { hasSpares, faults, random, registry, links } = struck;
  if (!hasSpares) return;
  if (random.chance(faults.changePerSecond)) changeMembers(struck);
  if (registry.newest.halts || !random.chance(faults.haltPerSecond)) return;
  struck.halt(true);
  struck.tally.note("halt");
  struck.plan(links.between(faults.haltedNs), { kind: "resume" });
}

/** Nodes at the lowest places whose disks may be lost: one fewer than may be faulty where states break too. */
function forgettingMost({ corruptPerSecond }: FaultPlan, members: number): number {
  return faultsOf(members) - (corruptPerSecond > 0 ? 1 : 0);
}

/** Never more nodes than may be faulty. */
function corruptSome(struck: Struck): void {
  const { members, faults, nodes, checkers, random, tally } = struck;
  const { corruptPerSecond, byzantine, diskLossPerSecond } = faults;
  const others = diskLossPerSecond > 0 ? forgettingMost(faults, members) : byzantine.length;
  const most = faultsOf(members) - others;
  for (const node of nodes) {
    if (!node.isUp || !struck.isHonest(node.index) || checkers.corrupted.size >= most) continue;
    if (!random.chance(corruptPerSecond)) continue;
    node.application.corrupt();
    tally.note("broken-state");
    checkers.corrupts(node.index, node.height + 1);
  }
}
