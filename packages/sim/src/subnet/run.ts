/**
 * One run of a simulated subnet: a time of faults (safety), then none and clients that ask again (liveness), and the verdict of the
 * checkers. Signatures are ideal unless a run has real ones, and execution is a chain of hashes (both simulated); consensus is the real one.
 */
import { type SubnetId, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Application } from "./application.ts";
import { creationsMissing, violationsOf } from "./creating.ts";
import type { FaultPlan } from "./faults.ts";
import { HashApplication } from "./hash-application.ts";
import type { Recorder } from "./recorder.ts";
import type { Script } from "./strikes.ts";
import { runsNewest } from "./upgrading.ts";
import { World } from "./world.ts";
import type { KeySource } from "./world-nodes.ts";

const SECOND = 1_000_000_000n;
/** Of the block before the first. */
export const SUBNET_START_NS: bigint = 1_800_000_000n * SECOND;
/** In which a healed subnet has to go on and order everything. */
const RECOVERY_NS: bigint = 300n * SECOND;
/** From a block's delivery to its state. */
const EXECUTION_NS: bigint = 5_000_000n;
/** How often it is looked at. */
const RECOVERY_STEP_NS: bigint = SECOND / 10n;
/** Heights that it has to come further after it is healed. */
const RECOVERY_HEIGHTS = 10;

export interface SubnetRun {
  readonly seed: number;
  readonly nodes: number;
  /** That nodes' ids are numbered after; 0 when left out. */
  readonly firstNode?: number;
  /** Nodes that can take the places of others; with `null` members and keys never change. */
  readonly spares: number | null;
  /** Of virtual time with faults. */
  readonly seconds: number;
  /** Clients' messages in each of them. */
  readonly messagesPerSecond: number;
  /** Heights from one catch-up package to the next. */
  readonly catchUpInterval: number;
  /** Ranks take turns after so long, and notaries wait so long for a block, ns; as on the public network when left out. */
  readonly unitDelayNs?: bigint;
  readonly initialNotaryDelayNs?: bigint;
  readonly faults: FaultPlan;
  /** What goes wrong in each second, in place of what would be drawn; but for links and members, which the faults say. */
  readonly script?: Script;
  /** Of a network of several subnets. */
  readonly subnetId?: SubnetId;
  /** Watches. */
  readonly recorder?: Recorder;
  /** Ideal keys (simulated) when left out. */
  readonly keys?: KeySource;
  /** Of a node, by its index; chains of hashes (simulated) when left out. */
  readonly application?: (index: number) => Application;
}

export interface SubnetVerdict {
  readonly verdict: "ok" | "unsafe" | "stalled";
  readonly violations: readonly string[];
  readonly traceHash: string;
  /** What went wrong in each second. */
  readonly weather: Script;
  /** Finalized heights. */
  readonly rounds: number;
  readonly events: number;
  /** States that nodes fetched from others. */
  readonly syncs: number;
  /** Summaries that are final, and versions of the registry that came into force after the first. */
  readonly intervals: number;
  readonly changes: number;
  /** What misbehaving members told others in place of what is. */
  readonly twisted: number;
  /** Intervals in which too few dealings came together. */
  readonly undealt: number;
  /** Broken states that were found and replaced. */
  readonly healings: number;
  /** Of virtual time, whole. */
  readonly seconds: number;
  /** From healing to recovery, of virtual time; null when it did not recover. */
  readonly recoverySeconds: number | null;
}

export function simulatedSubnetId(place: number): SubnetId {
  const name = place === 0 ? "simulated subnet" : `simulated subnet ${place}`;
  return sha256(utf8(name)).subarray(0, 29) as Uint8Array as SubnetId;
}

/** At its start. */
export function worldFor(run: SubnetRun, executionNs: bigint = EXECUTION_NS): World {
  const { seed, nodes, spares, catchUpInterval, faults, keys } = run;
  const { unitDelayNs = SECOND, initialNotaryDelayNs = (3n * SECOND) / 10n } = run;
  return new World({
    seed,
    nodes,
    ...(run.firstNode === undefined ? {} : { firstNode: run.firstNode }),
    spares,
    executionNs,
    config: {
      subnetId: run.subnetId ?? simulatedSubnetId(0),
      rules: { unitDelayNs, initialNotaryDelayNs, catchUpInterval },
    },
    start: {
      tip: {
        height: 0,
        hash: new Uint8Array(32),
        time: SUBNET_START_NS,
        certifiedHeight: 0,
        registryVersion: 1,
      },
      beacon: sha256(utf8("genesis beacon")),
    },
    application: run.application ?? ((): Application => new HashApplication(0, new Uint8Array(32))),
    faults,
    ...(run.script === undefined ? {} : { script: run.script }),
    ...(keys === undefined ? {} : { keys }),
    ...(run.recorder === undefined ? {} : { recorder: run.recorder }),
  });
}

/**
 * Ends the faults, and has clients ask again for what they have no answer to: once, and once more where nodes were started with another program
 * since, which have forgotten what waited. Says from then on whether the subnet is well again; `changes`: whether its registry changed.
 */
export function heal(world: World, messages: () => readonly Uint8Array[], changes: boolean): () => boolean {
  world.heal();
  const newest = world.registry.version;
  const goal = world.commonHeight + RECOVERY_HEIGHTS;
  const programs = (): string => world.nodes.map(({ program }) => program).join();
  let asked: string | null = null;
  const ask = (): void => {
    if (asked === programs()) return;
    asked = programs();
    for (const message of messages()) world.submit(message);
  };
  ask();
  return () => {
    ask();
    return (
      world.checkers.missing(messages()) === 0 &&
      world.commonHeight >= goal &&
      // The newest members have taken over, and the newest program.
      (!changes || (world.versionInForce >= newest && runsNewest(world))) &&
      // Broken states are found, and replaced; who forgot what it signed counts as honest again.
      world.checkers.corrupted.size === 0 &&
      // Subnets that were asked for are there.
      creationsMissing(world) === 0 &&
      !world.hasForgetful
    );
  };
}

export function runSubnet(run: SubnetRun): SubnetVerdict {
  const { spares, seconds, messagesPerSecond } = run;
  const world = worldFor(run);
  const startedAt = world.now;
  const messages: Uint8Array[] = [];
  for (let second = 0; second < seconds; second++) {
    for (let i = 0; i < messagesPerSecond; i++) {
      const message = new Uint8Array(8);
      new DataView(message.buffer).setUint32(0, messages.length);
      messages.push(message);
      world.submit(message);
    }
    world.run(world.now + SECOND);
  }
  const isWell = heal(world, () => messages, spares !== null);
  const healedAt = world.now;
  while (!isWell() && world.now < healedAt + RECOVERY_NS) world.run(world.now + RECOVERY_STEP_NS);
  const recovered = isWell();
  const violations = violationsOf(world);
  return {
    verdict: violations.length > 0 ? "unsafe" : recovered ? "ok" : "stalled",
    violations,
    traceHash: world.trace.hash,
    weather: world.weather,
    rounds: world.checkers.height,
    events: world.events,
    syncs: world.syncs,
    intervals: world.summaries.size,
    twisted: [...world.twisted.values()].reduce((sum, times) => sum + times, 0),
    undealt: [...world.summaries.values()].filter(({ next }) => next === null).length,
    changes: world.versionInForce - 1,
    healings: world.checkers.healings,
    seconds: Number((world.now - startedAt) / SECOND),
    recoverySeconds: recovered ? Number(world.now - healedAt) / Number(SECOND) : null,
  };
}
