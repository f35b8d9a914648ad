/** Payment on reading against payment at every point of the grid: the same numbers, the same canisters out of cycles, at the same time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { canisterIdFromIndex, type PrincipalKey, principalKey } from "@orrery/base";
import {
  type CanisterMap,
  type CanisterState,
  newCanister,
  newState,
  type ReplicatedState,
} from "@orrery/state";
import fc from "fast-check";
import { CHARGE_INTERVAL_NS } from "../limits.ts";
import { SUBNET } from "../testing/bench.testkit.ts";
import { gridPoint, intervalPrice, payUntil, Upkeep } from "./upkeep.ts";

const CANISTERS = 4;
const GIB = 1n << 30n;

type Step =
  | { readonly kind: "time"; readonly ns: bigint }
  | { readonly kind: "spend" | "top_up" | "reserve"; readonly which: number; readonly part: number }
  | { readonly kind: "use"; readonly which: number; readonly gib: bigint; readonly compute: bigint }
  | { readonly kind: "run" | "end" | "create" | "delete" | "read"; readonly which: number };

const which = fc.nat(CANISTERS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("time" as const),
      ns: fc.oneof(
        fc.bigInt(1n, 12_000_000_000n),
        fc.bigInt(1n, 90_000_000_000n),
        fc.constant(CHARGE_INTERVAL_NS),
      ),
    }),
  },
  fc.record({
    kind: fc.constantFrom("spend" as const, "top_up" as const, "reserve" as const),
    which,
    part: fc.nat(100),
  }),
  fc.record({
    kind: fc.constant("use" as const),
    which,
    gib: fc.bigInt(0n, 6n),
    compute: fc.bigInt(0n, 2n),
  }),
  fc.record({
    kind: fc.constantFrom(
      "run" as const,
      "end" as const,
      "create" as const,
      "delete" as const,
      "read" as const,
    ),
    which,
  }),
);

/** One way of paying, over a state of its own. */
interface Way {
  readonly state: ReplicatedState;
  /** Who ran out of cycles in the round that begins at this time. */
  begin(): PrincipalKey[];
  touched(key: PrincipalKey): void;
  end(): void;
  gone(key: PrincipalKey): void;
}

function fresh(): ReplicatedState {
  return newState({ subnet: SUBNET, time: 1_700_000_000_000_000_000n });
}

function lazy(): Way {
  const state = fresh();
  const canisters = state.canisters as CanisterMap;
  const upkeep = new Upkeep(state);
  canisters.onRead((key, canister) => upkeep.settle(key, canister));
  return {
    state,
    begin: () => upkeep.pass((key) => canisters.peek(key)),
    touched: (key) => upkeep.refresh(key, canisters.get(key) as CanisterState),
    end: () => upkeep.resume(canisters),
    gone: (key) => upkeep.forget(key),
  };
}

function eager(): Way {
  const state = fresh();
  let point = gridPoint(state.time);
  const pay = (key: PrincipalKey): boolean => {
    const canister = state.canisters.get(key) as CanisterState;
    return canister.running !== null || payUntil(state.subnet, canister, point, state);
  };
  return {
    state,
    begin(): PrincipalKey[] {
      if (gridPoint(state.time) === point) return [];
      point = gridPoint(state.time);
      return [...state.canisters.keys()].sort().filter((key) => !pay(key));
    },
    // A message that ended is paid for before anything else changes the canister.
    touched: (key) => void pay(key),
    end(): void {
      for (const key of state.canisters.keys()) pay(key);
    },
    gone: () => {},
  };
}

