/**
 * A program in TypeScript (Azle) whose module is longer than a message may be, through the chunk store (interface spec, "IC method
 * upload_chunk", "install_chunked_code"): kept, listed, assembled, refused, cleared; and what the program then does.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { otherFixture } from "@orrery/canisters/fixtures";
import { createCanister, installCode } from "../management.ts";
import { eventually, install, type Program, programAt } from "../programs.ts";
import { managing, statusOf } from "./management-service.ts";
import { rejectionOf } from "./rejection.ts";
import { pattern, shareNetwork } from "./shared-network.ts";

const shared = shareNetwork();
const CHUNK_BYTES = 1 << 20;
const MESSAGE_BYTES_MAX = 2 << 20;
const fixture = otherFixture("registry");
/** As the compiler wrote it: 3.5 MB, which no message carries. */
const wasm = new Uint8Array(gunzipSync(fixture.wasmGzip));
const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

function chunksOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, i) =>
    bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES),
  );
}

const hashesOf = (chunks: readonly { readonly hash: Uint8Array }[]): string[] =>
  chunks.map(({ hash }) => Buffer.from(hash).toString("hex")).sort();

async function upload(id: Principal, bytes: Uint8Array): Promise<{ hash: Uint8Array }[]> {
  const hashes: { hash: Uint8Array }[] = [];
  for (const chunk of chunksOf(bytes)) {
    const { hash } = await managing(shared.agent, id).upload_chunk({ canister_id: id, chunk });
    assert.deepEqual(new Uint8Array(hash), sha256(chunk));
    hashes.push({ hash });
  }
  return hashes;
}

const assembled = (
  target: Principal,
  store: [] | [Principal],
  hashes: readonly { readonly hash: Uint8Array }[],
  hash: Uint8Array,
): Promise<void> =>
  managing(shared.agent, target).install_chunked_code({
    mode: { install: null },
    target_canister: target,
    store_canister: store,
    chunk_hashes_list: hashes,
    wasm_module_hash: hash,
    arg: IDL.encode([], []),
    sender_canister_version: [],
  });

describe("chunk store", () => {
  test("a module longer than a message is installed from its pieces", async () => {
    const { agent, network } = shared;
    assert.ok(wasm.length > MESSAGE_BYTES_MAX);
    const id = await createCanister(agent, network.effectiveCanisterId);
    const management = managing(agent, id);
    const hashes = await upload(id, wasm);
    assert.equal(hashes.length, 4);
    // The same chunk again is the same chunk.
    await upload(id, wasm.subarray(0, CHUNK_BYTES));
    assert.deepEqual(hashesOf(await management.stored_chunks({ canister_id: id })), hashesOf(hashes));
    const { memory_metrics } = await statusOf(agent, id);
    assert.equal(memory_metrics["wasm_chunk_store_size"], 4n * BigInt(CHUNK_BYTES));
    // Wrong hash of the whole, wrong order, a chunk that is not there: nothing is installed.
    const wrong = [
      assembled(id, [], hashes, sha256(new Uint8Array(1))),
      assembled(id, [], [...hashes].reverse(), sha256(wasm)),
      assembled(id, [], [...hashes, { hash: sha256(pattern(1)) }], sha256(wasm)),
    ];
    await Promise.all(wrong.map(rejectionOf));
    assert.deepEqual((await statusOf(agent, id)).module_hash, []);
    await assembled(id, [], hashes, sha256(wasm));
    assert.deepEqual((await statusOf(agent, id)).module_hash[0], sha256(wasm));
    const registry = programAt(agent, id, fixture.idlFactory as IDL.InterfaceFactory);
    assert.deepEqual(await registry.call("put", "moon", "Io"), []);
    // From another canister's store, which then is cleared.
    const other = await createCanister(agent, network.effectiveCanisterId);
    await assembled(other, [id], hashes, sha256(wasm));
    await management.clear_chunk_store({ canister_id: id });
    assert.deepEqual(await management.stored_chunks({ canister_id: id }), []);
    assert.equal((await statusOf(agent, id)).memory_metrics["wasm_chunk_store_size"], 0n);
    assert.deepEqual(await registry.call("get", "moon"), ["Io"]);
    const second = programAt(agent, other, fixture.idlFactory as IDL.InterfaceFactory);
    assert.deepEqual(await second.call("get", "moon"), []);
  });

  test("refuses chunks that are too long and users who are no controllers", async () => {
    const { agent, network } = shared;
    const id = await createCanister(agent, network.effectiveCanisterId);
    const long = managing(agent, id).upload_chunk({
      canister_id: id,
      chunk: new Uint8Array(CHUNK_BYTES + 1),
    });
    const { by, code, message } = await rejectionOf(long);
    assert.deepEqual([by, code], ["certificate", 5]);
    assert.match(message, /1048577|exceeds/);
    const stranger = shared.as(Ed25519KeyIdentity.generate());
    const foreign = managing(stranger, id).upload_chunk({ canister_id: id, chunk: pattern(10) });
    assert.equal((await rejectionOf(foreign)).errorCode, "IC0512");
    await upload(id, pattern(10));
    const theft = managing(stranger, id).stored_chunks({ canister_id: id });
    assert.equal((await rejectionOf(theft)).errorCode, "IC0512");
  });
});

describe("TypeScript (Azle)", () => {
  type Counts = Readonly<Record<"writes" | "timersFired" | "size", number>>;
  const countsOf = async (program: Program): Promise<Counts> => (await program.call("counts")) as Counts;

  test("puts, gets, traps, timers and calls; upgrades keep the stable map", async () => {
    const { agent, network } = shared;
    const registry = await install(network, agent, fixture);
    assert.deepEqual(await registry.call("get", "star"), []);
    assert.deepEqual(await registry.call("put", "star", "Vega"), []);
    assert.deepEqual(await registry.call("put", "star", "Mira"), ["Vega"]);
    assert.deepEqual(await registry.call("put", "ünï", "∞"), []);
    assert.deepEqual(await countsOf(registry), { writes: 3, timersFired: 0, size: 2 });
    const trapped = await rejectionOf(registry.call("putAndTrap", "star"));
    assert.equal(trapped.errorCode, "IC0503");
    assert.match(trapped.message, /trapped on purpose/);
    assert.deepEqual(await countsOf(registry), { writes: 3, timersFired: 0, size: 2 });
    assert.deepEqual(await registry.call("get", "star"), ["Mira"]);
    await registry.call("startTimer", 0);
    await eventually(
      () => countsOf(registry),
      (counts: Counts) => counts.timersFired === 1,
    );
    const counter = await shared.motoko("counter", "enhanced");
    assert.equal(await registry.call("addTo", counter.id, 41n), 41n);
    assert.equal(await registry.call("addTo", counter.id, 1n), 42n);
    await installCode(agent, registry.id, fixture.wasmGzip, { upgrade: [] });
    assert.deepEqual(await registry.call("get", "ünï"), ["∞"]);
    assert.deepEqual(await countsOf(registry), { writes: 0, timersFired: 0, size: 2 });
  });
});
