/**
 * How the nodes of a network reach each other: frames to and from peers, each known by its place. What is sent to a peer that is away is
 * lost; whoever has something lasting to say says it again when the peer is back. `Connections` is all that the rest of a node knows of
 * it. `connectLocally` joins the processes of one machine over loopback sockets. It proves nobody's identity, so it takes loopback
 * addresses only: what peers say is signed and verified above it, and a stranger on the same machine could at most keep it busy.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { assert, equalBytes, OrreryError } from "@orrery/base";

/** Where a node listens for its peers. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionListeners {
  /** The peer takes frames from now on. */
  onConnected(peer: number): void;
  onFrame(peer: number, frame: Uint8Array): void;
  onFailure(error: unknown): void;
}

export interface Connections {
  /** False when the peer is away: then the frame is lost. */
  send(peer: number, frame: Uint8Array): boolean;
  /** Places of the peers that are there. */
  connected(): readonly number[];
  close(): Promise<void>;
}

export interface LocalConnectionOptions extends ConnectionListeners {
  readonly networkId: Uint8Array;
  readonly self: number;
  /** Of every node, its own included, by place. */
  readonly addresses: readonly PeerAddress[];
}

const LENGTH_BYTES = 4;
/** A block and room: nothing longer is sent. */
const FRAME_BYTES_MAX: number = 32 * 1024 * 1024;
/** A peer that has not taken so much is cut off: it is told everything anew when it comes back. */
const UNSENT_BYTES_MAX: number = 64 * 1024 * 1024;
/** Between attempts to reach a peer. */
const RETRY_MS = 200;
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);
const PLACE_BYTES = 1;

function framed(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, LENGTH_BYTES);
  return bytes;
}

/** Cuts what a socket says into frames; false when it claims too long a one. */
function frameReader(onFrame: (frame: Uint8Array) => void): (chunk: Uint8Array) => boolean {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  let wanted = LENGTH_BYTES;
  let inBody = false;
  const take = (length: number): Uint8Array => {
    const all = Buffer.concat(chunks);
    chunks = all.length > length ? [all.subarray(length)] : [];
    bytes -= length;
    return new Uint8Array(all.subarray(0, length));
  };
  return (chunk) => {
    chunks.push(chunk);
    bytes += chunk.length;
    while (bytes >= wanted) {
      const part = take(wanted);
      if (inBody) {
        wanted = LENGTH_BYTES;
        onFrame(part);
      } else {
        wanted = new DataView(part.buffer, part.byteOffset).getUint32(0);
        if (wanted > FRAME_BYTES_MAX) return false;
      }
      inBody = !inBody;
    }
    return true;
  };
}

class LocalConnections implements Connections {
  readonly #options: LocalConnectionOptions;
  readonly #hello: Uint8Array;
  readonly #sockets = new Map<number, Socket>();
  /** Of connections that have not said who they are, too. */
  readonly #open = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #server: Server | null = null;
  #closed = false;

  constructor(options: LocalConnectionOptions) {
    this.#options = options;
    this.#hello = Uint8Array.of(options.self, ...options.networkId);
  }

  async listen(): Promise<void> {
    const { self, addresses, onFailure } = this.#options;
    const own = addresses[self];
    assert(own !== undefined, "a node has an address");
    const server = createServer((socket) => this.#greet(socket, null));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause: NodeJS.ErrnoException) =>
        reject(
          new OrreryError(
            "peer_port_unusable",
            `peers cannot be listened for on ${own.host}:${own.port} (${cause.message}); free it or choose another`,
            { cause },
          ),
        ),
      );
      server.listen(own.port, own.host, resolve);
    });
    server.on("error", onFailure);
    // Of a pair, the lower place calls.
    for (const peer of addresses.keys()) if (peer > self) this.#call(peer);
  }

  send(peer: number, frame: Uint8Array): boolean {
    const socket = this.#sockets.get(peer);
    if (socket === undefined) return false;
    if (socket.writableLength > UNSENT_BYTES_MAX) {
      socket.destroy();
      return false;
    }
    socket.write(framed(frame));
    return true;
  }

  connected(): readonly number[] {
    return [...this.#sockets.keys()].sort((a, b) => a - b);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#open) socket.destroy();
    const server = this.#server;
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #call(peer: number): void {
    if (this.#closed) return;
    const { host, port } = this.#options.addresses[peer] as PeerAddress;
    const socket = createConnection({ host, port });
    this.#greet(socket, peer);
    socket.once("close", () => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#call(peer);
      }, RETRY_MS);
      this.#timers.add(timer);
      if (this.#closed) clearTimeout(timer);
    });
  }

  /** `peer`: who was called; null for whoever called. */
  #greet(socket: Socket, peer: number | null): void {
    this.#open.add(socket);
    socket.setNoDelay(true);
    socket.write(framed(this.#hello));
    let known = null as number | null;
    const read = frameReader((frame) => {
      if (socket.destroyed) return;
      if (known !== null) {
        this.#options.onFrame(known, frame);
        return;
      }
      known = this.#recognize(frame, peer);
      if (known === null) socket.destroy();
      else this.#welcome(known, socket);
    });
    socket.on("data", (chunk: Uint8Array) => {
      try {
        if (!read(chunk)) socket.destroy();
      } catch (error) {
        this.#options.onFailure(error);
      }
    });
    // What is wrong with a connection shows as its end.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#open.delete(socket);
      if (known !== null && this.#sockets.get(known) === socket) this.#sockets.delete(known);
    });
  }

  #recognize(hello: Uint8Array, expected: number | null): number | null {
    const { networkId, self, addresses } = this.#options;
    const [place] = hello;
    if (place === undefined || place === self || place >= addresses.length) return null;
    if (expected === null ? place > self : place !== expected) return null;
    return equalBytes(hello.subarray(PLACE_BYTES), networkId) ? place : null;
  }

  /** The newest connection counts: one before it may be half open. */
  #welcome(peer: number, socket: Socket): void {
    this.#sockets.get(peer)?.destroy();
    this.#sockets.set(peer, socket);
    this.#options.onConnected(peer);
  }
}

/** Listens, and calls peers until they are there. `peer_port_unusable`, `peer_address_remote`. */
export async function connectLocally(options: LocalConnectionOptions): Promise<Connections> {
  const remote = options.addresses.find(({ host }) => !LOOPBACK.has(host));
  if (remote !== undefined) {
    throw new OrreryError(
      "peer_address_remote",
      `a peer's address is ${remote.host}: connections that prove no identity stay on one machine; use 127.0.0.1`,
    );
  }
  const connections = new LocalConnections(options);
  await connections.listen();
  return connections;
}
