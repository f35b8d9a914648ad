/**
 * Names of Rust functions as their authors wrote them, for backtraces: the legacy scheme (`_ZN…E`) and v0 (`_R…`, Rust RFC 2603),
 * without hashes. Whatever is not such a symbol stays as it is. Bounded: symbols come from canister modules.
 */

const SYMBOL_LENGTH_MAX = 4_096;
const OUTPUT_LENGTH_MAX = 8_192;
const DEPTH_MAX = 128;

class NotASymbol extends Error {}

export function demangle(symbol: string): string {
  if (symbol.length > SYMBOL_LENGTH_MAX) return symbol;
  try {
    const plain = symbol.replace(/\.llvm\.[0-9A-F@]+$/, "");
    if (/^_{0,2}ZN/.test(plain)) return legacy(plain.replace(/^_{0,2}ZN/, ""));
    if (/^_{0,2}R[A-Z]/.test(plain)) return new V0(plain.replace(/^_{0,2}R/, "")).symbol();
  } catch (error) {
    if (!(error instanceof NotASymbol)) throw error;
  }
  return symbol;
}

const ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

function legacy(mangled: string): string {
  const parts: string[] = [];
  let rest = mangled;
  while (!rest.startsWith("E")) {
    const digits = /^\d+/.exec(rest)?.[0];
    if (digits === undefined) throw new NotASymbol();
    const length = Number(digits);
    const part = rest.slice(digits.length, digits.length + length);
    if (part.length !== length) throw new NotASymbol();
    parts.push(part);
    rest = rest.slice(digits.length + length);
  }
  if (/^h[0-9a-f]{16}$/.test(parts.at(-1) ?? "")) parts.pop();
  if (parts.length === 0) throw new NotASymbol();
  return parts.map(legacyPart).join("::") + rest.slice(1);
}

function legacyPart(part: string): string {
  const text = part.startsWith("_$") ? part.slice(1) : part;
  return text.replace(/\.\.|\$([A-Za-z0-9]+)\$/g, (whole, code: string | undefined) => {
    if (code === undefined) return "::";
    const known = ESCAPES[code];
    if (known !== undefined) return known;
    const hex = /^u([0-9a-f]{1,6})$/.exec(code)?.[1];
    return hex === undefined ? whole : String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff));
  });
}

const BASIC: Readonly<Record<string, string>> = {
  a: "i8",
  b: "bool",
  c: "char",
  d: "f64",
  e: "str",
  f: "f32",
  h: "u8",
  i: "isize",
  j: "usize",
  l: "i32",
  m: "u32",
  n: "i128",
  o: "u128",
  p: "_",
  s: "i16",
  t: "u16",
  u: "()",
  v: "...",
  x: "i64",
  y: "u64",
  z: "!",
};

/** A recursive reader of the v0 grammar; letters are those of the RFC. */
class V0 {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #printed = 0;

  constructor(text: string) {
    this.#text = text;
  }

  symbol(): string {
    const name = this.#path(true);
    return name;
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #next(): string {
    const c = this.#peek();
    if (c === "") throw new NotASymbol();
    this.#at++;
    return c;
  }

  #eat(c: string): boolean {
    if (this.#peek() !== c) return false;
    this.#at++;
    return true;
  }

  /** Runs one level deeper; what nests too deep or grows too long is no symbol for us. */
  #deeper(read: () => string): string {
    if (++this.#depth > DEPTH_MAX) throw new NotASymbol();
    const text = read();
    this.#depth--;
    this.#printed += text.length;
    if (this.#printed > OUTPUT_LENGTH_MAX * DEPTH_MAX || text.length > OUTPUT_LENGTH_MAX)
      throw new NotASymbol();
    return text;
  }

  /** `_` is 0; digits of base 62 and `_` are one more than their value. */
  #base62(): number {
    if (this.#eat("_")) return 0;
    let value = 0;
    for (let c = this.#next(); c !== "_"; c = this.#next()) {
      const digit = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".indexOf(c);
      if (digit < 0) throw new NotASymbol();
      value = value * 62 + digit;
    }
    return value + 1;
  }

  #disambiguator(): number {
    return this.#eat("s") ? this.#base62() + 1 : 0;
  }

  #identifier(): string {
    const punycode = this.#eat("u");
    const digits = /^(0|[1-9]\d*)/.exec(this.#text.slice(this.#at, this.#at + 6))?.[0];
    if (digits === undefined) throw new NotASymbol();
    this.#at += digits.length;
    this.#eat("_");
    const name = this.#text.slice(this.#at, this.#at + Number(digits));
    if (name.length !== Number(digits)) throw new NotASymbol();
    this.#at += name.length;
    return punycode ? `punycode{${name}}` : name;
  }

  #backref(read: () => string): string {
    const target = this.#base62();
    if (target >= this.#at - 1) throw new NotASymbol();
    const back = this.#at;
    this.#at = target;
    const text = this.#deeper(read);
    this.#at = back;
    return text;
  }

