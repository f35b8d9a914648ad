/**
 * Very many canisters on a node of the command line: made by factories through its HTTP interface, installed from 22 modules, each with a
 * state of its own, asked in random order, each answer looked at. What an update and a query take, in turns with a network of 110
 * canisters; what an idle canister takes of memory; how long the node takes to stop, to start, and to start after it was killed.
 * Ends with 1 when a median is more than 1.5 times as long, or an idle canister takes more than what is published as missed. `canisters`
 * measures the same in one process without node and HTTP.
 * Run: node bench/src/node-canisters.ts [--canisters 10000] [--answers 2000] [--keep DIR]; `--keep` goes on with what it left there.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { residentMiB } from "./lib/canister-client.ts";
import { FLEET_MODULES, type FleetModule, fleetModules } from "./lib/fleet.ts";
import { Gate } from "./lib/gate.ts";
import { percentile } from "./lib/load.ts";
import { startNetwork } from "./lib/network.ts";
import { type FleetRecord, NodeFleet } from "./lib/node-fleet.ts";

const { values } = parseArgs({
  options: {
    canisters: { type: "string", default: "10000" },
    answers: { type: "string", default: "2000" },
    keep: { type: "string" },
  },
});
const roundUp = (count: number): number => Math.ceil(count / FLEET_MODULES) * FLEET_MODULES;
const CANISTERS = roundUp(Number(values.canisters));
const ANSWERS = Number(values.answers);
const FEW = 5 * FLEET_MODULES;
/** Modules of this size are compiled where they are installed, so that making 100,000 takes minutes and not an hour. */
const DATA_BYTES = 8 * 1024;
const PER_STEP = 200 * FLEET_MODULES;
const CONCURRENCY = 16;
const TURNS = 20;
const PER_TURN = 25;
const AFTER_START = 500;
/** All modules are compiled on the execution thread after so many. */
const BEFORE_LATE_VIEW = 10 * FLEET_MODULES;
/** A round, a part of what the view begins with, and what other threads take of two cores. */
const LATE_VIEW_MS_MAX = 250;
const IDLE_KIB_MAX = 20;
const RATIO_MAX = 1.5;
const KIB_PER_MIB = 1_024;

const folder = values.keep ?? mkdtempSync(join(tmpdir(), "orrery-many-"));
const recordFile = join(folder, "fleet.json");
const RESIDENT = "resident memory of an idle canister, KiB";
/** What docs/benchmarks.md says of them ("Very many canisters on a node"). */
const gate = new Gate({ missed: { [RESIDENT]: 25.7 } });
const modules: readonly FleetModule[] = await fleetModules(DATA_BYTES);

/** Starts the node of a fleet again; seconds. */
async function start(fleet: NodeFleet): Promise<number> {
  const from = performance.now();
  fleet.moved(await startNetwork(fleet.network.stateDir));
  return (performance.now() - from) / 1_000;
}

async function stop(fleet: NodeFleet, signal: "SIGTERM" | "SIGKILL"): Promise<number> {
  const from = performance.now();
  await fleet.network.stop({ signal, keepState: true });
  return (performance.now() - from) / 1_000;
}

function save(fleet: NodeFleet): void {
  writeFileSync(recordFile, JSON.stringify(fleet.record()));
}

async function open(name: string): Promise<NodeFleet> {
  return new NodeFleet(await startNetwork(join(folder, name)), modules);
}

async function grow(fleet: NodeFleet): Promise<void> {
  while (fleet.size < CANISTERS) {
    const before = fleet.size;
    const seconds = await fleet.grow(Math.min(CANISTERS, before + PER_STEP));
    save(fleet);
    const rate = (fleet.size - before) / seconds;
    console.log(
      `  ${fleet.size} canisters, ${rate.toFixed(0)} made and installed a second, ${residentMiB(fleet.network)?.toFixed(0)} MiB resident`,
    );
  }
}

