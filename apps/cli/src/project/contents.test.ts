import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Contents } from "./contents.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-contents-"));
after(() => rmSync(scratch, { recursive: true }));

test("contents: written anew with what it held is no change, anything else is one", () => {
  const contents = new Contents();
  const path = join(scratch, "backend.did");
  const touched = (content: string | null): boolean => {
    if (content === null) rmSync(path);
    else writeFileSync(path, content);
    contents.touch(path);
    return contents.hasChanged();
  };
  writeFileSync(path, "one");
  contents.note(path);
  assert.equal(contents.hasChanged(), false, "nothing was touched");
  assert.equal(touched("one"), false);
  assert.equal(touched("two"), true);
  assert.equal(touched("two"), false);
  assert.equal(touched(null), true);
  assert.equal(touched("two"), true);
});

test("contents: new files and folders are changes once, and what is too large to read always is", () => {
  const contents = new Contents();
  const [file, folder, large] = ["new.mo", "lib", "film"].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, "");
  mkdirSync(folder);
  writeFileSync(large, "");
  truncateSync(large, 2 ** 32);
  const touch = (path: string): boolean => {
    contents.touch(path);
    return contents.hasChanged();
  };
  assert.deepEqual([touch(file), touch(file)], [true, false]);
  assert.deepEqual([touch(folder), touch(folder)], [true, false]);
  assert.deepEqual([touch(large), touch(large)], [true, true]);
});

test("contents: a large module that a build writes anew is no change, to its last byte", () => {
  const contents = new Contents();
  const path = join(scratch, "backend.wasm");
  const module = new Uint8Array(3 * 1_048_576 + 5).map((_, index) => index % 251);
  const touched = (): boolean => {
    contents.touch(path);
    return contents.hasChanged();
  };
  writeFileSync(path, module);
  contents.note(path);
  writeFileSync(path, module);
  assert.equal(touched(), false);
  module[module.length - 1] = 255;
  writeFileSync(path, module);
  assert.deepEqual([touched(), touched()], [true, false]);
  appendFileSync(path, "more");
  assert.deepEqual([touched(), touched()], [true, false]);
});
