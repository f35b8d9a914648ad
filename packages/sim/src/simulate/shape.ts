/**
 * The shape that consensus has on paper, measured in virtual time: how long a block takes and how long until it is final, in delays of messages;
 * what members send each other for it. No clock of a machine is in it.
 */
import { CALM } from "../subnet/faults.ts";
import { Recorder } from "../subnet/recorder.ts";
import { worldFor } from "../subnet/run.ts";

const SECOND = 1_000_000_000n;
const NS_PER_MS = 1e6;

export interface ShapeOptions {
  readonly nodes: number;
  /** Of every message. */
  readonly delayNs: bigint;
  /** Members that never say anything. */
  readonly silent: number;
  readonly initialNotaryDelayNs: bigint;
  readonly unitDelayNs: bigint;
  readonly seconds: number;
}

export interface Shape {
  readonly rounds: number;
  /** From one final block to the next, mean. */
  readonly blockMs: number;
  /** From a leader's block to the first node that knows it as final, median. */
  readonly latencyMs: number;
  /** Part of the blocks in the chain that are not the leader's. */
  readonly otherRanks: number;
  /** Of all members together. */
  readonly messagesPerRound: number;
  readonly bytesPerRound: number;
}

export function consensusShape(options: ShapeOptions): Shape {
  const { nodes, delayNs, silent, initialNotaryDelayNs, unitDelayNs, seconds } = options;
  const recorder = new Recorder();
  const world = worldFor({
    seed: 1,
    nodes,
    spares: null,
    seconds: 0,
    messagesPerSecond: 0,
    catchUpInterval: 500,
    initialNotaryDelayNs,
    unitDelayNs,
    recorder,
    faults: {
      ...CALM,
      delayNs: [delayNs, delayNs],
      byzantine: Array.from({ length: silent }, () => "silent" as const),
    },
  });
  world.run(world.now + BigInt(seconds) * SECOND);
  const observer = nodes - 1;
  const deliveries = recorder.deliveries.filter(({ node }) => node === observer);
  const [first, last] = [deliveries[0], deliveries.at(-1)];
  const span = first === undefined || last === undefined ? 0n : last.at - first.at;
  const rounds = deliveries.length;
  const latencies = recorder.blocks
    .flatMap(({ at, finalizedAt, rank }) =>
      finalizedAt === null || rank > 0 ? [] : [Number(finalizedAt - at)],
    )
    .sort((a, b) => a - b);
  const ranks = world.checkers.blocks.map(({ rank }) => rank);
  return {
    rounds,
    blockMs: Number(span) / NS_PER_MS / Math.max(1, rounds - 1),
    latencyMs: (latencies[Math.floor(latencies.length / 2)] ?? Number.NaN) / NS_PER_MS,
    otherRanks: ranks.filter((rank) => rank > 0).length / Math.max(1, ranks.length),
    messagesPerRound: recorder.messages / Math.max(1, rounds),
    bytesPerRound: recorder.bytes / Math.max(1, rounds),
  };
}
