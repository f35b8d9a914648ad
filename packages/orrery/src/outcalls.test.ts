/** HTTPS outcalls of in-process networks: answered by a function, by hand, or really made. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { IDL } from "@icp-sdk/core/candid";
import type { OrreryError } from "@orrery/base";
import { selfSigned } from "@orrery/host/self-signed";
import wabt from "wabt";
import { createNetwork, type Network, type NetworkOptions, type OutcallRequest } from "./index.ts";

/** `ask` calls http_request with its argument and replies with the reply, or with a byte for the reject code and the text. */
const ASKER = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $text_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $text_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $data (param i32 i32)))
  (import "ic0" "call_cycles_add" (func $cycles (param i64)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 4) (table funcref (elem $on_reply $on_reject))
  (func $on_reply (param i32)
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $append (i32.const 64) (call $arg_size)) (call $reply))
  (func $on_reject (param i32)
    (i32.store8 (i32.const 64) (call $code))
    (call $text_copy (i32.const 65) (i32.const 0) (call $text_size))
    (call $append (i32.const 64) (i32.add (i32.const 1) (call $text_size))) (call $reply))
  (func (export "canister_update ask")
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 12)
      (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
    (call $arg_copy (i32.const 64) (i32.const 0) (call $arg_size))
    (call $data (i32.const 64) (call $arg_size))
    (call $cycles (i64.const 30000000000))
    (drop (call $perform)))
  (data (i32.const 0) "http_request"))`;

const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });
const Response = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(Header), body: IDL.Vec(IDL.Nat8) });
const Args = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({ get: IDL.Null }),
  headers: IDL.Vec(Header),
  body: IDL.Opt(IDL.Vec(IDL.Nat8)),
});
let wasm: Uint8Array;

before(async () => {
  const module = (await wabt()).parseWat("asker.wat", ASKER);
  wasm = module.toBinary({}).buffer.slice();
  module.destroy();
});

function asker(network: Network): (url: string) => Uint8Array {
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm });
  return (url) => {
    const value = { url, max_response_bytes: [1_000n], method: { get: null }, headers: [], body: [] };
    return network.update({
      canisterId,
      method: "ask",
      arg: new Uint8Array(IDL.encode([Args], [value])),
    });
  };
}

function body(reply: Uint8Array): string {
  const [response] = IDL.decode([Response], reply) as unknown as [{ body: Uint8Array }];
  return new TextDecoder().decode(new Uint8Array(response.body));
}

const text = (reply: Uint8Array): readonly [number, string] => [
  reply[0] as number,
  new TextDecoder().decode(reply.subarray(1)),
];

test("a function answers", async () => {
  const seen: OutcallRequest[] = [];
  const options: NetworkOptions = {
    outcalls(request) {
      seen.push(request);
      if (request.url.endsWith("/down")) return { rejectCode: 2, message: "down" };
      const size = request.url.endsWith("/big") ? 1_001 : 0;
      return { status: 200, body: size > 0 ? new Uint8Array(size) : new TextEncoder().encode(request.url) };
    },
  };
  const network = await createNetwork(options);
  const ask = asker(network);
  assert.equal(body(ask("https://example.com/a")), "https://example.com/a");
  assert.deepEqual(text(ask("https://example.com/down")), [2, "down"]);
  assert.deepEqual(text(ask("https://example.com/big")), [1, "Http body exceeds size limit of 1000 bytes."]);
  assert.deepEqual(
    seen.map(({ method, maxResponseBytes, subnetId }) => [method, maxResponseBytes, subnetId]),
    seen.map(() => ["GET", 1_000, network.subnetId]),
  );
  assert.deepEqual(network.pendingOutcalls(), []);
  await network.stop();
});

test("outcalls that nobody answers wait to be answered by hand, or for a minute", async () => {
  const network = await createNetwork();
  const ask = asker(network);
  const pendingOf = (url: string): OrreryError => {
    try {
      ask(url);
    } catch (error) {
      assert.equal((error as OrreryError).code, "call_pending");
      return error as OrreryError;
    }
    throw new Error("answered by nobody");
  };
  const first = pendingOf("https://example.com/1");
  const [outcall] = network.pendingOutcalls();
  assert.ok(outcall !== undefined);
  assert.equal(outcall.url, "https://example.com/1");
  assert.throws(() => network.resume(first), { code: "call_pending" });
  const answer = { status: 200, body: new TextEncoder().encode("by hand") };
  assert.equal(network.answerOutcall(outcall, answer), true);
  assert.equal(network.answerOutcall(outcall, answer), false);
  assert.equal(body(network.resume(first)), "by hand");
  const second = pendingOf("https://example.com/2");
  network.advanceTime(59_000);
  assert.throws(() => network.resume(second), { code: "call_pending" });
  network.advanceTime(1_001);
  assert.deepEqual(text(network.resume(second)), [2, "Canister http request timed out"]);
  await network.stop();
});

test("outcalls are really made where that is asked for", async () => {
  const { certificate, key } = selfSigned();
  // Of its own thread: this one sleeps while it waits for the network.
  const server = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
    const server = require("node:https").createServer(workerData, (request, response) => response.end("real " + request.url));
    server.listen(0, "localhost", () => parentPort.postMessage(server.address().port));`,
    { eval: true, workerData: { cert: certificate, key } },
  );
  const [port] = (await once(server, "message")) as [number];
  const network = await createNetwork({ outcalls: { ca: certificate } });
  const ask = asker(network);
  assert.equal(body(ask(`https://localhost:${port}/x`)), "real /x");
  const refused = text(ask("https://localhost:1/"));
  assert.equal(refused[0], 2);
  assert.match(refused[1], /^Connecting to localhost failed: /);
  await network.stop();
  await server.terminate();
});
