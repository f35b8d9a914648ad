/** The rules for canister modules, one module each, with the replica's texts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngine, functionNames, IC0_IMPORTS, validateModule } from "./index.ts";
import { wat } from "./testing.ts";
import type { ModuleInfo, WasmValidationKind } from "./types.ts";

function accept(text: string): ModuleInfo {
  const result = validateModule(wat(text));
  assert.ok(result.ok, result.ok ? "" : result.error.message);
  return result.value;
}

function refuse(module: string | Uint8Array, kind: WasmValidationKind, message?: RegExp | string): void {
  const result = validateModule(typeof module === "string" ? wat(module) : module);
  assert.ok(!result.ok, "the module was accepted");
  assert.equal(result.error.kind, kind, result.error.message);
  if (typeof message === "string") assert.equal(result.error.message, message);
  else if (message !== undefined) assert.match(result.error.message, message);
}

/** Appends a custom section to a module. */
function withCustom(module: Uint8Array, name: string, content: Uint8Array): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  const body = [...leb(encoded.length), ...encoded, ...content];
  return new Uint8Array([...module, 0, ...leb(body.length), ...body]);
}

function leb(value: number): number[] {
  const out: number[] = [];
  for (let v = value; ; v >>>= 7) {
    if (v < 0x80) return [...out, v];
    out.push((v & 0x7f) | 0x80);
  }
}

const exported = (name: string, type = ""): string => `(func (export "${name}") ${type})`;
const EMPTY = wat("(module)");

test("imports: every System API function with its exact type, 32- and 64-bit", () => {
  for (const is64 of [false, true]) {
    const address = is64 ? "i64" : "i32";
    for (const [name, signature] of IC0_IMPORTS) {
      const list = (types: readonly string[]): string =>
        types.map((t) => (t === "I" ? address : t)).join(" ");
      const type = `(param ${list(signature.params)}) (result ${list(signature.results)})`;
      const module = `(module (import "ic0" "${name}" (func ${type})) (memory ${is64 ? "i64" : ""} 1))`;
      if (is64 && signature.wasm32Only) {
        refuse(
          module,
          "import_section",
          `Wasm module has an invalid import section. Module imports function '${name}' from 'ic0' that is not exported by the runtime.`,
        );
      } else {
        assert.deepEqual(accept(module).imports, [name]);
        refuse(module.replace("(result", "(result f32"), "function_signature", /Expected return type/);
        refuse(module.replace("(param", "(param f64"), "function_signature", /Expected input params/);
      }
    }
  }
});

test("imports: nothing else", () => {
  const head = "Wasm module has an invalid import section. ";
  refuse(
    `(module (import "ic0" "no_such" (func)))`,
    "import_section",
    `${head}Module imports function 'no_such' from 'ic0' that is not exported by the runtime.`,
  );
  refuse(
    `(module (import "env" "time" (func (result i64))))`,
    "import_section",
    `${head}Module imports function "time" from "env", expected to be imported from one of ["ic0"] instead.`,
  );
  refuse(`(module (import "env" "memory" (memory 1)))`, "import_section");
  refuse(
    `(module (import "ic0" "memory" (memory 1)))`,
    "import_section",
    `${head}Only memory imported from env.memory is allowed.`,
  );
  refuse(
    `(module (import "ic0" "table" (table 1 funcref)))`,
    "import_section",
    `${head}Only tables imported from env.table are allowed.`,
  );
  refuse(
    `(module (import "ic0" "g" (global i32)))`,
    "import_section",
    `${head}Importing globals is not allowed.`,
  );
  refuse(
    `(module (import "ic0" "msg_reply" (func (param i32))))`,
    "function_signature",
    "Wasm module has an invalid function signature. Expected input params [] for 'msg_reply', got [I32].",
  );
});

