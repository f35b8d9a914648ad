/** What the endpoints do when they serve: synchronous calls, queries, read_state, and the surface around them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CborMap, type NodeId, toHex, utf8 } from "@orrery/base";
import { requestId, verifyQueryResponse } from "@orrery/crypto";
import { ed25519Signer } from "@orrery/crypto/curves";
import {
  ADMIN,
  alice,
  bob,
  CANISTER,
  CERTIFICATE,
  canisterUrl,
  carol,
  createTestApi,
  createWorld,
  DEFAULT_URL,
  fieldsOf,
  NODE,
  NODE_ID,
  NOW,
  OTHER,
  post,
  type Send,
  seed,
  signedEnvelope,
  subnetUrl,
  textOf,
  verifier,
} from "./api.testkit.ts";
import { type Api, createFetchHandler, type HttpResponse, type ReplicaView } from "./index.ts";

describe("update calls", () => {
  const senders: readonly (readonly [string, Send])[] = [
    ["anonymous", { signer: null }],
    ["Ed25519", { signer: alice }],
    ["P-256", { signer: bob }],
    ["secp256k1", { signer: carol }],
    [
      "a delegation with targets",
      { signer: alice, delegations: [{ to: bob, fields: { targets: [OTHER, CANISTER] } }] },
    ],
    [
      "20 delegations",
      {
        signer: carol,
        delegations: Array.from({ length: 20 }, (_, i) => ({ to: ed25519Signer(seed(100 + i)) })),
      },
    ],
    ["permissions all", { signer: bob, delegations: [{ to: carol, fields: { permissions: "all" } }] }],
    ["unknown content fields", { signer: alice, content: { future_field: utf8("?") } }],
  ];
  for (const [name, send] of senders) {
    test(`sent by ${name} are answered with the certificate`, async () => {
      const world = createWorld();
      const { bytes, content } = signedEnvelope(send);
      const fields = fieldsOf(await post(createTestApi(world), { ...send, body: bytes }));
      assert.deepEqual(fields, { status: "replied", certificate: CERTIFICATE });
      assert.equal(world.submitted.length, 1);
      assert.deepEqual(world.submitted[0]?.bytes, bytes);
      assert.deepEqual(world.submitted[0]?.requestId, requestId(content));
      assert.equal(world.cancelled, 1);
    });
  }

  test("that the certified state knows are answered without submitting", async () => {
    const world = createWorld();
    world.known = utf8("already");
    assert.deepEqual(fieldsOf(await post(createTestApi(world), {})), {
      status: "replied",
      certificate: utf8("already"),
    });
    assert.equal(world.submitted.length + world.watched, 0);
  });

  test("ask for flat ranges in v3 and sharded ones in v4", async () => {
    const world = createWorld();
    const forms: string[] = [];
    const view: ReplicaView = {
      ...world.view,
      requestCertificate: (_id, _to, ranges) => {
        forms.push(ranges);
        return CERTIFICATE;
      },
    };
    const api = createTestApi({ ...world, view });
    await post(api, { url: canisterUrl(3, "call") });
    await post(api, { url: canisterUrl(4, "call") });
    assert.deepEqual(forms, ["flat", "sharded"]);
  });

  test("identical and concurrent: the second is told so, the first gets the certificate", async () => {
    const world = createWorld();
    let answer = (_: boolean): void => {};
    world.answered = new Promise((resolve) => {
      answer = resolve;
    });
    world.knownAfter = null;
    const api = createTestApi(world);
    const body = signedEnvelope({}).bytes;
    const first = post(api, { body });
    const second = await post(api, { body });
    assert.equal(second.status, 202);
    assert.equal(textOf(second), "Duplicate request. Message is already being tracked and executed.");
    world.knownAfter = CERTIFICATE;
    answer(true);
    assert.equal(fieldsOf(await first)["status"], "replied");
    assert.equal(world.watched, 1);
  });

  test("refused by the ingress filter: the error map, with status in v3 and v4", async () => {
    for (const version of [2, 3, 4]) {
      const world = createWorld();
      world.refuse = { code: 301, message: "Canister x not found." };
      const fields = fieldsOf(await post(createTestApi(world), { url: canisterUrl(version, "call") }));
      const error = { reject_code: 3, reject_message: "Canister x not found.", error_code: "IC0301" };
      assert.deepEqual(fields, version === 2 ? error : { status: "non_replicated_rejection", ...error });
      assert.equal(world.submitted.length, 0);
    }
  });

  test("to the management canister follow the argument; creation may name any canister or none", async () => {
    for (const id of [CANISTER, new Uint8Array(0)]) {
      const world = createWorld();
      const content = {
        canister_id: new Uint8Array(0),
        arg: new Uint8Array(0),
        method_name: "create_canister",
      };
      assert.equal(
        fieldsOf(await post(createTestApi(world), { url: canisterUrl(4, "call", id), content }))["status"],
        "replied",
      );
    }
    const world = createWorld();
    const content = { canister_id: new Uint8Array(0), arg: CANISTER, method_name: "canister_status" };
    assert.equal(fieldsOf(await post(createTestApi(world), { content }))["status"], "replied");
  });

  test("through the subnet endpoint are for admins", async () => {
    const content = { canister_id: new Uint8Array(0), method_name: "create_canister" };
    const url = subnetUrl(4, "call");
    const refused = fieldsOf(await post(createTestApi(createWorld()), { url, content }));
    assert.equal(refused["status"], "non_replicated_rejection");
    assert.equal(refused["error_code"], "IC0410");
    assert.equal(refused["reject_code"], 4);
    for (const method_name of ["create_canister", "provisional_create_canister_with_cycles"]) {
      const creation = { ...content, method_name };
      const served = await post(createTestApi(createWorld()), { url, content: creation, signer: ADMIN });
      assert.equal(fieldsOf(served)["status"], "replied", method_name);
    }
  });

  test("frees the id when the submission fails, so that a retry is no duplicate", async () => {
    const world = createWorld();
    world.outcome = "overloaded";
    const api = createTestApi(world);
    const body = signedEnvelope({}).bytes;
    assert.equal((await post(api, { body })).status, 503);
    world.outcome = "accepted";
    assert.equal((await post(api, { body })).status, 200);
  });
});

describe("queries", () => {
  function signatureOf(fields: Record<string, unknown>): {
    timestamp: bigint;
    signature: Uint8Array;
    identity: NodeId;
  } {
    const [signature] = fields["signatures"] as [CborMap];
    return {
      timestamp: BigInt(signature.get("timestamp") as bigint),
      signature: signature.get("signature") as Uint8Array,
      identity: signature.get("identity") as NodeId,
    };
  }

  test("replied: signed by the node, for this request", async () => {
    const world = createWorld();
    const { bytes, content } = signedEnvelope({ kind: "query", signer: null });
    const fields = fieldsOf(await post(createTestApi(world), { kind: "query", body: bytes }));
    assert.equal(fields["status"], "replied");
    const arg = (fields["reply"] as CborMap).get("arg") as Uint8Array;
    assert.deepEqual(arg, utf8("DIDL"));
    const nodeSignature = signatureOf(fields);
    assert.equal(nodeSignature.timestamp, NOW);
    assert.deepEqual(nodeSignature.identity, NODE_ID);
    const check = (id: Uint8Array) =>
      verifyQueryResponse({
        response: { status: "replied", arg },
        requestId: id,
        nodeSignature,
        nodeKeyDer: NODE.publicKeyDer,
        verifier,
      });
    assert.ok(check(requestId(content)).ok);
    assert.ok(!check(seed(0)).ok);
  });

  for (const errorCode of ["IC0406", null]) {
    test(`rejected ${errorCode === null ? "without" : "with"} an error code: signed too`, async () => {
      const world = createWorld();
      world.query = {
        outcome: { status: "rejected", rejectCode: 4, rejectMessage: "no ⛔", errorCode },
        timestamp: NOW,
      };
      const { bytes, content } = signedEnvelope({ kind: "query" });
      const fields = fieldsOf(await post(createTestApi(world), { kind: "query", body: bytes }));
      assert.equal(fields["reject_code"], 4);
      assert.equal(fields["reject_message"], "no ⛔");
      assert.equal(fields["error_code"], errorCode ?? undefined);
      const response = { status: "rejected", rejectCode: 4, rejectMessage: "no ⛔", errorCode } as const;
      const nodeSignature = signatureOf(fields);
      assert.ok(
        verifyQueryResponse({
          response,
          requestId: requestId(content),
          nodeSignature,
          nodeKeyDer: NODE.publicKeyDer,
          verifier,
        }).ok,
      );
    });
  }

  test("under a delegation for queries, whatever a later one says", async () => {
    const delegations = [
      { to: bob, fields: { permissions: "queries" } },
      { to: carol, fields: { permissions: "all" } },
    ];
    assert.equal(
      fieldsOf(await post(createTestApi(createWorld()), { kind: "query", delegations }))["status"],
      "replied",
    );
  });

  test("anonymous with any expiry", async () => {
    const send: Send = { kind: "query", signer: null, content: { ingress_expiry: 1n } };
    assert.equal(fieldsOf(await post(createTestApi(createWorld()), send))["status"], "replied");
  });

  test("of the subnet are for admins", async () => {
    const send: Send = {
      kind: "query",
      url: subnetUrl(3, "query"),
      content: { canister_id: new Uint8Array(0), method_name: "list_canisters" },
    };
    assert.equal(fieldsOf(await post(createTestApi(createWorld()), send))["error_code"], "IC0410");
    assert.equal(
      fieldsOf(await post(createTestApi(createWorld()), { ...send, signer: ADMIN }))["status"],
      "replied",
    );
  });

  test("are answered without a promise when everything is at hand", () => {
    const { bytes } = signedEnvelope({ kind: "query" });
    const header = (name: string): string => (name === "host" ? "localhost" : "application/cbor");
    const response = createTestApi(createWorld())({
      method: "POST",
      url: DEFAULT_URL.query,
      header,
      headers: () => [],
      body: bytes,
    });
    assert.ok(!(response instanceof Promise));
  });
});

describe("read_state", () => {
  test("hands the view what it needs to authorise, on canister and subnet endpoints", async () => {
    const cases = [
      [canisterUrl(2, "read_state"), "canister", "flat"],
      [canisterUrl(3, "read_state"), "canister", "sharded"],
      [subnetUrl(2, "read_state"), "subnet", "flat"],
      [subnetUrl(3, "read_state"), "subnet", "sharded"],
      [canisterUrl(3, "read_state", new Uint8Array(0)), "canister", "sharded"],
    ] as const;
    for (const [url, kind, ranges] of cases) {
      const world = createWorld();
      const delegations = [{ to: bob, fields: { targets: [CANISTER] } }];
      const fields = fieldsOf(await post(createTestApi(world), { kind: "read_state", url, delegations }));
      assert.deepEqual(fields, { certificate: CERTIFICATE });
      const [query] = world.stateQueries;
      assert.equal(query?.destination.kind, kind);
      assert.equal(query?.ranges, ranges);
      assert.deepEqual(query?.paths, [[utf8("time")]]);
      assert.deepEqual([...(query?.targets ?? [])], [toHex(CANISTER)]);
    }
  });
});

describe("the rest of the surface", () => {
  const get = (api: Api, url: string, method = "GET"): Promise<HttpResponse> =>
    post(api, { url, method, body: new Uint8Array(0), headers: { "content-type": undefined } });

  test("status", async () => {
    const api = createTestApi(createWorld());
    const fields = fieldsOf(await get(api, "/api/v2/status"));
    assert.deepEqual(fields, {
      root_key: utf8("root key"),
      impl_version: "1.0",
      replica_health_status: "healthy",
      certified_height: 12,
    });
  });

  test("status while starting: answered, and says so", async () => {
    const world = createWorld();
    world.health = "starting";
    assert.equal(
      fieldsOf(await get(createTestApi(world), "/api/v2/status"))["replica_health_status"],
      "starting",
    );
  });

  test("CORS preflight on every endpoint", async () => {
    const api = createTestApi(createWorld());
    for (const url of [
      "/api/v2/status",
      ...Object.values(DEFAULT_URL),
      subnetUrl(2, "read_state"),
      "/anything",
    ]) {
      const response = await get(api, url, "OPTIONS");
      assert.equal(response.status, 200);
      assert.equal(response.headers["access-control-allow-origin"], "*");
      assert.equal(response.headers["access-control-allow-methods"], "GET,POST");
      assert.equal(response.headers["access-control-allow-headers"], "authorization,accept,content-type");
    }
  });

  test("metrics count what was answered", async () => {
    const api = createTestApi(createWorld(), { metrics: () => "node_height 3\n" });
    await post(api, { kind: "query" });
    await get(api, "/nowhere");
    const text = textOf(await get(api, "/metrics"));
    assert.match(text, /^orrery_http_requests_total\{endpoint="query",status="200"\} 1$/m);
    assert.match(text, /^orrery_http_requests_total\{endpoint="other",status="404"\} 1$/m);
    assert.match(text, /^orrery_http_requests_in_flight\{endpoint="query"\} 0$/m);
    assert.match(text, /^node_height 3$/m);
  });

  test("gateway and administration take what is theirs", async () => {
    const page: HttpResponse = { status: 200, headers: {}, body: "page" };
    const api = createTestApi(createWorld(), { gateway: () => page, admin: () => null });
    assert.equal(textOf(await get(api, "/index.html")), "page");
    assert.equal((await get(api, "/_/unknown")).status, 404);
  });

  test("configured host names are served", async () => {
    const api = createTestApi(createWorld(), { hosts: ["node.example"] });
    assert.equal((await post(api, { kind: "query", headers: { host: "node.example:80" } })).status, 200);
  });

  test("works behind WHATWG requests", async () => {
    const fetchHandler = createFetchHandler(
      createTestApi(createWorld()),
      (body, init) => new Response(body as never, init),
    );
    const { bytes } = signedEnvelope({ kind: "query" });
    const url = `http://localhost:8000${DEFAULT_URL.query}`;
    const headers = { "Content-Type": "application/cbor" };
    const response = await fetchHandler(new Request(url, { method: "POST", headers, body: bytes as never }));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/cbor");
    assert.equal((await fetchHandler(new Request("http://localhost:8000/api/v2/status"))).status, 200);
  });
});
