/** What is committed is what `hashes.json` says, and each module carries what tools read from it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { EXTERNAL_FIXTURES, type MotokoTarget, targets } from "../manifest.ts";
import { lockedArtifacts, systemCanisters } from "./system.ts";

const folder = new URL("../", import.meta.url);
const artifacts = lockedArtifacts();

function gzipOf(path: string): Buffer {
  return readFileSync(new URL(path, folder));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function section(module: WebAssembly.Module, name: string): string | undefined {
  const [found] = WebAssembly.Module.customSections(module, name);
  return found === undefined ? undefined : new TextDecoder().decode(found);
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
    const module = new WebAssembly.Module(gunzipSync(gzipOf(wasmGzip)));
    const candid = section(module, "icp:public candid:service");
    assert.ok(candid !== undefined, wasmGzip);
    assert.ok(section(module, "icp:public candid:args") !== undefined, wasmGzip);
    if (did !== null) assert.ok(readFileSync(new URL(did, folder), "utf8").includes("service"), did);
    const keepsMemory = section(module, "icp:private enhanced-orthogonal-persistence") !== undefined;
    assert.equal(keepsMemory, mode === "enhanced", wasmGzip);
  }
});

test("a system canister's module loads verified", () => {
  for (const canister of systemCanisters()) {
    assert.equal(sha256(canister.wasmGzip()), sha256(readFileSync(canister.wasmGzipUrl)), canister.name);
  }
});
