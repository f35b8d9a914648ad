/** Catch-up packages that honest nodes of a simulated subnet have, one of each height: there is no other. */
import { equalBytes, type Height } from "@orrery/base";
import { type CatchUpPackage, catchUpHash, type MemberEffect } from "@orrery/consensus/member";

export class Packages {
  readonly #all = new Map<Height, CatchUpPackage>();
  readonly #report: (violation: string) => void;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  get all(): Iterable<CatchUpPackage> {
    return this.#all.values();
  }

  /** What an honest node does in one step. */
  heard(node: number, effects: readonly MemberEffect[]): void {
    for (const effect of effects) {
      if (effect.kind !== "persist" || effect.artifact.kind !== "catch_up") continue;
      const { artifact } = effect;
      const known = this.#all.get(artifact.height);
      if (known === undefined) this.#all.set(artifact.height, artifact);
      else if (!equalBytes(catchUpHash(known), catchUpHash(artifact)))
        this.#report(`node ${node} has another package of ${artifact.height}`);
    }
  }
}
