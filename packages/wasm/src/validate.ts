/**
 * What a canister module must be (interface spec, "Canister module format"; limits of the replica). The checks run in the
 * replica's order and give its texts. Operand types are validated by the engine; what the engine would accept although
 * canisters may not use it is refused by the decoder.
 */
import { err, ok, type Result } from "@orrery/base";
import { functionOperatorsAdded } from "./compile-cost.ts";
import {
  type DecodedModule,
  decodeModule,
  type FunctionType,
  functionType,
  KIND_FUNCTION,
  KIND_MEMORY,
  KIND_TABLE,
} from "./decode.ts";
import { IC0_IMPORTS, type Ic0Type } from "./ic0-imports.ts";
import { initialImage } from "./image.ts";
import { invalidity } from "./invalidity.ts";
import { memoryPagesMax } from "./limits.ts";
import { InvalidModule } from "./reader.ts";
import { scanCode } from "./scan.ts";
import {
  type CustomSection,
  type GlobalType,
  HOOK_NAMES,
  type HookName,
  type ModuleInfo,
  type ValueType,
  type WasmValidationError,
} from "./types.ts";

export const FUNCTIONS_MAX = 50_000;
export const GLOBALS_MAX = 1_000;
export const CUSTOM_SECTIONS_MAX = 16;
export const CUSTOM_SECTIONS_BYTES_MAX: number = 1024 * 1024;
export const EXPORTED_METHODS_MAX = 1_000;
export const EXPORTED_NAMES_BYTES_MAX = 20_000;
export const TABLE_ELEMENTS_MAX = 1_000_000;
const RESERVED_EXPORTS: ReadonlySet<string> = new Set([
  "canister counter_instructions",
  "canister_start",
  "canister counter_dirty_pages",
  "canister counter_accessed_pages",
  "stable_memory",
  "stable_memory_bytemap",
]);

const METHOD_PREFIXES = [
  ["canister_update ", "update"],
  ["canister_query ", "query"],
  ["canister_composite_query ", "compositeQuery"],
] as const;

/** Validates a raw module (gzip already undone) and tells what it is, or why it is refused. */
export function validateModule(wasm: Uint8Array): Result<ModuleInfo, WasmValidationError> {
  try {
    const m = decodeModule(wasm);
    engineValidation(m);
    return ok(describeModule(m));
  } catch (error) {
    if (error instanceof InvalidModule) return err(error.reason);
    throw error;
  }
}

/** The engine's verdict, and our words for it. */
function engineValidation(m: DecodedModule): void {
  if (!WebAssembly.validate(m.bytes)) throw invalidity(m);
}

/** The checks that follow decoding and the engine's own validation; throws `InvalidModule`. */
export function describeModule(m: DecodedModule): ModuleInfo {
  const is64 = m.memories[0]?.is64 === true;
  const imports = checkImports(m, is64);
  const exports = checkExports(m);
  checkData(m, is64);
  checkGlobals(m);
  checkCountsAndSizes(m, is64);
  const code = scanCode(m);
  const customSections = checkCustomSections(m);
  initialImage(m);
  const memory = m.memories[0];
  return {
    memory:
      memory === undefined
        ? null
        : {
            minPages: memory.min,
            maxPages: Math.min(memory.max ?? Number.POSITIVE_INFINITY, memoryPagesMax(is64)),
            is64,
          },
    is64,
    tables: m.tables.map((table) => ({ minElements: table.min, is64: table.is64 })),
    mutableGlobals: m.globals.flatMap((global, index) =>
      global.mutable ? [{ index, type: global.type as GlobalType }] : [],
    ),
    hasStart: m.start !== null,
    methods: exports.methods,
    hooks: exports.hooks,
    customSections,
    imports,
    freshInstancePerMessage: code.dropsSegments,
    importedFunctionCount: m.importedFunctions.length,
    functionCount: m.functions.length,
    compileOperators: code.operators + functionOperatorsAdded(imports) + 2 * m.globals.length,
  };
}

