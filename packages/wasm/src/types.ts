/** What the decoder and the validator tell the rest of the system about a canister module. Plain data, cloneable. */

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "funcref" | "externref";
export type GlobalType = "i32" | "i64" | "f32" | "f64" | "v128";

export const HOOK_NAMES = [
  "canister_init",
  "canister_inspect_message",
  "canister_pre_upgrade",
  "canister_post_upgrade",
  "canister_heartbeat",
  "canister_global_timer",
  "canister_on_low_wasm_memory",
] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface MemoryInfo {
  /** 64 KiB pages at instantiation. */
  readonly minPages: number;
  /** The most that `memory.grow` may reach: the declared maximum, capped at 4 GiB (32-bit) or 6 GiB (64-bit). */
  readonly maxPages: number;
  readonly is64: boolean;
}

export interface CustomSection {
  readonly name: string;
  readonly visibility: "public" | "private";
  readonly content: Uint8Array;
}

export interface ModuleInfo {
  readonly memory: MemoryInfo | null;
  /** The System API's `I` is i64. */
  readonly is64: boolean;
  readonly tables: readonly { readonly minElements: number; readonly is64: boolean }[];
  /** In index order; the order of `readGlobals` and `writeGlobals`. */
  readonly mutableGlobals: readonly { readonly index: number; readonly type: GlobalType }[];
  readonly hasStart: boolean;
  readonly methods: {
    readonly update: readonly string[];
    readonly query: readonly string[];
    readonly compositeQuery: readonly string[];
  };
  readonly hooks: readonly HookName[];
  readonly customSections: readonly CustomSection[];
  /** Names imported from `ic0`, without duplicates. */
  readonly imports: readonly string[];
  /** Drops segments at run time: an instance that ran one message must not run another. */
  readonly freshInstancePerMessage: boolean;
  /** Imported functions precede local ones in a backtrace's function indices. */
  readonly importedFunctionCount: number;
  readonly functionCount: number;
  /** Operators that the replica would compile; 6,000 instructions each at install. */
  readonly compileOperators: number;
}

/** Why a module is refused; `message` is the text that follows "Canister's Wasm module is not valid: ". */
export interface WasmValidationError {
  readonly kind: WasmValidationKind;
  readonly message: string;
}

export type WasmValidationKind =
  | "engine_validation"
  | "decoding"
  | "function_signature"
  | "import_section"
  | "export_section"
  | "duplicate_export"
  | "too_many_exports"
  | "exported_names_too_long"
  | "data_section"
  | "data_segment"
  | "custom_section"
  | "global_section"
  | "table_section"
  | "memory_too_large"
  | "too_many_globals"
  | "too_many_functions"
  | "too_many_custom_sections"
  | "function_complexity"
  | "unsupported_instruction"
  | "function_size"
  | "code_section_size"
  | "engine_limit"
  | "instantiation"
  | "module_size";
