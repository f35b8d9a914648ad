/**
 * Stores read while they are written: between any two looks of the reader, subnets append blocks that tell what they knew of the others,
 * sync them, write checkpoints, prune. What was read opens as stores, and no block of one knows more of another than the other's copy has.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import {
  CheckpointCollector,
  type CheckpointInfo,
  type Disk,
  loadCheckpoint,
  openStore,
  type Pinned,
  pinStores,
  type Store,
} from "@orrery/state";
import { newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { type Random, seededRandom } from "./random.ts";

const SUBNETS = 3;
const networkId = (subnet: number): Uint8Array => utf8(`subnet ${subnet}`);
/** Longer than what the log keeps to itself before a sync. */
const LONG_BLOCK_BYTES = 1_200_000;

/** A subnet that works on whenever it is told to. */
class Writer {
  readonly disk: FaultyDisk;
  readonly #seed: number;
  readonly #world: World;
  readonly #store: Store;
  readonly #collector: CheckpointCollector;
  #steps: Iterator<void, CheckpointInfo> | null = null;
  /** Height of the newest block that others may know of. */
  durable = 0;

  constructor(subnet: number, genesis: boolean) {
    this.disk = new FaultyDisk({ seed: subnet });
    this.#seed = subnet;
    this.#world = newWorld(subnet);
    this.#collector = new CheckpointCollector(this.#world.state, null);
    const options = { networkId: networkId(subnet), createIfMissing: true, segmentBytes: 700 };
    this.#store = openStore(this.disk, options);
    if (genesis) this.#store.writeGenesis(utf8("genesis"));
  }

