/**
 * A simulated subnet: members joined by links that delay, lose, double and reorder, cut in two at times, with nodes that crash and come
 * back. Virtual time, one seed, one run. What a node publishes reaches every other one sooner or later, as long as both are up.
 */
import type { Height, SubnetId } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type CatchUpPackage,
  decodeSummary,
  type MemberCrypto,
  type MemberEffect,
  type Summary,
} from "@orrery/consensus/member";
import { drawnBetween, type Random, seededRandom } from "../random.ts";
import { Checkers } from "./checkers.ts";
import { EventQueue } from "./event-queue.ts";
import { EventTrace } from "./event-trace.ts";
import type { FaultPlan, Misbehaviour } from "./faults.ts";
import { fetchState } from "./fetching.ts";
import { Forgetful } from "./forgetful.ts";
import { Links } from "./links.ts";
import { type Actor, allTwisted } from "./misbehaving.ts";
import { Packages } from "./packages.ts";
import { Post } from "./post.ts";
import type { SimNode } from "./sim-node.ts";
import { SimRegistry } from "./sim-registry.ts";
import { checkSizes } from "./sizes.ts";
import type { Struck } from "./strikes.ts";
import { Tally } from "./tally.ts";
import { Twins } from "./twins.ts";
import { faultOfProgram, installationsFor } from "./upgrading.ts";
import { type Sky, strike } from "./weather.ts";
import { Witness } from "./witness.ts";
import {
  firstSummaryOf,
  type Keys,
  keysFor,
  makeNodes,
  type WorldEvent,
  type WorldOptions,
} from "./world-nodes.ts";

const MS = 1_000_000n;
const SECOND: bigint = 1_000n * MS;
/** Of a state from another node. */
const FETCH_NS: bigint = 500n * MS;

export class World {
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #queue: EventQueue<WorldEvent>;
  readonly nodes: readonly SimNode[];
  readonly #actors: readonly Actor[];
  readonly #skews: readonly bigint[];
  /** From a version of the registry until a node learns of it. */
  readonly #delays: readonly bigint[];
  /** Counts a node's starts, so that what a life before had planned does nothing. */
  readonly #lives: number[];
  readonly #wakes: (bigint | null)[];
  readonly checkers: Checkers = new Checkers();
  readonly #witness = new Witness((violation) => this.checkers.report(violation));
  readonly registry: SimRegistry;
  readonly keys: Keys;
  /** Of the genesis; null where members and keys never change. */
  readonly first: Summary | null;
  readonly packages: Packages = new Packages((violation) => this.checkers.report(violation));
  /** Summaries that were delivered, and versions whose members took over. */
  readonly summaries: Map<Height, Summary> = new Map();
  readonly tally: Tally = new Tally();
  readonly #links: Links;
  readonly #forgetful = new Forgetful();
  readonly #twins: Twins;
  readonly #post: Post;
  /** What went wrong, by seconds. */
  readonly weather: Struck[] = [];
  readonly trace: EventTrace;
  now: bigint;
  events = 0;
  syncs = 0;

