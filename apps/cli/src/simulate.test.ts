/** `orrery simulate` as its users meet it: documents, tables, exit codes, and what it says of bad input. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("many seeds give one report on one thread and on several, stopped in between or not", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-seeds-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const run = async (...argv: readonly string[]) => {
    const { code, out } = await runIn(folder, "simulate", "--state", "hashes", "--rounds", "10", ...argv);
    const { times_real_time: _speed, ...document } = JSON.parse(out) as Record<string, unknown>;
    return { code, document };
  };
  const alone = await run("--seeds", "1..6", "--json");
  assert.equal(alone.code, 0);
  assert.deepEqual(await run("--seeds", "1..6", "--json", "--jobs", "3", "--record", "a.jsonl"), alone);
  const lines = readFileSync(join(folder, "a.jsonl"), "utf8").split("\n");
  assert.equal(lines.length, 8);
  // Stopped in the middle of a line: what is there is not run again, or it would not say so.
  const told = (lines[2] as string).replace('"verdict":"ok"', '"verdict":"stalled"');
  const { seed } = JSON.parse(told) as { readonly seed: number };
  writeFileSync(
    join(folder, "b.jsonl"),
    [lines[0], lines[1], told, (lines[3] as string).slice(0, 40)].join("\n"),
  );
  const again = await run("--seeds", "1..6", "--json", "--record", "b.jsonl");
  assert.equal(again.code, 11);
  assert.deepEqual(again.document["verdicts"], { ok: 5, unsafe: 0, stalled: 1 });
  const [failed] = again.document["failed"] as readonly { readonly seed: number }[];
  assert.equal(failed?.seed, seed);
  assert.equal(readFileSync(join(folder, "b.jsonl"), "utf8").split("\n").length, 8);
  const other = await runIn(folder, "simulate", "--seeds", "1..6", "--rounds", "11", "--record", "b.jsonl");
  assert.match(other.err, /has other runs than these/);
});

test("real keys are dealt anew at intervals, and members sign with them", async () => {
  const argv = ["--keys", "real", "--rounds", "12", "--faults", "none", "--json"];
  const { code, out } = await simulate(...argv, "--state", "hashes", "--seed", "3");
  const document = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual([code, document["verdict"], document["keys"]], [0, "ok", "real"]);
  assert.ok(Number(document["intervals"]) >= 1);
  const ideal = await simulate("--state", "hashes", "--seed", "3", ...argv.slice(2));
  assert.notEqual((JSON.parse(ideal.out) as Record<string, unknown>)["trace_hash"], document["trace_hash"]);
  assert.match((await simulate(...argv)).err, /take --state hashes with --keys real/);
});

test("a run that fails is written as the shortest scenario that fails alike, and that runs again", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-scenario-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const run = async (...argv: readonly string[]) => await runIn(folder, "simulate", ...argv);
  const argv = ["--faults", "crash,silent", "--rounds", "8", "--state", "hashes"];
  const well = await run(...argv, "--shrink", "none.json");
  assert.deepEqual([well.code, /Wrote/.test(well.err)], [0, false]);
  // One of the four may be silent, and three are.
  const pinned = new URL("../../../packages/sim/src/simulate/pinned/forgotten-votes.json", import.meta.url);
  const silent = { ...JSON.parse(readFileSync(pinned, "utf8")), rounds: 8 };
  silent.told[0].plan.byzantine = ["silent", "silent", "silent"];
  writeFileSync(join(folder, "three.json"), JSON.stringify(silent));
  const failed = await run("--scenario", "three.json");
  assert.equal(failed.code, 11);
  assert.match(failed.err, /--shrink FILE/);
  const shrunk = await run("--scenario", "three.json", "--shrink", "short.json", "--json");
  assert.equal(shrunk.code, 11);
  assert.match(shrunk.err, /"stalled" takes 0 of 3 single faults in 1 rounds with 4 nodes on 1 subnets/);
  assert.match(shrunk.err, /orrery simulate --scenario short\.json/);
  assert.equal((await run("--scenario", "short.json")).code, 11);
  assert.match((await run("--scenario", "missing.json")).err, /missing\.json cannot be read/);
  assert.equal((await run("--scenario", "short.json", "--seed", "2")).code, 2);
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
    ["--jobs", "2"],
    ["--record", "a.jsonl"],
  ])
    assert.equal((await simulate(...wrong)).code, 2, wrong.join(" "));
});
