/**
 * What every System API function costs in instructions, in modules with 32-bit and with 64-bit memory. The table is written from
 * the replica's source, rs/embedders/src/wasmtime_embedder/system_api_complexity.rs (`overhead`, `overhead_native`) and linker.rs
 * of dfinity/ic for what depends on lengths; rs/embedders/src/wasm_utils/system_api_replacements.rs for stable memory; and
 * rs/config/src/embedders.rs for the factor of dirty pages. It is not read from our constants: each figure is the difference of
 * the instructions that two messages used, one with the call and one without.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, principalFromText } from "@orrery/base";
import { newCanister } from "@orrery/state";
import { IC0_IMPORTS, type Ic0Signature } from "@orrery/wasm";
import { Bench, CONTROLLER, context, SUBNET } from "../testing/bench.testkit.ts";
import type { EntryPoint, MessageContext, MessageOutcome } from "../types.ts";

type Where = "update" | "query" | "inspect" | "reply" | "reject";

interface Row {
  /** Whatever the arguments are. */
  readonly fixed: number;
  /** For each byte of the argument that has this index. */
  readonly bytes?: Readonly<Record<number, number>>;
  /** Of every argument; `n` is a length that one of two messages has, 0 the other's. */
  readonly args?: (n: number) => readonly (number | bigint)[];
  readonly where?: Where;
  /** Calls before it, without which it would fail. */
  readonly before?: readonly string[];
  /** The message ends with an error, as it must. */
  readonly traps?: RegExp;
  readonly minting?: true;
}

const MINTING = {
  id: principalFromText("rkp4c-7iaaa-aaaaa-aaaca-cai") as CanisterId,
  controllers: [CONTROLLER],
  cycles: 10_000_000_000_000n,
  time: 1n,
};
const LENGTH = 8;
const FIXED: Row = { fixed: 500 };
/** `(dst, offset, size)`. */
const COPY: Row = { fixed: 500, bytes: { 2: 1 }, args: (n) => [0, 0, n] };
const NEW = "(call $call_new (P 16) (P 10) (P 32) (P 4) (P 0) (P 0) (P 0) (P 0))";
const CALLING: Row = { fixed: 500, before: [NEW] };
/** A key name that exists only when it is whole; the answer is a code, not an error. */
const SIGNING: Row = { fixed: 500, bytes: { 1: 1 }, args: (n) => [48, n, 0, 256] };

/** By name; what is not listed has the price of `FIXED`. */
const ROWS: Readonly<Record<string, Row>> = {
  msg_arg_data_copy: COPY,
  msg_caller_copy: { ...COPY, args: (n) => [0, 0, Math.min(n, 1)], bytes: { 2: 1 } },
  msg_caller_info_data_copy: COPY,
  msg_caller_info_signer_copy: COPY,
  msg_reject_code: { fixed: 500, where: "reject" },
  msg_reject_msg_size: { fixed: 500, where: "reject" },
  msg_reject_msg_copy: { ...COPY, where: "reject" },
  msg_reply_data_append: { fixed: 500, bytes: { 1: 50 }, args: (n) => [0, n] },
  msg_reject: { fixed: 500, bytes: { 1: 50 }, args: (n) => [512, n] },
  msg_cycles_refunded: { fixed: 500, where: "reply" },
  msg_cycles_refunded128: { fixed: 500, where: "reply" },
  canister_self_copy: COPY,
  subnet_self_copy: COPY,
  root_key_copy: COPY,
  msg_method_name_size: { fixed: 500, where: "inspect" },
  msg_method_name_copy: { ...COPY, where: "inspect" },
  accept_message: { fixed: 500, where: "inspect" },
  // Callee and name are read by the byte.
  call_new: { fixed: 1_500, bytes: { 1: 1, 3: 1 }, args: (n) => [16, n, 32, n, 0, 0, 0, 0] },
  call_on_cleanup: CALLING,
  call_data_append: { ...CALLING, bytes: { 1: 50 }, args: (n) => [0, n] },
  call_with_best_effort_response: CALLING,
  call_perform: { ...CALLING, fixed: 5_000 },
  call_cycles_add: CALLING,
  call_cycles_add128: CALLING,
  // These two run inside the instrumented module, where nothing charges them.
  stable_size: { fixed: 0 },
  stable64_size: { fixed: 0 },
  stable_grow: { fixed: 100 },
  stable64_grow: { fixed: 100 },
  stable_read: {
    fixed: 20,
    bytes: { 2: 1 },
    args: (n) => [0, 0, n],
    before: ["(drop (call $stable_grow (i32.const 1)))"],
  },
  stable64_read: {
    fixed: 20,
    bytes: { 2: 1 },
    args: (n) => [0, 0, n],
    before: ["(drop (call $stable64_grow (i64.const 1)))"],
  },
  // The page is dirty before the write that is counted.
  stable_write: {
    fixed: 20,
    bytes: { 2: 1 },
    args: (n) => [0, 0, n],
    before: [
      "(drop (call $stable_grow (i32.const 1)))",
      "(call $stable_write (i32.const 0) (i32.const 0) (i32.const 1))",
    ],
  },
  stable64_write: {
    fixed: 20,
    bytes: { 2: 1 },
    args: (n) => [0, 0, n],
    before: [
      "(drop (call $stable64_grow (i64.const 1)))",
      "(call $stable64_write (i64.const 0) (i64.const 0) (i64.const 1))",
    ],
  },
  certified_data_set: { fixed: 500, bytes: { 1: 1 }, args: (n) => [0, n] },
  data_certificate_size: { fixed: 500, where: "query" },
  data_certificate_copy: { ...COPY, where: "query" },
  performance_counter: { fixed: 200 },
  is_controller: { fixed: 1_000, bytes: { 1: 1 }, args: (n) => [0, n] },
  cost_http_request_v2: { fixed: 10_000, traps: /Failed to decode HttpRequestV2CostParams/ },
  cost_sign_with_ecdsa: SIGNING,
  cost_sign_with_schnorr: SIGNING,
  cost_vetkd_derive_key: SIGNING,
  env_var_name_copy: { fixed: 500, bytes: { 3: 1 }, args: (n) => [0, 64, 0, n] },
  // The name is not paid for, here and in the next two; the value is.
  env_var_name_exists: { fixed: 500, args: (n) => [80, n] },
  env_var_value_size: { fixed: 500, args: () => [80, 8] },
  env_var_value_copy: { fixed: 500, bytes: { 4: 1 }, args: (n) => [80, 8, 64, 0, n] },
  // Twice what the log could hold of it, and fifty times what it has room for.
  debug_print: { fixed: 100, bytes: { 1: 52 }, args: (n) => [0, n] },
  trap: { fixed: 500, bytes: { 1: 53 }, args: (n) => [512, n], traps: /ic0\.trap/ },
  mint_cycles: { fixed: 0, minting: true },
  mint_cycles128: { fixed: 0, minting: true },
};

