/**
 * The canisters that exist before the first block: created with their ids and cycles and installed by the runner itself, since
 * there is nobody yet who could send a message. Everything after genesis goes through blocks.
 */
import {
  assert,
  type CanisterId,
  MANAGEMENT_CANISTER,
  OrreryError,
  type Principal,
  principalKey,
  principalToText,
} from "@orrery/base";
import { newCanister, type ReplicatedState, updateTree } from "@orrery/state";
import { INSTRUCTIONS_PER_INSTALL_MAX, QUEUE_CAPACITY, SUBNET_MEMORY_BYTES_MAX } from "./limits.ts";
import type { MessageRunner } from "./types.ts";

export interface GenesisCanister {
  readonly id: CanisterId;
  readonly controllers: readonly Principal[];
  readonly cycles: bigint;
  /** Module, raw or gzip. */
  readonly wasm: Uint8Array;
  /** Candid argument of its initialization. */
  readonly arg: Uint8Array;
}

/** Installs the canisters into a state of height 0 and brings its certified tree up to date. `genesis_invalid` when one fails. */
export function installGenesis(
  state: ReplicatedState,
  runner: MessageRunner,
  canisters: readonly GenesisCanister[],
): void {
  assert(state.height === 0, "genesis comes before the first block");
  for (const genesis of canisters) installOne(state, runner, genesis);
  updateTree(state);
  state.changed.canisters.clear();
  for (const canister of state.canisters.values()) {
    canister.memory.heap.takeDelta();
    canister.memory.stable.takeDelta();
  }
}

function installOne(state: ReplicatedState, runner: MessageRunner, genesis: GenesisCanister): void {
  const fail = (why: string): OrreryError =>
    new OrreryError(
      "genesis_invalid",
      `genesis canister ${principalToText(genesis.id)} cannot be installed: ${why}`,
    );
  const compiled = runner.compile(genesis.wasm);
  if (!compiled.ok) throw fail(compiled.error.message);
  const { module, customSectionBytes } = compiled.value;
  const { id, controllers, cycles } = genesis;
  const canister = newCanister({ id, controllers, cycles, time: state.time });
  state.canisters.set(principalKey(id), canister);
  state.changed.canisters.add(principalKey(id));
  state.blobs.put(genesis.wasm);
  const outcome = runner.install(
    canister,
    { mode: "install", skipPreUpgrade: false, keepHeap: false, module, arg: genesis.arg },
    {
      subnet: state.subnet,
      time: state.time,
      caller: controllers[0] ?? MANAGEMENT_CANISTER,
      callerInfo: null,
      deadline: 0n,
      cyclesAvailable: 0n,
      cyclesRefunded: 0n,
      canRespond: false,
      instructionLimit: INSTRUCTIONS_PER_INSTALL_MAX,
      contextInstructions: 0n,
      dataCertificate: null,
      subnetMemoryAvailable: SUBNET_MEMORY_BYTES_MAX,
      requestSlots: () => QUEUE_CAPACITY,
    },
  );
  if (outcome.effects === null) throw fail(outcome.error?.message ?? "its initialization failed");
  canister.meta.module = module;
  canister.meta.customSectionBytes = customSectionBytes;
  canister.meta.installedAt = state.time;
  canister.meta.version = 1n;
  canister.meta.certifiedData = outcome.effects.certifiedData ?? canister.meta.certifiedData;
  canister.meta.globalTimer = outcome.effects.globalTimer ?? 0n;
}