  constructor(options: WorldOptions) {
    const { seed, nodes, spares, config, faults } = options;
    this.#options = options;
    this.#random = seededRandom(seed);
    this.#links = new Links(faults, this.#random, this.tally);
    const { time } = options.start.tip;
    this.now = time + SECOND;
    this.#queue = new EventQueue(time);
    this.trace = new EventTrace(time);
    const members = Array.from({ length: nodes }, (_, index) => index);
    const record = { members, intervalLength: config.rules.catchUpInterval, halts: false };
    this.registry = new SimRegistry(record, options.firstNode);
    this.keys = keysFor(options);
    const first = firstSummaryOf(options, this.registry, this.keys);
    this.first = spares === null ? null : first;
    this.#twins = new Twins(nodes + (spares ?? 0), faults.twins ?? 0);
    const indices = this.#twins.nodes;
    const late = Number(faults.registryDelayNs);
    this.#delays = indices.map(() => BigInt(Math.floor(this.#random.next() * late)));
    const versionFor = (node: number): number => this.registry.versionAt(this.now, this.#delays[node] ?? 0n);
    const { registry, keys } = this;
    this.nodes = makeNodes(options, { registry, keys, first, twins: this.#twins, versionFor });
    this.#actors = indices.map((index) =>
      this.#twins.actorOf(index, faults.byzantine[index], {
        subnetId: config.subnetId,
        nodes,
        place: (height) => this.#placeOf(index, height),
      }),
    );
    this.#post = new Post({
      ...{ nodes: this.nodes, actors: this.#actors, twins: this.#twins, links: this.#links },
      ...{ queue: this.#queue, trace: this.trace, recorder: options.recorder },
    });
    const skew = Number(faults.skewNs);
    this.#skews = indices.map(() => BigInt(Math.round((this.#random.next() * 2 - 1) * skew)));
    this.tally.note("clock-skew", this.#skews.filter((off) => off !== 0n).length);
    [this.#lives, this.#wakes] = [indices.map(() => 0), indices.map(() => null)];
    for (const index of indices) this.boot(index);
    this.#queue.plan(this.now + SECOND, { kind: "second" });
  }

  #placeOf(node: number, height: Height): { index: number; crypto: MemberCrypto } | null {
    const place = this.nodes[node]?.member?.place(height) ?? null;
    return place === null || place.self === null ? null : { index: place.self, crypto: place.crypto };
  }

  get faults(): FaultPlan {
    return this.#options.faults;
  }

  get subnetId(): SubnetId {
    return this.#options.config.subnetId;
  }

  /** Newest version of the registry whose members are the subnet's by now. */
  get versionInForce(): number {
    const newest = [...this.summaries.keys()].reduce((a, b) => Math.max(a, b), 0);
    return this.summaries.get(newest)?.current.registryVersion ?? 1;
  }

  /** The subnet stands still at the next summary, or goes on. */
  halt(halts: boolean): void {
    this.registry.halt(halts, this.now);
    this.#wakeAll();
  }

  /** Hosts wake their members when they learn of a version of the registry. */
  #wakeAll(): void {
    for (const [node, delay] of this.#delays.entries())
      this.#queue.plan(this.now + delay, { kind: "wake", node });
  }

  /** One that lost its disk counts as faulty until a package passes what it may have signed. */
  isHonest(node: number): boolean {
    return this.#actors[node]?.isHonest === true && !this.#forgetful.has(node);
  }

  /** Whether nodes that are otherwise honest still count as faulty. */
  get hasForgetful(): boolean {
    return this.#forgetful.nodes.some((node) => this.#actors[node]?.isHonest === true);
  }

  /** How often misbehaving members told others something in place of what is. */
  get twisted(): ReadonlyMap<Misbehaviour, number> {
    return allTwisted(this.#actors);
  }

  /** The lowest height that every honest node has delivered. */
  get commonHeight(): Height {
    return Math.min(...this.nodes.filter(({ index }) => this.isHonest(index)).map(({ height }) => height));
  }

  submit(message: Uint8Array): void {
    for (const { application } of this.nodes) application.submit(message);
  }

  /** No new faults; nodes that are away come back, and the subnet is whole. */
  heal(): void {
    this.#links.isFaulty = false;
    this.#links.mend();
    this.#links.hastenAll();
    for (const node of this.nodes) {
      // What clients then ask for would be gone with a crash.
      node.tear(null);
      if (!node.isUp) this.boot(node.index);
    }
    this.halt(false);
  }

  run(until: bigint): void {
    for (let next = this.#queue.take(until); next !== null; next = this.#queue.take(until)) {
      const { at, event } = next;
      this.now = at;
      this.events++;
      this.trace.note(this.now, event);
      this.#happen(event);
      this.#options.recorder?.look(this.now, {
        nodes: this.nodes,
        links: this.#links,
        twisted: this.twisted,
      });
    }
    this.now = until;
  }

