/** A subnet in this process without a node around it: envelopes in, rounds until all are answered, answers out. */
import {
  ANONYMOUS,
  type CanisterId,
  type CborValue,
  canisterIdFromIndex,
  decodeEnvelope,
  encodeCbor,
  type SubnetId,
  toHex,
} from "@orrery/base";
import { requestId } from "@orrery/crypto";
import {
  createExecution,
  type Execution,
  type ExecutionLimits,
  type GenesisCanister,
  installGenesis,
  WasmRunner,
} from "@orrery/execution";
import { inflateGzip } from "@orrery/host";
import { newState, PageArena, type ReplicatedState, type SubnetInfo } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabt from "wabt";
import { threadMilliseconds } from "./thread-clock.ts";

export const START_TIME = 1_700_000_000_000_000_000n;
const STEP_NS = 500_000_000n;
const EXPIRY_NS = 240_000_000_000n;
const CYCLES = 10n ** 20n;

export interface Subnet {
  readonly state: ReplicatedState;
  readonly execution: Execution;
  readonly arena: PageArena;
}

export interface Call {
  readonly canister: CanisterId;
  readonly method: string;
  readonly arg: Uint8Array;
}

/** The record of an application subnet that holds every canister id. */
export function soleSubnet(): SubnetInfo {
  const subnetId = Uint8Array.of(1) as unknown as SubnetId;
  const range = { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(2n ** 64n - 1n) };
  return {
    subnetId,
    type: "application",
    publicKey: new Uint8Array(133),
    rootKey: new Uint8Array(133),
    rootSubnetId: subnetId,
    routing: [{ subnetId, ranges: [range] }],
    allocation: range,
    nodes: [],
    feeSize: 13,
    local: true,
  };
}

/** An application subnet at its genesis. */
export function subnetWith(
  canisters: readonly GenesisCanister[],
  limits: Partial<ExecutionLimits> = {},
): Subnet {
  const arena = new PageArena();
  const state = newState({ subnet: soleSubnet(), time: START_TIME });
  const runner = new WasmRunner({
    engine: createEngine(),
    pages: arena,
    modules: state.blobs,
    inflate: inflateGzip,
  });
  installGenesis(state, runner, canisters);
  return { state, arena, execution: createExecution(state, { runner, arena, limits }) };
}

export function genesisCanister(
  id: CanisterId,
  wasm: Uint8Array,
  options: { readonly arg?: Uint8Array; readonly cycles?: bigint } = {},
): GenesisCanister {
  const { arg = new Uint8Array(0), cycles = CYCLES } = options;
  return { id, controllers: [ANONYMOUS], cycles, wasm, arg };
}

let nonce = 0;

/** A request from the anonymous principal that no other one equals. */
export function envelope(
  { canister, method, arg }: Call,
  time: bigint,
  kind: "call" | "query" = "call",
): Uint8Array {
  const content = new Map<string, CborValue>([
    ["request_type", kind],
    ["sender", ANONYMOUS],
    ["ingress_expiry", time + EXPIRY_NS],
    ["canister_id", canister],
    ["method_name", method],
    ["arg", arg],
    ["nonce", new Uint8Array(Float64Array.of(nonce++).buffer)],
  ]);
  return encodeCbor({ content });
}

/** What requests cost that are only decoded and identified; milliseconds of processor time. */
export function decodingMs(envelopes: readonly Uint8Array[]): number {
  const start = threadMilliseconds();
  for (const bytes of envelopes) {
    const decoded = decodeEnvelope(bytes);
    if (!decoded.ok) throw new Error("an envelope does not decode");
    requestId(decoded.value.content.fields);
  }
  return threadMilliseconds() - start;
}

export interface Settled {
  /** In `applyBatch`, of all rounds; processor time of the thread. */
  readonly ms: number;
  readonly replies: readonly Uint8Array[];
}

/** Rounds until nothing is left to do; throws when a message was not replied to. `stepNs` passes in the first of them. */
export function settle(
  { state, execution, arena }: Subnet,
  calls: readonly Call[],
  options: { readonly stepNs?: bigint; readonly envelopes?: readonly Uint8Array[] } = {},
): Settled {
  const { stepNs = STEP_NS } = options;
  const time = state.time + stepNs;
  const ingress = options.envelopes ?? calls.map((call) => envelope(call, time));
  const answered: Uint8Array[] = [];
  let ms = 0;
  for (let first = true, more = true; more; first = false) {
    const height = state.height + 1;
    arena.advance(height);
    const start = threadMilliseconds();
    const result = execution.applyBatch({
      height,
      time: first ? time : state.time + 1n,
      registryVersion: 1,
      randomness: new Uint8Array(32),
      ingress: first ? ingress : [],
    });
    ms += threadMilliseconds() - start;
    answered.push(...result.answered);
    more = result.moreWork;
  }
  arena.reclaim(state.height);
  if (answered.length !== ingress.length)
    throw new Error(`${answered.length} of ${ingress.length} requests are answered`);
  const replies = answered.map((id) => {
    const status = state.ingressHistory.get(toHex(id))?.status;
    if (status?.kind === "replied") return status.reply;
    throw new Error(`not replied to: ${status?.kind === "rejected" ? status.message : status?.kind}`);
  });
  return { ms, replies };
}

export async function assemble(text: string): Promise<Uint8Array> {
  return Uint8Array.from((await wabt()).parseWat("bench.wat", text).toBinary({}).buffer);
}
