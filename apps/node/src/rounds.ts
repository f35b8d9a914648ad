/**
 * The round loop of one subnet on a node's main thread: asks the driver when, steps consensus, signs, hands out, publishes. One loop, driven
 * by events (work arrived, executed, durable) and by one alarm for timers and heartbeats.
 */

import {
  type Batch,
  type Clock,
  type Height,
  type Logger,
  type OutcallResponse,
  type PrincipalKey,
  principalToText,
  type QueryStats,
  type TimeNs,
} from "@orrery/base";
import { type ConsensusEffect, IngressPool, initialConsensus, step } from "@orrery/consensus";
import { type Bls, createSoleSigner } from "@orrery/crypto";
import type { LocalKeys } from "@orrery/execution/local-network";
import { createNodeSigner } from "@orrery/host";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { LogRecord } from "@orrery/state";
import { countRound, newRoundFigures, type SubnetFigures } from "./metrics.ts";
import { Outcalls } from "./outcalls.ts";
import { NodePayload } from "./payload.ts";
import type { ExecutionReport, ExecutionStarted, RecoveredArtifact, ViewCall } from "./protocol.ts";
import { createRest } from "./rest.ts";
import { RoundDriver } from "./round-driver.ts";
import type { StateCall } from "./state/state-calls.ts";
import { Watchers } from "./watchers.ts";

/** Alarms further away than this are set again when it is over: timers of months stay exact after sleep. */
const ALARM_MS_MAX = 60_000;
/** Registry versions follow governance; a network without it stays at the first. */
const REGISTRY_VERSION = 1;

/** The threads as the rounds of one subnet see them. */
export interface SubnetThreads {
  /** Makes a block durable. */
  append(record: LogRecord): void;
  execute(batch: Batch): void;
  /**
   * Calls to the view are answered in order with publications: what was published before is seen. `signature`: the subnet's on the state,
   * where several nodes made it.
   */
  publish(height: Height, signature?: Uint8Array): void;
  /** Makes artifacts durable, before blocks that are appended later. */
  keep(sequence: number, records: readonly RecoveredArtifact[]): void;
  /** Artifacts of heights below are not needed any more. */
  purge(below: Height): void;
  /** Of the block log, from a height on down, for a peer; none when the first is not there. */
  blocks(from: Height): Promise<readonly Uint8Array[]>;
  /** Whole states, for peers and from them. */
  state<T>(call: StateCall): Promise<T>;
  view<T>(call: ViewCall): Promise<T>;
  /** Calls to the view thread under way, of all subnets. */
  viewCalls(): number;
}

export interface RoundsOptions {
  readonly keys: LocalKeys;
  readonly bls: Bls;
  readonly started: ExecutionStarted;
  /** Longest ingress message that the subnet takes. */
  readonly ingressBytesMax: number;
  readonly outcalls: OutcallAdapter;
  readonly threads: SubnetThreads;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFailure: (thread: string, error: unknown) => void;
  /** Of other subnets' streams, for the next block. */
  readonly slices: { waiting(): number; take(height: Height): readonly Uint8Array[] };
  /** A height was published in which the streams to these subnets changed. */
  readonly onPublished: (height: Height, streams: readonly PrincipalKey[]) => void;
}

export interface Rounds {
  readonly threads: Pick<SubnetThreads, "view" | "viewCalls">;
  readonly pool: Pick<IngressPool, "insert">;
  readonly watchers: Watchers;
  publishedHeight(): Height;
  /** This node's state is another one than its subnet's; nothing of it is shown. */
  isDiverged?(): boolean;
  figures(): SubnetFigures;
  /** Of the newest block: later than the clock while that catches up after a jump back. */
  blockTime(): TimeNs;
  /** Resolves at once when certified time is fresh enough to answer, else after the publication that makes it so. */
  fresh(): Promise<void> | null;
  /** In subnets of several nodes: resolves once what another node may have shown already is shown here too, or after a while all the same. */
  caughtUp?(): Promise<void>;
  /** Something may have changed: make a block if one is due. */
  poke(): void;
  onExecution(report: ExecutionReport): void;
  onDurable(height: Height): void;
  /** In subnets of several nodes: artifacts up to this sequence are durable. */
  onKept?(sequence: number): void;
  stop(): void;
}

