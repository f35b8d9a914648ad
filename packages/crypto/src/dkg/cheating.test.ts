/**
 * Dealers that cheat, each in one way, and what everybody sees of it: the dealing is refused and says why. What the proofs do let through
 * is opened by its receivers all the same, and up to f dealers that cheat do not keep the others from a key.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { equalBytes, utf8 } from "@orrery/base";
import { BLS_ORDER, bigintToBytes, inverseModOrder, modOrder } from "../bls.ts";
import { createMclCurve } from "../bls-mcl.ts";
import { checkConfig, type DkgConfig, type Setting } from "./config.ts";
import { type Curve, G1_BYTES, G2_BYTES } from "./curve.ts";
import { nobleCurve } from "./curve-noble.ts";
import { createDealing, type DealingSecrets, dealSecrets, drawSecrets } from "./deal.ts";
import type { Dealing } from "./dealing.ts";
import { evaluate } from "./polynomial.ts";
import { proveBinding } from "./proof-binding.ts";
import { proveChunking } from "./proof-chunking.ts";
import { proveSharing } from "./proof-sharing.ts";
import {
  deal,
  freshConfig,
  freshTranscript,
  good,
  loadAll,
  type Member,
  membersOf,
  reshareConfig,
  seedOf,
} from "./run.testkit.ts";
import { CHUNK_PLACES, CHUNK_SIZE, decodeStatement } from "./statement.ts";
import { combineDealings, loadShare, publicShare, type Transcript, verifyTranscript } from "./transcript.ts";
import { verifyDealing } from "./verify.ts";

let curve: Curve;
let members: readonly Member[];
let config: DkgConfig;
let setting: Setting;
let honest: Dealing;

before(async () => {
  curve = await createMclCurve();
  members = membersOf(curve, 4);
  config = freshConfig(members, 2);
  setting = good(checkConfig(curve, config));
  honest = deal(curve, config, 0);
});

function refused(dealing: Dealing, why: RegExp, by: DkgConfig = config): void {
  const verdict = verifyDealing(curve, by, dealing);
  assert.ok(!verdict.ok, "a dealing that should be refused was accepted");
  assert.match(verdict.error, why);
}

/** A dealing whose dealer has changed what it encrypts, and proves it as well as it can. */
function dealt(change: (secrets: DealingSecrets) => Partial<DealingSecrets>): Dealing {
  const secrets = drawSecrets(setting, 0, seedOf("cheater"), undefined);
  return dealSecrets(curve, setting, 0, { ...secrets, ...change(secrets) });
}

function replaced<T>(list: readonly T[], at: number, value: T): readonly T[] {
  return list.map((item, i) => (i === at ? value : item));
}

test("an honest dealing is accepted, by both back ends", () => {
  assert.deepEqual(verifyDealing(curve, config, honest), { ok: true, value: null });
  assert.deepEqual(verifyDealing(nobleCurve, config, honest), { ok: true, value: null });
});

test("a wrong share for one receiver", () => {
  const wrong = dealt(({ shares, chunks }) => {
    const [first, ...others] = chunks[2] as readonly bigint[];
    const chunk = first === 0n ? 1n : (first as bigint) - 1n;
    return {
      shares: replaced(shares, 2, modOrder((shares[2] as bigint) + chunk - (first as bigint))),
      chunks: replaced(chunks, 2, [chunk, ...others]),
    };
  });
  refused(wrong, /proof of sharing/);
  const pure = verifyDealing(nobleCurve, config, wrong);
  assert.deepEqual(pure, verifyDealing(curve, config, wrong), "all refuse it in the same words");
});

test("shares of a polynomial of a higher degree than is published", () => {
  const wrong = dealt(({ polynomial }) => {
    const longer = [...polynomial, 12_345n];
    const shares = members.map((_, i) => evaluate(longer, BigInt(i + 1)));
    const chunks = shares.map((share) => CHUNK_PLACES.map((place) => (share / place) % BigInt(CHUNK_SIZE)));
    return { shares, chunks };
  });
  refused(wrong, /proof of sharing/);
});

