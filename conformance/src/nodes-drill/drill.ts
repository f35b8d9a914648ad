/**
 * The drill of nodes: a network of several node processes under the load of clients, while faults that its seed draws happen to processes, lines,
 * clocks and a disk. While no more nodes fail than the subnet withstands, it answers; when all is well again, every node takes part
 * within a bound; and what clients saw in all that time was one history (`history.ts`). The seed decides what happens and in which
 * order; how far the nodes are by then depends on the machine.
 */
import { createMclBls } from "@orrery/crypto/mcl";
import { Violation } from "../durability/client.ts";
import { type Random, seededRandom } from "../durability/random.ts";
import { Clients } from "./clients.ts";
import { Cluster } from "./cluster.ts";
import type { DrillOptions, DrillResult } from "./drill-options.ts";
import {
  collide,
  drawFault,
  type Fault,
  type FaultKind,
  isMinor,
  kindsFor,
  MISBEHAVIOURS_DRILLED,
} from "./faults.ts";
import { GoingOn, type Heights } from "./going-on.ts";
import { checkHistory } from "./history.ts";

/** While no more nodes fail than may, an answer comes at least so often. */
const GAP_MS_MAX = 60_000;
/** Until every node takes part again when all is well: a start, and what it missed. */
const RECOVERY_MS_MAX = 120_000;
const LOOK_MS = 100;
/** How often two faults overlap. */
const TWO_PERCENT = 30;
/** Of a process that ends because a block does not fit on its disk. */
const DISK_END_MS_MAX = 30_000;
/** What was on its way to a node when its clock was set right is judged by then. */
const CLOCK_RIGHT_MS = 1_000;
/** At most so many, when time is over and the one that misbehaves had no occasion yet. */
const MORE_EPISODES = 5;

