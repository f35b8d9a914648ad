/** One process of a network of several nodes, run by itself. */
import assert from "node:assert/strict";
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock, systemRng } from "@orrery/host";
import { hasStore, NODE_LIFE_FILE } from "@orrery/host/directory-content";
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

async function command(
  ...argv: readonly string[]
): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out };
}

test("run by nobody else, a node is known by its directory until it is stopped", async () => {
  const genesis = newGenesisRecord({ rng: systemRng, clock: systemClock, nodes: 2 });
  const addresses = await freeAddresses(2);
  // Others know the second under a name at which it cannot listen; the first has it as it is.
  const told = addresses.with(1, { host: "192.0.2.1", port: 9_000 });
  const directories = [addresses, told].map((known, place) => {
    const directory = mkdtempSync(join(stateDir, "alone-"));
    writeNetworkPlan(directory, { genesis, addresses: known });
    mkdirSync(join(directory, `node-${place}`));
    return directory;
  });
  const nodes = directories.map((directory, place) => {
    const peer = `127.0.0.1:${addresses[place]?.port}`;
    const argv = ["node", "run", "--state-dir", directory, "--port", "0", "--peer-bind", peer];
    return spawn(process.execPath, [MAIN, ...argv], { stdio: ["ignore", "pipe", "ignore"] });
  });
  const ends = nodes.map((node) => once(node, "exit"));
  for (const [place, { stdout }] of nodes.entries()) {
    const [said] = (await once(stdout.setEncoding("utf8"), "data")) as [string];
    assert.match(said, new RegExp(`^Node ${place} is running\\. API: http://127\\.0\\.0\\.1:\\d+\n$`));
  }
  for (const [place, directory] of directories.entries()) {
    const shown = await command("node", "status", "--state-dir", directory, "--json");
    const { subnets } = JSON.parse(shown.out) as { subnets: { nodes: { pid: number }[] }[] };
    assert.deepEqual(
      subnets.map(({ nodes: of }) => of.map(({ pid }) => pid)),
      [[nodes[place]?.pid], [nodes[place]?.pid]],
    );
  }
  for (const [place, directory] of directories.entries()) {
    const own = join(directory, `node-${place}`);
    assert.ok(hasStore(own) && existsSync(join(own, NODE_LIFE_FILE)), "it knows that it has run");
    assert.equal((await command("stop", "--state-dir", own)).code, 0);
    assert.deepEqual(await ends[place], [0, null]);
    assert.equal((await command("node", "status", "--state-dir", directory, "--json")).code, 1);
  }
});

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