test("more or fewer coefficients than the threshold", () => {
  const { coefficients } = honest;
  refused({ ...honest, coefficients: [...coefficients, coefficients[0] as Uint8Array] }, /3 coefficients/);
  refused({ ...honest, coefficients: coefficients.slice(1) }, /1 coefficients for a threshold of 2/);
});

test("a ciphertext, randomizer or binding that is another point", () => {
  const other = honest.randomizers[5] as Uint8Array;
  const row = replaced(honest.ciphertexts[3] as readonly Uint8Array[], 7, other);
  refused({ ...honest, ciphertexts: replaced(honest.ciphertexts, 3, row) }, /proof of/);
  refused({ ...honest, randomizers: replaced(honest.randomizers, 0, other) }, /proof of/);
  refused({ ...honest, bindings: replaced(honest.bindings, 0, other) }, /proof of/);
});

test("bindings of another randomness than the ciphertexts', with every proof made for them", () => {
  const secrets = drawSecrets(setting, 0, seedOf("cheater"), undefined);
  const first = dealSecrets(curve, setting, 0, secrets);
  const encoded = { ...first, bindings: [...first.bindings].reverse() };
  const statement = decodeStatement(curve, setting, encoded);
  assert.ok(statement !== null);
  const wrong = {
    ...encoded,
    binding: proveBinding(curve, statement, secrets.randomness, secrets.source),
    sharing: proveSharing(curve, statement, secrets, secrets.source),
    chunking: proveChunking(curve, statement, secrets, secrets.source),
  };
  refused(wrong, /proof of binding/);
});

test("proofs and parts of another dealing of the same dealer", () => {
  const other = dealt(() => ({}));
  refused({ ...honest, binding: other.binding }, /proof of binding/);
  refused({ ...honest, sharing: other.sharing }, /proof of sharing/);
  refused({ ...honest, chunking: other.chunking }, /proof of chunking/);
  refused({ ...honest, coefficients: other.coefficients }, /proof of/);
  refused(
    { ...honest, ciphertexts: replaced(honest.ciphertexts, 0, other.ciphertexts[0] ?? []) },
    /proof of/,
  );
});

test("every response that is off by one, and every one that is out of range", () => {
  const { binding, sharing, chunking } = honest;
  const next = (value: bigint): bigint => modOrder(value + 1n);
  refused({ ...honest, binding: { ...binding, response: next(binding.response) } }, /proof of binding/);
  for (const name of ["responseR", "responseA"] as const)
    refused({ ...honest, sharing: { ...sharing, [name]: next(sharing[name]) } }, /proof of sharing/);
  const [r, s] = [chunking.responsesR, chunking.responsesS];
  for (const wrong of [
    { responseB: next(chunking.responseB) },
    { responsesR: replaced(r, 3, next(r[3] as bigint)) },
    { responsesS: replaced(s, 31, next(s[31] as bigint)) },
    { responsesS: replaced(s, 0, -1n) },
    { responsesS: replaced(s, 0, (s[0] as bigint) + BLS_ORDER) },
  ])
    refused({ ...honest, chunking: { ...chunking, ...wrong } }, /proof of chunking/);
  const above = { ...honest, binding: { ...binding, response: binding.response + BLS_ORDER } };
  refused(above, /not below the order/);
});

test("a dealing of another run, dealer or set of receivers", () => {
  const { receivers } = config;
  const others: readonly DkgConfig[] = [
    { ...config, id: utf8("another run") },
    { ...config, dealers: 5 },
    { ...config, dealingsNeeded: 1 },
    { ...config, receivers: [...receivers].reverse() },
    { ...config, receivers: replaced(receivers, 3, receivers[0] as Uint8Array) },
  ];
  for (const other of others) refused(honest, /proof of/, other);
  refused(honest, /coefficients/, { ...config, threshold: 3 });
  refused(honest, /ciphertexts for 4 of 3/, { ...config, receivers: receivers.slice(1) });
  refused({ ...honest, dealer: 1 }, /dealer 1 is refused: its proof of/);
  for (const dealer of [4, -1, 0.5, Number.NaN]) refused({ ...honest, dealer }, /none of the 4 dealers/);
});

