/**
 * A network of several operators for tests: processes that run by themselves, each another operator's, from one directory. They found it, decide
 * changes of its registry, start nodes as a service manager does, and a client's load goes on meanwhile, of which nothing may be lost.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, principalToText, toHex } from "@orrery/base";
import { systemClock, systemRng } from "@orrery/host";
import { type Command, launch, type Outcome } from "@orrery/host/command";
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
import { COMMAND } from "./orrery.ts";
import { eventually } from "./programs.ts";

/** A node that ends before it answers is started again, as a service manager does. */
const STARTS_MAX = 3;
/** On a machine that is very busy. */
export const START_MS = 120_000;

export interface OperatorsOptions {
  /** Of its directory. */
  readonly name: string;
  readonly founders: number;
  /** Whose nodes may come later. */
  readonly coming?: number;
  readonly catchUpInterval: number;
  /** Beside the root. */
  readonly subnets: readonly "application"[];
}

/** A process as it answers. */
interface Running {
  readonly command: Command;
  readonly url: string;
}

/** What a node says of one of its subnets. */
export interface NodeDocument {
  readonly height: number | null;
  readonly healthy: boolean;
  readonly version: string;
  readonly wanted_version: string | null;
  readonly defaultEffectiveCanisterId: string;
}

export class Operators {
  readonly stateDir: string;
  readonly running: Map<number, Running> = new Map();
  readonly founding: readonly number[];
  readonly #seeds: readonly Uint8Array[];
  readonly #addresses: readonly Address[];
  readonly #genesis: Uint8Array;
  readonly #identity = Ed25519KeyIdentity.generate();
  /** All that were ever started. */
  readonly #started: Command[] = [];
  #rootKey: Uint8Array = new Uint8Array(0);

  private constructor(
    { name, founders }: OperatorsOptions,
    seeds: readonly Uint8Array[],
    addresses: readonly Address[],
    genesis: Uint8Array,
  ) {
    this.stateDir = mkdtempSync(join(tmpdir(), `orrery-${name}-`));
    this.founding = Array.from({ length: founders }, (_, place) => place);
    [this.#seeds, this.#addresses, this.#genesis] = [seeds, addresses, genesis];
    writeFileSync(join(this.stateDir, GENESIS_FILE), toHex(genesis));
    const peers = this.#founders;
    writeFileSync(join(this.stateDir, PEERS_FILE), `${JSON.stringify({ v: "1", peers })}\n`);
  }

  /** Founded, and all of the founders' nodes answer. */
  static async open(options: OperatorsOptions): Promise<Operators> {
    const { founders, coming = 0, catchUpInterval, subnets } = options;
    const seeds = Array.from({ length: founders + coming }, () => systemRng.bytes(32));
    const plan = newGenesisRecord({
      ...{ rng: systemRng, clock: systemClock },
      ...{ nodes: founders, catchUpInterval, subnets },
    });
    const own = seeds.slice(0, founders);
    const records = await Promise.all(own.map((seed) => foundingRecord(plan, seed)));
    const dealings = await Promise.all(own.map((seed) => dealFor(plan, records, seed)));
    const genesis = await foundGenesis(plan, records, dealings);
    const network = new Operators(options, seeds, await freeLoopback(founders + coming), genesis);
    try {
      for (const place of network.founding) network.#prepare(place);
      await Promise.all(network.founding.map((place) => network.run(place)));
      network.#rootKey = await network.rootKeyAt(0);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  get #founders(): readonly Address[] {
    return this.#addresses.slice(0, this.founding.length);
  }

  #seedOf(place: number): Uint8Array {
    return this.#seeds[place] as Uint8Array;
  }

  /** What an operator has of the network. */
  #prepare(place: number): void {
    mkdirSync(this.directoryOf(place), { recursive: true, mode: 0o700 });
    const path = join(this.directoryOf(place), NODE_KEY_FILE);
    writeFileSync(path, `${toHex(this.#seedOf(place))}\n`, { mode: 0o600 });
  }

  directoryOf(place: number): string {
    return nodeDirectory(this.stateDir, place);
  }

