/**
 * A simulated network of subnets from one seed (`orrery simulate`): first a time of faults, in which nothing wrong may be said or agreed on; then
 * none, and everything has to go on, for every client. What was asked for and never took place is told: it has tested nothing.
 */

import { concatBytes, fromHex, toHex } from "@orrery/base";
import { faultsOf } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { seededRandom } from "../random.ts";
import { heal, worldFor } from "../subnet/run.ts";
import type { World } from "../subnet/world.ts";
import { misbehaviourOf, planOf, worldFaultOf } from "./fault-list.ts";

const SECOND = 1_000_000_000n;
const SPARES = 2;
const MESSAGES_PER_SECOND = 2;
/** Faults end when so much virtual time a round has passed, whatever came of it. */
const FAULTY_NS_PER_ROUND: bigint = 5n * SECOND;
/** In which healed subnets have to go on, besides a time for each round. */
const RECOVERY_NS: bigint = 300n * SECOND;
const RECOVERY_STEP_NS: bigint = SECOND / 10n;

export interface SimulationOptions {
  readonly seed: number;
  readonly nodesPerSubnet: number;
  readonly subnetCount: number;
  /** Of `FAULT_NAMES`, as `unfit` allows. */
  readonly faults: readonly string[];
  /** Of each subnet. */
  readonly rounds: number;
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
  readonly messages: Uint8Array[];
}

function subnetOf({ seed, nodesPerSubnet: nodes, faults }: SimulationOptions, subnet: number): Subnet {
  const random = seededRandom(seed, 3, subnet);
  const own = subnet === 0 ? seed : random.below(2 ** 32);
  const world = worldFor({
    seed: own,
    subnet,
    nodes,
    spares: SPARES,
    seconds: 0,
    messagesPerSecond: MESSAGES_PER_SECOND,
    // Room for the dealings that both sets of keys take, one a block.
    catchUpInterval: 3 * faultsOf(nodes) + 8 + random.below(8),
    faults: planOf(faults, nodes, own),
  });
  return { world, messages: [] };
}

function ask({ world, messages }: Subnet): void {
  for (let i = 0; i < MESSAGES_PER_SECOND; i++) {
    const message = new Uint8Array(8);
    new DataView(message.buffer).setUint32(0, messages.length);
    messages.push(message);
    world.submit(message);
  }
}

const slowest = (subnets: readonly Subnet[]): number =>
  Math.min(...subnets.map(({ world }) => world.checkers.height));

export function simulate(options: SimulationOptions): SimulationReport {
  const { seed, subnetCount, rounds, faults, onProgress } = options;
  const subnets = Array.from({ length: subnetCount }, (_, index) => subnetOf(options, index));
  const worlds = subnets.map(({ world }) => world);
  const [first] = worlds as [World];
  const startedAt = first.now;
  const faultyUntil = startedAt + BigInt(rounds) * FAULTY_NS_PER_ROUND;
  while (slowest(subnets) < rounds && first.now < faultyUntil) {
    for (const subnet of subnets) ask(subnet);
    const next = first.now + SECOND;
    for (const world of worlds) world.run(next);
    onProgress?.({ phase: "faults", rounds: slowest(subnets) });
  }
  const checks = subnets.map(({ world, messages }) => heal(world, messages, faults.includes("membership")));
  const isWell = (): boolean => slowest(subnets) >= rounds && checks.every((check) => check());
  const healedAt = first.now;
  const deadline = healedAt + RECOVERY_NS + BigInt(rounds) * SECOND;
  while (!isWell() && first.now < deadline) {
    const next = first.now + RECOVERY_STEP_NS;
    for (const world of worlds) world.run(next);
    onProgress?.({ phase: "recovery", rounds: slowest(subnets) });
  }
  const recovered = isWell();
  const violations = subnets.flatMap(({ world }, index) =>
    world.checkers.violations.map((text) => (subnetCount === 1 ? text : `subnet ${index}: ${text}`)),
  );
  return {
    seed,
    verdict: violations.length > 0 ? "unsafe" : recovered ? "ok" : "stalled",
    rounds: slowest(subnets),
    roundsTotal: sum(worlds, ({ checkers }) => checkers.height),
    traceHash: toHex(sha256(concatBytes(...worlds.map(({ trace }) => fromHex(trace.hash))))),
    violations,
    faults: new Map(faults.map((name) => [name, sum(worlds, (world) => timesOf(world, name))])),
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
