/**
 * Whether an update may be taken, on the state that this node shows. A client of several nodes may have been told by another of what is
 * not shown here yet (a canister that was just created): who is refused is judged once more when this node has come so far. Queries are
 * answered from one node's state, which may be older (interface spec, "Query call"): they do not wait.
 */
import type { UserError } from "@orrery/http";
import type { ViewCall } from "./protocol.ts";
import type { Rounds } from "./rounds.ts";

/** Why it is refused; null when it is not. */
export async function inspect(
  rounds: Pick<Rounds, "threads" | "caughtUp">,
  call: Extract<ViewCall, { readonly kind: "inspect" }>,
): Promise<UserError | null> {
  const { threads } = rounds;
  const refused = await threads.view<UserError | null>(call);
  if (refused === null || rounds.caughtUp === undefined) return refused;
  await rounds.caughtUp();
  return await threads.view<UserError | null>(call);
}
