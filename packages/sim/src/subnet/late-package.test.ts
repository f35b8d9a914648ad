/**
 * A package that creates a subnet is the only one that says so. Certification falls behind for longer than an interval, and when it comes, members hear of
 * the later package's shares first: the earlier one has to come to be all the same.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Artifact, type CatchUpPackage, decodeSummary, heightOf } from "@orrery/consensus/member";
import { Members } from "./members.testkit.ts";
import { nodeIdOf } from "./sim-registry.ts";

const INTERVAL = 18;
const PLANNED = { subnet: 1, members: [nodeIdOf(1_000)] };

test("no package is passed over that creates a subnet, though a later one could be made first", () => {
  const members = new Members({ intervals: (_, ideal) => ideal, interval: INTERVAL, planned: [PLANNED] });
  const held: { readonly to: number; readonly artifact: Artifact }[] = [];
  let isHeld = (artifact: Artifact): boolean =>
    artifact.kind.startsWith("certification") && heightOf(artifact) >= INTERVAL;
  members.arrives = (to, artifact) => {
    if (!isHeld(artifact)) return true;
    held.push({ to, artifact });
    return false;
  };
  members.runTo(2 * INTERVAL, 1_000_000_000n);
  const release = (): void => {
    for (const { to, artifact } of held.splice(0))
      members.hear(to, "signer" in artifact ? artifact.signer : 0, artifact);
  };
  isHeld = (artifact) => artifact.kind.startsWith("catch_up") && heightOf(artifact) === INTERVAL;
  release();
  members.runTo(2 * INTERVAL + 3);
  isHeld = () => false;
  release();
  members.runTo(2 * INTERVAL + 10);
  const packages = members.said.flatMap(({ artifact }) => (artifact.kind === "catch_up" ? [artifact] : []));
  const foundedIn = ({ block }: CatchUpPackage): number | undefined =>
    block.payload.summary && decodeSummary(block.payload.summary).founded?.subnet;
  assert.deepEqual([...new Set(packages.map((each) => [each.height, foundedIn(each)].join()))].sort(), [
    "18,1",
    "36,",
  ]);
});
