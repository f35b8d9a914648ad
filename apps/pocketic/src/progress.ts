/**
 * Automatic progress of an instance: its time follows the machine's, a round begins when there is something to do and no more often than
 * the least delay allows, HTTPS outcalls are really made. Without anything to do a round is made twice a second, for certificates to be
 * fresh, and ten times where canisters have heartbeats.
 */
import { principalToText, type TimeNs } from "@orrery/base";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { Instance, OutcallAnswer, PendingOutcall } from "@orrery/sim/instance";

const NS_PER_MS = 1_000_000n;
const IDLE_ROUND_MS = 500;
/** As PocketIC does. */
const HEARTBEAT_MS = 100;
/** Rounds without delay in one turn; between turns the instance takes requests. */
const ROUNDS_PER_TURN = 4;

export interface ProgressOptions {
  readonly instance: Instance;
  /** Least time between the rounds. */
  readonly delayMs: number;
  /** How outcalls are made; created when the first one waits. */
  readonly outcalls: () => OutcallAdapter;
  /** After every turn that ran rounds. */
  readonly onRounds: () => void;
}

export interface Progress {
  /** There may be something to do. */
  poke(): void;
  /** Makes certificates carry a time that is at most a second old. */
  freshen(): void;
  stop(): void;
}

export function wallTime(): TimeNs {
  return BigInt(Date.now()) * NS_PER_MS;
}

function answerOf(fetched: Awaited<ReturnType<OutcallAdapter["fetch"]>>): OutcallAnswer {
  const { downloadedBytes, elapsedMs } = fetched;
  if (fetched.kind === "failure") {
    return { kind: "reject", code: fetched.code, message: fetched.message, downloadedBytes, elapsedMs };
  }
  const { status, headers, body } = fetched;
  return { kind: "response", status, headers, body, downloadedBytes, elapsedMs };
}

export function startProgress({ instance, delayMs, outcalls, onRounds }: ProgressOptions): Progress {
  const underWay = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;
  let lastRoundMs = Number.NEGATIVE_INFINITY;
  let isStopped = false;

  function catchUp(): void {
    const now = wallTime();
    if (now > instance.time) instance.setTime(now);
  }

  async function make(outcall: PendingOutcall, key: string): Promise<void> {
    const { subnetId, id, url, method, headers, body, downloadBytesMax } = outcall;
    const fetched = await outcalls().fetch({
      url,
      method,
      headers,
      body,
      maxResponseBytes: downloadBytesMax,
    });
    underWay.delete(key);
    if (isStopped) return;
    // It may have been answered or given up meanwhile.
    if (!instance.pendingOutcalls().some((one) => one.id === id && isOf(one, subnetId))) return;
    instance.mockOutcall(subnetId, id, [answerOf(fetched)]);
    poke();
  }

  function makeOutcalls(): void {
    for (const outcall of instance.pendingOutcalls()) {
      const key = `${principalToText(outcall.subnetId)} ${outcall.id}`;
      if (underWay.has(key)) continue;
      underWay.add(key);
      void make(outcall, key);
    }
  }

  /** Milliseconds until the next round by itself. */
  function pauseMs(isAtRest: boolean): number {
    if (!isAtRest) return delayMs;
    const idleMs = instance.heartbeats ? HEARTBEAT_MS : IDLE_ROUND_MS;
    const due = instance.nextDue();
    const untilDueMs = due === null ? idleMs : Number((due - wallTime()) / NS_PER_MS) + 1;
    return Math.max(delayMs, Math.min(idleMs, untilDueMs), 1);
  }

  function schedule(ms: number): void {
    clearTimeout(timer);
    clearImmediate(soon);
    if (isStopped) return;
    if (ms <= 0) soon = setImmediate(turn);
    else timer = setTimeout(turn, ms);
  }

  function turn(): void {
    catchUp();
    instance.tick();
    const isAtRest = instance.settle(delayMs > 0 ? 0 : ROUNDS_PER_TURN);
    lastRoundMs = performance.now();
    onRounds();
    makeOutcalls();
    schedule(pauseMs(isAtRest));
  }

  function poke(): void {
    schedule(Math.max(0, lastRoundMs + delayMs - performance.now()));
  }

  const start = wallTime();
  if (start > instance.time) instance.setCertifiedTime(start);
  schedule(0);
  return {
    poke,
    freshen(): void {
      if (wallTime() - instance.time > 1_000n * NS_PER_MS) turn();
    },
    stop(): void {
      isStopped = true;
      schedule(0);
    },
  };
}

function isOf({ subnetId }: PendingOutcall, id: Uint8Array): boolean {
  return principalToText(subnetId) === principalToText(id);
}
