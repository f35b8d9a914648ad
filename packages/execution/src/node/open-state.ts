/**
 * A subnet's state as its node has it: from a checkpoint, or made anew with the canisters of the first block, and the execution that takes
 * it on. One way for nodes, for what runs a past again and for copies, so that the same blocks lead to the same state everywhere.
 */
import { compareBytes, type Height, type Logger, principalFromText, principalToText } from "@orrery/base";
import type { ChainKeys } from "@orrery/crypto/chain-keys";
import {
  type LoadedCheckpoint,
  newState,
  type PageArena,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import type { Engine } from "@orrery/wasm";
import { createExecution, type Execution } from "../apply-batch.ts";
import { type GenesisCanister, installGenesis } from "../genesis.ts";
import type { Inflate } from "../runner/modules.ts";
import { WasmRunner } from "../runner/runner.ts";
import type { Executor } from "../types.ts";
import { nodeLimits } from "./limits.ts";

/** Controllers of the system canisters: the root canister of the public network's governance. */
const SYSTEM_CONTROLLER = "r7inp-6aaaa-aaaaa-aaabq-cai";

/** Textual ids. */
interface FirstSubnets {
  readonly subnetId: string;
  readonly defaultSubnetIds: readonly string[];
}

/** One that the root subnet begins with. */
export interface SystemCanister {
  readonly canisterId: string;
  wasmGzip(): Uint8Array;
  initArg(genesis: FirstSubnets): Uint8Array;
  cycles(genesis: FirstSubnets): bigint;
}

/** What a state is opened with, whoever opens it. */
export interface OpenStateOptions {
  /** Null: the network begins. */
  readonly loaded: LoadedCheckpoint | null;
  /** For the pages of a network that begins. */
  readonly newArena: () => PageArena;
  readonly subnet: SubnetInfo;
  readonly genesisTime: bigint;
  /** Textual ids of the subnets that anybody may create canisters on through the cycles-minting canister. */
  readonly creationSubnets: readonly string[];
  readonly systemCanisters: () => readonly SystemCanister[];
  /** Of the network: for the subnet that its record says holds keys. */
  readonly chainKeys: ChainKeys;
  readonly engine: Engine;
  readonly inflate: Inflate;
  readonly logger: Logger;
  /** Runs executions elsewhere, or watches them; everything on the caller's thread when it is not there. */
  readonly executor?: ((parts: Omit<OpenedState, "execution" | "base">) => Executor) | undefined;
  /** Whether executions are profiled by function now; on the caller's thread only. */
  readonly profiling?: (() => boolean) | undefined;
}

export interface OpenedState {
  readonly state: ReplicatedState;
  readonly arena: PageArena;
  readonly runner: WasmRunner;
  readonly execution: Execution;
  /** Of the checkpoint that it came from; null: there was none. */
  readonly base: Height | null;
}

/** The system canisters live on the root; other subnets begin empty. */
function genesisCanisters(options: OpenStateOptions): readonly GenesisCanister[] {
  const { subnet, creationSubnets } = options;
  if (compareBytes(subnet.subnetId, subnet.rootSubnetId) !== 0) return [];
  const genesis = { subnetId: principalToText(subnet.subnetId), defaultSubnetIds: creationSubnets };
  return options.systemCanisters().map((canister) => ({
    id: principalFromText(canister.canisterId),
    controllers: [principalFromText(SYSTEM_CONTROLLER)],
    cycles: canister.cycles(genesis),
    wasm: canister.wasmGzip(),
    arg: canister.initArg(genesis),
  }));
}

export function openState(options: OpenStateOptions): OpenedState {
  const { loaded, subnet, genesisTime: time, engine, inflate, profiling } = options;
  const state = loaded?.state ?? newState({ subnet, time });
  const arena = loaded?.arena ?? options.newArena();
  const runner = new WasmRunner({
    engine,
    pages: arena,
    modules: state.blobs,
    inflate,
    log: options.logger,
    ...(profiling === undefined ? {} : { profiling }),
  });
  if (loaded === null) installGenesis(state, runner, genesisCanisters(options));
  const executor = options.executor?.({ state, arena, runner });
  const execution = createExecution(state, {
    runner,
    arena,
    limits: nodeLimits(state.subnet.type),
    log: options.logger,
    ...(executor === undefined ? {} : { executor }),
    // By the record that the state was made with, which may be older than these keys.
    ...(state.subnet.chainKeys === undefined ? {} : { chainKeys: options.chainKeys }),
  });
  return { state, arena, runner, execution, base: loaded?.info.height ?? null };
}
