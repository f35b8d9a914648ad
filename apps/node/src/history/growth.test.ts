/** Executions made by hand: what belongs together, and what is forgotten while rounds go by. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, principalKey } from "@orrery/base";
import type { TraceEvent } from "@orrery/sim/instance";
import type { ReplicatedState } from "@orrery/state";
import { Growth } from "./growth.ts";

const [A, B] = [canisterIdFromIndex(1n), canisterIdFromIndex(2n)];

interface Execution {
  readonly on: CanisterId;
  readonly context: number;
  readonly calls?: readonly number[];
  readonly from?: { readonly canister: CanisterId; readonly callbackId: number };
}

function execution({ on, context, calls = [], from }: Execution): TraceEvent {
  const origin = from === undefined ? { kind: "task" } : { kind: "call", from: from.canister, ...from };
  const made = calls.map((callbackId) => ({ callbackId }));
  return { canisterId: on, contextId: context, calls: made, origin } as unknown as TraceEvent;
}

/** With these call contexts open. */
function stateWith(open: readonly (readonly [CanisterId, number])[]): ReplicatedState {
  const canisters = new Map(
    open.map(([id]) => {
      const own = open.filter(([other]) => principalKey(other) === principalKey(id));
      return [principalKey(id), { callContexts: new Map(own.map(([, context]) => [context, {}])) }];
    }),
  );
  return { canisters } as unknown as ReplicatedState;
}

const isOfB = ({ canisterId }: TraceEvent): boolean => principalKey(canisterId) === principalKey(B);

test("trees that are over are forgotten, but for the newest that is wanted", () => {
  const growth = new Growth(() => true);
  const add = (one: Execution): boolean => growth.add(execution(one), isOfB(execution(one)));
  const contexts = (): readonly (number | null)[] => growth.events.map(({ contextId }) => contextId);
  // A call from A to B that stays open through thousands of rounds of others.
  add({ on: A, context: 1, calls: [7] });
  for (let context = 100; context < 3_100; context++) {
    add({ on: A, context });
    growth.keepNewest([stateWith([[A, 1]])]);
    assert.ok(growth.events.length <= 1, `${growth.events.length} events are kept`);
  }
  // It belongs to the tree that called it.
  assert.ok(add({ on: B, context: 50, from: { canister: A, callbackId: 7 } }));
  add({ on: B, context: 51 });
  growth.keepNewest([stateWith([[A, 1]])]);
  assert.deepEqual(contexts(), [1, 50, 51]);
  // The older one ends later: the one that began last is still the newest.
  growth.keepNewest([stateWith([])]);
  assert.deepEqual(contexts(), [51]);
  add({ on: B, context: 52 });
  add({ on: A, context: 4_000 });
  growth.keepNewest([stateWith([])]);
  assert.deepEqual(contexts(), [52]);
});
