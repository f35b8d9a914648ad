/**
 * Single faults of a simulated subnet, as data: what was drawn in one run can be told again in another, or told in part. Written as JSON a
 * script stays what it is.
 */
import type { Checkers } from "./checkers.ts";
import type { FaultPlan } from "./faults.ts";
import type { Links } from "./links.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimRegistry } from "./sim-registry.ts";
import type { Tally, WorldFault } from "./tally.ts";
import type { WorldEvent } from "./world-nodes.ts";

/** Of a node that starts again at once, ns. */
const RESTART_NS = 1_000_000n;

type NodeStrike =
  | { readonly kind: "crash"; readonly node: number; readonly awayNs: bigint }
  | { readonly kind: "restart"; readonly node: number }
  | { readonly kind: "disk_loss"; readonly node: number; readonly awayNs: bigint }
  /** It goes down in the middle of what it writes next, after so much of it. */
  | { readonly kind: "torn_write"; readonly node: number; readonly part: number }
  | { readonly kind: "slow"; readonly node: number; readonly forNs: bigint }
  /** Its next state is a wrong one. */
  | { readonly kind: "corrupt"; readonly node: number };

type SubnetStrike =
  | {
      readonly kind: "cut";
      readonly side: readonly number[];
      readonly isOneWay: boolean;
      readonly forNs: bigint;
    }
  /** What is said of the height does not leave the side, and nothing comes to it, for a while. */
  | {
      readonly kind: "part_round";
      readonly height: number;
      readonly side: readonly number[];
      readonly forNs: bigint;
    }
  | { readonly kind: "replace"; readonly goes: number; readonly comes: number }
  | { readonly kind: "halt"; readonly forNs: bigint }
  /** Another length of intervals. */
  | { readonly kind: "stretch"; readonly blocks: number }
  /** The next version of the program. */
  | { readonly kind: "upgrade" }
  /** The members are to create a subnet of so many nodes. */
  | { readonly kind: "create"; readonly members: number };

export type Strike = NodeStrike | SubnetStrike;

/** Of one second. */
export interface Struck {
  readonly strikes: readonly Strike[];
  /** Numbers of the run's randomness that drawing them took: without them all else would be drawn otherwise. */
  readonly drawn: number;
}

/** By seconds from the start on. */
export type Script = readonly Struck[];

/** Of a plan: nothing is drawn of what a script tells. Twins stay what they are. */
export const UNDRAWN: Partial<FaultPlan> = {
  crashPerSecond: 0,
  partitionPerSecond: 0,
  onewayPerSecond: 0,
  restartPerSecond: 0,
  tornWritePerSecond: 0,
  diskLossPerSecond: 0,
  slowPerSecond: 0,
  corruptPerSecond: 0,
  changePerSecond: 0,
  haltPerSecond: 0,
  stretchPerSecond: 0,
  upgradePerSecond: 0,
  createPerSecond: 0,
};

export interface Means {
  readonly links: Links;
  readonly tally: Tally;
  readonly nodes: readonly SimNode[];
  readonly registry: SimRegistry;
  readonly now: bigint;
  plan(afterNs: bigint, event: WorldEvent): void;
  /** Its disk is empty from now on, and it is down. */
  loseDisk(node: SimNode): void;
  readonly checkers: Checkers;
  wakeAll(): void;
  halt(halts: boolean): void;
}

/** Nothing where it cannot be: a node that is down does not go down. */
export function inflict(means: Means, strike: Strike): void {
  const { links, tally, registry, now } = means;
  switch (strike.kind) {
    case "cut":
      links.cut(new Set(strike.side), strike.isOneWay);
      means.plan(strike.forNs, { kind: "heal" });
      return;
    case "part_round":
      links.part(strike.height, new Set(strike.side), now + strike.forNs);
      return;
    case "replace":
      if (means.nodes[strike.comes] === undefined) return;
      change(means, "membership", () => registry.replace(strike.goes, strike.comes, now));
      return;
    case "halt":
      if (!registry.newest.halts) tally.note("halt");
      means.halt(true);
      means.plan(strike.forNs, { kind: "resume" });
      return;
    case "stretch":
      change(means, "interval", () => registry.stretch(strike.blocks, now));
      return;
    case "upgrade":
      change(means, "upgrade", () => registry.upgrade(now));
      return;
    case "create":
      change(means, "creation", () => registry.create(strike.members, now));
      return;
    default: {
      const node = means.nodes[strike.node];
      if (node?.isUp === true) inflictOn(means, node, strike);
    }
  }
}

/** Counts what made a version of the registry: it may be as it was told to be already. */
function change({ registry, tally, wakeAll }: Means, fault: WorldFault, changes: () => void): void {
  const before = registry.version;
  changes();
  if (registry.version > before) tally.note(fault);
  wakeAll();
}

function inflictOn(means: Means, node: SimNode, strike: NodeStrike): void {
  const { links, tally } = means;
  const back: WorldEvent = { kind: "boot", node: node.index };
  switch (strike.kind) {
    case "crash":
      node.crash();
      tally.note("crash");
      means.plan(strike.awayNs, back);
      return;
    case "restart":
      node.crash();
      tally.note("restart");
      means.plan(RESTART_NS, back);
      return;
    case "disk_loss":
      means.loseDisk(node);
      tally.note("disk-loss");
      means.plan(strike.awayNs, back);
      return;
    case "torn_write":
      node.tear(strike.part);
      return;
    case "slow":
      links.slow(node.index);
      means.plan(strike.forNs, { kind: "hasten", node: node.index });
      return;
    case "corrupt":
      node.application.corrupt();
      means.checkers.corrupts(node.index, node.height + 1);
      tally.note("broken-state");
      return;
  }
}
