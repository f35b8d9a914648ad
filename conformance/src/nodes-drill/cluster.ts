/**
 * The node processes of a drill, each behind its own wires: started, killed, stopped for a while, their clocks set off. Each has a node of one
 * subnet, those of the root first, as `orrery start` has it; or a node of every subnet.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, mkdirSync, type WriteStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Principal } from "@icp-sdk/core/principal";
import { fromHex, toHex } from "@orrery/base";
import { systemClock, systemRng } from "@orrery/host";
import { decodeGenesis, hostedByProcess, newGenesisRecord } from "@orrery/node";
import { dealFor, foundGenesis, foundingRecord } from "@orrery/node/founding";
import { type Endpoint, Violation } from "../durability/client.ts";
import type { Random } from "../durability/random.ts";
import { heightsAt } from "../harness.ts";
import type { Misbehaviour } from "./misbehave.ts";
import type { NodeOrder, NodeProcessOptions, NodeSays } from "./node-process.ts";
import { type Address, freeLoopback, Wires } from "./wires.ts";

/** Loaded before a node that can be told to come to another state (`diverging-execution.ts`), by its threads too. */
const DIVERGING: string = new URL("./diverge.ts", import.meta.url).href;
const DIVERGE_FILE = "diverge";
const SCRIPT: string = fileURLToPath(new URL("./node-process.ts", import.meta.url));

const SEED_BYTES = 32;

export interface RunningNode extends Endpoint {
  /** One for each subnet that it has a node of, the root first: where canisters are created. */
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
  /** Of each subnet. */
  readonly nodes: number;
  /** Beside the root. */
  readonly applications: number;
  /** Each node of each subnet is a process of its own; else those of one place share one. */
  readonly split: boolean;
  readonly catchUpInterval: number;
  readonly random: Random;
  /** The one that can be told to misbehave; null for none. */
  readonly byzantine: number | null;
  /** A node ended that nobody ended. */
  readonly onFailure: (error: Error) => void;
}

interface Founded {
  readonly genesis: Uint8Array;
  /** Of each process, by place. */
  readonly seeds: readonly Uint8Array[];
  /** Subnets that each has a node of. */
  readonly hosted: readonly (readonly number[])[];
}

/** As the nodes of a network found it, with all of them in one process. */
async function found({ nodes, applications, catchUpInterval, split }: ClusterOptions): Promise<Founded> {
  const plan = newGenesisRecord({
    rng: systemRng,
    clock: systemClock,
    nodes,
    catchUpInterval,
    subnets: Array.from({ length: applications }, () => "application" as const),
  });
  const processes = split ? nodes * (applications + 1) : nodes;
  const hosted = hostedByProcess(decodeGenesis(plan).subnets, processes).map((each) =>
    each.map(({ subnet }) => subnet),
  );
  const seeds = hosted.map(() => systemRng.bytes(SEED_BYTES));
  const records = await Promise.all(seeds.map((seed, place) => foundingRecord(plan, seed, hosted[place])));
  const dealings = await Promise.all(seeds.map((seed) => dealFor(plan, records, seed)));
  return { genesis: await foundGenesis(plan, records, dealings), seeds, hosted };
}

export class Cluster {
  readonly wires: Wires;
  readonly #options: ClusterOptions;
  readonly #genesisFile: string;
  readonly #seeds: readonly Uint8Array[];
  readonly #slots: readonly Slot[];
  readonly #hosted: readonly (readonly number[])[];

  private constructor(options: ClusterOptions, wires: Wires, founded: Founded) {
    const { stateDir } = options;
    this.#hosted = founded.hosted;
    this.wires = wires;
    this.#options = options;
    this.#seeds = founded.seeds;
    this.#genesisFile = join(stateDir, "genesis");
    mkdirSync(stateDir, { recursive: true });
    writeFileSync(this.#genesisFile, founded.genesis);
    this.#slots = founded.seeds.map((_, place): Slot => {
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
    const founded = await found(options);
    const real: readonly Address[] = await freeLoopback(founded.seeds.length);
    return new Cluster(options, await Wires.open(real, options.random.fork()), founded);
  }

  get size(): number {
    return this.#slots.length;
  }

  /** Places of the processes with a node of a subnet. */
  placesOf(subnet: number): readonly number[] {
    return [...this.#hosted.keys()].filter((place) => this.#hosted[place]?.includes(subnet));
  }

  /** Where canisters of a subnet are created, as a process says that runs. */
  idOf(subnet: number): Principal {
    for (const place of this.placesOf(subnet)) {
      const id = this.at(place)?.ids[this.#hosted[place]?.indexOf(subnet) ?? 0];
      if (id !== undefined) return id;
    }
    throw new Violation(`nobody says where canisters of subnet ${subnet} are created`);
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
    const child = fork(SCRIPT, [JSON.stringify(options)], {
      execArgv: ["--import", DIVERGING],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
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

  /** The next block with messages is executed without them. */
  diverge(place: number): void {
    writeFileSync(join(this.directoryOf(place), DIVERGE_FILE), "once");
  }

  /** It was told so, and there was no such block yet. */
  isToDiverge(place: number): boolean {
    return existsSync(join(this.directoryOf(place), DIVERGE_FILE));
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
