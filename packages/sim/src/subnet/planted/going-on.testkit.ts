/**
 * A member that knows of nothing as final, and delivers nothing, votes for a block of rank 1 at a height at which the others come to notarize the one of
 * rank 0. Then it goes on from a package of a height before, and hears everything once more: it must not finalize what it did not support
 * alone. Nobody is faulty.
 */
import { type Artifact, heightOf, type MemberEffect } from "@orrery/consensus/member";
import { Members } from "../members.testkit.ts";
import { Witness } from "../witness.ts";

const LATE = 0;
/** Of the package. */
const PACKAGE = 10;
/** That the late member comes to have before. */
const LAST_STATE = PACKAGE - 2;
const RULES = { unitDelayNs: 1_000_000_000n, initialNotaryDelayNs: 300_000_000n };

/** What the members say against their own words. */
function watched(members: Members): readonly string[] {
  const said: string[] = [];
  const witness = new Witness((violation) => said.push(violation));
  const follow = members.follow.bind(members);
  members.follow = (index: number, effects: readonly MemberEffect[]): void => {
    const { pool } = members.member(index);
    const selfAt = (): number => index;
    witness.step(index, effects, { pool, now: members.now, rules: RULES, selfAt });
    follow(index, effects);
  };
  return said;
}

export interface GoneOn {
  readonly violations: readonly string[];
  /** At which it voted for another block than the others; null when there was none. */
  readonly height: number | null;
}

export function goesOnFromPackage(): GoneOn {
  const members = new Members();
  const violations = watched(members);
  members.runTo(4);
  let turn: { readonly height: number; readonly second: number } | null = null;
  const held: { readonly to: number; readonly artifact: Artifact }[] = [];
  const hasVoted = (): boolean =>
    members.said.some(
      ({ from, artifact }) =>
        from === LATE && artifact.kind === "notarization_share" && artifact.height === turn?.height,
    );
  const isHeld = (to: number, artifact: Artifact): boolean => {
    if (artifact.kind !== "proposal" || artifact.block.rank > 0 || artifact.block.height <= PACKAGE)
      return false;
    const { height } = artifact.block;
    const [, second = LATE] = members.member(artifact.signer).pool.peek(height)?.roles?.makers ?? [];
    if (turn === null && artifact.signer !== LATE && second !== LATE) turn = { height, second };
    return turn?.height === height && (to === LATE || to === turn.second) && !hasVoted();
  };
  members.arrives = (to, artifact) => {
    if (isHeld(to, artifact)) {
      held.push({ to, artifact });
      return false;
    }
    if (held.length > 0 && hasVoted())
      for (const each of held.splice(0)) members.hear(each.to, turn?.second ?? 0, each.artifact);
    const isState = heightOf(artifact) > LAST_STATE;
    // Blocks that say that more is certified are none that it could judge.
    if (isState && artifact.kind.startsWith("certification") && !hasVoted()) {
      held.push({ to, artifact });
      return false;
    }
    const isWithout =
      artifact.kind.startsWith("catch_up") || (isState && /^(tape|finalization)/.test(artifact.kind));
    return to !== LATE || !isWithout;
  };
  members.runTo(PACKAGE + 10);
  members.hear(LATE, 1, members.find("catch_up", PACKAGE));
  members.arrives = () => true;
  for (const { from, artifact } of [...members.said]) if (from !== LATE) members.hear(LATE, from, artifact);
  members.tell(LATE, { kind: "synced", height: PACKAGE });
  members.runTo(PACKAGE + 15);
  const height = (turn as { readonly height: number } | null)?.height ?? null;
  return { violations, height: hasVoted() ? height : null };
}
