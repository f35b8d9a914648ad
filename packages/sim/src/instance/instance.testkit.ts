/** Networks in one place for tests, and the few calls that every test of them makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as SdkPrincipal } from "@icp-sdk/core/principal";
import {
  ANONYMOUS,
  type CanisterId,
  MANAGEMENT_CANISTER,
  principalFromText,
  principalToText,
  type SubnetId,
} from "@orrery/base";
import { ed25519Signer } from "@orrery/crypto/curves";
import { createMclBls } from "@orrery/crypto/mcl";
import {
  type CanisterCall,
  createInstance,
  type EffectivePrincipal,
  type Instance,
  type InstanceOptions,
  type SubnetKind,
} from "./index.ts";

export const GENESIS = 1_620_328_630_000_000_000n;
const bls = await createMclBls();

export function newInstance(kinds: readonly SubnetKind[], more: Partial<InstanceOptions> = {}): Instance {
  return createInstance({ ...instanceOptions(kinds), ...more });
}

export function instanceOptions(kinds: readonly SubnetKind[]): InstanceOptions {
  return {
    topology: kinds.map((kind) => ({ kind })),
    seed: new Uint8Array(32).fill(7),
    time: GENESIS,
    host: {
      bls,
      inflate: (bytes, maxOutputLength) => new Uint8Array(gunzipSync(bytes, { maxOutputLength })),
      ed25519PublicKeyDer: (secret) => ed25519Signer(secret).publicKeyDer,
      ed25519Signer: (secret) => ed25519Signer(secret).sign,
    },
  };
}

export function fixture(name: string): Uint8Array {
  const url = new URL(`../../../../canisters/fixtures/built/${name}.wasm.gz`, import.meta.url);
  return new Uint8Array(readFileSync(url));
}

export const candid = (types: readonly IDL.Type[], values: readonly unknown[]): Uint8Array =>
  new Uint8Array(IDL.encode([...types], [...values]));
export const natOf = (reply: Uint8Array): bigint => IDL.decode([IDL.Nat], reply)[0] as unknown as bigint;
export const EMPTY: Uint8Array = candid([], []);

export interface Told {
  readonly effective?: EffectivePrincipal;
  readonly sender?: CanisterCall["sender"];
}

export function call(
  canisterId: CanisterId,
  method: string,
  arg: Uint8Array = EMPTY,
  more: Told = {},
): CanisterCall {
  return { sender: ANONYMOUS, canisterId, method, arg, ...more };
}

/** The reply of an update that is accepted and replied to. */
export function update(instance: Instance, told: CanisterCall): Uint8Array {
  const id = instance.submitIngress(told);
  assert.ok(id.ok, id.ok ? "" : id.error.message);
  const answer = instance.awaitIngress(id.value);
  assert.ok(answer.ok, answer.ok ? "" : answer.error.message);
  return answer.value;
}

export function query(instance: Instance, told: CanisterCall): Uint8Array {
  const answer = instance.query(told);
  assert.ok(answer.ok, answer.ok ? "" : answer.error.message);
  return answer.value;
}

const Creation = IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) });

export function creation(specified: string | null = null, effective?: EffectivePrincipal): CanisterCall {
  const arg = candid(
    [Creation],
    [{ amount: [], specified_id: specified === null ? [] : [SdkPrincipal.fromText(specified)] }],
  );
  const told = effective === undefined ? {} : { effective };
  return call(MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", arg, told);
}

export function createCanister(instance: Instance, on?: SubnetId): CanisterId {
  const effective = on === undefined ? undefined : ({ kind: "subnet", id: on } as const);
  return createdId(update(instance, creation(null, effective)));
}

export function createdId(reply: Uint8Array): CanisterId {
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
    { readonly canister_id: SdkPrincipal },
  ];
  return principalFromText(canister_id.toText());
}

const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

export function install(instance: Instance, canisterId: CanisterId, wasm: Uint8Array): void {
  const canister_id = SdkPrincipal.fromText(principalToText(canisterId));
  const arg = candid([Install], [{ mode: { install: null }, canister_id, wasm_module: wasm, arg: EMPTY }]);
  update(instance, call(MANAGEMENT_CANISTER, "install_code", arg));
}

export function installed(instance: Instance, name: string, on?: SubnetId): CanisterId {
  const id = createCanister(instance, on);
  install(instance, id, fixture(name));
  return id;
}
