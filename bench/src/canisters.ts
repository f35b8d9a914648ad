/**
 * Very many canisters on one subnet: how fast they are installed, what an idle one takes in memory (execution's and the view's
 * records, certified tree, index), how fast they answer in random order, each within a bounded pool of live instances and
 * bounded memory for pages, and how long a start takes after a kill.
 * Run: node --expose-gc bench/src/canisters.ts [canisters] [answers]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CertifiedView } from "@orrery/execution";
import { createFileDisk, inflateGzip, installFastHashes } from "@orrery/host";
import { ColdPages, PageReader } from "@orrery/state";
import { FLEET_MODULES, Fleet, fleetModules } from "./lib/fleet.ts";
import { gathered } from "./lib/gathered.ts";
import { percentile } from "./lib/load.ts";

const CANISTERS = Number(process.argv[2] ?? 10_000);
const ANSWERS = Number(process.argv[3] ?? 5_000);
const PER_BATCH = 50;
/** 256 MiB. */
const HOT_PAGES_MAX = 65_536;
const CHECKPOINT_EVERY = 1_000;
const PAGE_BYTES = 4_096;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of JavaScript's heap and of buffers outside it, shared ones left out. */
function memoryBytes(): number {
  for (let i = 0; i < 3; i++) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function seconds(action: () => void): number {
  const start = performance.now();
  action();
  return (performance.now() - start) / 1_000;
}

installFastHashes();
const folder = mkdtempSync(join(tmpdir(), "orrery-canisters-"));
const disk = createFileDisk(folder);
const modules = await fleetModules();
const options = { disk, modules, hotPagesMax: HOT_PAGES_MAX };
const certification = { signature: new Uint8Array(48), delegation: null };

function follow(fleet: Fleet): CertifiedView {
  const pages = new PageReader({ cold: new ColdPages(disk) });
  for (const slab of fleet.arena.slabs()) pages.addSlab(slab);
  const { formed, partsMs, viewMs } = gathered(fleet.state);
  const sorted = partsMs.toSorted((a, b) => a - b);
  const sum = partsMs.reduce((all, ms) => all + ms, 0);
  console.log(
    `  a view begins: ${partsMs.length} parts of p50 ${percentile(sorted, 0.5).toFixed(1)}, p99 ${percentile(sorted, 0.99).toFixed(1)}, ` +
      `at most ${(sorted.at(-1) ?? 0).toFixed(1)} ms of processor time, ${(sum / 1_000).toFixed(2)} s together; the view's ${(viewMs / 1_000).toFixed(2)} s`,
  );
  return new CertifiedView({ snapshot: formed, certification, pages, inflate: inflateGzip });
}

let fleet: Fleet | null = new Fleet(options);
// Compiled modules and machine code are there before the first figure.
fleet.grow(0, FLEET_MODULES, FLEET_MODULES);
const before = memoryBytes();
let built = FLEET_MODULES;
const installS = seconds(() => {
  while (built < CANISTERS) {
    const to = Math.min(built + CHECKPOINT_EVERY, CANISTERS);
    (fleet as Fleet).grow(built, to, PER_BATCH);
    built = to;
    (fleet as Fleet).checkpoint();
  }
});
console.log(
  `${CANISTERS} canisters of ${FLEET_MODULES} modules: ${(CANISTERS / installS).toFixed(0)} installed a second`,
);
const settled = (): void => {
  // Answers to installations are forgotten after five minutes.
  for (let i = 0; i < 3; i++) (fleet as Fleet).round([], 400_000_000_000n);
  (fleet as Fleet).checkpoint();
};
settled();
const perCanister = (bytes: number): string => `${(bytes / CANISTERS / 1024).toFixed(2)} KiB`;
const execution = memoryBytes() - before;
console.log(`  execution: ${perCanister(execution)} a canister`);
console.log(
  `  pages: ${fleet.arena.livePages} versions, ${fleet.arena.hotPages} of them in memory (${((fleet.arena.hotPages * PAGE_BYTES) / 2 ** 20).toFixed(0)} MiB), slabs ${(fleet.arena.slabs().reduce((sum, { buffer }) => sum + buffer.byteLength, 0) / 2 ** 20).toFixed(0)} MiB`,
);
console.log(`  resident: ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`);
const beforeView = memoryBytes();
let view: CertifiedView | null = follow(fleet);
console.log(`  view: ${perCanister(memoryBytes() - beforeView)} a canister`);

const asked = new Map<number, number>();
let random = 12_345;
const pick = (): number => {
  random = (random * 1_103_515_245 + 12_345) & 0x7fffffff;
  return random % CANISTERS;
};
const rate = (): number => {
  let done = 0;
  const s = seconds(() => {
    while (done < ANSWERS) {
      const which = [...new Set(Array.from({ length: PER_BATCH }, pick))];
      (fleet as Fleet).add(which, (one) => asked.get(one) ?? 0);
      for (const one of which) asked.set(one, (asked.get(one) ?? 0) + 1);
      done += which.length;
    }
  });
  return done / s;
};
console.log(
  `  random order: ${rate().toFixed(0)} answers a second, ${fleet.runner.liveInstances} live instances`,
);
console.log(`  resident: ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`);
settled();
console.log(`  full checkpoint: ${seconds(() => (fleet as Fleet).checkpoint("full")).toFixed(2)} s`);
fleet.store.close();
fleet = null;
view = null;
const empty = memoryBytes();

const startS = seconds(() => {
  fleet = new Fleet(options);
});
const loaded = fleet as unknown as Fleet;
console.log(`start after a kill: ${startS.toFixed(2)} s, ${loaded.arena.coldReads} pages read`);
console.log(`  execution: ${perCanister(memoryBytes() - empty)} a canister`);
const followS = seconds(() => {
  view = follow(loaded);
});
console.log(`  and the view: ${followS.toFixed(2)} s; root ${view === null ? "" : "agrees"}`);
console.log(
  `  random order, cold: ${rate().toFixed(0)} answers a second, ${loaded.arena.coldReads} pages read`,
);
loaded.store.close();
rmSync(folder, { recursive: true });
