/**
 * Whole runs: honest members of subnets of 1, 4, 7 and 13 nodes, fresh keys with both thresholds, keys handed to other members, dealers
 * that are away. What comes out is an ordinary key: its signatures verify as anybody's.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { equalBytes, toHex, utf8 } from "@orrery/base";
import type { Bls, SignatureShare } from "../bls.ts";
import { createMclBls, createMclCurve } from "../bls-mcl.ts";
import { nobleBls } from "../bls-noble.ts";
import { createSoleSigner } from "../threshold.ts";
import { createCommittee } from "./committee.ts";
import type { Curve } from "./curve.ts";
import {
  deal,
  freshConfig,
  freshTranscript,
  good,
  high,
  loadAll,
  low,
  type Member,
  membersOf,
  reshareConfig,
} from "./run.testkit.ts";
import {
  combineDealings,
  type LoadedShare,
  publicKeyOf,
  type Transcript,
  verifyTranscript,
} from "./transcript.ts";
import { verifyDealing } from "./verify.ts";

let bls: Bls;
let curve: Curve;
before(async () => {
  bls = await createMclBls();
  curve = await createMclCurve();
});

const MESSAGE = utf8("what the subnet says");

/** The signature by any of the sets of members; it must be the same. */
function signatureBy(
  transcript: Transcript,
  shares: readonly LoadedShare[],
  sets: readonly number[][],
): Uint8Array {
  const committee = createCommittee({ bls, curve, transcript });
  const all: SignatureShare[] = shares.map((share) => committee.signer(share).signShare(MESSAGE));
  all.forEach((share) => {
    assert.ok(committee.verifyShare(share, MESSAGE));
  });
  const signatures = sets.map((set) => good(committee.combine(set.map((i) => all[i] as SignatureShare))));
  assert.equal(new Set(signatures.map(toHex)).size, 1, "who signs must not matter");
  const [signature] = signatures as [Uint8Array];
  assert.ok(committee.verify(MESSAGE, signature));
  assert.ok(!committee.verify(utf8("something else"), signature));
  return signature;
}

const firstOnes = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const lastOnes = (count: number, of: number): number[] => firstOnes(count).map((i) => of - 1 - i);

for (const [n, threshold] of [
  [1, 1],
  [4, low(4)],
  [4, high(4)],
  [7, high(7)],
] as const) {
  test(`${n} members make a key that ${threshold} of them sign with`, () => {
    const members = membersOf(curve, n);
    const config = freshConfig(members, threshold, `${n} ${threshold}`);
    const transcript = freshTranscript(curve, config, firstOnes(config.dealingsNeeded));
    assert.deepEqual(verifyTranscript(curve, config, transcript), { ok: true, value: null });
    const shares = loadAll(curve, transcript, members);
    const signature = signatureBy(transcript, shares, [firstOnes(threshold), lastOnes(threshold, n)]);
    assert.ok(nobleBls.verify(publicKeyOf(transcript), MESSAGE, signature));
    if (n === 1) {
      const [{ secretShare }] = shares as [LoadedShare];
      const sole = createSoleSigner({ bls, secret: secretShare });
      assert.ok(equalBytes(sole.publicKey, publicKeyOf(transcript)));
      assert.ok(equalBytes(sole.signShare(MESSAGE).signature, signature));
    }
  });
}

test("of 13 members any 9 sign", () => {
  const members = membersOf(curve, 13);
  const config = freshConfig(members, 9);
  const transcript = freshTranscript(curve, config, [12, 3, 0, 7, 5]);
  const shares = loadAll(curve, transcript, members);
  signatureBy(transcript, shares, [firstOnes(9), lastOnes(9, 13), [12, 1, 10, 3, 8, 5, 6, 7, 0]]);
});

function reshared(
  from: Transcript,
  shares: readonly LoadedShare[],
  to: readonly Member[],
  threshold: number,
  dealers: readonly number[],
): Transcript {
  const config = reshareConfig(from, to, threshold);
  const dealings = dealers.map((dealer) => deal(curve, config, dealer, shares[dealer]));
  for (const dealing of dealings)
    assert.deepEqual(verifyDealing(curve, config, dealing), { ok: true, value: null });
  return good(combineDealings(curve, config, dealings));
}

