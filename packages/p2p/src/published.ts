/**
 * What this node has for others in one channel: each live artifact in a numbered slot, with a version that grows with every change. The
 * table is all that is kept of what is to be sent: a slow peer gets the newest content of each slot, and no queue grows.
 */
import { assert, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { encodeStripped, type Part } from "./strip.ts";
import type { Channel } from "./types.ts";
import type { Form } from "./wire.ts";

/** What a consumer publishes. */
export interface Publication {
  /** Known to whoever decides whether it wants the artifact; at most `LABEL_BYTES_MAX`. */
  readonly label: Uint8Array;
  readonly body: Uint8Array;
  /** Taken out of the body, when receivers may have them already. */
  readonly parts?: readonly Part[];
  /** Sent without being asked for when it fits the channel's bound; small ones always are. */
  readonly isUrgent: boolean;
}

export interface Live {
  readonly key: string;
  readonly slot: number;
  readonly version: number;
  readonly form: Form;
  readonly label: Uint8Array;
  /** As it travels: a stripped artifact's with its references. */
  readonly body: Uint8Array;
  readonly hash: Uint8Array;
  readonly isUrgent: boolean;
  readonly parts: readonly Part[];
  /** The same for the same artifact of whomever. */
  readonly id: string;
}

/** Names an artifact as it was announced: different for any difference in form, label and body. */
export function offerId(form: Form, label: Uint8Array, hash: Uint8Array): string {
  return `${form}/${toHex(label)}/${toHex(hash)}`;
}

export class Published {
  readonly #channel: Channel;
  readonly #bySlot = new Map<number, Live>();
  readonly #byKey = new Map<string, Live>();
  readonly #byId = new Map<string, Set<Live>>();
  readonly #byHash = new Map<string, Set<Live>>();
  /** Parts of live artifacts, with the number of artifacts that have them. */
  readonly #parts = new Map<string, { readonly bytes: Uint8Array; uses: number }>();
  readonly #free: number[] = [];
  #slots = 0;
  #version = 0;
  #bytes = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get live(): Iterable<Live> {
    return this.#bySlot.values();
  }

  at(slot: number): Live | undefined {
    return this.#bySlot.get(slot);
  }

  withId(id: string): Iterable<Live> {
    return this.#byId.get(id) ?? [];
  }

  body(hash: Uint8Array): Uint8Array | null {
    const [first] = this.#byHash.get(toHex(hash)) ?? [];
    return first?.body ?? null;
  }

  part(id: Uint8Array): Uint8Array | null {
    return this.#parts.get(toHex(id))?.bytes ?? null;
  }

  /** The version for a slot that became free. */
  nextVersion(): number {
    return ++this.#version;
  }

  /** What is live under the key from now on; null when the channel's slots or bytes are used up. */
  publish(key: string, publication: Publication): Live | null {
    const { label, parts = [], isUrgent } = publication;
    const body = parts.length > 0 ? encodeStripped(publication.body, parts) : publication.body;
    assert(body.length <= this.#channel.artifactBytesMax, `artifact ${key} has ${body.length} bytes`);
    const old = this.#byKey.get(key);
    const [slots, bytes] = [this.#bySlot.size, this.#bytes + body.length - (old?.body.length ?? 0)];
    if (bytes > this.#channel.bytesMax || (old === undefined && slots >= this.#channel.slotsMax)) return null;
    const slot = old?.slot ?? this.#free.pop() ?? this.#slots++;
    if (old !== undefined) this.#remove(old);
    const form: Form = parts.length > 0 ? "stripped" : "whole";
    const hash = sha256(body);
    const id = offerId(form, label, hash);
    const live = { key, slot, version: this.nextVersion(), form, label, body, hash, isUrgent, parts, id };
    this.#add(live);
    return live;
  }

  /** What was live under the key; its slot is free. */
  retract(key: string): Live | null {
    const live = this.#byKey.get(key);
    if (live === undefined) return null;
    this.#remove(live);
    this.#free.push(live.slot);
    return live;
  }

  #add(live: Live): void {
    this.#bySlot.set(live.slot, live);
    this.#byKey.set(live.key, live);
    addTo(this.#byId, live.id, live);
    addTo(this.#byHash, toHex(live.hash), live);
    this.#bytes += live.body.length;
    for (const { id, bytes } of live.parts) {
      const part = this.#parts.get(toHex(id));
      if (part === undefined) this.#parts.set(toHex(id), { bytes, uses: 1 });
      else part.uses++;
    }
  }

  #remove(live: Live): void {
    this.#bySlot.delete(live.slot);
    this.#byKey.delete(live.key);
    removeFrom(this.#byId, live.id, live);
    removeFrom(this.#byHash, toHex(live.hash), live);
    this.#bytes -= live.body.length;
    for (const { id } of live.parts) {
      const part = this.#parts.get(toHex(id));
      assert(part !== undefined, "a part of a live artifact is missing");
      if (--part.uses === 0) this.#parts.delete(toHex(id));
    }
  }
}

function addTo<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
