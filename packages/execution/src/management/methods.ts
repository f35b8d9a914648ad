/**
 * The methods of the management canister (interface specification, "The IC management canister"): which exist, who may call them
 * how, and which this subnet answers. A method that exists but is not answered yet rejects by name, never silently.
 */
import { ErrorCode, type UserError, userError } from "../error-codes.ts";

export interface ManagementMethod {
  /** Accepted as an ingress message. */
  readonly ingress: boolean;
  /** Accepted as a non-replicated query. */
  readonly query: boolean;
  /** How its effective canister id is found. */
  readonly effective: "canister_id" | "target_canister" | "any";
  readonly supported: boolean;
}

function method(options: Partial<ManagementMethod>): ManagementMethod {
  return { ingress: true, query: false, effective: "canister_id", supported: true, ...options };
}

const canisterOnly: ManagementMethod = method({ ingress: false, effective: "any" });

const METHODS: ReadonlyMap<string, ManagementMethod> = new Map([
  ["create_canister", canisterOnly],
  ["update_settings", method({})],
  ["upload_chunk", method({})],
  ["clear_chunk_store", method({})],
  ["stored_chunks", method({})],
  ["install_code", method({})],
  ["install_chunked_code", method({ effective: "target_canister" })],
  ["uninstall_code", method({})],
  ["start_canister", method({})],
  ["stop_canister", method({})],
  ["canister_status", method({ query: true })],
  ["canister_metrics", method({ query: true })],
  ["canister_info", canisterOnly],
  ["canister_metadata", canisterOnly],
  ["delete_canister", method({})],
  ["deposit_cycles", canisterOnly],
  ["raw_rand", canisterOnly],
  ["fetch_canister_logs", method({ ingress: false, query: true })],
  ["provisional_create_canister_with_cycles", method({ effective: "any" })],
  ["provisional_top_up_canister", method({})],
  ["http_request", canisterOnly],
  // Answers of nodes one by one, which the specification does not have yet; subnets of one node have nothing to tell apart.
  ["flexible_http_request", method({ ingress: false, effective: "any", supported: false })],
  ["ecdsa_public_key", canisterOnly],
  ["sign_with_ecdsa", canisterOnly],
  ["schnorr_public_key", canisterOnly],
  ["sign_with_schnorr", canisterOnly],
  ["vetkd_public_key", canisterOnly],
  ["vetkd_derive_key", canisterOnly],
  ["node_metrics_history", canisterOnly],
  ["subnet_info", canisterOnly],
  ["rename_canister", canisterOnly],
  ["subnet_metrics", canisterOnly],
  ["take_canister_snapshot", method({})],
  ["load_canister_snapshot", method({})],
  ["list_canister_snapshots", method({})],
  ["read_canister_snapshot_metadata", method({})],
  ["read_canister_snapshot_data", method({})],
  ["upload_canister_snapshot_metadata", method({})],
  ["upload_canister_snapshot_data", method({})],
  ["delete_canister_snapshot", method({})],
  ["list_canisters", method({ ingress: false, query: true, effective: "any" })],
  ["bitcoin_get_balance", canisterOnly],
  ["bitcoin_get_utxos", canisterOnly],
  ["bitcoin_send_transaction", canisterOnly],
  ["bitcoin_get_current_fee_percentiles", canisterOnly],
  ["bitcoin_get_block_headers", canisterOnly],
]);

/** `update_settings` messages up to this size are charged after they ran, so that a frozen canister can be thawed by one. */
const DELAYED_INDUCTION_BYTES_MAX = 267;

export function managementMethod(name: string): ManagementMethod | null {
  return METHODS.get(name) ?? null;
}

export function ingressCallable(name: string): boolean {
  return METHODS.get(name)?.ingress === true;
}

export function delaysInductionCost(name: string, arg: Uint8Array): boolean {
  return name === "update_settings" && arg.length <= DELAYED_INDUCTION_BYTES_MAX;
}

export function unknownMethod(name: string): UserError {
  return userError(ErrorCode.CanisterMethodNotFound, `Management canister has no method '${name}'`);
}

export function unsupportedMethod(name: string): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `The management canister method '${name}' is not supported by this subnet yet`,
  );
}

function onlyCanisters(name: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, `Only canisters can call ic00 method ${name}`);
}

/** What users ask by queries only. */
function onlyQueries(name: string): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `${name} API is not accessible via ingress in replicated mode`,
  );
}

/** Of a method that is not accepted as ingress. */
export function notByIngress(name: string): UserError {
  return METHODS.get(name)?.query === true ? onlyQueries(name) : onlyCanisters(name);
}

export function invalidPayload(why: string): UserError {
  return userError(ErrorCode.InvalidManagementPayload, `Error decoding candid: ${why}`);
}
