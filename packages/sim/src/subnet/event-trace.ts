/**
 * Of every event and what followed, in one hash: the same for the same seed, on every machine. It tells runs apart and need not resist anybody,
 * so it is a quick one: four words, of which each event changes all.
 */
import { type TimeNs, toHex } from "@orrery/base";
import { type Artifact, artifactId } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { WorldEvent } from "./world-nodes.ts";

const WORD = 2 ** 32;

const CODES: Readonly<Record<WorldEvent["kind"], number>> = {
  receive: 1,
  wake: 2,
  executed: 3,
  fetch: 4,
  boot: 5,
  heal: 6,
  hasten: 7,
  resume: 8,
  second: 9,
};

function mixed(word: number, part: number): number {
  let mix = Math.imul(word ^ part, 0x85eb_ca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2_ae35);
  return mix ^ (mix >>> 16);
}

/** A number for its name and its signature's first bytes. */
function nameOf(artifact: Artifact): number {
  const id = artifactId(artifact);
  let name = id.length;
  for (let i = 0; i < id.length; i++) name = Math.imul(name ^ id.charCodeAt(i), 0x0100_0193);
  if ("signature" in artifact)
    for (let i = 0; i < 4; i++) name = Math.imul(name ^ (artifact.signature[i] ?? 0), 0x0100_0193);
  return name;
}

export class EventTrace {
  readonly #words = new Int32Array(4);
  readonly #origin: TimeNs;
  /** What was named last: it goes to many, mostly. */
  #named: { readonly artifact: Artifact; readonly name: number } | null = null;

  constructor(origin: TimeNs) {
    this.#origin = origin;
  }

  get hash(): string {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    for (const [index, word] of this.#words.entries()) view.setInt32(4 * index, word);
    return toHex(sha256(bytes));
  }

  nameOf(artifact: Artifact): number {
    if (this.#named?.artifact !== artifact) this.#named = { artifact, name: nameOf(artifact) };
    return this.#named.name;
  }

  note(now: TimeNs, event: WorldEvent): void {
    const at = Number(now - this.#origin);
    const words = this.#words;
    const word = (index: number): number => words[index] as number;
    const isReceived = event.kind === "receive";
    const node = isReceived ? event.to : "node" in event ? event.node : -1;
    words[0] = mixed(word(0) ^ word(3), at % WORD);
    words[1] = mixed(word(1) ^ word(0), Math.floor(at / WORD));
    words[2] = mixed(word(2) ^ word(1), (node << 4) | CODES[event.kind]);
    const last = word(3) ^ word(2);
    words[3] = isReceived ? mixed(mixed(last, event.from), event.name) : last;
  }
}
