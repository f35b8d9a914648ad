/**
 * Every import in every context and both widths, against the specification's table: what is not listed is a contract violation
 * in the replica's words, what is listed gets past the check.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IC0_IMPORTS, type Ic0Signature } from "@orrery/wasm";
import type { UserError } from "../error-codes.ts";
import { Bench, context } from "../testing/bench.testkit.ts";
import type { EntryPoint, MessageContext } from "../types.ts";
import { Host } from "./host.ts";
import { systemApi } from "./imports.ts";
import { IMPORT_CONTEXTS, type ImportName, isReplicated, type Mode, maskOf, modeText } from "./modes.ts";

const NAMES = Object.keys(IMPORT_CONTEXTS) as ImportName[];
const CALLBACK = { fun: 0, env: 0n };

/** How each context is entered on an installed canister; installation hooks are handled apart. */
const ENTRIES: readonly (readonly [Mode, EntryPoint])[] = [
  ["update", { kind: "update", method: "u", arg: new Uint8Array(0) }],
  ["replicated_query", { kind: "replicated_query", method: "q", arg: new Uint8Array(0) }],
  ["query", { kind: "query", method: "q", arg: new Uint8Array(0) }],
  ["transform", { kind: "transform", method: "q", arg: new Uint8Array(0) }],
  ["composite_query", { kind: "composite_query", method: "c", arg: new Uint8Array(0) }],
  ["inspect_message", { kind: "inspect_message", method: "u", arg: new Uint8Array(0) }],
  ["heartbeat", { kind: "heartbeat" }],
  ["global_timer", { kind: "global_timer" }],
  ["on_low_wasm_memory", { kind: "on_low_wasm_memory" }],
  ["reply_callback", { kind: "reply_callback", closure: CALLBACK, arg: new Uint8Array(0) }],
  ["reject_callback", { kind: "reject_callback", closure: CALLBACK, code: 4, message: "no" }],
  [
    "composite_reply_callback",
    { kind: "composite_reply_callback", closure: CALLBACK, arg: new Uint8Array(0) },
  ],
  [
    "composite_reject_callback",
    { kind: "composite_reject_callback", closure: CALLBACK, code: 4, message: "no" },
  ],
  ["cleanup", { kind: "cleanup", closure: CALLBACK, rejectCode: 0 }],
  ["composite_cleanup", { kind: "composite_cleanup", closure: CALLBACK, rejectCode: 0 }],
];

function watType(type: string, is64: boolean): string {
  if (type === "I") return is64 ? "i64" : "i32";
  return type;
}

/** A body that calls the import with zeros. */
function body(signature: Ic0Signature, is64: boolean): string {
  const args = signature.params.map((type) => `(${watType(type, is64)}.const 0)`).join(" ");
  const call = `(call $it ${args})`;
  return signature.results.length === 0 ? call : `(drop ${call})`;
}

function declaration(name: string, signature: Ic0Signature, is64: boolean): string {
  const params = signature.params.map((type) => watType(type, is64)).join(" ");
  const results = signature.results.map((type) => watType(type, is64)).join(" ");
  return `(import "ic0" "${name}" (func $it ${params === "" ? "" : `(param ${params})`} ${results === "" ? "" : `(result ${results})`}))`;
}

function memory(is64: boolean): string {
  return is64 ? "(memory i64 1)" : "(memory 1)";
}

function messageModule(name: string, signature: Ic0Signature, is64: boolean): string {
  const exports = [
    "canister_update u",
    "canister_query q",
    "canister_composite_query c",
    "canister_inspect_message",
    "canister_heartbeat",
    "canister_global_timer",
    "canister_on_low_wasm_memory",
  ].map((one) => `(export "${one}" (func $run))`);
  return `(module ${declaration(name, signature, is64)} ${memory(is64)}
    (table 1 funcref) (elem (i32.const 0) $callback)
    (func $run ${body(signature, is64)})
    (func $callback (param ${is64 ? "i64" : "i32"}) (call $run))
    ${exports.join(" ")})`;
}

function hookModule(name: string, signature: Ic0Signature, is64: boolean, where: string): string {
  const use = where === "start" ? "(start $run)" : `(export "${where}" (func $run))`;
  return `(module ${declaration(name, signature, is64)} ${memory(is64)} (func $run ${body(signature, is64)}) ${use})`;
}

function check(name: ImportName, mode: Mode, error: UserError | null): void {
  const allowed = (IMPORT_CONTEXTS[name] & maskOf(mode)) !== 0;
  const pattern = new RegExp(
    `^Error from Canister [a-z0-9-]+: Canister violated contract: "ic0[._]${name}" cannot be executed in `,
  );
  const refused = error !== null && pattern.test(error.message);
  // A certificate is only there in the entry of the query that the user asked for; without one the refusal is the same.
  assert.equal(refused, !allowed, `${name} in ${mode}: ${error?.message ?? "no error"}`);
  if (!refused) return;
  assert.equal(error?.code, 504);
  assert.ok(
    error.message.includes(` in ${modeText(mode)} mode.\nCheck the ICP documentation`),
    error.message,
  );
}

function overrides(): Partial<MessageContext> {
  return { dataCertificate: new Uint8Array(8) };
}

function runEverywhere(name: ImportName, is64: boolean): void {
  const signature = IC0_IMPORTS.get(name) as Ic0Signature;
  const bench = new Bench();
  const canister = bench.installed(messageModule(name, signature, is64));
  for (const [mode, entry] of ENTRIES) {
    const outcome = isReplicated(mode)
      ? bench.runner.execute(canister, entry, context(overrides()))
      : bench.runner.query(canister, entry, { context: context(overrides()) }).outcome;
    check(name, mode, outcome.error);
  }
  for (const [mode, where] of [
    ["start", "start"],
    ["init", "canister_init"],
  ] as const) {
    const outcome = bench.install(bench.empty(), hookModule(name, signature, is64, where), {
      context: overrides(),
    });
    check(name, mode, outcome.error);
  }
  for (const [mode, where] of [
    ["pre_upgrade", "canister_pre_upgrade"],
    ["init", "canister_post_upgrade"],
  ] as const) {
    const module = hookModule(name, signature, is64, where);
    const old = bench.installed(where === "canister_pre_upgrade" ? module : "(module)");
    const next = where === "canister_pre_upgrade" ? "(module)" : module;
    const outcome = bench.install(old, next, { mode: "upgrade", context: overrides() });
    check(name, mode, outcome.error);
  }
}

describe("System API", () => {
  test("serves exactly the imports that a module may have", () => {
    assert.deepEqual(NAMES.slice().sort(), [...IC0_IMPORTS.keys()].sort());
    assert.deepEqual(Object.keys(systemApi(new Host(false))).sort(), [...IC0_IMPORTS.keys()].sort());
  });

  for (const name of NAMES) {
    test(`${name} in every context, 32-bit`, () => runEverywhere(name, false));
    if (IC0_IMPORTS.get(name)?.wasm32Only === false) {
      test(`${name} in every context, 64-bit`, () => runEverywhere(name, true));
    }
  }
});
