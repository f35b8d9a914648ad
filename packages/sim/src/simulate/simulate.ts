/**
 * A simulated network of subnets from one seed (`orrery simulate`): first a time of faults, in which nothing wrong may be said or agreed on; then
 * none, and everything has to go on, for every client. What was asked for and never took place is told: it has tested nothing.
 */

import { AssertionError, concatBytes, fromHex, toHex, u64be } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { seededRandom } from "../random.ts";
import { violationsOf } from "../subnet/creating.ts";
import type { FaultPlan } from "../subnet/faults.ts";
import { faultsOfFounded } from "../subnet/founded.ts";
import type { Recorder } from "../subnet/recorder.ts";
import { heal, simulatedSubnetId, worldFor } from "../subnet/run.ts";
import { type Script, UNDRAWN } from "../subnet/strikes.ts";
import type { World } from "../subnet/world.ts";
import type { KeySource } from "../subnet/world-nodes.ts";
import { CanisterNetwork } from "./canister-network.ts";
import { misbehaviourOf, planOf, shortestInterval, worldFaultOf } from "./fault-list.ts";

const SECOND = 1_000_000_000n;
/** Nodes that look on, and can become members. Keys change at each interval without them too. */
const SPARES = 2;
/** Faults that take them: of members too few are left to get far ahead of one that is away. */
const WITH_SPARES: readonly string[] = ["membership", "lying-sync"];
/** Faults that change the registry: the newest version of it has to come into force. */
const OF_REGISTRY: readonly string[] = ["membership", "halt", "interval", "upgrade", "creation"];
const MESSAGES_PER_SECOND = 2;
/** Faults end when so much virtual time a round has passed, whatever came of it. */
const FAULTY_NS_PER_ROUND: bigint = 5n * SECOND;
/** In which healed subnets have to go on, besides a time for each round. */
const RECOVERY_NS: bigint = 300n * SECOND;
/** Subnets are at most so far apart. */
const STEP_NS: bigint = SECOND / 10n;

/** What went wrong in a subnet, or has to: by its plan what messages and members do, by its script all else. */
export interface ToldSubnet {
  readonly plan: FaultPlan;
  readonly script: Script;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly nodesPerSubnet: number;
  readonly subnetCount: number;
  /** Of `FAULT_NAMES`, as `unfit` allows. */
  readonly faults: readonly string[];
  /** Of each subnet. */
  readonly rounds: number;
  /** What nodes execute: canisters that count and call each other across subnets, or a chain of hashes that stands for that. */
  readonly state: "canisters" | "hashes";
  /** Of each subnet, in their order: what goes wrong, in place of what would be drawn. */
  readonly told?: readonly ToldSubnet[];
  /** Ideal ones (simulated) when left out; canisters take those. */
  readonly keys?: KeySource;
  /** Of each subnet, in their order: watch. */
  readonly recorders?: readonly Recorder[];
  /** Called every virtual second. */
  readonly onProgress?: (progress: SimulationProgress) => void;
}

export interface SimulationProgress {
  readonly phase: "faults" | "recovery";
  /** Of the slowest subnet. */
  readonly rounds: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly verdict: "ok" | "unsafe" | "stalled";
  /** Of the slowest subnet. */
  readonly rounds: number;
  /** Of all subnets. */
  readonly roundsTotal: number;
  readonly traceHash: string;
  readonly violations: readonly string[];
  /** How often each fault that was asked for took place. */
  readonly faults: ReadonlyMap<string, number>;
  /** Nodes of each subnet, at the lowest places, that misbehave. */
  readonly faultyNodes: number;
  /** Of each subnet: what went wrong, so that it can be told again. */
  readonly told: readonly ToldSubnet[];
  /** Intervals of consensus that began, of the subnet with the fewest. */
  readonly intervals: number;
  /** States that nodes fetched from others. */
  readonly syncs: number;
  readonly events: number;
  /** Of virtual time, whole. */
  readonly seconds: number;
  /** Of it, from the end of the faults on; null when some subnet did not recover. */
  readonly recoverySeconds: number | null;
}

/** One subnet with its clients. */
interface Subnet {
  readonly world: World;
  readonly plan: FaultPlan;
  /** Those that clients still want answered, and everything. */
  messages: Uint8Array[];
  /** To be sent now. */
  readonly compose: () => Uint8Array;
}

function subnetOf(options: SimulationOptions, network: CanisterNetwork | null, place: number): Subnet {
  const { seed, nodesPerSubnet: nodes, faults } = options;
  const recorder = options.recorders?.[place];
  const random = seededRandom(seed, 3, place);
  const own = place === 0 ? seed : random.below(2 ** 32);
  const told = options.told?.[place];
  const plan = told?.plan ?? planOf(faults, nodes, own);
  const world = worldFor({
    seed: own,
    subnetId: network?.subnets[place]?.info.subnetId ?? simulatedSubnetId(place),
    ...(network === null ? {} : { application: () => network.application(place) }),
    nodes,
    spares: WITH_SPARES.some((name) => faults.includes(name)) ? SPARES : 0,
    seconds: 0,
    messagesPerSecond: MESSAGES_PER_SECOND,
    catchUpInterval: shortestInterval(nodes, faults.includes("creation")) + random.below(8),
    faults: plan,
    ...(told === undefined ? {} : { script: told.script }),
    ...(options.keys === undefined ? {} : { keys: options.keys }),
    ...(recorder === undefined ? {} : { recorder }),
  });
  network?.add(world);
  let sent = 0;
  const compose = (): Uint8Array => network?.message(place, world.now) ?? u64be(BigInt(sent++));
  return { world, plan, messages: [], compose };
}

