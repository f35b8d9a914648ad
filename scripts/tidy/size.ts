/**
 * Size: files a person reads in one sitting and functions that fit on a screen. A function's length is its own lines, without those
 * of the functions inside it, so that a factory of closures counts by what it does itself. What is longer today stands in the
 * ratchet with its length and may only shrink.
 */
import type { Repository } from "../repository.ts";
import { FILE_RATCHET, FUNCTION_RATCHET } from "./ratchet.ts";
import type { Problem, Rule } from "./rule.ts";
import { isTest, type Node, type Source, sourcesOf, walk } from "./source.ts";

const FILE_LINES_MAX = 400;
/** Tests are tables and sequences: long is not complicated. */
const TEST_FILE_LINES_MAX = 700;
const FUNCTION_LINES_MAX = 70;

export interface Ratchets {
  /** Path → lines. */
  readonly files: Readonly<Record<string, number>>;
  /** `path#function` → lines. */
  readonly functions: Readonly<Record<string, number>>;
}

export function sizeRule(ratchets: Ratchets): Rule {
  return {
    name: "size",
    check(repository: Repository): Problem[] {
      const problems: Problem[] = [];
      const measured = new Map<string, number>();
      for (const source of sourcesOf(repository)) {
        const limit = isTest(source.path) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
        const lines = source.text.trimEnd().split("\n").length;
        const allowed = ratchets.files[source.path] ?? limit;
        if (lines > allowed) {
          problems.push({
            path: source.path,
            message: `${lines} lines, at most ${allowed}: split it by what its parts do`,
          });
        } else if (allowed > limit && lines <= limit) {
          problems.push({
            path: source.path,
            message: "is short enough now: take it out of the file ratchet",
          });
        }
        if (!isTest(source.path)) problems.push(...checkFunctions(source, ratchets, measured));
      }
      for (const path of Object.keys(ratchets.files)) {
        if (!repository.paths.includes(path))
          problems.push({ path, message: "is in the file ratchet but does not exist" });
      }
      for (const key of Object.keys(ratchets.functions)) {
        if (!measured.has(key))
          problems.push({ path: key, message: "is in the function ratchet but does not exist" });
      }
      return problems;
    },
  };
}

export const size: Rule = sizeRule({ files: FILE_RATCHET, functions: FUNCTION_RATCHET });

function checkFunctions(source: Source, ratchets: Ratchets, measured: Map<string, number>): Problem[] {
  const problems: Problem[] = [];
  for (const { name, line, lines } of functionsOf(source)) {
    const key = `${source.path}#${name}`;
    measured.set(key, lines);
    const allowed = ratchets.functions[key] ?? FUNCTION_LINES_MAX;
    if (lines > allowed) {
      problems.push({ path: source.path, line, message: `${name} has ${lines} lines, at most ${allowed}` });
    } else if (allowed > FUNCTION_LINES_MAX && lines <= FUNCTION_LINES_MAX) {
      problems.push({
        path: source.path,
        line,
        message: `${name} is short enough now: take it out of the function ratchet`,
      });
    }
  }
  return problems;
}

interface FunctionSize {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

const FUNCTION = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;

export function functionsOf(source: Source): FunctionSize[] {
  const own = new Map<Node, { name: string; lines: number }>();
  walk(source.program, (node, ancestors) => {
    if (!FUNCTION.test(node.type)) return;
    const lines = source.lineOf(node.end) - source.lineOf(node.start) + 1;
    own.set(node, { name: nameOf(node, ancestors.at(-1)), lines });
    const outer = ancestors.findLast((ancestor) => FUNCTION.test(ancestor.type));
    const entry = outer === undefined ? undefined : own.get(outer);
    if (entry !== undefined) entry.lines -= lines - 1;
  });
  return [...own].map(([node, { name, lines }]) => ({ name, lines, line: source.lineOf(node.start) }));
}

function nameOf(node: Node, parent: Node | undefined): string {
  const named = (node["id"] ?? parent?.["id"] ?? parent?.["key"]) as Node | null | undefined;
  return (named?.["name"] as string | undefined) ?? "(anonymous)";
}