function checkImports(m: DecodedModule, is64: boolean): string[] {
  const names = new Set<string>();
  for (const entry of m.imports) {
    if (entry.kind !== KIND_FUNCTION) throw badImport(refusedImport(entry.kind, entry.module, entry.name));
    const signature = IC0_IMPORTS.get(entry.name);
    if (signature === undefined || (signature.wasm32Only && is64)) {
      throw badImport(
        `Module imports function '${entry.name}' from '${entry.module}' that is not exported by the runtime.`,
      );
    }
    if (entry.module !== "ic0") {
      throw badImport(
        `Module imports function "${entry.name}" from "${entry.module}", expected to be imported from one of ["ic0"] instead.`,
      );
    }
    checkSignature(
      { params: concrete(signature.params, is64), results: concrete(signature.results, is64) },
      entry.name,
      m.types[entry.typeIndex] as FunctionType,
    );
    names.add(entry.name);
  }
  return [...names];
}

function badImport(detail: string): InvalidModule {
  return new InvalidModule("import_section", `Wasm module has an invalid import section. ${detail}`);
}

function refusedImport(kind: number, module: string, name: string): string {
  if (kind === KIND_TABLE) {
    if (name === "table" && module !== "env") return "Only tables imported from env.table are allowed.";
    return `Module imports table '${name}' from '${module}' that is not exported by the runtime.`;
  }
  if (kind === KIND_MEMORY) {
    if (name === "memory" && module !== "env") return "Only memory imported from env.memory is allowed.";
    return `Module imports memory '${name}' from '${module}' that is not exported by the runtime.`;
  }
  return kind === 3 ? "Importing globals is not allowed." : "Importing tags is not allowed.";
}

function concrete(types: readonly Ic0Type[], is64: boolean): ValueType[] {
  return types.map((type) => (type === "I" ? (is64 ? "i64" : "i32") : type));
}

function checkSignature(expected: FunctionType, name: string, actual: FunctionType): void {
  if (!sameTypes(expected.params, actual.params)) {
    throw badSignature(
      `Expected input params ${list(expected.params)} for '${name}', got ${list(actual.params)}.`,
    );
  }
  if (!sameTypes(expected.results, actual.results)) {
    throw badSignature(
      `Expected return type ${list(expected.results)} for '${name}', got ${list(actual.results)}.`,
    );
  }
}

function badSignature(detail: string): InvalidModule {
  return new InvalidModule("function_signature", `Wasm module has an invalid function signature. ${detail}`);
}

function sameTypes(a: readonly ValueType[], b: readonly ValueType[]): boolean {
  return a.length === b.length && a.every((type, i) => type === b[i]);
}

function list(types: readonly ValueType[]): string {
  return `[${types.map((type) => (type.endsWith("ref") ? type : type.toUpperCase())).join(", ")}]`;
}

interface Exports {
  readonly methods: { update: string[]; query: string[]; compositeQuery: string[] };
  readonly hooks: HookName[];
}

function checkExports(m: DecodedModule): Exports {
  const methods: Exports["methods"] = { update: [], query: [], compositeQuery: [] };
  const hooks: HookName[] = [];
  const seen = new Set<string>();
  let namesBytes = 0;
  for (const entry of m.exports) {
    if (RESERVED_EXPORTS.has(entry.name))
      throw badExport(`Exporting reserved symbol ${entry.name} not allowed.`);
    if (entry.kind !== KIND_FUNCTION || !entry.name.startsWith("canister_")) continue;
    const prefix = METHOD_PREFIXES.find(([text]) => entry.name.startsWith(text));
    if (prefix !== undefined) {
      const name = entry.name.slice(prefix[0].length);
      if (seen.has(name)) {
        throw new InvalidModule(
          "duplicate_export",
          `Duplicate function '${name}' exported multiple times with different call types: update, query, or composite_query.`,
        );
      }
      seen.add(name);
      namesBytes += new TextEncoder().encode(name).length;
      methods[prefix[1]].push(name);
    } else {
      const hook = HOOK_NAMES.find((name) => name === entry.name);
      if (hook === undefined)
        throw badExport(`Exporting reserved function '${entry.name}' with "canister_" prefix`);
      hooks.push(hook);
    }
    checkSignature({ params: [], results: [] }, entry.name, functionType(m, entry.index));
  }
  checkExportLimits(seen.size, namesBytes);
  return { methods, hooks };
}

function badExport(detail: string): InvalidModule {
  return new InvalidModule("export_section", `Wasm module has an invalid export section. ${detail}`);
}

