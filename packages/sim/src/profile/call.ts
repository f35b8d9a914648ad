/** Profiling one call, in a network that is thrown away afterwards: a fork, or one that was loaded for it. */
import { type CanisterId, toHex } from "@orrery/base";
import type { FunctionProfile } from "@orrery/wasm";
import type { Instance } from "../instance/types.ts";
import { traceTrees } from "../trace/tree.ts";
import type { Trace } from "../trace/types.ts";
import { type ProfileLabels, profileOfQueries, profileOfTrace } from "./of-trace.ts";
import { profileTotal } from "./tree.ts";

/** What a call came to, with all that it led to at canisters that were profiled. */
export interface ProfiledCall {
  /** Of those canisters; the same as the profile's stacks together. */
  readonly instructions: bigint;
  readonly profile: FunctionProfile;
  /** Everything that it led to; null for queries, and when nothing was executed. */
  readonly trace: Trace | null;
}

/** Before the call. Null: every canister's executions are profiled. */
export function watchCall(instance: Instance, canisters: readonly CanisterId[] | null): void {
  instance.trace(true);
  instance.profile(canisters ?? "all");
}

/** After a call of which something was executed, by its request id. */
export function profiledMessage(
  instance: Instance,
  requestId: Uint8Array,
  labels?: ProfileLabels,
): ProfiledCall {
  const id = toHex(requestId);
  const trace = traceTrees(instance.takeTrace()).find(
    ({ cause }) => cause.kind === "ingress" && cause.requestId === id,
  );
  const profile = (trace === undefined ? null : profileOfTrace(trace, labels)) ?? { stacks: [] };
  return { instructions: profileTotal(profile), profile, trace: trace ?? null };
}

/** After a query. */
export function profiledQueries(instance: Instance, labels?: ProfileLabels): ProfiledCall {
  const profile = profileOfQueries(instance.takeQueryProfiles(), labels);
  return { instructions: profileTotal(profile), profile, trace: null };
}
