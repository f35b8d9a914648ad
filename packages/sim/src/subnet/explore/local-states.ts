/**
 * What one member can come to, as a graph: each state is known by what the member has and has said, and what follows from it is worked out
 * once, by the real member. A state's member is made anew from the inputs that led to it first. Two histories with one state are one from
 * there on: what is not in the text of a state (below) must change nothing that follows.
 */
import { assert, concatBytes, type Height, toHex } from "@orrery/base";
import { blockHash } from "@orrery/consensus";
import {
  type Artifact,
  artifactId,
  heightOf,
  Member,
  type MemberCrypto,
  type MemberEffect,
  type MemberInput,
  type Pool,
  type Proposal,
  type Round,
  type Start,
  type SubnetRules,
  type Tip,
} from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { Witness } from "../witness.ts";
import { MEMBERS, SUBNET } from "./chosen-keys.ts";

const SECOND = 1_000_000_000n;

/** In which all ranks have their turns. */
export const SLOT_NS: bigint = 3_600n * SECOND;

/** Ranks take turns slowly enough that whole exchanges fit between them. */
export const RULES: SubnetRules = {
  unitDelayNs: 60n * SECOND,
  initialNotaryDelayNs: SECOND,
  catchUpInterval: 1_000,
};

/** Names of artifacts as numbers: small keys for what is compared often. */
export class Library {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #artifacts = new Map<number, Artifact>();
  readonly #proposals = new Map<string, Proposal>();

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#names.push(name) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  name(number: number): string {
    return this.#names[number] as string;
  }

  add(artifact: Artifact): number {
    const number = this.numberOf(nameOf(artifact));
    if (this.#artifacts.has(number)) return number;
    this.#artifacts.set(number, artifact);
    if (artifact.kind === "proposal") this.#proposals.set(toHex(artifact.hash), artifact);
    return number;
  }

  /** By its hash, in hexadecimal; null for one that nobody made. */
  proposal(hash: string): Proposal | null {
    return this.#proposals.get(hash) ?? null;
  }

  artifact(number: number): Artifact {
    const artifact = this.#artifacts.get(number);
    assert(artifact !== undefined, `there is an artifact ${number}`);
    return artifact;
  }
}

/** What is different on different branches under one id. */
const OF_BRANCH: ReadonlySet<Artifact["kind"]> = new Set([
  "beacon",
  "beacon_share",
  "tape",
  "certification",
  "certification_share",
]);

/** Of a signature or hash: enough to tell it from others. */
export const short = (bytes: Uint8Array): string => toHex(bytes.subarray(0, 8));

function nameOf(artifact: Artifact): string {
  const id = artifactId(artifact);
  return OF_BRANCH.has(artifact.kind) && "signature" in artifact ? `${id}/${short(artifact.signature)}` : id;
}

/** Names of everything that a pool has at one height. */
function namesIn(round: Round): readonly string[] {
  const { height, proposals, notarized, finalized, beacon, tape, certification, equivocations } = round;
  const { shares } = round;
  const wholes = [...proposals.values(), ...notarized.values(), ...equivocations.values()];
  const names: string[] = [...wholes, finalized, beacon, tape, certification]
    .filter((artifact) => artifact !== null)
    .map(nameOf);
  for (const kind of ["notarization", "finalization"] as const)
    for (const [hash, signatures] of shares[kind])
      for (const signer of signatures.keys()) names.push(`${kind}_share/${height}/${signer}/${hash}`);
  for (const kind of ["beacon", "certification", "tape"] as const)
    for (const signatures of shares[kind].values())
      for (const [signer, signature] of signatures) {
        const id = `${kind}_share/${height}/${signer}`;
        names.push(kind === "tape" ? id : `${id}/${short(signature)}`);
      }
  return names;
}

/** What a member hears in one exchange, and until when time goes on then. */
export interface Turn {
  readonly heard: readonly number[];
  readonly until: bigint;
  /** From here on a round's age counts: older ones have no turns to wait for. */
  readonly since: bigint;
  /** Beacons that come of shares in it. */
  readonly beacon: (height: Height) => Uint8Array;
}

