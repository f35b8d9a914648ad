/** A universal canister that asks the management canister for a test, and what it was told. */
import type { HttpAgent } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import type { Network } from "../harness.ts";
import { createCanister, installCode } from "../management.ts";
import { universalModule } from "../suite/module.ts";
import { callOut, code } from "../suite/script.ts";

export interface Told {
  /** 0: a reply. */
  readonly code: number;
  readonly data: Uint8Array;
  readonly text: string;
}

export interface Question {
  readonly method: string;
  readonly arg: Uint8Array;
  readonly cycles?: bigint;
}

/** The program that asks and relays. */
export function questionArg({ method, arg, cycles = 0n }: Question): Uint8Array {
  return code(callOut({ to: new Uint8Array(0), method, arg, cycles }));
}

export function told(reply: Uint8Array): Told {
  const data = reply.slice(reply[0] === 1 ? 1 : 9);
  return { code: reply[0] === 1 ? 0 : (reply[1] as number), data, text: new TextDecoder().decode(data) };
}

export async function newAsker(network: Network, agent: HttpAgent): Promise<Principal> {
  const id = await createCanister(agent, network.effectiveCanisterId);
  await installCode(agent, id, universalModule(), { install: null }, new Uint8Array(0));
  return id;
}

export async function run(agent: HttpAgent, id: Principal, arg: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await agent.update(id, { methodName: "update", arg }).then(({ reply }) => reply));
}

export async function ask(agent: HttpAgent, id: Principal, question: Question): Promise<Told> {
  return told(await run(agent, id, questionArg(question)));
}
