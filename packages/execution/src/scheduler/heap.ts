/**
 * A binary min-heap of instants (time, key): timers, deadlines, expiries. Equal times pop in key order, so that what comes first
 * never depends on insertion order. Entries are not removed early: whoever pops one checks whether it still holds.
 */
import type { TimeNs } from "@orrery/base";

export interface Instant {
  readonly time: TimeNs;
  readonly key: string;
}

function before(a: Instant, b: Instant): boolean {
  return a.time < b.time || (a.time === b.time && a.key < b.key);
}

export class InstantHeap {
  readonly #items: Instant[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): Instant | null {
    return this.#items[0] ?? null;
  }

  push(time: TimeNs, key: string): void {
    const item: Instant = { time, key };
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(item, items[parent] as Instant)) break;
      items[at] = items[parent] as Instant;
      at = parent;
    }
    items[at] = item;
  }

  /** Removes and returns the earliest entry if its time is at most `until`. */
  popUntil(until: TimeNs): Instant | null {
    const first = this.#items[0];
    if (first === undefined || first.time > until) return null;
    const last = this.#items.pop() as Instant;
    if (this.#items.length > 0) this.#sink(last);
    return first;
  }

  #sink(item: Instant): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(items[child + 1] as Instant, items[child] as Instant)) child++;
      if (!before(items[child] as Instant, item)) break;
      items[at] = items[child] as Instant;
      at = child;
    }
    items[at] = item;
  }
}
