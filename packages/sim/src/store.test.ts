import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionError, canisterIdFromIndex, utf8 } from "@orrery/base";
import {
  CheckpointCollector,
  canisterKey,
  canistersPerPart,
  loadCheckpoint,
  newCanister,
  openStore,
  type Store,
  shouldCompact,
  withGathered,
} from "@orrery/state";
import { newWorld, runRound, stateDigest } from "./disk-workload.ts";
import { FaultyDisk, PowerCut } from "./faulty-disk.ts";

const networkId = utf8("a network");

function open(
  disk: FaultyDisk,
  options: { readonly createIfMissing?: boolean; readonly segmentBytes?: number } = {},
): Store {
  return openStore(disk, { networkId, createIfMissing: true, ...options });
}

function put(disk: FaultyDisk, name: string, text: string): void {
  const file = disk.open(name, { create: true });
  file.write(0, utf8(text));
  file.sync();
  disk.syncDirectory();
}

function textOf(disk: FaultyDisk, name: string): string {
  const file = disk.open(name, { create: false });
  return new TextDecoder().decode(file.read(0, file.size));
}

test("a new store says what it is, and keeps its genesis record", () => {
  const disk = new FaultyDisk({ seed: 1 });
  put(disk, "lock.json", "{}");
  const store = open(disk);
  assert.match(textOf(disk, "ORRERY"), /^Orrery state directory, format 2\./);
  assert.equal(store.genesis, null);
  assert.deepEqual(
    { ...store.recovered, blocks: [...store.recovered.blocks] },
    { checkpoint: null, blocks: [], lastHeight: null },
  );
  store.writeGenesis(utf8("genesis"));
  store.writeGenesis(utf8("genesis"));
  assert.throws(() => store.writeGenesis(utf8("another")), { code: "store_exists" });
  store.close();
  assert.throws(() => store.appendBlocks([{ height: 1, bytes: utf8("x") }]), { code: "store_closed" });
  const again = openStore(disk, { networkId: null, createIfMissing: false });
  assert.deepEqual(again.genesis, utf8("genesis"));
  assert.deepEqual(again.networkId, networkId);
});

test("directories that are not this store's are refused and left alone", () => {
  const cases: readonly [code: string, files: Record<string, string>, createIfMissing: boolean][] = [
    ["store_missing", {}, false],
    ["store_foreign", { "holiday.jpg": "picture" }, true],
    [
      "store_newer",
      { ORRERY: "Orrery state directory, format 3. Unheard of.\nwhatever\n", other: "x" },
      true,
    ],
    ["store_older", { ORRERY: "Orrery state directory, format 1. Forgotten.\nwhatever\n", other: "x" }, true],
    ["store_corrupt", { ORRERY: "Orrery state directory, format 2.\n" }, true],
    ["store_corrupt", { ORRERY: "" }, true],
  ];
  for (const [code, files, createIfMissing] of cases) {
    const disk = new FaultyDisk({ seed: 1 });
    for (const [name, text] of Object.entries(files)) put(disk, name, text);
    assert.throws(() => open(disk, { createIfMissing }), { code });
    assert.deepEqual(disk.list(), Object.keys(files).sort());
    for (const [name, text] of Object.entries(files)) assert.equal(textOf(disk, name), text);
  }
  const disk = new FaultyDisk({ seed: 1 });
  open(disk).close();
  assert.throws(() => openStore(disk, { networkId: utf8("another"), createIfMissing: true }), {
    code: "store_foreign",
  });
});

