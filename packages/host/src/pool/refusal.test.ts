/** Memory that the host refuses while a canister grows: a worker ends over it, and nobody sees another result. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { record, replay, SMALL } from "@orrery/execution/testing";
import type { PooledExecutor } from "./executor.ts";
import { pooledOver } from "./worker-counts.testkit.ts";

const PROBE_INSTRUCTIONS = 300_000n;
const CYCLES = 10n ** 15n;

/** Turns its loop, then grows and writes to the new page, and replies with the pages that it has. */
const GROWER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (memory 1)
  (func (export "canister_update grow") (local $i i32)
    (loop $next
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 1000000))))
    (i32.store (i32.const 0) (memory.grow (i32.const 1)))
    (i32.store (i32.mul (i32.load (i32.const 0)) (i32.const 65536)) (i32.const 7))
    (call $append (i32.const 0) (i32.const 4)) (call $reply)))`;

describe("a host that has no memory", () => {
  const recording = record(SMALL, (subnet) => {
    const canisterId = subnet.installed(GROWER, { cycles: CYCLES });
    for (let i = 0; i < 4; i++) {
      const [answer] = subnet.reply({ canisterId, method: "grow" });
      assert.equal(answer, 1 + i);
    }
  });

  test("ends the worker, and another comes to the result: never -1", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "orrery-refusal-")), "order");
    process.env["ORRERY_CHAOS_FILE"] = file;
    let executor: PooledExecutor | null = null;
    const workerFile = new URL("./chaos-worker.testkit.ts", import.meta.url).href;
    let orders = 0;
    replay(recording, {
      executor: (parts) => {
        executor = pooledOver(parts, { workersMax: 1, probeInstructions: PROBE_INSTRUCTIONS, workerFile });
        return executor;
      },
      before: (_round, _executor, state) => {
        if (orders > 0 || ![...state.canisters.values()].some(({ running }) => running !== null)) return;
        writeFileSync(file, "refuse");
        orders++;
      },
    });
    await (executor as PooledExecutor | null)?.close();
    rmSync(dirname(file), { recursive: true });
    assert.deepEqual([orders, (executor as PooledExecutor | null)?.restarts], [1, 1]);
  });
});
