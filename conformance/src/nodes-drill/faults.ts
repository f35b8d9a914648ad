/** What happens to the nodes of a drill, drawn from its seed: which fault, to whom, for how long. */

import type { Random } from "../durability/random.ts";
import type { Misbehaviour } from "./misbehave.ts";
import type { FaultOf } from "./wires.ts";

export const FAULT_KINDS = [
  "kill",
  "freeze",
  "partition",
  "one-way",
  "slow",
  "lossy",
  "cut",
  "clock",
  "disk-full",
  "diverge",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Places of those that it is about. */
  readonly victims: readonly number[];
  readonly forMs: number;
  /** Of lines, for the kinds that have them. */
  readonly lines: FaultOf | null;
  /** Of the victims' clocks. */
  readonly clockOffsetMs: number;
}

export interface FaultsOptions {
  readonly random: Random;
  /** Of each subnet. */
  readonly nodes: number;
  /** Processes of different subnets come one subnet after the other: so many. 1 where each process has a node of every subnet. */
  readonly groups: number;
  /** The node whose disk can be filled; null for none. */
  readonly smallDisk: number | null;
  /** The one that misbehaves is left alone otherwise; null for none. */
  readonly spared: number | null;
}

/** What can be told to all peers alike. */
export const MISBEHAVIOURS_DRILLED: readonly Misbehaviour[] = [
  "silent",
  "equivocate",
  "sign_everything",
  "wrong_shares",
  "invalid_blocks",
  "wrong_certification",
  "wrong_contexts",
  "always_order",
  "repeat",
  "forge",
  "flood",
];

const MS_MIN = 1_500;
const MS_MORE = 8_500;
const DELAY_MS_MAX = 250;
const LOSS_PERCENT_MAX = 25;
/** Further than certified states may be old, and messages new. */
const CLOCK_MS_MAX = 180_000;
/** How often more than a subnet withstands: then it may stand still, and nothing else. */
const MAJOR_PERCENT = 25;

/** Nodes that may fail while a subnet goes on. */
export function faultsOf(nodes: number): number {
  return Math.floor((nodes - 1) / 3);
}

function someOf(random: Random, from: readonly number[], count: number): readonly number[] {
  const left = [...from];
  const some: number[] = [];
  while (some.length < count && left.length > 0) some.push(...left.splice(random.below(left.length), 1));
  return some.sort((a, b) => a - b);
}

/** Lines between those who are cut off and the others. */
function apart(victims: readonly number[], isOneWay: "out" | "in" | "both"): FaultOf {
  return (from, to) => {
    const [out, into] = [
      victims.includes(from) && !victims.includes(to),
      !victims.includes(from) && victims.includes(to),
    ];
    return (out && isOneWay !== "in") || (into && isOneWay !== "out") ? { isHeld: true } : null;
  };
}

function linesOf(kind: FaultKind, victims: readonly number[], random: Random): FaultOf | null {
  switch (kind) {
    case "partition":
      return apart(victims, "both");
    case "one-way":
      return apart(victims, random.pick(["out", "in"]));
    case "slow": {
      const delayMs = 5 + random.below(DELAY_MS_MAX);
      const jitterMs = random.below(delayMs);
      const isAll = random.below(2) === 0;
      return (from, to) =>
        isAll || victims.includes(from) || victims.includes(to) ? { delayMs, jitterMs } : null;
    }
    case "lossy": {
      const loss = (1 + random.below(LOSS_PERCENT_MAX)) / 100;
      return () => ({ loss, delayMs: 1, jitterMs: 3 });
    }
    case "kill":
    case "freeze":
    case "cut":
    case "clock":
    case "disk-full":
    case "diverge":
      return null;
  }
}

/** What can happen. */
export function kindsFor({
  smallDisk,
  spared,
}: Pick<FaultsOptions, "smallDisk" | "spared">): readonly FaultKind[] {
  return FAULT_KINDS.filter((kind) => {
    if (kind === "disk-full") return smallDisk !== null && smallDisk !== spared;
    // With another one that is faulty already, the honest ones left may be too few to find out whose state is wrong.
    return kind !== "diverge" || spared === null;
  });
}

/** A fault of the kind. */
export function drawFault(
  { random, nodes, groups, smallDisk, spared }: FaultsOptions,
  kind: FaultKind,
): Fault {
  const first = nodes * random.below(groups);
  const all = Array.from({ length: nodes }, (_, place) => first + place).filter((place) => place !== spared);
  // More states than may be are wrong nowhere: nobody could tell which.
  const isMajor = random.below(100) < MAJOR_PERCENT && kind !== "diverge";
  const count = isMajor ? 1 + random.below(nodes) : 1 + random.below(faultsOf(nodes));
  const victims = kind === "disk-full" ? [smallDisk as number] : someOf(random, all, count);
  const sign = random.below(2) === 0 ? -1 : 1;
  return {
    kind,
    victims,
    forMs: MS_MIN + random.below(MS_MORE),
    lines: linesOf(kind, victims, random),
    clockOffsetMs: kind === "clock" ? sign * (1 + random.below(random.pick([500, 20_000, CLOCK_MS_MAX]))) : 0,
  };
}

/** Whether the rest of every subnet goes on. Lines that are slow keep nobody from it. */
export function isMinor(faults: readonly Fault[], nodes: number, spared: number | null): boolean {
  const hit = new Set(spared === null ? [] : [spared]);
  for (const { kind, victims } of faults)
    if (kind !== "slow" && kind !== "lossy" && kind !== "cut") for (const place of victims) hit.add(place);
  const counts = new Map<number, number>();
  for (const place of hit) {
    const group = Math.floor(place / nodes);
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  return [...counts.values()].every((count) => count <= faultsOf(nodes));
}

/**
 * Both are about the same process, which can only end, start or stand still once at a time, or about its one clock, which a process that stands
 * still does not hear is right again.
 */
export function collide(a: Fault, b: Fault): boolean {
  const isOfProcess = ({ kind }: Fault): boolean => ["kill", "freeze", "disk-full", "diverge"].includes(kind);
  const needsClock = ({ kind }: Fault): boolean => kind === "clock" || kind === "freeze";
  const isOfSame = (isOfProcess(a) && isOfProcess(b)) || (needsClock(a) && needsClock(b));
  return isOfSame && a.victims.some((place) => b.victims.includes(place));
}
