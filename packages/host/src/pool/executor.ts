/**
 * Running the executions of a round on worker threads (docs/ARCHITECTURE.md, "Threads of a node"). Cheap ones run on the calling
 * thread; those that turn out to need much are dropped without a trace and run from their start on a worker, which runs ahead of
 * what they were granted. The calling thread waits only until a job has ended or is past what it was granted. What is guessed
 * here decides where something runs, never what comes of it.
 */
import { type Height, type PrincipalKey, principalKey } from "@orrery/base";
import {
  decodedBytes,
  type Executor,
  type Job,
  type JobResult,
  type LocalJobs,
  type Partition,
} from "@orrery/execution";
import { CanisterPool, type Finished, type PoolOptions } from "./pool.ts";

/** Instructions after which a message, or what an installation runs, is left to a worker: some milliseconds. */
const PROBE_INSTRUCTIONS = 10_000_000n;
/** What the compilation of a module may count for that is compiled here. */
const INLINE_COMPILE_INSTRUCTIONS = 100_000_000n;
/** Uploads from this size go to a worker at once: instantiating what comes of them takes long. */
export const INLINE_MODULE_BYTES_MAX: number = 128 * 1024;
/** The same of compressed ones, which may be a thousand times as large when they are inflated. */
export const INLINE_GZIP_BYTES_MAX: number = 4 * 1024;
/** The same of modules that are not compiled yet, decoded: compiling takes longer. */
export const INLINE_COMPILED_BYTES_MAX: number = 16 * 1024;
/** Workers that may die of one job; then it runs on the calling thread. */
const ATTEMPTS_MAX = 3;
/** Canisters whose last message was long. */
const HEAVY_CANISTERS_MAX = 10_000;

export interface WorkerExecutor extends Executor {
  /** Threads that run canisters now. */
  readonly workers: number;
  /** Jobs that were begun again because their worker died. */
  readonly restarts: number;
  /**
   * Whether all executions under way came past what their next slice would grant, or ended: a round that gives them slices
   * waits for nobody then.
   */
  ready(): boolean;
  /** Resolves when `ready` may have changed. To be called right after it. */
  untilNews(): Promise<void>;
  /** Starts a first thread ahead of need; returns at once. */
  prepare(): void;
  /** Ends the threads that run something, as crashes would, and says whether there are any; for tests of what happens then. */
  killRunning(): boolean;
  /** Ends all threads; what they ran is lost, and run again by whoever asks for it. */
  close(): Promise<void>;
}

export interface WorkerExecutorOptions extends PoolOptions {
  readonly probeInstructions?: bigint;
}

/** A job that is not the calling thread's. */
interface Flight {
  /** As it was asked for last. */
  job: Job;
  place: "waiting" | "worker" | "here" | "landed";
  result: JobResult | null;
  attempts: number;
  /** Height of the last round that gave it a slice. */
  askedAt: Height;
  /** Its worker is being ended for the sake of another job. */
  displaced: boolean;
}

export class PooledExecutor implements WorkerExecutor {
  readonly #pool: CanisterPool;
  readonly #options: WorkerExecutorOptions;
  readonly #flights = new Map<Job["work"], Flight>();
  readonly #heavy = new Set<PrincipalKey>();
  #restarts = 0;
  /** Heights of the last round that gave slices to what began earlier, and of the one before. */
  #grants: readonly [last: Height, before: Height] = [0, 0];

  constructor(options: WorkerExecutorOptions) {
    this.#options = options;
    this.#pool = new CanisterPool(options);
  }

  get workers(): number {
    return this.#pool.workers;
  }

  get restarts(): number {
    return this.#restarts;
  }

  prepare(): void {
    this.#pool.prepare();
  }

  close(): Promise<void> {
    this.#flights.clear();
    return this.#pool.close();
  }

