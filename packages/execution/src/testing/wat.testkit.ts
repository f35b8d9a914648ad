/** Small canisters from lists of imports, run once: for tests of what an import does. */
import assert from "node:assert/strict";
import { toHex } from "@orrery/base";
import type { CanisterState } from "@orrery/state";
import type { MessageContext, MessageOutcome } from "../types.ts";
import { Bench } from "./bench.testkit.ts";

const PRELUDE = `
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))`;

/** A module with one update (and query) `run`; `imports` are `name params -> results`. */
export function moduleText(imports: readonly string[], body: string, extra = ""): string {
  const declared = imports.map((line) => {
    const [, name = "", params = "", results = ""] = /^(\w+)\(([^)]*)\)(.*)$/.exec(line) ?? [];
    const param = params.trim() === "" ? "" : `(param ${params})`;
    const result = results.trim() === "" ? "" : `(result ${results})`;
    return `(import "ic0" "${name}" (func $${name} ${param} ${result}))`;
  });
  return `(module ${PRELUDE} ${declared.join("\n")} (memory 1) ${extra}
    (func $run ${body}) (export "canister_update run" (func $run)) (export "canister_query run_q" (func $run)))`;
}

export interface Ran {
  readonly bench: Bench;
  readonly canister: CanisterState;
  readonly outcome: MessageOutcome;
}

export function ran(
  text: string,
  overrides: Partial<MessageContext> = {},
  change: (canister: CanisterState) => void = () => {},
): Ran {
  const bench = new Bench();
  const canister = bench.installed(text);
  change(canister);
  return { bench, canister, outcome: bench.update(canister, "run", "", overrides) };
}

export function failure(text: string, overrides: Partial<MessageContext> = {}): string {
  const { outcome } = ran(text, overrides);
  assert.notEqual(outcome.error, null);
  return outcome.error?.message ?? "";
}

export function little(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes.slice().reverse())}`);
}
