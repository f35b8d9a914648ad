/** The management canister as the tests call it: the calls of its published interface that they need, no more. */
import { Actor, type ActorSubclass, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

export type InstallMode =
  | { readonly install: null }
  | { readonly reinstall: null }
  | {
      readonly upgrade:
        | []
        | [
            {
              readonly skip_pre_upgrade: [] | [boolean];
              readonly wasm_memory_persistence: [] | [{ readonly keep: null } | { readonly replace: null }];
            },
          ];
    };

interface CanisterRecord {
  readonly canister_id: Principal;
}

export interface CanisterStatus {
  readonly status: { readonly running: null } | { readonly stopping: null } | { readonly stopped: null };
  readonly module_hash: [] | [Uint8Array];
  readonly cycles: bigint;
  readonly settings: { readonly controllers: readonly Principal[] };
}

interface ManagementService {
  provisional_create_canister_with_cycles(arg: {
    readonly amount: [] | [bigint];
    readonly settings: [];
    readonly specified_id: [] | [Principal];
    readonly sender_canister_version: [];
  }): Promise<CanisterRecord>;
  install_code(arg: {
    readonly mode: InstallMode;
    readonly canister_id: Principal;
    readonly wasm_module: Uint8Array;
    readonly arg: Uint8Array;
    readonly sender_canister_version: [];
  }): Promise<void>;
  canister_status(arg: CanisterRecord): Promise<CanisterStatus>;
  start_canister(arg: CanisterRecord): Promise<void>;
  stop_canister(arg: CanisterRecord): Promise<void>;
  uninstall_code(arg: CanisterRecord & { readonly sender_canister_version: [] }): Promise<void>;
  delete_canister(arg: CanisterRecord): Promise<void>;
}

const record = IDL.Record({ canister_id: IDL.Principal });
const version = IDL.Opt(IDL.Nat64);
const upgradeOptions = IDL.Record({
  skip_pre_upgrade: IDL.Opt(IDL.Bool),
  wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
});

const service: IDL.InterfaceFactory = () =>
  IDL.Service({
    provisional_create_canister_with_cycles: IDL.Func(
      [
        IDL.Record({
          amount: IDL.Opt(IDL.Nat),
          settings: IDL.Opt(IDL.Record({})),
          specified_id: IDL.Opt(IDL.Principal),
          sender_canister_version: version,
        }),
      ],
      [record],
    ),
    install_code: IDL.Func(
      [
        IDL.Record({
          mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Opt(upgradeOptions) }),
          canister_id: IDL.Principal,
          wasm_module: IDL.Vec(IDL.Nat8),
          arg: IDL.Vec(IDL.Nat8),
          sender_canister_version: version,
        }),
      ],
      [],
    ),
    canister_status: IDL.Func(
      [record],
      [
        IDL.Record({
          status: IDL.Variant({ running: IDL.Null, stopping: IDL.Null, stopped: IDL.Null }),
          module_hash: IDL.Opt(IDL.Vec(IDL.Nat8)),
          cycles: IDL.Nat,
          settings: IDL.Record({ controllers: IDL.Vec(IDL.Principal) }),
        }),
      ],
    ),
    start_canister: IDL.Func([record], []),
    stop_canister: IDL.Func([record], []),
    uninstall_code: IDL.Func(
      [IDL.Record({ canister_id: IDL.Principal, sender_canister_version: version })],
      [],
    ),
    delete_canister: IDL.Func([record], []),
  });

/** The management canister, reached through `effectiveCanisterId`. */
export function managementOf(
  agent: HttpAgent,
  effectiveCanisterId: Principal,
): ActorSubclass<ManagementService> {
  const canisterId = Principal.managementCanister();
  return Actor.createActor<ManagementService>(service, { agent, canisterId, effectiveCanisterId });
}

/** Creates a canister with cycles out of nothing, as a local network allows. */
export async function createCanister(agent: HttpAgent, near: Principal): Promise<Principal> {
  const created = await managementOf(agent, near).provisional_create_canister_with_cycles({
    amount: [],
    settings: [],
    specified_id: [],
    sender_canister_version: [],
  });
  return created.canister_id;
}

const NO_ARGUMENT: Uint8Array = IDL.encode([], []);

/** Installs, reinstalls or upgrades; `arg` is encoded Candid, nothing by default. */
export async function installCode(
  agent: HttpAgent,
  canisterId: Principal,
  wasm: Uint8Array,
  mode: InstallMode = { install: null },
  arg: Uint8Array = NO_ARGUMENT,
): Promise<void> {
  await managementOf(agent, canisterId).install_code({
    mode,
    canister_id: canisterId,
    wasm_module: wasm,
    arg,
    sender_canister_version: [],
  });
}
