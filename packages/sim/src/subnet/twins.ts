/**
 * Members that run twice (Bano and others, "Twins: BFT Systems Made Robust"): a node and its twin have one identity and one set of keys, and each does
 * what an honest member does. Where they hear different things they say different things, so that together they are one faulty
 * member, whatever it may take to think of what that one does.
 */
import { equalBytes, type Height } from "@orrery/base";
import type { MemberEffect } from "@orrery/consensus/member";
import type { FaultPlan } from "./faults.ts";
import { type Actor, actorFor, kindsOf } from "./misbehaving.ts";

/** Words of older heights are said again, and not anew. */
const REMEMBERED_HEIGHTS = 100;

interface Said {
  readonly node: number;
  readonly hash: Uint8Array;
}

export class Twins {
  readonly #identities: number;
  readonly #count: number;
  /** Of each height, by identity and kind: what was said first, and whether it was contradicted. */
  readonly #said = new Map<Height, Map<string, Said | "both">>();
  #newest: Height = 0;

  /** `count` of `identities` run twice, those at the lowest places. Their twins are numbered after all others. */
  constructor(identities: number, count: number) {
    this.#identities = identities;
    this.#count = count;
  }

  /** Nodes by number: each identity's first, then the twins. */
  get nodes(): readonly number[] {
    return Array.from({ length: this.#identities + this.#count }, (_, node) => node);
  }

  /** Whose keys a node has. */
  identityOf(node: number): number {
    return node < this.#identities ? node : node - this.#identities;
  }

  /** Nodes that have the keys of one. */
  copiesOf(identity: number): readonly number[] {
    return identity < this.#count ? [identity, this.#identities + identity] : [identity];
  }

  /** What a node says; it is no honest one where there are two of it. */
  actorOf(
    node: number,
    planned: FaultPlan["byzantine"][number] | undefined,
    means: Parameters<typeof actorFor>[1],
  ): Actor {
    const actor = actorFor(kindsOf(planned), means);
    return this.identityOf(node) < this.#count ? { ...actor, isHonest: false } : actor;
  }

  /** How often a node says what excludes what its twin said before. */
  contradictions(node: number, effects: readonly MemberEffect[]): number {
    const identity = this.identityOf(node);
    if (identity >= this.#count) return 0;
    let count = 0;
    for (const effect of effects) {
      if (effect.kind !== "publish") continue;
      const { artifact } = effect;
      if (artifact.kind === "proposal" && artifact.signer === identity) {
        if (this.#contradicts(node, "proposal", artifact.block.height, artifact.hash)) count++;
      } else if (artifact.kind === "notarization_share" || artifact.kind === "finalization_share") {
        if (
          artifact.signer === identity &&
          this.#contradicts(node, artifact.kind, artifact.height, artifact.hash)
        )
          count++;
      }
    }
    return count;
  }

  #contradicts(node: number, kind: string, height: Height, hash: Uint8Array): boolean {
    this.#newest = Math.max(this.#newest, height);
    for (const old of this.#said.keys()) if (old < this.#newest - REMEMBERED_HEIGHTS) this.#said.delete(old);
    const said = this.#said.get(height) ?? new Map<string, Said | "both">();
    this.#said.set(height, said);
    const key = `${kind} ${this.identityOf(node)}`;
    const before = said.get(key);
    if (before === undefined) said.set(key, { node, hash });
    if (before === undefined || before === "both" || before.node === node || equalBytes(before.hash, hash))
      return false;
    said.set(key, "both");
    return true;
  }
}
