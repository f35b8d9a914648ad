/** `update_settings` with any of the settings, by the types that clients use. */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterId } from "@orrery/base";
import { encode } from "./subnet.testkit.ts";

const Visibility = IDL.Variant({
  controllers: IDL.Null,
  public: IDL.Null,
  allowed_viewers: IDL.Vec(IDL.Principal),
});

type Setting =
  | "controllers"
  | "compute_allocation"
  | "memory_allocation"
  | "freezing_threshold"
  | "reserved_cycles_limit"
  | "minimum_incoming_canister_call_cycles"
  | "wasm_memory_limit"
  | "wasm_memory_threshold"
  | "log_memory_limit"
  | "log_visibility"
  | "snapshot_visibility"
  | "status_visibility"
  | "environment_variables";

const FIELDS: Readonly<Record<Setting, IDL.Type>> = {
  controllers: IDL.Vec(IDL.Principal),
  compute_allocation: IDL.Nat,
  memory_allocation: IDL.Nat,
  freezing_threshold: IDL.Nat,
  reserved_cycles_limit: IDL.Nat,
  minimum_incoming_canister_call_cycles: IDL.Nat,
  wasm_memory_limit: IDL.Nat,
  wasm_memory_threshold: IDL.Nat,
  log_memory_limit: IDL.Nat,
  log_visibility: Visibility,
  snapshot_visibility: Visibility,
  status_visibility: Visibility,
  environment_variables: IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text })),
};

/** Fields that are not given are not sent. */
export function updateSettingsArg(
  id: CanisterId,
  settings: Readonly<Partial<Record<Setting, unknown>>>,
): Uint8Array {
  const names = Object.keys(FIELDS) as Setting[];
  const types: Record<string, IDL.Type> = Object.fromEntries(
    names.map((name) => [name, IDL.Opt(FIELDS[name])]),
  );
  const values = names.map((name) => [name, settings[name] === undefined ? [] : [settings[name]]] as const);
  return encode(
    [IDL.Record({ canister_id: IDL.Principal, settings: IDL.Record(types) })],
    [{ canister_id: Principal.fromUint8Array(id), settings: Object.fromEntries(values) }],
  );
}