test("exports: methods and hooks", () => {
  const names = [
    "canister_update a",
    "canister_query b c",
    "canister_composite_query d",
    "canister_update ",
    "canister_init",
    "canister_heartbeat",
    "canister_on_low_wasm_memory",
    "other",
  ];
  const info = accept(
    `(module ${names.map((name) => exported(name)).join("")} ${exported("helper", "(param i32)")})`,
  );
  assert.deepEqual(info.methods, { update: ["a", ""], query: ["b c"], compositeQuery: ["d"] });
  assert.deepEqual(info.hooks, ["canister_init", "canister_heartbeat", "canister_on_low_wasm_memory"]);
  refuse(
    `(module ${exported("canister_update a")} ${exported("canister_query a")})`,
    "duplicate_export",
    "Duplicate function 'a' exported multiple times with different call types: update, query, or composite_query.",
  );
  refuse(
    `(module ${exported("canister_foo")})`,
    "export_section",
    `Wasm module has an invalid export section. Exporting reserved function 'canister_foo' with "canister_" prefix`,
  );
  refuse(
    `(module ${exported("canister_start")})`,
    "export_section",
    "Wasm module has an invalid export section. Exporting reserved symbol canister_start not allowed.",
  );
  refuse(`(module (global (export "canister counter_instructions") i64 (i64.const 0)))`, "export_section");
  refuse(
    `(module ${exported("canister_init", "(param i32)")})`,
    "function_signature",
    "Wasm module has an invalid function signature. Expected input params [] for 'canister_init', got [I32].",
  );
  refuse(
    `(module ${exported("canister_query q", "(result i64) (i64.const 1)")})`,
    "function_signature",
    /Expected return type \[\] for 'canister_query q', got \[I64\]/,
  );
});

test("exports: limits", () => {
  const many = (n: number): string =>
    `(module (func $f) ${Array.from({ length: n }, (_, i) => `(export "canister_update ${i}" (func $f))`).join("")})`;
  accept(many(1000));
  refuse(many(1001), "too_many_exports", /is 1001 which exceeds 1000\.$/);
  const long = (n: number): string => `(module ${exported(`canister_update ${"a".repeat(n)}`)})`;
  accept(long(20_000));
  refuse(long(20_001), "exported_names_too_long", /is 20001 which exceeds the allowed limit of 20000\.$/);
});

test("memories, tables, globals, functions", () => {
  assert.deepEqual(accept("(module (memory 2 10))").memory, { minPages: 2, maxPages: 10, is64: false });
  assert.deepEqual(accept("(module (memory 2))").memory, { minPages: 2, maxPages: 65_536, is64: false });
  assert.deepEqual(accept("(module (memory i64 2))").memory, { minPages: 2, maxPages: 98_304, is64: true });
  refuse("(module (memory i64 2 98305))", "memory_too_large");
  refuse("(module (memory i64 98305))", "memory_too_large");
  accept("(module (table 1000000 funcref))");
  refuse("(module (table 1000001 funcref))", "table_section");
  refuse("(module (table 1 funcref) (table 1 funcref))", "table_section");
  const globals = (n: number): string => `(module ${"(global (mut i64) (i64.const 1))".repeat(n)})`;
  assert.equal(accept(globals(1000)).mutableGlobals.length, 1000);
  refuse(
    globals(1001),
    "too_many_globals",
    "Wasm module defined 1001 globals which exceeds the maximum number allowed 1000.",
  );
  refuse(
    "(module (global (mut funcref) (ref.null func)))",
    "global_section",
    "Wasm module has an invalid global section. Unsupported global type: funcref",
  );
  accept(`(module ${"(func)".repeat(50_000)})`);
  refuse(
    `(module ${"(func)".repeat(50_001)})`,
    "too_many_functions",
    "Wasm module defined 50001 functions which exceeds the maximum number allowed 50000.",
  );
});

