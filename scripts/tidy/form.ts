/**
 * Form of single files: a header that says what the file is, no markers of unfinished work, no tests left out, no words that make
 * sense only on the machine or on the day where they were written.
 */
import type { Repository } from "../repository.ts";
import type { Problem, Rule } from "./rule.ts";
import { isFixture, isTest, type Node, type Source, sourcesOf, walk } from "./source.ts";

const HEADER_LETTERS_MIN = 15;

/** A source file opens with a comment (after a `#!` line, if it has one). */
export const header: Rule = {
  name: "header",
  check(repository: Repository): Problem[] {
    return sourcesOf(repository)
      .filter(({ path }) => !isTest(path))
      .filter(({ text }) => {
        const body = text.replace(/^#!.*\n/, "");
        const comment = /^(\/\*\*?([\s\S]*?)\*\/|((\/\/.*\n)+))/.exec(body)?.[0] ?? "";
        return comment.replace(/[^\p{L}]/gu, "").length < HEADER_LETTERS_MIN;
      })
      .map(({ path }) => ({
        path,
        line: 1,
        message: "has no header comment: what it is, its specification section, invariants",
      }));
  },
};

/** Built from parts so that this file does not match itself. */
const MARKERS = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`);

export const markers: Rule = {
  name: "markers",
  check(repository: Repository): Problem[] {
    const problems: Problem[] = [];
    for (const source of sourcesOf(repository)) {
      for (const comment of source.comments) {
        const marker = MARKERS.exec(comment.value)?.[0];
        if (marker === undefined) continue;
        const line = source.lineOf(comment.start);
        problems.push({
          path: source.path,
          line,
          message: `${marker}: finish it, or describe the limit and file it elsewhere`,
        });
      }
      if (isTest(source.path)) problems.push(...skippedTests(source));
    }
    return problems;
  },
};

const TEST_FUNCTIONS: ReadonlySet<string> = new Set(["test", "it", "describe", "suite", "t"]);
const LEFT_OUT: ReadonlySet<string> = new Set(["only", "skip", "todo"]);

/**
 * `test.skip(…)`, `t.skip()` and options `{ skip: true | "…" }`; the same for `only` and `todo`. An option computed from the machine
 * (`skip: process.platform !== "linux"`) is a condition, not a test left out.
 */
function skippedTests(source: Source): Problem[] {
  const problems: Problem[] = [];
  const report = (node: Node, what: string): void => {
    const message = `${what}: every test runs on every merge`;
    problems.push({ path: source.path, line: source.lineOf(node.start), message });
  };
  walk(source.program, (node, ancestors) => {
    if (node.type === "CallExpression") {
      const callee = node["callee"] as Node;
      const object = (callee["object"] as Node | undefined)?.["name"] as string | undefined;
      const property = (callee["property"] as Node | undefined)?.["name"] as string | undefined;
      if (
        object !== undefined &&
        property !== undefined &&
        TEST_FUNCTIONS.has(object) &&
        LEFT_OUT.has(property)
      ) {
        report(node, `${object}.${property}`);
      }
    }
    if (node.type === "Property" && LEFT_OUT.has((node["key"] as Node)["name"] as string)) {
      const value = node["value"] as Node;
      const call = ancestors.at(-2);
      const isOption =
        call?.type === "CallExpression" && TEST_FUNCTIONS.has((call["callee"] as Node)["name"] as string);
      if (isOption && value.type === "Literal" && value["value"] !== false) {
        report(node, `option ${(node["key"] as Node)["name"]}`);
      }
    }
  });
  return problems;
}

/** Patterns are written so that none matches its own source text. */
const FOREIGN_WORDS: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /(?<![\w.-])\/(?:work|root|tmp|home)\/[\w.]/, what: "path of one machine" },
  { pattern: /registry[.]npmjs|deb[.]debian[.]org/i, what: "address of a package registry" },
  {
    pattern: /\bdesign(?:[.]md)? §/i,
    what: "reference to a page outside: name a section of docs/ARCHITECTURE.md",
  },
  { pattern: /\bissue #?[0-9]+\b/i, what: "number of a work item" },
  {
    pattern: /\b(?:previous|this|last|coding) session[ ,.]|\bsub-?agents?\b|\bthe brief\b|\bL[L]M\b/i,
    what: "word about how the work was done",
  },
];

const GENERATED: ReadonlySet<string> = new Set(["package-lock.json"]);

export const words: Rule = {
  name: "words",
  check(repository: Repository): Problem[] {
    const problems: Problem[] = [];
    for (const path of repository.paths) {
      if (GENERATED.has(path) || isFixture(path)) continue;
      const lines = repository.text(path)?.split("\n") ?? [];
      for (const [index, line] of lines.entries()) {
        for (const { pattern, what } of FOREIGN_WORDS) {
          const match = pattern.exec(line)?.[0];
          if (match !== undefined) problems.push({ path, line: index + 1, message: `"${match}": ${what}` });
        }
      }
    }
    return problems;
  },
};
