/**
 * What stands between the nodes of a drill: a proxy for every pair, through which the one that calls reaches the other, so that bytes can be
 * held, delayed or lost in either direction. Connections carry streams: what is lost comes again after a while and holds up what is
 * behind it, as it does with TCP. Nothing that passed is ever changed; what is on its way is bounded, then the sender is not read from.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import type { Random } from "../durability/random.ts";

/** What happens to bytes on their way from one node to another. */
export interface LineFault {
  /** None arrive until this is over. */
  readonly isHeld?: boolean;
  readonly delayMs?: number;
  /** Up to so much more. */
  readonly jitterMs?: number;
  /** Chance that a piece is lost once, from 0 to 1. */
  readonly loss?: number;
}

/** By places of nodes; null where nothing happens. */
export type FaultOf = (from: number, to: number) => LineFault | null;

/** A peer sends again what was not acknowledged for so long (RFC 6298 has a second at first, systems a fifth). */
const AGAIN_MS = 200;
const WAITING_BYTES_MAX: number = 1 << 20;
const LOOPBACK = "127.0.0.1";
/** To draw chances with. */
const CHANCES = 1_000_000;

interface Piece {
  /** Null: the end of the stream. */
  readonly bytes: Uint8Array | null;
  readonly dueMs: number;
}

interface Line {
  readonly from: number;
  readonly to: number;
}

