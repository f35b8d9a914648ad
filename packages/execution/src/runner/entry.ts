/**
 * From an entry point to what really runs: which export or closure, in which context, with which arguments (interface spec,
 * "Entry points"). Also the answer when there is nothing to run.
 */
import { assertNever, utf8 } from "@orrery/base";
import type { ModuleExports, RejectCode } from "@orrery/state";
import type { Failure } from "../system-api/failure.ts";
import type { Mode } from "../system-api/modes.ts";
import type { EntryPoint } from "../types.ts";
import type { Target } from "./run.ts";

/** What the frame is made from besides the canister and the context. */
export interface Plan {
  readonly mode: Mode;
  readonly target: Target;
  readonly argument?: Uint8Array;
  readonly methodName?: string;
  readonly rejectCode?: RejectCode | 0;
  readonly rejectMessage?: Uint8Array;
}

export type Planned =
  | { readonly kind: "run"; readonly plan: Plan }
  /** Nothing is exported for it, and nothing needs to happen. */
  | { readonly kind: "nothing" }
  | { readonly kind: "failure"; readonly failure: Failure };

const NOTHING: Planned = { kind: "nothing" };

function run(plan: Plan): Planned {
  return { kind: "run", plan };
}

function exported(mode: Mode, name: string, argument: Uint8Array): Planned {
  return run({ mode, target: { kind: "export", name }, argument });
}

function hook(present: boolean, mode: Mode, name: string): Planned {
  return present ? run({ mode, target: { kind: "export", name } }) : NOTHING;
}

function planMethod(
  exports: ModuleExports,
  entry: {
    readonly kind: "update" | "replicated_query" | "query" | "composite_query";
    readonly method: string;
    readonly arg: Uint8Array;
  },
): Planned {
  const { method, arg } = entry;
  const composite = exports.compositeQueries.includes(method);
  if (entry.kind === "update" || entry.kind === "replicated_query") {
    if (exports.updates.includes(method)) return exported("update", `canister_update ${method}`, arg);
    if (exports.queries.includes(method))
      return exported("replicated_query", `canister_query ${method}`, arg);
    if (composite) return { kind: "failure", failure: { kind: "composite_query_replicated" } };
    return { kind: "failure", failure: { kind: "method_not_found", method: "update", name: method } };
  }
  if (composite) return exported("composite_query", `canister_composite_query ${method}`, arg);
  if (exports.queries.includes(method)) return exported("query", `canister_query ${method}`, arg);
  return { kind: "failure", failure: { kind: "method_not_found", method: "query", name: method } };
}

export function planEntry(exports: ModuleExports, entry: EntryPoint): Planned {
  switch (entry.kind) {
    case "update":
    case "replicated_query":
    case "query":
    case "composite_query":
      return planMethod(exports, entry);
    case "transform": {
      const { method, arg } = entry;
      if (exports.queries.includes(method)) return exported("transform", `canister_query ${method}`, arg);
      return { kind: "failure", failure: { kind: "method_not_found", method: "query", name: method } };
    }
    case "inspect_message":
      if (!exports.inspectMessage) return NOTHING;
      return run({
        mode: "inspect_message",
        target: { kind: "export", name: "canister_inspect_message" },
        argument: entry.arg,
        methodName: entry.method,
      });
    case "heartbeat":
      return hook(exports.heartbeat, entry.kind, "canister_heartbeat");
    case "global_timer":
      return hook(exports.globalTimer, entry.kind, "canister_global_timer");
    case "on_low_wasm_memory":
      return hook(exports.onLowWasmMemory, entry.kind, "canister_on_low_wasm_memory");
    case "reply_callback":
    case "composite_reply_callback":
      return run({
        mode: entry.kind,
        target: { kind: "closure", closure: entry.closure },
        argument: entry.arg,
      });
    case "reject_callback":
    case "composite_reject_callback":
      return run({
        mode: entry.kind,
        target: { kind: "closure", closure: entry.closure },
        rejectCode: entry.code,
        rejectMessage: utf8(entry.message),
      });
    case "cleanup":
    case "composite_cleanup":
      return run({
        mode: entry.kind,
        target: { kind: "closure", closure: entry.closure },
        rejectCode: entry.rejectCode,
      });
    default:
      return assertNever(entry, "entry point");
  }
}
