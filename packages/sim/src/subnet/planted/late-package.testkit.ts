/**
 * Certification falls behind for longer than an interval in whose summary a subnet is created, and when it comes, members hear of the shares of
 * the next package first. No package but the earlier one says that the subnet is there.
 */
import { type Artifact, decodeSummary, heightOf } from "@orrery/consensus/member";
import { Members } from "../members.testkit.ts";
import { nodeIdOf } from "../sim-registry.ts";

const INTERVAL = 18;
const PLANNED = { subnet: 1, members: [nodeIdOf(1_000)] };
/** A certification that falls behind slows blocks down. */
const STEP_NS = 1_000_000_000n;

/** Heights of the packages that the members make, with the subnet that each creates. */
export function latePackages(): ReadonlyMap<number, number | null> {
  const members = new Members({ intervals: (_, ideal) => ideal, interval: INTERVAL, planned: [PLANNED] });
  const held: { readonly to: number; readonly artifact: Artifact }[] = [];
  let isHeld = (artifact: Artifact): boolean =>
    artifact.kind.startsWith("certification") && heightOf(artifact) >= INTERVAL;
  members.arrives = (to, artifact) => {
    if (!isHeld(artifact)) return true;
    held.push({ to, artifact });
    return false;
  };
  const release = (): void => {
    for (const { to, artifact } of held.splice(0))
      members.hear(to, "signer" in artifact ? artifact.signer : 0, artifact);
  };
  members.runTo(2 * INTERVAL, STEP_NS);
  isHeld = (artifact) => artifact.kind.startsWith("catch_up") && heightOf(artifact) === INTERVAL;
  release();
  members.runTo(2 * INTERVAL + 3);
  isHeld = () => false;
  release();
  members.runTo(2 * INTERVAL + 10);
  return new Map(
    members.said.flatMap(({ artifact }) => {
      if (artifact.kind !== "catch_up") return [];
      const { summary } = artifact.block.payload;
      const founded = summary === undefined ? undefined : decodeSummary(summary).founded;
      return [[artifact.height, founded?.subnet ?? null] as const];
    }),
  );
}
