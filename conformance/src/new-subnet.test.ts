/**
 * A network of four processes, each another operator's, with a node of the root and of an application subnet each, under a client's load: a
 * record creates a third subnet of four new nodes, to which the root's nodes deal its keys. The unmodified client finds it, verifies it under
 * the root's key, and canisters call each other across; nobody stops and no acknowledged update is lost.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, principalToText, toHex } from "@orrery/base";
import { motokoFixture } from "@orrery/canisters/fixtures";
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
import { type Address, freeLoopback } from "./nodes-drill/wires.ts";
import { launchOrrery } from "./orrery.ts";
import { eventually, install, type Program, programAt } from "./programs.ts";

const FOUNDERS = 4;
const ALL: number = 2 * FOUNDERS;
const NEW_SUBNET = 2;
/** Room for the eleven dealings of an interval that creates a subnet, one a block, and for nodes that are late. */
const INTERVAL = 20;
const CREATED_MS = 240_000;
const ANSWERS_MS = 120_000;
const stateDir = mkdtempSync(join(tmpdir(), "orrery-new-subnet-"));
const identity = Ed25519KeyIdentity.generate();
const seeds: readonly Uint8Array[] = Array.from({ length: ALL }, () => systemRng.bytes(32));
const seedOf = (place: number): Uint8Array => seeds[place] as Uint8Array;
const FOUNDING: readonly number[] = Array.from({ length: FOUNDERS }, (_, place) => place);
const COMING: readonly number[] = FOUNDING.map((place) => FOUNDERS + place);

const urls = new Map<number, string>();
const started: Command[] = [];
let addresses: readonly Address[];
let genesis: Uint8Array;
let rootKey: Uint8Array;
let caller: Program;
let callee: Program;

async function found(): Promise<Uint8Array> {
  const plan = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes: FOUNDERS,
    catchUpInterval: INTERVAL,
    subnets: ["application"],
  });
  const founders = seeds.slice(0, FOUNDERS);
  const records = await Promise.all(founders.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(founders.map((seed) => dealFor(plan, records, seed)));
  return await foundGenesis(plan, records, dealings);
}

/** What each operator has of the network. */
function prepare(place: number): string {
  const directory = nodeDirectory(stateDir, place);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, NODE_KEY_FILE), `${toHex(seedOf(place))}\n`, { mode: 0o600 });
  return directory;
}

const running = new Map<number, Command>();

async function run(place: number): Promise<void> {
  const command = launchOrrery(
    { cwd: stateDir },
    ...["node", "run", `${place}`, "--state-dir", stateDir, "--port", "0"],
  );
  started.push(command);
  running.set(place, command);
  const [, url = ""] = await command.said(/is running\. API: (\S+)/);
  urls.set(place, url);
}

/** Killed, and started again. */
async function again(place: number): Promise<void> {
  const before = running.get(place);
  before?.child.kill("SIGKILL");
  await before?.ended;
  await run(place);
}

const agentAt = (place: number): HttpAgent =>
  HttpAgent.createSync({
    host: urls.get(place) ?? "",
    identity,
    rootKey,
    verifyQuerySignatures: true,
    retryTimes: 3,
  });

async function documentAt(place: number): Promise<RegistryDocument> {
  return (await (await fetch(`${urls.get(place)}${REGISTRY_PATH}`)).json()) as RegistryDocument;
}

/** Where canisters of the subnets at a node are created. */
async function creationAt(place: number, subnet: number): Promise<Principal> {
  const response = await fetch(`${urls.get(place)}/_/subnets`);
  const { subnets } = (await response.json()) as {
    readonly subnets: readonly { readonly defaultEffectiveCanisterId: string }[];
  };
  return Principal.fromText(subnets[subnet]?.defaultEffectiveCanisterId ?? "");
}