  /** Of the node in a subnet, by its text. */
  nodeIds(places: readonly number[], subnet: number): readonly string[] {
    return places.map((place) => principalToText(nodeIdOf(this.#seedOf(place), subnet))).sort();
  }

  /** Starts a process and leaves it to itself. */
  launch(place: number, program: string = COMMAND, port = 0): Command {
    const argv = ["node", "run", `${place}`, "--state-dir", this.stateDir, "--port", `${port}`];
    const command = launch({ cwd: this.stateDir }, process.execPath, program, ...argv);
    this.#started.push(command);
    return command;
  }

  /** Resolves when it answers. */
  async run(place: number, program: string = COMMAND): Promise<void> {
    for (let left = STARTS_MAX; ; left--) {
      const command = this.launch(place, program);
      try {
        const [, url = ""] = await command.said(/is running\. API: (\S+)/);
        this.running.set(place, { command, url });
        return;
      } catch (error) {
        if (left === 1) throw error;
      }
    }
  }

  /** Resolves when the process has ended, by itself or by the signal. */
  async end(place: number, signal?: "SIGTERM" | "SIGKILL"): Promise<Outcome> {
    const node = this.running.get(place);
    assert.ok(node !== undefined, `node ${place} runs`);
    if (signal !== undefined) {
      // Nobody is to ask it any more.
      this.running.delete(place);
      node.command.child.kill(signal);
    }
    const outcome = await node.command.ended;
    this.running.delete(place);
    return outcome;
  }

  urlOf(place: number): string {
    return this.running.get(place)?.url ?? "";
  }

  /** The unmodified client, which verifies everything. */
  agentAt(place: number, retryTimes = 0): HttpAgent {
    return HttpAgent.createSync({
      ...{ host: this.urlOf(place), identity: this.#identity, rootKey: this.#rootKey },
      ...{ verifyQuerySignatures: true, retryTimes },
    });
  }

  /** As the node says it to whoever trusts it. */
  async rootKeyAt(place: number): Promise<Uint8Array> {
    const bare = await HttpAgent.create({ host: this.urlOf(place), shouldFetchRootKey: true });
    return bare.rootKey as Uint8Array;
  }

  /** Of the nodes of the process, the root's first. */
  async nodesAt(place: number): Promise<readonly NodeDocument[]> {
    const response = await fetch(`${this.urlOf(place)}/_/subnets`);
    return ((await response.json()) as { readonly subnets: readonly NodeDocument[] }).subnets;
  }

  /** Where canisters of a subnet at a node are created. */
  async creationAt(place: number, subnet: number): Promise<Principal> {
    const nodes = await this.nodesAt(place);
    return Principal.fromText(nodes[subnet]?.defaultEffectiveCanisterId ?? "");
  }

  /** Of its first subnet. */
  async heightAt(place: number): Promise<number> {
    const [node] = await this.nodesAt(place);
    return node?.height ?? 0;
  }

  async passes(place: number, height: number): Promise<void> {
    await eventually(
      () => this.heightAt(place).catch(() => 0),
      (now: number) => now >= height,
      START_MS,
    );
  }

  async #documentAt(place: number): Promise<RegistryDocument> {
    return (await (await fetch(`${this.urlOf(place)}${REGISTRY_PATH}`)).json()) as RegistryDocument;
  }

  /** The operators of these nodes approve it; the first brings it to its own. */
  async decide(changes: readonly RegistryChange[], operators: readonly number[]): Promise<void> {
    const [first = 0] = operators;
    const { records } = await this.#documentAt(first);
    const plan = { genesis: this.#genesis, addresses: this.#founders };
    const registry = await openRegistry(plan, decodeRecords(fromHex(records)));
    let record: Parameters<typeof approveWith>[0] = { mutation: registry.propose(changes), approvals: [] };
    for (const operator of operators) record = approveWith(record, this.#seedOf(operator));
    const body = Buffer.from(encodeRecord(record));
    const response = await fetch(`${this.urlOf(first)}${REGISTRY_PATH}`, { method: "POST", body });
    assert.equal(response.status, 200, await response.text());
  }

  /** An operator is given the records of another one's node. */
  async handRecords(place: number, from: number): Promise<void> {
    const { records } = await this.#documentAt(from);
    writeRegistryFile(this.directoryOf(place), decodeRecords(fromHex(records)));
  }

  /** A new node begins with the records that its operator was given. */
  async begin(place: number, from: number): Promise<void> {
    this.#prepare(place);
    await this.handRecords(place, from);
    await this.run(place);
  }

  joining(place: number, subnets: readonly number[]): Promise<RegistryChange> {
    return joinWith(this.#seedOf(place), subnets, this.#addresses[place] as Address);
  }

  leaving(place: number, subnet: number): RegistryChange {
    return { kind: "leave", subnet, nodeId: nodeIdOf(this.#seedOf(place), subnet) };
  }

  /** All that answer have the network's key and the version of the registry. */
  async isOne(version: number): Promise<void> {
    for (const place of this.running.keys()) {
      assert.deepEqual(await this.rootKeyAt(place), this.#rootKey);
      assert.equal((await this.#documentAt(place)).version, version);
    }
  }

  async close(): Promise<void> {
    for (const { child } of this.#started) child.kill("SIGKILL");
    await Promise.all(this.#started.map(({ ended }) => ended));
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

/** Increments something at nodes by turns until it is told to stop. */
export class Load {
  acknowledged = 0;
  /** Nobody can say whether these counted. */
  unknown = 0;
  readonly #increment: (place: number) => Promise<unknown>;
  #isOver = false;
  readonly #done: Promise<void>;

  /** `places`: that are asked, as they are by then. */
  constructor(places: () => readonly number[], increment: (place: number) => Promise<unknown>) {
    this.#increment = increment;
    this.#done = this.#run(places);
  }

  async #run(places: () => readonly number[]): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const now = places();
      const place = now[turn % Math.max(1, now.length)];
      if (place === undefined) await new Promise(setImmediate);
      else await this.#once(place);
    }
  }

  async #once(place: number): Promise<void> {
    try {
      await this.#increment(place);
      this.acknowledged++;
    } catch {
      this.unknown++;
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  /** `counted`: what came of it. */
  isKept(counted: number): void {
    const { acknowledged, unknown } = this;
    assert.ok(acknowledged > 0);
    assert.ok(
      counted >= acknowledged && counted <= acknowledged + unknown,
      `${counted} are counted, ${acknowledged} acknowledged, ${unknown} unknown`,
    );
  }
}