const IMPORTS = [...IC0_IMPORTS.keys()];
const DATA = `(data (i32.const 16) "\\00\\00\\00\\00\\00\\00\\00\\09\\01\\01") (data (i32.const 32) "meth") (data (i32.const 48) "test_key")
  (data (i32.const 80) "VARIABLE") (data (i32.const 512) "rejected")`;

function typed(type: string, is64: boolean): string {
  return type === "I" ? (is64 ? "i64" : "i32") : type;
}

function declaration(name: string, signature: Ic0Signature, is64: boolean): string {
  const list = (kind: string, types: readonly string[]): string =>
    types.length === 0 ? "" : `(${kind} ${types.map((type) => typed(type, is64)).join(" ")})`;
  return `(import "ic0" "${name}" (func $${name} ${list("param", signature.params)} ${list("result", signature.results)}))`;
}

/** `none` and `some` call the function, without bytes and with `LENGTH` of them; `not` does everything else that they do. */
function moduleOf(name: string, row: Row, is64: boolean): string {
  const signature = IC0_IMPORTS.get(name) as Ic0Signature;
  const before = (row.before ?? [])
    .join("\n")
    .replaceAll(/\(P (\d+)\)/g, `(${is64 ? "i64" : "i32"}.const $1)`);
  const constants = (n: number): string[] =>
    signature.params.map((type, at) => `(${typed(type, is64)}.const ${row.args?.(n)[at] ?? 0})`);
  const call = (n: number): string => {
    const text = `(call $${name} ${constants(n).join(" ")})`;
    return signature.results.length === 0 ? text : `(drop ${text})`;
  };
  const declared = IMPORTS.flatMap((one) => {
    const its = IC0_IMPORTS.get(one) as Ic0Signature;
    return is64 && its.wasm32Only ? [] : [declaration(one, its, is64)];
  });
  const at = is64 ? DATA.replaceAll("(i32.const", "(i64.const") : DATA;
  const index = is64 ? "i64" : "i32";
  const functions = (["not", "none", "some"] as const).map((form) => {
    const body = form === "not" ? "" : call(form === "none" ? 0 : LENGTH);
    return `(func $${form} (export "canister_update ${form}") (export "canister_query q_${form}") ${before} ${body})
      (func $cb_${form} (param ${index}) ${before} ${body})`;
  });
  return `(module ${declared.join("\n")} (memory ${is64 ? "i64" : ""} 1) ${at} (table 3 funcref)
    (elem (i32.const 0) $cb_not $cb_none $cb_some) ${functions.join("\n")})`;
}

const FORMS = ["not", "none", "some"] as const;
type Form = (typeof FORMS)[number];

/** inspect_message has one entry, so the module exports it anew for each form. */
function inspecting(text: string, form: Form): string {
  return text.replace(`(func $${form} `, `(func $${form} (export "canister_inspect_message") `);
}

