/**
 * Purity of the floors below the host: one seed must reproduce a whole network's run and a browser tab must be able to host
 * one, so nothing there may reach for the world. Type checking with no ambient types already rejects most of it; this rule names
 * the replacement and catches what ECMAScript itself brings (`Date`, `Math.random`, locales).
 */
import type { Repository } from "../repository.ts";
import { floorOf, HOST_FLOOR } from "./floors.ts";
import type { Problem, Rule } from "./rule.ts";
import { isTest, type Node, type Source, sourcesOf, walk } from "./source.ts";

const BANNED_GLOBALS: Readonly<Record<string, string>> = {
  Date: "take a Clock",
  performance: "take a Clock",
  setTimeout: "emit an effect; the host owns timers",
  setInterval: "emit an effect; the host owns timers",
  setImmediate: "emit an effect; the host owns timers",
  queueMicrotask: "step functions are synchronous",
  crypto: "take an Rng",
  process: "pass the value in",
  Buffer: "use Uint8Array",
  console: "take a Logger",
  require: "use import",
  fetch: "emit an effect; the host owns the network",
  Worker: "take an executor; the host owns threads",
  Intl: "locales differ between machines",
};

const BANNED_MEMBERS: Readonly<Record<string, string>> = {
  "Math.random": "take an Rng",
};

const BANNED_METHODS: Readonly<Record<string, string>> = {
  localeCompare: "locales differ between machines: compare code points or bytes",
  toLocaleString: "locales differ between machines",
  toLocaleLowerCase: "locales differ between machines",
  toLocaleUpperCase: "locales differ between machines",
};

/** Floors whose code is synchronous throughout: what must run inside `step` and `applyBatch`. */
const SYNCHRONOUS_FLOOR_MAX = 3;

/** Files of the synchronous floors that may be asynchronous, each with its reason. */
const ASYNCHRONOUS_FILES: Readonly<Record<string, string>> = {
  "packages/crypto/src/bls-mcl.ts": "its Wasm starts asynchronously, once, before anything uses it",
};

export const purity: Rule = {
  name: "purity",
  check(repository: Repository): Problem[] {
    return sourcesOf(repository)
      .filter(
        ({ path }) => (floorOf(path) ?? HOST_FLOOR) < HOST_FLOOR && path.includes("/src/") && !isTest(path),
      )
      .flatMap((source) => [...checkImports(source), ...checkNames(source), ...checkAsync(source)]);
  },
};

function checkImports(source: Source): Problem[] {
  return source.imports
    .filter(({ specifier }) => specifier.startsWith("node:"))
    .map(({ specifier, line }) => ({
      path: source.path,
      line,
      message: `imports ${specifier}: declare an interface here and implement it in packages/host`,
    }));
}

function checkNames(source: Source): Problem[] {
  const declared = declaredNames(source.program);
  const problems: Problem[] = [];
  walk(source.program, (node, ancestors) => {
    const line = source.lineOf(node.start);
    if (node.type === "MemberExpression") {
      const property = (node["property"] as Node)["name"] as string | undefined;
      if (property === undefined || node["computed"] === true) return;
      const object = (node["object"] as Node)["name"] as string | undefined;
      const why = own(BANNED_METHODS, property) ?? own(BANNED_MEMBERS, `${object}.${property}`);
      if (why !== undefined)
        problems.push({ path: source.path, line, message: `uses ${object ?? "…"}.${property}: ${why}` });
      return;
    }
    if (node.type !== "Identifier") return;
    const name = node["name"] as string;
    const why = own(BANNED_GLOBALS, name);
    if (why === undefined || declared.has(name) || !isReference(node, ancestors.at(-1))) return;
    problems.push({ path: source.path, line, message: `uses ${name}: ${why}` });
  });
  return problems;
}

function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function checkAsync(source: Source): Problem[] {
  if ((floorOf(source.path) as number) > SYNCHRONOUS_FLOOR_MAX || source.path in ASYNCHRONOUS_FILES)
    return [];
  const problems: Problem[] = [];
  walk(source.program, (node) => {
    if (node["async"] === true || node.type === "AwaitExpression") {
      const line = source.lineOf(node.start);
      problems.push({
        path: source.path,
        line,
        message: "is asynchronous: floors 0 to 3 are synchronous throughout",
      });
    }
  });
  return problems.slice(0, 1);
}

/** Every name that the file itself binds: a local `process` is not the global one. */
function declaredNames(program: Node): Set<string> {
  const names = new Set<string>();
  const bind = (pattern: unknown): void => {
    const node = pattern as Node | null | undefined;
    if (node === null || node === undefined) return;
    if (node.type === "Identifier") names.add(node["name"] as string);
    else if (node.type === "AssignmentPattern") bind(node["left"]);
    else if (node.type === "RestElement") bind(node["argument"]);
    else if (node.type === "ArrayPattern") for (const item of node["elements"] as unknown[]) bind(item);
    else if (node.type === "ObjectPattern") {
      for (const item of node["properties"] as Node[])
        bind(item.type === "RestElement" ? item : item["value"]);
    }
  };
  walk(program, (node) => {
    if (node.type === "VariableDeclarator" || /^(Function|Class)(Declaration|Expression)$/.test(node.type))
      bind(node["id"]);
    if (/^Import(Default|Namespace)?Specifier$/.test(node.type)) bind(node["local"]);
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
      for (const parameter of node["params"] as unknown[]) bind(parameter);
    }
    if (node.type === "CatchClause") bind(node["param"]);
  });
  return names;
}

/** Not a key, a member name, a label, a type's field or a parameter name in a type. */
function isReference(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined) return true;
  const isKey = parent["key"] === node && parent["computed"] !== true && parent["shorthand"] !== true;
  if (isKey || parent["label"] === node || (parent["property"] === node && parent["computed"] !== true))
    return false;
  return (
    !parent.type.startsWith("TS") || parent.type === "TSTypeReference" || EXPRESSION_WRAPPERS.has(parent.type)
  );
}

const EXPRESSION_WRAPPERS: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSTypeQuery",
  "TSInstantiationExpression",
]);
