/**
 * Judges what honest nodes say, over their restarts: nobody may ever sign two things that exclude each other, nor anything before its time,
 * nor say what its disk does not have. Nodes are judged by their words and by how far they themselves say that they have come.
 */
import { type Height, toHex } from "@orrery/base";
import {
  type Artifact,
  artifactId,
  heightOf,
  type MemberEffect,
  type Pool,
  type Proposal,
  type Round,
  type SubnetRules,
} from "@orrery/consensus/member";

/** Heights that a node's notarizations may be ahead of its certifications. */
const UNCERTIFIED_MAX = 71;

interface Words {
  readonly proposals: Set<string>;
  readonly notarizes: Set<string>;
  readonly finalizes: Set<string>;
}

/** After a step. */
interface Situation {
  readonly pool: Pool;
  /** The node's clock. */
  readonly now: bigint;
  readonly rules: Pick<SubnetRules, "unitDelayNs" | "initialNotaryDelayNs">;
  /** The node's index at a height. */
  readonly selfAt: (height: Height) => number | null;
}

/** Within a step, before one of its effects. */
interface Moment extends Situation {
  /** Whether the member took an artifact only after that. */
  readonly isLater: (artifact: Artifact) => boolean;
}

/** Before the effect at a place. */
function momentAt(situation: Situation, effects: readonly MemberEffect[], place: number): Moment {
  const isLater = (artifact: Artifact): boolean => {
    const id = artifactId(artifact);
    return effects
      .slice(place)
      .some((effect) => effect.kind === "persist" && artifactId(effect.artifact) === id);
  };
  return { ...situation, isLater };
}

/** A notary waits its time, and takes no block while there is a better one. */
function supports(
  round: Round | undefined,
  hash: string,
  { now, rules, isLater }: Moment,
  say: (what: string) => void,
): void {
  const proposal = round?.proposals.get(hash);
  if (round === undefined || proposal === undefined) return;
  const { rank } = proposal.block;
  const others = [...round.proposals.values()].filter(
    (other) => !round.equivocations.has(other.signer) && !isLater(other),
  );
  if (others.some(({ block }) => block.rank < rank)) say("notarizes a block with a better one beside it");
  const delay = rules.initialNotaryDelayNs + rules.unitDelayNs * BigInt(rank);
  if (round.startedAt !== null && now < round.startedAt + delay) say("notarizes before its time");
}

export class Witness {
  readonly #words = new Map<string, Words>();
  readonly #kept = new Map<number, Set<string>>();
  readonly #report: (violation: string) => void;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  /** The effects of one step of an honest node, in their order. */
  step(node: number, effects: readonly MemberEffect[], situation: Situation): void {
    const { selfAt } = situation;
    const kept = this.#kept.get(node) ?? new Set<string>();
    this.#kept.set(node, kept);
    const signed = new Set<string>();
    for (const [place, effect] of effects.entries()) {
      if (effect.kind === "persist") signed.add(artifactId(effect.artifact));
      if (effect.kind !== "publish") continue;
      const { artifact } = effect;
      const id = artifactId(artifact);
      if (!kept.has(id) && !signed.has(id)) this.#report(`node ${node} says ${id} before it is on its disk`);
      // After a restart it says again what it said in its time.
      if (kept.has(id)) continue;
      kept.add(id);
      if (artifact.kind !== "proposal") this.#said(node, artifact, momentAt(situation, effects, place));
      else if (selfAt(artifact.block.height) === artifact.signer) this.#proposes(node, artifact);
    }
  }

  /** What a node says while it counts as faulty: known when it says it again later, and judged by nobody. */
  overlook(node: number, effects: readonly MemberEffect[]): void {
    const kept = this.#kept.get(node) ?? new Set<string>();
    this.#kept.set(node, kept);
    for (const effect of effects) if (effect.kind === "publish") kept.add(artifactId(effect.artifact));
  }

  #said(node: number, artifact: Artifact, moment: Moment): void {
    const { pool, isLater } = moment;
    const height = heightOf(artifact);
    const say = (what: string): void => this.#report(`node ${node} ${what} at ${height}`);
    switch (artifact.kind) {
      case "notarization_share":
        this.#notarizes(node, height, toHex(artifact.hash), say);
        if (height - pool.certifiedHeight > UNCERTIFIED_MAX) say("notarizes far above what is certified");
        supports(pool.peek(height), toHex(artifact.hash), moment, say);
        return;
      case "finalization_share":
        this.#finalizes(node, height, toHex(artifact.hash), say);
        if ([...(pool.peek(height)?.notarized.values() ?? [])].filter((each) => !isLater(each)).length > 1)
          say("finalizes one of several");
        return;
      case "beacon_share":
        if (height > pool.notarizedHeight + 1) say("gives a share of a beacon too early");
        return;
      case "tape_share":
        if (height > pool.finalizedHeight) say("gives a share of a tape before its block is final");
        return;
      default:
    }
  }

  #notarizes(node: number, height: Height, hash: string, say: (what: string) => void): void {
    const { notarizes, finalizes } = this.#of(node, height);
    notarizes.add(hash);
    if ([...finalizes].some((final) => final !== hash)) say("notarizes another block than it finalizes");
  }

  #finalizes(node: number, height: Height, hash: string, say: (what: string) => void): void {
    const { notarizes, finalizes } = this.#of(node, height);
    finalizes.add(hash);
    if (finalizes.size > 1) say("finalizes two blocks");
    if ([...notarizes].some((supported) => supported !== hash)) say("finalizes a block beside another one");
  }

  /** A block of an honest node's own. */
  #proposes(node: number, { block, hash }: Proposal): void {
    const { proposals } = this.#of(node, block.height);
    proposals.add(toHex(hash));
    if (proposals.size > 1) this.#report(`node ${node} makes two blocks at ${block.height}`);
  }

  #of(node: number, height: Height): Words {
    const key = `${node}/${height}`;
    const known = this.#words.get(key);
    if (known !== undefined) return known;
    const made: Words = { proposals: new Set(), notarizes: new Set(), finalizes: new Set() };
    this.#words.set(key, made);
    return made;
  }
}
