/** `profile`: a call in a copy of the network that is thrown away afterwards, with what it came to by function. */
import { OrreryError } from "@orrery/base";
import type { ProfiledCall } from "@orrery/sim/profile";
import type { NetworkCall, Submitted } from "./protocol.ts";
import type { Call, CallProfile, ProfileOptions } from "./types.ts";

/** How the copy is asked: at once, or with the outcalls that the call leads to. */
export interface Conversation {
  ask<T>(call: NetworkCall): T;
  run<T>(call: NetworkCall): T;
}

/** What a call may end with, and its profile is of use all the same. */
const OUTCOMES: ReadonlySet<string> = new Set(["call_rejected", "call_pending"]);

export function profileCall(
  { ask, run }: Conversation,
  call: Call,
  { query = false, canisters, names = new Map() }: ProfileOptions,
): CallProfile {
  ask({ kind: "profile", canisters: canisters ?? null });
  let submitted: Submitted | null = null;
  let reply: Uint8Array | null = null;
  let error: OrreryError | null = null;
  try {
    if (query) reply = ask<Uint8Array>({ kind: "query", call });
    else {
      submitted = ask<Submitted>({ kind: "submit", call });
      reply = run<Uint8Array>({ kind: "resume", ...submitted });
    }
  } catch (thrown) {
    if (!(thrown instanceof OrreryError) || !OUTCOMES.has(thrown.code)) throw thrown;
    error = thrown;
  }
  const requestId = submitted?.requestId ?? null;
  return { reply, error, ...ask<ProfiledCall>({ kind: "take_profile", requestId, names }) };
}
