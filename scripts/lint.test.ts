import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { REPOSITORY_ROOT } from "./repository.ts";

/**
 * The linter's type-aware rules are young and its configuration must name them one by one: each file here holds one fault, and the
 * rule that must see it.
 */
const FAULTS: Readonly<Record<string, { readonly rule: string; readonly text: string }>> = {
  "floating.ts": {
    rule: "noFloatingPromises",
    text: 'import { work } from "./work.ts";\nexport function run(): void {\n  work();\n}\n',
  },
  "misused.ts": {
    rule: "noMisusedPromises",
    text: 'import { work } from "./work.ts";\nexport function run(): number {\n  if (work()) return 1;\n  return 2;\n}\n',
  },
  "cases.ts": {
    rule: "useExhaustiveSwitchCases",
    text: 'import type { Kind } from "./work.ts";\nexport function run(kind: Kind): void {\n  switch (kind) {\n    case "a":\n      break;\n  }\n}\n',
  },
  "default.ts": { rule: "noDefaultExport", text: "export default 1;\n" },
  "enum.ts": { rule: "noEnum", text: "export enum E {\n  A = 1,\n}\n" },
  "undeclared.ts": {
    rule: "noUndeclaredDependencies",
    text: 'import { x } from "left-pad";\nexport const y: unknown = x;\n',
  },
  "cycle-a.ts": {
    rule: "noImportCycles",
    text: 'import { b } from "./cycle-b.ts";\nexport function a(): void {\n  b();\n}\n',
  },
  "nonnull.ts": {
    rule: "noNonNullAssertion",
    text: "export function first(items: readonly (string | undefined)[]): string {\n  return items[0]!;\n}\n",
  },
  "any.ts": { rule: "noExplicitAny", text: "export const x = (y: any): void => y;\n" },
  "unused.ts": { rule: "noUnusedVariables", text: "const x = 1;\nexport {};\n" },
  "thrown.ts": { rule: "useThrowOnlyError", text: 'export function f(): never {\n  throw "text";\n}\n' },
  "focused.test.ts": {
    rule: "noFocusedTests",
    text: 'import { describe } from "node:test";\ndescribe.only("x", () => {});\n',
  },
};

const SUPPORT: Readonly<Record<string, string>> = {
  "work.ts":
    'export type Kind = "a" | "b";\nexport async function work(): Promise<boolean> {\n  return await Promise.resolve(true);\n}\n',
  "cycle-b.ts":
    'import { a } from "./cycle-a.ts";\nexport function b(): void {\n  if (Number.isNaN(0)) a();\n}\n',
};

const root = mkdtempSync(join(tmpdir(), "orrery-lint-"));
after(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

interface Report {
  readonly diagnostics: readonly {
    readonly category: string;
    readonly location: { readonly path: unknown };
  }[];
}

test("every rule that the configuration names sees the fault planted for it", () => {
  cpSync(join(REPOSITORY_ROOT, "biome.json"), join(root, "biome.json"));
  cpSync(join(REPOSITORY_ROOT, ".gitignore"), join(root, ".gitignore"));
  write("package.json", '{ "name": "planted", "private": true }\n');
  for (const [name, { text }] of Object.entries(FAULTS)) write(`src/${name}`, text);
  for (const [name, text] of Object.entries(SUPPORT)) write(`src/${name}`, text);
  const biome = join(REPOSITORY_ROOT, "node_modules/@biomejs/biome/bin/biome");
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [biome, "lint", "--reporter=json", "--max-diagnostics=none", "."],
    { cwd: root, encoding: "utf8" },
  );
  assert.notEqual(stdout, "", stderr);
  const { diagnostics } = JSON.parse(stdout) as Report;
  const seen = diagnostics.map(({ category, location }) => `${category} ${JSON.stringify(location.path)}`);
  for (const [name, { rule }] of Object.entries(FAULTS)) {
    const isSeen = seen.some((line) => line.includes(`/${rule} `) && line.includes(name));
    assert.ok(isSeen, `${rule} did not see its fault in ${name}; seen:\n${seen.join("\n")}`);
  }
});
