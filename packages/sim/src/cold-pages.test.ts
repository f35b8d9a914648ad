/** Pages that are on the disk only: after a start, under a budget, while checkpoint files are rewritten, and when they are damaged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@orrery/base";
import {
  type CanisterState,
  CheckpointCollector,
  ColdPages,
  openStore,
  PAGE_BYTES,
  type PageArena,
  PageReader,
  PageTable,
  type Store,
} from "@orrery/state";
import { HOT_PAGES_MAX, newWorld, runRound, stateDigest, type World } from "./disk-workload.ts";
import { FaultyDisk } from "./faulty-disk.ts";

const networkId = utf8("a network");
const SEED = 3;

interface Life {
  readonly disk: FaultyDisk;
  readonly world: World;
  readonly store: Store;
  readonly collector: CheckpointCollector;
}

function open(disk: FaultyDisk): Store {
  return openStore(disk, { networkId, createIfMissing: true });
}

function begin(): Life {
  const disk = new FaultyDisk({ seed: SEED });
  const world = newWorld(SEED, disk);
  return { disk, world, store: open(disk), collector: new CheckpointCollector(world.state, null) };
}

function restart(disk: FaultyDisk): Life {
  const store = open(disk);
  const world = store.loadState({ hotPagesMax: HOT_PAGES_MAX });
  assert.ok(world !== null);
  return { disk, world, store, collector: new CheckpointCollector(world.state, world.info.height) };
}

/** Rounds whose versions are reclaimed once a follower is `lag` rounds behind. */
function rounds({ world, store, collector }: Life, count: number, lag = 0): void {
  for (let i = 0; i < count; i++) {
    collector.absorb(runRound(world, SEED));
    const { height } = world.state;
    store.appendBlocks([{ height, bytes: utf8("b") }]);
    world.arena.reclaim(Math.min(height - lag, collector.reclaimLimit()));
  }
}

function checkpoint({ world, store, collector }: Life, kind: "full" | "delta"): void {
  store.writeCheckpoint(collector.collect(world.state, kind, world.arena), world.arena);
  collector.finished();
  world.arena.cool();
}

function follower({ disk, world }: Life): PageReader {
  const reader = new PageReader({ cold: new ColdPages(disk, { cachedPages: 1 }) });
  for (const slab of world.arena.slabs()) reader.addSlab(slab);
  return reader;
}

/** What a view of this height would name: tables of its own, and the bytes that it must find. */
function pin(life: Life): (reader: PageReader) => void {
  const tables = [...life.world.state.canisters.values()].flatMap(({ memory }) => [
    memory.heap.clone(),
    memory.stable.clone(),
  ]);
  const expected = new Map<number, Uint8Array>();
  for (const table of tables)
    for (const [, id] of table.entries()) expected.set(id, life.world.arena.view(id).slice());
  assert.ok(expected.size > HOT_PAGES_MAX);
  return (reader) => {
    for (const [id, bytes] of expected) assert.deepEqual(reader.view(id), bytes, `page ${id}`);
    for (const table of tables) {
      const entries = [...table.entries()].filter(([index]) => index < 100);
      const memory = new Uint8Array(100 * PAGE_BYTES);
      const near = new PageTable();
      for (const [index, id] of entries) near.set(index, id);
      reader.load(near, memory);
      for (const [index, id] of entries)
        assert.deepEqual(memory.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES), expected.get(id));
    }
  };
}

function checkpointFiles(disk: FaultyDisk): string[] {
  return disk.list().filter((name) => name.startsWith("checkpoint-"));
}

/** Every page that some table names. */
function standing(world: World): number {
  const tables = [...world.state.canisters.values()].flatMap(({ memory }) => [memory.heap, memory.stable]);
  return tables.reduce((sum, table) => sum + table.pageCount, 0);
}

