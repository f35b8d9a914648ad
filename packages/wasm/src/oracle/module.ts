/**
 * Part of the oracle (tests only). Decodes the sections of a module that is known to be valid (Wasm core specification, binary
 * format). Independent of the package's own decoder; function bodies are decoded by instructions.ts.
 */
import { Cursor } from "./cursor.ts";
import { decodeExpression, type Instruction } from "./instructions.ts";

export type OracleType = "i32" | "i64" | "f32" | "f64" | "v128" | "funcref" | "externref";

export interface OracleFunctionType {
  readonly params: readonly OracleType[];
  readonly results: readonly OracleType[];
}

export interface OracleLimits {
  readonly min: number;
  readonly max: number | null;
  readonly is64: boolean;
}

export interface OracleGlobal {
  readonly type: OracleType;
  readonly mutable: boolean;
  readonly init: readonly Instruction[];
}

export interface OracleBody {
  readonly locals: readonly OracleType[];
  readonly code: readonly Instruction[];
}

/** Where a segment goes when the module is instantiated; null for a passive or declared one. */
export interface OracleTarget {
  readonly index: number;
  readonly offset: readonly Instruction[];
}

export interface OracleModule {
  readonly types: readonly OracleFunctionType[];
  /** Imported functions: the only imports covered. */
  readonly imports: readonly { readonly module: string; readonly name: string; readonly type: number }[];
  /** Type indices of the local functions. */
  readonly functions: readonly number[];
  readonly tables: readonly OracleLimits[];
  readonly memories: readonly OracleLimits[];
  readonly globals: readonly OracleGlobal[];
  readonly exports: readonly { readonly name: string; readonly kind: number; readonly index: number }[];
  readonly start: number | null;
  readonly elements: readonly {
    readonly target: OracleTarget | null;
    readonly declared: boolean;
    readonly items: readonly (readonly Instruction[])[];
  }[];
  readonly data: readonly { readonly target: OracleTarget | null; readonly bytes: Uint8Array }[];
  readonly bodies: readonly OracleBody[];
}

const TYPE_CODES: Readonly<Record<number, OracleType>> = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
  112: "funcref",
  111: "externref",
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function decodeOracleModule(bytes: Uint8Array): OracleModule {
  const m: Mutable<OracleModule> = {
    types: [],
    imports: [],
    functions: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    start: null,
    elements: [],
    data: [],
    bodies: [],
  };
  const c = new Cursor(bytes, 8);
  while (c.at < bytes.length) {
    const id = c.byte();
    const size = c.unsigned();
    section(m, id, new Cursor(bytes, c.at, c.at + size));
    c.at += size;
  }
  return m;
}

function section(m: Mutable<OracleModule>, id: number, c: Cursor): void {
  if (id === 1) m.types = c.list(() => functionType(c));
  else if (id === 2) m.imports = c.list(() => importedFunction(c));
  else if (id === 3) m.functions = c.list(() => c.unsigned());
  else if (id === 4) m.tables = c.list(() => table(c));
  else if (id === 5) m.memories = c.list(() => limits(c));
  else if (id === 6) m.globals = c.list(() => global(c));
  else if (id === 7) m.exports = c.list(() => ({ name: c.name(), kind: c.byte(), index: c.unsigned() }));
  else if (id === 8) m.start = c.unsigned();
  else if (id === 9) m.elements = c.list(() => element(c));
  else if (id === 10) m.bodies = c.list(() => body(c, m.types));
  else if (id === 11) m.data = c.list(() => data(c));
  else if (id !== 0 && id !== 12) throw new Error(`section ${id} is not covered by the oracle`);
}

function valueType(c: Cursor): OracleType {
  const code = c.byte();
  const type = TYPE_CODES[code];
  if (type === undefined) throw new Error(`value type ${code} is not covered by the oracle`);
  return type;
}

function functionType(c: Cursor): OracleFunctionType {
  if (c.byte() !== 0x60) throw new Error("only function types are covered by the oracle");
  return { params: c.list(() => valueType(c)), results: c.list(() => valueType(c)) };
}

function importedFunction(c: Cursor): { module: string; name: string; type: number } {
  const [module, name, kind] = [c.name(), c.name(), c.byte()];
  if (kind !== 0) throw new Error(`import of kind ${kind} is not covered by the oracle`);
  return { module, name, type: c.unsigned() };
}

function limits(c: Cursor): OracleLimits {
  const flags = c.byte();
  return { min: c.unsigned(), max: (flags & 1) === 1 ? c.unsigned() : null, is64: (flags & 4) === 4 };
}

function table(c: Cursor): OracleLimits {
  valueType(c);
  return limits(c);
}

function global(c: Cursor): OracleGlobal {
  return { type: valueType(c), mutable: c.byte() === 1, init: decodeExpression(c, []) };
}

function element(c: Cursor): OracleModule["elements"][number] {
  const flags = c.unsigned();
  const active = (flags & 1) === 0;
  const index = active && (flags & 2) !== 0 ? c.unsigned() : 0;
  const target = active ? { index, offset: decodeExpression(c, []) } : null;
  if ((flags & 3) !== 0) c.byte(); // The kind or the type of the elements.
  const items =
    (flags & 4) !== 0
      ? c.list(() => decodeExpression(c, []))
      : c.list((): Instruction[] => [{ name: "ref.func", index: c.unsigned() }]);
  return { target, declared: (flags & 3) === 3, items };
}

function data(c: Cursor): OracleModule["data"][number] {
  const flags = c.unsigned();
  const index = flags === 2 ? c.unsigned() : 0;
  const target = flags === 1 ? null : { index, offset: decodeExpression(c, []) };
  return { target, bytes: c.slice(c.unsigned()) };
}

function body(c: Cursor, types: readonly OracleFunctionType[]): OracleBody {
  const size = c.unsigned();
  const end = c.at + size;
  const inner = new Cursor(c.bytes, c.at, end);
  const locals = inner
    .list(() => {
      const count = inner.unsigned();
      return Array<OracleType>(count).fill(valueType(inner));
    })
    .flat();
  const code = decodeExpression(inner, types);
  c.at = end;
  return { locals, code };
}
