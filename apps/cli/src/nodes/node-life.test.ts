/** When a node counts as one that lost its disk. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { NODE_LIFE_FILE } from "@orrery/host/directory-content";
import { lostSince } from "./node-life.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-life-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("a node that ran before and has no stores has lost them, and remembers when", () => {
  assert.equal(lostSince(directory, 1n), null);
  mkdirSync(join(directory, "store"));
  assert.equal(lostSince(directory, 2n), null);
  rmSync(join(directory, "store"), { recursive: true });
  assert.equal(lostSince(directory, 3n), 3n);
  mkdirSync(join(directory, "store"));
  assert.equal(lostSince(directory, 4n), 3n);
  rmSync(join(directory, "store"), { recursive: true });
  assert.equal(lostSince(directory, 5n), 5n);
});

test("a file that does not say so is told", () => {
  mkdirSync(join(directory, "store"), { recursive: true });
  writeFileSync(join(directory, NODE_LIFE_FILE), "{");
  assert.throws(() => lostSince(directory, 9n), { code: "node_life_invalid" });
});
