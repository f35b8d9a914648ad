/**
 * Rebuilds every module from source and compares it with what is committed: one to three minutes, most of
 * it the compiler's.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { targets } from "../manifest.ts";

const BUILD = fileURLToPath(new URL("../build.ts", import.meta.url));
/** Many times what an idle machine needs. */
const TIMEOUT_MS = 540_000;

/** Runs the build; resolves to its exit code and everything it printed. */
function run(argv: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; output: string }>();
  const child = spawn(process.execPath, [BUILD, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  child.on("error", reject);
  child.on("close", (code) => resolve({ code, output }));
  return promise;
}

test("every module is what its source compiles to", { timeout: TIMEOUT_MS }, async () => {
  const { code, output } = await run(["--check"]);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`${targets().length} targets in`));
});