test("a key is handed on to the same, fewer, more and other members, and stays", () => {
  const four = membersOf(curve, 4);
  const first = freshTranscript(curve, freshConfig(four, high(4)), [1, 3]);
  const firstShares = loadAll(curve, first, four);
  const signature = signatureBy(first, firstShares, [[0, 1, 2]]);

  const same = reshared(first, firstShares, four, high(4), [0, 2, 3]);
  const sameShares = loadAll(curve, same, four);
  assert.notDeepEqual(sameShares, firstShares, "shares are new");

  const five = [...four.slice(1), ...membersOf(curve, 2, "newcomer")];
  const larger = reshared(same, sameShares, five, 2, [1, 2, 3]);
  const largerShares = loadAll(curve, larger, five);

  const other = membersOf(curve, 1, "other");
  const alone = reshared(larger, largerShares, other, 1, [0, 4]);
  const aloneShares = loadAll(curve, alone, other);

  for (const [transcript, shares, sets] of [
    [same, sameShares, [[3, 2, 1]]],
    [
      larger,
      largerShares,
      [
        [4, 0],
        [1, 3],
      ],
    ],
    [alone, aloneShares, [[0]]],
  ] as const) {
    assert.equal(toHex(publicKeyOf(transcript)), toHex(publicKeyOf(first)));
    assert.ok(
      equalBytes(
        signatureBy(
          transcript,
          shares,
          sets.map((set) => [...set]),
        ),
        signature,
      ),
    );
  }
});

test("shares of one transcript do not sign with another's, though the key is the same", () => {
  const members = membersOf(curve, 4);
  const first = freshTranscript(curve, freshConfig(members, 3), [0, 1]);
  const old = loadAll(curve, first, members);
  const second = reshared(first, old, members, 3, [0, 1, 2]);
  const shares = loadAll(curve, second, members);
  const committee = createCommittee({ bls, curve, transcript: second });
  const mixed = [old[0], shares[1], shares[2]].map((share) =>
    committee.signer(share as LoadedShare).signShare(MESSAGE),
  );
  assert.deepEqual(
    mixed.map((share) => committee.verifyShare(share, MESSAGE)),
    [false, true, true],
  );
  assert.ok(!committee.verify(MESSAGE, good(committee.combine(mixed))));
});

test("fewer shares than the threshold give another value, whatever is made of them", () => {
  const members = membersOf(curve, 4);
  const transcript = freshTranscript(curve, freshConfig(members, 3), [0, 1]);
  const shares = loadAll(curve, transcript, members);
  const committee = createCommittee({ bls, curve, transcript });
  const all = shares.map((share) => committee.signer(share).signShare(MESSAGE));
  const two = committee.combine(all.slice(0, 2));
  assert.ok(!two.ok);
  assert.match(two.error, /2 shares where 3 are needed/);
  for (const pair of [
    [0, 1],
    [1, 2],
    [0, 3],
  ]) {
    const combined = bls.combine(pair.map((i) => all[i] as SignatureShare));
    assert.ok(!committee.verify(MESSAGE, combined), "two shares do not decide the polynomial");
  }
});

test("a committee refuses shares of members that there are not, and of the wrong member", () => {
  const members = membersOf(curve, 4);
  const transcript = freshTranscript(curve, freshConfig(members, 2), [2, 3]);
  const [first] = loadAll(curve, transcript, members) as [LoadedShare];
  const committee = createCommittee({ bls, curve, transcript });
  const { signature } = committee.signer(first).signShare(MESSAGE);
  assert.ok(committee.verifyShare({ index: 1, signature }, MESSAGE));
  for (const index of [0, 2, 5, -1, 1.5, Number.NaN])
    assert.ok(!committee.verifyShare({ index, signature }, MESSAGE));
  assert.ok(!committee.verifyShare({ index: 1, signature: signature.subarray(1) }, MESSAGE));
  const twice = committee.combine([
    { index: 1, signature },
    { index: 1, signature },
  ]);
  assert.ok(!twice.ok);
});