function change(way: Way, one: Exclude<Step, { kind: "time" }>): void {
  const { state } = way;
  const id = canisterIdFromIndex(BigInt(one.which));
  const key = principalKey(id);
  if (one.kind === "create" && !state.canisters.has(key)) {
    state.canisters.set(key, newCanister({ id, controllers: [], cycles: 20_000_000n, time: state.time }));
  }
  const canister = state.canisters.get(key);
  if (canister === undefined) return;
  const { meta } = canister;
  if (one.kind === "delete") {
    state.canisters.delete(key);
    way.gone(key);
    return;
  }
  if (one.kind === "read") return;
  if (one.kind === "spend") meta.cycles -= (meta.cycles * BigInt(one.part)) / 100n;
  if (one.kind === "top_up") meta.cycles += BigInt(one.part) * 500_000n;
  if (one.kind === "reserve") {
    const moved = (meta.cycles * BigInt(one.part)) / 100n;
    meta.cycles -= moved;
    meta.reservedCycles += moved;
  }
  // In the middle of a message a canister's settings do not change.
  if (one.kind === "use" && canister.running === null) {
    const memoryAllocation = one.gib * GIB + 12_345n;
    meta.settings = { ...meta.settings, memoryAllocation, computeAllocation: one.compute };
  }
  if (one.kind === "run") canister.running = {} as never;
  if (one.kind === "end") canister.running = null;
  way.touched(key);
}

function drop(way: Way, key: PrincipalKey): void {
  const canister = way.state.canisters.get(key) as CanisterState;
  canister.meta.settings = { ...canister.meta.settings, memoryAllocation: 0n, computeAllocation: 0n };
  way.touched(key);
}

/** All that anybody could see. */
function seen({ state }: Way): unknown {
  const canisters = [...state.canisters].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    state.consumedCyclesTotal,
    canisters.map(([key, { meta, consumed, chargedUntil }]) => [
      key,
      meta.cycles,
      meta.reservedCycles,
      [...consumed].sort(),
      gridPoint(chargedUntil),
    ]),
  ];
}

test("who pays when he is looked at has paid the same as who pays every time", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), fc.boolean(), (steps, look) => {
      const ways = [lazy(), eager()] as const;
      for (let n = 0; n < CANISTERS; n++) for (const way of ways) change(way, { kind: "create", which: n });
      for (const one of steps) {
        if (one.kind !== "time") {
          for (const way of ways) change(way, one);
          continue;
        }
        for (const way of ways) way.end();
        if (look) assert.deepEqual(seen(ways[0]), seen(ways[1]));
        const depleted = ways.map((way) => {
          way.state.time += one.ns;
          return way.begin();
        });
        assert.deepEqual(depleted[0], depleted[1]);
        assert.equal(ways[0].state.consumedCyclesTotal, ways[1].state.consumedCyclesTotal);
        for (const way of ways) for (const key of depleted[0] as PrincipalKey[]) drop(way, key);
      }
      for (const way of ways) way.end();
      assert.deepEqual(seen(ways[0]), seen(ways[1]));
    }),
    { numRuns: 400 },
  );
});

test("a point of the grid costs nothing per canister", () => {
  const { state, begin, touched } = lazy();
  const map = state.canisters as CanisterMap;
  const keys: PrincipalKey[] = [];
  for (let n = 0; n < 1_000; n++) {
    const id = canisterIdFromIndex(BigInt(n));
    keys.push(principalKey(id));
    const canister = newCanister({ id, controllers: [], cycles: 10n ** 12n, time: state.time });
    canister.meta.settings = { ...canister.meta.settings, memoryAllocation: GIB };
    state.canisters.set(principalKey(id), canister);
    touched(principalKey(id));
  }
  const { chargedUntil, meta } = map.peek(keys[7] as PrincipalKey) as CanisterState;
  const { memory } = intervalPrice(SUBNET, meta);
  assert.ok(memory > 0n);
  for (let i = 0; i < 100; i++) {
    state.time += CHARGE_INTERVAL_NS;
    assert.deepEqual(begin(), []);
  }
  for (const key of keys) assert.equal(map.peek(key)?.chargedUntil, chargedUntil);
  assert.equal(state.consumedCyclesTotal, 1_000n * 100n * memory);
  assert.equal(map.get(keys[7] as PrincipalKey)?.meta.cycles, 10n ** 12n - 100n * memory);
});
