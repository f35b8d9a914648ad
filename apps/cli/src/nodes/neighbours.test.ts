/** Nodes that run from a network's directory beside those that it began with. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodeDirectory } from "@orrery/host/directory-content";
import { lockDirectory } from "@orrery/host/directory-lock";
import { type NetworkInfo, writeNetworkInfo } from "../state-files.ts";
import { Neighbours } from "./neighbours.ts";

const BEGUN = 4;
const stateDir = mkdtempSync(join(tmpdir(), "orrery-neighbours-"));
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(stateDir, { recursive: true, force: true });
});

const RANGES = [{ start: { canister_id: "AAAAAAAAAAABAQ==" }, end: { canister_id: "AAAAAAAP//8BAQ==" } }];

/** Answers like a node of the subnet. */
async function served(subnet: string): Promise<string> {
  const server = createServer((request, response) => {
    assert.equal(request.url, "/_/topology");
    response.end(JSON.stringify({ subnet_configs: { [subnet]: { canister_ranges: RANGES } } }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The directory of a node that runs, or of one that was killed. */
function directoryOf(place: number, url: string, subnet: string, runs = true): () => void {
  const directory = nodeDirectory(stateDir, place);
  mkdirSync(directory);
  const info: NetworkInfo = {
    ...{ pid: process.pid, gateway_url: url, api_url: url, root_key: "", default_effective_canister_id: "" },
    subnets: [{ id: subnet, kind: "application", default_effective_canister_id: "", nodes: [] }],
  };
  writeNetworkInfo(directory, info);
  if (!runs) return () => {};
  const lock = lockDirectory(directory);
  return () => lock.release();
}

test("who joined and runs is found with its subnet, and who ended is not there any more", async () => {
  const learnt: string[] = [];
  let changes = 0;
  const neighbours = new Neighbours({
    stateDir,
    begun: BEGUN,
    routes: {
      idOf: (subnet) => ["root", "application", "created"][subnet] ?? "",
      learn: ({ id, ranges }) => {
        learnt.push(`${id} ${ranges.map(({ start, end }) => [start.length, end[6]]).join()}`);
      },
    },
    onChange: () => changes++,
    onError: (error) => assert.fail(String(error)),
  });
  const [first, second, gone] = await Promise.all([
    served("created"),
    served("application"),
    served("created"),
  ]);
  await neighbours.look();
  assert.deepEqual([neighbours.infos(), changes], [[], 0]);
  const end = directoryOf(BEGUN, first, "created");
  closers.push(directoryOf(BEGUN + 1, second, "application"));
  // One of those that began is led to anyway; of the others one does not run, one has an address elsewhere, and one does not answer.
  closers.push(directoryOf(BEGUN - 1, second, "application"));
  directoryOf(BEGUN + 2, gone, "created", false);
  closers.push(directoryOf(BEGUN + 3, "http://192.0.2.1:1", "created"));
  closers.push(directoryOf(BEGUN + 4, "http://127.0.0.1:1", "created"));
  await neighbours.look();
  const portOf = (url: string): number => Number(new URL(url).port);
  assert.deepEqual(
    [0, 1, 2].map((subnet) => neighbours.ports(subnet)),
    [[], [portOf(second)], [portOf(first)]],
  );
  assert.deepEqual(learnt.sort(), ["application 10,255", "created 10,255"]);
  assert.equal(changes, 1);
  await neighbours.look();
  assert.deepEqual([changes, learnt.length], [1, 2]);
  end();
  await neighbours.look();
  assert.deepEqual([neighbours.ports(2), neighbours.infos().length, changes], [[], 1, 2]);
});
