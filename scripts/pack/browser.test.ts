/**
 * The floors hold: networks in one place and the HTTPS interface in front of them are bundled for a browser without anything of a host,
 * and such a bundle runs a canister where no global of Node.js exists.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { build } from "esbuild";
import { REPOSITORY_ROOT } from "../repository.ts";

/** Deploys the counter, calls it, and reads a status over the interface; leaves what it saw at `globalThis.seen`. */
const PAGE = `
import { createMclBls } from "@orrery/crypto/mcl";
import { ed25519Signer, nobleSignatures } from "@orrery/crypto/curves";
import { createSignatureVerifier } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { createApi, hostedNetwork, validateWith } from "@orrery/http";
import { createGateway } from "@orrery/http/gateway";
import { createInstance } from "@orrery/sim/instance";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

const bls = await createMclBls();
const instance = createInstance({
  topology: [{ kind: "application" }],
  seed: new Uint8Array(32),
  time: BigInt(Date.now()) * 1000000n,
  host: {
    bls,
    inflate: () => { throw new Error("nothing is zipped"); },
    ed25519PublicKeyDer: (secret) => ed25519Signer(secret).publicKeyDer,
    ed25519Signer: (secret) => ed25519Signer(secret).sign,
  },
});
const anonymous = Uint8Array.of(4);
function call(canisterId, method, arg) {
  const submitted = instance.submitIngress({ sender: anonymous, canisterId, method, arg });
  if (!submitted.ok) throw new Error(submitted.error.message);
  const answer = instance.awaitIngress(submitted.value);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}
const management = new Uint8Array(0);
const created = call(management, "provisional_create_canister_with_cycles", new Uint8Array(IDL.encode([IDL.Record({})], [{}])));
const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], created);
const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }), canister_id: IDL.Principal, wasm_module: IDL.Vec(IDL.Nat8), arg: IDL.Vec(IDL.Nat8),
});
const empty = new Uint8Array(IDL.encode([], []));
const code = { mode: { install: null }, canister_id, wasm_module: globalThis.wasm, arg: empty };
call(management, "install_code", new Uint8Array(IDL.encode([Install], [code])));
const [count] = IDL.decode([IDL.Nat], call(canister_id.toUint8Array(), "inc", empty));
const network = hostedNetwork(instance, {
  now: () => instance.time, freshen() {}, submitted() {}, after: () => () => {},
});
const verifier = createSignatureVerifier({ basic: nobleSignatures, canisterSignatures: { rootKeyDer: instance.rootKey, bls } });
const api = createApi(network, { validate: validateWith(verifier), effectiveCanisterId });
const headers = () => [];
const { status } = await api({ method: "GET", url: "/api/v2/status", header: () => undefined, headers, body: empty });
globalThis.seen = [canister_id.toText(), String(count), status, typeof createGateway].join(" ");
`;

const HOST_GLOBALS = ["process", "Buffer", "global", "setImmediate", "clearImmediate"];

const RUN = `
import { readFileSync } from "node:fs";
const { stdout } = process;
globalThis.wasm = new Uint8Array(readFileSync(process.argv[3]));
const page = process.argv[2];
for (const name of ${JSON.stringify(HOST_GLOBALS)}) delete globalThis[name];
await import(page);
stdout.write(globalThis.seen);
`;

test("a network in one place runs without a host", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-browser-"));
  try {
    const page = join(folder, "page.mjs");
    await build({
      stdin: { contents: PAGE, resolveDir: join(REPOSITORY_ROOT, "packages/orrery"), loader: "ts" },
      bundle: true,
      platform: "browser",
      format: "esm",
      target: "esnext",
      outfile: page,
      logLevel: "silent",
    });
    const wasm = join(folder, "counter.wasm");
    const zipped = join(REPOSITORY_ROOT, "canisters/fixtures/built/counter.eop.wasm.gz");
    writeFileSync(wasm, gunzipSync(readFileSync(zipped)));
    const run = join(folder, "run.mjs");
    writeFileSync(run, RUN);
    // Canisters may use more stack than a program's main thread has.
    const flags = ["--stack-size=3900"];
    const ended = spawnSync(process.execPath, [...flags, run, page, wasm], { encoding: "utf8" });
    assert.equal(ended.status, 0, ended.stderr);
    assert.equal(ended.stdout, "lxzze-o7777-77777-aaaaa-cai 1 200 function");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