/** One client, in turns with the small network. */
async function latencies(large: NodeFleet, small: NodeFleet): Promise<void> {
  for (const kind of ["call", "query"] as const) {
    const taken: Record<"large" | "small", number[]> = { large: [], small: [] };
    for (let turn = -1; turn < TURNS; turn++) {
      for (const [name, fleet] of [
        ["small", small],
        ["large", large],
      ] as const) {
        const { latencies: ms } = await fleet.ask(kind, fleet.pick(PER_TURN), 1);
        if (turn >= 0) taken[name].push(...ms);
      }
    }
    const [a, b] = [taken.small, taken.large].map((all) => all.toSorted((x, y) => x - y)) as [
      number[],
      number[],
    ];
    const at = (share: number): string => {
      const [few, many] = [percentile(a, share), percentile(b, share)];
      return `${few.toFixed(1)} and ${many.toFixed(1)} ms, ${(many / few).toFixed(2)} ×`;
    };
    const verdict = gate.atMost(`median ${kind}, ratio`, percentile(b, 0.5) / percentile(a, 0.5), RATIO_MAX);
    console.log(
      `${kind} at ${small.size} and ${large.size} canisters: p50 ${at(0.5)} (at most ${RATIO_MAX}: ${verdict}), p99 ${at(0.99)}`,
    );
  }
}

async function inRandomOrder(fleet: NodeFleet, kind: "call" | "query", count: number): Promise<string> {
  const { latencies: ms, seconds } = await fleet.ask(kind, fleet.pick(count), CONCURRENCY);
  const sorted = ms.toSorted((a, b) => a - b);
  return `${(sorted.length / seconds).toFixed(0)} a second, p50 ${percentile(sorted, 0.5).toFixed(1)} ms, slowest ${(sorted.at(-1) as number).toFixed(0)} ms`;
}

/** Kilobytes of memory for each canister more, right after a start: what only canisters take. */
function idle(large: NodeFleet, small: NodeFleet): void {
  const [many, few] = [residentMiB(large.network), residentMiB(small.network)];
  if (many === null || few === null) return;
  const kib = ((many - few) * KIB_PER_MIB) / (large.size - small.size);
  console.log(
    `resident after a start: ${many.toFixed(0)} MiB, ${few.toFixed(0)} MiB with ${small.size}; ${kib.toFixed(1)} KiB a canister ` +
      `(at most ${IDLE_KIB_MAX}: ${gate.atMost(RESIDENT, kib, IDLE_KIB_MAX)})`,
  );
}

/**
 * The patient view begins, since the prompt one has no module compiled, while one client sends updates: what the first query waits for it,
 * and what updates wait meanwhile.
 */
async function lateView(fleet: NodeFleet): Promise<void> {
  await fleet.ask("call", fleet.pick(BEFORE_LATE_VIEW), 1);
  const from = performance.now();
  let tookMs: number | null = null;
  const query = fleet.ask("query", fleet.pick(1), 1).then(() => {
    tookMs = performance.now() - from;
  });
  const updates: number[] = [];
  while (tookMs === null) updates.push(...(await fleet.ask("call", fleet.pick(1), 1)).latencies);
  await query;
  const slowest = Math.max(...updates);
  console.log(
    `a view that begins late: its first query after ${((tookMs ?? 0) / 1_000).toFixed(1)} s; ${updates.length} updates meanwhile, ` +
      `slowest ${slowest.toFixed(0)} ms (at most ${LATE_VIEW_MS_MAX}: ${gate.atMost("slowest update while a view begins, ms", slowest, LATE_VIEW_MS_MAX)})`,
  );
}

const small = await open("few");
const large = await open("many");
try {
  if (existsSync(recordFile)) large.adopt(JSON.parse(readFileSync(recordFile, "utf8")) as FleetRecord);
  await small.grow(FEW);
  await grow(large);
  console.log(`updates in random order: ${await inRandomOrder(large, "call", ANSWERS)}`);
  console.log(`queries in random order: ${await inRandomOrder(large, "query", ANSWERS)}`);
  save(large);
  await latencies(large, small);
  save(large);
  console.log(`resident: ${residentMiB(large.network)?.toFixed(0)} MiB`);
  const stopS = await stop(large, "SIGTERM");
  console.log(`stop, with its checkpoint: ${stopS.toFixed(1)} s`);
  await stop(small, "SIGTERM");
  await start(small);
  console.log(`start: ${(await start(large)).toFixed(1)} s`);
  idle(large, small);
  await lateView(large);
  console.log(`  then, from the disk: ${await inRandomOrder(large, "call", AFTER_START)}`);
  save(large);
  await stop(large, "SIGKILL");
  console.log(`start after a kill: ${(await start(large)).toFixed(1)} s`);
  console.log(`  then: ${await inRandomOrder(large, "query", AFTER_START)}`);
} finally {
  await Promise.all([small, large].map((fleet) => fleet.network.stop({ keepState: true })));
  rmSync(join(folder, "few"), { recursive: true, force: true });
  if (values.keep === undefined) rmSync(folder, { recursive: true, force: true });
}
process.exitCode = gate.exitCode();
