/** Whether honest members keep no more than they may, and what they voted for, second by second. */
import { poolBounds } from "@orrery/consensus/member";
import type { Checkers } from "./checkers.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimRegistry } from "./sim-registry.ts";

interface Watched {
  readonly nodes: readonly SimNode[];
  readonly registry: SimRegistry;
  readonly checkers: Checkers;
  isHonest(node: number): boolean;
}

export function checkSizes(world: Watched, members: number): void {
  const { nodes, registry, checkers } = world;
  const honest = nodes.filter(({ index }) => world.isHonest(index));
  checkers.sizes(honest, { bounds: poolBounds(members, registry.longestInterval), members });
}
