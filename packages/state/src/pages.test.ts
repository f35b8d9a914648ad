import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionError } from "@orrery/base";
import fc from "fast-check";
import { PageReader } from "./page-reader.ts";
import { PAGE_BYTES, type PageId, PageTable } from "./page-table.ts";
import { PageArena } from "./pages.ts";

const index = fc.oneof(
  fc.nat(5),
  fc.integer({ min: 510, max: 514 }),
  fc.integer({ min: (1 << 27) - 3, max: (1 << 27) - 1 }),
);
const tableStep = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("set" as const), index, id: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("take" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
);

test("a page table is a sparse map, and its deltas carry a mirror along", () => {
  fc.assert(
    // With so many pages to begin with that the table is a list, becomes more than one on the way, or is in chunks.
    fc.property(fc.array(tableStep, { maxLength: 60 }), fc.constantFrom(0, 126, 300), (steps, filled) => {
      const table = new PageTable();
      const mirror = new PageTable();
      const model = new Map<number, PageId>();
      for (let i = 0; i < filled; i++) {
        table.set(1_000 + 3 * i, i + 1);
        model.set(1_000 + 3 * i, i + 1);
      }
      mirror.applyDelta(table.takeDelta());
      const nonZero = (): [number, PageId][] =>
        [...model].filter(([, id]) => id !== 0).sort(([a], [b]) => a - b);
      let touched = new Set<number>();
      for (const step of [...steps, { kind: "take" as const }]) {
        if (step.kind === "set") {
          assert.equal(table.set(step.index, step.id), model.get(step.index) ?? 0);
          model.set(step.index, step.id);
          touched.add(step.index);
        } else if (step.kind === "clear") {
          const ids = nonZero();
          assert.deepEqual(
            table.clear(),
            ids.map(([, id]) => id),
          );
          for (const [at] of ids) touched.add(at);
          model.clear();
        } else {
          const delta = table.takeDelta();
          mirror.applyDelta(delta);
          assert.deepEqual([...mirror.entries()], nonZero());
          assert.deepEqual(mirror.takeDelta(), new Uint32Array(0));
          for (let i = 0; i < delta.length; i += 2) {
            assert.ok(touched.has(delta[i] as number));
            assert.ok(i === 0 || (delta[i - 2] as number) < (delta[i] as number));
          }
          touched = new Set();
        }
        assert.deepEqual([...table.entries()], nonZero());
        assert.equal(table.pageCount, nonZero().length);
      }
    }),
    { numRuns: 300 },
  );
});

test("runs of pages stand where single ones would, whatever stood there and whoever else has the table", () => {
  const run = fc.uniqueArray(fc.integer({ min: 0, max: 1_600 }), { maxLength: 300 });
  const runs = fc.array(fc.record({ run, sorted: fc.boolean(), cloned: fc.boolean() }), { maxLength: 6 });
  fc.assert(
    fc.property(runs, (all) => {
      const [table, model] = [new PageTable(), new PageTable()];
      let next = 1;
      for (const { run: places, sorted, cloned } of all) {
        const indices = Uint32Array.from(sorted ? [...places].sort((a, b) => a - b) : places);
        const clone = cloned ? table.clone() : null;
        const before = [...table.entries()];
        const replaced: PageId[] = [];
        table.placeRun(indices, next, (id) => replaced.push(id));
        const expected = [...indices].map((at, i) => model.place(at, next + i)).filter((id) => id !== 0);
        next += indices.length;
        assert.deepEqual(replaced, expected);
        assert.deepEqual([...table.entries()], [...model.entries()]);
        assert.equal(table.pageCount, model.pageCount);
        if (clone !== null) assert.deepEqual([...clone.entries()], before);
      }
      assert.deepEqual(table.takeDelta(), new Uint32Array(0));
    }),
  );
});

test("versions of a file get ids that follow one another, each with its place", () => {
  const location = { generation: 3, unit: 7 };
  const sums = Uint32Array.from({ length: 40_000 }, (_, i) => 2 * i);
  const arena = new PageArena();
  const own = arena.allocate(new Uint8Array(PAGE_BYTES).fill(1));
  const first = arena.adoptRun(location, sums);
  assert.equal(arena.livePages, 1 + sums.length);
  for (const i of [0, 1, 32_766, 32_767, 32_768, 39_999]) {
    assert.deepEqual(arena.location(first + i), { generation: 3, unit: 7 + 16 * i, sum: 2 * i });
    assert.ok(arena.isLive(first + i) && !arena.isFresh(first + i));
  }
  const next = arena.allocate(new Uint8Array(PAGE_BYTES).fill(2));
  assert.deepEqual([own, next], [first - 1, first + sums.length]);
  arena.retire(first + 5);
  arena.reclaim(0);
  assert.equal(arena.location(first + 5), null);
  assert.equal(arena.livePages, 1 + sums.length);
});

const arenaStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("allocate" as const), fill: fc.nat(255) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("retire" as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reclaim" as const), lag: fc.nat(3) }) },
);

