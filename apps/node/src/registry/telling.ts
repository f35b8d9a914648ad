/**
 * How nodes tell each other the registry's records: whoever connects is asked for newer ones, and whoever has one says so to all by asking them,
 * since a question says how far the asker is. Records prove themselves, so that nobody has to be believed.
 */
import { decodeCbor, encodeCborBare, type Logger, ok, type Result } from "@orrery/base";
import type { PeerId } from "@orrery/p2p";
import { encodeRecord, RECORD_BYTES_MAX, type RegistryRecord } from "./record.ts";
import type { Registry } from "./registry.ts";
import { decodeRecords, encodeRecords } from "./registry-file.ts";

/** Told at once. */
const ANSWER_BYTES_MAX: number = 1024 * 1024;
export const REGISTRY_ANSWER_BYTES_MAX: number = ANSWER_BYTES_MAX + RECORD_BYTES_MAX + 64;
export const REGISTRY_REQUEST_BYTES_MAX = 16;
/** Somebody is asked again, in case that a word was lost. */
const AGAIN_MS = 20_000;

export interface TellingOptions {
  readonly registry: Registry;
  /** All processes but this one. */
  readonly peers: () => readonly PeerId[];
  readonly ask: (
    body: Uint8Array,
    peers: readonly PeerId[],
  ) => Promise<{ peer: PeerId; body: Uint8Array } | null>;
  /** What this process is told, it said before itself, or is a lie. */
  readonly report: (peer: PeerId, isInvalid: boolean) => void;
  /** Makes all records durable. */
  readonly keep: (records: readonly RegistryRecord[]) => void;
  /** There are new versions. */
  readonly onGrown: () => void;
  readonly logger: Logger;
  readonly onFailure: (error: unknown) => void;
}

export class RegistryTelling {
  readonly #options: TellingOptions;
  /** Who is being asked. */
  readonly #asked = new Set<PeerId>();
  /** Who is to be asked again once it has answered: it said something since it was asked. */
  readonly #again = new Set<PeerId>();
  #timer: NodeJS.Timeout | null = null;
  #next = 0;
  #stopped = false;

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#timer = setInterval(() => {
      const peers = this.#options.peers();
      const peer = peers[this.#next++ % Math.max(1, peers.length)];
      if (peer !== undefined) this.connected(peer);
    }, AGAIN_MS).unref();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Asks a peer for what is new. */
  connected(peer: PeerId): void {
    if (this.#stopped) return;
    if (this.#asked.has(peer)) {
      this.#again.add(peer);
      return;
    }
    this.#asked.add(peer);
    this.#ask(peer)
      .catch(this.#options.onFailure)
      .finally(() => {
        this.#asked.delete(peer);
        if (this.#again.delete(peer)) this.connected(peer);
      });
  }

  /** To a peer that says by asking how far it is. */
  answer(peer: PeerId, body: Uint8Array): Uint8Array | null {
    const version = readVersion(body);
    if (version === null) return null;
    const { registry } = this.#options;
    if (version > registry.version) this.connected(peer);
    const told: RegistryRecord[] = [];
    let bytes = 0;
    for (const record of registry.since(version)) {
      if (bytes > ANSWER_BYTES_MAX) break;
      told.push(record);
      bytes += encodeRecord(record).length;
    }
    return encodeRecords(told);
  }

  /** A record that somebody brought to this node. */
  submit(record: RegistryRecord): Result<void, string> {
    const { registry } = this.#options;
    if (registry.has(record)) return ok(undefined);
    const appended = registry.append(encodeRecord(record));
    if (!appended.ok) return appended;
    this.#grown();
    return ok(undefined);
  }

  async #ask(peer: PeerId): Promise<void> {
    const { registry, ask, report, logger } = this.#options;
    const answer = await ask(encodeCborBare(registry.version), [peer]);
    if (answer === null) return;
    const before = registry.version;
    const fault = this.#take(answer.body);
    if (fault !== null) {
      logger.log("warn", "a process tells a record of the registry that does not hold", { peer, fault });
      report(peer, true);
    }
    if (registry.version > before) this.#grown();
  }

  /** Why no honest process tells it; null: it may. */
  #take(body: Uint8Array): string | null {
    const { registry } = this.#options;
    let records: readonly RegistryRecord[];
    try {
      records = decodeRecords(body);
    } catch (error) {
      return (error as Error).message;
    }
    for (const record of records) {
      // Others may have told it meanwhile.
      if (record.mutation.version <= registry.version) continue;
      const appended = registry.append(encodeRecord(record));
      if (!appended.ok) return appended.error;
    }
    return null;
  }

  #grown(): void {
    const { registry, keep, onGrown, peers, logger } = this.#options;
    logger.log("info", "the registry has a new version", { version: registry.version });
    try {
      keep(registry.since(0));
    } finally {
      // It counts whether or not this node has room for it.
      onGrown();
      for (const peer of peers()) this.connected(peer);
    }
  }
}

function readVersion(body: Uint8Array): number | null {
  try {
    const version = decodeCbor(body);
    return typeof version === "number" && Number.isSafeInteger(version) && version >= 0 ? version : null;
  } catch {
    return null;
  }
}
