/**
 * `orrery simulate --seeds FROM..TO`: many seeds, each with some of the faults, on one thread or several; how many ended how, and what each that failed is
 * called by. What is said in the end does not depend on how many threads there were, nor on whether the command was stopped in between.
 */
import { Worker } from "node:worker_threads";
import { type Io, jsonDocument, table } from "./io.ts";
import { COLOURS, EXIT_CODES, progress, SHOWN_MAX, timesRealTime, type Verdict } from "./simulate-common.ts";
import {
  keysOf,
  NO_RECORD,
  openRecord,
  type SeedOptions,
  type SeedRecord,
  type SeedResult,
  simulateSeed,
} from "./simulate-record.ts";

export interface SeedsAsked {
  readonly options: SeedOptions;
  readonly from: number;
  readonly to: number;
  /** Threads. */
  readonly jobs: number;
  /** A file. */
  readonly record: string | undefined;
  readonly json: boolean;
}

export async function simulateSeeds(asked: SeedsAsked, io: Io): Promise<number> {
  const { options, from, to, jobs } = asked;
  const record = asked.record === undefined ? NO_RECORD : openRecord(io, asked.record, options);
  const known = record.results.filter(({ seed }) => seed >= from && seed <= to);
  const results = new Map(known.map((result) => [result.seed, result]));
  const before = new Set(known);
  const open: number[] = [];
  for (let seed = to; seed >= from; seed--) if (!results.has(seed)) open.push(seed);
  const startedMs = performance.now();
  const done = watch({ asked, record, results, left: open.length }, io);
  if (jobs === 1) {
    const keys = await keysOf(options.keys);
    for (let seed = open.pop(); seed !== undefined; seed = open.pop())
      done(simulateSeed(options, seed, keys));
  } else await onThreads(options, { jobs: Math.min(jobs, open.length), open }, done);
  const inOrder = [...results.values()].sort((a, b) => a.seed - b.seed);
  const ran = inOrder.filter((result) => !before.has(result)).reduce((sum, { seconds }) => sum + seconds, 0);
  return report(asked, inOrder, { io, speed: timesRealTime(ran, startedMs) });
}

interface Watched {
  readonly asked: SeedsAsked;
  readonly record: SeedRecord;
  readonly results: Map<number, SeedResult>;
  /** To be run. */
  readonly left: number;
}

/** Keeps each result, says how far it is and how long it takes yet, and each failure when it comes. */
function watch({ asked, record, results, left }: Watched, io: Io): (result: SeedResult) => void {
  const say = progress(io);
  const startedMs = performance.now();
  const count = asked.to - asked.from + 1;
  let [ran, rounds, failed] = [0, 0, 0];
  for (const { rounds: each, verdict } of results.values()) {
    rounds += each;
    if (verdict !== "ok") failed++;
  }
  return (result) => {
    record.add(result);
    results.set(result.seed, result);
    ran++;
    rounds += result.rounds;
    if (result.verdict !== "ok") {
      failed++;
      io.err(io.style(COLOURS[result.verdict], `seed ${result.seed}: ${result.verdict}\n`));
    }
    const seconds = ((performance.now() - startedMs) / 1_000 / ran) * (left - ran);
    say(`${results.size} of ${count} seeds, ${rounds} rounds, ${failed} failed, ${duration(seconds)} left …`);
  };
}

function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** Each thread is given the next seed when it is done with one. */
async function onThreads(
  options: SeedOptions,
  { jobs, open }: { readonly jobs: number; readonly open: number[] },
  done: (result: SeedResult) => void,
): Promise<void> {
  const workers = Array.from(
    { length: jobs },
    () => new Worker(new URL("./simulate-worker.ts", import.meta.url), { workerData: options }),
  );
  const run = async (worker: Worker): Promise<void> => {
    const ended = Promise.withResolvers<void>();
    let seed: number | undefined;
    const next = (): void => {
      seed = open.pop();
      if (seed === undefined) ended.resolve();
      else worker.postMessage(seed);
    };
    worker.on("error", ended.reject);
    worker.on("exit", () => ended.reject(new Error(`the thread that ran seed ${seed} ended`)));
    worker.on("message", (result: SeedResult) => {
      try {
        done(result);
        next();
      } catch (error) {
        ended.reject(error);
      }
    });
    next();
    await ended.promise;
  };
  try {
    await Promise.all(workers.map(run));
  } finally {
    await Promise.all(workers.map(async (worker) => await worker.terminate()));
  }
}

function report(
  { options, from, to, json }: SeedsAsked,
  results: readonly SeedResult[],
  { io, speed }: { readonly io: Io; readonly speed: number },
): number {
  const { nodesPerSubnet, subnetCount, rounds, state, keys } = options;
  const counts: Record<Verdict, number> = { ok: 0, unsafe: 0, stalled: 0 };
  for (const { verdict } of results) counts[verdict]++;
  const sum = (of: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const totals = { rounds: sum((result) => result.rounds), seconds: sum((result) => result.seconds) };
  const intervalsLeast = results.reduce(
    (a, { intervals }) => Math.min(a, intervals),
    Number.POSITIVE_INFINITY,
  );
  const failed = results.filter(({ verdict }) => verdict !== "ok").slice(0, SHOWN_MAX);
  const worst: Verdict = counts.unsafe > 0 ? "unsafe" : counts.stalled > 0 ? "stalled" : "ok";
  if (json) {
    io.out(
      jsonDocument({
        seeds: { from, to },
        nodes_per_subnet: nodesPerSubnet,
        subnet_count: subnetCount,
        state,
        keys,
        rounds: totals.rounds,
        intervals_least: intervalsLeast,
        verdict: worst,
        verdicts: counts,
        failed: failed.map(({ seed, verdict, violations, faults }) => ({
          ...{ seed, verdict, violations },
          faults: Object.keys(faults),
        })),
        virtual_seconds: totals.seconds,
        times_real_time: speed,
      }),
    );
    return EXIT_CODES[worst];
  }
  const rows = (Object.keys(counts) as Verdict[]).map((name) => [
    io.style(COLOURS[name], name, "out"),
    `${counts[name]}`,
  ]);
  io.out(table([[io.style("bold", "VERDICT", "out"), io.style("bold", "SEEDS", "out")], ...rows]));
  io.out(
    `\n${totals.rounds} rounds, at least ${intervalsLeast} intervals a seed, ${speed} times as fast as the clock.\n`,
  );
  for (const { seed, verdict, violations, faults } of failed) {
    io.out(`\nseed ${seed}: ${verdict}\n${violations.map((text) => `  ${text}\n`).join("")}`);
    const more = keys === "real" ? " --keys real" : ` --shrink seed-${seed}.json`;
    const list = Object.keys(faults).join(",") || "none";
    io.out(
      `  again: orrery simulate --nodes-per-subnet ${nodesPerSubnet} --subnet-count ${subnetCount} --rounds ${rounds} --state ${state} --seed ${seed} --faults ${list}${more}\n`,
    );
  }
  return EXIT_CODES[worst];
}
