/**
 * The kill drill (docs/ARCHITECTURE.md, "One truth"): a node under load is killed with SIGKILL at random instants and started again on the same
 * directory; after every start, before any client goes on, everything that was answered must be there once and nothing half there.
 * The seed decides load and instants; how far the node is by then depends on the machine.
 */
import { createMclBls } from "@orrery/crypto/mcl";
import { fixtureGzip } from "../harness.ts";
import { drillModule } from "./canister.ts";
import { type Endpoint, Unanswered, Violation } from "./client.ts";
import { type KillPlan, planKill } from "./kill-plan.ts";
import {
  type NodeProcess,
  type RunningNode,
  type StoreWatch,
  startNodeProcess,
  watchStore,
} from "./node-under-test.ts";
import { type Random, seededRandom } from "./random.ts";
import type { Op } from "./records.ts";
import { Verifier } from "./verifier.ts";
import { type Gate, Workload } from "./workload.ts";

/** Rounds between checkpoints: a checkpoint is under way most of the time. */
const CHECKPOINT_ROUNDS = 4;
const LOG_SEGMENT_BYTES = 32_768;
const HOT_PAGES_MAX = 32;
/** The drill's canisters are on both and send each other messages. */
const APPLICATIONS = 2;
/** A connection that fails because of a kill fails together with its node. */
const GONE_MS_MAX = 30_000;
/** Events that a kill waits for come within this time, or it strikes without. */
const PATIENCE_MS = 5_000;

export interface DrillOptions {
  readonly stateDir: string;
  readonly kills: number;
  readonly seed: number;
  readonly report: (line: string) => void;
}

export interface DrillResult {
  readonly kills: number;
  readonly killsByKind: Readonly<Record<string, number>>;
  /** Kills before the node answered. */
  readonly killedStarting: number;
  readonly answered: number;
  readonly resent: number;
  readonly opsByKind: Readonly<Record<string, number>>;
  readonly statusesChecked: number;
  readonly height: number;
  readonly startMsMedian: number;
  readonly startMsMax: number;
}

type Listener = (event: "sent" | "answered", op: Op) => void;

/** Holds the clients back until the node that runs has been checked. */
class DrillGate implements Gate {
  generation = 0;
  #open = Promise.withResolvers<Endpoint | null>();
  #process: NodeProcess | null = null;
  #closedFor: Endpoint | null = null;
  readonly #listeners = new Set<Listener>();

  open(): Promise<Endpoint | null> {
    return this.#open.promise;
  }

  letIn(at: Endpoint | null, process: NodeProcess | null): void {
    this.#process = process;
    this.#open.resolve(at);
  }

  /** Before a kill: whoever comes now waits for the next node. */
  close(at: Endpoint | null): void {
    this.#closedFor = at;
    this.#open = Promise.withResolvers<Endpoint | null>();
  }

