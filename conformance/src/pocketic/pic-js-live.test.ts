/** PicJS on what is outside an instance: HTTPS outcalls made up or really made, and instances that live by the machine's clock. */
import assert from "node:assert/strict";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { createIdentity, type HttpsOutcallResponseMock, PocketIc, SubnetStateType } from "@dfinity/pic";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { counterAt } from "../counter.ts";
import { fixturePath } from "../harness.ts";
import { told } from "../programs/asking.ts";
import { universalModule } from "../suite/module.ts";
import { callOut, code } from "../suite/script.ts";
import { type Server, startServer } from "./server.ts";

const Blob = IDL.Vec(IDL.Nat8);
const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });
const Response = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(Header), body: Blob });
const HttpRequestArgs = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({ get: IDL.Null, head: IDL.Null, post: IDL.Null }),
  headers: IDL.Vec(Header),
  body: IDL.Opt(Blob),
  transform: IDL.Opt(IDL.Null),
});
const NEW = { type: SubnetStateType.New } as const;

/** The program of a canister that makes the outcall and relays what came of it. */
function outcall(url: string): Uint8Array {
  const arg = IDL.encode(
    [HttpRequestArgs],
    [
      {
        url,
        max_response_bytes: [2_000n],
        method: { post: null },
        headers: [{ name: "x-a", value: "b" }],
        body: [new TextEncoder().encode("ping")],
        transform: [],
      },
    ],
  );
  const to = new Uint8Array(0);
  return code(callOut({ to, method: "http_request", arg: new Uint8Array(arg), cycles: 10_000_000_000n }));
}

function bodyOf(relayed: Uint8Array): string {
  const { code: failed, data, text } = told(relayed);
  assert.equal(failed, 0, text);
  const [response] = IDL.decode([Response], data) as unknown as [{ readonly body: Uint8Array }];
  return new TextDecoder().decode(Uint8Array.from(response.body));
}

function answer(text: string): HttpsOutcallResponseMock {
  return { type: "success", statusCode: 200, headers: [], body: new TextEncoder().encode(text) };
}