test("blocks come back in order across segments, and pruning keeps the newest checkpoint's own block", () => {
  const disk = new FaultyDisk({ seed: 1 });
  const world = newWorld(1);
  const collector = new CheckpointCollector(world.state, null);
  const store = open(disk, { segmentBytes: 300 });
  for (let height = 1; height <= 20; height++) {
    store.appendBlocks([{ height, bytes: utf8(`block ${height}`) }]);
    collector.absorb(runRound(world, 1));
    assert.equal(store.sync(), height);
  }
  const segments = disk.list().filter((name) => name.startsWith("blocks-")).length;
  assert.ok(segments > 4);
  assert.throws(() => store.appendBlocks([{ height: 30, bytes: utf8("gap") }]), AssertionError);
  store.writeCheckpoint(collector.collect(world.state, "delta", world.arena), world.arena);
  collector.finished();
  assert.ok(disk.list().filter((name) => name.startsWith("blocks-")).length < segments);
  assert.deepEqual([...store.blocksFrom(20)], [{ height: 20, bytes: utf8("block 20") }]);
  store.appendBlocks([{ height: 21, bytes: utf8("block 21") }]);
  store.close();
  const again = open(disk);
  assert.equal(again.recovered.checkpoint?.height, 20);
  assert.equal(again.recovered.lastHeight, 21);
  assert.deepEqual([...again.recovered.blocks], [{ height: 21, bytes: utf8("block 21") }]);
});

test("a delta costs what changed, and a checkpoint that failed leaves its changes to the next", () => {
  const disk = new FaultyDisk({ seed: 1 });
  const world = newWorld(2);
  const { state, arena } = world;
  const collector = new CheckpointCollector(state, null);
  const store = open(disk);
  const rounds = (n: number): void => {
    for (let i = 0; i < n; i++) {
      collector.absorb(runRound(world, 2));
      store.appendBlocks([{ height: state.height, bytes: utf8("b") }]);
    }
  };
  rounds(40);
  const full = store.writeCheckpoint(collector.collect(state, "delta", arena), arena);
  collector.finished();
  rounds(1);
  const failed = collector.collect(state, "delta", arena);
  assert.equal(collector.reclaimLimit(), arena.epoch - 1);
  assert.throws(() => collector.collect(state, "delta", arena), AssertionError);
  collector.failed();
  assert.equal(collector.reclaimLimit(), Number.POSITIVE_INFINITY);
  rounds(1);
  const input = collector.collect(state, "delta", arena);
  assert.ok(input.canisters.length >= failed.canisters.length);
  const info = store.writeCheckpoint(structuredClone(input), arena);
  collector.finished();
  assert.ok(
    info.chainBytes - full.chainBytes < full.chainBytes / 4,
    `${full.chainBytes} then ${info.chainBytes}`,
  );
  assert.throws(() => store.writeCheckpoint(input, arena), { code: "checkpoint_unrelated" });
  store.close();
  const loaded = loadCheckpoint(disk, { networkId });
  assert.ok(loaded !== null);
  assert.equal(stateDigest(loaded), stateDigest(world));
  for (const changed of Object.values(loaded.state.changed)) assert.equal(changed.size, 0);
});

test("a chain is compacted when it outgrows the state or has many files", () => {
  const mib = 1 << 20;
  assert.ok(!shouldCompact({ chainBytes: 60 * mib, liveBytes: mib, chainFiles: 10 }));
  assert.ok(shouldCompact({ chainBytes: 70 * mib, liveBytes: mib, chainFiles: 10 }));
  assert.ok(!shouldCompact({ chainBytes: 1900 * mib, liveBytes: 1000 * mib, chainFiles: 10 }));
  assert.ok(!shouldCompact({ chainBytes: mib, liveBytes: mib, chainFiles: 255 }));
  assert.ok(shouldCompact({ chainBytes: mib, liveBytes: mib, chainFiles: 256 }));
  assert.ok(!shouldCompact({ chainBytes: 1900 * mib, liveBytes: 1000 * mib, chainFiles: 511 }));
  assert.ok(shouldCompact({ chainBytes: 1900 * mib, liveBytes: 1000 * mib, chainFiles: 512 }));
});

