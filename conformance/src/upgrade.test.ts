/**
 * A network of four processes that run by themselves, under a client's load, goes on with another version of the program: a record that the
 * operators approve names it, all nodes stop by themselves at the catch-up package of one height, and are run with the new program. Nothing
 * that was answered is lost, the subnet's key stays, and a node with the old program takes no part. Before that the length of intervals
 * changes, and nodes are restarted in turn.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, toHex } from "@orrery/base";
import { systemClock, systemRng } from "@orrery/host";
import { type Command, launch } from "@orrery/host/command";
import { GENESIS_FILE, NODE_KEY_FILE, nodeDirectory, PEERS_FILE } from "@orrery/host/directory-content";
import { newGenesisRecord } from "@orrery/node";
import { dealFor, foundGenesis, foundingRecord } from "@orrery/node/founding";
import {
  approveWith,
  decodeRecords,
  encodeRecord,
  openRegistry,
  REGISTRY_PATH,
  type RegistryChange,
  type RegistryDocument,
} from "@orrery/node/registry";
import { VERSION } from "@orrery/node/version";
import { counterAt } from "./counter.ts";
import { fixtureModule } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";
import { type Address, freeLoopback } from "./nodes-drill/wires.ts";
import { COMMAND } from "./orrery.ts";
import { copyWithVersion } from "./other-version.ts";
import { eventually } from "./programs.ts";

const NODES = 4;
const PLACES: readonly number[] = Array.from({ length: NODES }, (_, place) => place);
/** The shortest that the registry takes, and one that is no multiple of it. */
const INTERVALS: readonly [number, number] = [20, 33];
const START_MS = 120_000;
const STARTS_MAX = 3;
const EXIT_CODE = 12;
const OTHER = "77.0.1-next.2";
const stateDir = mkdtempSync(join(tmpdir(), "orrery-upgrade-"));
const programs = mkdtempSync(join(tmpdir(), "orrery-programs-"));
const identity = Ed25519KeyIdentity.generate();
const seeds: readonly Uint8Array[] = PLACES.map(() => systemRng.bytes(32));

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
let other: string;

