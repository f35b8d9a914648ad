/** Candid arguments of the drill's management and counter calls. */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

const record = IDL.Record({ canister_id: IDL.Principal });
const version = IDL.Opt(IDL.Nat64);
const mode = IDL.Variant({
  install: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({
      skip_pre_upgrade: IDL.Opt(IDL.Bool),
      wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
    }),
  ),
});

export const MANAGEMENT: Principal = Principal.managementCanister();

export function createArgument(): Uint8Array {
  return IDL.encode(
    [IDL.Record({ amount: IDL.Opt(IDL.Nat), sender_canister_version: version })],
    [{ amount: [], sender_canister_version: [] }],
  );
}

export function decodeCreated(reply: Uint8Array): Principal {
  const [created] = IDL.decode([record], reply) as unknown as [{ canister_id: Principal }];
  return created.canister_id;
}

export function canisterArgument(id: Principal): Uint8Array {
  return IDL.encode([record], [{ canister_id: id }]);
}

export type Mode = "install" | "upgrade" | "upgrade-keep";

export function installArgument(options: {
  readonly id: Principal;
  readonly mode: Mode;
  readonly module: Uint8Array;
  readonly arg: Uint8Array;
}): Uint8Array {
  const keep = { skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] };
  const value = {
    install: { install: null },
    upgrade: { upgrade: [] },
    "upgrade-keep": { upgrade: [keep] },
  }[options.mode];
  const type = IDL.Record({
    mode,
    canister_id: IDL.Principal,
    wasm_module: IDL.Vec(IDL.Nat8),
    arg: IDL.Vec(IDL.Nat8),
    sender_canister_version: version,
  });
  return IDL.encode(
    [type],
    [
      {
        mode: value,
        canister_id: options.id,
        wasm_module: options.module,
        arg: options.arg,
        sender_canister_version: [],
      },
    ],
  );
}

export const NO_ARGUMENT: Uint8Array = IDL.encode([], []);

export function decodeNat(reply: Uint8Array): bigint {
  const [value] = IDL.decode([IDL.Nat], reply) as unknown as [bigint];
  return value;
}
