/**
 * A network of four processes that run by themselves, each another operator's, under a client's load: a fifth joins, then the first leaves
 * and another is replaced, all by records that the operators approve. Nobody stops, no acknowledged update is lost, and the subnet's key stays.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, principalToText, toHex } from "@orrery/base";
import { systemClock, systemRng } from "@orrery/host";
import type { Command } from "@orrery/host/command";
import { GENESIS_FILE, NODE_KEY_FILE, nodeDirectory, PEERS_FILE } from "@orrery/host/directory-content";
import { newGenesisRecord } from "@orrery/node";
import { dealFor, foundGenesis, foundingRecord } from "@orrery/node/founding";
import {
  approveWith,
  decodeRecords,
  encodeRecord,
  joinWith,
  nodeIdOf,
  openRegistry,
  REGISTRY_PATH,
  type RegistryChange,
  type RegistryDocument,
  writeRegistryFile,
} from "@orrery/node/registry";
import { counterAt } from "./counter.ts";
import { fixtureModule } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { type Address, freeLoopback } from "./nodes-drill/wires.ts";
import { launchOrrery } from "./orrery.ts";
import { eventually } from "./programs.ts";

const FOUNDERS = 4;
const ALL: number = FOUNDERS + 2;
/** Room for five dealings, one a block, and for nodes that are late. */
const INTERVAL = 12;
const START_MS = 120_000;
const STARTS_MAX = 3;
const stateDir = mkdtempSync(join(tmpdir(), "orrery-membership-"));
const identity = Ed25519KeyIdentity.generate();
const seeds: readonly Uint8Array[] = Array.from({ length: ALL }, () => systemRng.bytes(32));
const seedOf = (place: number): Uint8Array => seeds[place] as Uint8Array;

interface Running {
  readonly command: Command;
  readonly url: string;
}

const running = new Map<number, Running>();
/** All that were ever started. */
const started: Command[] = [];
let addresses: readonly Address[];
let genesis: Uint8Array;
let counter: Principal;
let rootKey: Uint8Array;

async function found(): Promise<Uint8Array> {
  const plan = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes: FOUNDERS,
    catchUpInterval: INTERVAL,
    subnets: [],
  });
  const founders = seeds.slice(0, FOUNDERS);
  const records = await Promise.all(founders.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(founders.map((seed) => dealFor(plan, records, seed)));
  return await foundGenesis(plan, records, dealings);
}

/** What each operator has of the network. */
function prepare(place: number): void {
  const directory = nodeDirectory(stateDir, place);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, NODE_KEY_FILE), `${toHex(seedOf(place))}\n`, { mode: 0o600 });
}