async function found(): Promise<Uint8Array> {
  const plan = newGenesisRecord({
    ...{ rng: systemRng, clock: systemClock },
    ...{ nodes: NODES, catchUpInterval: INTERVALS[0], subnets: [] },
  });
  const records = await Promise.all(seeds.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
  return await foundGenesis(plan, records, dealings);
}

function launchNode(place: number, program: string): Command {
  const argv = ["node", "run", `${place}`, "--state-dir", stateDir, "--port", "0"];
  const command = launch({ cwd: stateDir }, process.execPath, program, ...argv);
  started.push(command);
  return command;
}

/** As a service manager has it: a node that ends before it answers is started again. */
async function run(place: number, program: string = COMMAND): Promise<void> {
  for (let left = STARTS_MAX; ; left--) {
    const command = launchNode(place, program);
    try {
      const [, url = ""] = await command.said(/is running\. API: (\S+)/);
      running.set(place, { command, url });
      return;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

const urlOf = (place: number): string => running.get(place)?.url ?? "";

const agentAt = (place: number): HttpAgent =>
  HttpAgent.createSync({
    ...{ host: urlOf(place), identity, rootKey },
    ...{ verifyQuerySignatures: true, retryTimes: 0 },
  });

async function documentAt(place: number): Promise<RegistryDocument> {
  return (await (await fetch(`${urlOf(place)}${REGISTRY_PATH}`)).json()) as RegistryDocument;
}

/** Three of the four operators approve it. */
async function decide(changes: readonly RegistryChange[]): Promise<void> {
  const { records } = await documentAt(0);
  const registry = await openRegistry({ genesis, addresses }, decodeRecords(fromHex(records)));
  let record: Parameters<typeof approveWith>[0] = { mutation: registry.propose(changes), approvals: [] };
  for (const seed of seeds.slice(1)) record = approveWith(record, seed);
  const body = Buffer.from(encodeRecord(record));
  const response = await fetch(`${urlOf(0)}${REGISTRY_PATH}`, { method: "POST", body });
  assert.equal(response.status, 200, await response.text());
}

interface NodeDocument {
  readonly height: number | null;
  readonly healthy: boolean;
  readonly version: string;
  readonly wanted_version: string | null;
}

async function nodeAt(place: number): Promise<NodeDocument> {
  const document = (await (await fetch(`${urlOf(place)}/_/subnets`)).json()) as {
    readonly subnets: readonly [NodeDocument];
  };
  return document.subnets[0];
}

const heightAt = async (place: number): Promise<number> => (await nodeAt(place)).height ?? 0;

async function passes(place: number, height: number): Promise<void> {
  await eventually(
    () => heightAt(place).catch(() => 0),
    (now: number) => now >= height,
    START_MS,
  );
}

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
      const place = places[turn % Math.max(1, places.length)];
      if (place === undefined) await new Promise(setImmediate);
      else await this.#increment(place);
    }
  }

  async #increment(place: number): Promise<void> {
    try {
      await counterAt(agentAt(place), counter).inc();
      this.acknowledged++;
    } catch {
      this.unknown++;
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async isKept(place: number): Promise<void> {
    const counted = Number(await counterAt(agentAt(place), counter).get());
    assert.ok(this.acknowledged > 0);
    assert.ok(
      counted >= this.acknowledged && counted <= this.acknowledged + this.unknown,
      `${counted} are counted, ${this.acknowledged} acknowledged, ${this.unknown} unknown`,
    );
  }
}

/** Ends by itself, for the version that the registry names; resolves to the height of the package. */
async function superseded(place: number): Promise<number> {
  const node = running.get(place);
  assert.ok(node !== undefined);
  const { code, err } = await node.command.ended;
  running.delete(place);
  assert.equal(code, EXIT_CODE, err);
  assert.match(err, new RegExp(`install ${OTHER} and start the node with it`));
  assert.equal(readFileSync(join(nodeDirectory(stateDir, place), "node.wanted"), "utf8"), `${OTHER}\n`);
  const [, height = "0"] = /goes on with another version of the program[^\n]* height=(\d+)/.exec(err) ?? [];
  return Number(height);
}

async function restartInTurn(): Promise<void> {
  for (const place of PLACES) {
    const node = running.get(place);
    assert.ok(node !== undefined);
    running.delete(place);
    node.command.child.kill("SIGTERM");
    const { code, err } = await node.command.ended;
    assert.equal(code, 0, err);
    await run(place);
    const height = Math.max(...(await Promise.all(PLACES.map((each) => heightAt(each).catch(() => 0)))));
    await passes(place, height);
  }
}

describe("an upgrade of all nodes at a package", () => {
  before(async () => {
    addresses = await freeLoopback(NODES);
    genesis = await found();
    writeFileSync(join(stateDir, GENESIS_FILE), toHex(genesis));
    writeFileSync(join(stateDir, PEERS_FILE), `${JSON.stringify({ v: "1", peers: addresses })}\n`);
    for (const place of PLACES) {
      const directory = nodeDirectory(stateDir, place);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(join(directory, NODE_KEY_FILE), `${toHex(seeds[place] as Uint8Array)}\n`, {
        mode: 0o600,
      });
    }
    other = copyWithVersion(programs, OTHER);
    await Promise.all(PLACES.map((place) => run(place)));
    const bare = await HttpAgent.create({ host: urlOf(0), shouldFetchRootKey: true });
    rootKey = bare.rootKey as Uint8Array;
    const topology = (await (await fetch(`${urlOf(0)}/_/topology`)).json()) as {
      readonly default_effective_canister_id: { readonly canister_id: string };
    };
    const { canister_id } = topology.default_effective_canister_id;
    const agent = agentAt(1);
    counter = await createCanister(agent, Principal.fromUint8Array(Buffer.from(canister_id, "base64")));
    await installCode(agent, counter, fixtureModule("counter.eop"));
  });
  after(async () => {
    for (const { child } of started) child.kill("SIGKILL");
    await Promise.all(started.map(({ ended }) => ended));
    for (const directory of [stateDir, programs]) rmSync(directory, { recursive: true, force: true });
  });

  test("nodes stop at the package by themselves, go on with the new program, and nothing is lost", {
    timeout: 6 * START_MS,
  }, async () => {
    const load = new Load();
    try {
      await decide([{ kind: "interval", subnet: 0, blocks: INTERVALS[1] }]);
      await restartInTurn();
      // Over several summaries of the new length.
      await passes(0, (await heightAt(0)) + 2 * INTERVALS[1]);
      await decide([{ kind: "upgrade", subnet: 0, from: VERSION, to: OTHER }]);
      assert.equal((await nodeAt(0)).wanted_version, OTHER);
      const heights = await Promise.all(PLACES.map(superseded));
      assert.equal(new Set(heights).size, 1, `${heights}`);
      const [height = 0] = heights;
      assert.ok(height % INTERVALS[0] !== 0, `${height} is a multiple of the first length`);
      // Two of four make no block, and one that runs the old program is no third.
      const behind = launchNode(0, COMMAND);
      const { code, err } = await behind.ended;
      assert.equal(code, EXIT_CODE, err);
      await Promise.all([1, 2, 3].map((place) => run(place, other)));
      await passes(1, height + INTERVALS[1]);
      // The fourth comes back later, with the state that it stopped with.
      await run(0, other);
      await passes(0, height + INTERVALS[1]);
    } finally {
      await load.end();
    }
    for (const place of PLACES) {
      await load.isKept(place);
      const bare = await HttpAgent.create({ host: urlOf(place), shouldFetchRootKey: true });
      assert.deepEqual(bare.rootKey, rootKey);
      assert.deepEqual(await nodeAt(place).then(({ version, wanted_version }) => [version, wanted_version]), [
        OTHER,
        OTHER,
      ]);
      const metrics = await (await fetch(`${urlOf(place)}/metrics`)).text();
      assert.match(metrics, /orrery_upgrade_pending\{[^}]*\} 0/);
      assert.ok(metrics.includes(`running="${OTHER}",wanted="${OTHER}"`));
    }
    assert.ok(existsSync(other));
  });
});
