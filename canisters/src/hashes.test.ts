/** What is committed is what `hashes.json` says, and each module carries what tools read from it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { EXTERNAL_FIXTURES, type MotokoTarget, targets } from "../manifest.ts";
import { serviceMethods } from "./candid-text.ts";
import { lockedArtifacts, systemCanisters } from "./system.ts";

const folder = new URL("../", import.meta.url);
const artifacts = lockedArtifacts();

function gzipOf(path: string): Buffer {
  return readFileSync(new URL(path, folder));
}

function textOf(path: string): string {
  return readFileSync(new URL(path, folder), "utf8");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The text of a custom section (WebAssembly core specification, "Modules"), if the module has it. */
function section(wasm: Uint8Array, wanted: string): string | undefined {
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < wasm.length) {
    const id = wasm[at++];
    const end = number() + at;
    if (id === 0) {
      const nameEnd = number() + at;
      if (new TextDecoder().decode(wasm.subarray(at, nameEnd)) === wanted) {
        return new TextDecoder().decode(wasm.subarray(nameEnd, end));
      }
    }
    at = end;
  }
  return undefined;
}

test("the lock names every target and nothing else, and every committed module is named", () => {
  const expected = [...targets(), ...EXTERNAL_FIXTURES].map((target) => target.wasmGzip).sort();
  assert.deepEqual(Object.keys(artifacts).sort(), expected);
  const built = readdirSync(new URL("fixtures/built/", folder)).filter((name) => name.endsWith(".gz"));
  for (const name of built) assert.ok(artifacts[`fixtures/built/${name}`] !== undefined, name);
});

test("every module has its locked hashes, and its gzip header names neither time nor system", () => {
  for (const [path, locked] of Object.entries(artifacts)) {
    const gzip = gzipOf(path);
    assert.equal(sha256(gzip), locked.gzipSha256, path);
    const wasm = gunzipSync(gzip);
    assert.equal(sha256(wasm), locked.wasmSha256, path);
    assert.equal(wasm.length, locked.wasmBytes, path);
    assert.equal(gzip.readUInt32LE(4), 0, `${path}: modification time`);
    assert.equal(gzip[9], 255, `${path}: operating system`);
  }
});

test("every Motoko module publishes its interface and says how it persists", () => {
  const motoko = targets().filter((target): target is MotokoTarget => target.kind === "motoko");
  for (const { wasmGzip, did, mode } of motoko) {
    const module = gunzipSync(gzipOf(wasmGzip));
    const candid = section(module, "icp:public candid:service");
    assert.ok(candid !== undefined, wasmGzip);
    assert.ok(section(module, "icp:public candid:args") !== undefined, wasmGzip);
    if (did !== null) assert.deepEqual(serviceMethods(candid), serviceMethods(textOf(did)), did);
    const keepsMemory = section(module, "icp:private enhanced-orthogonal-persistence") !== undefined;
    assert.equal(keepsMemory, mode === "enhanced", wasmGzip);
  }
});

test("a system canister's module loads verified", () => {
  for (const canister of systemCanisters()) {
    assert.equal(sha256(canister.wasmGzip()), sha256(readFileSync(canister.wasmGzipUrl)), canister.name);
  }
});
