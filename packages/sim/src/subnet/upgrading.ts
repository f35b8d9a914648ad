/**
 * What the operator of a simulated node does when its subnet goes on with another version of the program: a while later it is started with
 * that one. One that runs what the registry names already is left alone.
 */
import type { Height } from "@orrery/base";
import { type CatchUpPackage, decodeSummary, type Summary } from "@orrery/consensus/member";
import type { SimNode } from "./sim-node.ts";
import { FIRST_PROGRAM, type SimRegistry } from "./sim-registry.ts";
import type { WorldEvent } from "./world-nodes.ts";

interface Upgraded {
  readonly nodes: readonly Pick<SimNode, "program">[];
  readonly registry: Pick<SimRegistry, "newest">;
  isHonest(node: number): boolean;
}

/** Whether honest members run what the registry names. */
export function runsNewest(world: Upgraded): boolean {
  const { members, replicaVersion = FIRST_PROGRAM } = world.registry.newest;
  return members.every((index) => !world.isHonest(index) || world.nodes[index]?.program === replicaVersion);
}

/** Why a node should not execute a block: the summary before it names another program than the node has; null: it may. */
export function faultOfProgram(
  summaries: ReadonlyMap<Height, Pick<Summary, "replicaVersion">>,
  { index, program }: Pick<SimNode, "index" | "program">,
  height: Height,
): string | null {
  let before = 0;
  for (const at of summaries.keys()) if (at < height && at > before) before = at;
  const { replicaVersion = FIRST_PROGRAM } = summaries.get(before) ?? {};
  if (replicaVersion === program) return null;
  return `node ${index} executes block ${height}, which is for ${replicaVersion}, with ${program}`;
}

/** What comes of a package that is for another version than the node's. */
export function installationsFor(
  { index: node, program }: SimNode,
  { newest }: Pick<SimRegistry, "newest">,
  { block }: Pick<CatchUpPackage, "block">,
): readonly WorldEvent[] {
  if (program === newest.replicaVersion) return [];
  const { summary } = block.payload;
  const named = summary === undefined ? undefined : decodeSummary(summary).replicaVersion;
  return [{ kind: "boot", node, version: named ?? FIRST_PROGRAM }];
}
