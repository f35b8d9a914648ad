/**
 * A height with two notarized blocks, of which one member comes to know at once: two vote for the block of rank 1, since the one of rank 0
 * comes late, and for that too; so does its maker, which is faulty. The fourth has all this before the beacon that says whose turn it was.
 */
import { assert, type Height } from "@orrery/base";
import { type Artifact, heightOf } from "@orrery/consensus/member";
import { voteFor } from "../forging.ts";
import { Members, SUBNET } from "../members.testkit.ts";

const STEP_NS = 100_000_000n;
const LATE = 3;
/** It is not the late member's turn at what follows. */
const BEFORE = 3;

interface Held {
  readonly to: number;
  readonly artifact: Artifact;
}

/** What was held back since, and from now on comes. */
function release(members: Members, held: Held[], comes: (held: Held) => boolean): void {
  const now = held.filter(comes);
  for (const each of now) held.splice(held.indexOf(each), 1);
  for (const { to, artifact } of now) members.hear(to, "signer" in artifact ? artifact.signer : 0, artifact);
}

/** How many blocks were notarized for the late member, and whether it finalizes one of them. */
export function severalAtOnce(): {
  readonly notarized: number;
  readonly finalizes: boolean;
  readonly height: Height;
} {
  const members = new Members();
  members.runTo(BEFORE);
  const held: Held[] = [];
  const height = members.member(0).pool.beaconHeight + 2;
  const makersAt = (at: Height): readonly number[] => members.member(0).pool.peek(at)?.roles?.makers ?? [];
  const isHeld = ({ to, artifact }: Held): boolean => {
    const at = heightOf(artifact);
    if (to === LATE && artifact.kind.startsWith("beacon") && at >= height - 1) return true;
    if (at !== height) return false;
    const isFirst = artifact.kind === "proposal" && artifact.block.rank === 0;
    return isFirst || artifact.kind.startsWith("notarization");
  };
  members.arrives = (to, artifact) => {
    const isAway = isHeld({ to, artifact });
    if (isAway) held.push({ to, artifact });
    return !isAway;
  };
  const votes = (): number =>
    new Set(
      held.flatMap(({ artifact }) =>
        artifact.kind === "notarization_share" ? [`${artifact.signer}/${artifact.hash}`] : [],
      ),
    ).size;
  const go = (until: () => boolean): void => {
    for (let steps = 0; !until(); steps++) {
      assert(steps < 1_000, "what is scripted comes to pass");
      members.now += STEP_NS;
      for (let index = 0; index < members.all.length; index++)
        members.tell(index, { kind: "time", now: members.now });
    }
  };
  go(() => makersAt(height).length > 0);
  assert(!makersAt(height).includes(LATE), "the makers are others");
  go(() => votes() === 3);
  release(members, held, ({ artifact }) => artifact.kind === "proposal");
  go(() => votes() >= 5);
  const [maker = 0] = makersAt(height);
  const signer = { subnetId: SUBNET, nodes: members.all.length, index: maker, crypto: members.crypto(maker) };
  for (const { artifact } of members.said) {
    if (artifact.kind !== "proposal" || artifact.block.height !== height || artifact.block.rank === 0)
      continue;
    for (const to of members.all.keys())
      if (to !== maker) held.push({ to, artifact: voteFor(signer, "notarization", artifact) });
    break;
  }
  release(members, held, ({ artifact }) => artifact.kind.startsWith("notarization"));
  members.arrives = () => true;
  release(members, held, () => true);
  const { pool } = members.member(LATE);
  return {
    height,
    notarized: pool.peek(height)?.notarized.size ?? 0,
    finalizes: members.said.some(
      ({ from, artifact }) =>
        from === LATE && artifact.kind === "finalization_share" && artifact.height === height,
    ),
  };
}