/** One direction of one connection. */
class Pipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #faults: () => LineFault;
  readonly #random: Random;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(source: Socket, sink: Socket, faults: () => LineFault, random: Random) {
    this.#source = source;
    this.#sink = sink;
    this.#faults = faults;
    this.#random = random;
    source.on("data", (bytes: Uint8Array) => this.#take(bytes));
    source.once("close", () => this.#take(null));
    sink.on("drain", () => this.flush());
    sink.once("close", () => this.#end());
  }

  /** Lets everything through that is due, if anything may pass. */
  flush(): void {
    if (this.#isOver) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { isHeld = false } = this.#faults();
    const nowMs = performance.now();
    for (let first = this.#pieces[0]; first !== undefined && !isHeld; first = this.#pieces[0]) {
      if (first.dueMs > nowMs || this.#sink.writableNeedDrain) break;
      this.#pieces.shift();
      if (first.bytes === null) this.#sink.destroy();
      else {
        this.#bytes -= first.bytes.length;
        this.#sink.write(first.bytes);
      }
    }
    if (this.#bytes <= WAITING_BYTES_MAX) this.#source.resume();
    const [next] = this.#pieces;
    if (next !== undefined && !isHeld && next.dueMs > nowMs)
      this.#timer = setTimeout(() => this.flush(), Math.max(1, next.dueMs - nowMs));
  }

  #take(bytes: Uint8Array | null): void {
    if (this.#isOver) return;
    const { delayMs = 0, jitterMs = 0, loss = 0 } = this.#faults();
    const jitter = jitterMs > 0 ? this.#random.below(Math.ceil(jitterMs)) : 0;
    const isLost = loss > 0 && this.#random.below(CHANCES) < loss * CHANCES;
    const dueMs = performance.now() + delayMs + jitter + (isLost ? AGAIN_MS : 0);
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
    this.#pieces.push({ bytes, dueMs: this.#lastDueMs });
    this.#bytes += bytes?.length ?? 0;
    if (this.#bytes > WAITING_BYTES_MAX) this.#source.pause();
    this.flush();
  }

  /** Nobody is there to read. Who sends hears of it by the pipe of the other direction, and not before that one passes. */
  #end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isOver = true;
    this.#pieces.length = 0;
    this.#source.resume();
  }
}

/** A connection with what it passes through. */
interface Passage {
  readonly line: Line;
  readonly sockets: readonly [Socket, Socket];
  readonly pipes: readonly Pipe[];
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export class Wires {
  readonly #real: readonly Address[];
  readonly #random: Random;
  readonly #servers = new Map<string, Server>();
  readonly #passages = new Set<Passage>();
  readonly #active = new Set<FaultOf>();

  private constructor(real: readonly Address[], random: Random) {
    this.#real = real;
    this.#random = random;
  }

  /** A proxy for each pair of nodes that listen there. */
  static async open(real: readonly Address[], random: Random): Promise<Wires> {
    const wires = new Wires(real, random);
    for (const from of real.keys())
      for (const to of real.keys()) if (from !== to) await wires.#listen({ from, to });
    return wires;
  }

  /** Where a node listens and where it reaches the others, by place. */
  addressesFor(self: number): readonly Address[] {
    return this.#real.map((address, to) => {
      const server = this.#servers.get(`${self}>${to}`);
      return server === undefined
        ? address
        : { host: LOOPBACK, port: (server.address() as AddressInfo).port };
    });
  }

  /** From now until what is returned is called. Several at once add up. */
  apply(fault: FaultOf): () => void {
    this.#active.add(fault);
    this.#changed();
    return () => {
      this.#active.delete(fault);
      this.#changed();
    };
  }

  /** Cuts the connections between such nodes off. */
  cut(isMeant: (a: number, b: number) => boolean): void {
    for (const { line, sockets } of [...this.#passages])
      if (isMeant(line.from, line.to)) for (const socket of sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut(() => true);
    await Promise.all(
      [...this.#servers.values()].map((server) => new Promise((closed) => server.close(closed))),
    );
  }

  async #listen(line: Line): Promise<void> {
    const server = createServer((socket) => this.#pass(line, socket));
    server.listen(0, LOOPBACK);
    await once(server, "listening");
    this.#servers.set(`${line.from}>${line.to}`, server);
  }

  #pass(line: Line, caller: Socket): void {
    const called = createConnection(this.#real[line.to] as Address);
    for (const socket of [caller, called]) {
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
    }
    const there = new Pipe(caller, called, () => this.#faultsOn(line.from, line.to), this.#random);
    const back = new Pipe(called, caller, () => this.#faultsOn(line.to, line.from), this.#random);
    const passage: Passage = { line, sockets: [caller, called], pipes: [there, back] };
    this.#passages.add(passage);
    let open = 2;
    const closed = (): unknown => --open === 0 && this.#passages.delete(passage);
    for (const socket of passage.sockets) socket.once("close", closed);
  }

  #faultsOn(from: number, to: number): LineFault {
    let [isHeld, delayMs, jitterMs, loss] = [false, 0, 0, 0];
    for (const faultOf of this.#active) {
      const fault = faultOf(from, to);
      if (fault === null) continue;
      isHeld ||= fault.isHeld ?? false;
      delayMs += fault.delayMs ?? 0;
      jitterMs += fault.jitterMs ?? 0;
      loss = Math.max(loss, fault.loss ?? 0);
    }
    return { isHeld, delayMs, jitterMs, loss };
  }

  #changed(): void {
    for (const { pipes } of this.#passages) for (const pipe of pipes) pipe.flush();
  }
}

/** Systems give connections ports above: one that a node listens at again after a restart must not have become somebody's meanwhile. */
const PORT_MIN = 10_000;
const PORT_MAX = 30_000;
const PORT_TRIES_MAX = 100;

/** Addresses on loopback that nobody listens at, and that nobody is given who asks for any. */
export async function freeLoopback(count: number): Promise<readonly Address[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listenBelow(PORT_TRIES_MAX)));
  const addresses = servers.map((server) => ({
    host: LOOPBACK,
    port: (server.address() as AddressInfo).port,
  }));
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return addresses;
}

async function listenBelow(tries: number): Promise<Server> {
  const server = createServer().listen(randomInt(PORT_MIN, PORT_MAX), LOOPBACK);
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    if (tries <= 1 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return await listenBelow(tries - 1);
  }
}