export function createRounds(options: RoundsOptions): Rounds {
  const { keys, started, threads, clock } = options;
  const config = { subnetId: keys.subnetId, nodeId: keys.nodeId };
  const consensus = initialConsensus(config, started.tip.time);
  consensus.tip = started.tip;
  const driver = new RoundDriver(started.tip);
  driver.onExecuted({ height: started.tip.height, ...started.wake });
  const threshold = createSoleSigner({ bls: options.bls, secret: keys.subnetSecret });
  const signAsNode = createNodeSigner(keys.nodeSecret);
  const pool = new IngressPool({ messageBytesMax: options.ingressBytesMax });
  const outcalls = new Outcalls({
    adapter: options.outcalls,
    answer: (outcall, fetched) =>
      threads.view<OutcallResponse | null>({ kind: "answer_outcall", outcall, fetched }),
    onReady: poke,
    onFailure: (error) => options.onFailure("main", error),
  });
  const payload = new NodePayload({
    pool,
    takeSlices: options.slices.take,
    takeResponses: () => outcalls.take(),
    takeQueryStats: () => threads.view<readonly QueryStats[]>({ kind: "take_query_stats" }),
    holdsLong: () => driver.holdsLong(clock.now()),
    onFailure: (error) => options.onFailure("view", error),
    time: started.tip.time,
  });
  const watchers = new Watchers();
  const figures = newRoundFigures();
  const subnetId = principalToText(keys.subnetId);
  /** Answered request ids of heights executed and not yet published. */
  const answered = new Map<Height, readonly string[]>();
  /** Streams that changed in those heights. */
  const streams = new Map<Height, readonly PrincipalKey[]>();
  const rest = createRest(() => {
    driver.onRested();
    poke();
  });
  let publicationWaiters: (() => void)[] = [];
  let alarm: NodeJS.Timeout | null = null;
  let poked = false;
  let stopped = false;

  function sign(effect: Extract<ConsensusEffect, { kind: "sign" }>): Uint8Array {
    if (effect.purpose === "proposal") return signAsNode(effect.message);
    const combined = threshold.combine([threshold.signShare(effect.message)]);
    if (!combined.ok) throw new Error(combined.error);
    return combined.value;
  }

  function perform(effects: readonly ConsensusEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "sign": {
          const { purpose, height } = effect;
          perform(step(consensus, { kind: "signed", purpose, height, signature: sign(effect) }));
          break;
        }
        case "persist":
          threads.append({ height: effect.height, bytes: effect.record });
          break;
        case "deliver":
          if (driver.isIdle) rest.begin();
          driver.onMade(effect.batch);
          threads.execute(effect.batch);
          break;
      }
    }
  }

  function work(): void {
    poked = false;
    if (stopped) return;
    const now = clock.now();
    if (
      driver.shouldMakeBlock({ now, poolSize: pool.size + options.slices.waiting() + outcalls.waiting() })
    ) {
      perform(
        step(consensus, {
          kind: "make_block",
          now,
          certifiedHeight: driver.published,
          registryVersion: REGISTRY_VERSION,
          builder: payload,
        }),
      );
      poke();
      return;
    }
    setAlarm(driver.nextWake(now), now);
  }

  function setAlarm(at: TimeNs | null, now: TimeNs): void {
    if (alarm !== null) clearTimeout(alarm);
    alarm = null;
    if (at === null) return;
    const delayMs = Math.min(ALARM_MS_MAX, Math.max(1, Math.ceil(Number(at - now) / 1e6)));
    alarm = setTimeout(poke, delayMs);
  }

  function poke(): void {
    if (poked || stopped) return;
    poked = true;
    // After the current batch of I/O events: requests that arrived together share a block.
    setImmediate(() => {
      try {
        work();
      } catch (error) {
        options.onFailure("main", error);
      }
    });
  }

  function publishReady(): void {
    for (const height of driver.takePublishable()) {
      threads.publish(height);
      options.onPublished(height, streams.get(height) ?? []);
      streams.delete(height);
      outcalls.published(height);
      payload.published(consensus.tip.time);
      watchers.resolve(answered.get(height) ?? []);
      answered.delete(height);
      const waiters = publicationWaiters;
      publicationWaiters = [];
      for (const resolve of waiters) resolve();
    }
    poke();
  }

  /** A publication of a round begun before a sleep does not make time fresh: the next one is awaited then. */
  async function untilFresh(): Promise<void> {
    do {
      poke();
      await new Promise<void>((resolve) => publicationWaiters.push(resolve));
    } while (!stopped && driver.mustWaitForFresh(clock.now()));
  }

  // What was published before the restart and is not answered.
  outcalls.begin(started.outcalls);

  return {
    threads,
    pool,
    watchers,
    publishedHeight: () => driver.published,
    figures: () => ({
      ...figures,
      subnetId,
      publishedHeight: driver.published,
      poolMessages: pool.size,
      watchers: watchers.size,
    }),
    blockTime: () => consensus.tip.time,
    fresh(): Promise<void> | null {
      return driver.mustWaitForFresh(clock.now()) ? untilFresh() : null;
    },
    poke,
    onExecution(report): void {
      if (report.kind === "ready") {
        driver.onReady(report.height);
        poke();
        return;
      }
      driver.onExecuted({ height: report.height, ...report.wake });
      if (report.wake.moreWork) {
        driver.onRest();
        rest.start();
      }
      countRound(figures, { ...report, answers: report.answered.length });
      pool.executed(report.height);
      if (report.answered.length > 0) answered.set(report.height, report.answered);
      if (report.streams.length > 0) streams.set(report.height, report.streams);
      outcalls.expect(report.height, report.outcalls.started);
      outcalls.end(report.outcalls.ended);
      publishReady();
    },
    onDurable(height): void {
      driver.onDurable(height);
      publishReady();
    },
    stop(): void {
      stopped = true;
      outcalls.stop();
      rest.end();
      if (alarm !== null) clearTimeout(alarm);
      watchers.cancelAll();
      for (const resolve of publicationWaiters) resolve();
    },
  };
}