/** The encoding of a curve's point outside the prime-order subgroup: its first coordinate is small. */
function outside(kind: "G1" | "G2"): Uint8Array {
  const { Fp, Fp2 } = bls12_381.fields;
  const onCurve = (x: bigint): boolean => {
    try {
      // y² = x³ + 4 in the first group, x³ + 4 (1 + i) in the second.
      if (kind === "G1") Fp.sqrt(Fp.add(Fp.pow(x, 3n), 4n));
      else Fp2.sqrt(Fp2.create({ c0: Fp.add(Fp.pow(x, 3n), 4n), c1: 4n }));
      return true;
    } catch {
      return false;
    }
  };
  // Of the curve's points one in 10^37 is in the subgroup.
  let x = 1n;
  while (!onCurve(x)) x++;
  const bytes = bigintToBytes(x, kind === "G1" ? G1_BYTES : G2_BYTES);
  bytes[0] = (bytes[0] as number) | 0x80;
  return bytes;
}

test("points outside the subgroup, infinity, and bytes that are no point, wherever a point is", () => {
  const bad = (length: number): readonly Uint8Array[] => [
    outside(length === G1_BYTES ? "G1" : "G2"),
    Uint8Array.of(0xc0, ...new Uint8Array(length - 1)),
    new Uint8Array(length),
    new Uint8Array(length).fill(0xff),
    new Uint8Array(length - 1),
  ];
  const { binding, sharing, chunking } = honest;
  const row = honest.ciphertexts[1] as readonly Uint8Array[];
  for (const point of bad(G1_BYTES)) {
    const places: readonly Partial<Dealing>[] = [
      { randomizers: replaced(honest.randomizers, 3, point) },
      { bindings: replaced(honest.bindings, 3, point) },
      { ciphertexts: replaced(honest.ciphertexts, 1, replaced(row, 2, point)) },
      { binding: { ...binding, first: point } },
      { binding: { ...binding, second: point } },
      { sharing: { ...sharing, f: point } },
      { sharing: { ...sharing, y: point } },
      { chunking: { ...chunking, y0: point } },
      { chunking: { ...chunking, y: point } },
      { chunking: { ...chunking, b: replaced(chunking.b, 1, point) } },
      { chunking: { ...chunking, c: replaced(chunking.c, 1, point) } },
      { chunking: { ...chunking, d: replaced(chunking.d, 1, point) } },
    ];
    // Which bytes are a point is decided in one place; that every place asks is shown with the first two kinds.
    const asked = point[0] === 0x80 || point[0] === 0xc0 ? places : places.slice(0, 1);
    for (const place of asked) refused({ ...honest, ...place }, /not of the group|proof of/);
  }
  for (const point of bad(G2_BYTES)) {
    refused({ ...honest, coefficients: replaced(honest.coefficients, 1, point) }, /not of the group|length/);
    refused({ ...honest, sharing: { ...sharing, a: point } }, /proof of sharing/);
  }
});

test("too few chunks or repetitions", () => {
  const { chunking } = honest;
  refused({ ...honest, randomizers: honest.randomizers.slice(1) }, /16 chunks/);
  refused({ ...honest, bindings: [] }, /16 chunks/);
  refused({ ...honest, ciphertexts: replaced(honest.ciphertexts, 0, []) }, /16 chunks/);
  for (const name of ["b", "c", "d", "responsesR", "responsesS"] as const)
    refused({ ...honest, chunking: { ...chunking, [name]: chunking[name].slice(1) } }, /another size/);
});

/** Chunk 0 of receiver 0 grows by `count` times what chunk 1 loses: the share is the same. */
function shifted(count: bigint): Dealing {
  return dealt(({ chunks }) => {
    const [first, second, ...others] = chunks[0] as readonly bigint[];
    const row = [(first as bigint) + count * BigInt(CHUNK_SIZE), (second as bigint) - count, ...others];
    return { chunks: replaced(chunks, 0, row) };
  });
}

test("chunks far out of range cannot be proven, and a claim about them is refused", () => {
  assert.throws(() => shifted(1n << 40n), { code: "dkg_unlucky" });
});

