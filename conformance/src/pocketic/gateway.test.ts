/** Pages of a canister through the gateway of an instance: verified, in pieces, under a domain of one's own, over TLS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HttpAgent } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { motokoFixture } from "@orrery/canisters/fixtures";
import { selfSigned } from "@orrery/host/self-signed";
import { putPages } from "../programs/web-pages.ts";
import { install, type Program } from "../programs.ts";
import { ask, type Reply, type Server, startServer } from "./server.ts";

const BIG: Uint8Array = Uint8Array.from({ length: 1_200_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const DOMAINS_MS_MAX = 10_000;

interface Gateway {
  readonly instance_id: number;
  readonly port: number;
}

describe("gateways of instances", () => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-pocket-ic-gateway-"));
  const domainsFile = join(folder, "domains");
  let server: Server;
  let instance: number;
  let gateway: Gateway;
  let web: Program;

  async function open(more: object = {}): Promise<Gateway> {
    const body = { forward_to: { PocketIcInstance: instance }, ...more };
    const reply = await ask(server, "/http_gateway", { body: JSON.stringify(body) });
    assert.equal(reply.status, 201, reply.text);
    return (reply.json() as { readonly Created: Gateway }).Created;
  }

  before(async () => {
    server = await startServer({ arguments: ["--log-levels", "error"] });
    const made = await ask(server, "/instances", {
      body: JSON.stringify({
        subnet_config_set: { application: [{ state_config: "New" }] },
        initial_time: { AutoProgress: { artificial_delay_ms: null } },
      }),
    });
    const { instance_id: id, topology } = (
      made.json() as {
        Created: {
          instance_id: number;
          topology: { default_effective_canister_id: { canister_id: string } };
        };
      }
    ).Created;
    instance = id;
    writeFileSync(domainsFile, "");
    gateway = await open({ domain_custom_provider_local_file: domainsFile });
    const host = `http://127.0.0.1:${gateway.port}`;
    const agent = await HttpAgent.create({
      host,
      identity: Ed25519KeyIdentity.generate(),
      shouldFetchRootKey: true,
    });
    const effective = Buffer.from(topology.default_effective_canister_id.canister_id, "base64");
    const network = { effectiveCanisterId: Principal.fromUint8Array(new Uint8Array(effective)) };
    web = await install(network, agent, motokoFixture("web", "enhanced"));
    await putPages(web, [
      {
        key: "GET /",
        headers: [
          ["Content-Type", "text/html"],
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ],
        body: "<h1>Home</h1>",
      },
      { key: "GET /forged", body: "what somebody made of it", forged: true },
      { key: "POST /form", body: "", upgrade: true },
      { key: "GET /chunks", body: BIG, chunkBytes: 400_000 },
    ]);
  });
  after(async () => {
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const page = (path: string, asked: Parameters<typeof ask>[2] = {}): Promise<Reply> =>
    ask(gateway, path, { ...asked, headers: { host: `${web.id.toText()}.localhost`, ...asked.headers } });

  test("a page by its canister's name, and one that fails verification kept back", async () => {
    const home = await page("/");
    assert.deepEqual([home.status, home.text], [200, "<h1>Home</h1>"]);
    assert.deepEqual(home.headers["set-cookie"], ["a=1", "b=2"]);
    const forged = await page("/forged");
    assert.equal(forged.status, 503);
    assert.ok(!forged.text.includes("somebody"));
  });

  test("a request that becomes an update", async () => {
    const { status, text } = await page("/form", { method: "POST", body: "name=value" });
    assert.equal(status, 200);
    assert.match(text, /name=value$/);
  });

  test("a long body in pieces, whole and cut off by its reader", async () => {
    const read = async (stopAt: number): Promise<number> => {
      const sent = request({
        host: "127.0.0.1",
        port: gateway.port,
        path: "/chunks",
        headers: { host: `${web.id.toText()}.localhost` },
      });
      sent.on("error", () => {});
      sent.end();
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      assert.equal(response.headers["content-length"], String(BIG.length));
      let length = 0;
      for await (const piece of response) {
        assert.ok(
          (piece as Buffer).equals(Buffer.from(BIG.subarray(length, length + (piece as Buffer).length))),
        );
        length += (piece as Buffer).length;
        if (length >= stopAt) break;
      }
      sent.destroy();
      return length;
    };
    assert.equal(await read(Number.POSITIVE_INFINITY), BIG.length);
    assert.ok((await read(1)) < BIG.length);
    assert.equal((await page("/")).status, 200);
  });

  test("a domain of one's own, from a file that is read again", async () => {
    const at = (): Promise<Reply> => ask(gateway, "/", { headers: { host: "mine.example" } });
    assert.equal((await at()).status, 403);
    writeFileSync(domainsFile, `nonsense\nmine.example:${web.id.toText()}\nother.example:no-principal\n`);
    const deadline = Date.now() + DOMAINS_MS_MAX;
    let answer = await at();
    while (answer.status !== 200 && Date.now() < deadline) {
      await new Promise((done) => setTimeout(done, 50));
      answer = await at();
    }
    assert.equal(answer.text, "<h1>Home</h1>");
    assert.match(server.stderr(), /other\.example is passed over/);
  });

  test("over TLS", async () => {
    const { certificate, key } = selfSigned();
    const paths = { cert_path: join(folder, "cert.pem"), key_path: join(folder, "key.pem") };
    writeFileSync(paths.cert_path, certificate);
    writeFileSync(paths.key_path, key);
    const secure = await open({ https_config: paths });
    const sent = secureRequest({
      host: "127.0.0.1",
      port: secure.port,
      path: "/",
      ca: certificate,
      checkServerIdentity: () => undefined,
      headers: { host: `${web.id.toText()}.localhost` },
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    assert.equal(response.statusCode, 200);
    assert.equal((await ask(server, `/http_gateway/${secure.instance_id}/stop`, { body: "" })).status, 200);
  });
});
