/**
 * Every `*_copy` at the bounds of what it copies and of the memory that it copies to, in both widths (interface spec, "Blob-typed
 * arguments and results"): the last byte is there, the one after it is a contract violation in the replica's words.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "@orrery/base";
import { IC0_IMPORTS, type Ic0Signature } from "@orrery/wasm";
import { Bench, CONTROLLER, context, SUBNET } from "../testing/bench.testkit.ts";
import type { EntryPoint, MessageOutcome } from "../types.ts";

type Where = "update" | "inspect" | "reject" | "query";

interface Row {
  readonly name: string;
  readonly source: Uint8Array;
  /** How texts call memory and source. */
  readonly what: readonly [string, string];
  readonly where?: Where;
  /** Arguments before `dst`. */
  readonly before?: readonly number[];
}

const DATA = utf8("sixteen bytes..!");
const SIGNER = Uint8Array.of(1, 2, 3, 4, 5);
const CERTIFICATE = new Uint8Array(40).fill(3);
const ID = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 1, 1);
const MEMORY = 65_536;

const ROWS: readonly Row[] = [
  { name: "msg_arg_data_copy", source: DATA, what: ["heap", "payload"] },
  { name: "msg_caller_copy", source: CONTROLLER, what: ["heap", "id"] },
  { name: "msg_caller_info_data_copy", source: DATA, what: ["heap", "info"] },
  { name: "msg_caller_info_signer_copy", source: SIGNER, what: ["heap", "signer"] },
  { name: "msg_method_name_copy", source: utf8("inspected"), what: ["heap", "payload"], where: "inspect" },
  { name: "msg_reject_msg_copy", source: utf8("no such"), what: ["heap", "msg"], where: "reject" },
  { name: "canister_self_copy", source: ID, what: ["heap", "id"] },
  { name: "subnet_self_copy", source: SUBNET.subnetId, what: ["heap", "id"] },
  { name: "root_key_copy", source: SUBNET.rootKey, what: ["heap", "bytes"] },
  { name: "data_certificate_copy", source: CERTIFICATE, what: ["dst", "offset"], where: "query" },
  { name: "env_var_name_copy", source: utf8("NAME"), what: ["heap", "name"], before: [0] },
  { name: "env_var_value_copy", source: utf8("its value"), what: ["heap", "value"], before: [0, 4] },
];

function moduleOf(row: Row, is64: boolean): string {
  const type = is64 ? "i64" : "i32";
  const signature = IC0_IMPORTS.get(row.name) as Ic0Signature;
  const params = signature.params.map(() => type).join(" ");
  const before = (row.before ?? []).map((n) => `(${type}.const ${n})`).join(" ");
  const { length } = row.source;
  const run = (name: string, dst: number | bigint, offset: number | bigint, size: number | bigint): string =>
    `(func $${name} (export "canister_update ${name}") (export "canister_query q_${name}")
      (call $copy ${before} (${type}.const ${dst}) (${type}.const ${offset}) (${type}.const ${size})))
    (func $cb_${name} (param ${type}) (call $${name}))`;
  return `(module (import "ic0" "${row.name}" (func $copy (param ${params}))) (memory ${is64 ? "i64" : ""} 1)
    (data (${type}.const 0) "NAME") (table 6 funcref)
    (elem (i32.const 0) $cb_whole $cb_last $cb_none $cb_long $cb_beyond $cb_memory)
    ${run("whole", MEMORY - length, 0, length)} ${run("last", 8, length - 1, 1)} ${run("none", MEMORY, length, 0)}
    ${run("long", 0, 0, length + 1)} ${run("beyond", 0, length, 1)} ${run("memory", MEMORY, 0, 1)})`;
}

const FORMS = ["whole", "last", "none", "long", "beyond", "memory"] as const;
type Form = (typeof FORMS)[number];

interface Ran {
  readonly outcome: MessageOutcome;
  /** The canister's memory from `at` on, when the message changed it. */
  readonly memory: (at: number, length: number) => Uint8Array;
}