  async gone(at: Endpoint): Promise<void> {
    if (this.#closedFor === at || this.#process === null) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => late.reject(new Violation("a running node dropped a connection")),
      GONE_MS_MAX,
    );
    await Promise.race([this.#process.ended, late.promise]).finally(() => clearTimeout(timer));
  }

  happened(event: "sent" | "answered", op: Op): void {
    for (const listener of [...this.#listeners]) listener(event, op);
  }

  /** Resolves at the n-th event that `wanted` accepts. */
  until(n: number, wanted: (event: "sent" | "answered", op: Op) => boolean): Promise<void> {
    return new Promise((resolve) => {
      let left = n;
      const listener: Listener = (event, op) => {
        if (!wanted(event, op) || --left > 0) return;
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

class Drill {
  readonly #options: DrillOptions;
  readonly #random: Random;
  readonly #gate = new DrillGate();
  readonly #workload: Workload;
  readonly #verifier: Verifier;
  readonly #watch: StoreWatch;
  readonly #failure = Promise.withResolvers<never>();
  readonly #killsByKind: Record<string, number> = {};
  readonly #startMs: number[] = [];
  #killedStarting = 0;
  #load: Promise<void> = Promise.resolve();
  #process: NodeProcess | null = null;

  constructor(options: DrillOptions, workload: Workload) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#workload = workload;
    this.#verifier = new Verifier(workload, this.#random.fork());
    this.#watch = watchStore(options.stateDir, APPLICATIONS);
    this.#failure.promise.catch(() => {});
  }

  /** Fails as soon as anything fails: a client, a node that ends by itself. */
  #guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failure.promise]);
  }

  #start(): NodeProcess {
    this.#gate.generation++;
    const { stateDir } = this.#options;
    this.#process = startNodeProcess(
      {
        stateDir,
        checkpointRounds: CHECKPOINT_ROUNDS,
        logSegmentBytes: LOG_SEGMENT_BYTES,
        hotPagesMax: HOT_PAGES_MAX,
        applications: APPLICATIONS,
      },
      this.#failure.reject,
    );
    return this.#process;
  }

  async #startAndCheck(settled: boolean): Promise<{ process: NodeProcess; node: RunningNode }> {
    const startedMs = performance.now();
    const process = this.#start();
    const node = await this.#guard(process.started);
    if (node === null) throw new Violation("the node ended before it answered");
    this.#startMs.push(performance.now() - startedMs);
    await this.#guard(this.#verifier.check(node, { settled }));
    return { process, node };
  }

  async run(): Promise<DrillResult> {
    try {
      await this.#killMany();
      await this.#settle();
    } finally {
      this.#watch.close();
      // After a failure the node still runs, and clients wait for the next one.
      await this.#process?.kill();
      this.#gate.close(null);
      this.#gate.letIn(null, null);
    }
    return this.#result();
  }

  async #killMany(): Promise<void> {
    const { kills } = this.#options;
    for (let i = 0; i < kills; i++) {
      const plan = planKill(this.#random);
      this.#killsByKind[plan.kind] = (this.#killsByKind[plan.kind] ?? 0) + 1;
      if (plan.kind === "starting" && i > 0) await this.#killStarting(plan);
      else await this.#killLoaded(plan, i === 0);
      this.#progress(i + 1);
    }
  }

  async #killStarting(plan: KillPlan): Promise<void> {
    const process = this.#start();
    await delay(plan.delayMs);
    this.#killedStarting++;
    await process.kill();
  }

  async #killLoaded(plan: KillPlan, isFirst: boolean): Promise<void> {
    const { process, node } = await this.#startAndCheck(false);
    const instant = Promise.race([this.#instant(plan), delay(PATIENCE_MS)]);
    this.#gate.letIn(node, process);
    if (isFirst) {
      await this.#guard(this.#workload.prepare(this.#gate, node.effectiveCanisterIds));
      this.#load = this.#workload.run(this.#gate, node.effectiveCanisterIds);
      this.#load.catch(this.#failure.reject);
    }
    await this.#guard(instant);
    await this.#guard(this.#verifier.noteHeight(node).catch(unlessUnanswered));
    if (plan.kind === "stopping") process.askToStop();
    await delay(plan.delayMs);
    this.#gate.close(node);
    await this.#guard(process.kill());
  }

  /** Resolves when what the plan waits for has happened. */
  #instant(plan: KillPlan): Promise<void> {
    switch (plan.kind) {
      case "answers":
      case "stopping":
        return this.#gate.until(plan.count, (event) => event === "answered");
      case "checkpoint":
      case "manifest":
      case "segment":
        return this.#watch.next(plan.kind);
      case "install":
        return this.#gate.until(
          1,
          (event, op) => event === "sent" && op.slot !== 0 && op.kind.startsWith("upgrade"),
        );
      case "call":
        return this.#gate.until(
          plan.count,
          (event, op) => event === "sent" && (op.kind === "transfer" || op.kind === "random"),
        );
      case "starting":
        return Promise.resolve();
    }
  }

  /** Lets every request be answered, then checks strictly; stops in order, starts again, checks again. */
  async #settle(): Promise<void> {
    const first = await this.#startAndCheck(false);
    this.#workload.finish();
    this.#gate.letIn(first.node, first.process);
    await this.#guard(this.#load);
    await this.#guard(this.#verifier.waitForTimers(first.node));
    await this.#guard(this.#verifier.check(first.node, { settled: true }));
    await first.process.stop();
    const second = await this.#startAndCheck(true);
    await second.process.stop();
  }

  #progress(kills: number): void {
    if (kills % 10 !== 0 && kills !== this.#options.kills) return;
    const answered = this.#workload.ops.filter(({ answer }) => answer !== null).length;
    this.#options.report(`${kills} kills, ${answered} requests answered, height ${this.#verifier.height}`);
  }

  #result(): DrillResult {
    const { ops } = this.#workload;
    const sorted = this.#startMs.toSorted((a, b) => a - b);
    return {
      kills: this.#options.kills,
      killsByKind: this.#killsByKind,
      killedStarting: this.#killedStarting,
      answered: ops.filter(({ answer }) => answer !== null).length,
      resent: ops.filter(({ sent }) => sent > 1).length,
      opsByKind: Object.fromEntries(
        Object.entries(Object.groupBy(ops, ({ kind }) => kind)).map(([kind, some]) => [kind, some.length]),
      ),
      statusesChecked: this.#verifier.statusesChecked,
      height: this.#verifier.height,
      startMsMedian: Math.round(sorted[sorted.length >> 1] ?? 0),
      startMsMax: Math.round(sorted.at(-1) ?? 0),
    };
  }
}

function unlessUnanswered(error: unknown): void {
  if (!(error instanceof Unanswered)) throw error;
}

/** Runs a drill in a state directory that is empty or not there. Throws a `Violation` that says what was lost, doubled or torn. */
export async function killDrill(options: DrillOptions): Promise<DrillResult> {
  const [bls, module] = await Promise.all([createMclBls(), drillModule()]);
  const random = seededRandom(options.seed ^ 0x5eed);
  const workload = new Workload({
    bls,
    random,
    drillModule: module,
    counterModule: fixtureGzip("counter.eop"),
  });
  return new Drill(options, workload).run();
}
