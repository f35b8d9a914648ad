/** What counts as a change to a project: in its own folders, and in those elsewhere that it is made of. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { watchProject } from "./watch.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-watch-"));
after(() => rmSync(scratch, { recursive: true }));

test("a project is watched with folders elsewhere, also with one that is named later", async () => {
  const [root, library, later] = ["project", "library/src", "later"].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [root, library, later]) mkdirSync(folder, { recursive: true });
  const main = join(root, "main.mo");
  writeFileSync(main, "");
  writeFileSync(join(library, "lib.mo"), "");
  let elsewhere = [join(scratch, "library")];
  let worked = Promise.withResolvers<void>();
  const watching = Promise.withResolvers<void>();
  const ended = watchProject({
    root,
    elsewhere: () => elsewhere,
    ignore: [],
    watching: watching.resolve,
    async changed() {
      worked.resolve();
    },
  });
  const save = async (path: string, text: string): Promise<void> => {
    worked = Promise.withResolvers();
    writeFileSync(path, text);
    await worked.promise;
  };
  await watching.promise;
  await save(join(library, "lib.mo"), "module {}");
  elsewhere = [...elsewhere, later];
  await save(main, "actor {}");
  await save(join(later, "lib.mo"), "module {}");
  process.emit("SIGTERM");
  await ended;
});

test("a folder elsewhere that stands below the project is watched once", async () => {
  const root = join(scratch, "whole");
  const below = join(root, "packages/one");
  mkdirSync(below, { recursive: true });
  let changes = 0;
  const seen = Promise.withResolvers<void>();
  const watching = Promise.withResolvers<void>();
  const ended = watchProject({
    root,
    elsewhere: () => [below, below],
    ignore: [],
    watching: watching.resolve,
    async changed() {
      changes++;
      if (changes === 2) seen.resolve();
    },
  });
  await watching.promise;
  writeFileSync(join(below, "lib.mo"), "module {}");
  await seen.promise;
  process.emit("SIGTERM");
  await ended;
  assert.equal(changes, 2);
});
