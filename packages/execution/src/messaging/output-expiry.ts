/**
 * When requests that wait to be sent expire, without a look at what waits: the first of each queue, since requests of one queue expire in
 * their order. A cache of the state like the rest of the index: whoever changes a queue says so, and what it came to is looked up when
 * somebody asks.
 */
import type { PrincipalKey, TimeNs } from "@orrery/base";
import type { CanisterState, OutboundMessage } from "@orrery/state";
import { InstantHeap } from "../scheduler/heap.ts";

/** Instants that may not hold any more, beside as many as hold, before the heap is made anew. */
const STALE_MAX = 1_000;

interface Queue {
  readonly sender: PrincipalKey;
  readonly receiver: PrincipalKey;
}

/** Deadline of the first request that has one. */
function firstOf(queue: readonly OutboundMessage[] | undefined): TimeNs | null {
  for (const message of queue ?? [])
    if (message.kind === "request" && message.expires !== undefined) return message.expires;
  return null;
}

export class OutputExpiry {
  /** By "sender:receiver". */
  readonly #first = new Map<string, TimeNs>();
  readonly #changed = new Map<string, Queue>();
  #heap = new InstantHeap();

  /** Instants that are kept, whether or not they hold. */
  get size(): number {
    return this.#heap.size;
  }

  /** The queue changed, or came or went. */
  note(sender: PrincipalKey, receiver: PrincipalKey): void {
    this.#changed.set(`${sender}:${receiver}`, { sender, receiver });
  }

  /** The earliest deadline, null when nothing waits that has one. Cost: the queues that changed. */
  next(canisters: ReadonlyMap<PrincipalKey, CanisterState>): TimeNs | null {
    for (const [name, { sender, receiver }] of this.#changed)
      this.#put(name, firstOf(canisters.get(sender)?.queues.outputs.get(receiver)));
    this.#changed.clear();
    if (this.#heap.size > 2 * this.#first.size + STALE_MAX) this.#renew();
    for (;;) {
      const earliest = this.#heap.peek();
      if (earliest === null || this.#first.get(earliest.key) === earliest.time) return earliest?.time ?? null;
      this.#heap.popUntil(earliest.time);
    }
  }

  #put(name: string, time: TimeNs | null): void {
    if (time === null) this.#first.delete(name);
    else if (this.#first.get(name) !== time) {
      this.#first.set(name, time);
      this.#heap.push(time, name);
    }
  }

  #renew(): void {
    this.#heap = new InstantHeap();
    for (const [name, time] of this.#first) this.#heap.push(time, name);
  }
}