function run(row: Row, is64: boolean, form: Form): Ran {
  const bench = new Bench();
  const { where = "update" } = row;
  const text = moduleOf(row, is64);
  const inspected = text.replace(`(func $${form} `, `(func $${form} (export "canister_inspect_message") `);
  const canister = bench.installed(where === "inspect" ? inspected : text);
  const { meta } = canister;
  meta.settings = { ...meta.settings, environmentVariables: [{ name: "NAME", value: "its value" }] };
  const closure = { fun: FORMS.indexOf(form), env: 0n };
  const entries: Readonly<Record<Where, EntryPoint>> = {
    update: { kind: "update", method: form, arg: DATA },
    inspect: { kind: "inspect_message", method: "inspected", arg: DATA },
    reject: { kind: "reject_callback", closure, code: 4, message: "no such" },
    query: { kind: "query", method: `q_${form}`, arg: DATA },
  };
  const scene = context({
    callerInfo: { info: DATA, signer: SIGNER as never },
    dataCertificate: where === "query" ? CERTIFICATE : null,
  });
  const entry = entries[where];
  const outcome =
    where === "inspect"
      ? bench.runner.inspect(canister, entry, scene)
      : where === "query"
        ? bench.runner.query(canister, entry, { context: scene }).outcome
        : bench.runner.execute(canister, entry, scene);
  const memory = (at: number, length: number): Uint8Array => {
    const id = canister.memory.heap.get(Math.floor(at / 4_096));
    return bench.arena.view(id).slice(at % 4_096, (at % 4_096) + length);
  };
  return { outcome, memory };
}

/** What each form that goes too far is told. */
function texts(row: Row): Readonly<Record<"long" | "beyond" | "memory", string>> {
  const { length } = row.source;
  const [heap, source] = row.what;
  if (row.name === "data_certificate_copy") {
    const far = (name: string, at: number, size: number, max: number): string =>
      `ic0_${row.name} failed because ${name} + size is out of bounds. Found ${name} = ${at} and size = ${size} ` +
      `while ${name} + size must be <= ${max}`;
    return {
      long: far(source, 0, length + 1, length),
      beyond: far(source, length, 1, length),
      memory: far(heap, MEMORY, 1, MEMORY),
    };
  }
  const far = (what: string, at: number, size: number, max: number): string =>
    `ic0.${row.name} ${what}: src=${at} + length=${size} exceeds the slice size=${max}`;
  return {
    long: far(source, 0, length + 1, length),
    beyond: far(source, length, 1, length),
    memory: far(heap, MEMORY, 1, MEMORY),
  };
}

for (const row of ROWS) {
  test(`${row.name} up to the last byte, and not beyond, on either side`, () => {
    for (const is64 of [false, true]) {
      const { length } = row.source;
      const whole = run(row, is64, "whole");
      assert.equal(whole.outcome.error?.message.includes("bounds") ?? false, false);
      // An inspection that does not accept is refused, after it ran.
      const fine = row.where === "inspect" ? "rejected the message" : null;
      for (const form of ["whole", "last", "none"] as const) {
        const { error } = run(row, is64, form).outcome;
        if (fine === null) assert.equal(error, null, `${form}: ${error?.message}`);
        else assert.ok(error === null || error.message.includes(fine), `${form}: ${error?.message}`);
      }
      const { where = "update" } = row;
      if (where === "update" || where === "reject") {
        const at = MEMORY - length;
        assert.equal(toHex(whole.memory(at, length)), toHex(row.source));
        const [last] = run(row, is64, "last").memory(8, 1);
        assert.equal(last, row.source.at(-1));
      }
      for (const [form, text] of Object.entries(texts(row))) {
        const { error } = run(row, is64, form as Form).outcome;
        assert.ok(error?.message.includes(text), `${form}: ${error?.message} instead of ${text}`);
      }
    }
  });
}

test("every function that copies is in the table", () => {
  const names = [...IC0_IMPORTS.keys()].filter((name) => name.endsWith("_copy"));
  assert.deepEqual(names.sort(), ROWS.map(({ name }) => name).sort());
});