/** Of the time, in which no node misbehaves. */
const HONEST_SHARE = 2 / 3;

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Drill {
  readonly #options: DrillOptions;
  readonly #random: Random;
  readonly #cluster: Cluster;
  readonly #clients: Clients;
  readonly #failure: PromiseWithResolvers<never>;
  /** Until when a node may judge by a wrong clock, by place. */
  readonly #offUntilMs = new Map<number, number>();
  readonly #counts: Record<string, number> = {};
  readonly #recoveryMs: number[] = [];
  #kinds: FaultKind[] = [];
  #majorFaults = 0;
  #episodes = 0;
  #gapMsMax = 0;
  readonly #misbehaviours: Record<string, number> = {};
  /** The one that has misbehaved: peers may keep it out, and nothing more is expected of it. */
  #spared: number | null = null;
  /** Since when no more nodes fail than may; null while more do, or recover. */
  #calmSinceMs: number | null = null;

  constructor(
    options: DrillOptions,
    parts: {
      readonly random: Random;
      readonly cluster: Cluster;
      readonly bls: Awaited<ReturnType<typeof createMclBls>>;
      readonly failure: PromiseWithResolvers<never>;
    },
  ) {
    const { random, cluster, bls, failure } = parts;
    this.#options = options;
    this.#random = random;
    this.#cluster = cluster;
    this.#failure = failure;
    this.#clients = new Clients({
      bls,
      random: random.fork(),
      count: options.clients,
      pauseMs: options.pauseMs,
      placesOf: (subnet) => cluster.placesOf(subnet),
      at: (place) => cluster.at(place),
      mayRefuse: (place) => performance.now() < (this.#offUntilMs.get(place) ?? 0),
    });
  }

  /** Fails as soon as anything fails: a client, a node that ends by itself. */
  #guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failure.promise]);
  }

  async run(): Promise<DrillResult> {
    const watch = setInterval(() => this.#watchGap(), LOOK_MS);
    try {
      await this.#guard(this.#startAll());
      const load = this.#clients.run();
      load.catch(this.#failure.reject);
      await this.#guard(this.#faults());
      this.#calmSinceMs = null;
      this.#clients.finish();
      await this.#guard(load);
      const heights = await this.#guard(this.#judge());
      for (const place of this.#honest)
        await this.#guard(this.#inTime(this.#cluster.stop(place), `node ${place} does not stop`));
      return this.#result(heights);
    } finally {
      clearInterval(watch);
      this.#clients.finish();
      await this.#cluster.close();
    }
  }

  get #places(): readonly number[] {
    return Array.from({ length: this.#cluster.size }, (_, place) => place);
  }

  /** Processes that have nodes of the same subnets. */
  get #groups(): readonly (readonly number[])[] {
    const { split, applications } = this.#options;
    const firsts = split ? Array.from({ length: applications + 1 }, (_, subnet) => subnet) : [0];
    return firsts.map((subnet) => this.#cluster.placesOf(subnet).filter((place) => place !== this.#spared));
  }

  get #recoveryMsMost(): number {
    return RECOVERY_MS_MAX * this.#options.patience;
  }

  /** Of which everything is expected. */
  get #honest(): readonly number[] {
    return this.#places.filter((place) => place !== this.#spared);
  }

  /** A violation unless it ends within a bound. */
  async #inTime<T>(work: Promise<T>, otherwise: string, mostMs: number = this.#recoveryMsMost): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Violation(`${otherwise}, for ${mostMs} ms now`)), mostMs);
    return await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
  }

  async #start(place: number): Promise<void> {
    if (!(await this.#inTime(this.#cluster.start(place), `node ${place} starts and does not answer`)))
      throw new Violation(`node ${place} ended before it answered`);
  }

  #addAt(place: number, list: number): Promise<void> {
    return this.#inTime(this.#clients.addAt(place, list), `node ${place} does not answer an update`);
  }

  async #startAll(): Promise<void> {
    await Promise.all(this.#places.map((place) => this.#start(place)));
    const { applications } = this.#options;
    const homes = [applications, applications - 1].filter((subnet) => subnet >= 0);
    await this.#clients.prepare(homes.map((subnet) => ({ subnet, near: this.#cluster.idOf(subnet) })));
    await this.#untilAllGoOn();
    this.#calmSinceMs = performance.now();
  }

  #watchGap(): void {
    if (this.#calmSinceMs === null) return;
    const gapMs = performance.now() - Math.max(this.#calmSinceMs, this.#clients.lastAnswerMs);
    this.#gapMsMax = Math.max(this.#gapMsMax, gapMs);
    if (gapMs > GAP_MS_MAX * this.#options.patience)
      this.#failure.reject(new Violation(`nothing was answered for ${Math.round(gapMs)} ms`));
  }

  /** Without a misbehaving node for most of the time, then with one until it did something, in at least one episode each. */
  async #faults(): Promise<void> {
    const { forMs, byzantine } = this.#options;
    const startMs = performance.now();
    let more = MORE_EPISODES;
    const honestMs = byzantine === null ? forMs : forMs * HONEST_SHARE;
    do await this.#someFaults();
    while (performance.now() < startMs + honestMs);
    if (byzantine === null) return;
    do {
      this.#turnByzantine(byzantine);
      await this.#someFaults();
    } while (performance.now() < startMs + forMs || (this.#cluster.twisted(byzantine) === 0 && more-- > 0));
    this.#cluster.misbehave(byzantine, null);
  }

  #someFaults(): Promise<void> {
    const first = this.#draw();
    const second = this.#random.below(100) < TWO_PERCENT ? this.#draw() : null;
    return this.#episode(second === null || collide(first, second) ? [first] : [first, second]);
  }

  #turnByzantine(place: number): void {
    this.#spared = place;
    this.#kinds = this.#kinds.filter((kind) => kind !== "disk-full" && kind !== "diverge");
    this.#cluster.letEnd(place);
    const how = this.#random.pick(MISBEHAVIOURS_DRILLED);
    this.#misbehaviours[how] = (this.#misbehaviours[how] ?? 0) + 1;
    this.#cluster.misbehave(place, how);
    this.#options.report(`from now on node ${place}: ${how}`);
  }

  /** Each kind once before any comes again. */
  #draw(): Fault {
    const { nodes, smallDisk } = this.#options;
    const about = {
      random: this.#random,
      nodes,
      groups: this.#groups.length,
      smallDisk: smallDisk?.place ?? null,
      spared: this.#spared,
    };
    if (this.#kinds.length === 0) this.#kinds = [...kindsFor(about)];
    const [kind] = this.#kinds.splice(this.#random.below(this.#kinds.length), 1);
    return drawFault(about, kind as FaultKind);
  }

  async #episode(faults: readonly Fault[]): Promise<void> {
    const { nodes, report } = this.#options;
    const isCalm = isMinor(faults, nodes, this.#spared);
    if (!isCalm) {
      this.#calmSinceMs = null;
      this.#majorFaults++;
    }
    const text = faults.map(({ kind, victims, forMs }) => `${kind} ${victims.join(",")} for ${forMs} ms`);
    for (const { kind } of faults) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    await Promise.all(faults.map((fault) => this.#happen(fault)));
    const startedMs = performance.now();
    await this.#untilAllGoOn();
    const answering = this.#random.pick(
      this.#honest.filter((place) => this.#clients.listsAt(place).length > 0),
    );
    await this.#addAt(answering, this.#clients.listsAt(answering)[0] as number);
    const tookMs = performance.now() - startedMs;
    this.#recoveryMs.push(tookMs);
    this.#calmSinceMs ??= performance.now();
    report(
      `${++this.#episodes}. ${text.join("; ")}${isCalm ? "" : " (more than may)"}: well after ${Math.round(tookMs)} ms, ` +
        `${this.#clients.answered} answered`,
    );
  }

  /** From its begin to its end. */
  async #happen(fault: Fault): Promise<void> {
    const { kind, victims, forMs, lines } = fault;
    const cluster = this.#cluster;
    switch (kind) {
      case "kill":
        await Promise.all(victims.map((place) => cluster.kill(place)));
        await delay(forMs);
        await Promise.all(victims.map((place) => this.#startAgain(place)));
        return;
      case "freeze":
        for (const place of victims) cluster.freeze(place, true);
        await delay(forMs);
        for (const place of victims) cluster.freeze(place, false);
        return;
      case "partition":
      case "one-way":
      case "slow":
      case "lossy": {
        const heal = cluster.wires.apply(lines ?? (() => null));
        await delay(forMs);
        heal();
        return;
      }
      case "cut":
        cluster.wires.cut((a, b) => victims.includes(a) || victims.includes(b));
        return;
      case "clock":
        await this.#setClocks(fault);
        return;
      case "disk-full":
        await this.#fillDisk(victims[0] as number);
        return;
      case "diverge":
        await Promise.all(victims.map((place) => this.#diverge(place)));
    }
  }

  /** Until it has another state than its subnet, finds that out, takes its peers' and is there again. */
  async #diverge(place: number): Promise<void> {
    const cluster = this.#cluster;
    const starts = cluster.startsOf(place);
    cluster.diverge(place);
    const isOver = (): boolean => !cluster.isToDiverge(place) && cluster.startsOf(place) > starts;
    const healed = async (): Promise<void> => {
      while (!isOver()) await delay(LOOK_MS);
    };
    await this.#inTime(healed(), `node ${place} goes on with another state, or does not take its peers'`);
  }

  async #startAgain(place: number): Promise<void> {
    if (this.#cluster.at(place) === null) await this.#start(place);
  }

  async #setClocks({ victims, forMs, clockOffsetMs }: Fault): Promise<void> {
    for (const place of victims) {
      this.#offUntilMs.set(place, Number.POSITIVE_INFINITY);
      this.#cluster.setClock(place, clockOffsetMs);
    }
    await delay(forMs);
    for (const place of victims) {
      this.#cluster.setClock(place, 0);
      this.#offUntilMs.set(place, performance.now() + CLOCK_RIGHT_MS);
    }
  }

  async #fillDisk(place: number): Promise<void> {
    const { smallDisk } = this.#options;
    this.#cluster.letEnd(place);
    smallDisk?.fill();
    const mostMs = DISK_END_MS_MAX * this.#options.patience;
    await this.#inTime(this.#cluster.ended(place), `node ${place} goes on with a full disk`, mostMs);
    smallDisk?.relieve();
    await this.#startAgain(place);
  }

  /** Waits until all honest nodes go on. */
  async #untilAllGoOn(): Promise<readonly Heights[]> {
    const mostMs = this.#recoveryMsMost;
    const endMs = performance.now() + mostMs;
    const goOn = async (places: readonly number[]): Promise<readonly Heights[]> => {
      const going = new GoingOn();
      for (;;) {
        const heights = await Promise.all(places.map((place) => this.#cluster.heightsAt(place)));
        if (going.isSeenBy(heights)) return heights;
        const told = `of ${places.join(" ")}: ${going.told(heights)}`;
        if (performance.now() > endMs) throw new Violation(`${told} within ${mostMs} ms`);
        await delay(LOOK_MS);
      }
    };
    return (await Promise.all(this.#groups.map(goOn))).flat();
  }

  /** All is well: every node answers, all have the same lists, and what clients saw fits them. */
  async #judge(): Promise<readonly Heights[]> {
    const clients = this.#clients;
    for (const place of this.#honest)
      for (const list of clients.listsAt(place)) await this.#addAt(place, list);
    for (const list of clients.lists.keys())
      await this.#inTime(clients.relayTo(list), `nobody answers a call to list ${list}`);
    const heights = await this.#untilAllGoOn();
    const lists: (readonly bigint[])[] = [];
    const wrong: string[] = [];
    for (const list of clients.lists.keys()) {
      const each: (readonly bigint[])[] = [];
      const places = clients.placesOf(list).filter((place) => this.#honest.includes(place));
      for (const place of places) each.push(await clients.entriesAt(place, list, this.#recoveryMsMost));
      const [first = []] = each;
      for (const [place, entries] of each.entries())
        if (entries.join() !== first.join())
          wrong.push(`list ${list} of ${places[place]} is another than of ${places[0]}`);
      lists.push(first);
    }
    wrong.push(...checkHistory(clients, lists));
    if (wrong.length > 0) throw new Violation(wrong.join("\n"));
    return heights;
  }

  #result(heights: readonly Heights[]): DrillResult {
    const { updates, reads, answered, refused, stale, unanswered } = this.#clients;
    const sorted = this.#recoveryMs.toSorted((a, b) => a - b);
    return {
      answered,
      reads: reads.length,
      relayed: updates.filter(({ kind, answeredMs }) => kind === "relay" && answeredMs !== null).length,
      resent: updates.filter(({ sent }) => sent > 1).length,
      givenUp: unanswered,
      refused,
      stale,
      faultsByKind: this.#counts,
      majorFaults: this.#majorFaults,
      misbehaviours: this.#misbehaviours,
      twisted: this.#options.byzantine === null ? 0 : this.#cluster.twisted(this.#options.byzantine),
      recoveryMsMedian: Math.round(sorted[sorted.length >> 1] ?? 0),
      recoveryMsMax: Math.round(sorted.at(-1) ?? 0),
      gapMsMax: Math.round(this.#gapMsMax),
      heights,
    };
  }
}

/** Runs a drill. Throws a `Violation` that says what was lost, doubled, in another order, or late. */
export async function nodesDrill(options: DrillOptions): Promise<DrillResult> {
  const random = seededRandom(options.seed);
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const { stateDir, nodes, applications, split, catchUpInterval } = options;
  const cluster = await Cluster.open({
    stateDir,
    nodes,
    applications,
    split,
    catchUpInterval,
    random,
    byzantine: options.byzantine,
    onFailure: failure.reject,
  });
  return await new Drill(options, { random, cluster, bls: await createMclBls(), failure }).run();
}
