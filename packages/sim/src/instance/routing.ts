/**
 * Which subnet a call goes to (PocketIC's rule): where it says, else where the canister is that it is about, else, for the provisional
 * creation of a canister with an id of the public network, to the subnet of that id, which may first have to come to be.
 */
import { type CanisterId, OrreryError, principalToText } from "@orrery/base";
import { effectiveCanisterId, specifiedCanisterId } from "@orrery/execution";
import type { CanisterCall, EffectivePrincipal } from "./types.ts";

const PROVISIONAL_CREATION = "provisional_create_canister_with_cycles";
/** Management calls that make a canister, about none that there is. */
const CREATIONS: ReadonlySet<string> = new Set(["create_canister", PROVISIONAL_CREATION]);

/** What the call is about. `call_unroutable` when that cannot be known. */
export function effectiveOf(call: CanisterCall): EffectivePrincipal {
  const { effective } = call;
  if (effective !== undefined && effective.kind !== "none") return effective;
  if (call.canisterId.length > 0) return { kind: "canister", id: call.canisterId };
  if (call.method === PROVISIONAL_CREATION) {
    const specified = specifiedCanisterId(call.arg);
    if (!specified.ok) throw unroutable(specified.error.message, "candid");
    return specified.value === null ? { kind: "none" } : { kind: "canister", id: specified.value };
  }
  const about = effectiveCanisterId(call.method, call.arg);
  if (!about.ok) throw unroutable(about.error.message, "candid");
  return about.value === null ? { kind: "none" } : { kind: "canister", id: about.value };
}

/** Whether the call may make a subnet for the canister that it asks for. */
export function createsProvisionally({ canisterId, method }: CanisterCall): boolean {
  return canisterId.length === 0 && method === PROVISIONAL_CREATION;
}

/** Whether the call may go to a subnet of our choice. */
export function goesAnywhere({ canisterId, method }: CanisterCall): boolean {
  return canisterId.length === 0 && CREATIONS.has(method);
}

export function homeless(id: CanisterId): OrreryError {
  return unroutable(`canister ${principalToText(id)} belongs to no subnet of this network`, "no_subnet");
}

export function undirected(): OrreryError {
  return unroutable(
    "a management call that is about no canister goes to a subnet: name one as its effective principal",
    "no_effective_principal",
  );
}

function unroutable(message: string, reason: string): OrreryError {
  return new OrreryError("call_unroutable", message, { data: { reason } });
}