/** Three operators of four approve it, and one brings it to its node. */
async function decide(changes: readonly RegistryChange[]): Promise<void> {
  const { records } = await documentAt(0);
  const plan = { genesis, addresses: addresses.slice(0, FOUNDERS) };
  const registry = await openRegistry(plan, decodeRecords(fromHex(records)));
  let record: Parameters<typeof approveWith>[0] = { mutation: registry.propose(changes), approvals: [] };
  for (const operator of [0, 1, 3]) record = approveWith(record, seedOf(operator));
  const response = await fetch(`${urls.get(0)}${REGISTRY_PATH}`, {
    method: "POST",
    body: Buffer.from(encodeRecord(record)),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Increments at nodes by turns until it is told to stop. */
class Load {
  acknowledged = 0;
  /** Nobody can say whether these counted. */
  unknown = 0;
  #isOver = false;
  readonly #done: Promise<void> = this.#run();

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      try {
        await at(callee, turn % FOUNDERS).call("add", 1n);
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

/** The same program, asked at another node. */
const at = ({ id }: Program, place: number, name: "callee" | "caller" = "callee"): Program =>
  programAt(agentAt(place), id, motokoFixture(name, "enhanced").idlFactory as IDL.InterfaceFactory);

async function installed(place: number, subnet: number, name: "caller" | "callee"): Promise<Program> {
  const effectiveCanisterId = await creationAt(place, subnet);
  return await install({ effectiveCanisterId }, agentAt(place), motokoFixture(name, "enhanced"));
}

describe("a subnet that the root subnet creates", () => {
  before(async () => {
    addresses = await freeLoopback(ALL);
    genesis = await found();
    writeFileSync(join(stateDir, GENESIS_FILE), toHex(genesis));
    const peers = addresses.slice(0, FOUNDERS);
    writeFileSync(join(stateDir, PEERS_FILE), `${JSON.stringify({ v: "1", peers })}\n`);
    for (const place of FOUNDING) prepare(place);
    await Promise.all(FOUNDING.map(run));
    const bare = await HttpAgent.create({ host: urls.get(1) ?? "", shouldFetchRootKey: true });
    rootKey = bare.rootKey as Uint8Array;
    caller = await installed(1, 1, "caller");
    callee = await installed(1, 1, "callee");
  });
  after(async () => {
    for (const { child } of started) child.kill("SIGKILL");
    await Promise.all(started.map(({ ended }) => ended));
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("has canisters that clients and other subnets call, and takes nothing from those that run", {
    timeout: 2 * CREATED_MS + 2 * ANSWERS_MS,
  }, async () => {
    const before = (await callee.call("get")) as bigint;
    const load = new Load();
    try {
      const joining = await Promise.all(
        COMING.map((place) => joinWith(seedOf(place), [NEW_SUBNET], addresses[place] as Address)),
      );
      await decide([{ kind: "create", subnet: NEW_SUBNET, type: "application" }, ...joining]);
      const { records } = await documentAt(0);
      for (const place of COMING) writeRegistryFile(prepare(place), decodeRecords(fromHex(records)));
      await Promise.all(COMING.map(run));
    } finally {
      await load.end();
    }
    const [first = 0, second = 0] = COMING;
    // The client verifies each answer under the root's key, by the delegation that the root's nodes give.
    let far: Program | null = null;
    await eventually(
      async () => {
        far ??= await installed(first, 0, "callee").catch(() => null);
        return far === null ? "not yet" : "installed";
      },
      (said: string) => said === "installed",
      ANSWERS_MS,
    );
    assert.ok(far !== null);
    const there: Program = far;
    assert.equal(await at(there, second).call("add", 3n), 3n);
    assert.equal(await at(there, first).call("get"), 3n);
    const keys = await agentAt(second).fetchSubnetKeys({ canisterId: there.id });
    const ids = COMING.map((place) => principalToText(nodeIdOf(seedOf(place), NEW_SUBNET)));
    assert.deepEqual([...keys.keys()].sort(), ids.sort());
    // From a subnet that ran before, and back.
    assert.equal(await at(caller, 2, "caller").call("relay", there.id, 4n), 7n);
    const back = await installed(second, 0, "caller");
    const counted = (await at(callee, 3).call("get")) as bigint;
    assert.equal(await back.call("relay", callee.id, 1n), counted + 1n);

    assert.ok(load.acknowledged > 0);
    const added = Number(counted - before);
    assert.ok(
      added >= load.acknowledged && added <= load.acknowledged + load.unknown,
      `${added} of ${load.acknowledged} acknowledged and ${load.unknown} unknown updates`,
    );
    // A node of each kind knows all of it after a kill, too.
    await Promise.all([again(first), again(0)]);
    await eventually(
      () => at(there, first).call("get").catch(String),
      (said: unknown) => said === 7n,
      ANSWERS_MS,
    );
    await eventually(
      () => at(caller, 0, "caller").call("relay", there.id, 1n).catch(String),
      (said: unknown) => typeof said === "bigint" && said >= 8n,
      ANSWERS_MS,
    );
    for (const place of [...FOUNDING, ...COMING]) {
      const bare = await HttpAgent.create({ host: urls.get(place) ?? "", shouldFetchRootKey: true });
      assert.deepEqual(bare.rootKey, rootKey);
      assert.equal((await documentAt(place)).version, 2);
    }
  });
});
