/**
 * Which executions belong to what is looked for: those of its own call contexts, and of whatever they called. Told as they happen, each
 * subnet's in their order and callers before callees, which the times of blocks give.
 */
import { type CanisterId, type PrincipalKey, principalKey, toHex } from "@orrery/base";
import type { TraceEvent } from "@orrery/sim/instance";
import type { ReplicatedState } from "@orrery/state";

/** A root with all that it led to. */
interface Tree {
  readonly events: TraceEvent[];
  /** By their keys; those that are over leave. */
  readonly contexts: Map<string, OpenContext>;
  readonly calls: string[];
  isWanted: boolean;
}

interface OpenContext {
  readonly canister: PrincipalKey;
  readonly contextId: number;
}

export class Growth {
  readonly #isRoot: (event: TraceEvent) => boolean;
  /** In the order in which they began. */
  readonly #trees = new Set<Tree>();
  readonly #contexts = new Map<string, Tree>();
  readonly #calls = new Map<string, Tree>();
  /** The newest that is wanted of those that are over. */
  #newest: Tree | null = null;

  constructor(isRoot: (event: TraceEvent) => boolean) {
    this.#isRoot = isRoot;
  }

  /** Of one tree after the other. */
  get events(): readonly TraceEvent[] {
    return [...this.#trees].flatMap(({ events }) => events);
  }

  /** Takes what belongs; returns whether it did. */
  add(event: TraceEvent, isWanted = false): boolean {
    const { canisterId, contextId } = event;
    const canister = principalKey(canisterId);
    const key = contextId === null ? null : `${canister}:${contextId}`;
    const tree = this.#treeOf(event, key);
    if (tree === null) return false;
    if (key !== null && contextId !== null) {
      tree.contexts.set(key, { canister, contextId });
      this.#contexts.set(key, tree);
    }
    for (const { callbackId } of event.calls) {
      const call = callKey(canisterId, callbackId);
      tree.calls.push(call);
      this.#calls.set(call, tree);
    }
    tree.events.push(event);
    tree.isWanted ||= isWanted;
    return true;
  }

  #treeOf(event: TraceEvent, contextKey: string | null): Tree | null {
    const { origin } = event;
    const within = contextKey === null ? undefined : this.#contexts.get(contextKey);
    const caller =
      origin.kind === "call" ? this.#calls.get(callKey(origin.from, origin.callbackId)) : undefined;
    const known = within ?? caller;
    if (known !== undefined) return known;
    if (!this.#isRoot(event)) return null;
    const tree: Tree = { events: [], contexts: new Map(), calls: [], isWanted: false };
    this.#trees.add(tree);
    return tree;
  }

  /** Whether nothing more can come of it. */
  isOver(states: readonly ReplicatedState[]): boolean {
    for (const tree of this.#trees) if (!this.#isTreeOver(tree, states)) return false;
    return true;
  }

  /** Drops what is over and not wanted, and of what is wanted and over all but the newest: memory is what is open. */
  keepNewest(states: readonly ReplicatedState[]): void {
    let newest = this.#newest;
    for (const tree of this.#trees) {
      if (tree === newest || !this.#isTreeOver(tree, states)) continue;
      if (!tree.isWanted) {
        this.#drop(tree);
        continue;
      }
      const [older, newer] = this.#inOrder(newest, tree);
      if (older !== null) this.#drop(older);
      newest = newer;
    }
    this.#newest = newest;
  }

  /** By when they began, which is their order in the set. */
  #inOrder(a: Tree | null, b: Tree): readonly [older: Tree | null, newer: Tree] {
    if (a === null) return [null, b];
    for (const tree of this.#trees) if (tree === a || tree === b) return tree === a ? [a, b] : [b, a];
    return [null, b];
  }

  #isTreeOver({ contexts }: Tree, states: readonly ReplicatedState[]): boolean {
    for (const [key, { canister, contextId }] of contexts) {
      const isOpen = states.some((state) => state.canisters.get(canister)?.callContexts.has(contextId));
      if (isOpen) return false;
      contexts.delete(key);
      this.#contexts.delete(key);
    }
    return true;
  }

  #drop(tree: Tree): void {
    this.#trees.delete(tree);
    for (const call of tree.calls) this.#calls.delete(call);
  }
}

function callKey(from: CanisterId, callbackId: number): string {
  return `${principalKey(from)}:${callbackId}`;
}

/** What a user's message led to, by its request id in hex. */
export function isMessage(event: TraceEvent, requestIds: ReadonlySet<string>): boolean {
  return event.origin.kind === "ingress" && requestIds.has(toHex(event.origin.requestId));
}
