/**
 * Connections by TLS 1.3 streams of the runtime (docs/ARCHITECTURE.md, "Peers"). Both sides show the certificate of their node and prove its
 * key; whose key is not a member's is cut off before anything it says is read. Of a pair, the one with the smaller id calls, so
 * there is one connection; the newest counts, since one before it may be half open. No authority, no resumed sessions, no earlier versions.
 */
import { constants } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import {
  type CommonConnectionOptions,
  connect,
  createServer,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import { OrreryError, type Rng, toHex } from "@orrery/base";
import type { PeerId } from "@orrery/p2p";
import type {
  ConnectionListeners,
  Connections,
  PeerAddress,
  PeerRecord,
  RefusedReason,
  Timers,
} from "./connections.ts";
import type { NodeIdentity } from "./identity.ts";
import { Link } from "./link.ts";

/** Changes with the frames. */
const PROTOCOL = "orrery-peers/1";
/** From the first byte to being let in; a slow path takes four round trips of half a second. */
export const OPENING_MS = 10_000;
/** Connections that are being opened by others: all members of a large subnet at once, and strangers. */
export const OPENING_MAX = 256;
/** Something is said at least this often. */
export const BEAT_MS = 2_000;
/** A peer that says nothing for so long is gone, whatever its connection looks like. */
export const SILENCE_MS = 10_000;
/** Between attempts to reach a peer: doubling, with up to half of it by chance. */
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 10_000;
/** A connection that lasted so long was a good one: attempts begin anew. */
const LASTING_MS = 30_000;

export interface TlsConnectionsOptions extends ConnectionListeners {
  readonly self: PeerId;
  readonly identity: NodeIdentity;
  /** Where to listen; port 0: any. */
  readonly listen: PeerAddress;
  readonly rng: Rng;
  readonly timers: Timers;
}

interface Member {
  record: PeerRecord;
  link: Link | null;
  /** The listeners were told that it is connected. */
  isUp: boolean;
  /** A call under way, or the wait for the next. */
  calling: { end(): void } | null;
  failures: number;
  bannedUntilMs: number;
}

class TlsConnections implements Connections {
  readonly #options: TlsConnectionsOptions;
  readonly #secrets: SecureContextOptions & CommonConnectionOptions;
  readonly #server: Server;
  readonly #members = new Map<PeerId, Member>();
  readonly #byKey = new Map<string, Member>();
  readonly #sockets = new Set<Socket>();
  /** Connections that others opened, and those of them that were let in. */
  #come = 0;
  #letIn = 0;
  #endBeat: () => void = () => {};
  #closed = false;

  constructor(options: TlsConnectionsOptions) {
    this.#options = options;
    const { certificate, key } = options.identity;
    this.#secrets = {
      cert: certificate,
      key,
      minVersion: "TLSv1.3",
      maxVersion: "TLSv1.3",
      sigalgs: "ed25519",
      ALPNProtocols: [PROTOCOL],
      // There is no authority: who it is, is looked up by its key.
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
    const server = { ...this.#secrets, requestCert: true, handshakeTimeout: OPENING_MS };
    this.#server = createServer(server, (socket) => this.#guard(() => this.#admit(socket)));
    this.#server.on("connection", (socket: Socket) => this.#open(socket));
    // Of strangers and broken lines: the connection ends by itself.
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  async listen(): Promise<void> {
    const { listen, onFailure, timers } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause: NodeJS.ErrnoException) => {
        const why = `peers cannot be listened for on ${listen.host}:${listen.port} (${cause.message})`;
        reject(new OrreryError("peer_port_unusable", `${why}; free it or choose another`, { cause }));
      });
      this.#server.listen(listen.port, listen.host, resolve);
    });
    this.#server.on("error", onFailure);
    const beat = (): void => {
      this.#beat();
      this.#endBeat = timers.after(BEAT_MS, beat);
    };
    this.#endBeat = timers.after(BEAT_MS, beat);
  }

  get address(): PeerAddress {
    const { port } = this.#server.address() as AddressInfo;
    return { host: this.#options.listen.host, port };
  }

  connected(): readonly PeerId[] {
    return [...this.#members.values()].filter(({ isUp }) => isUp).map(({ record }) => record.id);
  }

  send(peer: PeerId, frame: Uint8Array): boolean {
    const link = this.#members.get(peer)?.link ?? null;
    if (link === null || !link.isWelcome) return false;
    link.send(frame);
    return true;
  }

  pause(peer: PeerId, isPaused: boolean): void {
    this.#members.get(peer)?.link?.pause(isPaused);
  }

  drop(peer: PeerId, forMs: number): void {
    const member = this.#members.get(peer);
    if (member === undefined) return;
    member.bannedUntilMs = this.#options.timers.nowMs() + forMs;
    this.#cut(member);
  }

  setMembers(records: readonly PeerRecord[]): void {
    const wanted = new Map(records.map((record) => [record.id, record]));
    wanted.delete(this.#options.self);
    for (const [id, member] of [...this.#members]) {
      const record = wanted.get(id);
      if (record !== undefined && toHex(record.publicKey) === toHex(member.record.publicKey)) continue;
      this.#members.delete(id);
      this.#byKey.delete(toHex(member.record.publicKey));
      member.calling?.end();
      this.#cut(member);
    }
    for (const [id, record] of wanted) {
      const known = this.#members.get(id);
      if (known !== undefined) {
        known.record = record;
        continue;
      }
      const member: Member = {
        record,
        link: null,
        isUp: false,
        calling: null,
        failures: 0,
        bannedUntilMs: 0,
      };
      this.#members.set(id, member);
      this.#byKey.set(toHex(record.publicKey), member);
      this.#call(member);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#endBeat();
    for (const { calling } of this.#members.values()) calling?.end();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** A listener's failure must not end the process in the middle of somebody else's frame. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  #refuse(reason: RefusedReason, peer: PeerId | null, socket: Socket): void {
    socket.destroy();
    this.#guard(() => this.#options.onRefused(reason, peer));
  }

  #beat(): void {
    for (const member of this.#members.values()) {
      const { link } = member;
      if (link === null || link.beat(SILENCE_MS / BEAT_MS)) continue;
      this.#guard(() => this.#options.onRefused("silent", link.peer));
      this.#cut(member);
    }
  }

  #open(socket: Socket): void {
    this.#keep(socket);
    this.#come++;
    socket.once("close", () => this.#come--);
    // The runtime ends handshakes that take too long.
    if (this.#come - this.#letIn > OPENING_MAX) this.#refuse("too_many", null, socket);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // What is wrong with a connection shows as its end.
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  /** Somebody called. */
  #admit(socket: TLSSocket): void {
    this.#keep(socket);
    const key = keyOf(socket);
    const member = key === null ? undefined : this.#byKey.get(key);
    if (member === undefined) {
      this.#refuse("unknown_key", null, socket);
      return;
    }
    const { id } = member.record;
    if (socket.alpnProtocol !== PROTOCOL || socket.isSessionReused())
      this.#refuse("wrong_protocol", id, socket);
    else if (id > this.#options.self) this.#refuse("wrong_side", id, socket);
    else if (member.bannedUntilMs > this.#options.timers.nowMs()) this.#refuse("banned", id, socket);
    else {
      this.#letIn++;
      socket.once("close", () => this.#letIn--);
      this.#link(member, socket);
    }
  }

  #call(member: Member): void {
    const { record } = member;
    if (this.#closed || record.id < this.#options.self) return;
    const { host, port } = record.address;
    const socket = connect({ ...this.#secrets, host, port });
    this.#keep(socket);
    const endLimit = this.#options.timers.after(OPENING_MS, () => {
      if (member.link?.isWelcome !== true) socket.destroy();
    });
    member.calling = {
      end: () => {
        endLimit();
        socket.destroy();
      },
    };
    let startedMs = this.#options.timers.nowMs();
    socket.once("secureConnect", () => {
      startedMs = this.#options.timers.nowMs();
      if (keyOf(socket) !== toHex(record.publicKey)) this.#refuse("wrong_key", record.id, socket);
      else if (socket.alpnProtocol !== PROTOCOL) this.#refuse("wrong_protocol", record.id, socket);
      else this.#link(member, socket);
    });
    socket.once("close", () => {
      endLimit();
      if (this.#members.get(record.id) !== member) return;
      member.calling = null;
      if (this.#options.timers.nowMs() - startedMs >= LASTING_MS) member.failures = 0;
      this.#callLater(member);
    });
  }

  #callLater(member: Member): void {
    const { rng, self, timers } = this.#options;
    if (this.#closed || member.record.id < self || member.calling !== null) return;
    const doubled = Math.min(RETRY_FIRST_MS * 2 ** Math.min(member.failures++, 16), RETRY_LAST_MS);
    const [byte] = rng.bytes(1);
    const restMs = doubled + (doubled * (byte as number)) / 512;
    const bannedMs = member.bannedUntilMs - timers.nowMs();
    const end = timers.after(Math.max(bannedMs, restMs), () => {
      member.calling = null;
      this.#call(member);
    });
    member.calling = { end };
  }

  /** Both sides know each other; frames pass once each has heard that the other agrees. */
  #link(member: Member, socket: TLSSocket): void {
    const { onConnected, onFrame, onMalformed, onTaken } = this.#options;
    const { id } = member.record;
    const isCurrent = (): boolean => member.link === link && this.#members.get(id) === member;
    const link: Link = new Link({
      peer: id,
      socket,
      onFrame: (frame) => {
        if (isCurrent()) onFrame(id, frame);
      },
      onTaken: (bytes) => {
        if (isCurrent()) this.#guard(() => onTaken(id, bytes));
      },
      onWelcome: () => {
        if (!isCurrent()) return;
        member.isUp = true;
        onConnected(id);
      },
      onTooLong: () => {
        socket.destroy();
        if (isCurrent()) onMalformed(id);
      },
    });
    const before = member.link;
    member.link = link;
    before?.end();
    socket.on("data", (chunk: Uint8Array) => this.#guard(() => link.take(chunk)));
    socket.once("close", () => {
      if (isCurrent()) this.#cut(member);
    });
  }

  #cut(member: Member): void {
    const { link, isUp, record } = member;
    member.link = null;
    member.isUp = false;
    link?.end();
    if (isUp) this.#guard(() => this.#options.onDisconnected(record.id));
  }
}

/** DER of the other side's public key, in hexadecimal; null when it showed none. */
function keyOf(socket: TLSSocket): string | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  return certificate.publicKey.export({ format: "der", type: "spki" }).toString("hex");
}

/** Listens; nobody is let in or called before `setMembers`. `peer_port_unusable`. */
export async function connectByTls(options: TlsConnectionsOptions): Promise<Connections> {
  const connections = new TlsConnections(options);
  await connections.listen();
  return connections;
}