  work(known: readonly number[], random: Random): void {
    const { state, arena } = this.#world;
    if (this.#steps !== null && random.below(2) === 0) {
      if (this.#steps.next().done !== true) return;
      this.#steps = null;
      this.#collector.finished();
      this.#store.release(arena.epoch);
    } else if (random.below(3) > 0) {
      this.#collector.absorb(runRound(this.#world, this.#seed));
      const text = JSON.stringify(known);
      const bytes = random.below(50) === 0 ? LONG_BLOCK_BYTES : text.length;
      this.#store.appendBlocks([{ height: state.height, bytes: utf8(text.padEnd(bytes)) }]);
    } else if (random.below(4) > 0 || state.height === 0) {
      this.durable = this.#store.sync() ?? 0;
      this.#store.note({ height: this.durable, rootHash: new Uint8Array(32) });
    } else {
      this.durable = this.#store.sync() ?? 0;
      if (this.#steps !== null) return;
      const kind = random.below(2) === 0 ? "full" : "delta";
      this.#steps = this.#store.checkpointSteps(this.#collector.collect(state, kind, arena), arena);
    }
  }
}

/** A disk on which something happens between any two operations. */
function disturbed(disk: Disk, disturb: () => void): Disk {
  return {
    list(): readonly string[] {
      disturb();
      return disk.list();
    },
    open(name, options) {
      disturb();
      const file = disk.open(name, options);
      // As files of a host: the length is the one of when it was opened.
      const { size } = file;
      return {
        size,
        read(offset, length) {
          disturb();
          return file.read(offset, Math.min(length, Math.max(0, size - offset)));
        },
        write: () => assert.fail("the reader writes"),
        truncate: () => assert.fail("the reader truncates"),
        sync: () => assert.fail("the reader syncs"),
        close: () => file.close(),
      };
    },
    rename: () => assert.fail("the reader renames"),
    remove: () => assert.fail("the reader removes"),
    syncDirectory: () => assert.fail("the reader syncs"),
  };
}

function copyOf({ stores }: Pinned): readonly FaultyDisk[] {
  return stores.map(({ files }, subnet) => {
    const disk = new FaultyDisk({ seed: subnet });
    for (const { name, bytes, read } of files) {
      const file = disk.open(name, { create: true });
      for (let at = 0; at < bytes; at += 500_000) file.write(at, read(at, Math.min(500_000, bytes - at)));
      assert.equal(file.size, bytes);
    }
    return disk;
  });
}

/** The copy's newest heights and what their blocks knew of the others. */
function check(copies: readonly FaultyDisk[]): readonly number[] {
  const opened = copies.map((disk, subnet) =>
    openStore(disk, { networkId: networkId(subnet), createIfMissing: false }),
  );
  const heights = opened.map(({ recovered }) => recovered.lastHeight ?? 0);
  for (const [subnet, store] of opened.entries()) {
    for (const { bytes, height } of store.blocksFrom(0)) {
      const known = JSON.parse(new TextDecoder().decode(bytes)) as readonly number[];
      for (const [other, least] of known.entries()) {
        const has = other === subnet ? height : (heights[other] as number);
        assert.ok(has >= least, `block ${height} of ${subnet} knows ${least} of ${other}, which has ${has}`);
      }
    }
    const { checkpoint } = store.recovered;
    if (checkpoint === null) continue;
    const world = newWorld(subnet);
    while (world.state.height < checkpoint.height) runRound(world, subnet);
    const loaded = loadCheckpoint(copies[subnet] as FaultyDisk, { networkId: networkId(subnet) });
    assert.ok(loaded !== null);
    assert.equal(stateDigest(loaded), stateDigest(world));
  }
  for (const store of opened) store.close();
  return heights;
}

/** One run: heights of the copies and how many of them had a checkpoint. */
function readBesideWriters(seed: number): { readonly blocks: number; readonly checkpoints: number } {
  const random = seededRandom(seed);
  const quiet = 6 + random.below(12);
  const writers = Array.from({ length: SUBNETS }, (_, subnet) => new Writer(subnet, subnet === 0));
  const work = (): void => {
    const known = writers.map(({ durable }) => durable);
    writers[random.below(SUBNETS)]?.work(known, random);
  };
  for (let left = random.below(300); left > 0; left--) work();
  const least = writers.map(({ durable }) => durable);
  let bursts = 12;
  // In bursts: what makes a difference takes several steps of several subnets between two looks.
  const disturb = (): void => {
    if (bursts === 0 || random.below(quiet) > 0) return;
    bursts--;
    for (let left = 1 + random.below(40); left > 0; left--) work();
  };
  const pinned = pinStores(writers.map(({ disk }) => disturbed(disk, disturb)));
  assert.deepEqual(pinned.stores[0]?.genesis, utf8("genesis"));
  // Long after, when the writers have pruned what was pinned.
  for (let left = 100; left > 0; left--) work();
  const copies = copyOf(pinned);
  pinned.close();
  const heights = check(copies);
  for (const [subnet, height] of heights.entries()) assert.ok(height >= (least[subnet] as number));
  return {
    blocks: heights.reduce((sum, height) => sum + height, 0),
    checkpoints: copies.filter((disk) => disk.list().includes("MANIFEST")).length,
  };
}

test("what is read beside writers is one instant of them all", () => {
  const runs = Array.from({ length: 40 }, (_, seed) => readBesideWriters(seed));
  const total = (of: "blocks" | "checkpoints"): number => runs.reduce((sum, run) => sum + run[of], 0);
  assert.ok(
    total("blocks") > 1_000 && total("checkpoints") > 20,
    `${total("blocks")} ${total("checkpoints")}`,
  );
});

test("what is no store, or a damaged one, is refused", () => {
  assert.throws(() => pinStores([new FaultyDisk({ seed: 1 })]), { code: "store_missing" });
  const writer = new Writer(0, true);
  const random = seededRandom(7);
  while (!writer.disk.list().includes("MANIFEST")) writer.work([writer.durable], random);
  const [checkpoint = ""] = writer.disk.list().filter((name) => name.startsWith("checkpoint-"));
  writer.disk.open(checkpoint, { create: false }).truncate(100);
  assert.throws(() => pinStores([writer.disk]), { code: "store_corrupt" });
  writer.disk.remove(checkpoint);
  assert.throws(() => pinStores([writer.disk]), { code: "file_missing" });
});

test("stores that never rest are named as that", () => {
  const writer = new Writer(0, true);
  const random = seededRandom(3);
  const busy = disturbed(writer.disk, () => {
    const file = writer.disk.open("blocks-0000000000000001", { create: true });
    file.write(file.size, Uint8Array.of(random.below(256)));
  });
  assert.throws(() => pinStores([busy]), { code: "store_busy" });
});
