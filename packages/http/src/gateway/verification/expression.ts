/**
 * The `IC-CertificateExpression` header (HTTP gateway protocol, "The Certificate Expression Header"): which parts of a request and
 * its response a canister certified. The expression is parsed as public gateways do: white space between its parts is allowed,
 * names in lists are letters, digits and hyphens, of a repeated property the last counts, and what follows the expression is
 * ignored (its hash is certified all the same). Properties that contradict each other are refused.
 */
import { err, ok, type Result } from "@orrery/base";

export interface RequestCertification {
  readonly headers: readonly string[];
  readonly queryParameters: readonly string[];
}

export interface ResponseCertification {
  /** Whether the headers listed are the certified ones, or those that are not. */
  readonly kind: "included" | "excluded";
  readonly headers: readonly string[];
}

/** `skip`: nothing of the request and the response is certified, and that is. */
export type Certification =
  | { readonly kind: "skip" }
  | {
      readonly kind: "certified";
      /** Null: the response alone is. */
      readonly request: RequestCertification | null;
      readonly response: ResponseCertification;
    };

/** Nesting of an expression; those of the protocol have seven levels. */
const DEPTH_MAX = 16;

type Value =
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "array"; readonly items: readonly Value[] }
  | { readonly kind: "object"; readonly name: string; readonly fields: ReadonlyMap<string, Value> }
  | { readonly kind: "function"; readonly name: string; readonly parameters: readonly Value[] };

class Invalid extends Error {}

const SPACE = /[ \t\r\n]*/y;
const NAME = /[A-Za-z0-9_]*/y;
const LIST_ENTRY = /[A-Za-z0-9-]*/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    const found = match === null ? "" : match[0];
    this.#at += found.length;
    return found;
  }

  /** Whether the next character after white space is this one, which is then passed. */
  #next(character: string): boolean {
    const start = this.#at;
    this.#match(SPACE);
    if (this.#text[this.#at] === character) {
      this.#at++;
      return true;
    }
    this.#at = start;
    return false;
  }

  #expect(character: string): void {
    if (!this.#next(character)) throw new Invalid(`expected ${character} at character ${this.#at}`);
  }

  /** Entries between commas up to the closing character. */
  #entries(close: string, read: () => void): void {
    if (this.#next(close)) return;
    do read();
    while (this.#next(","));
    this.#expect(close);
  }

  value(depth: number): Value {
    if (depth > DEPTH_MAX) throw new Invalid(`it is nested over ${DEPTH_MAX} levels`);
    this.#match(SPACE);
    const name = this.#match(NAME);
    if (this.#next("{")) {
      const fields = new Map<string, Value>();
      this.#entries("}", () => {
        this.#match(SPACE);
        const key = this.#match(NAME);
        this.#expect(":");
        fields.set(key, this.value(depth + 1));
      });
      return { kind: "object", name, fields };
    }
    if (this.#next("(")) {
      const parameters: Value[] = [];
      this.#entries(")", () => parameters.push(this.value(depth + 1)));
      return { kind: "function", name, parameters };
    }
    if (name === "" && this.#next("[")) {
      const items: Value[] = [];
      this.#entries("]", () => items.push(this.value(depth + 1)));
      return { kind: "array", items };
    }
    if (name === "" && this.#next('"')) {
      const text = this.#match(LIST_ENTRY);
      this.#expect('"');
      return { kind: "string", text };
    }
    throw new Invalid(`expected a value at character ${this.#at}`);
  }
}

type Fields = ReadonlyMap<string, Value>;

function objectFields(value: Value | undefined, name: string): Fields {
  if (value?.kind !== "object" || value.name !== name) throw new Invalid(`expected ${name}{…}`);
  return value.fields;
}

function strings(value: Value | undefined, name: string): readonly string[] {
  if (value?.kind !== "array") throw new Invalid(`expected a list as ${name}`);
  return value.items.map((item) => {
    if (item.kind !== "string") throw new Invalid(`expected strings in the list ${name}`);
    return item.text;
  });
}

/** Exactly one of two properties that exclude each other. */
function oneOf(fields: Fields, a: string, b: string): string {
  if (fields.has(a) === fields.has(b)) {
    throw new Invalid(`expected ${fields.has(a) ? "only one" : "one"} of ${a} and ${b}`);
  }
  return fields.has(a) ? a : b;
}

function requestCertification(fields: Fields): RequestCertification | null {
  if (oneOf(fields, "no_request_certification", "request_certification") === "no_request_certification") {
    return null;
  }
  const request = objectFields(fields.get("request_certification"), "RequestCertification");
  return {
    headers: strings(request.get("certified_request_headers"), "certified_request_headers"),
    queryParameters: strings(request.get("certified_query_parameters"), "certified_query_parameters"),
  };
}

function responseCertification(fields: Fields): ResponseCertification {
  const response = objectFields(fields.get("response_certification"), "ResponseCertification");
  const included = "certified_response_headers";
  const kind = oneOf(response, included, "response_header_exclusions");
  const list = objectFields(response.get(kind), "ResponseHeaderList");
  return {
    kind: kind === included ? "included" : "excluded",
    headers: strings(list.get("headers"), "headers"),
  };
}

function certificationOf(value: Value): Certification {
  if (value.kind !== "function" || value.name !== "default_certification") {
    throw new Invalid("expected default_certification(…)");
  }
  const fields = objectFields(value.parameters[0], "ValidationArgs");
  if (oneOf(fields, "no_certification", "certification") === "no_certification") return { kind: "skip" };
  const certification = objectFields(fields.get("certification"), "Certification");
  return {
    kind: "certified",
    request: requestCertification(certification),
    response: responseCertification(certification),
  };
}

/** The error says where the expression is wrong. */
export function parseExpression(text: string): Result<Certification, string> {
  try {
    return ok(certificationOf(new Parser(text).value(0)));
  } catch (cause) {
    if (cause instanceof Invalid)
      return err(`the IC-CertificateExpression header is not valid: ${cause.message}`);
    throw cause;
  }
}
