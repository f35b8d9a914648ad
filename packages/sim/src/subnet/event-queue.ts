/**
 * What happens next in a simulation: by time, and in the order in which it was planned where times are equal. Events stand in slots of about a
 * millisecond; a slot is put in order when its time comes, so that planning and taking cost little however many events there are.
 */

/** Two to the power of it: nanoseconds of a slot. */
const SLOT_NS = 2 ** 20;

interface Entry<T> {
  readonly at: bigint;
  /** Since the queue's origin, ns: exact for months. */
  readonly since: number;
  readonly event: T;
}

export class EventQueue<T> {
  readonly #origin: bigint;
  /** Later slots, each in the order in which its events were planned. */
  readonly #slots = new Map<number, Entry<T>[]>();
  /** Their numbers: a heap. */
  readonly #numbers: number[] = [];
  /** The slot whose time has come, in order, and how many of it are taken. */
  #current: Entry<T>[] = [];
  #taken = 0;
  #slot = -1;

  /** `origin`: no event is earlier. */
  constructor(origin: bigint) {
    this.#origin = origin;
  }

  plan(at: bigint, event: T): void {
    const since = Number(at - this.#origin);
    const entry = { at, since, event };
    const number = Math.floor(since / SLOT_NS);
    if (number <= this.#slot) {
      insert(this.#current, entry, this.#taken);
      return;
    }
    const slot = this.#slots.get(number);
    if (slot !== undefined) {
      slot.push(entry);
      return;
    }
    this.#slots.set(number, [entry]);
    rise(this.#numbers, number);
  }

  /** The next event of that time or before it; null when there is none. */
  take(until: bigint): { readonly at: bigint; readonly event: T } | null {
    const next = this.#next();
    if (next === undefined || next.at > until) return null;
    this.#taken++;
    return next;
  }

  #next(): Entry<T> | undefined {
    const next = this.#current[this.#taken];
    if (next !== undefined) return next;
    const number = lowest(this.#numbers);
    if (number === undefined) return undefined;
    this.#current = (this.#slots.get(number) as Entry<T>[]).sort((a, b) => a.since - b.since);
    this.#slots.delete(number);
    this.#slot = number;
    this.#taken = 0;
    return this.#current[0];
  }
}

/** After all of the same time. */
function insert<T>(entries: Entry<T>[], entry: Entry<T>, from: number): void {
  let place = entries.length;
  while (place > from && (entries[place - 1] as Entry<T>).since > entry.since) place--;
  if (place === entries.length) entries.push(entry);
  else entries.splice(place, 0, entry);
}

function rise(heap: number[], number: number): void {
  let place = heap.push(number) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (number >= (heap[parent] as number)) break;
    heap[place] = heap[parent] as number;
    place = parent;
  }
  heap[place] = number;
}

/** Takes it. */
function lowest(heap: number[]): number | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
    if (child >= heap.length || (heap[child] as number) >= last) break;
    heap[place] = heap[child] as number;
    place = child;
  }
  heap[place] = last;
  return first;
}
