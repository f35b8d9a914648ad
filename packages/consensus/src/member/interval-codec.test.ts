/** Summaries and dealings as bytes: what is decoded is what was encoded, and nothing else is decoded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CborValue, encodeCborBare, type NodeId, OrreryError } from "@orrery/base";
import fc from "fast-check";
import { decodeSummary, type Epoch, encodeSummary, type Summary } from "../summary-codec.ts";
import type { DealingArtifact } from "./artifacts.ts";
import { decodeDealing, encodeDealing } from "./dealings.ts";

const natural = fc.nat(Number.MAX_SAFE_INTEGER);
const length = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const blob = fc.uint8Array({ maxLength: 40 });
const flag = fc.boolean();

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

const epoch = fc
  .tuple(
    record<Epoch>({
      registryVersion: natural,
      members: fc.array(
        blob.map((bytes) => bytes as NodeId),
        { minLength: 1, maxLength: 5 },
      ),
      transcripts: record({ low: blob, high: blob }),
    }),
    flag,
  )
  .map(
    ([bare, hasKeys]): Epoch =>
      hasKeys ? { ...bare, publicKeys: bare.members.map((member) => Uint8Array.of(...member, 1)) } : bare,
  );
const version: fc.Arbitrary<Pick<Summary, "replicaVersion" | "upgrades">> = fc.constantFrom(
  {},
  { replicaVersion: "0.1.0" },
  { replicaVersion: "1.0.0-rc.1", upgrades: true },
);
const summary = fc
  .tuple(
    record<Summary>({ length, nextLength: length, halts: flag, current: epoch, next: fc.option(epoch) }),
    fc.uniqueArray(natural, { maxLength: 3 }),
    fc.option(epoch),
    version,
  )
  .map(([plain, created, founded, runs]): Summary => {
    const bare = { ...plain, ...runs };
    const subnet = created.at(-1);
    if (subnet === undefined) return bare;
    return founded === null
      ? { ...bare, created }
      : { ...bare, created, founded: { subnet, epoch: founded } };
  });
const dealing = record<DealingArtifact>({
  kind: fc.constant("dealing"),
  height: natural,
  keys: fc.constantFrom("low", "high", "remote_low", "remote_high"),
  signer: natural,
  dealing: blob,
  signature: blob,
});

/** `flips`: of a byte each, by place. */
const damaged = (bytes: Uint8Array, flips: readonly (readonly [number, number])[]): Uint8Array => {
  const copy = bytes.slice();
  for (const [place, flip] of flips) copy[place % copy.length] = (copy[place % copy.length] as number) ^ flip;
  return copy;
};
const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 });

function isRefused(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array, what: string): void {
  assert.throws(
    () => decode(bytes),
    (error) => error instanceof OrreryError && error.code === "block_invalid",
    what,
  );
}

/** Either refused, or the one encoding of what it is. */
function isStrict<T>(
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
  bytes: Uint8Array,
): void {
  let decoded: T;
  try {
    decoded = decode(bytes);
  } catch (error) {
    assert.equal((error as OrreryError).code, "block_invalid");
    return;
  }
  assert.deepEqual(encode(decoded), bytes);
}

test("summaries and dealings survive encoding", () => {
  fc.assert(
    fc.property(summary, dealing, (one, other) => {
      assert.deepEqual(decodeSummary(encodeSummary(one)), one);
      assert.deepEqual(decodeDealing(encodeDealing(other)), other);
    }),
  );
});

test("damaged ones, and any bytes, are refused or are the one encoding of something else", () => {
  fc.assert(
    fc.property(summary, dealing, damage, (one, other, flips) => {
      isStrict(decodeSummary, encodeSummary, damaged(encodeSummary(one), flips));
      isStrict(decodeDealing, encodeDealing, damaged(encodeDealing(other), flips));
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      isStrict(decodeSummary, encodeSummary, bytes);
      isStrict(decodeDealing, encodeDealing, bytes);
    }),
  );
});

