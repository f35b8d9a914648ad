/** What cases about the life of canisters share. */
import type { Principal } from "@icp-sdk/core/principal";
import { relayedReply, replied } from "../checks.ts";
import { decodeResult, managementCall } from "../management.ts";
import type { Universal, World } from "../world.ts";

export const T = 1_000_000_000_000n;

export const idOf = (bytes: Uint8Array): Principal => decodeResult("create_canister", bytes).canister_id;

/** A canister's status by a query, which costs the canister nothing and is answered whatever it can pay. */
// biome-ignore lint/suspicious/noExplicitAny: decoded Candid.
export async function statusOf(world: World, canister_id: Principal): Promise<any> {
  const outcome = await world.manageQuery("canister_status", { canister_id });
  return decodeResult("canister_status", replied(outcome));
}

/** A canister that a canister made. */
export async function made(
  world: World,
  value: unknown = {},
  cycles: bigint = 2n * T,
): Promise<{ parent: Universal; id: Principal }> {
  const parent = await world.fresh({ cycles: 50n * T });
  const outcome = await parent.update(managementCall("create_canister", value, { cycles }));
  return { parent, id: idOf(relayedReply(outcome)) };
}

export async function deleted(world: World): Promise<Universal> {
  const canister = await world.fresh({ install: false });
  replied(await world.manage("stop_canister", { canister_id: canister.id }));
  replied(await world.manage("delete_canister", { canister_id: canister.id }));
  return canister;
}