/** Every version that a follower of epoch `upTo` or later could name must still have its bytes. */
test("a page keeps its bytes until the epoch of its retirement is reclaimed", () => {
  fc.assert(
    fc.property(fc.array(arenaStep, { maxLength: 200 }), (steps) => {
      const arena = new PageArena();
      const live = new Map<PageId, number>();
      const born = new Map<PageId, number>();
      const retired: { id: PageId; fill: number; epoch: number }[] = [];
      for (const step of steps) {
        if (step.kind === "allocate") {
          const id = arena.allocate(new Uint8Array(PAGE_BYTES).fill(step.fill));
          assert.ok(
            id !== 0 && !live.has(id) && !retired.some((r) => r.id === id),
            `page ${id} was given away twice`,
          );
          live.set(id, step.fill);
          born.set(id, arena.epoch);
        } else if (step.kind === "retire" && live.size > 0) {
          const [id, fill] = [...live][step.pick % live.size] as [PageId, number];
          live.delete(id);
          arena.retire(id);
          if (born.get(id) !== arena.epoch) retired.push({ id, fill, epoch: arena.epoch });
        } else if (step.kind === "advance") {
          arena.advance(arena.epoch + 1);
        } else if (step.kind === "reclaim") {
          const upTo = arena.epoch - 1 - step.lag;
          arena.reclaim(upTo);
          retired.splice(0, retired.length, ...retired.filter((r) => r.epoch > upTo));
        }
        for (const { id, fill } of [...retired, ...[...live].map(([id, fill]) => ({ id, fill }))]) {
          assert.ok(
            arena.view(id)[0] === fill && arena.view(id)[PAGE_BYTES - 1] === fill,
            `page ${id} changed`,
          );
        }
        assert.equal(arena.livePages, live.size + retired.length);
      }
    }),
    { numRuns: 150 },
  );
});

test("another thread's reader sees the same pages through the slabs", () => {
  const arena = new PageArena();
  const ids = Array.from({ length: 1500 }, (_, i) =>
    arena.allocate(new Uint8Array(PAGE_BYTES).fill(i % 251)),
  );
  const reader = new PageReader();
  for (const slab of arena.slabs()) reader.addSlab(slab);
  const out = new Uint8Array(2 * PAGE_BYTES).fill(9);
  ids.forEach((id, i) => {
    reader.read(id, out, PAGE_BYTES);
    assert.equal(out[PAGE_BYTES], i % 251);
  });
  reader.read(0, out, 0);
  assert.equal(out[0], 0);
  assert.equal(out[PAGE_BYTES], 1499 % 251);
  assert.equal(arena.slabs(1).length, arena.slabs().length - 1);
});

test("pages of earlier epochs are immutable", () => {
  const arena = new PageArena();
  const id = arena.allocateBlank();
  arena.writable(id).fill(1);
  arena.advance(1);
  assert.throws(() => arena.writable(id), AssertionError);
  assert.throws(() => arena.advance(1), AssertionError);
});

test("a shared version is nobody's to overwrite, and stays until each table gave it back", () => {
  const arena = new PageArena();
  const id = arena.allocate(new Uint8Array(PAGE_BYTES).fill(7));
  arena.retain(id);
  assert.equal(arena.isFresh(id), false);
  assert.throws(() => arena.writable(id), AssertionError);
  arena.retire(id);
  assert.equal(arena.isFresh(id), true);
  arena.retain(id);
  arena.advance(1);
  arena.retire(id);
  arena.advance(2);
  arena.reclaim(1);
  assert.equal(arena.view(id)[0], 7);
  assert.equal(arena.livePages, 1);
  arena.retire(id);
  arena.advance(3);
  arena.reclaim(2);
  assert.equal(arena.livePages, 0);
  arena.retain(0);
  arena.retire(0);
});

test("a clone has the same pages and no changes; differences lead from one table to another", () => {
  const table = fc.array(fc.tuple(index, fc.nat(6)), { maxLength: 20 });
  fc.assert(
    fc.property(table, table, fc.constantFrom(0, 120, 300), (first, second, filled) => {
      const source = new PageTable();
      for (let i = 0; i < filled; i++) source.set(1_000 + i, i + 1);
      for (const [at, id] of first) source.set(at, id);
      const copy = source.clone();
      assert.deepEqual([...copy.entries()], [...source.entries()]);
      assert.equal(copy.pageCount, source.pageCount);
      assert.equal(copy.takeDelta().length, 0);
      const target = new PageTable();
      for (const [at, id] of second) target.set(at, id);
      const before = [...source.entries()];
      for (const [at, id] of [...target.differences(source)]) assert.notEqual(target.set(at, id), id);
      assert.deepEqual([...target.entries()], before);
      for (const [at, id] of second) copy.set(at, id);
      assert.deepEqual([...source.entries()], before);
      const changed = [...copy.entries()];
      const again = copy.clone();
      for (const [at, id] of first) copy.set(at, id + 1);
      assert.deepEqual([...again.entries()], changed);
      copy.clear();
      assert.deepEqual([...source.entries()], before);
      assert.deepEqual([...again.entries()], changed);
    }),
  );
});

test("a clone costs chunks, and differences look at those only in which something was set", () => {
  const source = new PageTable();
  for (let i = 0; i < 8 * 512; i++) source.set(i, i + 1);
  const copy = source.clone();
  const looked: number[] = [];
  const look = (id: number): boolean => looked.push(id) > 0;
  assert.deepEqual([...copy.differences(source, look)], []);
  // The same version at its place again: its bytes may have changed.
  source.set(513, 514);
  source.set(515, 9_999);
  const pairs = new Map(copy.differences(source, (id) => id === 514));
  assert.deepEqual(
    [...pairs],
    [
      [513, 514],
      [515, 9_999],
    ],
  );
  assert.equal([...copy.differences(source, look)].length, 512);
  assert.equal(looked.length, 511);
});
