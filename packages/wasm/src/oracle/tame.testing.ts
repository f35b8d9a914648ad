/**
 * Text of generated modules without what canisters may not have of references: instructions that change a table drop their operands,
 * globals that hold references become null constants (interface spec, "Canister module format"; the refusals are the replica's).
 * Takes folded text with names, as `wasm-opt` prints it.
 */

type Node = string | readonly Node[];

/** Atoms are strings, quotes included; comments are left out. */
function parse(text: string): Node[] {
  const tokens = /"(?:[^"\\]|\\.)*"|\(;[\s\S]*?;\)|;;[^\n]*|[()]|[^\s()";]+/g;
  const stack: Node[][] = [[]];
  for (const [token] of text.matchAll(tokens)) {
    const top = stack.at(-1) as Node[];
    if (token.startsWith("(;") || token.startsWith(";;")) continue;
    if (token === "(") {
      const inner: Node[] = [];
      top.push(inner);
      stack.push(inner);
    } else if (token === ")") stack.pop();
    else top.push(token);
  }
  return stack[0] as Node[];
}

function print(node: Node): string {
  return typeof node === "string" ? node : `(${node.map(print).join(" ")})`;
}

const drops = (operands: readonly Node[]): Node[] => operands.map((operand) => ["drop", operand]);
const isList = (node: Node): node is readonly Node[] => typeof node !== "string";

/** Types of nothing but null, which are written like these, as references to one type of function are. */
const BOTTOM: ReadonlyMap<string, string> = new Map([
  ["nullfuncref", "funcref"],
  ["nullexternref", "externref"],
]);

/** The kind of reference that a type in text is, if it is one. */
function referenceOf(type: string): "nofunc" | "noextern" | null {
  if (/\b(funcref|nullfuncref|func|nofunc)\b/.test(type)) return "nofunc";
  return /\b(externref|nullexternref|extern|noextern)\b/.test(type) ? "noextern" : null;
}

/** References that globals hold, by name: defined ones, and ones that are imported. */
function referenceGlobals(fields: readonly Node[]): Map<Node, "nofunc" | "noextern"> {
  const found = new Map<Node, "nofunc" | "noextern">();
  for (const field of fields) {
    const global =
      field[0] === "import" ? (field as readonly Node[]).find((part) => part[0] === "global") : field;
    if (global === undefined || global[0] !== "global") continue;
    const [, name, type] = global as readonly Node[];
    const reference = referenceOf(print(type as Node));
    if (reference !== null) found.set(name as Node, reference);
  }
  return found;
}

/** The text of the module in `text`, tamed. */
export function tamed(text: string): string {
  const [module] = parse(text) as [readonly Node[]];
  const references = referenceGlobals(module);
  const visit = (node: Node): Node => {
    if (!isList(node)) return BOTTOM.get(node) ?? node;
    const [head, name] = node;
    if (head === "ref") return /\b(no)?extern\b/.test(print(node)) ? "externref" : "funcref";
    const operands = (): Node[] => node.filter(isList).map(visit);
    const reference = references.get(name ?? "");
    if (head === "global.get" && reference !== undefined) return ["ref.null", reference];
    if (head === "global.set" && reference !== undefined) return ["drop", ...operands()];
    if (head === "table.grow") return ["block", ["result", "i32"], ...drops(operands()), ["i32.const", "-1"]];
    if (["table.set", "table.fill", "table.copy", "table.init"].includes(head as string))
      return ["block", ...drops(operands())];
    return node.map(visit);
  };
  const gone = (field: Node): boolean => {
    const [, inner] = [field, (field as readonly Node[]).at(-1)];
    if (field[0] === "global") return references.has(field[1] ?? "");
    return (field[0] === "import" || field[0] === "export") && inner?.[0] === "global"
      ? references.has(inner[1] ?? "")
      : false;
  };
  const [head, ...fields] = module;
  return print([head as Node, ...fields.filter((field) => !gone(field)).map(visit)]);
}
