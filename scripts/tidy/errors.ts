/**
 * docs/errors.md lists every stable error code, and nothing else. A code is the first argument of `new OrreryError(…)`, or of the
 * `super(…)` of a class that extends it: a literal,
 * a choice between literals, a parameter of the enclosing function, whose callers then pass the literal, or the `.code` of an error
 * that is passed on.
 */
import type { Repository } from "../repository.ts";
import { resolve } from "./floors.ts";
import type { Problem, Rule } from "./rule.ts";
import { isTest, type Node, type Source, sourcesOf, walk } from "./source.ts";

const ERRORS_PAGE = "docs/errors.md";

export const errors: Rule = {
  name: "errors",
  check(repository: Repository): Problem[] {
    const { codes, problems } = codesOf(repository);
    const listed = listedCodes(repository.text(ERRORS_PAGE) ?? "");
    for (const [code, { path, line }] of codes) {
      if (!listed.has(code))
        problems.push({ path, line, message: `error code ${code} is not listed in ${ERRORS_PAGE}` });
    }
    let previous = "";
    for (const [code, line] of listed) {
      if (!codes.has(code))
        problems.push({ path: ERRORS_PAGE, line, message: `${code} is listed but no source uses it` });
      if (code < previous)
        problems.push({ path: ERRORS_PAGE, line, message: `${code} is out of alphabetical order` });
      previous = code;
    }
    return problems;
  },
};

interface Site {
  readonly path: string;
  readonly line: number;
}

/** Every code with the place that uses it first, and the arguments that cannot be read. */
function codesOf(repository: Repository): { codes: Map<string, Site>; problems: Problem[] } {
  const codes = new Map<string, Site>();
  const problems: Problem[] = [];
  const sources = sourcesOf(repository).filter(
    ({ path }) => /^(packages|apps)\//.test(path) && !isTest(path),
  );
  /** `path#function` → position of its parameter that is the code. */
  const makers = new Map<string, number>();
  const seen = new Set<Node>();
  for (let before = -1; before !== makers.size; ) {
    before = makers.size;
    for (const source of sources) visitCalls(source, makers, seen, { codes, problems });
  }
  return { codes, problems };
}

function visitCalls(
  source: Source,
  makers: Map<string, number>,
  seen: Set<Node>,
  out: { codes: Map<string, Site>; problems: Problem[] },
): void {
  const imported = importedNames(source);
  walk(source.program, (node, ancestors) => {
    if (node.type !== "NewExpression" && node.type !== "CallExpression") return;
    const callee = calleeOf(node, ancestors);
    const position = callee === undefined ? undefined : positionOf(callee, source.path, imported, makers);
    if (position === undefined || seen.has(node)) return;
    seen.add(node);
    const site = { path: source.path, line: source.lineOf(node.start) };
    const argument = (node["arguments"] as Node[])[position];
    const literals = argument === undefined ? [] : literalsOf(argument);
    for (const code of literals) if (!out.codes.has(code)) out.codes.set(code, site);
    if (literals.length > 0 || isPassedOn(argument, source.program)) return;
    const maker =
      argument?.type === "Identifier" ? makerOf(argument["name"] as string, ancestors) : undefined;
    if (maker === undefined)
      out.problems.push({ ...site, message: "error code is neither a literal nor a parameter" });
    else makers.set(`${source.path}#${maker.name}`, maker.position);
  });
}

/** Where the code stands in a call of `callee`: a maker of the same file, or one imported from the file or package that has it. */
function positionOf(
  callee: string,
  path: string,
  imported: ReadonlyMap<string, string>,
  makers: ReadonlyMap<string, number>,
): number | undefined {
  if (callee === "OrreryError") return 0;
  const own = makers.get(`${path}#${callee}`);
  const specifier = imported.get(callee);
  if (own !== undefined || specifier === undefined) return own;
  if (specifier.startsWith(".")) return makers.get(`${resolve(path, specifier)}#${callee}`);
  const folder = specifier.replace(/^@orrery\/([^/]+).*/, "packages/$1");
  for (const [key, position] of makers) {
    if (key.startsWith(`${folder}/`) && key.endsWith(`#${callee}`)) return position;
  }
  return undefined;
}

/** Name of what is called; `super(…)` counts as the class that is extended. */
function calleeOf(node: Node, ancestors: readonly Node[]): string | undefined {
  const callee = node["callee"] as Node;
  if (callee.type !== "Super") return callee["name"] as string | undefined;
  const extended = ancestors.findLast(({ type }) => type.startsWith("Class") && type !== "ClassBody");
  return (extended?.["superClass"] as Node | null | undefined)?.["name"] as string | undefined;
}

function importedNames(source: Source): Map<string, string> {
  const names = new Map<string, string>();
  walk(source.program, (node) => {
    if (node.type !== "ImportDeclaration") return;
    const specifier = (node["source"] as Node)["value"] as string;
    for (const item of node["specifiers"] as Node[])
      names.set((item["local"] as Node)["name"] as string, specifier);
  });
  return names;
}

/** `error.code`, or `code` taken from an error by destructuring. */
function isPassedOn(argument: Node | undefined, program: Node): boolean {
  if (argument?.type === "Identifier" && argument["name"] === "code") {
    let isTaken = false;
    walk(program, (node) => {
      if (node.type !== "VariableDeclarator") return;
      const properties = ((node["id"] as Node)["properties"] ?? []) as Node[];
      isTaken ||= properties.some((property) => (property["key"] as Node | undefined)?.["name"] === "code");
    });
    return isTaken;
  }
  return argument?.type === "MemberExpression" && (argument["property"] as Node)["name"] === "code";
}

function literalsOf(node: Node): string[] {
  if (node.type === "Literal" && typeof node["value"] === "string") return [node["value"]];
  if (node.type !== "ConditionalExpression") return [];
  const choices = [literalsOf(node["consequent"] as Node), literalsOf(node["alternate"] as Node)];
  return choices.every((choice) => choice.length > 0) ? choices.flat() : [];
}

/** The named function around the call that takes `parameter`, and its position. */
function makerOf(
  parameter: string,
  ancestors: readonly Node[],
): { name: string; position: number } | undefined {
  for (let at = ancestors.length - 1; at >= 0; at--) {
    const node = ancestors[at] as Node;
    if (!Array.isArray(node["params"])) continue;
    const position = (node["params"] as Node[]).findIndex((item) => item["name"] === parameter);
    if (position === -1) continue;
    const outer = ancestors[at - 1];
    const name = ((node["id"] ?? outer?.["id"] ?? outer?.["key"]) as Node | null | undefined)?.["name"];
    return typeof name === "string" ? { name, position } : undefined;
  }
  return undefined;
}

/** Codes in the first column of the page's tables, with their lines. */
function listedCodes(page: string): Map<string, number> {
  const listed = new Map<string, number>();
  for (const [index, line] of page.split("\n").entries()) {
    const code = /^\| `([a-z0-9_]+)` \|/.exec(line)?.[1];
    if (code !== undefined) listed.set(code, index + 1);
  }
  return listed;
}
