/** What counts as a change to a project: in its own folders, and in those elsewhere that it is made of. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { watchProject } from "./watch.ts";

const scratch = mkdtempSync(join(tmpdir(), "orrery-watch-"));
after(() => rmSync(scratch, { recursive: true }));

/** Of this process; those that were closed a moment ago count still. */
const watched = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === "FSEventWrap").length;

test("a folder elsewhere that stands below the project is watched once", async () => {
  const root = join(scratch, "whole");
  const below = join(root, "packages/one");
  mkdirSync(below, { recursive: true });
  const watching = Promise.withResolvers<number>();
  const ended = watchProject({
    root,
    elsewhere: () => [below, below],
    ignore: [],
    watching: () => watching.resolve(watched()),
    changed: async () => {},
  });
  // The project, its packages, the one.
  assert.equal(await watching.promise, 3);
  process.emit("SIGTERM");
  await ended;
});

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

test("a folder elsewhere that is not there keeps nobody from working, and what fails at a save is told", async () => {
  const [root, gone] = [join(scratch, "lone"), join(scratch, "gone")];
  mkdirSync(root);
  const main = join(root, "main.mo");
  writeFileSync(main, "");
  let saves = 0;
  const watching = Promise.withResolvers<void>();
  const ended = watchProject({
    root,
    elsewhere() {
      if (saves === 2) throw new Error("no such package");
      return [gone];
    },
    ignore: [],
    watching: watching.resolve,
    async changed() {
      if (saves++ > 0) writeFileSync(main, "actor {};");
    },
  });
  await watching.promise;
  writeFileSync(main, "actor {}");
  await assert.rejects(ended, /no such package/);
  assert.equal(saves, 2);
});
