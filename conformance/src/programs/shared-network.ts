/** One network for all tests of a file, and what nearly all of them do with it. */
import { after, before } from "node:test";
import type { HttpAgent, Identity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { type MotokoFixtureName, motokoFixture } from "@orrery/canisters/fixtures";
import { agentFor, type Network, startNetwork } from "../harness.ts";
import { install, type PersistenceMode, type Program, programAt } from "../programs.ts";

export interface Shared {
  /** Valid within tests. */
  readonly network: Network;
  /** A signed user who controls what `motoko` installs. */
  readonly agent: HttpAgent;
  readonly sender: Principal;
  /** Another user. */
  as(identity: Identity): HttpAgent;
  /** A program freshly installed. */
  motoko(name: MotokoFixtureName, mode: PersistenceMode, ...args: readonly unknown[]): Promise<Program>;
}

/** Starts a network before the tests of the calling file and ends it after them. */
export function shareNetwork(): Shared {
  let network: Network | undefined;
  const identity = Ed25519KeyIdentity.generate();
  let agent: HttpAgent | undefined;
  before(async () => {
    network = await startNetwork();
    agent = agentFor(network, identity);
  });
  after(async () => {
    await network?.end("SIGTERM");
  });
  const started = (): Network => {
    if (network === undefined) throw new Error("the network starts before the first test");
    return network;
  };
  return {
    get network() {
      return started();
    },
    get agent() {
      return agent ?? agentFor(started(), identity);
    },
    sender: identity.getPrincipal(),
    as: (other) => agentFor(started(), other),
    motoko(name, mode, ...args) {
      return install(started(), this.agent, motokoFixture(name, mode), args);
    },
  };
}

/** The same program as another user sees it. */
export function seenBy(
  agent: HttpAgent,
  program: Program,
  name: MotokoFixtureName,
  mode: PersistenceMode,
): Program {
  return programAt(agent, program.id, motokoFixture(name, mode).idlFactory ?? (() => IDL.Service({})));
}

/** Bytes in which every position shows. */
export function pattern(size: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i + seed) % 251);
}
