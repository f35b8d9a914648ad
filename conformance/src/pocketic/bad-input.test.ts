/**
 * Bad input to every endpoint: an answer of the right shape that names what is wrong, and a server and an instance that go on as if nothing had
 * been asked.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { Principal } from "@icp-sdk/core/principal";
import { type Asked, ask, newInstance, type Reply, type Server, startServer } from "./server.ts";

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const CANISTER = base64(Principal.fromText("lxzze-o7777-77777-aaaaa-cai").toUint8Array());
const BEYOND_U64 = `${2n ** 64n}`;
const BEYOND_U128 = `${2n ** 128n}`;
const CALL = { sender: "BA==", canister_id: CANISTER, effective_principal: "None", method: "m", payload: "" };
const MESSAGE = { effective_principal: { CanisterId: CANISTER }, message_id: base64(new Uint8Array(32)) };

/** Bodies that each path refuses with 400, and a word of why. */
const REFUSED: Readonly<Record<string, readonly (readonly [string | object, RegExp])[]>> = {
  "read/query": [
    [{ ...CALL, payload: "!!!" }, /`payload` is the string "!!!", expected bytes in padded standard base64/],
    [{ ...CALL, payload: [1, 2] }, /`payload` is an array/],
    [{ ...CALL, sender: undefined }, /`sender` is null/],
    [{ ...CALL, sender: base64(new Uint8Array(30)) }, /has 30 bytes, a principal at most 29/],
    [{ ...CALL, effective_principal: "Some" }, /effective_principal/],
    [{ ...CALL, effective_principal: { SubnetId: "", CanisterId: "" } }, /effective_principal/],
    [{ ...CALL, method: 7 }, /`method` is 7, expected a string/],
    [{ ...CALL, canister_id: "", method: "no_such_method" }, /BadIngressMessage|effective/],
  ],
  "update/submit_ingress_message": [
    [{ ...CALL, canister_id: base64(Uint8Array.of(1, 2, 3)) }, /BadIngressMessage/],
    [{ ...CALL, effective_principal: { SubnetId: "AQ==" } }, /BadIngressMessage/],
    [{ ...CALL, payload: base64(new Uint8Array(3_000_000)) }, /BadIngressMessage/],
  ],
  "update/await_ingress_message": [
    [{ ...MESSAGE, message_id: "AAAA" }, /`message_id` has 3 bytes, a message id 32/],
    [{ ...MESSAGE, effective_principal: "None" }, /BadIngressMessage/],
    [{ ...MESSAGE, effective_principal: { SubnetId: "AQ==" } }, /BadIngressMessage/],
    [MESSAGE, /BadIngressMessage\(.*after 100 rounds/],
  ],
  "read/ingress_status": [
    [{ raw_message_id: MESSAGE, raw_caller: 5 }, /raw_caller/],
    [{ raw_caller: null }, /`raw_message_id` is null/],
  ],
  "read/get_cycles": [[{ canister_id: CANISTER }, /^CanisterNotFound\(CanisterId\(lxzze-/]],
  "read/get_controllers": [[{ canister_id: CANISTER }, /CanisterNotFound/]],
  "read/get_stable_memory": [[{ canister_id: CANISTER }, /CanisterNotFound/]],
  "read/get_subnet": [[{ canister_id: { canister_id: CANISTER } }, /`canister_id` is an object/]],
  "read/pub_key": [[{ subnet_id: "AQ==" }, /SubnetNotFound/]],
  "update/set_time": [
    [`{"nanos_since_epoch":${BEYOND_U64}}`, /expected an integer from 0 to 2\^64-1/],
    [{ nanos_since_epoch: -1 }, /is -1, expected/],
    [{ nanos_since_epoch: 1.5 }, /is 1\.5, expected/],
    [{ nanos_since_epoch: "1" }, /is the string/],
    [{ nanos_since_epoch: 1 }, /SettingTimeIntoPast/],
    ['{"nanos_since_epoch":1,"nanos_since_epoch":2}', /duplicate field/],
  ],
  "update/set_certified_time": [[{ nanos_since_epoch: 1 }, /SettingTimeIntoPast/]],
  "update/add_cycles": [
    [`{"canister_id":"${CANISTER}","amount":${BEYOND_U128}}`, /expected an integer from 0 to 2\^128-1/],
    [{ canister_id: CANISTER, amount: 1 }, /CanisterNotFound/],
  ],
  "update/set_stable_memory": [
    [{ canister_id: CANISTER, blob_id: "AAAA" }, /Bad blob id/],
    [{ canister_id: CANISTER }, /blob_id/],
  ],
  "update/tick": [
    [{ blockmakers: 5 }, /blockmakers/],
    [
      {
        blockmakers: [
          { subnet: { subnet_id: "AQ==" }, blockmaker: { node_id: "AQ==" }, failed_blockmakers: [] },
        ],
      },
      /SubnetNotFound/,
    ],
  ],
  "update/mock_canister_http": [
    [
      {
        subnet_id: { subnet_id: "AQ==" },
        request_id: 0,
        response: { CanisterHttpReject: { reject_code: 1, message: "" } },
      },
      /SubnetNotFound/,
    ],
    [{ subnet_id: { subnet_id: "AQ==" }, request_id: 0, response: {} }, /CanisterHttpReply/],
  ],
  "update/canister_snapshot_download": [[{ sender: {} }, /sender/]],
  "update/canister_snapshot_upload": [[{ sender: { principal_id: "BA==" } }, /canister_id/]],
  "update/delete_subnet": [[{ subnet_id: "AQ==" }, /SubnetNotFound/]],
  auto_progress: [[`{"artificial_delay_ms":${BEYOND_U64}}`, /artificial_delay_ms/]],
};

const BROKEN: readonly (readonly [string | Uint8Array, RegExp])[] = [
  ["{", /the body is no JSON: .*at line 1 column 2/],
  ["[]", /the body is an array, expected an object/],
  ['"text"', /the body is the string/],
  [Uint8Array.of(0xff, 0xfe), /not UTF-8/],
  ["[".repeat(200_000), /nested deeper/],
];

describe("bad input", () => {
  let server: Server;
  let id: number;

  before(async () => {
    server = await startServer({ arguments: ["--log-levels", "error"] });
    id = await newInstance(server);
  });
  after(() => server.end());

  const at = (path: string, asked: Asked = {}): Promise<Reply> =>
    ask(server, `/instances/${id}/${path}`, asked);

  function isRefusal(reply: Reply, status: number, why: RegExp, what: string): void {
    assert.equal(reply.status, status, `${what}: ${reply.status} ${reply.text.slice(0, 300)}`);
    const { message } = reply.json() as { readonly message: unknown };
    assert.equal(typeof message, "string", what);
    assert.match(message as string, why, what);
  }

  /** The instance answers, and its time is that of its genesis but for the rounds of refused waits. */
  async function isUnharmed(): Promise<void> {
    const { status, text } = await at("read/get_time");
    assert.equal(status, 200);
    assert.match(text, /^\{"nanos_since_epoch":162032863000000\d{4}\}$/);
  }

  test("shapes, values and ids that make no sense", async () => {
    for (const [path, cases] of Object.entries(REFUSED)) {
      for (const [body, why] of cases) {
        const sent = typeof body === "string" ? body : JSON.stringify(body);
        isRefusal(await at(path, { body: sent }), 400, why, `${path} ${sent.slice(0, 120)}`);
      }
    }
    await isUnharmed();
  });

  test("bodies that are no JSON, to every path that takes some", async () => {
    for (const path of Object.keys(REFUSED)) {
      for (const [body, why] of BROKEN) {
        isRefusal(await at(path, { body }), 400, why, `${path} ${String(body).slice(0, 40)}`);
      }
    }
    await isUnharmed();
  });

  test("no path that takes a body is left out here", async () => {
    const { paths } = (await ask(server, "/api.json")).json() as {
      readonly paths: Readonly<Record<string, { readonly post?: unknown }>>;
    };
    const taking = Object.entries(paths).flatMap(([path, methods]) => {
      const below = /^\/instances\/\{id\}\/(.+)$/.exec(path)?.[1];
      return below === undefined || methods.post === undefined ? [] : [below];
    });
    // What is sent to end automatic progress is not read.
    assert.deepEqual([...Object.keys(REFUSED), "stop_progress"].sort(), taking.sort());
    for (const body of ["{", "[]", ""]) assert.equal((await at("stop_progress", { body })).status, 200, body);
    await isUnharmed();
  });

  test("configurations of instances and gateways", async () => {
    const application = [{ state_config: "New" }];
    const refused: readonly (readonly [string | object, RegExp])[] = [
      ["{", /no JSON/],
      [{}, /`subnet_config_set` is null/],
      [{ subnet_config_set: {} }, /must contain at least one subnet/],
      [
        { subnet_config_set: { application: [{ state_config: { FromPath: "/x" } }] } },
        /FromPath: checkpoints of the replica are not read/,
      ],
      [{ subnet_config_set: { application: [{ state_config: { FromBlobStore: "" } }] } }, /FromBlobStore/],
      [{ subnet_config_set: { application: [{ state_config: "Old" }] } }, /is no subnet state/],
      [{ subnet_config_set: { application: Array(65).fill(application[0]) } }, /64 subnets/],
      [{ subnet_config_set: { application }, bitcoind_addr: ["127.0.0.1:18444"] }, /`bitcoind_addr`/],
      [{ subnet_config_set: { application }, dogecoind_addr: ["127.0.0.1:1"] }, /`dogecoind_addr`/],
      [
        { subnet_config_set: { application }, icp_features: { sns: "DefaultConfig", ii: "DefaultConfig" } },
        /the ICP features `sns`, `ii`/,
      ],
      [{ subnet_config_set: { application }, log_level: "loud" }, /Failed to parse log level/],
      [
        { subnet_config_set: { application }, initial_time: { Timestamp: { nanos_since_epoch: 1 } } },
        /must be no earlier than 1620328630000000000 \(provided 1\)/,
      ],
      [
        {
          subnet_config_set: { application },
          icp_features: { cycles_minting: "DefaultConfig" },
          initial_time: { Timestamp: { nanos_since_epoch: 1_620_328_630_000_000_000 } },
        },
        /must be no earlier than 1620633601000000000/,
      ],
      [{ subnet_config_set: { application }, initial_time: "now" }, /initial_time/],
      [
        { subnet_config_set: { application }, http_gateway_config: { port: 70_000 } },
        /http_gateway_config\.port/,
      ],
      [{ subnet_config_set: { application }, state_dir: "/proc/nowhere" }, /nowhere/],
    ];
    const before = (await ask(server, "/instances")).text;
    for (const [body, why] of refused) {
      const reply = await ask(server, "/instances", {
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
      assert.equal(reply.status, 400, reply.text);
      assert.deepEqual(Object.keys(reply.json() as object), ["Error"]);
      assert.match((reply.json() as { Error: { message: string } }).Error.message, why);
    }
    assert.equal((await ask(server, "/instances")).text, before);
    const gateways: readonly (readonly [number, object, RegExp])[] = [
      [400, {}, /forward_to/],
      [400, { forward_to: { PocketIcInstance: -1 } }, /PocketIcInstance/],
      [502, { forward_to: { PocketIcInstance: 999 } }, /no instance 999/],
      [502, { forward_to: { Replica: "http://127.0.0.1:1" } }, /not offered/],
      [502, { forward_to: { PocketIcInstance: id }, port: server.port }, /Failed to bind/],
      [
        502,
        { forward_to: { PocketIcInstance: id }, https_config: { cert_path: "/no", key_path: "/no" } },
        /TLS config/,
      ],
    ];
    for (const [status, body, why] of gateways) {
      const reply = await ask(server, "/http_gateway", { body: JSON.stringify(body) });
      assert.equal(reply.status, status, reply.text);
      assert.match((reply.json() as { Error: { message: string } }).Error.message, why);
    }
    assert.equal((await ask(server, "/http_gateway")).text, "[]");
  });

  test("paths, methods and ids that do not exist", async () => {
    const refused: readonly (readonly [number, string, Asked])[] = [
      [404, "/", {}],
      [404, "/nothing", {}],
      [404, "/instances/0/nothing", {}],
      [404, "/instances/0/read/constructor", {}],
      [404, "/instances/x/read/get_time", {}],
      [404, "/instances/-1/read/get_time", {}],
      [404, "/instances/99999999999999999999/read/get_time", {}],
      [404, "/instances/999/read/get_time", {}],
      [404, "/instances/999", { method: "DELETE" }],
      [404, "/instances/999/update/set_stable_memory", { body: "{}" }],
      [404, "/instances/999/api/v2/status", {}],
      [404, "/http_gateway/x/stop", { body: "" }],
      [404, "/read_graph/AAAA/1", {}],
      [404, "/prune_graph/AAAA/1", { method: "DELETE" }],
      [400, "/blobstore/zz", {}],
      [405, "/instances/0/read/get_time", { body: "{}" }],
      [405, "/instances/0/update/tick", {}],
      [405, "/instances", { method: "PUT" }],
      [405, "/blobstore", {}],
      [405, "/status", { body: "" }],
    ];
    for (const [status, path, asked] of refused) isRefusal(await ask(server, path, asked), status, /./, path);
    assert.equal((await ask(server, "/instances/0/api/v9/status")).status, 404);
    // One that is not there has stopped, as far as clients care.
    assert.equal((await ask(server, "/http_gateway/999/stop", { body: "" })).text, "null");
    await isUnharmed();
  });

  test("signatures that are none", async () => {
    const key = await at("read/topology");
    assert.equal(key.status, 200);
    const bad = { msg: "", sig: "", pubkey: "AAAA", root_pubkey: "AAAA" };
    const reply = await ask(server, "/verify_signature", { body: JSON.stringify(bad) });
    assert.equal(reply.status, 400);
    assert.match(reply.text, /^\{"Err":"Failed to parse DER encoded public key/);
    const shapeless = await ask(server, "/verify_signature", { body: "{}" });
    assert.deepEqual([shapeless.status, shapeless.text.startsWith('{"Err":')], [400, true]);
  });

  test("bodies of 64 MiB", async () => {
    const big = Buffer.alloc(64 * 1_024 * 1_024, 0x41);
    isRefusal(await at("update/submit_ingress_message", { body: big }), 400, /no JSON/, "as JSON");
    const payload = `{"sender":"BA==","canister_id":"${CANISTER}","effective_principal":"None","method":"m","payload":"${big.toString("latin1")}"}`;
    isRefusal(
      await at("update/submit_ingress_message", { body: payload }),
      400,
      /BadIngressMessage/,
      "as a call",
    );
    const config = await ask(server, "/instances", { body: big });
    isRefusal(config, 413, /over 1048576 bytes/, "as a configuration");
    const api = await at("api/v2/canister/aaaaa-aa/call", {
      body: big,
      headers: { "content-type": "application/cbor" },
    });
    assert.equal(api.status, 413);
    const stored = await ask(server, "/blobstore", { body: big });
    assert.equal(stored.status, 200);
    assert.match(stored.text, /^[0-9a-f]{64}$/);
    await isUnharmed();
  });

  test("names that were made to lead here", async () => {
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"]) {
      for (const path of ["/status", "/instances", "/instances/0/read/get_time"]) {
        isRefusal(await ask(server, path, { headers: { host } }), 403, /DNS rebinding/, host);
      }
    }
    for (const host of ["localhost", `127.0.0.1:${server.port}`, "[::1]:80", "a.localhost"]) {
      assert.equal((await ask(server, "/status", { headers: { host } })).status, 200, host);
    }
    const named = await startServer({ environment: { ORRERY_POCKET_IC_HOSTS: "pocket-ic,other" } });
    assert.equal((await ask(named, "/status", { headers: { host: "pocket-ic:1234" } })).status, 200);
    await named.end();
  });

  test("deletions at once, and what is asked meanwhile", async () => {
    const doomed = await newInstance(server);
    const path = `/instances/${doomed}`;
    const asked = await Promise.all([
      ask(server, `${path}/read/get_time`),
      ...Array.from({ length: 8 }, () => ask(server, path, { method: "DELETE" })),
      ask(server, `${path}/update/tick`, { body: "{}" }),
      ask(server, `${path}/api/v2/status`),
    ]);
    for (const { status, text } of asked) assert.ok(status === 200 || status === 404, `${status} ${text}`);
    isRefusal(await ask(server, `${path}/read/get_time`), 404, /Instance was deleted/, "afterwards");
    assert.equal((await ask(server, path, { method: "DELETE" })).status, 200);
    assert.notEqual(await newInstance(server), doomed);
    await isUnharmed();
  });

  test("clients that go away in the middle", async () => {
    for (const text of [
      "POST /instances HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
      "GET / nonsense\r\n\r\n",
      "\u0000",
    ]) {
      const socket = connect(server.port, "127.0.0.1");
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.on("error", () => {});
      socket.write(text);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.destroy();
    }
    await isUnharmed();
  });
});
