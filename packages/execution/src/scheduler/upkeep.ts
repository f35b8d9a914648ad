/**
 * Payment for storage and compute without a visit to every canister. A canister that nobody touches uses the same from one point of
 * the grid to the next, so what it owes is a multiple of one interval's price: it pays when it is looked at (`CanisterMap.onRead`),
 * and whether it can pay is known ahead. Invariants: whoever reads a record finds paid what was due at the grid's last point;
 * the subnet's consumption counts it at that point; who cannot pay is named in the round in which the grid is passed.
 * In the middle of a message nothing is paid; afterwards it is, at once.
 */
import type { PrincipalKey } from "@orrery/base";
import type { CanisterMeta, CanisterState, ReplicatedState } from "@orrery/state";
import { maxOf } from "../bigints.ts";
import { burnRest, type ConsumptionTotal, chargeResource, memoryCost } from "../cycles.ts";
import { computeCost, type FeeSubnet } from "../fees.ts";
import { CHARGE_INTERVAL_NS } from "../limits.ts";
import { InstantHeap } from "./heap.ts";

const NS_PER_SECOND = 1_000_000_000n;
const INTERVAL_SECONDS: bigint = CHARGE_INTERVAL_NS / NS_PER_SECOND;

/** What of a canister pays: of a record, or of its copy in a view. */
export interface Payer {
  readonly meta: Pick<CanisterMeta, "cycles" | "reservedCycles">;
  readonly consumed: Map<string, bigint>;
  chargedUntil: bigint;
}

/** What one interval costs. */
interface Price {
  readonly memory: bigint;
  readonly compute: bigint;
}

interface Entry {
  /** Of one interval; 0n while a message is under way. */
  price: bigint;
  /** Point of the grid at which it is looked at again whether the balance suffices; null: never, or not known. */
  due: bigint | null;
  paused: boolean;
}

/** Point of the grid at or before a time. */
export function gridPoint(time: bigint): bigint {
  return time / CHARGE_INTERVAL_NS;
}

export function intervalPrice(subnet: FeeSubnet, meta: CanisterMeta): Price {
  return {
    memory: memoryCost(subnet, meta, INTERVAL_SECONDS),
    compute: computeCost(subnet, meta.settings.computeAllocation, INTERVAL_SECONDS),
  };
}

/**
 * Pays for the intervals up to a point of the grid; false when the cycles did not suffice, and are all gone. They count as paid also
 * when they cost less than a cycle: left to a later payment, they would be billed at what the canister has grown to by then.
 */
export function payUntil(
  subnet: FeeSubnet,
  payer: Payer & { readonly meta: CanisterMeta },
  point: bigint,
  total: ConsumptionTotal = { consumedCyclesTotal: 0n },
): boolean {
  const intervals = point - gridPoint(payer.chargedUntil);
  if (intervals <= 0n) return true;
  const { memory, compute } = intervalPrice(subnet, payer.meta);
  payer.chargedUntil = point * CHARGE_INTERVAL_NS;
  const paid =
    chargeResource(total, payer, memory * intervals, "memory") &&
    chargeResource(total, payer, compute * intervals, "compute_allocation");
  if (!paid) burnRest(total, payer);
  return paid;
}

export class Upkeep {
  readonly #state: ReplicatedState;
  readonly #entries = new Map<PrincipalKey, Entry>();
  readonly #paused = new Set<PrincipalKey>();
  /** When balances are to be looked at, as times: a canister may be in it more than once. */
  readonly #due = new InstantHeap();
  /** Sum of the entries' prices. */
  #priceOfAll = 0n;
  /** The last point that was passed. */
  #point: bigint;

  constructor(state: ReplicatedState) {
    this.#state = state;
    this.#point = gridPoint(state.time);
  }

  /** The record's duty before it is read. */
  settle(key: PrincipalKey, canister: CanisterState): void {
    if (canister.running !== null || canister.chargedUntil >= this.#point * CHARGE_INTERVAL_NS) return;
    // What it owes from the time of its message is not counted yet: that is `refresh`'s.
    if (this.#paused.has(key)) return;
    payUntil(this.#state.subnet, canister, this.#point);
  }

  /** Brings what is known of a canister in step with its record. */
  refresh(key: PrincipalKey, canister: CanisterState): void {
    const entry = this.#entries.get(key) ?? { price: 0n, due: null, paused: false };
    this.#entries.set(key, entry);
    const { subnet } = this.#state;
    this.#priceOfAll -= entry.price;
    entry.price = 0n;
    if (canister.running !== null) {
      entry.paused = true;
      this.#paused.add(key);
      return;
    }
    if (entry.paused) {
      entry.paused = false;
      this.#paused.delete(key);
      payUntil(subnet, canister, this.#point, this.#state);
    } else {
      payUntil(subnet, canister, this.#point);
    }
    const { memory, compute } = intervalPrice(subnet, canister.meta);
    entry.price = memory + compute;
    this.#priceOfAll += entry.price;
    this.#watch(key, canister, entry, this.#point);
  }

  forget(key: PrincipalKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#priceOfAll -= entry.price;
    this.#entries.delete(key);
    this.#paused.delete(key);
  }

  /** Canisters whose messages have ended pay for the time of them, and are counted, before the round's end. */
  resume(canisters: { get(key: PrincipalKey): CanisterState | undefined }): void {
    for (const key of [...this.#paused].sort()) {
      const canister = canisters.get(key);
      if (canister !== undefined && canister.running === null) this.refresh(key, canister);
    }
  }

  /**
   * Passes the points of the grid up to the state's time, once a round and before anything reads a balance. Returns who could not
   * pay, by key: they have paid what they had.
   */
  pass(peek: (key: PrincipalKey) => CanisterState | undefined): PrincipalKey[] {
    const state = this.#state;
    const before = this.#point;
    const point = gridPoint(state.time);
    if (point <= before) return [];
    const depleted: CanisterState[] = [];
    const keys: PrincipalKey[] = [];
    for (let due = this.#due.popUntil(point); due !== null; due = this.#due.popUntil(point)) {
      const entry = this.#entries.get(due.key);
      const canister = peek(due.key);
      if (entry === undefined || canister === undefined || entry.due !== due.time) continue;
      entry.due = null;
      if (canister.running !== null || entry.paused) continue;
      const intervals = point - gridPoint(canister.chargedUntil);
      if (canister.meta.cycles + canister.meta.reservedCycles >= entry.price * intervals) {
        this.#watch(due.key, canister, entry, point);
        continue;
      }
      this.#priceOfAll -= entry.price;
      entry.price = 0n;
      depleted.push(canister);
      keys.push(due.key);
    }
    state.consumedCyclesTotal += (point - before) * this.#priceOfAll;
    for (const canister of depleted) {
      // The intervals before this round's are counted already.
      payUntil(state.subnet, canister, before);
      payUntil(state.subnet, canister, point, state);
    }
    this.#point = point;
    return keys.sort();
  }

  /**
   * Looks at the balance again when half of what it pays for is over: whoever also spends it otherwise is then seldom earlier, and
   * the heap holds few entries of each.
   */
  #watch(key: PrincipalKey, canister: CanisterState, entry: Entry, point: bigint): void {
    if (entry.price === 0n) return;
    const paid = gridPoint(canister.chargedUntil);
    const last = paid + (canister.meta.cycles + canister.meta.reservedCycles) / entry.price;
    if (entry.due !== null && entry.due <= last + 1n) return;
    entry.due = maxOf(point + 1n, point + (last + 1n - point) / 2n);
    this.#due.push(entry.due, key);
  }
}
