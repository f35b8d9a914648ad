/** A counter canister on a network: what the request benchmarks call. */
import { readFileSync } from "node:fs";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { RunningNetwork } from "./network.ts";
import { statusOf } from "./requests.ts";

type Address = Pick<RunningNetwork, "port" | "defaultEffectiveCanisterId">;

const WASM = new URL("../../../canisters/fixtures/built/counter.eop.wasm.gz", import.meta.url);
export const EMPTY_ARG: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

const Blob = IDL.Vec(IDL.Nat8);
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: Blob,
  arg: Blob,
});

const isCall = (input: Parameters<typeof fetch>[0]): boolean =>
  String(input instanceof Request ? input.url : input).endsWith("/call");

/** A certificate tells of a call that was taken, a reject without one of a call that was not. */
async function isTaken(response: Response): Promise<boolean> {
  if (response.status !== 200) return response.status === 202;
  return statusOf(new Uint8Array(await response.arrayBuffer())) === "replied";
}

/** An update call to the management canister; the reply. */
export async function manage(call: {
  readonly network: Address;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly effective: string;
  /** Called once the network has taken the call on, whatever comes of it there. */
  readonly taken?: () => void;
}): Promise<Uint8Array> {
  const agent = await HttpAgent.create({
    host: `http://127.0.0.1:${call.network.port}`,
    shouldFetchRootKey: true,
    fetch: async (...request: Parameters<typeof fetch>) => {
      const response = await fetch(...request);
      if (call.taken !== undefined && isCall(request[0])) {
        if (await isTaken(response.clone())) call.taken();
      }
      return response;
    },
  });
  const { reply } = await agent.update("aaaaa-aa", {
    methodName: call.method,
    arg: call.arg,
    effectiveCanisterId: Principal.fromText(call.effective),
  });
  return reply;
}

/** Creates and installs a counter; textual id. */
export async function installCounter(network: Address): Promise<string> {
  const id = await createCanister(network);
  await installModule(network, id, new Uint8Array(readFileSync(WASM)));
  return id;
}

/** Textual id of an empty canister. */
export async function createCanister(network: Address): Promise<string> {
  const amount = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [] }]);
  const created = await manage({
    network,
    method: "provisional_create_canister_with_cycles",
    arg: new Uint8Array(amount),
    effective: network.defaultEffectiveCanisterId,
  });
  const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], created) as unknown as [
    { canister_id: Principal },
  ];
  return canister_id.toText();
}

/** Installs a module in an empty canister; a refusal is thrown. `taken`: as of `manage`. */
export async function installModule(
  network: Address,
  id: string,
  wasm_module: Uint8Array,
  taken: () => void = () => {},
): Promise<void> {
  const canister_id = Principal.fromText(id);
  const install = IDL.encode(
    [Install],
    [{ mode: { install: null }, canister_id, wasm_module, arg: EMPTY_ARG }],
  );
  await manage({ network, method: "install_code", arg: new Uint8Array(install), effective: id, taken });
}
