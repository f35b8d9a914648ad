/**
 * Where a canister's call to the management canister goes (the replica's routing of `aaaaa-aa`): to the subnet of the canister
 * that it is about, to the subnet that it names, to one that holds the key that it names, or nowhere else. And who may call what
 * across subnets.
 */
import { type CanisterId, type Principal, principalToText, type Result } from "@orrery/base";
import type { ChainKeyId, SubnetInfo } from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { decodeRecord, readPrincipal, required } from "../management/candid-decode.ts";
import { chainKeyText, readChainKey } from "../management/chain-key-id.ts";
import { managementMethod } from "../management/methods.ts";
import { type Destination, routerOf } from "./routing.ts";

export type ManagementRoute =
  | { readonly kind: "own" }
  | { readonly kind: "subnet"; readonly subnetId: Principal }
  /** What the caller is told, with code 3. */
  | { readonly kind: "nowhere"; readonly message: string };

const OWN: ManagementRoute = { kind: "own" };

/** Answered where the caller is; others may not ask for them from elsewhere, the root subnet's canisters aside. */
const LOCAL_METHODS: ReadonlySet<string> = new Set([
  "create_canister",
  "http_request",
  "flexible_http_request",
  "raw_rand",
]);
const OWN_METHODS: ReadonlySet<string> = new Set([
  ...LOCAL_METHODS,
  "provisional_create_canister_with_cycles",
  "list_canisters",
]);
const BY_SUBNET: ReadonlySet<string> = new Set(["node_metrics_history", "subnet_info", "subnet_metrics"]);
/** By method: the kind of its key, and whether one that only hands out public keys will do. */
const BY_KEY: ReadonlyMap<string, ChainKeyId["kind"]> = new Map([
  ["ecdsa_public_key", "ecdsa"],
  ["sign_with_ecdsa", "ecdsa"],
  ["schnorr_public_key", "schnorr"],
  ["sign_with_schnorr", "schnorr"],
  ["vetkd_public_key", "vetkd"],
  ["vetkd_derive_key", "vetkd"],
]);

/** Those that take nothing but an id go by one name in the replica's text. */
const BARE_ID_METHODS: ReadonlySet<string> = new Set([
  "canister_status",
  "start_canister",
  "stop_canister",
  "delete_canister",
  "deposit_cycles",
]);

function replicaName(method: string): string {
  const name = BARE_ID_METHODS.has(method) ? "deposit_cycles" : method;
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function nowhere(method: string, why: string): ManagementRoute {
  return { kind: "nowhere", message: `Unable to route management canister request ${method}: ${why}` };
}

function routeByKey(subnet: SubnetInfo, method: string, key: ChainKeyId): ManagementRoute {
  const wanted = chainKeyText(key);
  const { subnets } = routerOf(subnet);
  const holds = ({ chainKeys }: Destination): boolean =>
    chainKeys.some((one) => chainKeyText(one) === wanted);
  const holder = subnets.find((one) => one.own && holds(one)) ?? subnets.find(holds);
  if (holder !== undefined) return holder.own ? OWN : { kind: "subnet", subnetId: holder.subnetId };
  const known = [...new Set(subnets.flatMap(({ chainKeys }) => chainKeys.map(chainKeyText)))].sort();
  const text = method.endsWith("_public_key")
    ? `Requested unknown threshold key: ${wanted}, existing keys: [${known.join(", ")}]`
    : `Requested unknown or disabled threshold key: ${wanted}, existing enabled keys: [${known.join(", ")}]`;
  return nowhere(method, `ChainKeyError("${text}")`);
}

/** Where a call of a canister of this subnet to `aaaaa-aa` goes. */
export function routeManagementCall(subnet: SubnetInfo, method: string, arg: Uint8Array): ManagementRoute {
  if (OWN_METHODS.has(method) || method.startsWith("bitcoin_")) return OWN;
  if (managementMethod(method) === null) return nowhere(method, `MethodNotFound("${method}")`);
  const keyKind = BY_KEY.get(method);
  const field = BY_SUBNET.has(method)
    ? "subnet_id"
    : method === "install_chunked_code"
      ? "target_canister"
      : "canister_id";
  const decoded: Result<ManagementRoute, string> = decodeRecord(arg, (record) =>
    keyKind === undefined
      ? { kind: "subnet", subnetId: required(record, field, readPrincipal) }
      : routeByKey(subnet, method, readChainKey(record, keyKind)),
  );
  if (!decoded.ok) {
    const description = `Error decoding candid: ${decoded.error}`;
    return nowhere(
      method,
      `UserError(UserError { code: InvalidManagementPayload, description: ${JSON.stringify(description)} })`,
    );
  }
  const route = decoded.value;
  if (keyKind !== undefined || route.kind !== "subnet") return route;
  const host = routerOf(subnet).route(route.subnetId);
  if (host !== null) return host.own ? OWN : { kind: "subnet", subnetId: host.subnetId };
  // A subnet that is not there is found out when the message is routed.
  if (field === "subnet_id") return route;
  return nowhere(
    method,
    `SubnetNotFound(CanisterId(${principalToText(route.subnetId)}), ${replicaName(method)})`,
  );
}

/** What a canister that is not of this subnet is told about a method that it may not call here; null: it may. */
export function remoteCallerError(subnet: SubnetInfo, sender: CanisterId, method: string): UserError | null {
  if (!LOCAL_METHODS.has(method)) return null;
  const home = routerOf(subnet).route(sender);
  if (home === null || home.own || home.key === routerOf(subnet).route(subnet.rootSubnetId)?.key) return null;
  return userError(
    ErrorCode.CanisterContractViolation,
    `Incorrect sender subnet id: ${principalToText(home.subnetId)}. ` +
      "Sender should be on the same subnet or on the NNS subnet.",
  );
}
