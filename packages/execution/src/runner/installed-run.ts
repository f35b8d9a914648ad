/**
 * A run of a canister's installed code on its pooled instance. What the exact form does is what happens, by definition; the fast
 * form stands for it wherever it surely comes to the same. Where it cannot tell (`exact` false) its run is undone and the exact
 * form runs, and whatever that comes to is taken, be it an end that the fast form did not name or success: it is the same on every
 * node, and a form that is too strict costs a second run and not the node. Where the two differ it is counted and logged, being a defect.
 */
import type { CompiledCanister, Form } from "@orrery/wasm";
import type { MessageFrame } from "../system-api/frame.ts";
import type { CanisterImage, Draft } from "./image.ts";
import type { InstancePool, Live } from "./instances.ts";
import { type RunResult, runTarget, type Target } from "./run.ts";

export interface InstalledRun {
  readonly image: CanisterImage;
  readonly compiled: CompiledCanister;
  readonly form: Form;
  /** Memory that it begins with in place of the image's. */
  readonly draft: Draft | null;
  readonly target: Target;
  /** A frame for one more run. */
  frame(): MessageFrame;
}

/** Runs; the pooled instance that comes back has the memory and the globals of the run's end, which are the caller's to keep or undo. */
export function runInstalled(
  pool: InstancePool,
  run: InstalledRun,
): { readonly live: Live; readonly result: RunResult } {
  const live = prepare(pool, run, run.form);
  const result = runTarget(live, run.target, run.frame());
  if (result.exact) return { live, result };
  pool.restoreDirty(live, run.image, run.draft);
  const again = prepare(pool, run, "fast");
  const twin = pool.exactTwin(again);
  twin.instance.writeGlobals(again.instance.readGlobals());
  const exact = runTarget(twin, run.target, run.frame());
  if (exact.failure === null) pool.noteDisagreement(run.image);
  again.instance.writeGlobals(twin.instance.readGlobals());
  return { live: again, result: exact };
}

function prepare(pool: InstancePool, { image, compiled, draft }: InstalledRun, form: Form): Live {
  const live = pool.acquire(image, compiled, form);
  if (draft !== null) pool.applyDraft(live, draft);
  live.instance.writeGlobals(draft?.globals ?? image.meta.globals);
  live.instance.clearDirty();
  return live;
}
