import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { functionsOf, sizeRule } from "./size.ts";
import { parseSource } from "./source.ts";

const noRatchet = { files: {}, functions: {} };

function linesOf(count: number): string {
  return "void 0;\n".repeat(count);
}

test("a file longer than the limit is found, one at the limit passes", () => {
  const files = { "packages/base/src/long.ts": linesOf(401), "packages/base/src/fits.ts": linesOf(400) };
  const problems = sizeRule(noRatchet).check(repositoryOf(files));
  assert.deepEqual(
    problems.map(({ path }) => path),
    ["packages/base/src/long.ts"],
  );
});

test("a function longer than the limit is found with its line", () => {
  const text = `// header\nexport function long(): void {\n${linesOf(69)}}\nconst arrow = () => {\n${linesOf(68)}};\n`;
  const problems = sizeRule(noRatchet).check(repositoryOf({ "packages/base/src/a.ts": text }));
  assert.deepEqual(problems, [
    { path: "packages/base/src/a.ts", line: 2, message: "long has 71 lines, at most 70" },
  ]);
});

test("a factory is measured without the functions inside it", () => {
  const inner = `  const inner = () => {\n${linesOf(40)}  };\n`;
  const source = parseSource("a.ts", `function createThing() {\n${inner}${inner}  return inner;\n}\n`);
  const outer = functionsOf(source).find(({ name }) => name === "createThing");
  assert.equal(outer?.lines, 5);
  assert.equal(functionsOf(source).filter(({ name }) => name === "inner").length, 2);
});

test("a ratchet holds a long file at its length and must be given up when it is short", () => {
  const path = "packages/base/src/a.ts";
  const check = (lines: number, files: Record<string, number>): string[] =>
    sizeRule({ files, functions: {} })
      .check(repositoryOf({ [path]: linesOf(lines) }))
      .map(({ message }) => message);
  assert.deepEqual(check(500, { [path]: 500 }), []);
  assert.match(check(501, { [path]: 500 })[0] ?? "", /501 lines, at most 500/);
  assert.match(check(400, { [path]: 500 })[0] ?? "", /take it out of the file ratchet/);
  assert.match(check(10, { "packages/base/src/gone.ts": 500 })[0] ?? "", /does not exist/);
});

test("a function ratchet works alike", () => {
  const path = "packages/base/src/a.ts";
  const check = (lines: number, functions: Record<string, number>): string[] =>
    sizeRule({ files: {}, functions })
      .check(repositoryOf({ [path]: `function long() {\n${linesOf(lines - 2)}}\n` }))
      .map(({ message }) => message);
  assert.deepEqual(check(90, { [`${path}#long`]: 90 }), []);
  assert.match(check(91, { [`${path}#long`]: 90 })[0] ?? "", /91 lines, at most 90/);
  assert.match(check(20, { [`${path}#long`]: 90 })[0] ?? "", /take it out/);
  assert.match(check(20, { [`${path}#gone`]: 90 })[0] ?? "", /does not exist/);
});
