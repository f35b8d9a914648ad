/** Instances that take anybody's word (`disable_ingress_validation`), and those that do not. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HttpAgent, SignIdentity } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { install } from "../programs.ts";
import { ask, type Server, startServer } from "./server.ts";

/** Speaks in the name of a key that it does not have. */
class Forger extends SignIdentity {
  readonly #victim = Ed25519KeyIdentity.generate();

  override getPublicKey(): ReturnType<SignIdentity["getPublicKey"]> {
    return this.#victim.getPublicKey();
  }

  override sign(): ReturnType<SignIdentity["sign"]> {
    return Promise.resolve(new Uint8Array(64) as Awaited<ReturnType<SignIdentity["sign"]>>);
  }
}

let server: Server;
before(async () => {
  server = await startServer({ arguments: ["--log-levels", "error"] });
});
after(() => server.end());

async function countBy(identity: SignIdentity, more: object): Promise<unknown> {
  const made = await ask(server, "/instances", {
    body: JSON.stringify({
      subnet_config_set: { application: [{ state_config: "New" }] },
      initial_time: { AutoProgress: { artificial_delay_ms: null } },
      ...more,
    }),
  });
  assert.equal(made.status, 201, made.text);
  const { instance_id: id, topology } = (
    made.json() as {
      Created: { instance_id: number; topology: { default_effective_canister_id: { canister_id: string } } };
    }
  ).Created;
  const effective = Buffer.from(topology.default_effective_canister_id.canister_id, "base64");
  const network = { effectiveCanisterId: Principal.fromUint8Array(new Uint8Array(effective)) };
  const host = `${server.url}/instances/${id}/`;
  const agent = await HttpAgent.create({ host, identity, shouldFetchRootKey: true, retryTimes: 0 });
  const counter = await install(network, agent, motokoFixture("counter", "enhanced"));
  return await counter.call("inc");
}

test("a forged signature counts where validation is off, and only there", async () => {
  assert.equal(await countBy(new Forger(), { disable_ingress_validation: true }), 1n);
  await assert.rejects(countBy(new Forger(), {}), { message: /[Ss]ignature/ });
  assert.equal(await countBy(Ed25519KeyIdentity.generate(), { disable_ingress_validation: false }), 1n);
});
