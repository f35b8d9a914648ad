/** What main loads before it answers: neither what executes, which other threads do, nor what only members of subnets of several nodes need. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HERE = new URL("./", import.meta.url);
const MODULES_MAX = 200;

/** Paths below the repository of all modules that a process has loaded when it has imported these. */
async function loadedBy(...entries: readonly string[]): Promise<readonly string[]> {
  const script = `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) });
    for (const entry of ${JSON.stringify(entries.map((entry) => new URL(entry, HERE).href))}) await import(entry);
    console.log(JSON.stringify(seen.filter((url) => url.startsWith("file:"))));`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24 });
  const root = fileURLToPath(new URL("../../../", HERE));
  return (JSON.parse(stdout) as string[]).map((url) =>
    fileURLToPath(url).slice(root.length).replaceAll("\\\\", "/"),
  );
}

test("a node that is alone in its subnets starts without executor, engine, peers and members", async () => {
  const loaded = await loadedBy("node.ts", "service.ts");
  assert.ok(loaded.includes("apps/node/src/service.ts"));
  const needless = [
    "packages/execution/src/index.ts",
    "packages/state/src/index.ts",
    "packages/execution/src/node/open-state.ts",
    "packages/wasm/src/engine.ts",
    "packages/p2p/",
    "packages/consensus/src/member/",
    "packages/crypto/src/dkg/transcript.ts",
    "node_modules/@icp-sdk/",
  ];
  for (const path of needless)
    assert.deepEqual(
      loaded.filter((each) => each.startsWith(path)),
      [],
    );
  assert.ok(loaded.length <= MODULES_MAX, `${loaded.length} modules`);
});

test("what is found missing there is what members load", async () => {
  const loaded = await loadedBy("replica/replication.ts");
  for (const path of ["packages/p2p/", "packages/consensus/src/member/", "packages/crypto/src/dkg/"])
    assert.ok(
      loaded.some((each) => each.startsWith(path)),
      path,
    );
});
