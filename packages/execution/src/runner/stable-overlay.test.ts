/** The overlay against a flat array: any writes and reads, forks, commits over several epochs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES, PageArena, PageTable } from "@orrery/state";
import fc from "fast-check";
import { StableOverlay } from "./stable-overlay.ts";

const BYTES = 65_536;

const range = fc.tuple(fc.nat(BYTES - 1), fc.nat(3 * PAGE_BYTES)).map(([offset, length]) => ({
  offset,
  length: Math.min(length, BYTES - offset),
}));
const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), range, fill: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant("read" as const), range }),
  fc.record({
    kind: fc.constantFrom("commit" as const, "drop" as const, "fork" as const, "advance" as const),
  }),
);

test("an overlay reads what a flat memory would, and commits exactly that", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const arena = new PageArena();
      const table = new PageTable();
      const base = { table, reader: arena };
      let committed = new Uint8Array(BYTES);
      let current = committed.slice();
      let overlay = new StableOverlay(base, 1);
      let epoch = 0;
      for (const one of steps) {
        if (one.kind === "write") {
          const { offset, length } = one.range;
          const touched = new Set<number>();
          for (let i = offset; i < offset + length; i++) touched.add(Math.floor(i / PAGE_BYTES));
          assert.ok(overlay.newlyDirty(offset, length) <= touched.size);
          overlay.write(offset, new Uint8Array(length).fill(one.fill));
          current.fill(one.fill, offset, offset + length);
          assert.equal(overlay.newlyDirty(offset, length), 0);
        } else if (one.kind === "read") {
          const target = new Uint8Array(one.range.length).fill(1);
          overlay.read(one.range.offset, target);
          assert.deepEqual(target, current.slice(one.range.offset, one.range.offset + one.range.length));
        } else if (one.kind === "fork") {
          const fork = overlay.fork();
          overlay.write(0, Uint8Array.of(201));
          overlay = fork;
        } else if (one.kind === "advance") {
          arena.advance(++epoch);
          arena.reclaim(epoch - 1);
        } else {
          if (one.kind === "commit") {
            overlay.commit(table, arena);
            committed = current.slice();
          }
          current = committed.slice();
          overlay = new StableOverlay(base, 1);
        }
      }
      const stored = new Uint8Array(BYTES);
      new StableOverlay(base, 1).read(0, stored);
      assert.deepEqual(stored, committed);
      assert.ok(arena.livePages <= 2 * (BYTES / PAGE_BYTES));
    }),
    { numRuns: 60 },
  );
});
