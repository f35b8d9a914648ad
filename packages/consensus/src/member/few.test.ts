/** Shares lead to something from the one on that completes a quorum, or makes randomness, until the whole is here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "@orrery/base";
import type { ThresholdShare, VoteShare } from "./artifacts.ts";
import { isOneOfFew } from "./few.ts";
import { Pool, type ShareKind } from "./pool.ts";
import type { Schedule } from "./schedule.ts";

const MEMBERS = 4;
const bytes = new Uint8Array(32);
const tip = { height: 0, hash: bytes, time: 0n, certifiedHeight: 0, registryVersion: 1 };
const schedule = { at: () => ({ members: MEMBERS, self: 0 }) } as unknown as Schedule;

function share(kind: (VoteShare | ThresholdShare)["kind"], signer: number): VoteShare | ThresholdShare {
  const common = { height: 1, signer, signature: bytes };
  return kind === "notarization_share" || kind === "finalization_share"
    ? { kind, hash: bytes, ...common }
    : { kind, content: bytes, ...common };
}

function put(pool: Pool, artifact: VoteShare | ThresholdShare): void {
  const shares = pool.round(1).shares[artifact.kind.slice(0, -"_share".length) as ShareKind];
  const key = toHex("hash" in artifact ? artifact.hash : artifact.content);
  shares.set(key, (shares.get(key) ?? new Map()).set(artifact.signer, artifact.signature));
}

const NEEDED = [
  ["notarization_share", 3],
  ["finalization_share", 3],
  ["beacon_share", 2],
  ["tape_share", 2],
  ["certification_share", 3],
  ["catch_up_share", 3],
] as const;

for (const [kind, needed] of NEEDED)
  test(`of ${MEMBERS} members ${needed} make something: ${kind}`, () => {
    const pool = new Pool({ tip, beacon: bytes });
    const few: boolean[] = [];
    for (let signer = 0; signer < MEMBERS; signer++) {
      const artifact = share(kind, signer);
      put(pool, artifact);
      few.push(isOneOfFew({ pool, schedule }, artifact));
    }
    assert.deepEqual(
      few,
      few.map((_, signer) => signer + 1 < needed),
    );
  });

test("what is beside a whole that is here leads to nothing, and what is no share always may", () => {
  const pool = new Pool({ tip, beacon: bytes });
  for (let signer = 0; signer < MEMBERS; signer++) put(pool, share("notarization_share", signer));
  const vote = { kind: "notarization", height: 1, hash: bytes, signatures: [] } as const;
  pool.addNotarization(vote);
  assert.ok(isOneOfFew({ pool, schedule }, share("notarization_share", 3)));
  assert.ok(!isOneOfFew({ pool, schedule }, vote));
});
