/** The node processes of a drill, each behind its own wires: started, killed, stopped for a while, their clocks set off. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, type WriteStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, toHex } from "@orrery/base";
import { systemClock, systemRng } from "@orrery/host";
import { newGenesisRecord } from "@orrery/node";
import { dealFor, foundGenesis, foundingRecord } from "@orrery/node/founding";
import { type Endpoint, Violation } from "../durability/client.ts";
import type { Random } from "../durability/random.ts";
import { heightsAt } from "../harness.ts";
import type { Misbehaviour } from "./misbehave.ts";
import type { NodeOrder, NodeProcessOptions, NodeSays } from "./node-process.ts";
import { type Address, freeLoopback, Wires } from "./wires.ts";

const SCRIPT: string = fileURLToPath(new URL("./node-process.ts", import.meta.url));

const SEED_BYTES = 32;

export interface RunningNode extends Endpoint {
  /** One for each subnet, the root first: where canisters are created. */
  readonly ids: readonly Principal[];
}

interface Slot {
  readonly place: number;
  readonly stateDir: string;
  readonly log: WriteStream;
  child: ChildProcess | null;
  running: RunningNode | null;
  clockOffsetMs: number;
  /** What it said to peers that was not as it is. */
  twisted: number;
  /** Of the node in the process that runs now: the second one is with the state that the first fetched. */
  starts: number;
  /** Its end is not one that nobody asked for. */
  mayEnd: boolean;
  /** Resolves when the process that runs now is gone. */
  ended: Promise<void>;
}

export interface ClusterOptions {
  /** Empty or not there. */
  readonly stateDir: string;
  readonly nodes: number;
  /** Beside the root. */
  readonly applications: number;
  readonly catchUpInterval: number;
  readonly random: Random;
  /** The one that can be told to misbehave; null for none. */
  readonly byzantine: number | null;
  /** A node ended that nobody ended. */
  readonly onFailure: (error: Error) => void;
}

interface Founded {
  readonly genesis: Uint8Array;
  /** Of each node, by place. */
  readonly seeds: readonly Uint8Array[];
}

/** As the nodes of a network found it, with all of them in one process. */
async function found({ nodes, applications, catchUpInterval }: ClusterOptions): Promise<Founded> {
  const plan = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes,
    catchUpInterval,
    subnets: Array.from({ length: applications }, () => "application" as const),
  });
  const seeds = Array.from({ length: nodes }, () => systemRng.bytes(SEED_BYTES));
  const records = await Promise.all(seeds.map((seed) => foundingRecord(plan, seed)));
  const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
  return { genesis: await foundGenesis(plan, records, dealings), seeds };
}

export class Cluster {
  readonly wires: Wires;
  readonly #options: ClusterOptions;
  readonly #genesisFile: string;
  readonly #seeds: readonly Uint8Array[];
  readonly #slots: readonly Slot[];