test("chunks a little out of range pass, are opened, and give the right share", () => {
  const slack = shifted(1_000n);
  assert.deepEqual(verifyDealing(curve, config, slack), { ok: true, value: null });
  const transcript = good(combineDealings(curve, config, [slack, deal(curve, config, 2)]));
  const shares = loadAll(curve, transcript, members);
  const without = good(combineDealings(curve, config, [dealt(() => ({})), deal(curve, config, 2)]));
  assert.deepEqual(shares, loadAll(curve, without, members));
});

test("a chunk that is a fraction is opened, whatever it took to prove it", () => {
  // Proving takes 2^32 attempts: the proofs here are of another dealing, and what is shown is that receivers would cope.
  const half = inverseModOrder(2n);
  const alone = members.slice(0, 1);
  const single: DkgConfig = { ...freshConfig(alone, 1), dealers: 2 };
  const checked = good(checkConfig(curve, single));
  const secrets = drawSecrets(checked, 0, seedOf("cheater"), undefined);
  const chunks = [[half, ...Array.from({ length: 15 }, () => 0n)]];
  const ciphertext = (c: readonly (readonly bigint[])[]): Dealing["ciphertexts"] => {
    const zero = c.map((row) => row.map(() => 0n));
    const plain = dealSecrets(curve, checked, 0, { ...secrets, polynomial: [half], chunks: zero });
    return plain.ciphertexts.map((row, i) =>
      row.map((bytes, j) => {
        const { g1 } = curve;
        const chunk = g1.multiply(g1.generator, c[i]?.[j] as bigint);
        const point = g1.decode(bytes);
        assert.ok(point !== null);
        return g1.encode(g1.add(point, chunk));
      }),
    );
  };
  const model = dealSecrets(curve, checked, 0, { ...secrets, polynomial: [half] });
  const transcript: Transcript = {
    config: single,
    coefficients: model.coefficients,
    dealings: [{ ...model, ciphertexts: ciphertext(chunks) }],
  };
  const [member] = alone as [Member];
  const share = good(loadShare(curve, transcript, 0, member.secret));
  assert.ok(equalBytes(share.secretShare, bigintToBytes(half, 32)));
});