test("a chain stays bounded over sessions of a single round each, however many canisters there are", () => {
  const CANISTERS = 1_000;
  const FILES_MAX = 256;
  const disk = new FaultyDisk({ seed: 1 });
  const world = newWorld(2);
  const { state, arena } = world;
  for (let i = 0; i < CANISTERS; i++) {
    const canister = newCanister({
      id: canisterIdFromIndex(BigInt(1_000 + i)),
      controllers: [],
      cycles: 1n,
      time: 1n,
    });
    state.canisters.set(canisterKey(canister), canister);
  }
  const store = open(disk);
  const files: number[] = [];
  let full = 0;
  for (let session = 0; full < 2; session++) {
    // Whatever was gathered in the session before is gone with it.
    const collector = new CheckpointCollector(state, store.checkpoint?.height ?? null);
    collector.absorb(runRound(world, 2));
    store.appendBlocks([{ height: state.height, bytes: utf8("b") }]);
    const canisters = store.checkpoint === null ? 0 : canistersPerPart(store.checkpoint);
    const part = canisters === 0 ? [] : collector.gather(state, canisters);
    const input = collector.collect(state, collector.isGathered ? "full" : "delta", arena);
    if (input.kind === "full") full++;
    files.push(store.writeCheckpoint(withGathered(input, part), arena).chainFiles);
    assert.ok(session < 2 * FILES_MAX, "never written as a whole");
  }
  // The part that has all of them is the first one's sixteenfold and twice that.
  assert.deepEqual([Math.max(...files), files.at(-1)], [FILES_MAX + 5 * 16, 1]);
  store.close();
});

test("the faulty disk loses what was not synced and keeps what was", () => {
  const lost = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const disk = new FaultyDisk({ seed });
    put(disk, "a", "kept");
    const file = disk.open("a", { create: false });
    file.write(4, utf8("!"));
    disk.open("b", { create: true });
    disk.cutAfter(1);
    assert.throws(() => disk.rename("a", "c"), PowerCut);
    assert.throws(() => disk.list(), PowerCut);
    disk.powerUp();
    const name = disk.list().includes("a") ? "a" : "c";
    assert.match(textOf(disk, name), /^kept/);
    lost.add(`${name} ${textOf(disk, name).length} ${disk.list().includes("b")}`);
  }
  assert.ok(lost.size >= 6, [...lost].join("; "));
});

test("blocks go on being written beside a checkpoint; a process that ends in the middle of one begins with the one before", () => {
  for (const stopAfter of [3, Number.POSITIVE_INFINITY]) {
    const disk = new FaultyDisk({ seed: 1 });
    const world = newWorld(3);
    const { state, arena } = world;
    const collector = new CheckpointCollector(state, null);
    const store = open(disk, { segmentBytes: 300 });
    const round = (): void => {
      collector.absorb(runRound(world, 3));
      store.appendBlocks([{ height: state.height, bytes: utf8(`block ${state.height}`) }]);
      assert.equal(store.sync(), state.height);
    };
    for (let i = 0; i < 30; i++) round();
    store.writeCheckpoint(collector.collect(state, "delta", arena), arena);
    collector.finished();
    for (let i = 0; i < 10; i++) round();
    const digest = stateDigest(world);
    const steps = store.checkpointSteps(collector.collect(state, "full", arena), arena);
    let step = steps.next();
    for (let i = 1; step.done !== true && i < stopAfter; i++) {
      round();
      // What nobody needs any more goes, the file that is being written does not.
      store.release(arena.epoch);
      step = steps.next();
    }
    assert.equal(step.done ?? false, stopAfter > 3);
    const { height } = state;
    disk.restartProcess();
    const again = open(disk);
    assert.equal(again.recovered.checkpoint?.height, stopAfter > 3 ? 40 : 30);
    assert.equal(again.recovered.lastHeight, height);
    assert.equal([...again.recovered.blocks].length, height - (stopAfter > 3 ? 40 : 30));
    const loaded = loadCheckpoint(disk, { networkId });
    assert.ok(loaded !== null && height > 41);
    if (stopAfter > 3) assert.equal(stateDigest(loaded), digest);
    again.close();
  }
});
