/** The engine's flags: the pinned runtime knows every one of them and takes them while it runs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

test("the engine takes every flag without a word", () => {
  const program = `import { prepareEngine } from ${JSON.stringify(new URL("./engine-flags.ts", import.meta.url).href)}; prepareEngine();`;
  const { status, stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  assert.deepEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "" });
});
