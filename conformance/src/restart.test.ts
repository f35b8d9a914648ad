/** A network that is stopped, or killed, and started again has everything that a client saw answered. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { StatePaths } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { counterAt } from "./counter.ts";
import { agentFor, fixtureModule, startNetwork } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";

const stateDir = mkdtempSync(join(tmpdir(), "orrery-restart-"));
after(() => rmSync(stateDir, { recursive: true, force: true }));

const SIGNALS = ["SIGTERM", "SIGKILL", "SIGINT", "SIGKILL"] as const;

test("stopped and killed in turn: key, canister, counter and time go on", async () => {
  const identity = Ed25519KeyIdentity.generate();
  let network = await startNetwork({ stateDir });
  const { rootKey } = network;
  const canisterId = await createCanister(agentFor(network, identity), network.effectiveCanisterId);
  await installCode(agentFor(network, identity), canisterId, fixtureModule("counter.eop"));
  let count = 0n;
  let time = 0;
  for (const signal of SIGNALS) {
    const agent = agentFor(network, identity);
    const counter = counterAt(agent, canisterId);
    assert.equal(await counter.get(), count);
    for (let i = 0; i < 5; i++) count = await counter.inc();
    const { values } = await agent.readState({ canisterId }, { paths: [StatePaths.time] });
    const now = values.get(StatePaths.time)?.getTime() ?? 0;
    assert.ok(now >= time, "time goes forward");
    time = now;
    const code = await network.end(signal);
    assert.equal(code, signal === "SIGKILL" ? null : 0);
    network = await startNetwork({ stateDir });
    assert.deepEqual(network.rootKey, rootKey);
  }
  assert.equal(await counterAt(agentFor(network, identity), canisterId).get(), 20n);
  await network.end("SIGTERM");
});