function checkExportLimits(count: number, namesBytes: number): void {
  const kinds = "`canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>`";
  if (count > EXPORTED_METHODS_MAX) {
    throw new InvalidModule(
      "too_many_exports",
      `The number of exported functions called ${kinds} is ${count} which exceeds ${EXPORTED_METHODS_MAX}.`,
    );
  }
  if (namesBytes > EXPORTED_NAMES_BYTES_MAX) {
    throw new InvalidModule(
      "exported_names_too_long",
      `The sum of \`<name>\` lengths in exported functions called ${kinds} is ${namesBytes} ` +
        `which exceeds the allowed limit of ${EXPORTED_NAMES_BYTES_MAX}.`,
    );
  }
}

function checkData(m: DecodedModule, is64: boolean): void {
  for (const segment of m.data) {
    if (segment.offset === undefined) {
      throw new InvalidModule(
        "data_section",
        `Wasm module has an invalid data section. Invalid offset expression in data segment for ${is64 ? 64 : 32}bit memory`,
      );
    }
  }
}

function checkGlobals(m: DecodedModule): void {
  if (m.globals.length > GLOBALS_MAX) {
    throw new InvalidModule(
      "too_many_globals",
      `Wasm module defined ${m.globals.length} globals which exceeds the maximum number allowed ${GLOBALS_MAX}.`,
    );
  }
  for (const global of m.globals) {
    if (global.type === "funcref" || global.type === "externref") {
      throw new InvalidModule(
        "global_section",
        `Wasm module has an invalid global section. Unsupported global type: ${global.type}`,
      );
    }
  }
}

function checkCountsAndSizes(m: DecodedModule, is64: boolean): void {
  if (m.functions.length > FUNCTIONS_MAX) {
    throw new InvalidModule(
      "too_many_functions",
      `Wasm module defined ${m.functions.length} functions which exceeds the maximum number allowed ${FUNCTIONS_MAX}.`,
    );
  }
  const memory = m.memories[0];
  const pages = Math.max(memory?.min ?? 0, is64 ? (memory?.max ?? 0) : 0);
  if (pages > memoryPagesMax(is64)) {
    throw new InvalidModule(
      "memory_too_large",
      `Wasm module declares a memory of ${pages} pages which exceeds the maximum allowed ${memoryPagesMax(is64)}.`,
    );
  }
  if (m.tables.length > 1 || (m.tables[0]?.min ?? 0) > TABLE_ELEMENTS_MAX) {
    throw new InvalidModule(
      "table_section",
      `Wasm module defined ${m.tables.length} tables, the largest of ${Math.max(...m.tables.map((t) => t.min))} elements; ` +
        `the maximum is 1 table of ${TABLE_ELEMENTS_MAX} elements.`,
    );
  }
}

function checkCustomSections(m: DecodedModule): CustomSection[] {
  const sections = new Map<string, CustomSection>();
  let bytes = 0;
  for (const section of m.customSections) {
    const parsed = customSectionName(section.name);
    if (parsed === null) continue;
    const { name, visibility } = parsed;
    if (sections.has(name)) throw badCustom(`Invalid custom section: name ${name} already exists`);
    bytes += section.end - section.start + new TextEncoder().encode(name).length;
    if (bytes > CUSTOM_SECTIONS_BYTES_MAX) {
      throw badCustom(
        "Invalid custom sections: total size of the custom sections exceeds the maximum allowed: " +
          `size ${bytes} bytes, allowed ${CUSTOM_SECTIONS_BYTES_MAX} bytes`,
      );
    }
    sections.set(name, { name, visibility, content: m.bytes.slice(section.start, section.end) });
    if (sections.size > CUSTOM_SECTIONS_MAX) {
      throw new InvalidModule(
        "too_many_custom_sections",
        `Wasm module defined ${sections.size} custom sections which exceeds the maximum number allowed ${CUSTOM_SECTIONS_MAX}.`,
      );
    }
  }
  return [...sections.values()];
}

function badCustom(detail: string): InvalidModule {
  return new InvalidModule("custom_section", `Wasm module has an invalid custom section. ${detail}`);
}

function customSectionName(section: string): { name: string; visibility: "public" | "private" } | null {
  if (!section.startsWith("icp:")) return null;
  for (const visibility of ["public", "private"] as const) {
    const prefix = `icp:${visibility} `;
    if (section.startsWith(prefix)) return { name: section.slice(prefix.length), visibility };
  }
  if (section === "icp:public" || section === "icp:private") {
    throw badCustom("'icp:' section names must have a space after the public/private scope");
  }
  throw badCustom(`Invalid custom section: Custom section '${section}' has no public/private scope defined.`);
}