function run(name: string, row: Row, is64: boolean, form: Form): MessageOutcome {
  const bench = new Bench();
  const text = moduleOf(name, row, is64);
  const canister = row.minting ? newCanister(MINTING) : bench.empty();
  const { meta } = canister;
  meta.settings = { ...meta.settings, environmentVariables: [{ name: "VARIABLE", value: "eightlet" }] };
  assert.equal(bench.install(canister, row.where === "inspect" ? inspecting(text, form) : text).error, null);
  const arg = new Uint8Array(16);
  const overrides: Partial<MessageContext> = {
    cyclesAvailable: 100n,
    callerInfo: { info: arg, signer: arg as never },
  };
  const closure = { fun: FORMS.indexOf(form), env: 0n };
  const entries: Readonly<Record<Where, EntryPoint>> = {
    update: { kind: "update", method: form, arg },
    query: { kind: "query", method: `q_${form}`, arg },
    inspect: { kind: "inspect_message", method: "eight_letters", arg },
    reply: { kind: "reply_callback", closure, arg },
    reject: { kind: "reject_callback", closure, code: 4, message: "no such thing" },
  };
  const where = row.where ?? "update";
  const entry = entries[where];
  if (where === "inspect") return bench.runner.inspect(canister, entry, context(overrides));
  if (where !== "query") return bench.runner.execute(canister, entry, context(overrides));
  return bench.runner.query(canister, entry, {
    context: context({ ...overrides, dataCertificate: new Uint8Array(16) }),
  }).outcome;
}

function check(name: string, row: Row, is64: boolean): void {
  const signature = IC0_IMPORTS.get(name) as Ic0Signature;
  const used = (form: Form): bigint => {
    const { error, instructions } = run(name, row, is64, form);
    if (row.traps !== undefined && form !== "not") assert.match(error?.message ?? "", row.traps);
    else assert.equal(error, null, `${name}: ${error?.message}`);
    return instructions;
  };
  // A constant for each parameter, the call, and the drop of a result.
  const operators = BigInt(signature.params.length + 5 + signature.results.length);
  assert.equal(used("none") - used("not") - operators, BigInt(row.fixed), `${name}: fixed price`);
  const [none, some] = [row.args?.(0) ?? [], row.args?.(LENGTH) ?? []];
  const byLength = Object.entries(row.bytes ?? {}).reduce(
    (sum, [at, price]) => sum + price * (Number(some[Number(at)]) - Number(none[Number(at)])),
    0,
  );
  assert.equal(used("some") - used("none"), BigInt(byLength), `${name}: price of its bytes`);
}

test("every row is a function, and functions without one cost 500", () => {
  for (const name of Object.keys(ROWS)) assert.ok(IC0_IMPORTS.has(name), name);
  assert.equal(IMPORTS.length, 78);
});

for (const [name, signature] of IC0_IMPORTS) {
  const row = ROWS[name] ?? FIXED;
  test(`the price of ${name}`, () => {
    check(name, row, false);
    if (!signature.wasm32Only) check(name, row, true);
  });
}

const DIRTY = (is64: boolean): string => `(module
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (memory ${is64 ? "i64" : ""} 1)
  (func (export "canister_update one") (drop (call $grow (i64.const 1))) (call $write (i64.const 4095) (i64.const 0) (i64.const 1)))
  (func (export "canister_update two") (drop (call $grow (i64.const 1))) (call $write (i64.const 4095) (i64.const 0) (i64.const 2)))
  (func (export "canister_update again") (drop (call $grow (i64.const 1))) (call $write (i64.const 4095) (i64.const 0) (i64.const 2))
    (call $write (i64.const 4095) (i64.const 0) (i64.const 2))))`;

for (const [is64, price] of [
  [false, 1_000n],
  [true, 4_000n],
] as const) {
  test(`a stable page that a message writes first costs ${price} in a ${is64 ? 64 : 32}-bit module`, () => {
    const bench = new Bench();
    const canister = bench.installed(DIRTY(is64));
    const used = (method: string): bigint => bench.update(canister, method).instructions;
    assert.equal(used("two") - used("one"), price + 1n);
    assert.equal(used("again") - used("two"), 3n + 5n + 20n + 2n);
  });
}

test("what a log has no room for is cheaper to print, and on system subnets a byte costs one more", () => {
  const text = `(module (import "ic0" "debug_print" (func $print (param i32 i32))) (memory 1)
    (func (export "canister_update p") (call $print (i32.const 0) (i32.const 1000)))
    (func (export "canister_update pp") (call $print (i32.const 0) (i32.const 1000)) (call $print (i32.const 0) (i32.const 10000))))`;
  const bench = new Bench();
  const canister = bench.installed(text);
  const used = (method: string, type: "application" | "system"): bigint =>
    bench.update(canister, method, "", { subnet: { ...SUBNET, type } }).instructions;
  const operators = 2n + 5n;
  assert.equal(used("p", "application"), 1n + operators + 100n + 52n * 1_000n);
  assert.equal(used("p", "system"), 1n + operators + 100n + 53n * 1_000n);
  const capacity = canister.meta.settings.logMemoryLimit;
  // Of the second text the log holds its capacity, and has room for what the first record left.
  const second = used("pp", "application") - used("p", "application") - operators - 100n - 2n * capacity;
  assert.equal(second % 50n, 0n);
  const left = second / 50n;
  assert.ok(left < capacity - 1_000n && left > capacity - 1_100n, `${left} bytes of ${capacity}`);
});
