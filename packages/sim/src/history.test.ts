/** The past of a store: every checkpoint of the chain is a state again, blocks and what was noted of them are read beside the writer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import {
  CheckpointCollector,
  openHistory,
  openNewest,
  openStore,
  type PinnedStore,
  pinStores,
  type Store,
} from "@orrery/state";
import { newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { FaultyDisk } from "./faulty-disk.ts";

const networkId = utf8("a network");

/** A store that works on, and what its states were. */
class Writer {
  readonly disk: FaultyDisk = new FaultyDisk({ seed: 1 });
  readonly world: World = newWorld(3);
  readonly digests = new Map<number, string>();
  store: Store;
  readonly #collector: CheckpointCollector;

  constructor(keepRounds = 0, segmentBytes = 2_000) {
    this.#collector = new CheckpointCollector(this.world.state, null);
    this.store = openStore(this.disk, { networkId, createIfMissing: true, segmentBytes, keepRounds });
    this.store.writeGenesis(utf8("genesis"));
  }

  rounds(count: number, blockBytes = 0): void {
    for (let i = 0; i < count; i++) {
      const { state } = this.world;
      this.#collector.absorb(runRound(this.world, 3));
      const { height } = state;
      this.store.appendBlocks([{ height, bytes: utf8(`block ${height}`.padEnd(blockBytes)) }]);
      this.store.sync();
      this.store.note({ height, rootHash: new Uint8Array(32).fill(height) });
    }
  }