  ready(): boolean {
    for (const finished of this.#pool.poll()) this.#land(finished);
    this.#dispatch();
    for (const { place, job } of this.#flights.values()) {
      if (place !== "worker") continue;
      const begun = job.granted < 0n ? 0n : job.granted;
      if (this.#pool.progress(job.work) <= begun + this.#options.sliceOf(job.work)) return false;
    }
    return true;
  }

  untilNews(): Promise<void> {
    return this.#pool.untilNews();
  }

  /** Ends the thread that runs `work`, as a crash would. */
  kill(work: Job["work"]): void {
    this.#pool.kill(work);
  }

  killRunning(): boolean {
    const running = [...this.#flights.values()].filter(({ place }) => place === "worker");
    for (const { job } of running) this.kill(job.work);
    return running.length > 0;
  }

  run(partitions: readonly Partition[], local: LocalJobs): void {
    const open = new Map<Partition, Job>();
    for (const partition of partitions) this.#advance(partition, partition.next(), { open, local });
    while (open.size > 0) {
      for (const finished of this.#pool.poll()) this.#land(finished);
      if (!this.#dispatch()) this.#displace();
      let decided = false;
      for (const [partition, job] of [...open]) {
        const result = this.#decide(job, local);
        if (result === undefined) continue;
        decided = true;
        open.delete(partition);
        partition.done(job, result);
        this.#advance(partition, partition.next(), { open, local });
      }
      if (!decided) this.#pool.wait();
    }
  }

  /** Runs a partition's jobs as long as they are this thread's. */
  #advance(
    partition: Partition,
    first: Job | null,
    round: { readonly open: Map<Partition, Job>; readonly local: LocalJobs },
  ): void {
    for (let job = first; job !== null; job = partition.next()) {
      const flight = this.#flights.get(job.work);
      if (flight !== undefined) this.#noteGrant(flight);
      const result = flight === undefined ? this.#begin(job, round.local) : this.#decide(job, round.local);
      if (result === undefined) {
        round.open.set(partition, job);
        return;
      }
      partition.done(job, result);
    }
  }

  #noteGrant({ askedAt }: Flight): void {
    const { height } = this.#options.state;
    if (askedAt < height && this.#grants[0] < height) this.#grants = [height, this.#grants[0]];
  }

  /** Here if it is short, otherwise on a worker (undefined); later (null) when nothing is due and there is nothing to prepare. */
  #begin(job: Job, local: LocalJobs): JobResult | null | undefined {
    const heavy = this.#looksHeavy(job);
    if (!heavy && this.#compileCount(job) > job.granted) return null;
    const limit = this.#probeLimit(job);
    // Who outgrows all that is granted now is due later: nobody waits for a worker.
    const decides = limit > job.granted && !(heavy && job.work.kind === "install");
    if (!heavy || decides) {
      const result = local.probe(job, limit);
      if (result !== "outgrown") return result;
    }
    this.#noteHeavy(job, true);
    this.#flights.set(job.work, {
      job,
      place: "waiting",
      result: null,
      attempts: 0,
      askedAt: this.#options.state.height,
      displaced: false,
    });
    this.#dispatch();
    return decides ? null : undefined;
  }

  #probeLimit(job: Job): bigint {
    const { work, granted } = job;
    const { probeInstructions = PROBE_INSTRUCTIONS } = this.#options;
    const compiling = work.kind === "install" && !this.#isCompiled(work) ? INLINE_COMPILE_INSTRUCTIONS : 0n;
    const probe = this.#compileCount(job) + compiling + probeInstructions;
    const own = work.kind === "install" ? work.prepaid.instructionLimit : work.instructionLimit;
    // One that fails at a limit of its own is not known to need more than is granted.
    const most = own > granted ? granted + 1n : granted;
    return probe < most ? probe : most;
  }

  #isCompiled({ blob }: Extract<Job["work"], { kind: "install" }>): boolean {
    return this.#options.runner.cachedModule(blob) !== null;
  }