test("memory for pages stays within its budget, and what went cold is read as it was", () => {
  const life = begin();
  rounds(life, 60);
  const { arena, state } = life.world;
  const reference = newWorld(SEED);
  while (reference.state.height < state.height) runRound(reference, SEED);
  assert.equal(arena.hotPages, arena.livePages);
  checkpoint(life, "delta");
  assert.ok(arena.livePages > 3 * HOT_PAGES_MAX, `${arena.livePages} pages`);
  assert.ok(arena.hotPages <= HOT_PAGES_MAX, `${arena.hotPages} of them in memory`);
  assert.equal(stateDigest(life.world), stateDigest(reference));
  assert.ok(arena.coldReads > 0);
  const slabs = arena.slabs().length;
  for (let i = 0; i < 12; i++) {
    rounds(life, 5);
    for (let n = 0; n < 5; n++) runRound(reference, SEED);
    checkpoint(life, i % 4 === 3 ? "full" : "delta");
    assert.ok(arena.hotPages <= HOT_PAGES_MAX);
    assert.equal(stateDigest(life.world), stateDigest(reference));
  }
  // Slots of cold pages are used again.
  assert.equal(arena.slabs().length, slabs);
});

test("a start leaves pages on the disk; each is read when it is used", () => {
  const first = begin();
  rounds(first, 60);
  checkpoint(first, "delta");
  rounds(first, 10);
  checkpoint(first, "delta");
  const digest = stateDigest(first.world);
  first.store.close();
  const life = restart(first.disk);
  const { arena } = life.world;
  assert.equal(arena.hotPages, 0);
  assert.equal(arena.coldReads, 0);
  assert.equal(arena.livePages, first.world.arena.livePages);
  assert.equal(stateDigest(life.world), digest);
  assert.ok(arena.coldReads >= arena.livePages);
  rounds(life, 20);
  const reference = newWorld(SEED);
  while (reference.state.height < life.world.state.height) runRound(reference, SEED);
  assert.equal(stateDigest(life.world), stateDigest(reference));
});

test("everything is in memory where nothing may stay on the disk", () => {
  const first = begin();
  rounds(first, 30);
  checkpoint(first, "delta");
  const digest = stateDigest(first.world);
  first.store.close();
  const loaded = open(first.disk).loadState();
  assert.ok(loaded !== null);
  assert.equal(loaded.arena.hotPages, loaded.arena.livePages);
  for (const name of checkpointFiles(first.disk)) first.disk.remove(name);
  assert.equal(stateDigest(loaded), digest);
});

test("superseded files stay for whoever may still look into them, and go when nobody may", () => {
  const life = begin();
  rounds(life, 60);
  checkpoint(life, "delta");
  const { disk, world, store } = life;
  const readPinned = pin(life);
  const view = world.state.height;
  const late = follower(life);
  const eager = follower(life);
  readPinned(eager);
  // The tip moves on and gives up what the view still names; two full checkpoints leave the old files behind.
  for (let i = 0; i < 2; i++) {
    rounds(life, 20, world.state.height + 20 - view);
    checkpoint(life, "full");
    store.release(world.arena.reclaimedEpoch);
  }
  for (const reader of [late, eager]) {
    for (const slab of world.arena.slabs(reader.slabCount)) reader.addSlab(slab);
    reader.closeSuperseded();
    readPinned(reader);
  }
  assert.ok(checkpointFiles(disk).length > 1);
  // The view moves on.
  world.arena.reclaim(world.state.height);
  store.release(world.arena.reclaimedEpoch);
  assert.equal(checkpointFiles(disk).length, 1);
  const readNow = pin(life);
  readNow(late);
  readNow(follower(life));
});

test("a reader that meets a file which is gone asks again where the page is", () => {
  const life = begin();
  rounds(life, 60);
  checkpoint(life, "delta");
  const readPinned = pin(life);
  // It has looked pages up, but opened nothing yet, when the files it would open are replaced.
  const reader = follower(life);
  checkpoint(life, "full");
  life.world.arena.reclaim(life.world.state.height);
  life.store.release(life.world.arena.reclaimedEpoch);
  readPinned(reader);
});

