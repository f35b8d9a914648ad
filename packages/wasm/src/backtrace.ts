/**
 * Backtraces of canister code (developer documentation, "Backtrace debugging"): which of the canister's functions were on the
 * stack when a message failed, told by the names of the `name` section. What the instrumentation added is left out, so that both
 * forms of a module, and every tier of the engine, tell the same.
 */

import { demangle } from "./demangle.ts";
import type { CompiledCanister } from "./engine.ts";
import { HOOKS } from "./layout.ts";
import { namesAndImports } from "./names.ts";

/** Frames told; deeper stacks repeat themselves, and texts travel. */
export const BACKTRACE_FRAMES_MAX = 20;
/** Frames that the engine is to keep: also those of the host and of generated functions between the canister's. */
const ENGINE_FRAMES = 96;

export interface Frame {
  /** Index of the function in the module that was installed. */
  readonly index: number;
  readonly name: string | null;
}

/** Imports that the replica replaces by functions of the module, which therefore are frames. */
const IMPORTS_WITH_FRAMES: ReadonlySet<string> = new Set([
  "stable_size",
  "stable_grow",
  "stable_read",
  "stable_write",
  "stable64_size",
  "stable64_grow",
  "stable64_read",
  "stable64_write",
]);

interface ErrorSettings {
  stackTraceLimit?: number;
  prepareStackTrace?: unknown;
}

const settings: ErrorSettings = Error as ErrorSettings;

/** Runs canister code with an engine that keeps enough frames. */
export function withFrames(run: () => void): void {
  const before = settings.stackTraceLimit;
  settings.stackTraceLimit = ENGINE_FRAMES;
  try {
    run();
  } finally {
    if (before !== undefined) settings.stackTraceLimit = before;
  }
}

/** The stack's text in the engine's own form, whatever a tool has installed to format it. */
function stackOf(error: Error): string {
  const before = settings.prepareStackTrace;
  settings.prepareStackTrace = undefined;
  try {
    return error.stack ?? "";
  } finally {
    settings.prepareStackTrace = before;
  }
}

type Names = ReturnType<typeof namesAndImports>;

const known = new WeakMap<CompiledCanister, Names>();

function namesOf(compiled: CompiledCanister): Names {
  let names = known.get(compiled);
  if (names === undefined) {
    names = namesAndImports(compiled.wasm);
    known.set(compiled, names);
  }
  return names;
}

/** The canister's function behind function `index` of the instrumented module; null when it is no frame. */
function originalFrame(index: number, imports: readonly string[], functions: number): number | null {
  const own = index - HOOKS.length;
  if (own >= imports.length && own < imports.length + functions) return own;
  const wrapped = own - imports.length - functions;
  const name = wrapped < 0 ? undefined : imports[wrapped];
  return name !== undefined && IMPORTS_WITH_FRAMES.has(name) ? wrapped : null;
}

/**
 * The frames of an error that came out of a run of `compiled`, innermost first; null when no frame has a name, as without a
 * `name` section.
 */
export function backtrace(error: unknown, compiled: CompiledCanister): readonly Frame[] | null {
  if (!(error instanceof Error)) return null;
  const { names, imports } = namesOf(compiled);
  if (names.size === 0) return null;
  const frames: Frame[] = [];
  const origin = error.cause instanceof Error ? error.cause : error;
  for (const [, digits] of stackOf(origin).matchAll(/wasm-function\[(\d+)\]/g)) {
    const index = originalFrame(Number(digits), imports, compiled.info.functionCount);
    if (index === null) continue;
    const name = names.get(index);
    frames.push({ index, name: name === undefined ? null : demangle(name) });
    if (frames.length === BACKTRACE_FRAMES_MAX) break;
  }
  return frames.some(({ name }) => name !== null) ? frames : null;
}
