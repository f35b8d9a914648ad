/** One peer that may connect: its connection, if there is one, and what it did wrong before. */
import type { TimeNs } from "@orrery/base";
import { Account } from "./account.ts";
import { BAN_FIRST_NS, BAN_FORGOTTEN_NS, BAN_LAST_NS } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { Server } from "./server.ts";
import type { PeerId } from "./types.ts";

export interface Connection {
  readonly outbox: Outbox;
  readonly server: Server;
  /** Of a peer that is throttled. */
  pausedUntil: TimeNs | null;
}

export class Peer {
  readonly id: PeerId;
  connection: Connection | null = null;
  /** Goes on over connections, so that a new one is no new allowance. */
  readonly account: Account;
  #bans = 0;
  #banEnd: TimeNs = 0n;

  constructor(id: PeerId, now: TimeNs) {
    this.id = id;
    this.account = new Account(now);
  }

  bannedUntil(now: TimeNs): TimeNs | null {
    return this.#banEnd > now ? this.#banEnd : null;
  }

  /** When it may come back. */
  ban(now: TimeNs): TimeNs {
    if (now >= this.#banEnd + BAN_FORGOTTEN_NS) this.#bans = 0;
    const doubled = BAN_FIRST_NS << BigInt(Math.min(this.#bans++, 16));
    this.#banEnd = now + (doubled > BAN_LAST_NS ? BAN_LAST_NS : doubled);
    return this.#banEnd;
  }
}