export interface LocalState {
  readonly before: number | null;
  readonly turn: Turn | null;
  /** Offered to the others. */
  readonly published: readonly number[];
  /** In its pool, or waiting to be judged. */
  readonly has: ReadonlySet<number>;
  readonly notarizedHeight: Height;
  readonly finalizedHeight: Height;
  readonly beaconHeight: Height;
  readonly deliveredHeight: Height;
  readonly certifiedHeight: Height;
  /** The block that its own would stand on, and who makes blocks above it; null as long as it does not know. */
  readonly tip: Tip;
  readonly makers: readonly number[] | null;
  readonly beacons: ReadonlyMap<Height, Uint8Array>;
  /** Of the blocks that it delivered, by height from 1 on. */
  readonly chain: readonly string[];
  /** Blocks that have a quorum's word in its pool. */
  readonly notarized: ReadonlyMap<Height, readonly string[]>;
  readonly finalized: ReadonlyMap<Height, string>;
  /** The first block of each maker at a height. */
  readonly signedFirst: readonly number[];
  /** Of open rounds: since when, from the slot's begin; longer ago is all the same. */
  readonly ages: ReadonlyMap<Height, string>;
  /** What an honest member never does. */
  readonly violations: readonly string[];
}

/** A member at work. */
class Living {
  readonly member: Member;
  readonly published = new Map<string, number>();
  /** Heard, and perhaps not in the pool. */
  readonly heard = new Set<number>();
  readonly chain: string[] = [];
  readonly violations: string[] = [];
  readonly #library: Library;
  readonly #witness = new Witness((violation) => this.violations.push(violation));
  readonly #self: number;
  #root: Uint8Array = new Uint8Array(32);
  #now = 0n;
  steps = 0;

  constructor(library: Library, { crypto, self, start }: LocalMeans) {
    this.#library = library;
    this.#self = self;
    this.member = new Member(
      {
        config: { subnetId: SUBNET, self, members: MEMBERS, rules: RULES },
        crypto,
        // Blocks of different makers are different ones, whatever else they have in common.
        payloads: { build: () => ({ ingress: [new Uint8Array([self])] }), judge: () => ({ kind: "valid" }) },
        registryVersion: () => 1,
      },
      start,
    );
  }

  hear(number: number): void {
    const artifact = this.#library.artifact(number);
    this.heard.add(number);
    this.tell({ kind: "artifact", from: "signer" in artifact ? artifact.signer : 0, artifact });
  }

  tell(input: MemberInput): void {
    if (input.kind === "time") this.#now = input.now;
    this.steps++;
    const effects = this.member.step(input);
    const { pool } = this.member;
    const selfAt = (height: Height): number | null => this.member.place(height)?.self ?? null;
    this.#witness.step(this.#self, effects, { pool, now: this.#now, rules: RULES, selfAt });
    for (const effect of effects) this.#follow(effect);
  }