function ask({ world, messages, compose }: Subnet): void {
  for (let i = 0; i < MESSAGES_PER_SECOND; i++) {
    const message = compose();
    messages.push(message);
    world.submit(message);
  }
}

/** Clients give up what ends soon, and ask anew. */
function askAnew(subnet: Subnet, network: CanisterNetwork): void {
  const { world, compose } = subnet;
  const open = subnet.messages.filter((message) => world.checkers.missing([message]) > 0);
  subnet.messages = open.map((message) => {
    if (!network.endsSoon(message, world.now)) return message;
    const anew = compose();
    world.submit(anew);
    return anew;
  });
}

const slowest = (subnets: readonly Subnet[]): number =>
  Math.min(...subnets.map(({ world }) => world.checkers.height));

function runAll(worlds: readonly World[], until: bigint): void {
  for (let at = (worlds[0] as World).now + STEP_NS; at <= until; at += STEP_NS)
    for (const world of worlds) world.run(at);
}

interface Played {
  readonly healedAt: bigint;
  readonly isWell: boolean;
}

/** Faults until enough rounds went by, and then none. */
function play(
  options: SimulationOptions,
  subnets: readonly Subnet[],
  network: CanisterNetwork | null,
): Played {
  const { rounds, faults, onProgress } = options;
  const worlds = subnets.map(({ world }) => world);
  const [first] = worlds as [World];
  const faultyUntil = first.now + BigInt(rounds) * FAULTY_NS_PER_ROUND;
  while (slowest(subnets) < rounds && first.now < faultyUntil) {
    for (const subnet of subnets) ask(subnet);
    runAll(worlds, first.now + SECOND);
    onProgress?.({ phase: "faults", rounds: slowest(subnets) });
  }
  if (network !== null) for (const subnet of subnets) askAnew(subnet, network);
  const changes = OF_REGISTRY.some((name) => faults.includes(name));
  const checks = subnets.map((subnet) => heal(subnet.world, () => subnet.messages, changes));
  const isWell = (): boolean =>
    slowest(subnets) >= rounds && checks.every((check) => check()) && network?.isAtRest() !== false;
  const healedAt = first.now;
  const deadline = healedAt + RECOVERY_NS + BigInt(rounds) * SECOND;
  while (!isWell() && first.now < deadline) {
    runAll(worlds, first.now + STEP_NS);
    if (network !== null) for (const subnet of subnets) askAnew(subnet, network);
    onProgress?.({ phase: "recovery", rounds: slowest(subnets) });
  }
  return { healedAt, isWell: isWell() };
}

export function simulate(options: SimulationOptions): SimulationReport {
  const { seed, subnetCount, faults } = options;
  const network = options.state === "canisters" ? new CanisterNetwork(seed, subnetCount) : null;
  const subnets = Array.from({ length: subnetCount }, (_, place) => subnetOf(options, network, place));
  const worlds = subnets.map(({ world }) => world);
  const [first] = worlds as [World];
  const startedAt = first.now;
  const broken: string[] = [];
  let played: Played = { healedAt: startedAt, isWell: false };
  try {
    played = play(options, subnets, network);
  } catch (error) {
    // Members watch themselves too.
    if (!(error instanceof AssertionError)) throw error;
    broken.push(error.message);
  }
  const { healedAt, isWell: recovered } = played;
  const violations = [
    ...subnets.flatMap(({ world }, index) =>
      [...violationsOf(world), ...(recovered ? faultsOfFounded(world, seed) : [])].map((text) =>
        subnetCount === 1 ? text : `subnet ${index}: ${text}`,
      ),
    ),
    ...broken,
    ...(recovered ? (network?.problems() ?? []) : []),
  ];
  return {
    seed,
    verdict: violations.length > 0 ? "unsafe" : recovered ? "ok" : "stalled",
    rounds: slowest(subnets),
    roundsTotal: sum(worlds, ({ checkers }) => checkers.height),
    traceHash: toHex(sha256(concatBytes(...worlds.map(({ trace }) => fromHex(trace.hash))))),
    violations,
    faults: new Map(faults.map((name) => [name, sum(worlds, (world) => timesOf(world, name))])),
    faultyNodes: Math.max(...subnets.map(({ plan }) => Math.max(plan.byzantine.length, plan.twins ?? 0))),
    told: subnets.map(({ world, plan }) => ({ plan: { ...plan, ...UNDRAWN }, script: world.weather })),
    intervals: Math.min(...worlds.map(({ summaries }) => summaries.size)),
    syncs: sum(worlds, ({ syncs }) => syncs),
    events: sum(worlds, ({ events }) => events),
    seconds: Number((first.now - startedAt) / SECOND),
    recoverySeconds: recovered ? Number(first.now - healedAt) / Number(SECOND) : null,
  };
}

function sum(worlds: readonly World[], count: (world: World) => number): number {
  return worlds.reduce((total, world) => total + count(world), 0);
}

function timesOf({ tally, twisted }: World, name: string): number {
  const fault = worldFaultOf(name);
  if (fault !== null) return tally.of(fault);
  const kind = misbehaviourOf(name);
  return kind === null ? 0 : (twisted.get(kind) ?? 0);
}
