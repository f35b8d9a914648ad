import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { REPOSITORY_ROOT } from "./repository.ts";

const folder = mkdtempSync(join(tmpdir(), "orrery-bin-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "node"), "#!/bin/sh\necho the wrong Node.js >&2\nexit 99\n", { mode: 0o755 });

/** Another `node` comes first, as on a machine that has an old one. */
const env = { PATH: `${folder}:/usr/bin:/bin`, HOME: folder };
const onPosix = { skip: process.platform === "win32" };

test("the command runs on the pinned runtime, from any directory and through links", onPosix, () => {
  symlinkSync(join(REPOSITORY_ROOT, "bin/orrery"), join(folder, "first"));
  symlinkSync("first", join(folder, "second"));
  for (const command of [join(REPOSITORY_ROOT, "bin/orrery"), "./first", join(folder, "second")]) {
    const run = spawnSync(command, ["--version"], { cwd: folder, env, encoding: "utf8" });
    assert.equal(run.status, 0, `${command}: ${run.stderr}`);
    assert.match(run.stdout, /^\d+\.\d+\.\d+\n$/);
  }
});

test("arguments and exit codes pass through", onPosix, () => {
  const script = "console.log(JSON.stringify(process.argv.slice(1)), process.version); process.exit(7);";
  const run = spawnSync(join(REPOSITORY_ROOT, "bin/pinned-node"), ["-e", script, "--", "a b", "*"], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  assert.equal(run.status, 7, run.stderr);
  assert.equal(run.stdout, `["a b","*"] ${process.version}\n`);
});

test("all platforms carry one version of Node.js, the one that runs this", () => {
  const manifest = JSON.parse(readFileSync(join(REPOSITORY_ROOT, "package.json"), "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  const runtimes = Object.entries(manifest.optionalDependencies).filter(([name]) =>
    /^node-(bin-)?(linux|darwin|win)-/.test(name),
  );
  assert.equal(runtimes.length, 5);
  for (const [name, version] of runtimes) assert.equal(`v${version}`, process.version, name);
});
