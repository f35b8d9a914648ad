/**
 * Members side by side without a network: everything published arrives at once, except what a test keeps back. States are a function of
 * the height. For tests of single rules.
 */
import assert from "node:assert/strict";
import type { NodeId, SubnetId } from "@orrery/base";
import {
  type Artifact,
  artifactId,
  type Dkg,
  heightOf,
  type Kept,
  Member,
  type MemberCrypto,
  type MemberEffect,
  type MemberInput,
  type Start,
  type SubnetRecord,
  type Summary,
} from "@orrery/consensus/member";
import { IdealDkg } from "./ideal-dkg.ts";
import { IdealKeys } from "./ideal-keys.ts";
import { nodeIdOf, nodeOf } from "./sim-registry.ts";

const MEMBERS = 4;
const INTERVAL = 10;
const MS = 1_000_000n;
const STEP_NS: bigint = 50n * MS;
/** Some hundred heights, each with turns of all ranks. */
const STEPS_MAX = 20_000;

export const SUBNET: SubnetId = new Uint8Array(29).fill(1) as Uint8Array as SubnetId;

const START: Start = {
  tip: { height: 0, hash: new Uint8Array(32), time: 0n, certifiedHeight: 0, registryVersion: 1 },
  beacon: new Uint8Array(32),
};

const FIRST_SUMMARY: Summary = {
  length: INTERVAL,
  nextLength: INTERVAL,
  halts: false,
  current: new IdealDkg(1, new IdealKeys(1, MEMBERS)).genesis(
    Array.from({ length: MEMBERS }, (_, index) => nodeIdOf(index)),
    1,
  ),
  next: null,
};

export interface MembersOptions {
  /** What members call who they hear; by default by index. */
  readonly peerOf?: (nodeId: NodeId) => number;
  /** Key generation of a member, made of the ideal one. */
  readonly intervals?: (self: number, ideal: Dkg) => Dkg;
  /** Heights of each interval, where not as usual. */
  readonly interval?: number;
  /** Subnets that the members are to create. */
  readonly planned?: SubnetRecord["planned"];
}

/** The state of a height, whole and by its root. */
export const stateOf = (height: number): Uint8Array => new Uint8Array(32).fill(height % 250);

export class Members {
  readonly #keys = new IdealKeys(1, MEMBERS);
  readonly #dkg = new IdealDkg(1, this.#keys);
  readonly all: Member[];
  /** Everything published, with its sender. */
  readonly said: { readonly from: number; readonly artifact: Artifact }[] = [];
  readonly disks: readonly Artifact[][] = Array.from({ length: MEMBERS }, () => []);
  /** Effects of every member, in order. */
  readonly effects: readonly MemberEffect[][] = Array.from({ length: MEMBERS }, () => []);
  readonly #queue: { readonly to: number; readonly input: MemberInput }[] = [];
  now: bigint = MS;
  /** Whether an artifact arrives. */
  arrives: (to: number, artifact: Artifact) => boolean = () => true;

  readonly #intervals: MembersOptions["intervals"];
  readonly #peerOf: NonNullable<MembersOptions["peerOf"]>;
  readonly #length: number;
  readonly #planned: MembersOptions["planned"];

  /** `intervals`: members that deal keys to themselves. */
  constructor({ intervals, peerOf = nodeOf, interval = INTERVAL, planned }: MembersOptions = {}) {
    this.#intervals = intervals;
    this.#length = interval;
    this.#planned = planned;
    this.#peerOf = peerOf;
    this.all = Array.from({ length: MEMBERS }, (_, self) => this.make(self));
  }

  crypto(self: number): MemberCrypto {
    return this.#keys.of(self);
  }

  make(self: number, kept?: Kept): Member {
    const rules = {
      unitDelayNs: 1_000n * MS,
      initialNotaryDelayNs: 300n * MS,
      catchUpInterval: this.#length,
    };
    const nodeId = nodeIdOf(self);
    const { current } = FIRST_SUMMARY;
    const length = this.#length;
    const planned = this.#planned === undefined ? {} : { planned: this.#planned };
    const record = { members: current.members, intervalLength: length, halts: false, ...planned };
    const summary = { ...FIRST_SUMMARY, length, nextLength: length };
    const dkg = this.#intervals?.(self, this.#dkg.of(nodeId));
    return new Member(
      {
        ...(dkg === undefined
          ? {}
          : { intervals: { nodeId, peerOf: this.#peerOf, dkg, record: () => record, runs: () => true } }),
        config: { subnetId: SUBNET, self, members: MEMBERS, rules },
        crypto: this.crypto(self),
        payloads: { build: () => ({ ingress: [] }), judge: () => ({ kind: "valid" }) },
        registryVersion: () => 1,
      },
      dkg === undefined ? START : { ...START, summary },
      kept,
    );
  }

  member(index: number): Member {
    return this.all[index] as Member;
  }

  /** Until somebody delivered the height; so much time passes at once. */
  runTo(height: number, stepNs: bigint = STEP_NS): void {
    for (let steps = 0; Math.max(...this.all.map(({ delivered }) => delivered)) < height; steps++) {
      assert.ok(steps < STEPS_MAX, `nobody comes to height ${height}`);
      this.now += stepNs;
      for (let index = 0; index < MEMBERS; index++) this.tell(index, { kind: "time", now: this.now });
    }
  }

  /** An input, and all that follows from it at every member; the member's own effects. */
  tell(index: number, input: MemberInput): readonly MemberEffect[] {
    const effects = this.member(index).step(input);
    this.follow(index, effects);
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift())
      this.follow(next.to, this.member(next.to).step(next.input));
    return effects;
  }

  hear(index: number, from: number, artifact: Artifact): readonly MemberEffect[] {
    return this.tell(index, { kind: "artifact", from, artifact });
  }

  follow(index: number, effects: readonly MemberEffect[]): void {
    this.effects[index]?.push(...effects);
    for (const effect of effects) {
      if (effect.kind === "persist") this.disks[index]?.push(effect.artifact);
      if (effect.kind === "publish") this.#publish(index, effect.artifact);
      if (effect.kind !== "deliver") continue;
      const { height } = effect.block;
      const stateHash = stateOf(height);
      this.#queue.push({ to: index, input: { kind: "executed", height, rootHash: stateHash } });
      if (height % this.#length === 0)
        this.#queue.push({ to: index, input: { kind: "checkpointed", height, stateHash } });
    }
  }

  #publish(from: number, artifact: Artifact): void {
    this.said.push({ from, artifact });
    for (let to = 0; to < MEMBERS; to++) {
      if (to !== from && this.arrives(to, artifact))
        this.#queue.push({ to, input: { kind: "artifact", from, artifact } });
    }
  }

  /** The first of its kind and height that anybody published. */
  find<K extends Artifact["kind"]>(kind: K, height: number): Extract<Artifact, { readonly kind: K }> {
    const found = this.said.find(({ artifact }) => artifact.kind === kind && heightOf(artifact) === height);
    if (found === undefined) throw new Error(`nobody published a ${kind} of height ${height}`);
    return found.artifact as Extract<Artifact, { readonly kind: K }>;
  }
}

/** Names of what these effects publish. */
export const publishedBy = (effects: readonly MemberEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.kind === "publish" ? [artifactId(effect.artifact)] : []));

/** How many effects are of a kind. */
export const countOf = (effects: readonly MemberEffect[], kind: MemberEffect["kind"]): number =>
  effects.filter((effect) => effect.kind === kind).length;
