/**
 * Which canisters run in a round, and in which order (the replica's scheduler, as far as it can be observed). Every canister has an
 * accumulated priority: it grows by the canister's compute allocation and by a share of what is left over, and falls by 100 % for
 * each round in which the canister went first in its partition or did all that it had to do. Canisters that do nothing and owe
 * nothing are at zero and cost nothing. A long message pays when it ends, and has a partition of its own until then.
 */
import type { PrincipalKey } from "@orrery/base";
import { type CanisterState, touch } from "@orrery/state";
import { canPrepay } from "../cycles.ts";
import type { Round } from "./round.ts";
import type { TurnTasks } from "./turn.ts";

const ONE_PERCENT = 1_000_000;
const HUNDRED_PERCENT: number = 100 * ONE_PERCENT;
/** Rounds that a canister may be ahead of what it used. */
const ROUNDS_AHEAD_MAX = 5;

export type DueTasks = Map<PrincipalKey, TurnTasks>;

function allocation({ meta }: CanisterState): number {
  return Number(meta.settings.computeAllocation) * ONE_PERCENT;
}

/** With what its long message will pay taken off. */
function truePriority(canister: CanisterState): number {
  return canister.priority - canister.priorityCredit;
}

function prioritized({ running }: CanisterState): boolean {
  return running?.prioritized === true;
}

/** Whether a canister whose low-memory hook is ready can pay for it still. Until it can, the hook waits and costs nothing. */
export function lowMemoryDue({ state, limits }: Round, key: PrincipalKey): boolean {
  const canister = state.canisters.get(key);
  return canister !== undefined && canPrepay(state.subnet, canister, limits.instructionsPerMessage);
}

export class RoundSchedule {
  readonly #round: Round;
  readonly #due: DueTasks;
  readonly #scheduled = new Set<PrincipalKey>();
  readonly #fullyExecuted = new Set<PrincipalKey>();
  readonly #ended = new Set<PrincipalKey>();
  /** Who had a slice of a long message. */
  readonly #sliced = new Set<PrincipalKey>();
  #iteration: PrincipalKey[] = [];
  #first = true;

  constructor(round: Round, due: DueTasks) {
    this.#round = round;
    this.#due = due;
  }

  /** A canister's long message ended: it runs nothing else in this round. */
  noteEnded(key: PrincipalKey): void {
    this.#ended.add(key);
  }

  /** A canister's long message had its slice of the round. */
  noteSlice(key: PrincipalKey): void {
    this.#sliced.add(key);
  }

