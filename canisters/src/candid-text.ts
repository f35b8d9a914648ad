/**
 * Reads Candid interface text (Candid specification, "Interfaces") far enough to compare two interfaces:
 * definitions are expanded where they are used, fields sorted, argument names dropped. Recursive types stop
 * at their own name.
 */

interface Reader {
  readonly tokens: readonly string[];
  at: number;
}

const TOKEN = /\s*(?:\/\/[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|->|[A-Za-z_][A-Za-z_0-9]*|\d+|[{}():;,=])/y;
const ANNOTATIONS = new Set(["query", "composite_query", "oneway"]);

/**
 * The service of a `.did` text in one form: methods by name, each as `(arguments) -> (results) annotation`.
 * Throws on text that is not Candid.
 */
export function serviceMethods(did: string): ReadonlyMap<string, string> {
  const definitions = new Map<string, readonly string[]>();
  const reader: Reader = { tokens: tokenize(did), at: 0 };
  let service: readonly string[] | undefined;
  while (reader.at < reader.tokens.length) {
    const word = next(reader);
    if (word === "type") {
      const name = next(reader);
      expect(reader, "=");
      definitions.set(name, takeUntil(reader, ";"));
    } else if (word === "service") {
      service = takeUntil(reader, ";");
    } else if (word !== ";") {
      throw new Error(`unexpected ${word} in Candid text`);
    }
  }
  if (service === undefined) throw new Error("the Candid text has no service");
  return methodsOf(bodyOf(service, definitions), definitions);
}

/** The types of the installation argument of a `.did` text, in the same form; empty when there is none. */
export function initArguments(did: string): readonly string[] {
  const definitions = new Map<string, readonly string[]>();
  const reader: Reader = { tokens: tokenize(did), at: 0 };
  while (reader.at < reader.tokens.length) {
    const word = next(reader);
    if (word === "type") {
      const name = next(reader);
      expect(reader, "=");
      definitions.set(name, takeUntil(reader, ";"));
    } else if (word === "service") {
      const rest: Reader = { tokens: takeUntil(reader, ";"), at: 0 };
      if (peek(rest) === ":") rest.at += 1;
      return peek(rest) === "(" ? typeList(rest, definitions, []) : [];
    }
  }
  return [];
}

/** One type of Candid text in the same form. */
export function typeText(text: string): string {
  return typeOf({ tokens: tokenize(text), at: 0 }, new Map(), []);
}

type Definitions = ReadonlyMap<string, readonly string[]>;

function tokenize(text: string): readonly string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  let from = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    tokens.push(match[1] as string);
    from = TOKEN.lastIndex;
  }
  const rest = text.slice(from).replace(/\/\/[^\n]*/g, "");
  if (rest.trim() !== "") throw new Error(`not Candid text: ${rest.trim().slice(0, 40)}`);
  return tokens;
}

// The service's own braces: `: {…}`, `: (arguments) -> {…}` or the name of a definition.
function bodyOf(service: readonly string[], definitions: Definitions): readonly string[] {
  const arrow = service.lastIndexOf("->");
  const isClass = service[1] === "(" && arrow !== -1 && !service.slice(0, arrow).includes("{{");
  const start = isClass ? afterArguments(service) : service.indexOf(":") + 1;
  const rest = service.slice(start);
  const [name] = rest;
  if (name === "{") return rest;
  const definition = definitions.get(name ?? "");
  if (definition === undefined) throw new Error(`the service names ${name}, which is not defined`);
  return definition[0] === "service" ? definition.slice(1) : definition;
}

function afterArguments(service: readonly string[]): number {
  let depth = 0;
  for (let i = 1; i < service.length; i++) {
    if (service[i] === "(") depth += 1;
    if (service[i] === ")") depth -= 1;
    if (depth === 0) return i + 2;
  }
  throw new Error("the service's arguments do not end");
}

