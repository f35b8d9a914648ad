/** What happens next in a simulation: by time, and in the order in which it was planned where times are equal. */

interface Entry<T> {
  readonly at: bigint;
  readonly order: number;
  readonly event: T;
}

export class EventQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #planned = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Of the next event; null when nothing is planned. */
  get nextAt(): bigint | null {
    return this.#heap[0]?.at ?? null;
  }

  plan(at: bigint, event: T): void {
    const heap = this.#heap;
    const entry = { at, order: this.#planned++, event };
    let place = heap.push(entry) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Entry<T>)) break;
      heap[place] = heap[parent] as Entry<T>;
      place = parent;
    }
    heap[place] = entry;
  }

  take(): { readonly at: bigint; readonly event: T } | null {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length > 0) sink(heap, last);
    return first;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function sink<T>(heap: Entry<T>[], entry: Entry<T>): void {
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    const right = heap[child + 1];
    if (right !== undefined && isBefore(right, heap[child] as Entry<T>)) child++;
    const best = heap[child];
    if (best === undefined || !isBefore(best, entry)) break;
    heap[place] = best;
    place = child;
  }
  heap[place] = entry;
}
