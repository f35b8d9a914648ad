/**
 * Key generation: processor time to make a dealing, to judge one, to add up what a key takes, and to open a member's share of it, for
 * subnets of several sizes, with thresholds of 2f + 1. The limit is what nobody can leave out, in the same run: the same number of
 * products of points and of decoded points, plain.
 * Run: node bench/src/dkg.ts [sizes]
 */
import { utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import {
  combineDealings,
  createDealing,
  createEncryptionKey,
  type DkgConfig,
  decodeDealing,
  encodeDealing,
  loadShare,
  verifyDealing,
  verifyEncryptionKey,
} from "@orrery/crypto/dkg";
import { createMclCurve } from "@orrery/crypto/mcl";
import { threadMilliseconds } from "./lib/thread-clock.ts";

const SIZES = (process.argv[2] ?? "4,13,28,40").split(",").map(Number);
const CHUNKS = 16;
const REPETITIONS = 32;
const SAMPLES = 3;
const curve = await createMclCurve();

const seedOf = (...names: readonly (string | number)[]): Uint8Array => sha256(utf8(names.join("/")));

function good<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string },
): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** Processor time of the quickest of some calls, and what the last one gave. */
function timed<T>(samples: number, run: () => T): { readonly ms: number; readonly value: T } {
  let ms = Number.POSITIVE_INFINITY;
  let value: T;
  let left = samples;
  do {
    const from = threadMilliseconds();
    value = run();
    ms = Math.min(ms, threadMilliseconds() - from);
  } while (--left > 0);
  return { ms, value };
}

/** A product with a secret, a term of a sum of many, a point decoded. */
function primitives(): { readonly product: number; readonly term: number; readonly decode: number } {
  const { g1 } = curve;
  const points = Array.from({ length: 200 }, (_, i) => g1.multiply(g1.generator, BigInt(i + 2) << 200n));
  const scalars = points.map((_, i) => (BigInt(i + 3) << 240n) + 12_345n);
  const encoded = points.map((point) => g1.encode(point));
  const each = (run: () => void): number => timed(SAMPLES, run).ms / points.length;
  return {
    product: each(() => {
      points.forEach((point, i) => {
        g1.multiply(point, scalars[i] as bigint);
      });
    }),
    term: each(() => {
      g1.sum(points, scalars);
    }),
    decode: each(() => {
      for (const bytes of encoded) g1.decode(bytes);
    }),
  };
}

function measure(members: number): string[] {
  const f = Math.floor((members - 1) / 3);
  const keys = Array.from({ length: members }, (_, i) =>
    createEncryptionKey(curve, seedOf("key", i), utf8(`${i}`)),
  );
  const receivers = keys.map(({ record }, i) => good(verifyEncryptionKey(curve, record, utf8(`${i}`))));
  const config: DkgConfig = {
    id: utf8("bench"),
    threshold: 2 * f + 1,
    receivers,
    dealers: members,
    dealingsNeeded: f + 1,
    reshared: null,
  };
  const seed = (dealer: number): Uint8Array => seedOf("dealing", dealer);
  const created = timed(SAMPLES, () => good(createDealing(curve, { config, dealer: 0, seed: seed(0) })));
  const bytes = encodeDealing(created.value);
  const judged = timed(SAMPLES, () => good(verifyDealing(curve, config, good(decodeDealing(bytes)))));
  const rest = Array.from({ length: f }, (_, i) =>
    good(createDealing(curve, { config, dealer: i + 1, seed: seed(i + 1) })),
  );
  const combined = timed(SAMPLES, () => good(combineDealings(curve, config, [created.value, ...rest])));
  const loaded = timed(SAMPLES, () =>
    good(loadShare(curve, combined.value, 0, keys[0]?.secret ?? new Uint8Array(0))),
  );
  const { product, term, decode } = primitives();
  // Two products for each chunk; points of the chunks, randomizers, bindings, and the proofs.
  const cells = members * CHUNKS;
  const points = cells + 2 * CHUNKS + 2 * REPETITIONS + members + 7;
  const limits = {
    create: 2 * cells * product,
    verify: points * (decode + term),
    load: (f + 1) * (2 * CHUNKS * decode + CHUNKS * product),
  };
  const ratio = (ms: number, limit: number): string => `${ms.toFixed(0)} ms (${(ms / limit).toFixed(2)})`;
  return [
    `${members}`,
    `${2 * f + 1}`,
    `${(bytes.length / 1024).toFixed(1)} KiB`,
    ratio(created.ms, limits.create),
    ratio(judged.ms, limits.verify),
    `${combined.ms.toFixed(0)} ms`,
    ratio(loaded.ms, limits.load),
  ];
}

console.log(
  "key generation, processor time of the thread (times the same number of plain products and decoded points)",
);
console.log(
  "| members | threshold | dealing | create | verify | combine f+1 | load a share of f+1 dealings |",
);
console.log("|---|---|---|---|---|---|---|");
for (const size of SIZES) console.log(`| ${measure(size).join(" | ")} |`);
