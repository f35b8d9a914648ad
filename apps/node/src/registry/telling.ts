/**
 * How nodes tell each other the registry's records: whoever connects is asked for newer ones, and whoever has one says so to all by asking them,
 * since a question says how far the asker is. Records prove themselves, so that nobody has to be believed.
 */
import {
  type CborValue,
  decodeCbor,
  encodeCborBare,
  type Logger,
  OrreryError,
  ok,
  type Result,
} from "@orrery/base";
import type { PeerId } from "@orrery/p2p";
import { CREATION_BYTES_MAX, type Creations } from "./creations.ts";
import { encodeRecord, RECORD_BYTES_MAX, type RegistryRecord } from "./record.ts";
import type { Registry } from "./registry.ts";
import { decodeRecords, encodeRecords } from "./registry-file.ts";

/** Told at once. */
const ANSWER_BYTES_MAX: number = 1024 * 1024;
export const REGISTRY_ANSWER_BYTES_MAX: number =
  ANSWER_BYTES_MAX + RECORD_BYTES_MAX + CREATION_BYTES_MAX + 64;
export const REGISTRY_REQUEST_BYTES_MAX = 24;
/** Somebody is asked again, in case that a word was lost. */
const AGAIN_MS = 20_000;

export interface TellingOptions {
  readonly registry: Registry;
  readonly creations: Pick<Creations, "all" | "add">;
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
  /** The same of subnets that were created. */
  readonly keepCreations: (packages: readonly Uint8Array[]) => void;
  /** There are new versions, or new subnets. */
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
    const asked = readQuestion(body);
    if (asked === null) return null;
    const { version, created } = asked;
    const { registry, creations } = this.#options;
    if (version > registry.version || created > creations.all.length) this.connected(peer);
    const told: RegistryRecord[] = [];
    let bytes = 0;
    for (const record of registry.since(version)) {
      if (bytes > ANSWER_BYTES_MAX) break;
      told.push(record);
      bytes += encodeRecord(record).length;
    }
    // They are large: who has one asks for the next.
    return encodeTold({ records: told, creation: creations.all[created]?.bytes ?? null });
  }

  /** A catch-up package of the root subnet that was made here. */
  created(bytes: Uint8Array): void {
    const before = this.#options.creations.all.length;
    const added = this.#options.creations.add(bytes);
    if (!added.ok) throw new OrreryError("registry_invalid", `a package of this node: ${added.error}`);
    if (this.#options.creations.all.length > before) this.#grown();
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
    const { registry, creations, ask, report, logger } = this.#options;
    const size = (): number => registry.version + creations.all.length;
    const before = size();
    const answer = await ask(encodeCborBare([registry.version, creations.all.length]), [peer]);
    if (answer === null) return;
    const fault = this.#take(answer.body);
    if (fault !== null) {
      logger.log("warn", "a process tells a record of the registry that does not hold", { peer, fault });
      report(peer, true);
    }
    if (size() > before) this.#grown();
  }

  /** Why no honest process tells it; null: it may. */
  #take(body: Uint8Array): string | null {
    const { registry, creations } = this.#options;
    let told: Told;
    try {
      told = decodeTold(body);
    } catch (error) {
      return (error as Error).message;
    }
    for (const record of told.records) {
      // Others may have told it meanwhile.
      if (record.mutation.version <= registry.version) continue;
      const appended = registry.append(encodeRecord(record));
      if (!appended.ok) return appended.error;
    }
    const added = told.creation === null ? null : creations.add(told.creation);
    return added === null || added.ok ? null : added.error;
  }

  #grown(): void {
    const { registry, creations, keep, keepCreations, onGrown, peers, logger } = this.#options;
    const { version } = registry;
    logger.log("info", "the registry has grown", { version, created: creations.all.length });
    try {
      keep(registry.since(0));
      if (creations.all.length > 0) keepCreations(creations.all.map(({ bytes }) => bytes));
    } finally {
      // It counts whether or not this node has room for it.
      onGrown();
      for (const peer of peers()) this.connected(peer);
    }
  }
}

const isNatural = (value: CborValue | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

function readQuestion(body: Uint8Array): { readonly version: number; readonly created: number } | null {
  try {
    const question = decodeCbor(body);
    if (!Array.isArray(question) || question.length !== 2) return null;
    const [version, created] = question as readonly CborValue[];
    return isNatural(version) && isNatural(created) ? { version, created } : null;
  } catch {
    return null;
  }
}

/** What the asker does not have. */
export interface Told {
  readonly records: readonly RegistryRecord[];
  /** The first package that creates a subnet; null where it has all. */
  readonly creation: Uint8Array | null;
}

export function encodeTold({ records, creation }: Told): Uint8Array {
  return encodeCborBare([encodeRecords(records), creation]);
}

/** `registry_invalid` for anything else. */
function decodeTold(bytes: Uint8Array): Told {
  let value: CborValue = null;
  try {
    value = decodeCbor(bytes);
  } catch {
    // Nobody's word.
  }
  const fields = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  const [records, creation] = fields;
  const isCreation = creation === null || creation instanceof Uint8Array;
  if (fields.length !== 2 || !(records instanceof Uint8Array) || !isCreation)
    throw new OrreryError("registry_invalid", "not an answer about the registry");
  return { records: decodeRecords(records), creation };
}
