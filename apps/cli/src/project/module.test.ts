import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { amount } from "./deploy.ts";
import { customSections } from "./module.ts";

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const section = (id: number, ...body: readonly number[]): readonly number[] => [id, body.length, ...body];
const named = (name: string, content: string): readonly number[] =>
  section(0, name.length, ...new TextEncoder().encode(name + content));

test("module: custom sections by name, the first of each, in gzip too", () => {
  const wasm = Uint8Array.from([
    ...HEADER,
    ...section(1, 0),
    ...named("a", "xyz"),
    ...named("b", ""),
    ...named("a", "no"),
  ]);
  for (const bytes of [wasm, gzipSync(wasm)]) {
    const found = customSections(bytes);
    assert.deepEqual([...found.keys()], ["a", "b"]);
    assert.equal(new TextDecoder().decode(found.get("a")), "xyz");
  }
});

test("module: any bytes are a module with or without sections", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (tail) => {
      const bytes = Uint8Array.from([...HEADER, ...tail]);
      for (const content of customSections(bytes).values()) assert.ok(content.length <= bytes.length);
    }),
  );
});

test("settings: amounts with and without units", () => {
  assert.equal(amount(5, "x"), 5n);
  assert.equal(amount("1_000", "x"), 1_000n);
  assert.equal(amount("1GiB", "x"), 2n ** 30n);
  assert.equal(amount("2t", "x"), 2_000_000_000_000n);
  assert.equal(amount("30d", "x"), 2_592_000n);
  for (const wrong of ["", "GiB", "1 moon", -1, 1.5, true]) {
    assert.throws(() => amount(wrong, "canister a: settings.x"), /canister a: settings\.x/);
  }
});