test("versions that tables share are written once, and shared again after a start", () => {
  const life = begin();
  rounds(life, 20);
  const { arena, state } = life.world;
  const [a, b] = [...state.canisters.values()] as [CanisterState, CanisterState];
  const page = (fill: number): Uint8Array => new Uint8Array(PAGE_BYTES).fill(fill);
  arena.advance(state.height + 1);
  state.height++;
  const index = 5_000;
  const id = arena.allocate(page(9));
  for (const { memory } of [a, b]) {
    if (memory !== a.memory) arena.retain(id);
    arena.retire(memory.heap.set(index, id));
  }
  const changes = [a, b].map(({ meta, memory }) => ({
    meta,
    heap: memory.heap.takeDelta(),
    stable: memory.stable.takeDelta(),
  }));
  life.collector.absorb({ canisters: changes, deleted: [], ingress: [], ingressPruned: [] });
  life.store.appendBlocks([{ height: state.height, bytes: utf8("b") }]);
  const pagesBefore = arena.livePages;
  for (const kind of ["delta", "full"] as const) {
    checkpoint(life, kind);
    const again = open(life.disk).loadState({ hotPagesMax: HOT_PAGES_MAX });
    assert.ok(again !== null);
    const ids = [a, b].map(({ meta }) => {
      const key = [...state.canisters].find(([, { meta: other }]) => other === meta)?.[0] as string;
      return again.state.canisters.get(key)?.memory.heap.get(index);
    });
    assert.equal(ids[0], ids[1]);
    assert.equal(again.arena.livePages, pagesBefore);
    assert.equal(again.arena.view(ids[0] as number)[0], 9);
    assert.ok(standing(again) >= again.arena.livePages);
  }
});

/** The first page of the newest checkpoint file that the arena has on the disk only. */
function coldPage(
  arena: PageArena,
  world: World,
): { readonly id: number; readonly at: number; readonly name: string } {
  for (const { memory } of world.state.canisters.values()) {
    for (const [, id] of memory.heap.entries()) {
      const location = arena.location(id);
      if (location === null) continue;
      const name = `checkpoint-${location.generation.toString().padStart(16, "0")}`;
      return { id, at: location.unit * 256, name };
    }
  }
  assert.fail("no page is on the disk");
}

test("a damaged page is refused with its file's name, by whoever reads it, and no other page", () => {
  const first = begin();
  rounds(first, 60);
  checkpoint(first, "full");
  first.store.close();
  const life = restart(first.disk);
  const { arena } = life.world;
  const { id, at, name } = coldPage(arena, life.world);
  life.disk.flipBit(name, at + 1_000, 3);
  const refusal = {
    code: "store_corrupt",
    message: new RegExp(`^${name} is damaged: the page at byte ${at}; `),
  };
  const target = new Uint8Array(PAGE_BYTES);
  const readers = [arena, follower(life)];
  for (const reader of readers) {
    assert.throws(() => reader.view(id), refusal);
    assert.throws(() => reader.read(id, target, 0), refusal);
    for (const { memory } of life.world.state.canisters.values())
      for (const [, other] of memory.heap.entries()) if (other !== id) reader.view(other);
  }
  const table = new PageTable();
  table.set(0, id);
  assert.throws(() => arena.load(table, target), refusal);
  // A checkpoint would copy it: refused too, and the one before stands.
  const collected = life.collector.collect(life.world.state, "full", arena);
  assert.throws(() => life.store.writeCheckpoint(collected, arena), refusal);
  life.store.close();
  // So small a store is read whole at the start.
  assert.throws(() => open(life.disk).loadState({ hotPagesMax: HOT_PAGES_MAX }), { code: "store_corrupt" });
  assert.throws(() => open(life.disk).loadState(), { code: "store_corrupt" });
});

test("a reader without the disk says so", () => {
  const life = begin();
  rounds(life, 60);
  checkpoint(life, "delta");
  const reader = new PageReader();
  for (const slab of life.world.arena.slabs()) reader.addSlab(slab);
  assert.equal(reader.readsCold, false);
  assert.throws(
    () => {
      for (const { memory } of life.world.state.canisters.values())
        for (const [, id] of memory.heap.entries()) reader.view(id);
    },
    { message: /which this reader was not given/ },
  );
});
