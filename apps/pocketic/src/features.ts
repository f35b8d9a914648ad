/**
 * The ICP features that an instance can come with: the ICP ledger, the cycles ledger and the cycles-minting canister as this repository has
 * written them, installed under their ids when the instance is new, with what PocketIC gives the anonymous principal.
 */
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, OrreryError, principalFromText, principalToText, type UserId } from "@orrery/base";
import { type SystemCanister, type SystemGenesis, systemCanisters } from "@orrery/canisters";
import type { Instance, SubnetTopology } from "@orrery/sim/instance";
import type { Feature } from "./protocol.ts";

const CANISTER_NAMES: Readonly<Record<Feature, string>> = {
  icp_token: "icp-ledger",
  cycles_token: "cycles-ledger",
  cycles_minting: "cycles-minting",
};
/** The root canister of the public network's governance controls them. */
const CONTROLLER = "r7inp-6aaaa-aaaaa-aaabq-cai";
const MANAGEMENT = new Uint8Array(0) as CanisterId;
const FUNDING: NonNullable<SystemGenesis["funding"]> = [
  { owner: "2vxsx-fae", icpE8s: 10n ** 17n, cycles: 2n ** 127n },
];

const Settings = IDL.Record({ controllers: IDL.Opt(IDL.Vec(IDL.Principal)) });
const Creation = IDL.Record({
  amount: IDL.Opt(IDL.Nat),
  settings: IDL.Opt(Settings),
  specified_id: IDL.Opt(IDL.Principal),
});
const Installation = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function manage(instance: Instance, method: string, arg: Uint8Array): void {
  const sender: UserId = principalFromText(CONTROLLER);
  const submitted = instance.submitIngress({ sender, canisterId: MANAGEMENT, method, arg });
  const result = submitted.ok ? instance.awaitIngress(submitted.value) : submitted;
  if (!result.ok)
    throw new OrreryError("feature_failed", `${method} of a system canister: ${result.error.message}`);
}

function install(instance: Instance, canister: SystemCanister, genesis: SystemGenesis): void {
  const id = Principal.fromText(canister.canisterId);
  const creation = {
    amount: [canister.cycles(genesis)],
    settings: [{ controllers: [[Principal.fromText(CONTROLLER)]] }],
    specified_id: [id],
  };
  manage(instance, "provisional_create_canister_with_cycles", IDL.encode([Creation], [creation]));
  const installation = {
    mode: { install: null },
    canister_id: id,
    wasm_module: canister.wasmGzip(),
    arg: canister.initArg(genesis),
  };
  manage(instance, "install_code", IDL.encode([Installation], [installation]));
}

const idText = ({ id }: SubnetTopology): string => principalToText(id);

/** Installs what is not there yet. */
export function installFeatures(instance: Instance, features: readonly Feature[]): void {
  const { subnets } = instance.topology();
  const nns = subnets.find(({ kind }) => kind === "nns");
  const applications = subnets.filter(({ kind }) => kind === "application").map(idText);
  for (const canister of systemCanisters()) {
    const isAsked = features.some((feature) => CANISTER_NAMES[feature] === canister.name);
    if (!isAsked || instance.canisterExists(principalFromText(canister.canisterId))) continue;
    install(instance, canister, {
      subnetId: idText((nns ?? subnets[0]) as SubnetTopology),
      ...(applications.length === 0 ? {} : { defaultSubnetIds: applications }),
      funding: FUNDING,
    });
  }
}
