/**
 * The measurement of very many canisters, small enough for every run of the tests: what it asserts are bounds on memory and on
 * pages, not times. Canisters of 22 modules, 64-bit memories among them, each with a state of its own.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CertifiedView } from "@orrery/execution";
import { createFileDisk, inflateGzip, installFastHashes } from "@orrery/host";
import { ColdPages, PageReader } from "@orrery/state";
import { FLEET_MODULES, Fleet, type FleetModule, fleetModules } from "./lib/fleet.ts";
import { gathered } from "./lib/gathered.ts";

const CANISTERS = 660;
const LIVE_INSTANCES = 12;
const HOT_PAGES = 1_024;
const IDLE_BYTES_MAX: number = 20 * 1024;
/** What allocation sizes and the collector may add in so small a run, for each canister. */
const SLACK_BYTES = 2_048;
const PER_BATCH = 30;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function memoryBytes(): number {
  for (let i = 0; i < 4; i++) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

installFastHashes();
const folder = mkdtempSync(join(tmpdir(), "orrery-fleet-"));
const disk = createFileDisk(folder);
let modules: readonly FleetModule[] = [];
let fleet: Fleet;
const asked = new Map<number, number>();

before(async () => {
  modules = await fleetModules();
  fleet = open();
});
after(() => {
  fleet.store.close();
  rmSync(folder, { recursive: true });
});

function open(): Fleet {
  return new Fleet({ disk, modules, hotPagesMax: HOT_PAGES, instancesMax: LIVE_INSTANCES });
}

function follow(): CertifiedView {
  const pages = new PageReader({ cold: new ColdPages(disk) });
  for (const slab of fleet.arena.slabs()) pages.addSlab(slab);
  return new CertifiedView({
    snapshot: gathered(fleet.state).formed,
    certification: { signature: new Uint8Array(48), delegation: null },
    pages,
    inflate: inflateGzip,
    instancesMax: LIVE_INSTANCES,
  });
}

/** Each canister once, in an order that visits the modules in turn and comes back to none soon. */
function askAll(): void {
  for (let at = 0; at < CANISTERS; at += PER_BATCH) {
    const which = Array.from({ length: PER_BATCH }, (_, i) => ((at + i) * 367) % CANISTERS);
    fleet.add(which, (one) => asked.get(one) ?? 0);
    for (const one of which) asked.set(one, (asked.get(one) ?? 0) + 1);
    assert.ok(fleet.runner.liveInstances <= LIVE_INSTANCES);
  }
}

/** Answers to messages are forgotten, so that only canisters are left in memory. */
function settle(): void {
  for (let i = 0; i < 3; i++) fleet.round([], 400_000_000_000n);
  fleet.checkpoint();
}

describe("very many canisters", () => {
  test("are installed within their share of memory, with what is alike there once", () => {
    fleet.grow(0, FLEET_MODULES, FLEET_MODULES);
    follow().query({
      sender: fleet.idOf(0),
      senderInfo: null,
      canisterId: fleet.idOf(0),
      methodName: "get",
      arg: new Uint8Array(0),
    });
    settle();
    const empty = memoryBytes();
    for (let at = FLEET_MODULES; at < CANISTERS; at += 220) {
      fleet.grow(at, Math.min(at + 220, CANISTERS), PER_BATCH);
      fleet.checkpoint();
    }
    settle();
    const execution = memoryBytes();
    const view = follow();
    const both = memoryBytes();
    const added = CANISTERS - FLEET_MODULES;
    const idle = (both - empty) / added;
    assert.ok(
      idle <= IDLE_BYTES_MAX + SLACK_BYTES,
      `an idle canister takes ${Math.round((execution - empty) / added)} bytes of execution's memory, ` +
        `${Math.round((both - execution) / added)} of the view's`,
    );
    assert.equal(view.height, fleet.state.height);
    assert.ok(fleet.runner.liveInstances <= LIVE_INSTANCES);
    assert.ok(fleet.arena.hotPages <= HOT_PAGES, `${fleet.arena.hotPages} pages in memory`);
    // 18 pages each, of which the data segment's eight are the module's.
    assert.ok(fleet.arena.livePages < 12 * CANISTERS, `${fleet.arena.livePages} versions`);
  });

  test("answer in any order within a bounded number of live instances", () => {
    askAll();
    askAll();
    settle();
    assert.ok(fleet.arena.hotPages <= HOT_PAGES);
  });

  test("start without reading a page, and read those of the canisters that are asked", () => {
    const { rootHash } = fleet.round([]);
    fleet.checkpoint();
    fleet.store.close();
    fleet = open();
    assert.equal(fleet.loaded, true);
    assert.equal(fleet.arena.coldReads, 0);
    assert.equal(fleet.arena.hotPages, 0);
    const one = FLEET_MODULES + 1;
    const { memory } = fleet.state.canisters.get([...fleet.state.canisters.keys()].sort()[one] as string) as {
      memory: { heap: { pageCount: number }; stable: { pageCount: number } };
    };
    fleet.add([one], () => asked.get(one) ?? 0);
    asked.set(one, (asked.get(one) ?? 0) + 1);
    const pages = memory.heap.pageCount + memory.stable.pageCount;
    // Each once for the instance, and those written once more to see what changed.
    assert.ok(
      fleet.arena.coldReads > 0 && fleet.arena.coldReads <= 2 * pages,
      `${fleet.arena.coldReads} of ${pages}`,
    );
    assert.notDeepEqual(fleet.round([]).rootHash, rootHash);
    askAll();
  });
});
