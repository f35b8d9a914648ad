/**
 * Faults by the names that the command takes (`orrery simulate --faults LIST`), and the plan of a run in which each of them takes place. How often,
 * is drawn from the seed.
 */
import { faultsOf, intervalNeeded } from "@orrery/consensus/member";
import { seededRandom } from "../random.ts";
import { CALM, type FaultPlan, MISBEHAVIOURS, type Misbehaviour } from "../subnet/faults.ts";
import { WORLD_FAULTS, type WorldFault } from "../subnet/tally.ts";

const MS = 1_000_000n;
const SECOND: bigint = 1_000n * MS;

/** Names of what misbehaving members do; they take turns at it. */
const BYZANTINE: ReadonlyMap<string, Misbehaviour> = new Map(
  MISBEHAVIOURS.map((kind) => [
    kind === "sign_everything" ? "double-notarize" : kind.replaceAll("_", "-"),
    kind,
  ]),
);

/** Members that run twice, and changes of the registry: drawn last, so that a seed's other faults are what they were without these. */
const LATE: readonly WorldFault[] = ["twins", "interval", "upgrade", "creation"];

/** In the order in which they are told of. */
export const FAULT_NAMES: readonly string[] = [
  ...WORLD_FAULTS.filter((name) => !LATE.includes(name)),
  ...BYZANTINE.keys(),
  ...LATE,
];

/** What takes a node that may be faulty: with fewer than four members there is none. */
const OF_FAULTY: readonly string[] = [
  "disk-loss",
  "lying-sync",
  "broken-state",
  "twins",
  ...BYZANTINE.keys(),
];

export function misbehaviourOf(name: string): Misbehaviour | null {
  return BYZANTINE.get(name) ?? null;
}

export function worldFaultOf(name: string): WorldFault | null {
  return WORLD_FAULTS.find((each) => each === name) ?? null;
}

/** Why members of that number cannot have the faults all together; null when they can. */
export function unfit(faults: readonly string[], members: number): string | null {
  const f = faultsOf(members);
  const [first] = faults.filter((name) => OF_FAULTY.includes(name));
  if (f === 0 && first !== undefined)
    return `${first} takes 4 nodes a subnet: of ${members} none may be faulty`;
  const others = faults.some((name) => name !== "broken-state" && OF_FAULTY.includes(name));
  return f === 1 && faults.includes("broken-state") && others
    ? `broken-state beside others who are faulty takes 7 nodes a subnet: of ${members} one may be faulty`
    : null;
}

/** All faults that members of that number can have together. */
export function allFaults(members: number): readonly string[] {
  return FAULT_NAMES.filter((name) => unfit([name], members) === null).filter(
    (name) => name !== "broken-state" || faultsOf(members) > 1,
  );
}

/** Chance of a fault to be in a run out of many. */
const DRAWN = 0.3;

/** Some of the faults, such as fit together: what one of many runs takes. */
export function drawnFaults(faults: readonly string[], members: number, seed: number): readonly string[] {
  const random = seededRandom(seed, 4);
  const drawn: string[] = [];
  for (const name of faults)
    if (random.chance(DRAWN) && unfit([...drawn, name], members) === null) drawn.push(name);
  return drawn;
}

/** Rounds in which a fault among all others should take place. */
const ROUNDS_TO_SEE = 200;
/** Of what takes more: a faulty maker of a summary, a node that fetches a state from another one that lies. */
const RARE: ReadonlyMap<string, number> = new Map([
  ["wrong-summaries", 2_000],
  ["lying-sync", 1_000],
  ["broken-state", 500],
  ["halt", 300],
  ["interval", 300],
  ["upgrade", 500],
  ["creation", 500],
]);

export function roundsToSee(name: string): number {
  return RARE.get(name) ?? ROUNDS_TO_SEE;
}

/** With room for the dealings that both sets of keys take, one a block; and for those of a subnet that the members create. */
export function shortestInterval(members: number, creates: boolean): number {
  return creates ? intervalNeeded(members, true) : 3 * faultsOf(members) + 8;
}

/** A plan with these faults and no others; how often, comes of the seed. */
export function planOf(faults: readonly string[], members: number, seed: number): FaultPlan {
  const random = seededRandom(seed, 2);
  const asked = new Set(faults);
  /** Of a second; between half and one and a half of `usual`. */
  const chance = (name: string, usual: number): number => {
    const drawn = usual * (0.5 + random.next());
    return asked.has(name) ? drawn : 0;
  };
  const kinds = [...BYZANTINE].flatMap(([name, kind]) => (asked.has(name) ? [kind] : []));
  const lies = asked.has("lying-sync");
  const f = faultsOf(members);
  const faulty = f - (asked.has("broken-state") ? 1 : 0);
  const creates = asked.has("creation");
  const shortest = shortestInterval(members, creates);
  const slots = kinds.length > 0 || lies ? faulty : 0;
  return {
    ...CALM,
    delayNs: asked.has("delay") ? [MS, 120n * MS] : CALM.delayNs,
    loss: chance("loss", 0.1),
    duplicate: chance("duplicate", 0.05),
    reorder: chance("reorder", 0.05),
    // Somebody has to be away before somebody fetches a state.
    crashPerSecond: Math.max(chance("crash", 0.12 / members), lies ? 0.12 / members : 0),
    awayNs: [SECOND / 2n, (lies ? 25n : 15n) * SECOND],
    partitionPerSecond: chance("partition", 0.1),
    onewayPerSecond: chance("asymmetric-partition", 0.1),
    partedNs: [SECOND, 6n * SECOND],
    restartPerSecond: chance("restart", 0.2 / members),
    tornWritePerSecond: chance("torn-write", 0.2 / members),
    diskLossPerSecond: chance("disk-loss", 0.15 / Math.max(1, f)),
    slowPerSecond: chance("slow-node", 0.2 / members),
    slowNs: 150n * MS,
    slowForNs: [SECOND, 5n * SECOND],
    skewNs: asked.has("clock-skew") ? 200n * MS : 0n,
    corruptPerSecond: chance("broken-state", 0.1),
    changePerSecond: chance("membership", 0.2),
    haltPerSecond: chance("halt", 0.06),
    haltedNs: [SECOND, 8n * SECOND],
    registryDelayNs: asked.has("membership") || creates ? 2n * SECOND : 0n,
    // Each begins with another of them.
    byzantine: Array.from({ length: slots }, (_, slot) => [
      ...kinds.slice((slot * 5) % Math.max(1, kinds.length)),
      ...kinds.slice(0, (slot * 5) % Math.max(1, kinds.length)),
    ]),
    liesOnSync: lies,
    ...(asked.has("twins") ? { twins: faulty } : {}),
    ...(asked.has("interval") ? { stretchPerSecond: 0.1, intervalBlocks: [shortest, shortest + 12] } : {}),
    ...(asked.has("upgrade") ? { upgradePerSecond: 0.05 } : {}),
    ...(creates ? { createPerSecond: 0.05 } : {}),
  };
}
