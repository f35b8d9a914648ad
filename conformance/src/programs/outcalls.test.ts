/**
 * HTTPS outcalls (interface spec, "http_request") to a real server whose certificate the node is told to trust: responses, transforms,
 * failures, and a kill while one is under way.
 */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type HttpAgent, polling } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { agentFor, type Network, startNetwork } from "../harness.ts";
import { code, copied, ic0, op, reply, setHook } from "../suite/script.ts";
import { ask, newAsker, questionArg, run, type Told, told } from "./asking.ts";
import {
  type HttpReply,
  httpQuestion,
  httpReply,
  type Outside,
  Response,
  startOutside,
  TransformArgs,
} from "./outcall.testkit.ts";

describe("HTTPS outcalls", () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-outcalls-"));
  const stateDir = join(folder, "state");
  const identity = Ed25519KeyIdentity.generate();
  /** Responses that the test gives by itself, and how often the held path was asked. */
  const held: ServerResponse[] = [];
  let asked = 0;
  /** Says when the held path was asked. */
  const asking = new EventEmitter();
  let outside: Outside;
  let origin: string;
  let network: Network;
  let agent: HttpAgent;
  let id: Principal;

  before(async () => {
    outside = await startOutside(folder, (request, response) => {
      const url = new URL(request.url ?? "/", "https://localhost");
      if (url.pathname === "/hold") {
        asked++;
        held.push(response);
        asking.emit("held");
      } else if (url.pathname === "/big") {
        response.end(new Uint8Array(5_000));
      } else {
        const chunks: Uint8Array[] = [];
        request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        request.on("end", () => {
          response.setHeader("x-agent", request.headers["user-agent"] ?? "");
          response.statusCode = url.pathname === "/missing" ? 404 : 200;
          response.end(`${request.method} ${Buffer.concat(chunks).toString()}`);
        });
      }
    });
    origin = outside.origin;
    network = await startNetwork({ stateDir });
    agent = agentFor(network, identity);
    id = await newAsker(network, agent);
  });
  after(async () => {
    await network.end("SIGTERM");
    outside.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const request = (value: { readonly url: string; readonly [field: string]: unknown }): Promise<Told> =>
    ask(agent, id, httpQuestion(value));

  const text = (body: Uint8Array): string => new TextDecoder().decode(new Uint8Array(body));

  test("methods, bodies, statuses and headers", async () => {
    const post = httpReply(
      await request({
        url: `${origin}/`,
        method: { post: null },
        body: [new TextEncoder().encode("body")],
      }),
    );
    assert.deepEqual([post.status, text(post.body)], [200n, "POST body"]);
    assert.ok(post.headers.some(({ name, value }) => name === "x-agent" && value === "ic/1.0"));
    const missing = httpReply(await request({ url: `${origin}/missing` }));
    assert.deepEqual([missing.status, text(missing.body)], [404n, "GET "]);
    const put = { url: `${origin}/`, method: { put: null } };
    assert.equal(httpReply(await request({ ...put, is_replicated: [false] })).status, 200n);
    assert.match((await request(put)).text, /only allowed for non-replicated requests\.$/);
  });

  test("paid by use as well", async () => {
    const got = httpReply(await request({ url: `${origin}/`, pricing_version: [2] }));
    assert.equal(got.status, 200n);
  });

  test("transforms see the response and decide what the caller gets", async () => {
    const constant = IDL.encode([Response], [{ status: 7n, headers: [], body: new Uint8Array([1]) }]);
    await run(agent, id, code(setHook("transform", constant, reply), ic0.msg_reply));
    const transform = [
      { function: [Principal.fromUint8Array(id.toUint8Array()), "transform"], context: new Uint8Array([9]) },
    ];
    assert.equal(httpReply(await request({ url: `${origin}/`, transform })).status, 7n);
    // Its argument is the response and the context; its caller is the management canister.
    await run(agent, id, code(setHook("transform", copied("msg_arg_data"), reply), ic0.msg_reply));
    const seen = await request({ url: `${origin}/`, transform });
    const [args] = IDL.decode([TransformArgs], seen.data) as unknown as [
      { response: HttpReply; context: Uint8Array },
    ];
    assert.deepEqual([args.response.status, [...args.context]], [200n, [9]]);
    await run(agent, id, code(setHook("transform", copied("msg_caller"), reply), ic0.msg_reply));
    assert.equal((await request({ url: `${origin}/`, transform })).data.length, 0);
    await run(agent, id, code(setHook("transform", op.unreachable), ic0.msg_reply));
    const trapped = await request({ url: `${origin}/`, transform });
    assert.equal(trapped.code, 5);
    assert.match(trapped.text, /^IC0502: Error from Canister/);
    const nobody = [{ function: [id, "nobody"], context: new Uint8Array() }];
    assert.equal((await request({ url: `${origin}/`, transform: nobody })).code, 5);
  });

  test("failures carry the replica's codes and texts", async () => {
    const big = await request({ url: `${origin}/big` });
    assert.deepEqual([big.code, big.text], [1, "Http body exceeds size limit of 2000 bytes."]);
    const plain = await request({ url: "http://localhost/" });
    assert.deepEqual([plain.code, plain.text], [1, "Url need to specify https scheme"]);
    const nobody = await request({ url: "https://localhost:1/" });
    assert.equal(nobody.code, 2);
    assert.match(nobody.text, /^Connecting to localhost failed: /);
    const strange = await request({ url: "https://nobody.invalid/" });
    assert.equal(strange.code, 2);
  });

  test("an outcall under way when the node is killed is made again, and answered once", async () => {
    const sent = once(asking, "held");
    const submitted = await agent.call(id, {
      methodName: "update",
      arg: questionArg(httpQuestion({ url: `${origin}/hold` })),
      callSync: false,
    });
    await sent;
    await network.end("SIGKILL");
    const again = once(asking, "held");
    network = await startNetwork({ stateDir });
    agent = agentFor(network, identity);
    await again;
    assert.equal(asked, 2);
    // The first connection is gone with the process; what is said there reaches nobody.
    held[0]?.end("first");
    held[1]?.end("second");
    const { reply: bytes } = await polling.pollForResponse(agent, { canisterId: id }, submitted.requestId);
    assert.equal(text(httpReply(told(new Uint8Array(bytes))).body), "second");
    assert.equal(httpReply(await request({ url: `${origin}/` })).status, 200n);
    assert.equal(asked, 2);
  });
});
