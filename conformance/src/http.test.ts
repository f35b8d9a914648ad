/**
 * The HTTPS interface of a running node at the level of bytes (interface spec, "HTTPS Interface"): every version of every
 * endpoint, certificates under the root key, identical requests sent again, and what the server in front of the handlers adds.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import {
  type CanisterId,
  type CborMap,
  type CborValue,
  concatBytes,
  decodeCbor,
  encodeCbor,
  principalFromText,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import {
  type CertificateScope,
  decodeCertificate,
  domainSep,
  lookupPath,
  requestId,
  type Signer,
  verifyCertificate,
} from "@orrery/crypto";
import { ed25519Signer } from "@orrery/crypto/curves";
import { createMclBls } from "@orrery/crypto/mcl";
import { agentFor, fixtureModule, type Network, startNetwork, subnetsOf } from "./harness.ts";
import { createCanister, installCode } from "./management.ts";

const NS_PER_MS = 1_000_000n;
const EXPIRY_MS = 180_000;
const CERTIFICATE_AGE_NS_MAX = 60_000_000_000n;
const ALICE: Signer = ed25519Signer(new Uint8Array(32).fill(21));
const ICP_LEDGER = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const NO_ARGUMENT: Uint8Array = utf8("DIDL\0\0");

let network: Network;
let canister: { readonly id: CanisterId; readonly text: string };
before(async () => {
  network = await startNetwork();
  const agent = agentFor(network, Ed25519KeyIdentity.generate());
  const created = await createCanister(agent, network.effectiveCanisterId);
  await installCode(agent, created, fixtureModule("counter.eop"));
  canister = { id: created.toUint8Array() as CanisterId, text: created.toText() };
});
after(async () => {
  await network.end("SIGTERM");
});

let nonces = 0;

interface Envelope {
  readonly bytes: Uint8Array;
  readonly id: Uint8Array;
}

function envelope(kind: string, fields: Readonly<Record<string, CborValue>>): Envelope {
  const content = new Map<string, CborValue>(
    Object.entries({
      request_type: kind,
      sender: selfAuthenticating(ALICE.publicKeyDer),
      ingress_expiry: BigInt(Date.now() + EXPIRY_MS) * NS_PER_MS,
      nonce: utf8(`${nonces++}`.padStart(4, "0")),
      ...fields,
    }),
  );
  const id = requestId(content);
  const sender_sig = ALICE.sign(concatBytes(domainSep("ic-request"), id));
  return { id, bytes: encodeCbor({ content, sender_pubkey: ALICE.publicKeyDer, sender_sig }) };
}

const call = (kind: "call" | "query", method_name: string): Envelope =>
  envelope(kind, { canister_id: canister.id, method_name, arg: NO_ARGUMENT });
const readState = (...paths: readonly (readonly Uint8Array[])[]): Envelope =>
  envelope("read_state", { paths });

async function post(path: string, body: Uint8Array): Promise<Response> {
  const headers = { "content-type": "application/cbor" };
  return await fetch(`${network.url}${path}`, {
    method: "POST",
    headers,
    body: body as Uint8Array<ArrayBuffer>,
  });
}

async function fieldsOf(response: Response): Promise<CborMap> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/cbor");
  return decodeCbor(new Uint8Array(await response.arrayBuffer())) as CborMap;
}

/** Verifies a certificate for the canister under the network's root key and looks a path up in it. */
async function certified(
  certificate: CborValue | undefined,
  ...path: readonly Uint8Array[]
): Promise<string> {
  return await certifiedFor({ canister: canister.id }, certificate, path);
}

async function certifiedFor(
  scope: CertificateScope,
  certificate: CborValue | undefined,
  path: readonly Uint8Array[],
): Promise<string> {
  assert.ok(certificate instanceof Uint8Array);
  const verified = verifyCertificate({
    bytes: certificate,
    rootKeyDer: network.rootKey,
    bls: await createMclBls(),
    scope,
    now: BigInt(Date.now()) * NS_PER_MS,
    maxAgeNs: CERTIFICATE_AGE_NS_MAX,
  });
  assert.ok(verified.ok, verified.ok ? "" : verified.error.message);
  const found = lookupPath(verified.value.tree, path);
  return found.kind === "found" ? new TextDecoder().decode(found.value) : found.kind;
}

const statusOf = (id: Uint8Array): readonly Uint8Array[] => [utf8("request_status"), id, utf8("status")];