test("data segments: plain constants inside the initial memory", () => {
  accept(`(module (memory 1) (data (i32.const 65535) "a"))`);
  refuse(
    `(module (memory 1) (data (i32.const 65535) "ab"))`,
    "data_segment",
    "Wasm module has invalid data segment of 2 bytes at 65535",
  );
  refuse(`(module (memory 1) (data (i32.const -1) "a"))`, "data_segment");
  refuse(`(module (memory 1) (data (i32.add (i32.const 1) (i32.const 2)) "a"))`, "data_section");
});

test("functions: size, complexity and refused table operators", () => {
  accept(`(module (func ${"nop ".repeat(999_999)}))`);
  refuse(
    `(module (func) (func ${"nop ".repeat(1_000_000)}))`,
    "function_complexity",
    "Wasm module contains a function at index 1 with complexity 1000001 which exceeds the maximum complexity allowed 1000000.",
  );
  refuse(`(module (func $f ${"call $f ".repeat(20_001)}))`, "function_complexity");
  const head = "Wasm module contains a function at index 0 with unsupported instruction ";
  const table = (body: string): string => `(module (table 2 funcref) (elem func 0) (func ${body}))`;
  refuse(
    table("(table.set 0 (i32.const 0) (ref.null func))"),
    "unsupported_instruction",
    `${head}table.set.`,
  );
  refuse(
    table("(drop (table.grow 0 (ref.null func) (i32.const 0)))"),
    "unsupported_instruction",
    `${head}table.grow.`,
  );
  refuse(
    table("(table.fill 0 (i32.const 0) (ref.null func) (i32.const 0))"),
    "unsupported_instruction",
    `${head}table.fill.`,
  );
  refuse(
    table("(table.copy 0 0 (i32.const 0) (i32.const 0) (i32.const 0))"),
    "unsupported_instruction",
    `${head}table.copy.`,
  );
  refuse(
    table("(table.init 0 (i32.const 0) (i32.const 0) (i32.const 0))"),
    "unsupported_instruction",
    `${head}table.init.`,
  );
  assert.equal(
    accept(table("(drop (table.get 0 (i32.const 0))) (elem.drop 0)")).freshInstancePerMessage,
    true,
  );
});

const VALIDATION = "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with ";

test("Wasm features that canisters do not have", () => {
  refuse("(module (memory 1 1 shared))", "engine_validation");
  refuse(
    "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
    "engine_validation",
    /unsupported instruction 0xfe 0x10/,
  );
  refuse("(module (func $f (return_call $f)))", "engine_validation", /unsupported instruction 0x12/);
  refuse("(module (tag $t) (func (throw $t)))", "engine_validation");
  refuse(
    '(module (func $update) (memory 1) (memory 1) (export "canister_update update" (func $update)))',
    "engine_validation",
    `${VALIDATION}multiple memories (at offset 0x14)`,
  );
  const vector = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
  const body = [0, ...vector, ...vector, 0xfd, 0x80, 0x02, 0x1a, 0x0b]; // i8x16.relaxed_swizzle
  const relaxed = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, body.length + 2, 1, body.length, ...body];
  refuse(new Uint8Array([...EMPTY, ...relaxed]), "engine_validation", /unsupported instruction 0xfd 0x100/);
  const structType = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 3, 1, 0x5f, 0]);
  refuse(structType, "engine_validation", /only function types are allowed/);
});

