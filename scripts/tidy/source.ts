/**
 * TypeScript sources as syntax trees: what the rules need to know of a file, parsed once. A file that does not parse yields no
 * facts; the type checker reports it.
 */
import { parseSync } from "oxc-parser";
import type { Repository } from "../repository.ts";

/** A syntax node (ESTree); rules look at the few fields they know. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly imports: readonly Import[];
  readonly comments: readonly { readonly start: number; readonly end: number; readonly value: string }[];
  /** 1-based line of an offset. */
  lineOf(offset: number): number;
}

const parsed = new WeakMap<Repository, readonly Source[]>();

/** Files that users get as their own, written as they would write them. */
function isTemplate(path: string): boolean {
  return path.startsWith("apps/cli/templates/");
}

/** All TypeScript files but declarations, parsed. */
export function sourcesOf(repository: Repository): readonly Source[] {
  const known = parsed.get(repository);
  if (known !== undefined) return known;
  const sources: Source[] = [];
  for (const path of repository.paths) {
    if (!path.endsWith(".ts") || path.endsWith(".d.ts") || isFixture(path) || isTemplate(path)) continue;
    const text = repository.text(path);
    if (text !== undefined) sources.push(parseSource(path, text));
  }
  parsed.set(repository, sources);
  return sources;
}

export function parseSource(path: string, text: string): Source {
  const result = parseSync(path, text);
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  const lineOf = (offset: number): number => {
    let low = 0;
    let high = lineStarts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((lineStarts[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const program = result.program as unknown as Node;
  return { path, text, program, comments: result.comments, lineOf, imports: importsOf(program, lineOf) };
}

/** Static imports, re-exports and literal dynamic imports. */
function importsOf(program: Node, lineOf: (offset: number) => number): Import[] {
  const found: Import[] = [];
  walk(program, (node) => {
    const literal = IMPORTING.has(node.type) ? (node["source"] as Node | null) : null;
    if (literal !== null && typeof literal?.["value"] === "string") {
      found.push({ specifier: literal["value"], line: lineOf(node.start) });
    }
  });
  return found;
}

const IMPORTING: ReadonlySet<string> = new Set([
  "ImportDeclaration",
  "ImportExpression",
  "ExportAllDeclaration",
  "ExportNamedDeclaration",
]);

/** Visits every node, parents first, with the chain of its ancestors (nearest last). */
export function walk(root: Node, visit: (node: Node, ancestors: readonly Node[]) => void): void {
  const ancestors: Node[] = [];
  const enter = (node: Node): void => {
    visit(node, ancestors);
    ancestors.push(node);
    for (const field in node) {
      const value = node[field];
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) enter(item);
      } else if (isNode(value)) enter(value);
    }
    ancestors.pop();
  };
  enter(root);
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}

/** Tests, what they share, fuzzers and benchmarks run on Node whatever floor they test. */
export function isTest(path: string): boolean {
  return /\.(test|testkit|testing|fuzz|bench)\.ts$|(^|\/)testing(\/|\.ts$)/.test(path);
}

/** Inputs of tests, not code of ours. */
export function isFixture(path: string): boolean {
  return /(^|\/)(fixtures|vectors)\//.test(path);
}