test("who reshares a key must deal its own share of it", () => {
  const first = freshTranscript(curve, config, [0, 1]);
  const shares = loadAll(curve, first, members);
  const next = reshareConfig(first, members, 3);
  const seed = seedOf("resharing");
  const [own, other] = [shares[0], shares[1]].map((share) => share?.secretShare) as [Uint8Array, Uint8Array];
  const problems = [
    createDealing(curve, { config: next, dealer: 0, seed, share: other }),
    createDealing(curve, { config: next, dealer: 0, seed }),
    createDealing(curve, { config: next, dealer: 0, seed, share: new Uint8Array(32) }),
    createDealing(curve, { config: next, dealer: 0, seed, share: own.subarray(1) }),
    createDealing(curve, { config, dealer: 0, seed, share: own }),
    createDealing(curve, { config: next, dealer: 9, seed, share: own }),
  ];
  assert.deepEqual(
    problems.map(({ ok }) => ok),
    problems.map(() => false),
  );
  const checked = good(checkConfig(curve, next));
  const stranger = dealSecrets(curve, checked, 0, drawSecrets(checked, 0, seed, other));
  refused(stranger, /does not deal the dealer's share/, next);
  refused(deal(curve, { ...next, reshared: null }, 0), /does not deal the dealer's share/, next);
  const dealings = [0, 2].map((dealer) => deal(curve, next, dealer, shares[dealer]));
  const forged = good(combineDealings(curve, next, dealings));
  assert.deepEqual(verifyTranscript(curve, next, forged), { ok: true, value: null });
  const wrong = combineDealings(curve, next, [stranger, dealings[1] as Dealing]);
  assert.ok(!wrong.ok);
  assert.match(wrong.error, /do not add up to the reshared key/);
});

test("f dealers that cheat are left out, and the rest make the key", () => {
  const offered = [shifted(1n << 10n), { ...deal(curve, config, 1), dealer: 2 }, deal(curve, config, 3)];
  const accepted = offered.filter((dealing) => verifyDealing(curve, config, dealing).ok);
  assert.deepEqual(
    accepted.map(({ dealer }) => dealer),
    [0, 3],
  );
  const transcript = good(combineDealings(curve, config, accepted));
  assert.deepEqual(verifyTranscript(curve, config, transcript), { ok: true, value: null });
  assert.equal(loadAll(curve, transcript, members).length, 4);
});

test("a transcript is refused with too few dealings, one twice, another outcome or configuration", () => {
  const other = deal(curve, config, 3);
  const few = combineDealings(curve, config, [honest]);
  assert.ok(!few.ok);
  assert.match(few.error, /1 dealings where 2 are needed/);
  const twice = combineDealings(curve, config, [honest, honest]);
  assert.ok(!twice.ok);
  assert.match(twice.error, /more than one dealing/);
  const transcript = good(combineDealings(curve, config, [other, honest]));
  assert.deepEqual(
    transcript,
    good(combineDealings(curve, config, [honest, other])),
    "order must not matter",
  );
  const wrong: readonly (readonly [Transcript, RegExp])[] = [
    [
      { ...transcript, coefficients: [...transcript.coefficients].reverse() },
      /not what its dealings add up to/,
    ],
    [{ ...transcript, coefficients: transcript.coefficients.slice(1) }, /not what its dealings add up to/],
    [{ ...transcript, dealings: [...transcript.dealings].reverse() }, /not what its dealings add up to/],
    [{ ...transcript, dealings: transcript.dealings.slice(1) }, /1 dealings where 2/],
    [{ ...transcript, config: { ...config, id: utf8("x") } }, /another configuration/],
    [{ ...transcript, dealings: [{ ...honest, binding: other.binding }, other] }, /proof of binding/],
  ];
  for (const [changed, why] of wrong) {
    const verdict = verifyTranscript(curve, config, changed);
    assert.ok(!verdict.ok);
    assert.match(verdict.error, why);
  }
});

test("only the receiver's own secret opens its share", () => {
  const transcript = good(combineDealings(curve, config, [honest, deal(curve, config, 3)]));
  const secret = (i: number): Uint8Array => (members[i] as Member).secret;
  for (const [receiver, key] of [
    [0, secret(1)],
    [1, secret(0)],
    [4, secret(0)],
    [-1, secret(0)],
    [0, new Uint8Array(32)],
    [0, secret(0).subarray(1)],
    [0, new Uint8Array(32).fill(0xff)],
  ] as const)
    assert.ok(!loadShare(curve, transcript, receiver, key).ok);
  const share = good(loadShare(curve, transcript, 0, secret(0)));
  const key = good(publicShare(curve, transcript, 0));
  const { g2 } = curve;
  const scalar = BigInt(`0x${Buffer.from(share.secretShare).toString("hex")}`);
  assert.ok(equalBytes(g2.encode(g2.multiply(g2.generator, scalar)), key));
});

test("configurations that make no sense are refused", () => {
  const { receivers } = config;
  const wrong: readonly Partial<DkgConfig>[] = [
    { id: new Uint8Array(0) },
    { id: new Uint8Array(257) },
    { threshold: 0 },
    { threshold: 5 },
    { threshold: 1.5 },
    { receivers: [] },
    { receivers: replaced(receivers, 0, outside("G1")) },
    { receivers: replaced(receivers, 0, new Uint8Array(47)) },
    { dealers: 0 },
    { dealers: 129 },
    { dealingsNeeded: 0 },
    { dealingsNeeded: 5 },
    { reshared: honest.coefficients.slice(1) },
    { reshared: [outside("G2"), outside("G2")] },
    { reshared: [new Uint8Array(95), new Uint8Array(95)] },
  ];
  for (const change of wrong) {
    const broken = { ...config, ...change };
    for (const result of [
      createDealing(curve, { config: broken, dealer: 0, seed: seedOf("x") }),
      verifyDealing(curve, broken, honest),
    ]) {
      assert.ok(!result.ok);
      assert.match(result.error, /configuration cannot be used/);
    }
  }
});
