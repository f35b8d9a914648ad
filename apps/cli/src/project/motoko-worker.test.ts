/** The compiler's thread at rest, with a compiler that says when it is asked and a clock that strikes at once. */
import assert from "node:assert/strict";
import { on } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import type { CompileReply, CompileRequest, CompilerStart } from "./motoko-worker.ts";

const COMPILER = `
const { parentPort } = require("node:worker_threads");
let compilations = 0;
globalThis.setTimeout = (run, ms, ...given) => setImmediate(() => { parentPort.postMessage("rest"); run(...given); });
globalThis.clearTimeout = clearImmediate;
module.exports = {
  compiler: {
    gcFlags() {},
    compileWasm(format, path) {
      parentPort.postMessage("compiled");
      if (path === "thrower.mo" && ++compilations === 2) throw new Error("out of breath");
      return { diagnostics: [], code: { wasm: new Uint8Array(8), candid: "" } };
    },
  },
  loadPackage() {}, usePackage() {}, setPublicMetadata() {}, setExtraFlags() {}, write() {}, delete() {},
};`;

const scratch = mkdtempSync(join(tmpdir(), "orrery-compiler-"));
before(() => {
  writeFileSync(join(scratch, "compiler.cjs"), COMPILER);
  writeFileSync(join(scratch, "core.json"), "{}");
});
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Asks for one compilation for each of `steps`, once what is said of the one before is complete: that, in order. */
async function saying(
  asked: { readonly main: string; readonly keepsWarm: boolean },
  steps: readonly (readonly string[])[],
): Promise<void> {
  const { main, keepsWarm } = asked;
  const [motoko, core] = [join(scratch, "compiler.cjs"), join(scratch, "core.json")];
  const workerData: CompilerStart = { motoko, core, keepsWarm };
  const worker = new Worker(new URL("./motoko-worker.ts", import.meta.url), { workerData });
  const messages = on(worker, "message");
  const request: CompileRequest = { root: scratch, main, packages: [], flags: [], enhanced: true };
  try {
    for (const expected of steps) {
      worker.postMessage(request);
      const said: string[] = [];
      while (said.length < expected.length) {
        const { value } = (await messages.next()) as { readonly value: [string | CompileReply] };
        const [message] = value;
        said.push(typeof message === "string" ? message : message.ok ? "made" : "refused");
      }
      assert.deepEqual(said, expected);
    }
  } finally {
    await worker.terminate();
  }
}

const MADE = ["compiled", "made"];

describe("the compiler at rest", () => {
  test("gets warm for further saves", async () => {
    const warming = ["rest", "compiled", "rest"];
    await saying({ main: "main.mo", keepsWarm: true }, [[...MADE, ...warming], [...MADE, "rest"], MADE]);
  });

  test("leaves the processor to others where nothing is compiled afterwards", async () => {
    await saying({ main: "main.mo", keepsWarm: false }, [MADE, MADE, MADE]);
  });

  test("goes on when it fails", async () => {
    await saying({ main: "thrower.mo", keepsWarm: true }, [[...MADE, "rest", "compiled"], MADE]);
  });
});
