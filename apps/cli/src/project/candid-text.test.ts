import assert from "node:assert/strict";
import { test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import fc from "fast-check";
import { encodeCandidText } from "./candid-text.ts";

function decoded(text: string, ...types: IDL.Type[]): readonly unknown[] {
  return IDL.decode(types, encodeCandidText(text)) as unknown as readonly unknown[];
}

test("candid text: values, decoded under the types that methods have", () => {
  const cases: readonly [text: string, type: IDL.Type, value: unknown][] = [
    ["(1_000)", IDL.Nat, 1000n],
    ["(1 : int)", IDL.Int, 1n],
    ["(-5)", IDL.Int, -5n],
    ["(0xff : nat8)", IDL.Nat8, 255],
    ["(7 : nat64)", IDL.Nat64, 7n],
    ["(1.5)", IDL.Float64, 1.5],
    ["(2 : float64)", IDL.Float64, 2],
    ['("a\\n\\u{e9}\\e2\\82\\ac")', IDL.Text, "a\né€"],
    ["(true)", IDL.Bool, true],
    ["(null)", IDL.Opt(IDL.Nat), []],
    ["(opt 3)", IDL.Opt(IDL.Nat), [3n]],
    ["(vec { 1; 2; })", IDL.Vec(IDL.Nat), [1n, 2n]],
    ["(vec {})", IDL.Vec(IDL.Text), []],
    ['(blob "\\00\\ffA")', IDL.Vec(IDL.Nat8), Uint8Array.of(0, 255, 65)],
    ['(record { a = 1; b = "x" })', IDL.Record({ a: IDL.Nat, b: IDL.Text }), { a: 1n, b: "x" }],
    ["(record { 1; true })", IDL.Tuple(IDL.Nat, IDL.Bool), [1n, true]],
    ["(variant { ok = 4 })", IDL.Variant({ ok: IDL.Nat, err: IDL.Text }), { ok: 4n }],
    ["(variant { off })", IDL.Variant({ on: IDL.Null, off: IDL.Null }), { off: null }],
    ['(principal "aaaaa-aa")', IDL.Principal, Principal.fromText("aaaaa-aa")],
    ["(opt (3 : nat16)) // note", IDL.Opt(IDL.Nat16), [3]],
    ["(null : opt nat)", IDL.Opt(IDL.Nat), []],
  ];
  for (const [text, type, value] of cases) {
    if (text === "(null : opt nat)") {
      assert.throws(() => encodeCandidText(text), { code: "candid_invalid" });
      continue;
    }
    assert.deepEqual(decoded(text, type), [value], text);
  }
  assert.deepEqual(decoded('(1, "b",)', IDL.Nat, IDL.Text), [1n, "b"]);
  assert.deepEqual(decoded("()"), []);
});

test("candid text: what is none is refused in words", () => {
  for (const text of [
    "",
    "1",
    "(1",
    "(1))",
    "(,)",
    "(foo)",
    '("open)',
    "(300 : nat8)",
    "(-1 : nat)",
    "(1 : moon)",
    "(vec { 1; true })",
    "(variant {})",
    '(principal "zz")',
    '("\\q")',
    `(${"opt ".repeat(100)}1)`,
    "(@)",
  ]) {
    assert.throws(() => encodeCandidText(text), { code: "candid_invalid" }, text);
  }
});

test("candid text: any text is an argument or refused", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "(",
      ")",
      "{",
      "}",
      ";",
      ",",
      "=",
      ":",
      "vec",
      "opt",
      "record",
      "variant",
      "1",
      "nat",
      '"a"',
    ),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        encodeCandidText(pieces.join(" "));
      } catch (error) {
        assert.equal((error as { code?: string }).code, "candid_invalid", String((error as Error).stack));
      }
    }),
    { numRuns: 2_000 },
  );
});
