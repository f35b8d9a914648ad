/** Files that are written whole: nobody is shown what a power cut could take back. */
import assert from "node:assert/strict";
import fs, { existsSync, fstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import { writeWhole } from "./state-files.ts";

const directory = mkdtempSync(join(tmpdir(), "orrery-whole-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("content is durable before it has its name, and the name before anybody goes on", () => {
  const path = join(directory, "node.key");
  const synced: { readonly what: string; readonly isNamed: boolean }[] = [];
  const { fsyncSync } = fs;
  mock.method(fs, "fsyncSync", (fd: number) => {
    const what = fstatSync(fd).isDirectory() ? "names" : "content";
    synced.push({ what, isNamed: existsSync(path) });
    fsyncSync(fd);
  });
  syncBuiltinESMExports();
  try {
    writeWhole(path, "a secret");
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
  const names = process.platform === "win32" ? [] : [{ what: "names", isNamed: true }];
  assert.deepEqual(synced, [{ what: "content", isNamed: false }, ...names]);
  assert.equal(readFileSync(path, "utf8"), "a secret");
  assert.deepEqual(readdirSync(directory), ["node.key"]);
});
