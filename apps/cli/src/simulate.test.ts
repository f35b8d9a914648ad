/** `orrery simulate` as its users meet it: documents, tables, exit codes, and what it says of bad input. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runIn } from "./run.testkit.ts";

const simulate = async (...argv: readonly string[]) => await runIn("/", "simulate", ...argv);

test("one document with the verdict, the trace and how often each fault took place", async () => {
  const argv = ["--seed", "7", "--faults", "delay,loss", "--rounds", "20", "--subnet-count", "2", "--json"];
  const { code, out } = await simulate(...argv);
  const document = JSON.parse(out) as Record<string, unknown> & { readonly faults: Record<string, number> };
  assert.equal(code, 0);
  assert.deepEqual([document["v"], document["seed"], document["verdict"]], ["1", 7, "ok"]);
  assert.match(String(document["trace_hash"]), /^[0-9a-f]{64}$/);
  assert.ok(Number(document["rounds"]) >= 20);
  assert.deepEqual(Object.keys(document.faults), ["delay", "loss"]);
  assert.ok(Object.values(document.faults).every((times) => times > 0));
  const again = JSON.parse((await simulate(...argv)).out) as Record<string, unknown>;
  assert.equal(again["trace_hash"], document["trace_hash"]);
});

test("many seeds in a table, with what each that fails is called by", async () => {
  const { code, out } = await simulate("--seeds", "1..3", "--rounds", "10", "--faults", "none");
  assert.equal(code, 0);
  assert.match(out, /^VERDICT +SEEDS\nok +3\nunsafe +0\nstalled +0\n/);
});

test("says what is wrong with faults, seeds and numbers", async () => {
  assert.match((await simulate("--faults", "crash,meteor")).err, /no fault "meteor"; take .*torn-write/);
  const unfit = await simulate("--faults", "equivocate", "--nodes-per-subnet", "3");
  assert.deepEqual([unfit.code, /takes 4 nodes a subnet/.test(unfit.err)], [1, true]);
  for (const wrong of [
    ["--seeds", "5..1"],
    ["--rounds", "0"],
    ["--nodes-per-subnet", "41"],
    ["--seeds", "1..2", "--seed", "3"],
  ])
    assert.equal((await simulate(...wrong)).code, 2, wrong.join(" "));
});
