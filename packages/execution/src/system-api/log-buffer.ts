/**
 * What one execution logs (interface spec, "Debugging aids", "Canister logs"): at most as much as the canister's log can hold, the
 * oldest making room, so that a loop of prints costs bounded memory.
 */
import { LOOSE_RECORD_BYTES } from "../messaging/logs.ts";

export class LogBuffer {
  readonly capacity: number;
  #records: Uint8Array[] = [];
  /** Records before this one are gone. */
  #first = 0;
  #bytes = 0;
  #dropped = 0;

  /** `before`: what the same execution logged so far. */
  constructor(capacity: number, before: LogBuffer | null = null) {
    this.capacity = capacity;
    if (before === null) return;
    this.#dropped = before.#dropped;
    for (const record of before.records()) this.push(record);
  }

  /** What an outcome says of it. */
  outcome(): { readonly logs: readonly Uint8Array[]; readonly logsDropped?: number } {
    const logs = this.records();
    return this.#dropped === 0 ? { logs } : { logs, logsDropped: this.#dropped };
  }

  /** Bytes that another record may take before an old one has to go. */
  get free(): number {
    return this.capacity - this.#bytes;
  }

  /** Appends a record, cut to what fits; a capacity of 0 keeps none. */
  push(content: Uint8Array): void {
    const room = this.capacity - LOOSE_RECORD_BYTES;
    if (room < 0) return;
    const kept = content.length > room ? content.slice(0, room) : content;
    this.#records.push(kept);
    this.#bytes += LOOSE_RECORD_BYTES + kept.length;
    while (this.#bytes > this.capacity) {
      this.#bytes -= LOOSE_RECORD_BYTES + (this.#records[this.#first] as Uint8Array).length;
      this.#first++;
      this.#dropped++;
    }
    if (this.#first > 1_024 && 2 * this.#first > this.#records.length) {
      this.#records = this.#records.slice(this.#first);
      this.#first = 0;
    }
  }

  /** What is left, oldest first. */
  records(): readonly Uint8Array[] {
    return this.#records.slice(this.#first);
  }
}