  private constructor(options: ClusterOptions, wires: Wires, founded: Founded) {
    const { nodes, stateDir } = options;
    this.wires = wires;
    this.#options = options;
    this.#seeds = founded.seeds;
    this.#genesisFile = join(stateDir, "genesis");
    mkdirSync(stateDir, { recursive: true });
    writeFileSync(this.#genesisFile, founded.genesis);
    this.#slots = Array.from({ length: nodes }, (_, place): Slot => {
      const directory = join(stateDir, `node-${place}`);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return {
        place,
        stateDir: directory,
        log: createWriteStream(join(stateDir, `node-${place}.log`), { flags: "a" }),
        child: null,
        running: null,
        clockOffsetMs: 0,
        twisted: 0,
        starts: 0,
        mayEnd: false,
        ended: Promise.resolve(),
      };
    });
  }

  static async open(options: ClusterOptions): Promise<Cluster> {
    const real: readonly Address[] = await freeLoopback(options.nodes);
    const wires = await Wires.open(real, options.random.fork());
    return new Cluster(options, wires, await found(options));
  }

  get size(): number {
    return this.#slots.length;
  }

  directoryOf(place: number): string {
    return this.#slot(place).stateDir;
  }

  /** Starts of the node in the process that runs now. */
  startsOf(place: number): number {
    return this.#slot(place).starts;
  }

  /** Null while it is down. One that stands still is not. */
  at(place: number): RunningNode | null {
    return this.#slot(place).running;
  }

  /** Certified at a node, of each subnet; null while it does not answer. */
  async heightsAt(place: number): Promise<readonly number[] | null> {
    const node = this.at(place);
    return node === null ? null : heightsAt(node.url);
  }

  /** Starts a node, which lost what it had signed where `lostAtMs` says when; resolves when it answers, to false when it ended before and might. */
  async start(place: number, { lostAtMs }: { readonly lostAtMs?: number } = {}): Promise<boolean> {
    const slot = this.#slot(place);
    const options: NodeProcessOptions = {
      stateDir: slot.stateDir,
      self: place,
      genesisFile: this.#genesisFile,
      seed: toHex(this.#seeds[place] as Uint8Array),
      addresses: this.wires.addressesFor(place),
      clockOffsetMs: slot.clockOffsetMs,
      canMisbehave: place === this.#options.byzantine,
      ...(lostAtMs === undefined ? {} : { lostAtMs }),
    };
    const child = fork(SCRIPT, [JSON.stringify(options)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    slot.child = child;
    slot.starts = 0;
    slot.mayEnd = false;
    child.stderr?.pipe(slot.log, { end: false });
    const first = Promise.withResolvers<RunningNode | null>();
    let failure = "";
    child.on("message", (said: NodeSays) => {
      if (said.kind === "failed") failure = `${said.code}: ${said.message}`;
      else if (said.kind === "twisted") slot.twisted = said.count;
      else {
        slot.starts++;
        first.resolve({
          url: said.url,
          rootKey: fromHex(said.rootKeyHex),
          ids: said.ids.map((id) => Principal.fromText(id)),
        });
      }
    });
    slot.ended = once(child, "exit").then(([code, signal]) => {
      slot.child = null;
      slot.running = null;
      first.resolve(null);
      if (!slot.mayEnd)
        this.#options.onFailure(
          new Violation(`node ${place} ended by itself (${failure || (signal ?? code)})`),
        );
    });
    slot.running = await first.promise;
    return slot.running !== null;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(place: number): Promise<void> {
    this.letEnd(place);
    this.#slot(place).child?.kill("SIGKILL");
    await this.#slot(place).ended;
  }

  /** SIGTERM; a violation unless it ends with 0. */
  async stop(place: number): Promise<void> {
    const { child, ended } = this.#slot(place);
    this.letEnd(place);
    child?.kill("SIGTERM");
    await ended;
    if (child !== null && child.exitCode !== 0)
      throw new Violation(`node ${place} was stopped and ended with ${child.signalCode ?? child.exitCode}`);
  }

  /** From now on it may end by itself. */
  letEnd(place: number): void {
    this.#slot(place).mayEnd = true;
  }

  /** Resolves when the process that runs now is gone. */
  ended(place: number): Promise<void> {
    return this.#slot(place).ended;
  }

  /** SIGSTOP, or SIGCONT. */
  freeze(place: number, isFrozen: boolean): void {
    this.#slot(place).child?.kill(isFrozen ? "SIGSTOP" : "SIGCONT");
  }

  setClock(place: number, offsetMs: number): void {
    this.#slot(place).clockOffsetMs = offsetMs;
    this.#order(place, { kind: "clock", offsetMs });
  }

  /** From now on, until it is told otherwise. */
  misbehave(place: number, how: Misbehaviour | null): void {
    this.#order(place, { kind: "misbehave", how });
  }

  /** What a node said to peers that was not as it is, when it was last told how to behave. */
  twisted(place: number): number {
    return this.#slot(place).twisted;
  }

  #order(place: number, order: NodeOrder): void {
    const { child } = this.#slot(place);
    if (child?.connected === true) child.send(order);
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map(({ place }) => this.kill(place)));
    await this.wires.close();
    await Promise.all(this.#slots.map(({ log }) => new Promise<void>((done) => log.end(() => done()))));
  }

  #slot(place: number): Slot {
    const slot = this.#slots[place];
    if (slot === undefined) throw new RangeError(`there is no node ${place}`);
    return slot;
  }
}
