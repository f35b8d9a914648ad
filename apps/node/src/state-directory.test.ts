/** Refusals of state directories, each leaving the directory as it was. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OrreryError } from "@orrery/base";
import { LOCK_FILE } from "@orrery/host";
import { storeDirectory } from "@orrery/host/directory-content";
import { openStateDirectory } from "./state-directory.ts";

async function inTemp(action: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "orrery-state-"));
  try {
    await action(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const refused = (code: string) => (error: unknown) => error instanceof OrreryError && error.code === code;

test("a directory is made, locked, and kept apart from others' files", () =>
  inTemp(async (parent) => {
    const path = join(parent, "network");
    const opened = await openStateDirectory({ path, clean: false });
    await assert.rejects(openStateDirectory({ path, clean: false }), refused("state_dir_locked"));
    opened.lock.release();
    writeFileSync(join(path, "thesis.txt"), "mine");
    const before = readdirSync(path);
    await assert.rejects(openStateDirectory({ path, clean: true }), refused("state_dir_foreign"));
    assert.deepEqual(readdirSync(path), before);
  }));

test("a file in the way is refused with its path", () =>
  inTemp(async (parent) => {
    writeFileSync(join(parent, "file"), "");
    await assert.rejects(
      openStateDirectory({ path: join(parent, "file", "network"), clean: false }),
      (error: OrreryError) => {
        assert.equal(error.code, "state_dir_unwritable");
        assert.match(error.message, /--state-dir/);
        return true;
      },
    );
  }));

test("clean discards the stores of all subnets and nothing else", () =>
  inTemp(async (path) => {
    for (const name of ["store", "store-1", "store-12"]) {
      mkdirSync(join(path, name));
      writeFileSync(join(path, name, "old"), "");
    }
    writeFileSync(join(path, "node.log"), "line");
    const opened = await openStateDirectory({ path, clean: true });
    assert.deepEqual(readdirSync(path).sort(), [LOCK_FILE, "node.log", "store"].sort());
    assert.deepEqual(readdirSync(storeDirectory(path, 0)), []);
    opened.lock.release();
  }));

test("a network of several nodes is in the way, unless it is discarded", () =>
  inTemp(async (path) => {
    for (const name of ["node-0", "node-1"]) mkdirSync(join(path, name));
    for (const name of ["peers.json", "genesis.hex"]) writeFileSync(join(path, name), "");
    const before = readdirSync(path);
    await assert.rejects(openStateDirectory({ path, clean: false }), refused("state_dir_foreign"));
    assert.deepEqual(readdirSync(path), before);
    const opened = await openStateDirectory({ path, clean: true });
    assert.deepEqual(readdirSync(path).sort(), [LOCK_FILE, "store"]);
    opened.lock.release();
  }));