describe("PicJS and the world", () => {
  let server: Server;
  let pic: PocketIc;
  let canisterId: Awaited<ReturnType<PocketIc["createCanister"]>>;

  before(async () => {
    server = await startServer();
    pic = await PocketIc.create(server.url, { application: [{ state: NEW }] });
    canisterId = await pic.createCanister();
    await pic.installCode({ canisterId, wasm: universalModule() });
  });
  after(async () => {
    await pic.tearDown();
    await server.end();
  });

  const submit = (url: string): Promise<Uint8Array> =>
    pic.updateCall({ canisterId, method: "update", arg: outcall(url) });

  /** Rounds until an outcall waits. */
  async function pending(): ReturnType<PocketIc["getPendingHttpsOutcalls"]> {
    for (let rounds = 0; rounds < 10; rounds++) {
      const waiting = await pic.getPendingHttpsOutcalls();
      if (waiting.length > 0) return waiting;
      await pic.tick();
    }
    throw new Error("no outcall waits");
  }

  /** Submits, so that rounds are the test's, and awaits later. */
  async function deferred(url: string): Promise<() => Promise<Uint8Array>> {
    const client = (
      pic as unknown as {
        client: {
          submitCall(call: unknown): Promise<unknown>;
          awaitCall(id: unknown): Promise<{ body: Uint8Array }>;
        };
      }
    ).client;
    const id = await client.submitCall({
      canisterId,
      sender: createIdentity("asker").getPrincipal(),
      method: "update",
      payload: outcall(url),
    });
    return async () => Uint8Array.from((await client.awaitCall(id)).body);
  }

  test("an outcall that waits is told, and answered once", async () => {
    const answered = await deferred("https://example.com/a?b=c");
    const [request, ...others] = await pending();
    assert.ok(request !== undefined);
    assert.deepEqual(others, []);
    const { requestId, subnetId, body, ...shown } = request;
    assert.deepEqual(shown, {
      httpMethod: "POST",
      url: "https://example.com/a?b=c",
      headers: [["x-a", "b"]],
      maxResponseBytes: 2_000,
    });
    assert.equal(new TextDecoder().decode(body), "ping");
    const response = answer("pong");
    await pic.mockPendingHttpsOutcall({ requestId, subnetId, response });
    await assert.rejects(pic.mockPendingHttpsOutcall({ requestId, subnetId, response }), {
      message: /InvalidCanisterHttpRequestId/,
    });
    assert.equal(bodyOf(await answered()), "pong");
  });

  test("rejects, nodes that disagree, and answers that make no sense", async () => {
    const refused = await deferred("https://example.com/refused");
    const [first] = await pending();
    assert.ok(first !== undefined);
    const { requestId, subnetId } = first;
    const reject = { type: "reject", statusCode: 2, message: "no route" } as const;
    await assert.rejects(
      pic.mockPendingHttpsOutcall({ requestId, subnetId, response: { ...reject, statusCode: 9 } }),
      { message: /InvalidRejectCode\(9\)/ },
    );
    await assert.rejects(
      pic.mockPendingHttpsOutcall({ requestId, subnetId, response: reject, additionalResponses: [reject] }),
      { message: /InvalidMockCanisterHttpResponses\(\(2, 13\)\)/ },
    );
    await assert.rejects(pic.mockPendingHttpsOutcall({ requestId: 99, subnetId, response: reject }), {
      message: /InvalidCanisterHttpRequestId/,
    });
    await pic.mockPendingHttpsOutcall({ requestId, subnetId, response: reject });
    assert.deepEqual(told(await refused()), { ...told(await refused()), code: 2, text: "no route" });
    const split = await deferred("https://example.com/split");
    const [second] = await pending();
    assert.ok(second !== undefined);
    const others = Array.from({ length: 12 }, (_, node) => answer(`node ${node}`));
    await pic.mockPendingHttpsOutcall({
      ...second,
      response: answer("node 12"),
      additionalResponses: others,
    });
    assert.match(
      told(await split()).text,
      /^No consensus could be reached\. Replicas had different responses\./,
    );
  });

  test("a live instance follows the clock, makes outcalls and serves agents", async () => {
    const world: HttpServer = createServer((request, response) => {
      request.resume();
      request.on("end", () => response.end(`real ${request.method}`));
    });
    await new Promise<void>((resolve) => {
      world.listen(0, "127.0.0.1", resolve);
    });
    const live = await PocketIc.create(server.url, { application: [{ state: NEW }] });
    try {
      const gateway = await live.makeLive();
      assert.match(String(gateway), /^\d+$/);
      assert.equal(await live.makeLive(), gateway);
      assert.ok(Math.abs((await live.getTime()) - Date.now()) < 10_000);
      const id = await live.createCanister();
      await live.installCode({ canisterId: id, wasm: fixturePath("counter.eop") });
      const agent = await HttpAgent.create({ host: `http://127.0.0.1:${gateway}`, shouldFetchRootKey: true });
      const counter = counterAt(agent, Principal.fromText(id.toText()));
      assert.equal(await counter.inc(), 1n);
      assert.equal(await counter.get(), 1n);
      const asker = await live.createCanister();
      await live.installCode({ canisterId: asker, wasm: universalModule() });
      const url = `http://127.0.0.1:${(world.address() as AddressInfo).port}/`;
      const relayed = await live.updateCall({ canisterId: asker, method: "update", arg: outcall(url) });
      assert.equal(bodyOf(Uint8Array.from(relayed)), "real POST");
      await live.stopLive();
      const stopped = await live.getTime();
      await live.tick();
      assert.equal(await live.getTime(), stopped);
    } finally {
      await live.tearDown();
      world.close();
    }
  });

  test("an answer that never comes is an error after a hundred rounds, and the instance goes on", async () => {
    await assert.rejects(submit("https://example.com/never"), {
      message: /BadIngressMessage\(\\?"Failed to answer to ingress 0x[0-9a-f]{64} after 100 rounds\.\\?"\)/,
    });
    assert.equal((await pic.getPendingHttpsOutcalls()).length, 1);
  });
});
