/** Whether all nodes of a network take part: each answers and has come further, on every subnet, than the first was when all of them answered. */

/** Certified at a node, of each subnet; null while it does not answer. */
export type Heights = readonly number[] | null;

export class GoingOn {
  /** How far the first node was, on each subnet; null while they did not all answer at once. */
  #known: readonly number[] | null = null;

  /** Looks at what all nodes say now. */
  isSeenBy(nodes: readonly Heights[]): boolean {
    const heights = nodes.filter((each) => each !== null);
    const [first] = heights;
    if (first === undefined || heights.length < nodes.length) return false;
    this.#known ??= first.map((_, subnet) => Math.max(...heights.map((each) => each[subnet] ?? 0)));
    const known = this.#known;
    return heights.every((each) => known.every((height, subnet) => (each[subnet] ?? 0) > height));
  }

  /** What nodes said, for people. */
  told(nodes: readonly Heights[]): string {
    const each = nodes.map((heights) => heights?.join(" ") ?? "silent");
    const goal = this.#known === null ? "of them answered" : `are beyond ${this.#known.join(" ")}`;
    return `nodes are at ${each.join(", ")}; not all ${goal}`;
  }
}
