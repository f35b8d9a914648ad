import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { purity } from "./purity.ts";

function messages(text: string, path = "packages/state/src/a.ts"): string[] {
  return purity.check(repositoryOf({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

const FAULTS: readonly (readonly [string, RegExp])[] = [
  ['import { readFileSync } from "node:fs";', /imports node:fs/],
  ["const now = Date.now();", /uses Date: take a Clock/],
  ["const now = new Date();", /uses Date: take a Clock/],
  ["const r = Math.random();", /uses Math\.random: take an Rng/],
  ["setTimeout(() => {}, 1);", /uses setTimeout/],
  ["const t = performance.now();", /uses performance/],
  ["const e = process.env;", /uses process/],
  ["crypto.getRandomValues(new Uint8Array(1));", /uses crypto/],
  ['console.log("x");', /uses console/],
  ["const b = Buffer.alloc(1);", /uses Buffer/],
  ["const f = { now: Date };", /uses Date/],
  ["const f = (clock = Date) => clock;", /uses Date/],
  ["names.sort((a, b) => a.localeCompare(b));", /locales differ/],
  ["async function f() {}", /is asynchronous/],
  ["export const f = async () => 1;", /is asynchronous/],
];

for (const [fault, expected] of FAULTS) {
  test(`found: ${fault}`, () => {
    const found = messages(`/** Header of the file under test. */\n${fault}`);
    assert.equal(found.length, 1);
    assert.match(found[0] as string, /^2 /);
    assert.match(found[0] as string, expected);
  });
}

test("local names, members, keys, strings and comments are not the globals", () => {
  const text = `
    // setTimeout and Date are banned
    const text = "Math.random()";
    function step(process: (x: number) => void) { process(1); }
    const entry = { performance: 1, crypto: 2 };
    const x = entry.performance + entry.crypto;
    interface Shape { console: string; Date(): void }
  `;
  assert.deepEqual(messages(text), []);
});

test("tests and the floors from the host up may use the world", () => {
  assert.deepEqual(
    messages('import { test } from "node:test"; Date.now();', "packages/state/src/a.test.ts"),
    [],
  );
  assert.deepEqual(messages("Date.now();", "packages/host/src/a.ts"), []);
  assert.deepEqual(messages("Date.now();", "scripts/a.ts"), []);
});

test("request handlers of floor 4 may be asynchronous", () => {
  assert.deepEqual(
    messages("export async function handle(): Promise<void> {}", "packages/http/src/a.ts"),
    [],
  );
});
