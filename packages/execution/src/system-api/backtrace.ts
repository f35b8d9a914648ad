/**
 * Backtraces of failed messages (developer documentation, "Backtrace debugging"): always in the canister's log, in the error only
 * for callers who may read the log. Modules without a `name` section have none.
 */
import type { Principal } from "@orrery/base";
import type { CanisterMeta } from "@orrery/state";
import { backtrace, type CompiledCanister } from "@orrery/wasm";
import type { Failure } from "./failure.ts";
import { isAmong } from "./frame.ts";

/** The lines of a backtrace, each with its line end. */
function backtraceText(cause: unknown, compiled: CompiledCanister): string | null {
  const frames = backtrace(cause, compiled);
  if (frames === null) return null;
  const lines = frames.map(({ index, name }) => name ?? `unknown function at index ${index}`);
  return `Canister Backtrace:\n${lines.map((line) => `${line}\n`).join("")}`;
}

/** The failure with its backtrace, when it is of a kind that has one. */
export function withBacktrace(failure: Failure, cause: unknown, compiled: CompiledCanister): Failure {
  if (failure.kind !== "trapped" && failure.kind !== "called_trap") return failure;
  const text = backtraceText(cause, compiled);
  return text === null ? failure : { ...failure, backtrace: text };
}

function mayReadLogs({ settings }: CanisterMeta, caller: Principal): boolean {
  const { logVisibility, controllers } = settings;
  if (logVisibility.kind === "public" || isAmong(controllers, caller)) return true;
  return logVisibility.kind === "allowed_viewers" && isAmong(logVisibility.viewers, caller);
}

/** The failure as `caller` may be told it. */
export function shownTo(failure: Failure, meta: CanisterMeta, caller: Principal): Failure {
  if (failure.kind !== "trapped" && failure.kind !== "called_trap") return failure;
  if (failure.backtrace === undefined || mayReadLogs(meta, caller)) return failure;
  const { backtrace: _, ...told } = failure;
  return told;
}