  #happen(event: WorldEvent): void {
    switch (event.kind) {
      case "receive":
        this.#receive(event);
        return;
      case "wake":
        this.#wakes[event.node] = null;
        this.#tell(event.node);
        return;
      case "executed":
        if (this.#lives[event.node] !== event.life) return;
        this.checkers.executed(event.node, event.height, event.rootHash);
        this.#tell(event.node, { kind: "executed", height: event.height, rootHash: event.rootHash });
        if (event.stateHash !== null) {
          const { height, stateHash } = event;
          if (this.isHonest(event.node)) this.checkers.whole(event.node, height, stateHash);
          this.#tell(event.node, { kind: "checkpointed", height, stateHash });
        }
        return;
      case "fetch":
        if (this.#lives[event.node] === event.life && this.nodes[event.node]?.isUp === true)
          this.#fetch(event);
        return;
      case "boot":
        if (event.version !== undefined) this.nodes[event.node]?.install(event.version);
        if (!(this.nodes[event.node] as SimNode).isUp) this.boot(event.node);
        return;
      case "heal":
        this.#links.mend();
        return;
      case "hasten":
        this.#links.hasten(event.node);
        return;
      case "resume":
        this.halt(false);
        return;
      case "second":
        this.#second();
        return;
    }
  }

  #clock(node: number): bigint {
    return this.now + (this.#skews[node] as bigint);
  }

  /** Starts a node that is down. */
  boot(index: number): void {
    const node = this.nodes[index] as SimNode;
    this.#lives[index] = (this.#lives[index] as number) + 1;
    this.#follow(index, node.boot(this.#clock(index)));
    // It told all of them what it has when it began.
    for (const other of this.nodes)
      if (other !== node && other.isUp) this.#post.tellAll(other, this.now, index);
  }

  /** Its clock, and what came. */
  #tell(index: number, input?: Parameters<SimNode["step"]>[0]): void {
    const node = this.nodes[index] as SimNode;
    if (!node.isUp) return;
    const now = this.#clock(index);
    this.#follow(index, node.step(input ?? { kind: "time", now }, now));
    if (!node.isTorn) return;
    node.crash();
    this.tally.note("torn-write");
    this.#queue.plan(this.now + drawnBetween(this.#random, this.#options.faults.awayNs), {
      kind: "boot",
      node: index,
    });
  }

  #follow(index: number, effects: readonly MemberEffect[]): void {
    const node = this.nodes[index] as SimNode;
    if (effects.length > 0) this.#watch(node, effects);
    for (const effect of effects) {
      if (effect.kind === "publish") this.#post.publish(index, this.now, effect.artifact);
      else if (effect.kind === "deliver") this.#deliver(node, effect);
      else if (effect.kind === "sync") this.#planFetch(index, effect.catchUp);
      else if (effect.kind === "again") this.#post.tellAgain(effect.from, this.now, index);
      else if (effect.kind === "superseded")
        for (const due of installationsFor(node, this.registry, effect.catchUp))
          this.#queue.plan(this.now + SECOND, due);
      else if (effect.kind === "diverged") {
        node.distrust(effect.height);
        if (this.isHonest(index)) this.checkers.diverged(index, effect.height);
      } else if (effect.kind === "certified") {
        const { height, content, signature } = effect.certification;
        node.application.certified(height, signature);
        if (!this.isHonest(index)) continue;
        this.checkers.certified(index, height, content);
        // Clients have their answers now.
        for (const message of node.application.messagesAt(height)) this.checkers.acknowledged(message);
      }
    }
    this.#planWake(index);
  }

  #watch({ index, member }: SimNode, effects: readonly MemberEffect[]): void {
    this.#options.recorder?.effects(this.now, index, effects);
    this.tally.note("twins", this.#twins.contradictions(index, effects));
    if (!this.isHonest(index)) this.#witness.overlook(index, effects);
    if (member === null || !this.isHonest(index)) return;
    const selfAt = (height: Height): number | null => member.place(height)?.self ?? null;
    const { rules } = this.#options.config;
    this.packages.heard(index, effects);
    this.#witness.step(index, effects, { pool: member.pool, now: this.#clock(index), rules, selfAt });
    for (const effect of effects) {
      if (effect.kind === "misbehaved" && this.isHonest(effect.peer))
        this.checkers.blamed(index, effect.peer, effect.why);
    }
  }

  #planWake(index: number): void {
    const next = (this.nodes[index] as SimNode).nextTime();
    if (next === null) return;
    const at = next - (this.#skews[index] as bigint);
    const planned = this.#wakes[index] as bigint | null;
    if (planned !== null && planned <= at) return;
    this.#wakes[index] = at;
    this.#queue.plan(at > this.now ? at : this.now, { kind: "wake", node: index });
  }

  #deliver(node: SimNode, { block, tape }: Extract<MemberEffect, { kind: "deliver" }>): void {
    const { height, payload } = block;
    const hash = blockHash(block);
    if (this.isHonest(node.index)) {
      this.checkers.delivered({ node: node.index, height, hash, block });
      // A quorum has an honest member whose clock had come to the time.
      if (block.context.time > this.now + this.#options.faults.skewNs)
        this.checkers.report(`the block at ${height} is ahead of every clock`);
      const fault = faultOfProgram(this.summaries, node, height);
      if (fault !== null) this.checkers.report(fault);
    }
    const life = this.#lives[node.index] as number;
    if (payload.summary !== undefined && this.isHonest(node.index))
      this.summaries.set(height, decodeSummary(payload.summary));
    const { spares, config } = this.#options;
    const isWhole =
      spares === null ? height % config.rules.catchUpInterval === 0 : payload.summary !== undefined;
    const result = node.application.execute(block, tape.signature, isWhole);
    const executed = { kind: "executed", node: node.index, height, ...result, life } as const;
    const { executionNs, faults } = this.#options;
    const slowness = this.#links.isSlow(node.index) ? faults.slowNs : 0n;
    this.#queue.plan(this.now + executionNs + slowness, executed);
  }

  #planFetch(node: number, { height, stateHash }: CatchUpPackage): void {
    // What it executes of the state that it had is of no use any more.
    const life = (this.#lives[node] as number) + 1;
    this.#lives[node] = life;
    this.#queue.plan(this.now + FETCH_NS, { kind: "fetch", node, height, stateHash, life });
  }

  /** Asks the others in turn; what has not the package's hash is not taken. */
  #fetch(event: Extract<WorldEvent, { kind: "fetch" }>): void {
    const { node: index, height } = event;
    const node = this.nodes[index] as SimNode;
    const isLiar = (each: number): boolean => this.#actors[each]?.isHonest !== true;
    const lies = this.#options.faults.liesOnSync ? isLiar : (): boolean => false;
    const providers = { nodes: this.nodes, links: this.#links, tally: this.tally, lies };
    if (fetchState(providers, node, event)) {
      this.checkers.healed(index);
      this.syncs++;
      this.#tell(index, { kind: "synced", height });
    } else this.#queue.plan(this.now + FETCH_NS, event);
  }

  #receive(event: Extract<WorldEvent, { kind: "receive" }>): void {
    const { from, to, artifact } = event;
    // A node that comes back is sent everything anew.
    if (!(this.nodes[to] as SimNode).isUp || !this.#post.arrives(event, this.now)) return;
    this.#tell(to, { kind: "artifact", from: this.#twins.identityOf(from), artifact });
  }

  #second(): void {
    this.#queue.plan(this.now + SECOND, { kind: "second" });
    checkSizes(this, this.#options.nodes);
    this.#forgetful.look(this.nodes);
    if (!this.#links.isFaulty) return;
    const { script } = this.#options;
    const told = script === undefined ? null : (script[this.weather.length] ?? { strikes: [], drawn: 0 });
    const sky: Sky = {
      ...this,
      options: this.#options,
      random: this.#random,
      links: this.#links,
      isHonest: (node) => this.isHonest(node),
      plan: (afterNs, event) => this.#queue.plan(this.now + afterNs, event),
      loseDisk: (node) => this.#forgetful.loseDisk(node),
      wakeAll: () => this.#wakeAll(),
      halt: (halts) => this.halt(halts),
    };
    this.weather.push(strike(sky, told));
  }
}
