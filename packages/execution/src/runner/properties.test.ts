/** Any interleaving of messages on several canisters, with evictions, epochs and a pool that is too small, against a model. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Bench, reply } from "../testing/bench.testkit.ts";
import { read, STATEFUL, words } from "../testing/stateful.testkit.ts";

const CANISTERS = 3;
const FAILING = ["trap", "unreachable", "divide", "bounds", "growtrap", "spin"] as const;

const step = fc.record({
  canister: fc.nat(CANISTERS - 1),
  action: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("inc", "grow") },
    { weight: 3, arbitrary: fc.constantFrom(...FAILING) },
    { weight: 3, arbitrary: fc.constantFrom("query", "replicated_query", "evict", "advance") },
  ),
});

interface Model {
  count: bigint;
  pages: bigint;
}

function expected({ count, pages }: Model): bigint[] {
  return [count, count, BigInt.asUintN(64, count * 0x0101010101010101n), count, pages];
}

test("state is what the successful messages made it, whatever came between", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), (steps, instancesMax) => {
      const bench = new Bench({ instancesMax });
      const canisters = Array.from({ length: CANISTERS }, () => bench.installed(STATEFUL));
      const models: Model[] = canisters.map(() => ({ count: 0n, pages: 2n }));
      let epoch = 0;
      for (const { canister: at, action } of steps) {
        const [canister, model] = [canisters[at], models[at]];
        assert.ok(canister !== undefined && model !== undefined);
        if (action === "advance") {
          bench.arena.advance(++epoch);
          bench.arena.reclaim(epoch - 1);
        } else if (action === "evict") {
          bench.runner.evict(canister.meta.id);
        } else if (action === "query" || action === "replicated_query") {
          const run = action === "query" ? bench.query.bind(bench) : bench.update.bind(bench);
          assert.deepEqual(
            words(reply(run(canister, "touch"))),
            expected({ ...model, count: model.count + 1n }),
          );
        } else {
          const outcome = bench.update(canister, action, "", { instructionLimit: 1_000_000n });
          const fails = (FAILING as readonly string[]).includes(action);
          assert.equal(outcome.error !== null, fails, action);
          if (!fails) model.count++;
          if (action === "grow") model.pages += 3n;
        }
      }
      for (const [i, canister] of canisters.entries())
        assert.deepEqual(read(bench, canister), expected(models[i] as Model));
      assert.ok(bench.runner.liveInstances <= instancesMax);
    }),
    { numRuns: 25 },
  );
});