function methodsOf(body: readonly string[], definitions: Definitions): ReadonlyMap<string, string> {
  const reader: Reader = { tokens: body, at: 0 };
  const methods = new Map<string, string>();
  expect(reader, "{");
  while (peek(reader) !== "}") {
    const name = unquote(next(reader));
    expect(reader, ":");
    methods.set(name, functionOf(reader, definitions, []));
    if (peek(reader) === ";") reader.at += 1;
  }
  return new Map([...methods].sort(([left], [right]) => (left < right ? -1 : 1)));
}

function functionOf(reader: Reader, definitions: Definitions, open: readonly string[]): string {
  const takes = typeList(reader, definitions, open);
  expect(reader, "->");
  const gives = typeList(reader, definitions, open);
  let annotations = "";
  while (ANNOTATIONS.has(peek(reader) ?? "")) annotations += ` ${next(reader)}`;
  return `(${takes.join(", ")}) -> (${gives.join(", ")})${annotations}`;
}

function typeList(reader: Reader, definitions: Definitions, open: readonly string[]): readonly string[] {
  const types: string[] = [];
  expect(reader, "(");
  while (peek(reader) !== ")") {
    // A name of an argument means nothing.
    if (reader.tokens[reader.at + 1] === ":") reader.at += 2;
    types.push(typeOf(reader, definitions, open));
    if (peek(reader) === ",") reader.at += 1;
  }
  expect(reader, ")");
  return types;
}

function typeOf(reader: Reader, definitions: Definitions, open: readonly string[]): string {
  const word = next(reader);
  if (word === "blob") return "vec nat8";
  if (word === "vec" || word === "opt") return `${word} ${typeOf(reader, definitions, open)}`;
  if (word === "record" || word === "variant") return `${word} ${fields(reader, word, definitions, open)}`;
  if (word === "func") return `func ${functionOf(reader, definitions, open)}`;
  if (word === "(") {
    // The published library writes function types without their keyword.
    reader.at -= 1;
    return `func ${functionOf(reader, definitions, open)}`;
  }
  const definition = definitions.get(word);
  if (definition === undefined || open.includes(word)) return word;
  return typeOf({ tokens: definition, at: 0 }, definitions, [...open, word]);
}

function fields(
  reader: Reader,
  kind: "record" | "variant",
  definitions: Definitions,
  open: readonly string[],
): string {
  const found: string[] = [];
  expect(reader, "{");
  for (let position = 0; peek(reader) !== "}"; position++) {
    const isNamed = reader.tokens[reader.at + 1] === ":";
    if (isNamed) {
      const name = unquote(next(reader));
      expect(reader, ":");
      found.push(`${name}: ${typeOf(reader, definitions, open)}`);
    } else if (kind === "variant") {
      found.push(`${unquote(next(reader))}: null`);
    } else {
      found.push(`${position}: ${typeOf(reader, definitions, open)}`);
    }
    if (peek(reader) === ";") reader.at += 1;
  }
  expect(reader, "}");
  return `{ ${found.sort().join("; ")} }`;
}

// The tokens up to a closing token outside all brackets, which is passed over.
function takeUntil(reader: Reader, end: string): readonly string[] {
  const start = reader.at;
  let depth = 0;
  while (reader.at < reader.tokens.length) {
    const token = reader.tokens[reader.at] as string;
    if (depth === 0 && (token === end || token === "type" || (token === "service" && reader.at > start)))
      break;
    if (token === "{" || token === "(") depth += 1;
    if (token === "}" || token === ")") depth -= 1;
    reader.at += 1;
  }
  return reader.tokens.slice(start, reader.at);
}

function peek(reader: Reader): string | undefined {
  return reader.tokens[reader.at];
}

function next(reader: Reader): string {
  const token = reader.tokens[reader.at];
  if (token === undefined) throw new Error("the Candid text ends too early");
  reader.at += 1;
  return token;
}

function expect(reader: Reader, token: string): void {
  const found = next(reader);
  if (found !== token) throw new Error(`expected ${token} in Candid text, found ${found}`);
}

function unquote(name: string): string {
  return name.startsWith('"') ? (JSON.parse(name) as string) : name;
}
