/** The few management calls of the library in Candid (interface spec, "IC method `install_code`" and its neighbours). */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

export type ManagementCall =
  | { readonly kind: "create"; readonly cycles: bigint | null }
  | {
      readonly kind: "install";
      readonly canisterId: string;
      readonly wasm: Uint8Array;
      readonly arg: Uint8Array;
      readonly mode: "install" | "reinstall" | "upgrade";
      /** Upgrades only: the old module declares orthogonal persistence. */
      readonly keepHeap: boolean;
    };

const Blob = IDL.Vec(IDL.Nat8);
const CreateArgs = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const CreateResult = IDL.Record({ canister_id: IDL.Principal });
const Persistence = IDL.Variant({ keep: IDL.Null, replace: IDL.Null });
const UpgradeOptions = IDL.Record({ wasm_memory_persistence: IDL.Opt(Persistence) });
const InstallArgs = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Opt(UpgradeOptions) }),
  canister_id: IDL.Principal,
  wasm_module: Blob,
  arg: Blob,
});

function mode(call: Extract<ManagementCall, { kind: "install" }>): unknown {
  if (call.mode !== "upgrade") return { [call.mode]: null };
  return { upgrade: call.keepHeap ? [{ wasm_memory_persistence: [{ keep: null }] }] : [] };
}

export function encodeManagementCall(call: ManagementCall): Uint8Array {
  if (call.kind === "create") {
    return new Uint8Array(IDL.encode([CreateArgs], [{ amount: call.cycles === null ? [] : [call.cycles] }]));
  }
  const { canisterId, wasm, arg } = call;
  const record = { mode: mode(call), canister_id: Principal.fromText(canisterId), wasm_module: wasm, arg };
  return new Uint8Array(IDL.encode([InstallArgs], [record]));
}

/** Textual id of the canister that was created. */
export function decodeManagementReply(reply: Uint8Array): string {
  const [result] = IDL.decode([CreateResult], reply) as unknown as [{ readonly canister_id: Principal }];
  return result.canister_id.toText();
}
