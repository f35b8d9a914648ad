/** HTTPS outcalls of in-process networks: answered by a function, by hand, or really made. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { IDL } from "@icp-sdk/core/candid";
import type { OrreryError } from "@orrery/base";
import { outcallArgument, outcallerModule } from "@orrery/execution/outcaller";
import { selfSigned } from "@orrery/host/self-signed";
import { createNetwork, type Network, type NetworkOptions, type OutcallRequest } from "./index.ts";

const Response = IDL.Record({ status: IDL.Nat, body: IDL.Vec(IDL.Nat8) });
const wasm = await outcallerModule();

function asker(network: Network): (url: string) => Uint8Array {
  const canisterId = network.createCanister();
  network.install({ canisterId, wasm });
  return (url) => network.update({ canisterId, method: "ask", arg: outcallArgument(url) });
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
