/** Programs of `canisters/fixtures` installed on a network and called through the published client. */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Actor, type HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { type Fixture, type MotokoFixtureName, motokoFixture } from "@orrery/canisters/fixtures";
import type { Network } from "./harness.ts";
import { createCanister, type InstallMode, installCode } from "./management.ts";

/** The two ways Motoko keeps a program's data over upgrades. */
export const PERSISTENCE_MODES = ["enhanced", "classic"] as const;
export type PersistenceMode = (typeof PERSISTENCE_MODES)[number];

export interface Program {
  readonly id: Principal;
  /** Calls a method, as a query or an update by its interface; the one result, or undefined when there is none. */
  call(method: string, ...args: readonly unknown[]): Promise<unknown>;
}

export function programAt(agent: HttpAgent, id: Principal, idlFactory: IDL.InterfaceFactory): Program {
  const actor = Actor.createActor(idlFactory, { agent, canisterId: id });
  return {
    id,
    call(method, ...args) {
      const run = actor[method];
      assert.ok(run !== undefined, `no method ${method}`);
      return run(...args);
    },
  };
}

/** Creates a canister with the fixture installed, on the subnet of the effective canister id. */
export async function install(
  network: Pick<Network, "effectiveCanisterId">,
  agent: HttpAgent,
  fixture: Fixture,
  args: readonly unknown[] = [],
): Promise<Program> {
  const id = await createCanister(agent, network.effectiveCanisterId);
  // Programs without an interface take raw bytes.
  const raw = fixture.idlFactory === null;
  const arg = raw ? new Uint8Array(0) : IDL.encode([...fixture.initTypes], [...args]);
  await installCode(agent, id, fixture.wasmGzip, { install: null }, arg);
  return programAt(agent, id, fixture.idlFactory ?? (() => IDL.Service({})));
}

/** Upgrade options under which Motoko keeps its data: with enhanced persistence the memory itself stays. */
export function upgradeMode(mode: PersistenceMode): InstallMode {
  const keep: [] | [{ readonly keep: null }] = mode === "enhanced" ? [{ keep: null }] : [];
  return { upgrade: [{ skip_pre_upgrade: [], wasm_memory_persistence: keep }] };
}

export async function upgrade(
  agent: HttpAgent,
  program: Program,
  name: MotokoFixtureName,
  mode: PersistenceMode,
  args: readonly unknown[] = [],
): Promise<Program> {
  const fixture = motokoFixture(name, mode);
  const arg = IDL.encode([...fixture.initTypes], [...args]);
  await installCode(agent, program.id, fixture.wasmGzip, upgradeMode(mode), arg);
  return programAt(agent, program.id, fixture.idlFactory as IDL.InterfaceFactory);
}

/** Longest wait for something that the network does by itself: timers, heartbeats, calls without an answer. */
const EVENTUALLY_MS = 20_000;
/** Between two looks: what is waited for needs the processor. */
const LOOK_MS = 20;

/** Asks until the answer passes, or fails with the last answer. */
export async function eventually(
  ask: () => Promise<unknown>,
  passes: (answer: never) => boolean,
  withinMs: number = EVENTUALLY_MS,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (passes(answer as never)) return;
    const shown = (): string =>
      JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? `${value}` : value));
    if (performance.now() > deadline)
      assert.fail(`not within ${withinMs} ms; the last answer was ${shown()}`);
    await setTimeout(LOOK_MS);
  }
}
