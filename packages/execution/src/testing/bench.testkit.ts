/**
 * What tests of running canisters share: a subnet, a runner over an arena, modules from WebAssembly text, and a canister that is
 * installed and called without a scheduler.
 */
import assert from "node:assert/strict";
import { type CanisterId, canisterIdFromIndex, type Principal, principalFromText, utf8 } from "@orrery/base";
import { type CanisterState, newCanister, PageArena, type SubnetInfo } from "@orrery/state";
import { createEngine } from "@orrery/wasm";
import wabtFactory from "wabt";
import { type RunnerOptions, WasmRunner } from "../runner/runner.ts";
import type { EntryPoint, InstallRequest, MessageContext, MessageOutcome } from "../types.ts";

const wabt = await wabtFactory();

export const CONTROLLER: Principal = principalFromText("2vxsx-fae");
export const OTHER: Principal = principalFromText("em77e-bvlzu-aq");
const SUBNET_ID = principalFromText("rwlgt-iiaaa-aaaaa-aaaaa-cai");

export const SUBNET: SubnetInfo = {
  subnetId: SUBNET_ID,
  type: "application",
  publicKey: new Uint8Array(133).fill(7),
  rootKey: new Uint8Array(133).fill(9),
  rootSubnetId: SUBNET_ID,
  routing: [
    {
      subnetId: SUBNET_ID,
      ranges: [{ start: canisterIdFromIndex(0n), end: canisterIdFromIndex(0xfffffn) }],
    },
  ],
  allocation: { start: canisterIdFromIndex(0n), end: canisterIdFromIndex(0xfffffn) },
  nodes: [],
  feeSize: 13,
  local: true,
};

/** Assembles WebAssembly text, 64-bit memories allowed; with `names`, the functions' go into the `name` section. */
export function wat(text: string, options: { readonly names?: boolean } = {}): Uint8Array {
  const module = wabt.parseWat("module.wat", text, { memory64: true, bulk_memory: true, simd: true });
  const { buffer } = module.toBinary({ write_debug_names: options.names ?? false });
  module.destroy();
  return new Uint8Array(buffer);
}

export function context(overrides: Partial<MessageContext> = {}): MessageContext {
  return {
    subnet: SUBNET,
    time: 1_700_000_000_000_000_000n,
    caller: CONTROLLER,
    callerInfo: null,
    deadline: 0n,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    canRespond: true,
    instructionLimit: 1_000_000_000n,
    contextInstructions: 0n,
    dataCertificate: null,
    subnetMemoryAvailable: 2n << 40n,
    requestSlots: () => 500,
    ...overrides,
  };
}

/** A runner with its arena, and canisters installed from text. */
export class Bench {
  readonly arena: PageArena = new PageArena();
  readonly blobs: Map<string, Uint8Array> = new Map();
  readonly runner: WasmRunner;
  #nextIndex = 1n;

  constructor(options: Partial<Pick<RunnerOptions, "engine" | "instancesMax" | "log" | "profiling">> = {}) {
    this.runner = new WasmRunner({
      engine: createEngine(),
      pages: this.arena,
      modules: { get: (key) => this.blobs.get(key) ?? null },
      inflate: () => {
        throw new Error("not gzip in these tests");
      },
      ...options,
    });
  }

  empty(): CanisterState {
    const id: CanisterId = canisterIdFromIndex(this.#nextIndex++);
    return newCanister({ id, controllers: [CONTROLLER], cycles: 10_000_000_000_000n, time: 1n });
  }

  /** Compiles and runs an installation; the record's module changes on success only. */
  install(
    canister: CanisterState,
    text: string | Uint8Array,
    options: Partial<Omit<InstallRequest, "module">> & { readonly context?: Partial<MessageContext> } = {},
  ): MessageOutcome {
    const wasm = typeof text === "string" ? wat(text) : text;
    const compiled = this.runner.compile(wasm);
    assert.ok(compiled.ok, compiled.ok ? "" : compiled.error.message);
    const { module } = compiled.value;
    this.blobs.set(module.blob, wasm);
    const { context: overrides, ...request } = options;
    const outcome = this.runner.install(
      canister,
      { mode: "install", skipPreUpgrade: false, keepHeap: false, arg: new Uint8Array(0), ...request, module },
      context(overrides),
    );
    if (outcome.error === null) {
      canister.meta.module = module;
      canister.meta.version++;
    }
    return outcome;
  }

  /** A canister with this code. */
  installed(text: string | Uint8Array, arg: Uint8Array = new Uint8Array(0)): CanisterState {
    const canister = this.empty();
    const outcome = this.install(canister, text, { arg });
    assert.equal(outcome.error, null);
    return canister;
  }

  update(
    canister: CanisterState,
    method: string,
    arg: Uint8Array | string = "",
    overrides: Partial<MessageContext> = {},
  ): MessageOutcome {
    const entry: EntryPoint = { kind: "update", method, arg: typeof arg === "string" ? utf8(arg) : arg };
    return this.runner.execute(canister, entry, context(overrides));
  }

  query(
    canister: CanisterState,
    method: string,
    arg: Uint8Array | string = "",
    overrides: Partial<MessageContext> = {},
  ): MessageOutcome {
    const entry: EntryPoint = { kind: "query", method, arg: typeof arg === "string" ? utf8(arg) : arg };
    return this.runner.query(canister, entry, { context: context(overrides) }).outcome;
  }
}

/** The reply of an outcome that must have one. */
export function reply(outcome: MessageOutcome): Uint8Array {
  assert.equal(outcome.error, null);
  assert.equal(outcome.effects?.response?.kind, "reply");
  return outcome.effects?.response?.kind === "reply" ? outcome.effects.response.data : new Uint8Array(0);
}
