/**
 * The management canister as deployment calls it (interface spec, "The IC management canister"). By the agent itself, not by an actor: an actor
 * loses the network's words when the refusal comes only after a call was accepted, as those that take long are.
 */
import type { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";

export interface Settings {
  readonly controllers?: readonly Principal[];
  readonly compute_allocation?: bigint;
  readonly memory_allocation?: bigint;
  readonly freezing_threshold?: bigint;
  readonly reserved_cycles_limit?: bigint;
  readonly wasm_memory_limit?: bigint;
  readonly environment_variables?: readonly { readonly name: string; readonly value: string }[];
}

export type Mode =
  | { readonly install: null }
  | { readonly reinstall: null }
  | { readonly upgrade: [] | [{ readonly wasm_memory_persistence: [] | [{ readonly keep: null }] }] };

interface Target {
  readonly canister_id: Principal;
}

export interface Management {
  /** Under an id of the network's choice, or under this one. */
  create(options?: {
    readonly id: Principal;
    readonly amount: bigint;
    readonly controllers: readonly Principal[];
  }): Promise<Principal>;
  status(id: Principal): Promise<{
    readonly module_hash: [] | [Uint8Array];
    readonly settings: {
      readonly environment_variables: readonly { readonly name: string; readonly value: string }[];
    };
  }>;
  update(id: Principal, settings: Settings): Promise<void>;
  install(options: {
    readonly id: Principal;
    readonly mode: Mode;
    readonly wasm: Uint8Array;
    readonly sha256: Uint8Array;
    readonly arg: Uint8Array;
  }): Promise<void>;
}

/** A call's arguments and whatever surrounds them stay below what an application subnet takes in one message. */
const MESSAGE_BYTES_MAX = 1_900_000;
const CHUNK_BYTES = 1_048_576;

const Target = IDL.Record({ canister_id: IDL.Principal });
const Blob = IDL.Vec(IDL.Nat8);
const Variables = IDL.Vec(IDL.Record({ name: IDL.Text, value: IDL.Text }));
const SETTINGS = {
  controllers: IDL.Vec(IDL.Principal),
  compute_allocation: IDL.Nat,
  memory_allocation: IDL.Nat,
  freezing_threshold: IDL.Nat,
  reserved_cycles_limit: IDL.Nat,
  wasm_memory_limit: IDL.Nat,
  environment_variables: Variables,
} as const;
const Settings = IDL.Record(
  Object.fromEntries(Object.entries(SETTINGS).map(([name, type]) => [name, IDL.Opt(type as IDL.Type)])),
);
const Creation = IDL.Record({
  amount: IDL.Opt(IDL.Nat),
  settings: IDL.Opt(IDL.Record({ controllers: IDL.Opt(IDL.Vec(IDL.Principal)) })),
  specified_id: IDL.Opt(IDL.Principal),
});
const Mode = IDL.Variant({
  install: IDL.Null,
  reinstall: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({ wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })) }),
  ),
});
const Hash = IDL.Record({ hash: Blob });

const MANAGEMENT = "aaaaa-aa";
const METHODS: Readonly<Record<keyof Calls, IDL.FuncClass>> = {
  provisional_create_canister_with_cycles: IDL.Func([Creation], [Target]),
  canister_status: IDL.Func(
    [Target],
    [
      IDL.Record({
        module_hash: IDL.Opt(Blob),
        settings: IDL.Record({ environment_variables: Variables }),
      }),
    ],
  ),
  update_settings: IDL.Func([IDL.Record({ canister_id: IDL.Principal, settings: Settings })], []),
  install_code: IDL.Func(
    [IDL.Record({ mode: Mode, canister_id: IDL.Principal, wasm_module: Blob, arg: Blob })],
    [],
  ),
  clear_chunk_store: IDL.Func([Target], []),
  upload_chunk: IDL.Func([IDL.Record({ canister_id: IDL.Principal, chunk: Blob })], [Hash]),
  install_chunked_code: IDL.Func(
    [
      IDL.Record({
        mode: Mode,
        target_canister: IDL.Principal,
        chunk_hashes_list: IDL.Vec(Hash),
        wasm_module_hash: Blob,
        arg: Blob,
      }),
    ],
    [],
  ),
};

interface Calls {
  provisional_create_canister_with_cycles(arg: unknown): Promise<Target>;
  canister_status(arg: Target): ReturnType<Management["status"]>;
  update_settings(arg: Target & { readonly settings: unknown }): Promise<void>;
  install_code(arg: unknown): Promise<void>;
  clear_chunk_store(arg: Target): Promise<void>;
  upload_chunk(arg: Target & { readonly chunk: Uint8Array }): Promise<{ readonly hash: Uint8Array }>;
  install_chunked_code(arg: unknown): Promise<void>;
}

/** `place`: an id of the subnet where canisters are created. */
export function managementOf(agent: Pick<HttpAgent, "update">, place: Principal): Management {
  const callsAbout = (effectiveCanisterId: Principal): Calls => {
    const calls = Object.entries(METHODS).map(([methodName, { argTypes, retTypes }]) => [
      methodName,
      async (arg: unknown) => {
        const { reply } = await agent.update(MANAGEMENT, {
          methodName,
          arg: IDL.encode(argTypes, [arg]),
          effectiveTarget: { canisterId: effectiveCanisterId },
        });
        return IDL.decode(retTypes, reply)[0];
      },
    ]);
    return Object.fromEntries(calls) as Calls;
  };
  return {
    async create(options) {
      const { canister_id } = await callsAbout(place).provisional_create_canister_with_cycles({
        amount: options === undefined ? [] : [options.amount],
        settings: options === undefined ? [] : [{ controllers: [options.controllers] }],
        specified_id: options === undefined ? [] : [options.id],
      });
      return canister_id;
    },
    status: (id) => callsAbout(id).canister_status({ canister_id: id }),
    async update(id, settings) {
      const given = settings as Readonly<Record<string, unknown>>;
      const all = Object.keys(SETTINGS).map((name) => [name, given[name] === undefined ? [] : [given[name]]]);
      await callsAbout(id).update_settings({ canister_id: id, settings: Object.fromEntries(all) });
    },
    async install({ id, mode, wasm, sha256, arg }) {
      const calls = callsAbout(id);
      if (wasm.length + arg.length <= MESSAGE_BYTES_MAX) {
        await calls.install_code({ mode, canister_id: id, wasm_module: wasm, arg });
        return;
      }
      await calls.clear_chunk_store({ canister_id: id });
      const hashes: { readonly hash: Uint8Array }[] = [];
      for (let at = 0; at < wasm.length; at += CHUNK_BYTES) {
        const chunk = wasm.subarray(at, at + CHUNK_BYTES);
        hashes.push(await calls.upload_chunk({ canister_id: id, chunk }));
      }
      await calls.install_chunked_code({
        mode,
        target_canister: id,
        chunk_hashes_list: hashes,
        wasm_module_hash: sha256,
        arg,
      });
      await calls.clear_chunk_store({ canister_id: id });
    },
  };
}