describe("update calls", () => {
  for (const version of [3, 4]) {
    test(`v${version}: answered with a certificate; sent again, with the same answer and no second execution`, async () => {
      const { bytes, id } = call("call", "inc");
      const path = `/api/v${version}/canister/${canister.text}/call`;
      const answers: Uint8Array[] = [];
      for (let i = 0; i < 3; i++) {
        const fields = await fieldsOf(await post(path, bytes));
        assert.equal(fields.get("status"), "replied");
        assert.equal(await certified(fields.get("certificate"), ...statusOf(id)), "replied");
        const decoded = decodeCertificate(fields.get("certificate") as Uint8Array);
        assert.ok(decoded.ok);
        const reply = lookupPath(decoded.value.tree, [utf8("request_status"), id, utf8("reply")]);
        assert.ok(reply.kind === "found");
        answers.push(reply.value);
      }
      assert.deepEqual(answers[1], answers[0]);
      assert.deepEqual(answers[2], answers[0]);
    });

    test(`v${version}: the same envelope twice at once executes once`, async () => {
      const { bytes } = call("call", "inc");
      const path = `/api/v${version}/canister/${canister.text}/call`;
      const statuses = (await Promise.all([post(path, bytes), post(path, bytes)])).map(
        ({ status }) => status,
      );
      assert.ok(statuses.includes(200) && statuses.every((status) => status === 200 || status === 202));
    });
  }

  test("v2: accepted with an empty body, then found by read_state", async () => {
    const { bytes, id } = call("call", "inc");
    const accepted = await post(`/api/v2/canister/${canister.text}/call`, bytes);
    assert.equal(accepted.status, 202);
    assert.equal(await accepted.text(), "");
    for (const version of [2, 3]) {
      let status = "";
      while (status !== "replied") {
        const path = `/api/v${version}/canister/${canister.text}/read_state`;
        const fields = await fieldsOf(await post(path, readState(statusOf(id)).bytes));
        status = await certified(fields.get("certificate"), ...statusOf(id));
        assert.match(status, /^(absent|received|processing|replied)$/);
      }
    }
  });

  for (const [kind, max] of [
    ["application", 2_097_152],
    ["system", 3_670_016],
  ] as const) {
    test(`up to ${max} bytes on ${kind} subnets; over it 413 in the replica's words`, async () => {
      const text = kind === "system" ? ICP_LEDGER : canister.text;
      const sized = (bytes: number): Uint8Array => {
        const of = (arg: number): Uint8Array =>
          envelope("call", {
            canister_id: principalFromText(text),
            method_name: "no_such_method",
            arg: new Uint8Array(arg),
          }).bytes;
        return of(bytes - (of(max - 10_000).length - (max - 10_000)));
      };
      const send = (bytes: Uint8Array): Promise<Response> => post(`/api/v4/canister/${text}/call`, bytes);
      const [fits, over] = [sized(max), sized(max + 1)];
      assert.deepEqual([fits.length, over.length], [max, max + 1]);
      const taken = await fieldsOf(await send(fits));
      assert.equal(taken.get("status"), "replied", "with a certificate of its rejection");
      const refused = await send(over);
      assert.equal(refused.status, 413);
      const words = `is too large\\. Message byte size ${max + 1} is larger than the max allowed ${max}\\.$`;
      assert.match(await refused.text(), new RegExp(`^Request [0-9a-f]{64} ${words}`));
    });
  }

  test("through the subnet endpoint: refused to those who are no admins", async () => {
    const subnet = subnetsOf(network).application.id;
    const { bytes } = envelope("call", {
      canister_id: new Uint8Array(0),
      method_name: "create_canister",
      arg: NO_ARGUMENT,
    });
    const fields = await fieldsOf(await post(`/api/v4/subnet/${subnet}/call`, bytes));
    assert.equal(fields.get("error_code"), "IC0410");
  });
});

describe("queries", () => {
  for (const version of [2, 3]) {
    test(`v${version}: replied with one signature of the node`, async () => {
      const fields = await fieldsOf(
        await post(`/api/v${version}/canister/${canister.text}/query`, call("query", "get").bytes),
      );
      assert.equal(fields.get("status"), "replied");
      assert.equal((fields.get("signatures") as readonly unknown[]).length, 1);
    });
  }
});

describe("read_state", () => {
  for (const version of [2, 3]) {
    test(`v${version}: canister and subnet endpoints`, async () => {
      const subnet = subnetsOf(network).application.id;
      const scopes: readonly (readonly [string, CertificateScope])[] = [
        [`canister/${canister.text}`, { canister: canister.id }],
        [`subnet/${subnet}`, { subnet: principalFromText(subnet) }],
      ];
      for (const [url, scope] of scopes) {
        const fields = await fieldsOf(
          await post(`/api/v${version}/${url}/read_state`, readState([utf8("time")]).bytes),
        );
        assert.match(await certifiedFor(scope, fields.get("certificate"), [utf8("time")]), /./s);
      }
    });
  }
});

describe("the server", () => {
  test("answers status with the root key, and preflights from any origin", async () => {
    const fields = await fieldsOf(await fetch(`${network.url}/api/v2/status`));
    assert.deepEqual(fields.get("root_key"), network.rootKey);
    assert.equal(fields.get("replica_health_status"), "healthy");
    const preflight = await fetch(`${network.url}/api/v4/canister/${canister.text}/call`, {
      method: "OPTIONS",
      headers: { origin: "https://a.example" },
    });
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  });

  test("refuses a body over 5 MiB", async () => {
    const path = `/api/v4/canister/${canister.text}/call`;
    assert.equal((await post(path, new Uint8Array(5 * 1024 * 1024 + 1))).status, 413);
    assert.equal((await fetch(`${network.url}/api/v2/status`)).status, 200);
  });

  test("refuses a host name that was made to point here", async () => {
    const { port } = new URL(network.url);
    const status = await new Promise((resolve, reject) => {
      const sent = request(
        { host: "127.0.0.1", port, path: "/api/v2/status", headers: { host: "rebound.example" } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      sent.on("error", reject).end();
    });
    assert.equal(status, 403);
  });

  test("says 404, 405 and 400 in text", async () => {
    assert.equal((await fetch(`${network.url}/api/v1/status`)).status, 404);
    assert.equal((await fetch(`${network.url}/api/v4/canister/${canister.text}/call`)).status, 405);
    const wrong = await fetch(`${network.url}/api/v4/canister/${canister.text}/call`, {
      method: "POST",
      body: "{}",
    });
    assert.equal(wrong.status, 400);
    assert.equal(await wrong.text(), "Unexpected content-type, expected application/cbor.");
  });

  test("shows metrics", async () => {
    const text = await (await fetch(`${network.url}/metrics`)).text();
    assert.match(text, /^orrery_http_requests_total\{endpoint="query",status="200"\} \d+$/m);
  });
});
