import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "../repository.ts";
import { specMap } from "./spec-map.ts";
import { SPEC_SECTIONS } from "./spec-sections.ts";

const row = (title: string, test = "`a.test.ts`"): string => `| ${title} | \`a.ts\` | ${test} |`;

test("every section needs a row with a file and a test", () => {
  const [first = "", second = "", ...others] = SPEC_SECTIONS;
  const complete = [row(`${first}; ${second}`), ...others.map((title) => row(title))];
  const check = (lines: readonly string[]): string[] =>
    specMap.check(repositoryOf({ "docs/spec-map.md": lines.join("\n") })).map(({ message }) => message);
  assert.deepEqual(check(complete), []);
  assert.deepEqual(check([row(first), ...complete.slice(1)]), [`has no row for the section "${second}"`]);
  assert.deepEqual(check([row(`${first}; ${second}`, ""), ...complete.slice(1)]), [
    `names no test for "${first}"`,
    `names no test for "${second}"`,
  ]);
  assert.match(specMap.check(repositoryOf({}))[0]?.message ?? "", /is missing/);
});
