import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { header, markers, words } from "./form.ts";

const path = "packages/base/src/a.ts";

test("a source file without a header, or with an empty one, is found", () => {
  assert.equal(header.check(repositoryOf({ [path]: "export const x = 1;\n" })).length, 1);
  assert.equal(header.check(repositoryOf({ [path]: "/** */\nexport const x = 1;\n" })).length, 1);
  assert.equal(
    header.check(repositoryOf({ [path]: "export const x = 1;\n/** A comment that comes too late. */\n" }))
      .length,
    1,
  );
});

test("block and line headers pass, also after a #! line; tests need none", () => {
  const good = [
    "/**\n * What the file is about.\n */\n",
    "// What the file is about.\n",
    "#!/usr/bin/env node\n/** What the file is about. */\n",
  ];
  for (const text of good) assert.deepEqual(header.check(repositoryOf({ [path]: text })), [], text);
  assert.deepEqual(header.check(repositoryOf({ "packages/base/src/a.test.ts": "void 0;\n" })), []);
});

test("markers of unfinished work are found in comments only", () => {
  for (const marker of ["TODO", "FIXME", "XXX", "HACK"]) {
    assert.equal(
      markers.check(repositoryOf({ [path]: `const x = 1; // ${marker}: later\n` })).length,
      1,
      marker,
    );
  }
  assert.deepEqual(markers.check(repositoryOf({ [path]: 'const x = "TODO";\n' })), []);
});

test("tests left out are found in every form", () => {
  const faults = [
    'test.only("x", () => {});',
    'test.skip("x", () => {});',
    'describe.only("x", () => {});',
    'it.todo("x");',
    'test("x", { skip: true }, () => {});',
    'test("x", { skip: "flaky" }, () => {});',
    'test("x", { only: true }, () => {});',
    'test("x", (t) => { t.skip(); });',
  ];
  for (const fault of faults) {
    assert.equal(markers.check(repositoryOf({ "packages/base/src/a.test.ts": fault })).length, 1, fault);
  }
});

test("a condition on the machine and a method named skip are not tests left out", () => {
  const good = [
    'test("x", { skip: process.platform !== "linux" }, () => {});',
    "reader.skip(4);",
    "const o = { skip: true };",
  ];
  for (const text of good) {
    assert.deepEqual(markers.check(repositoryOf({ "packages/base/src/a.test.ts": text })), [], text);
  }
});

test("paths of one machine, registries, work items and talk of the work are found in any text file", () => {
  const faults = [
    "see /w_ork/main/x",
    'const file = "/t_mp/state";',
    "https://registry.n_pmjs.org/x",
    "fixed in is_sue #12",
    "see des_ign §3",
    "as the previous ses_sion, found",
    "a sub_agent wrote this",
  ];
  for (const fault of faults) {
    // Split by an underscore here, so that this file does not hold what the rule forbids.
    const problems = words.check(repositoryOf({ "docs/a.md": `# Title\n${fault.replace("_", "")}\n` }));
    assert.deepEqual(
      problems.map(({ line }) => line),
      [2],
      fault,
    );
  }
});

test("ordinary words that resemble them pass", () => {
  const good = [
    "a TLS session is resumed",
    "the agent sends a request",
    "packages/work/src",
    "issue a certificate",
    "canister/tmp/x",
  ];
  for (const text of good) assert.deepEqual(words.check(repositoryOf({ "docs/a.md": text })), [], text);
});