/** As a service manager has it: a node that ends before it answers is started again. */
async function run(place: number): Promise<Running> {
  const argv = ["node", "run", `${place}`, "--state-dir", stateDir, "--port", "0"];
  for (let left = STARTS_MAX; ; left--) {
    const command = launchOrrery({ cwd: stateDir }, ...argv);
    started.push(command);
    try {
      const [, url = ""] = await command.said(/is running\. API: (\S+)/);
      const node = { command, url };
      running.set(place, node);
      return node;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

const agentAt = (place: number): HttpAgent =>
  HttpAgent.createSync({
    host: running.get(place)?.url ?? "",
    identity,
    rootKey,
    verifyQuerySignatures: true,
    retryTimes: 0,
  });

async function documentAt(place: number): Promise<RegistryDocument> {
  const response = await fetch(`${running.get(place)?.url}${REGISTRY_PATH}`);
  return (await response.json()) as RegistryDocument;
}

/** The operators of these nodes approve it; one of them brings it to its own. */
async function decide(changes: readonly RegistryChange[], operators: readonly number[]): Promise<void> {
  const [first = 0] = operators;
  const { records } = await documentAt(first);
  const founders = addresses.slice(0, FOUNDERS);
  const registry = await openRegistry({ genesis, addresses: founders }, decodeRecords(fromHex(records)));
  let record: Parameters<typeof approveWith>[0] = { mutation: registry.propose(changes), approvals: [] };
  for (const operator of operators) record = approveWith(record, seedOf(operator));
  const response = await fetch(`${running.get(first)?.url}${REGISTRY_PATH}`, {
    method: "POST",
    body: Buffer.from(encodeRecord(record)),
  });
  assert.equal(response.status, 200, await response.text());
}

/** A new node begins with the records that its operator was given. */
async function begin(place: number, from: number): Promise<void> {
  prepare(place);
  const { records } = await documentAt(from);
  writeRegistryFile(nodeDirectory(stateDir, place), decodeRecords(fromHex(records)));
  await run(place);
}

/** Resolves when the node has stopped by itself. */
async function left(place: number): Promise<void> {
  const node = running.get(place);
  assert.ok(node !== undefined);
  const { code, err } = await node.command.ended;
  assert.equal(code, 0, err);
  assert.match(err, /its last interval is over/);
  running.delete(place);
}

const joining = (place: number): Promise<RegistryChange> =>
  joinWith(seedOf(place), [0], addresses[place] as Address);
const leaving = (place: number): RegistryChange => ({
  kind: "leave",
  subnet: 0,
  nodeId: nodeIdOf(seedOf(place), 0),
});

/** Increments the counter at nodes by turns until it is told to stop. */
class Load {
  acknowledged = 0;
  /** Nobody can say whether these counted. */
  unknown = 0;
  #isOver = false;
  readonly #done: Promise<void> = this.#run();

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const places = [...running.keys()];
      try {
        await counterAt(agentAt(places[turn % places.length] as number), counter).inc();
        this.acknowledged++;
      } catch {
        this.unknown++;
      }
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}

/** Who signs answers of the subnet, as its certificate says at a node. */
async function certifiedNodes(place: number): Promise<readonly string[]> {
  const keys = await agentAt(place).fetchSubnetKeys({ canisterId: counter });
  return [...keys.keys()].sort();
}

const idsOf = (places: readonly number[]): readonly string[] =>
  places.map((place) => principalToText(nodeIdOf(seedOf(place), 0))).sort();

/** One is added; then one is removed and another replaced. */
async function change(): Promise<void> {
  assert.deepEqual(await certifiedNodes(1), idsOf([0, 1, 2, 3]));
  await decide([await joining(4)], [1, 2, 3]);
  await begin(4, 1);
  assert.deepEqual(await certifiedNodes(4), idsOf([0, 1, 2, 3, 4]));
  // Three of five are too few.
  await assert.rejects(decide([leaving(0)], [2, 3, 4]), /3 nodes approve it, and it takes 4/);
  await decide([leaving(0), await joining(5), leaving(1)], [4, 1, 2, 3]);
  await Promise.all([begin(5, 4), left(0), left(1)]);
}

describe("membership by the registry", () => {
  before(async () => {
    addresses = await freeLoopback(ALL);
    genesis = await found();
    writeFileSync(join(stateDir, GENESIS_FILE), toHex(genesis));
    const peers = addresses.slice(0, FOUNDERS);
    writeFileSync(join(stateDir, PEERS_FILE), `${JSON.stringify({ v: "1", peers })}\n`);
    const founders = Array.from({ length: FOUNDERS }, (_, place) => place);
    for (const place of founders) prepare(place);
    await Promise.all(founders.map(run));
    const bare = await HttpAgent.create({ host: running.get(1)?.url ?? "", shouldFetchRootKey: true });
    rootKey = bare.rootKey as Uint8Array;
    const agent = agentAt(1);
    const topology = (await (await fetch(`${running.get(1)?.url}/_/topology`)).json()) as {
      readonly default_effective_canister_id: { readonly canister_id: string };
    };
    const { canister_id } = topology.default_effective_canister_id;
    counter = await createCanister(agent, Principal.fromUint8Array(Buffer.from(canister_id, "base64")));
    await installCode(agent, counter, fixtureModule("counter.eop"));
  });
  after(async () => {
    for (const { child } of started) child.kill("SIGKILL");
    await Promise.all(started.map(({ ended }) => ended));
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("nodes are added, removed and replaced under load, and nothing is lost", {
    timeout: 5 * START_MS,
  }, async () => {
    const load = new Load();
    try {
      await change();
    } finally {
      await load.end();
    }
    // On a machine that is very busy a node may be behind again, and start again with a newer state.
    await eventually(
      () => certifiedNodes(5).catch(String),
      (nodes: unknown) => `${nodes}` === `${idsOf([2, 3, 4, 5])}`,
      START_MS,
    );
    const counted = Number(await counterAt(agentAt(5), counter).get());
    assert.ok(load.acknowledged > 0);
    assert.ok(counted >= load.acknowledged && counted <= load.acknowledged + load.unknown);
    for (const place of running.keys()) {
      const bare = await HttpAgent.create({ host: running.get(place)?.url ?? "", shouldFetchRootKey: true });
      assert.deepEqual(bare.rootKey, rootKey);
      assert.equal((await documentAt(place)).version, 3);
    }
  });
});