  checkpoint(kind: "full" | "delta"): void {
    const { state, arena } = this.world;
    this.store.writeCheckpoint(this.#collector.collect(state, kind, arena), arena);
    this.#collector.finished();
    this.digests.set(state.height, stateDigest(this.world));
    arena.reclaim(arena.epoch);
    this.store.release(arena.epoch);
  }

  /** What a node that died in the middle of a checkpoint finds: the next file begun with these bytes. */
  reopen(keepRounds: number, begun: Uint8Array | null): void {
    this.store.close();
    if (begun !== null) {
      const [last] = this.disk
        .list()
        .filter((name) => name.startsWith("checkpoint-"))
        .slice(-1) as [string];
      const next = last.replace(/\d+$/, (digits) => `${Number(digits) + 1}`.padStart(digits.length, "0"));
      const file = this.disk.open(next, { create: true });
      file.write(0, begun);
      file.close();
      this.disk.syncDirectory();
    }
    this.store = openStore(this.disk, { networkId, createIfMissing: false, segmentBytes: 2_000, keepRounds });
  }

  pin(): PinnedStore {
    return pinStores([this.disk], { history: true }).stores[0] as PinnedStore;
  }
}

test("every checkpoint of a chain is a state again, and blocks are read to the newest", () => {
  const writer = new Writer();
  writer.rounds(3);
  writer.checkpoint("full");
  for (let i = 0; i < 4; i++) {
    writer.rounds(5);
    writer.checkpoint("delta");
  }
  writer.rounds(2);
  const history = openHistory(writer.pin());
  assert.deepEqual(history.networkId, networkId);
  assert.deepEqual(history.checkpoints, [3, 8, 13, 18, 23]);
  assert.equal(history.last, 25);
  for (const [height, digest] of writer.digests) {
    for (const at of [height, height + 1]) {
      const loaded = history.load(at);
      assert.ok(loaded !== null);
      assert.equal(loaded.state.height, height);
      assert.equal(stateDigest(loaded), digest);
    }
  }
  assert.equal(history.load(2), null);
  const heights = [...history.blocks(0)].map(({ height, bytes }) => {
    assert.deepEqual(bytes, utf8(`block ${height}`));
    return height;
  });
  assert.deepEqual([heights[0], heights.at(-1)], [history.first, 25]);
  assert.deepEqual(
    [...history.blocks(24)].map(({ height }) => height),
    [24, 25],
  );
  assert.deepEqual(history.block(20), utf8("block 20"));
  assert.deepEqual([history.block(26), history.block(0)], [null, null]);
  assert.deepEqual(history.rootHash(25), new Uint8Array(32).fill(25));
  assert.equal(history.rootHash(26), null);
});

test("a store that is opened again keeps what was noted", () => {
  const writer = new Writer();
  writer.rounds(7);
  writer.store.close();
  const again = openStore(writer.disk, { networkId, createIfMissing: false });
  again.appendBlocks([{ height: 8, bytes: utf8("block 8") }]);
  again.note({ height: 8, rootHash: new Uint8Array(32).fill(8) });
  again.sync();
  again.close();
  const history = openHistory(writer.pin());
  assert.deepEqual([history.first, history.last], [1, 8]);
  for (let height = 1; height <= 8; height++) assert.equal(history.rootHash(height)?.[0], height);
});

test("an empty store has no past", () => {
  const history = openHistory(new Writer().pin());
  assert.deepEqual([history.first, history.last, history.checkpoints], [null, null, []]);
  assert.equal(history.load(5), null);
  assert.deepEqual([...history.blocks(0)], []);
});

test("states and blocks of as many rounds are kept as was asked for, and no more", () => {
  const writer = new Writer(20);
  for (let i = 0; i < 12; i++) {
    writer.rounds(5);
    writer.checkpoint(i % 4 === 0 ? "full" : "delta");
    const { height } = writer.world.state;
    const history = openHistory(writer.pin());
    const oldest = Math.max(0, height - 20);
    // From the newest state at or below the oldest round that was promised, blocks go on without a gap.
    const start = history.checkpoints.findLast((one) => one <= oldest) ?? 0;
    assert.ok((history.first ?? 0) <= start + 1, `round ${start + 1} is gone at ${height}`);
    for (const at of history.checkpoints) {
      const loaded = history.load(at);
      assert.ok(loaded !== null);
      assert.equal(stateDigest(loaded), writer.digests.get(at));
    }
    const bases = [5, 25, 45];
    const needed = bases.findLast((base) => base <= oldest) ?? bases[0];
    assert.equal(history.checkpoints[0], needed);
  }
  writer.store.close();
  // Opened again by somebody who keeps nothing.
  openStore(writer.disk, { networkId, createIfMissing: false }).close();
  assert.deepEqual(openHistory(writer.pin()).checkpoints, [45, 50, 55, 60]);
});

/** Bytes of the newest checkpoint file of a store like the others', one round further on. */
function bytesOfNext(): Uint8Array {
  const other = new Writer();
  for (const kind of ["full", "delta", "delta", "delta"] as const) {
    other.rounds(kind === "full" ? 5 : 4);
    other.checkpoint(kind);
  }
  const [name] = other.disk
    .list()
    .filter((one) => one.startsWith("checkpoint-"))
    .slice(-1) as [string];
  const file = other.disk.open(name, { create: false });
  const bytes = file.read(0, file.size).slice();
  file.close();
  return bytes;
}

test("a checkpoint that was begun before a crash takes nothing of the past with it", () => {
  const whole = bytesOfNext();
  for (const begun of [null, new Uint8Array(0), whole.subarray(0, 100), whole]) {
    const writer = new Writer(20);
    for (const kind of ["full", "delta", "delta"] as const) {
      writer.rounds(5);
      writer.checkpoint(kind);
    }
    writer.reopen(20, begun);
    for (const kind of ["delta", "delta", "full", "delta", "delta", "delta"] as const) {
      writer.rounds(5);
      writer.checkpoint(kind);
      const oldest = Math.max(0, writer.world.state.height - 20);
      const history = openHistory(writer.pin());
      const start = history.checkpoints.findLast((one) => one <= oldest);
      assert.ok(oldest === 0 || start !== undefined, `no state for round ${oldest}: ${history.checkpoints}`);
      assert.ok((history.first ?? 0) <= (start ?? 0) + 1);
    }
  }
});

test("damage to blocks that only the past needs stops nobody, and the past begins after it", () => {
  for (const place of ["header", "record", "end"] as const) {
    const writer = new Writer(40);
    for (const kind of ["full", "delta", "delta", "delta"] as const) {
      writer.rounds(10);
      writer.checkpoint(kind);
    }
    const before = openHistory(writer.pin());
    const segments = writer.disk.list().filter((name) => name.startsWith("blocks-"));
    const [, second, third] = segments as [string, string, string];
    const begins = Number(third.replace(/^\D+/, ""));
    assert.ok(segments.length > 2 && begins < 40, `the damage is old: ${segments}`);
    assert.equal(before.first, 1);
    const file = writer.disk.open(second, { create: false });
    const at = { header: 9, record: 200, end: file.size - 1 }[place];
    file.write(at, Uint8Array.of((file.read(at, 1)[0] as number) ^ 1));
    file.sync();
    file.close();
    writer.reopen(40, null);
    const history = openHistory(writer.pin());
    assert.deepEqual([history.first, history.last], [begins, 40], place);
    assert.deepEqual(history.block(begins), utf8(`block ${begins}`));
    assert.equal(history.block(begins - 1), null);
    // Removed in its time, like any other.
    for (let i = 0; i < 8; i++) {
      writer.rounds(10);
      writer.checkpoint("full");
    }
    assert.ok(!writer.disk.list().includes(second), `${second} is still there`);
    assert.equal(openHistory(writer.pin()).last, 120);
  }
});

test("damage to blocks that the state needs is refused, whatever is kept", () => {
  const writer = new Writer(40);
  writer.rounds(10);
  writer.checkpoint("full");
  writer.rounds(30);
  const [name] = writer.disk
    .list()
    .filter((one) => one.startsWith("blocks-"))
    .slice(-2) as [string];
  const file = writer.disk.open(name, { create: false });
  file.write(200, Uint8Array.of((file.read(200, 1)[0] as number) ^ 1));
  file.close();
  assert.throws(() => writer.reopen(40, null), { code: "store_corrupt" });
});

/** A copy of the newest segment's first bytes under the name of the one that would come next. */
function beginSegment({ disk, world }: Writer, change: (header: Uint8Array) => Uint8Array): void {
  const name = (height: number): string => `blocks-${String(height).padStart(16, "0")}`;
  const newest = disk.list().findLast((one) => one.startsWith("blocks-")) as string;
  assert.equal(newest.length, name(0).length);
  const header = disk.open(newest, { create: false }).read(0, HEADER_BYTES);
  const file = disk.open(name(world.state.height + 1), { create: true });
  file.write(0, change(header.slice()));
  file.close();
}

const HEADER_BYTES = 72;

test("a newest segment whose header is not whole holds nothing, for who copies, who looks back and who starts", () => {
  const partly: readonly ((header: Uint8Array) => Uint8Array)[] = [
    () => new Uint8Array(0),
    () => new Uint8Array(HEADER_BYTES),
    (header) => header.subarray(0, 30),
    (header) => header.fill(0, 40),
    (header) => header.fill(0, 0, 40),
  ];
  for (const change of partly) {
    const writer = new Writer();
    writer.rounds(4);
    beginSegment(writer, change);
    const pinned = writer.pin();
    assert.equal(openNewest(pinned, { hotPagesMax: 100 }).last, 4);
    assert.equal(openHistory(pinned).last, 4);
    writer.reopen(0, null);
    assert.equal(writer.store.recovered.lastHeight, 4);
  }
});

test("a segment that says another height than its name is damaged", () => {
  const writer = new Writer();
  writer.rounds(4);
  beginSegment(writer, (header) => header);
  const pinned = writer.pin();
  assert.throws(() => openNewest(pinned, { hotPagesMax: 100 }), /begins at height/);
  assert.equal(openHistory(pinned).last, 4);
  assert.throws(() => writer.reopen(0, null), /begins at height/);
});

test("a copy fetches the headers of the blocks before its checkpoint, and not the blocks", () => {
  const writer = new Writer(0, 64_000_000);
  const BLOCK_BYTES = 500_000;
  writer.rounds(8, BLOCK_BYTES);
  writer.checkpoint("full");
  writer.rounds(1);
  const { files, ...store } = writer.pin();
  let fetched = 0;
  const counted = files.map((file) => ({
    ...file,
    read(offset: number, length: number): Uint8Array {
      const bytes = file.read(offset, length);
      if (file.name.startsWith("blocks-")) fetched += bytes.length;
      return bytes;
    },
  }));
  assert.equal(openNewest({ ...store, files: counted }, { hotPagesMax: 100 }).last, 9);
  assert.ok(fetched < BLOCK_BYTES, `${fetched} bytes of eight blocks of ${BLOCK_BYTES}`);
});