const NODE = Uint8Array.of(1);
const EPOCH: readonly CborValue[] = [1, [NODE], NODE, NODE];
const SUMMARY = { l: 1, n: 1, h: false, c: EPOCH, x: null };

test("a summary with a field that is wrong, missing or too many is refused", () => {
  decodeSummary(encodeCborBare(SUMMARY));
  const { x: _, ...short } = SUMMARY;
  const wrong: Readonly<Record<string, CborValue>> = {
    "a list": [],
    "no word of the next members": short,
    "a field more": { ...SUMMARY, y: 1 },
    "no heights": { ...SUMMARY, l: 0 },
    "no heights next": { ...SUMMARY, n: 0 },
    "heights below nothing": { ...SUMMARY, l: -1 },
    "heights beyond numbers": { ...SUMMARY, l: 2n ** 60n },
    "a number for whether it halts": { ...SUMMARY, h: 0 },
    "a version that is none": { ...SUMMARY, v: "1.0" },
    "a version that is a number": { ...SUMMARY, v: 1 },
    "an upgrade to no version": { ...SUMMARY, u: true },
    "no upgrade, in so many words": { ...SUMMARY, v: "1.0.0", u: false },
    "no members": { ...SUMMARY, c: [1, [], NODE, NODE] },
    "a member that is text": { ...SUMMARY, c: [1, ["a"], NODE, NODE] },
    "one key": { ...SUMMARY, c: [1, [NODE], NODE] },
    "three keys": { ...SUMMARY, c: [...EPOCH, NODE] },
    "no key of the member": { ...SUMMARY, c: [...EPOCH, []] },
    "keys of two members": { ...SUMMARY, c: [...EPOCH, [NODE, NODE]] },
    "a member's key that is text": { ...SUMMARY, c: [...EPOCH, ["a"]] },
    "a key that is text": { ...SUMMARY, c: [1, [NODE], NODE, "a"] },
    "a version below nothing": { ...SUMMARY, c: [-1, [NODE], NODE, NODE] },
    "next members that are a flag": { ...SUMMARY, x: false },
    "no subnet created": { ...SUMMARY, r: [] },
    "a subnet created twice": { ...SUMMARY, r: [2, 2] },
    "a subnet below nothing": { ...SUMMARY, r: [-1] },
    "subnets that are a number": { ...SUMMARY, r: 2 },
    "more subnets than there are": { ...SUMMARY, r: Array.from({ length: 257 }, (_, i) => i) },
    "keys of a subnet that was not created": { ...SUMMARY, f: [2, EPOCH] },
    "keys of a subnet that was created before": { ...SUMMARY, r: [2, 3], f: [2, EPOCH] },
    "a subnet without keys": { ...SUMMARY, r: [2], f: [2] },
    "keys of a subnet that are a flag": { ...SUMMARY, r: [2], f: [2, false] },
  };
  for (const [what, value] of Object.entries(wrong)) isRefused(decodeSummary, encodeCborBare(value), what);
  isRefused(decodeSummary, new Uint8Array(0), "nothing");
});

test("a dealing with a field that is wrong, missing or too many is refused", () => {
  decodeDealing(encodeCborBare([1, "low", 0, NODE, NODE]));
  const wrong: Readonly<Record<string, CborValue>> = {
    "a map": {},
    "four fields": [1, "low", 0, NODE],
    "six fields": [1, "low", 0, NODE, NODE, NODE],
    "a height below nothing": [-1, "low", 0, NODE, NODE],
    "a height beyond numbers": [2n ** 60n, "low", 0, NODE, NODE],
    "keys of another name": [1, "middle", 0, NODE, NODE],
    "a dealer below nothing": [1, "low", -1, NODE, NODE],
    "a dealing that is text": [1, "low", 0, "a", NODE],
    "no signature": [1, "low", 0, NODE, null],
  };
  for (const [what, value] of Object.entries(wrong)) isRefused(decodeDealing, encodeCborBare(value), what);
  isRefused(decodeDealing, new Uint8Array(0), "nothing");
});
