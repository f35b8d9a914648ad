import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { keepIds } from "./ids.ts";
import { launcherState } from "./state.ts";

test("launcher state: beside the directory that the tool deletes, or as the user says", () => {
  const given = join("p", "networks", "local", "state");
  const cwd = resolve("/work");
  assert.equal(launcherState({ given, env: {}, cwd }).path, join(cwd, "p", "networks", "local", "orrery"));
  const chosen = launcherState({ given, env: { ORRERY_LAUNCHER_STATE: "mine" }, cwd });
  assert.equal(chosen.path, join(cwd, "mine"));
  for (const env of [{ ORRERY_LAUNCHER_STATE: "none" }, {}]) {
    const state = launcherState({ given: "ORRERY_LAUNCHER_STATE" in env ? given : null, env, cwd });
    assert.ok(existsSync(state.path));
    state.end();
    assert.ok(!existsSync(state.path));
  }
});

test("launcher ids: those of the network's environments come back after a start that forgot them", () => {
  const project = mkdtempSync(join(tmpdir(), "orrery-ids-"));
  try {
    const mappings = join(project, ".icp", "cache", "mappings");
    const stateDir = join(project, ".icp", "cache", "networks", "local", "state");
    const kept = join(project, "kept");
    mkdirSync(mappings, { recursive: true });
    writeFileSync(join(mappings, "other.ids.json"), '{"there":"before"}');
    const first = keepIds(stateDir, kept);
    writeFileSync(join(mappings, "local.ids.json"), '{"counter":"aaaaa-aa"}');
    writeFileSync(join(mappings, "half.ids.json"), '{"counter":');
    writeFileSync(join(mappings, "note.txt"), "{}");
    first.end();
    assert.ok(!existsSync(join(kept, "other.ids.json")), "ids of another network's environment");
    assert.ok(!existsSync(join(kept, "half.ids.json")), "half a file");
    assert.ok(!existsSync(join(kept, "note.txt")));
    rmSync(join(mappings, "local.ids.json"));
    const second = keepIds(stateDir, kept);
    second.restore();
    assert.equal(readFileSync(join(mappings, "local.ids.json"), "utf8"), '{"counter":"aaaaa-aa"}');
    writeFileSync(join(mappings, "local.ids.json"), '{"counter":"aaaaa-aa","more":"x"}');
    second.end();
    assert.match(readFileSync(join(kept, "local.ids.json"), "utf8"), /more/);
    // A directory of another form names no project.
    keepIds(join(project, "elsewhere"), join(project, "never")).end();
    assert.ok(!existsSync(join(project, "never")));
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
});
