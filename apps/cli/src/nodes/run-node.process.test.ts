/** One process of a network of several nodes, run by itself. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock, systemRng } from "@orrery/host";
import { newGenesisRecord } from "@orrery/node";
import { freeAddresses, writeNetworkPlan } from "./network-directory.ts";
import type { NodeReport } from "./run-node.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const stateDir = mkdtempSync(join(tmpdir(), "orrery-run-node-"));
after(() => rmSync(stateDir, { recursive: true, force: true }));

function statusUnder(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/api/v2/status`, { headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.once("error", reject);
    sent.end();
  });
}

test("is served under the name that it is told, and under no other", async () => {
  const genesis = newGenesisRecord({ rng: systemRng, clock: systemClock, nodes: 2 });
  writeNetworkPlan(stateDir, { genesis, addresses: await freeAddresses(2) });
  const nodes = [0, 1].map((place) =>
    fork(
      MAIN,
      ["node", "run", `${place}`, "--state-dir", stateDir, "--port", "0", "--host", "Network.example"],
      { stdio: ["ignore", "ignore", "inherit", "ipc"] },
    ),
  );
  try {
    for (const report of await Promise.all(nodes.map((node) => once(node, "message")))) {
      const [said] = report as [NodeReport];
      assert.ok(said.kind === "ready", JSON.stringify(said));
      assert.equal(await statusUnder(said.info.api_url, "network.example:8000"), 200);
      assert.equal(await statusUnder(said.info.api_url, "other.example:8000"), 403);
    }
  } finally {
    for (const node of nodes) node.disconnect();
    const ends = await Promise.all(nodes.map((node) => once(node, "exit")));
    assert.deepEqual(ends, [
      [0, null],
      [0, null],
    ]);
  }
});
