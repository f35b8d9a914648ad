/**
 * The round loop of a node's main thread: asks the driver when, steps consensus, signs, hands out, publishes. One loop, driven
 * by events (work arrived, executed, durable) and by one alarm for timers and heartbeats.
 */

import type { Clock, Height, Logger, QueryStats, TimeNs } from "@orrery/base";
import { type ConsensusEffect, IngressPool, initialConsensus, step } from "@orrery/consensus";
import { type Bls, createSoleSigner } from "@orrery/crypto";
import type { LocalKeys } from "@orrery/execution/local-network";
import { type Channel, createNodeSigner } from "@orrery/host";
import { createNodeMetrics } from "./metrics.ts";
import { NodePayload } from "./payload.ts";
import type {
  ExecutionCall,
  ExecutionPost,
  ExecutionReport,
  ExecutionStarted,
  StorageCall,
  StoragePost,
  StorageReport,
  ViewCall,
  ViewPost,
} from "./protocol.ts";
import { RoundDriver } from "./round-driver.ts";
import { Watchers } from "./watchers.ts";

/** Alarms further away than this are set again when it is over: timers of months stay exact after sleep. */
const ALARM_MS_MAX = 60_000;
/** Registry versions follow governance; a network without it stays at the first. */
const REGISTRY_VERSION = 1;

export interface RoundThreads {
  readonly storage: Channel<StoragePost, StorageReport, StorageCall>;
  readonly execution: Channel<ExecutionPost, ExecutionReport, ExecutionCall>;
  readonly view: Channel<ViewPost, never, ViewCall>;
}

export interface RoundsOptions {
  readonly keys: LocalKeys;
  readonly bls: Bls;
  readonly started: ExecutionStarted;
  readonly threads: RoundThreads;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFailure: (thread: string, error: unknown) => void;
}

export interface Rounds {
  /** Calls are answered in order with publications: what was published before is seen. */
  readonly view: RoundThreads["view"];
  readonly pool: IngressPool;
  readonly watchers: Watchers;
  publishedHeight(): Height;
  /** In the Prometheus text format. */
  metrics(): string;
  /** Of the newest block: later than the clock while that catches up after a jump back. */
  blockTime(): TimeNs;
  /** Resolves at once when certified time is fresh enough to answer, else after the publication that makes it so. */
  fresh(): Promise<void> | null;
  /** Something may have changed: make a block if one is due. */
  poke(): void;
  onExecuted(report: ExecutionReport): void;
  onDurable(height: Height): void;
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
  const pool = new IngressPool();
  const payload = new NodePayload({
    pool,
    takeQueryStats: () => threads.view.call<readonly QueryStats[]>({ kind: "take_query_stats" }),
    onFailure: (error) => options.onFailure("view", error),
    time: started.tip.time,
  });
  const watchers = new Watchers();
  const metrics = createNodeMetrics();
  /** Answered request ids of heights executed and not yet published. */
  const answered = new Map<Height, readonly string[]>();
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
          threads.storage.post({ kind: "append", record: { height: effect.height, bytes: effect.record } });
          break;
        case "deliver":
          driver.onMade(effect.batch.height, effect.batch.time);
          threads.execution.post({ kind: "batch", batch: effect.batch });
          break;
      }
    }
  }

  function work(): void {
    poked = false;
    if (stopped) return;
    const now = clock.now();
    if (driver.shouldMakeBlock({ now, poolSize: pool.size })) {
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
      threads.view.post({ kind: "publish", height });
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

  return {
    view: threads.view,
    pool,
    watchers,
    publishedHeight: () => driver.published,
    metrics: () =>
      metrics.render({ publishedHeight: driver.published, poolMessages: pool.size, watchers: watchers.size }),
    blockTime: () => consensus.tip.time,
    fresh(): Promise<void> | null {
      return driver.mustWaitForFresh(clock.now()) ? untilFresh() : null;
    },
    poke,
    onExecuted(report): void {
      driver.onExecuted({ height: report.height, ...report.wake });
      metrics.round({ ...report, answers: report.answered.length });
      pool.executed(report.height);
      if (report.answered.length > 0) answered.set(report.height, report.answered);
      publishReady();
    },
    onDurable(height): void {
      driver.onDurable(height);
      publishReady();
    },
    stop(): void {
      stopped = true;
      if (alarm !== null) clearTimeout(alarm);
      watchers.cancelAll();
      for (const resolve of publicationWaiters) resolve();
    },
  };
}
