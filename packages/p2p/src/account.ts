/**
 * What one peer takes of this node: bytes, messages and processor time, each against an allowance that refills. Beyond it the peer is
 * throttled (not read) until the debt is paid; who is throttled for long, or far beyond the allowance, is dropped.
 */
import type { TimeNs } from "@orrery/base";
import { ALLOWANCES, type Allowance, PATIENCE } from "./limits.ts";

const SECOND = 1_000_000_000;

/** An allowance in use. Its level may fall below zero, and grows back. */
export class Bucket {
  readonly #allowance: Allowance;
  #level: number;
  #at: TimeNs;

  constructor(allowance: Allowance, now: TimeNs) {
    this.#allowance = allowance;
    this.#level = allowance.burst;
    this.#at = now;
  }

  level(now: TimeNs): number {
    if (now > this.#at) {
      const grown = (Number(now - this.#at) * this.#allowance.perSecond) / SECOND;
      this.#level = Math.min(this.#allowance.burst, this.#level + grown);
      this.#at = now;
    }
    return this.#level;
  }

  take(now: TimeNs, amount: number): void {
    this.#level = this.level(now) - amount;
  }

  /** When the level is zero again; `now` when it is not below. */
  paidAt(now: TimeNs): TimeNs {
    const level = this.level(now);
    return level >= 0 ? now : now + BigInt(Math.ceil((-level * SECOND) / this.#allowance.perSecond));
  }

  /** More is owed than could be taken at once: throttling did not help. */
  isHopeless(now: TimeNs): boolean {
    return this.level(now) < -this.#allowance.burst;
  }
}

export type Resource = keyof typeof ALLOWANCES;
const RESOURCES: readonly Resource[] = ["bytes", "messages", "cost"];

export type Standing =
  | { readonly kind: "good" }
  | { readonly kind: "throttled"; readonly until: TimeNs; readonly resource: Resource }
  | { readonly kind: "hopeless"; readonly resource: Resource };

export class Account {
  readonly #buckets: Readonly<Record<Resource, Bucket>>;
  readonly #patience: Bucket;

  constructor(now: TimeNs) {
    this.#buckets = {
      bytes: new Bucket(ALLOWANCES.bytes, now),
      messages: new Bucket(ALLOWANCES.messages, now),
      cost: new Bucket(ALLOWANCES.cost, now),
    };
    this.#patience = new Bucket(PATIENCE, now);
  }

  charge(now: TimeNs, resource: Resource, amount: number): void {
    this.#buckets[resource].take(now, amount);
  }

  /** Whether the peer may go on. Being throttled is paid for with patience when it begins: call once for each time. */
  standing(now: TimeNs): Standing {
    let until = now;
    let worst: Resource | null = null;
    for (const resource of RESOURCES) {
      const bucket = this.#buckets[resource];
      if (bucket.isHopeless(now)) return { kind: "hopeless", resource };
      const paidAt = bucket.paidAt(now);
      if (paidAt <= until) continue;
      until = paidAt;
      worst = resource;
    }
    return worst === null ? { kind: "good" } : { kind: "throttled", until, resource: worst };
  }

  /** Counts a time of being throttled; false when there were too many. */
  bear(now: TimeNs, until: TimeNs): boolean {
    this.#patience.take(now, Number(until - now) / 1_000_000);
    return this.#patience.level(now) >= 0;
  }
}
