/** The conformance suite against an instance of the PocketIC server that lives by the machine's clock: every third case, and every case of some kinds. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Section } from "../suite/case.ts";
import { ed25519 } from "../suite/identity.ts";
import { judge, sentenceOf } from "../suite/otherwise.ts";
import { type Outside, startOutside } from "../suite/outside.ts";
import { runSuite, selectCases } from "../suite/run.ts";
import {
  OTHERWISE,
  OTHERWISE_ON_ENGINES,
  type SuiteInstance,
  startInstanceBeside,
} from "./suite-instance.ts";

/** `npm run conformance -- --pocket-ic` runs all of them. */
const EVERY = 3;
const ON_ENGINES_EVERY = 8;
const administrator = ed25519();

let outside: Outside;
let instance: SuiteInstance;
before(async () => {
  outside = await startOutside();
  instance = await startInstanceBeside(outside, administrator);
});
after(async () => {
  outside.close();
  await instance.end();
});

for (const { what, every, ...chosen } of [
  { what: "a sample of all cases", every: EVERY },
  { what: "all cases on certification", filter: "certification", every: 1 },
  { what: "all cases that move the clock, in instances of their own", needing: "time control", every: 1 },
] as const) {
  test(`an instance passes ${what}`, async () => {
    const sample = { every, offset: 1 };
    const { results, capabilities } = await runSuite({
      url: instance.url,
      outside,
      administrator,
      ...chosen,
      sample,
    });
    for (const has of ["several subnets", "snapshots", "chain keys", "outcalls", "time control"] as const) {
      assert.ok(capabilities.includes(has), has);
    }
    const { failed, stale } = judge(results, OTHERWISE);
    assert.deepEqual([...failed, ...stale], []);
    const clocked = new Set(selectCases({ needing: "time control" }).map(sentenceOf));
    const left = results.filter((one) => one.status === "not run" && clocked.has(sentenceOf(one)));
    assert.deepEqual(left, []);
    assert.ok(results.some(({ status }) => status === "passed"));
  });
}

test("canisters of a cloud engine, made by its administrator, pass a sample of what is the same there", async () => {
  const { results } = await runSuite({
    url: instance.url,
    administrator,
    home: "cloud_engine",
    sample: { every: ON_ENGINES_EVERY, offset: 2 },
  });
  const same = results.filter(
    (one) => !OTHERWISE_ON_ENGINES.has(one.section as Section) && !OTHERWISE.has(sentenceOf(one)),
  );
  assert.deepEqual(judge(same).failed, []);
  assert.ok(same.filter(({ status }) => status === "passed").length > 80);
});