test("custom sections", () => {
  const bytes = (n: number): Uint8Array => new Uint8Array(n);
  let module = withCustom(
    withCustom(EMPTY, "icp:public candid:service", new Uint8Array([1, 2])),
    "icp:private x y",
    bytes(1),
  );
  module = withCustom(withCustom(module, "other", bytes(5)), "other", bytes(5));
  const result = validateModule(module);
  assert.ok(result.ok);
  assert.deepEqual(result.value.customSections, [
    { name: "candid:service", visibility: "public", content: new Uint8Array([1, 2]) },
    { name: "x y", visibility: "private", content: new Uint8Array(1) },
  ]);
  const head = "Wasm module has an invalid custom section. ";
  refuse(
    withCustom(EMPTY, "icp:public", bytes(0)),
    "custom_section",
    `${head}'icp:' section names must have a space after the public/private scope`,
  );
  refuse(
    withCustom(EMPTY, "icp:shared x", bytes(0)),
    "custom_section",
    `${head}Invalid custom section: Custom section 'icp:shared x' has no public/private scope defined.`,
  );
  refuse(
    withCustom(withCustom(EMPTY, "icp:public a", bytes(0)), "icp:private a", bytes(0)),
    "custom_section",
    `${head}Invalid custom section: name a already exists`,
  );
  const limit = 1024 * 1024;
  assert.ok(validateModule(withCustom(EMPTY, "icp:public a", bytes(limit - 1))).ok);
  refuse(
    withCustom(EMPTY, "icp:public a", bytes(limit)),
    "custom_section",
    `${head}Invalid custom sections: total size of the custom sections exceeds the maximum allowed: size 1048577 bytes, allowed 1048576 bytes`,
  );
  const sections = (n: number): Uint8Array => {
    let out = EMPTY;
    for (let i = 0; i < n; i++) out = withCustom(out, `icp:public ${i}`, bytes(0));
    return out;
  };
  assert.ok(validateModule(sections(16)).ok);
  refuse(
    sections(17),
    "too_many_custom_sections",
    "Wasm module defined 17 custom sections which exceeds the maximum number allowed 16.",
  );
});

test("sizes", () => {
  refuse(new Uint8Array(0), "decoding");
  refuse(new Uint8Array([0x1f, 0x8b, 8]), "decoding");
  refuse(new Uint8Array(100 * 1024 * 1024 + 1), "module_size");
  const size = 10 * 1024 * 1024 + 1;
  const code = new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    10,
    ...leb(size),
    ...new Array<number>(8).fill(0),
  ]);
  refuse(
    new Uint8Array([...code, ...new Uint8Array(size)]),
    "code_section_size",
    `Wasm module code section size of ${size} exceeds the maximum allowed size of 10485760.`,
  );
});

test("the cost of compiling counts what the replica's instrumentation adds", () => {
  const base = 20 + 46 + 3 * 2;
  assert.equal(accept("(module)").compileOperators, base);
  assert.equal(accept("(module (func))").compileOperators, base + 1 + 10);
  assert.equal(accept("(module (global i32 (i32.const 0)))").compileOperators, base + 2);
  assert.equal(accept("(module (func (block (nop)) (nop)))").compileOperators, base + 5 + 10 + 4);
  assert.equal(accept("(module (func (loop (nop))))").compileOperators, base + 4 + 10 + 10);
  assert.equal(
    accept("(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))")
      .compileOperators,
    base + 5 + 10 + 3,
  );
  assert.equal(
    accept("(module (memory i64 1) (func (memory.fill (i64.const 0) (i32.const 0) (i64.const 0))))")
      .compileOperators,
    base + 5 + 10 + 1,
  );
  assert.equal(
    accept("(module (memory 1) (func (drop (memory.grow (i32.const 0)))))").compileOperators,
    base + 4 + 10 + 3,
  );
  const compiled = createEngine().compile(wat("(module)"));
  assert.ok(compiled.ok && compiled.value.compileInstructions === 6000n * BigInt(base));
});

test("function names come from the name section, whatever its state", () => {
  const names = [5, 0, 2, 0, 1, 0x61, 1, 1, 0x62];
  const section = [1, names.length - 1 + 1, 2, 0, 1, 0x61, 1, 1, 0x62];
  assert.deepEqual(
    [...functionNames(withCustom(EMPTY, "name", new Uint8Array([1, 7, 2, 0, 1, 0x61, 1, 1, 0x62])))],
    [
      [0, "a"],
      [1, "b"],
    ],
  );
  assert.deepEqual([...functionNames(withCustom(EMPTY, "name", new Uint8Array(section.slice(0, 5))))], []);
  assert.deepEqual([...functionNames(EMPTY)], []);
});
