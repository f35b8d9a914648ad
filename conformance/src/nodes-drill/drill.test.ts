/**
 * A slice of the drill of nodes: four real processes, every kind of fault once or so, one that misbehaves in the end. The command runs it as long as is
 * wanted (`npm run drill:nodes`). Its judge and its proxy have tests of their own.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodesDrill } from "./drill.ts";

const NODES = 4;

test("four nodes under faults: what clients saw is one history, and all of them come back", async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), "nodes-drill-"));
  const lines: string[] = [];
  try {
    const result = await nodesDrill({
      stateDir,
      nodes: NODES,
      applications: 1,
      seed: 5,
      forMs: 40_000,
      clients: 2,
      pauseMs: 200,
      // Other tests run beside this one.
      patience: 3,
      catchUpInterval: 50,
      smallDisk: null,
      byzantine: 2,
      report: (line) => lines.push(line),
    });
    t.diagnostic(JSON.stringify(result));
    assert.ok(result.answered > 10, lines.join("\n"));
    assert.equal(result.givenUp, 0);
    assert.ok(Object.keys(result.faultsByKind).length > 0);
    assert.ok(result.twisted > 0, "one node misbehaved");
  } catch (error) {
    for (let place = 0; place < NODES; place++) {
      const log = join(stateDir, `node-${place}.log`);
      if (existsSync(log)) lines.push(readFileSync(log, "utf8").slice(-2_000));
    }
    throw new Error(lines.join("\n"), { cause: error });
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
