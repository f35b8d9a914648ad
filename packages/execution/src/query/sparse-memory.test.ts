/** A canister with 500 GiB of stable memory that wrote to both ends of it: a few pages, for the tip, a checkpoint and a view. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CheckpointCollector } from "@orrery/state";
import { replied, Watched } from "../testing/watched.testkit.ts";

const PAGES = 8_192_000;
const SOURCE = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (memory 1)
  (data (i32.const 0) "ends")
  (func (export "canister_update grow")
    (drop (call $grow (i64.const ${PAGES})))
    (call $write (i64.const 0) (i64.const 0) (i64.const 2))
    (call $write (i64.const ${PAGES * 65_536 - 2}) (i64.const 2) (i64.const 2))
    (call $reply))
  (func (export "canister_update trap")
    (call $write (i64.const ${PAGES * 32_768}) (i64.const 0) (i64.const 4))
    (unreachable))
  (func (export "canister_query ends")
    (call $read (i64.const 8) (i64.const 0) (i64.const 2))
    (call $read (i64.const 10) (i64.const ${PAGES * 65_536 - 2}) (i64.const 2))
    (call $read (i64.const 12) (i64.const ${PAGES * 32_768}) (i64.const 4))
    (call $append (i32.const 8) (i32.const 8))
    (call $reply)))`;

test("500 GiB with both ends in use cost the pages written", () => {
  const watched = new Watched();
  const { subnet } = watched;
  const id = subnet.installed(SOURCE, { cycles: 10n ** 24n });
  const { meta, memory } = subnet.canister(id);
  meta.settings = { ...meta.settings, reservedCyclesLimit: 1n << 100n };
  const collector = new CheckpointCollector(subnet.state, subnet.state.height);
  const live = subnet.arena.livePages;
  subnet.reply({ canisterId: id, method: "grow" });
  const { delta } = subnet.results.at(-1) as (typeof subnet.results)[number];
  collector.absorb(delta);
  assert.equal(meta.stablePages, PAGES);
  assert.equal(memory.stable.pageCount, 2);
  assert.equal(subnet.arena.livePages, live + 2);
  const written = collector
    .collect(subnet.state, "delta", subnet.arena)
    .canisters.map(({ stable }) => stable.length / 2);
  assert.deepEqual(written, [2]);
  const bytes = new TextEncoder().encode("ends\0\0\0\0");
  assert.deepEqual(replied(watched.query(id, "ends")), bytes);
  assert.equal(subnet.call({ canisterId: id, method: "trap" }).kind, "rejected");
  assert.equal(memory.stable.pageCount, 2);
  assert.equal(subnet.arena.livePages, live + 2);
  assert.deepEqual(replied(watched.query(id, "ends")), bytes);
  const full = new CheckpointCollector(subnet.state, null).collect(subnet.state, "full", subnet.arena);
  assert.equal(
    full.canisters.reduce((sum, { stable }) => sum + stable.length / 2, 0),
    2,
  );
});
