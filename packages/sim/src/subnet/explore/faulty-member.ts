/**
 * What the faulty member of an exploration can say in an exchange, of its own keys and of all that was said: blocks of its own, two where it
 * is its turn, and votes for whatever there is, to whom it likes.
 */
import type { Block, Height } from "@orrery/base";
import type { Artifact, MemberCrypto, Proposal } from "@orrery/consensus/member";
import { type Signer, signed, voteFor } from "../forging.ts";
import { MEMBERS, SUBNET } from "./chosen-keys.ts";
import type { Library, LocalState } from "./local-states.ts";

/** Numbers of artifacts that each of the others is told. */
export type Told = readonly (readonly number[])[];

const NOTHING: readonly number[] = [];

export class FaultyMember {
  readonly #library: Library;
  readonly #signer: Signer;

  constructor(library: Library, index: number, crypto: MemberCrypto) {
    this.#library = library;
    this.#signer = { subnetId: SUBNET, nodes: MEMBERS, index, crypto };
  }

  /** Its block at the height that a member works on; `later`: of its two, which. Null where that is not its turn. */
  #block({ tip, makers }: LocalState, rank: number, later: boolean): number | null {
    if (makers?.[rank] !== this.#signer.index) return null;
    const { certifiedHeight, registryVersion } = tip;
    const time = tip.time + (later ? 2n : 1n);
    const block: Block = {
      version: 1,
      parent: tip.hash,
      height: tip.height + 1,
      rank,
      context: { registryVersion, certifiedHeight, time },
      payload: { ingress: [new Uint8Array([this.#signer.index])] },
    };
    return this.#library.add(signed(this.#signer, block));
  }

  /** Each of the others gets none of its blocks, or one of two; whose is the first is all the same. */
  blocks(others: readonly LocalState[], rank: number): readonly Told[] {
    const found: Told[] = [];
    const choose = (told: Told, hasFirst: boolean): void => {
      const other = others[told.length];
      if (other === undefined) {
        found.push(told);
        return;
      }
      choose([...told, NOTHING], hasFirst);
      const first = this.#block(other, rank, false);
      if (first === null) return;
      choose([...told, [first]], true);
      const second = this.#block(other, rank, true);
      if (hasFirst && second !== null) choose([...told, [second]], true);
    };
    choose([], false);
    return found;
  }

  /** Each of the others gets all the votes that it can give, or none; `to`: which do, in each choice. */
  votes(others: readonly LocalState[], to: readonly (readonly number[])[]): readonly Told[] {
    const proposals = new Map<number, Proposal>();
    for (const { published } of others)
      for (const number of published) {
        const artifact = this.#library.artifact(number);
        if (artifact.kind === "proposal") proposals.set(number, artifact);
      }
    const all = others.map((other) => this.#votesFor(other.finalizedHeight, [...proposals.values()]));
    return to.map((chosen) => all.map((votes, place) => (chosen[place] === 1 ? votes : NOTHING)));
  }

  #votesFor(final: Height, proposals: readonly Proposal[]): readonly number[] {
    const votes: Artifact[] = proposals
      .filter(({ block }) => block.height > final)
      .flatMap((proposal) => [
        voteFor(this.#signer, "notarization", proposal),
        voteFor(this.#signer, "finalization", proposal),
      ]);
    return votes.map((vote) => this.#library.add(vote));
  }
}