  #follow(effect: MemberEffect): void {
    if (effect.kind === "publish")
      this.published.set(artifactId(effect.artifact), this.#library.add(effect.artifact));
    else if (effect.kind === "retract") this.published.delete(effect.id);
    else if (effect.kind === "deliver") {
      const hash = blockHash(effect.block);
      this.chain.push(toHex(hash));
      this.#root = sha256(concatBytes(this.#root, hash, effect.tape.signature));
      // It is executed at once.
      this.tell({ kind: "executed", height: effect.block.height, rootHash: this.#root });
    }
  }
}

export interface LocalMeans {
  readonly crypto: MemberCrypto;
  readonly self: number;
  readonly start: Start;
  /** Beacons that come of shares from now on. */
  readonly choose: (beacon: (height: Height) => Uint8Array) => void;
}

/** Members that are kept at work, for what is asked next. */
const LIVING_MAX = 2_000;

export class LocalStates {
  readonly #library: Library;
  readonly #means: LocalMeans;
  readonly #states: LocalState[] = [];
  readonly #byText = new Map<string, number>();
  readonly #known = new Map<string, number>();
  readonly #living = new Map<number, Living>();
  /** Inputs that a member was given, those for making states anew among them. */
  steps = 0;

  constructor(library: Library, means: LocalMeans) {
    this.#library = library;
    this.#means = means;
  }

  get size(): number {
    return this.#states.length;
  }

  get(number: number): LocalState {
    return this.#states[number] as LocalState;
  }

  /** Before it heard anything. */
  start(until: bigint): number {
    return this.#finish(this.#begin(until), { level: 0, before: null, turn: firstTurn(until) });
  }

  #begin(until: bigint): Living {
    const living = new Living(this.#library, this.#means);
    living.tell({ kind: "time", now: until });
    return living;
  }

  /** What follows; `name` tells turns of one level apart. */
  follow(before: number, level: number, turn: Turn, name: string): number {
    const key = `${level}/${before}/${name}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const living = this.#make(before);
    this.#take(living, turn);
    const made = this.#finish(living, { level, before, turn });
    this.#known.set(key, made);
    return made;
  }

  #take(living: Living, { heard, until, beacon }: Turn): void {
    this.#means.choose(beacon);
    for (const number of heard) living.hear(number);
    living.tell({ kind: "time", now: until });
  }

  /** The member of a state, which is at work elsewhere afterwards. */
  #make(number: number): Living {
    const kept = this.#living.get(number);
    if (kept !== undefined) {
      this.#living.delete(number);
      return kept;
    }
    const turns: Turn[] = [];
    for (let at: number | null = number; at !== null; at = this.get(at).before)
      turns.push(this.get(at).turn as Turn);
    const [first, ...others] = turns.reverse();
    const living = this.#begin((first as Turn).until);
    for (const turn of others) this.#take(living, turn);
    return living;
  }

  #finish(
    living: Living,
    { level, before, turn }: { level: number; before: number | null; turn: Turn },
  ): number {
    this.steps += living.steps;
    living.steps = 0;
    const state = stateOf(living, this.#library, { before, turn });
    const text = `${level}:${textOf(state)}`;
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const number = this.#states.push(state) - 1;
    this.#byText.set(text, number);
    if (this.#living.size >= LIVING_MAX) this.#living.delete(this.#living.keys().next().value as number);
    this.#living.set(number, living);
    return number;
  }
}

const firstTurn = (until: bigint): Turn => ({
  heard: [],
  until,
  since: until,
  beacon: () => new Uint8Array(0),
});

function stateOf(
  { member, published, heard, chain, violations }: Living,
  library: Library,
  { before, turn }: Pick<LocalState, "before" | "turn">,
): LocalState {
  const { pool, delivered } = member;
  const has = new Set<number>();
  const beacons = new Map<Height, Uint8Array>();
  const notarized = new Map<Height, readonly string[]>();
  const finalized = new Map<Height, string>();
  const signedFirst: number[] = [];
  const ages = new Map<Height, string>();
  for (const round of pool.rounds) {
    for (const first of round.firstSigned.values()) signedFirst.push(library.add(first));
    const age = ageOf(pool, round, turn?.since ?? 0n);
    if (age !== null) ages.set(round.height, age);
    for (const name of namesIn(round)) has.add(library.numberOf(name));
    if (round.beacon !== null) beacons.set(round.height, round.beacon.signature);
    if (round.notarized.size > 0) notarized.set(round.height, [...round.notarized.keys()]);
    if (round.finalized !== null) finalized.set(round.height, toHex(round.finalized.hash));
  }
  const { notarizedHeight, finalizedHeight, beaconHeight, certifiedHeight } = pool;
  // What is over by now was taken or let go of.
  for (const number of heard) {
    const height = heightOf(library.artifact(number));
    if (has.has(number) || height <= Math.min(finalizedHeight, delivered, certifiedHeight, beaconHeight))
      heard.delete(number);
    else has.add(number);
  }
  const [best] = [...pool.notarizedTips(notarizedHeight)].sort(
    (a, b) => a.rank - b.rank || (toHex(a.tip.hash) < toHex(b.tip.hash) ? -1 : 1),
  );
  assert(best !== undefined, "there is a notarized block to stand on");
  return {
    before,
    turn,
    published: [...published.values()].sort((a, b) => a - b),
    has,
    notarizedHeight,
    finalizedHeight,
    beaconHeight,
    deliveredHeight: delivered,
    certifiedHeight,
    tip: best.tip,
    makers: pool.peek(notarizedHeight + 1)?.roles?.makers ?? null,
    beacons,
    chain: [...chain],
    notarized,
    finalized,
    signedFirst: signedFirst.sort((a, b) => a - b),
    ages,
    violations: [...violations],
  };
}

/** One text for one state: what the pool has, what waits, what was signed first, what is offered, how old the round is. */
function textOf(state: LocalState): string {
  const has = [...state.has].sort((a, b) => a - b);
  const { notarizedHeight, deliveredHeight, certifiedHeight, published, signedFirst, ages } = state;
  const heights = `${notarizedHeight},${deliveredHeight},${certifiedHeight}`;
  return `${heights}|${has}|${published}|${signedFirst}|${[...ages].join(";")}`;
}

function ageOf(pool: Pool, { height, startedAt }: Round, since: bigint): string | null {
  if (height <= pool.notarizedHeight || startedAt === null) return null;
  return startedAt >= since ? `${startedAt - since}` : "long";
}