  #path(value: boolean): string {
    return this.#deeper(() => this.#pathOf(this.#next(), value));
  }

  #pathOf(tag: string, value: boolean): string {
    switch (tag) {
      case "C":
        this.#disambiguator();
        return this.#identifier();
      case "N":
        return this.#nested(value);
      case "M":
        this.#disambiguator();
        this.#path(false);
        return `<${this.#type()}>`;
      case "X":
        this.#disambiguator();
        this.#path(false);
        return `<${this.#type()} as ${this.#path(false)}>`;
      case "Y":
        return `<${this.#type()} as ${this.#path(false)}>`;
      case "I": {
        const path = this.#path(value);
        return `${path}${value ? "::" : ""}<${this.#list(() => this.#argument())}>`;
      }
      case "B":
        return this.#backref(() => this.#path(value));
      default:
        throw new NotASymbol();
    }
  }

  #nested(value: boolean): string {
    const namespace = this.#next();
    const path = this.#path(value);
    const number = this.#disambiguator();
    const name = this.#identifier();
    if (/[a-z]/.test(namespace)) return name === "" ? path : `${path}::${name}`;
    const kind = namespace === "C" ? "closure" : namespace === "S" ? "shim" : namespace;
    return `${path}::{${kind}${name === "" ? "" : `:${name}`}#${number}}`;
  }

  #list(read: () => string): string {
    const items: string[] = [];
    while (!this.#eat("E")) items.push(read());
    return items.join(", ");
  }

  #lifetime(): string {
    return this.#base62() === 0 ? "'_" : "'a";
  }

  #argument(): string {
    if (this.#eat("L")) return this.#lifetime();
    return this.#eat("K") ? this.#constant() : this.#type();
  }

  #binder(): void {
    if (this.#eat("G")) this.#base62();
  }

  #type(): string {
    return this.#deeper(() => {
      const tag = this.#next();
      const basic = BASIC[tag];
      return basic ?? this.#typeOf(tag);
    });
  }

  #typeOf(tag: string): string {
    switch (tag) {
      case "R":
      case "Q": {
        const lifetime = this.#eat("L") ? this.#lifetime() : "'_";
        return `&${lifetime === "'_" ? "" : `${lifetime} `}${tag === "Q" ? "mut " : ""}${this.#type()}`;
      }
      case "P":
        return `*const ${this.#type()}`;
      case "O":
        return `*mut ${this.#type()}`;
      case "A":
        return `[${this.#type()}; ${this.#constant()}]`;
      case "S":
        return `[${this.#type()}]`;
      case "T": {
        const items: string[] = [];
        while (!this.#eat("E")) items.push(this.#type());
        return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
      }
      case "F":
        return this.#functionType();
      case "D":
        return this.#dynType();
      case "B":
        return this.#backref(() => this.#type());
      default:
        this.#at--;
        return this.#path(false);
    }
  }

  #functionType(): string {
    this.#binder();
    const unsafe = this.#eat("U") ? "unsafe " : "";
    let abi = "";
    if (this.#eat("K")) abi = `extern "${this.#eat("C") ? "C" : this.#identifier().replaceAll("_", "-")}" `;
    const parameters = this.#list(() => this.#type());
    const result = this.#type();
    return `${unsafe}${abi}fn(${parameters})${result === "()" ? "" : ` -> ${result}`}`;
  }

  #dynType(): string {
    this.#binder();
    const traits: string[] = [];
    while (!this.#eat("E")) traits.push(this.#dynTrait());
    if (!this.#eat("L")) throw new NotASymbol();
    this.#lifetime();
    return `dyn ${traits.join(" + ")}`;
  }

  #dynTrait(): string {
    let path = this.#path(false);
    while (this.#eat("p")) {
      const binding = `${this.#identifier()} = ${this.#type()}`;
      path = path.endsWith(">") ? `${path.slice(0, -1)}, ${binding}>` : `${path}<${binding}>`;
    }
    return path;
  }

  #constant(): string {
    return this.#deeper(() => {
      const tag = this.#next();
      if (tag === "p") return "_";
      if (tag === "B") return this.#backref(() => this.#constant());
      if (!"abchijlmnostxy".includes(tag)) throw new NotASymbol();
      const sign = this.#eat("n") ? "-" : "";
      let digits = "";
      for (let c = this.#next(); c !== "_"; c = this.#next()) digits += c;
      if (!/^[0-9a-f]*$/.test(digits)) throw new NotASymbol();
      const value = BigInt(`0x${digits === "" ? "0" : digits}`);
      if (tag === "b") return value === 0n ? "false" : "true";
      if (tag === "c") return `'${String.fromCodePoint(Math.min(Number(value), 0x10ffff))}'`;
      return `${sign}${value}`;
    });
  }
}
