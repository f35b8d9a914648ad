/**
 * Which executions belong to what is looked for: those of its own call contexts, and of whatever they called. Told as they happen, each
 * subnet's in their order and callers before callees, which the times of blocks give.
 */
import { type CanisterId, type PrincipalKey, principalKey, toHex } from "@orrery/base";
import type { TraceEvent } from "@orrery/sim/instance";
import type { ReplicatedState } from "@orrery/state";

interface OpenContext {
  readonly canister: PrincipalKey;
  readonly contextId: number;
}

export class Growth {
  readonly #isRoot: (event: TraceEvent) => boolean;
  readonly #events: TraceEvent[] = [];
  readonly #contexts = new Map<string, OpenContext>();
  readonly #calls = new Set<string>();

  constructor(isRoot: (event: TraceEvent) => boolean) {
    this.#isRoot = isRoot;
  }

  get events(): readonly TraceEvent[] {
    return this.#events;
  }

  /** Takes what belongs; returns whether it did. */
  add(event: TraceEvent): boolean {
    const { canisterId, contextId, origin } = event;
    const canister = principalKey(canisterId);
    const key = `${canister}:${contextId}`;
    const isCalled = origin.kind === "call" && this.#calls.has(callKey(origin.from, origin.callbackId));
    const belongs = (contextId !== null && this.#contexts.has(key)) || isCalled || this.#isRoot(event);
    if (!belongs) return false;
    if (contextId !== null) this.#contexts.set(key, { canister, contextId });
    for (const { callbackId } of event.calls) this.#calls.add(callKey(canisterId, callbackId));
    this.#events.push(event);
    return true;
  }

  /** Whether nothing more can come of it. */
  isOver(states: readonly ReplicatedState[]): boolean {
    for (const [key, { canister, contextId }] of this.#contexts) {
      const isOpen = states.some((state) => state.canisters.get(canister)?.callContexts.has(contextId));
      if (isOpen) return false;
      this.#contexts.delete(key);
    }
    return true;
  }
}

function callKey(from: CanisterId, callbackId: number): string {
  return `${principalKey(from)}:${callbackId}`;
}

/** What a user's message led to, by its request id in hex. */
export function isMessage(event: TraceEvent, requestIds: ReadonlySet<string>): boolean {
  return event.origin.kind === "ingress" && requestIds.has(toHex(event.origin.requestId));
}