  /** Canisters for each partition, in order, for one pass; empty when there is nothing to run. */
  partitions(): PrincipalKey[][] {
    const { limits, holdsLong } = this.#round;
    const room = holdsLong ? 0 : Math.max(0, limits.longExecutionsMax - this.#sliced.size);
    const long = this.#sorted(this.#longMessages()).slice(0, room);
    const fresh = this.#sorted(this.#fresh());
    const own = this.#ownPartitions(long);
    this.#iteration = [...long, ...fresh];
    for (const key of this.#iteration) this.#scheduled.add(key);
    if (this.#first) {
      for (const key of long.slice(0, own)) {
        this.#fullyExecuted.add(key);
        const { running } = this.#canister(key);
        if (running !== null) running.prioritized = true;
      }
      for (const key of fresh.slice(0, limits.partitions - own)) this.#fullyExecuted.add(key);
    }
    this.#first = false;
    return this.#deal(long, fresh, own);
  }

  /** The pass is over: whoever has nothing left to do had a full round. */
  endPass(): void {
    for (const key of this.#iteration) {
      const canister = this.#round.state.canisters.get(key);
      if (canister === undefined || !this.#waits(key, canister)) this.#fullyExecuted.add(key);
    }
  }

  /** Settles the round: allocations, payments, and what nobody used to all who owe. */
  finish(): void {
    const { state, index } = this.#round;
    const touched = new Set<PrincipalKey>();
    const change = (key: PrincipalKey, canister: CanisterState): CanisterState => {
      touched.add(key);
      return canister;
    };
    for (const key of this.#fullyExecuted) {
      const canister = state.canisters.get(key);
      if (canister !== undefined) change(key, canister).priorityCredit += HUNDRED_PERCENT;
    }
    let free = 0;
    for (const key of this.#scheduled) {
      const canister = state.canisters.get(key);
      if (canister === undefined) continue;
      change(key, canister).priority += allocation(canister);
      free -= truePriority(canister);
    }
    free = Math.max(free, 0);
    const keys = new Set([...this.#scheduled, ...index.prioritized]);
    const order = [...keys].filter((key) => state.canisters.has(key)).sort(this.#byPriority(truePriority));
    let left = order.length;
    for (const key of order) {
      const canister = this.#canister(key);
      const share = Math.trunc(free / left--);
      change(key, canister);
      if (truePriority(canister) >= -share && !this.#hasWork(key, canister)) {
        free += truePriority(canister);
        canister.priority = 0;
        canister.priorityCredit = 0;
        continue;
      }
      const given = Math.min(share, ROUNDS_AHEAD_MAX * HUNDRED_PERCENT - truePriority(canister));
      canister.priority += given;
      free -= given;
      if (canister.running?.kind === "message") continue;
      canister.priority -= canister.priorityCredit;
      canister.priorityCredit = 0;
    }
    for (const key of touched) {
      const canister = this.#canister(key);
      touch(state, canister);
      index.refresh(key, canister);
    }
  }

  #canister(key: PrincipalKey): CanisterState {
    return this.#round.state.canisters.get(key) as CanisterState;
  }

  #longMessages(): PrincipalKey[] {
    const { running } = this.#round.index;
    return [...running].filter(
      (key) => this.#canister(key).running?.kind === "message" && !this.#sliced.has(key),
    );
  }

  #fresh(): PrincipalKey[] {
    const { state, index } = this.#round;
    const keys = new Set(index.runnable);
    for (const [key, tasks] of this.#due) {
      if ((tasks.heartbeat || tasks.timer) && state.canisters.has(key)) keys.add(key);
    }
    for (const key of index.lowMemory) if (lowMemoryDue(this.#round, key)) keys.add(key);
    return [...keys].filter((key) => !index.running.has(key) && !this.#ended.has(key));
  }

  #sorted(keys: PrincipalKey[]): PrincipalKey[] {
    return keys.sort(this.#byPriority((canister) => canister.priority));
  }

  #byPriority(of: (canister: CanisterState) => number): (a: PrincipalKey, b: PrincipalKey) => number {
    return (a, b) => {
      const [left, right] = [this.#canister(a), this.#canister(b)];
      if (prioritized(left) !== prioritized(right)) return prioritized(left) ? -1 : 1;
      return of(right) - of(left) || (a < b ? -1 : 1);
    };
  }

  /** Partitions that long messages have to themselves: their allocations, rounded up; one is left for everybody else. */
  #ownPartitions(long: readonly PrincipalKey[]): number {
    if (long.length === 0) return 0;
    let allocated = 0;
    for (const key of long) allocated += allocation(this.#canister(key));
    const wanted = Math.max(1, Math.ceil(allocated / HUNDRED_PERCENT));
    return Math.min(wanted, long.length, Math.max(1, this.#round.limits.partitions - 1));
  }

  #deal(long: readonly PrincipalKey[], fresh: readonly PrincipalKey[], own: number): PrincipalKey[][] {
    const { partitions } = this.#round.limits;
    const dealt: PrincipalKey[][] = Array.from({ length: partitions }, () => []);
    for (let i = 0; i < own; i++) dealt[i]?.push(long[i] as PrincipalKey);
    const others = Math.max(1, partitions - own);
    const base = partitions - others;
    let at = 0;
    for (const key of fresh) {
      dealt[base + at]?.push(key);
      at = (at + 1) % others;
    }
    at += base;
    for (const key of long.slice(own)) {
      dealt[at]?.push(key);
      at = (at + 1) % partitions;
    }
    return dealt;
  }

  #waits(key: PrincipalKey, canister: CanisterState): boolean {
    const tasks = this.#due.get(key);
    return (
      canister.running !== null ||
      this.#round.index.runnable.has(key) ||
      (this.#round.index.lowMemory.has(key) && lowMemoryDue(this.#round, key)) ||
      tasks?.heartbeat === true ||
      tasks?.timer === true
    );
  }

  #hasWork(key: PrincipalKey, canister: CanisterState): boolean {
    return this.#waits(key, canister) || this.#round.index.heartbeats.has(key);
  }
}
