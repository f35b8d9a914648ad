/**
 * Nodes that lost their disks: each counts as faulty until a catch-up package passes everything that it may have signed before, since it may
 * sign something else at those heights now.
 */
import type { Height } from "@orrery/base";
import type { SimNode } from "./sim-node.ts";

export class Forgetful {
  /** With the highest height of which a node may have signed something. */
  readonly #signed = new Map<number, Height>();

  has(node: number): boolean {
    return this.#signed.has(node);
  }

  get nodes(): readonly number[] {
    return [...this.#signed.keys()];
  }

  loseDisk(node: SimNode): void {
    const signed = (node.member?.pool.notarizedHeight ?? 0) + 1;
    this.#signed.set(node.index, Math.max(signed, this.#signed.get(node.index) ?? 0));
    node.loseDisk();
  }

  /** Trusts those again whose packages have passed. */
  look(nodes: readonly SimNode[]): void {
    for (const [index, signed] of [...this.#signed])
      if ((nodes[index]?.member?.pool.catchUpHeight ?? 0) > signed) this.#signed.delete(index);
  }
}
