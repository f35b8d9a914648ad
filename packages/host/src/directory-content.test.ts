/** What state directories hold, how it is removed, and what a reader of the wrong one is told. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OrreryError } from "@orrery/base";
import { directoryContent, removeNetwork } from "./directory-content.ts";
import { pinNetwork } from "./kept-stores.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-content-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const COMPANIONS = ["lock.json", "node.json", "node.log"];

function made(folders: readonly string[], files: readonly string[]): string {
  const path = mkdtempSync(join(directory, "state-"));
  for (const name of folders) {
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, "content"), "");
  }
  for (const name of files) writeFileSync(join(path, name), "");
  return path;
}

test("each kind of network is told, and removed without what is beside it", () => {
  const several = made(
    ["node-0", "node-11"],
    [...COMPANIONS, "genesis.hex", "node.life.7.tmp", "peers.json", "peers.json.7.tmp"],
  );
  assert.deepEqual(directoryContent(several), {
    stores: [],
    several: ["peers.json", "genesis.hex", "node-0", "node-11"],
    drafts: ["node.life.7.tmp", "peers.json.7.tmp"],
    strangers: [],
  });
  const one = made(["store", "store-1", "store-12"], COMPANIONS);
  assert.deepEqual(directoryContent(one).stores, ["store", "store-1", "store-12"]);
  assert.deepEqual(directoryContent(one).strangers, []);
  for (const path of [several, one]) {
    removeNetwork(path);
    assert.deepEqual(readdirSync(path).sort(), COMPANIONS);
  }
  const foreign = made(["store-01", "node-x"], ["thesis.7.tmp"]);
  assert.deepEqual(directoryContent(foreign).strangers, ["node-x", "store-01", "thesis.7.tmp"]);
});

test("who reads a network of several nodes that has not begun is told so", () => {
  const several = made(["node-0"], ["genesis.hex", "peers.json"]);
  assert.throws(
    () => pinNetwork(several),
    (error) =>
      error instanceof OrreryError &&
      error.code === "store_missing" &&
      error.message.includes("none of its nodes has begun"),
  );
});
