/** When a node counts as one that lost its disk. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { NODE_LIFE_FILE, STORE_IDENTITY_FILE } from "@orrery/host/directory-content";
import { lostSince, noteLife } from "./node-life.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-life-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const store = join(directory, "store");

function makeStore(): void {
  mkdirSync(store, { recursive: true });
  writeFileSync(join(store, STORE_IDENTITY_FILE), "");
}

test("a first start that ended before there were stores has lost nothing", () => {
  assert.equal(lostSince(directory, 1n), null);
  // The port was taken, or somebody ended it: of the store there is the directory alone.
  mkdirSync(store);
  assert.equal(lostSince(directory, 2n), null);
  assert.ok(!existsSync(join(directory, NODE_LIFE_FILE)));
});

test("a node that ran before and has no stores has lost them, and remembers when", () => {
  makeStore();
  noteLife(directory);
  assert.equal(lostSince(directory, 2n), null);
  rmSync(store, { recursive: true });
  assert.equal(lostSince(directory, 3n), 3n);
  makeStore();
  noteLife(directory);
  assert.equal(lostSince(directory, 4n), 3n);
  rmSync(store, { recursive: true });
  // Where a disk is not mounted its directory is there.
  mkdirSync(store);
  assert.equal(lostSince(directory, 5n), 5n);
});

test("a file that does not say so is told", () => {
  makeStore();
  writeFileSync(join(directory, NODE_LIFE_FILE), "{");
  assert.throws(() => lostSince(directory, 9n), { code: "node_life_invalid" });
});