  /** What an installation counts before anything of it runs, as far as it is known. */
  #compileCount({ work }: Job): bigint {
    if (work.kind !== "install") return 0n;
    const compiled = this.#options.runner.cachedModule(work.blob);
    return work.extraInstructions + (compiled?.compileInstructions ?? 0n);
  }

  #looksHeavy(job: Job): boolean {
    const { work, canister } = job;
    if (work.kind === "install") {
      const { state } = this.#options;
      const upload = state.blobs.get(work.blob);
      if (upload.length > (upload[0] === 0x1f ? INLINE_GZIP_BYTES_MAX : INLINE_MODULE_BYTES_MAX)) return true;
      return !this.#isCompiled(work) && decodedBytes(upload) > INLINE_COMPILED_BYTES_MAX;
    }
    if (work.slicesGranted > 1) return true;
    return this.#heavy.has(principalKey(canister.meta.id));
  }

  #noteHeavy({ work, canister }: Job, heavy: boolean): void {
    if (work.kind === "install") return;
    const key = principalKey(canister.meta.id);
    this.#heavy.delete(key);
    if (!heavy) return;
    this.#heavy.add(key);
    for (const oldest of this.#heavy) {
      if (this.#heavy.size <= HEAVY_CANISTERS_MAX) return;
      this.#heavy.delete(oldest);
    }
  }

  /** Gives waiting jobs to workers that are free, in the order in which they came; false when a job of this round is left. */
  #dispatch(): boolean {
    const { height } = this.#options.state;
    for (const flight of this.#flights.values()) {
      if (flight.place !== "waiting") continue;
      if (!this.#pool.give(flight.job)) return flight.askedAt !== height;
      flight.place = "worker";
    }
    return true;
  }

  /**
   * Ends the worker of a job that had no slice when slices were last given, so that nobody waits for what nobody needs now; that job begins
   * again later. There are as many workers as rounds give slices, so this is for canisters that began and then had to wait.
   */
  #displace(): void {
    let oldest: Flight | null = null;
    for (const flight of this.#flights.values()) {
      if (flight.displaced) return;
      if (flight.place !== "worker" || flight.askedAt >= this.#grants[1]) continue;
      if (oldest === null || flight.askedAt < oldest.askedAt) oldest = flight;
    }
    if (oldest === null) return;
    oldest.displaced = true;
    this.#pool.kill(oldest.job.work);
  }

  #land({ work, outcome }: Finished): void {
    const flight = this.#flights.get(work);
    if (flight === undefined) return;
    if (outcome === null && flight.displaced) {
      flight.displaced = false;
      flight.place = "waiting";
      // Behind those that are needed now.
      this.#flights.delete(work);
      this.#flights.set(work, flight);
      return;
    }
    flight.displaced = false;
    if (outcome === null) {
      this.#restarts++;
      flight.attempts++;
      flight.place = flight.attempts < ATTEMPTS_MAX ? "waiting" : "here";
      return;
    }
    flight.place = "landed";
    flight.result = outcome.result;
    if (outcome.compiled !== null && outcome.result.compiled !== null) {
      this.#options.runner.adoptModule(outcome.result.compiled.module.blob, outcome.compiled);
    }
  }

  /** The result when it is due, null when it is not, undefined when that is not known yet. */
  #decide(job: Job, local: LocalJobs): JobResult | null | undefined {
    const flight = this.#flights.get(job.work) as Flight;
    flight.askedAt = this.#options.state.height;
    flight.job = job;
    if (flight.place === "here") {
      const own = local.run(job);
      if (own !== null) this.#flights.delete(job.work);
      return own;
    }
    const { result } = flight;
    if (result === null) return this.#pool.progress(job.work) > job.granted ? null : undefined;
    if (result.outcome.instructions > job.granted) return null;
    this.#flights.delete(job.work);
    this.#noteHeavy(job, result.outcome.instructions > this.#probeLimit(job));
    return local.adopt(job, result);
  }
}

/** Executes on up to `workersMax` threads, which start when they are first needed. */
export function createWorkerExecutor(options: WorkerExecutorOptions): PooledExecutor {
  return new PooledExecutor(options);
}
