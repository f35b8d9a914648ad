/**
 * Every HTTP status and text of the HTTPS interface (interface spec, "HTTPS Interface" and "Authentication"), through the
 * handler, with envelopes that real keys signed.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ANONYMOUS,
  type CborValue,
  concatBytes,
  encodeCbor,
  encodeCborBare,
  principalToText,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import { ed25519Signer } from "@orrery/crypto/curves";
import {
  alice,
  bob,
  CANISTER,
  canisterUrl,
  carol,
  contentOf,
  createTestApi,
  createWorld,
  DEFAULT_URL,
  ELSEWHERE,
  type Fields,
  MINUTE,
  NOW,
  OTHER,
  post,
  type Send,
  seed,
  signedEnvelope,
  subnetUrl,
  textOf,
  type World,
} from "./api.testkit.ts";
import type { ApiOptions } from "./index.ts";

interface Refusal {
  readonly name: string;
  readonly send: Send;
  readonly world?: (world: World) => void;
  readonly options?: Partial<ApiOptions>;
  readonly status: number;
  readonly text: string | RegExp;
}

const EVERY_KIND = ["call", "query", "read_state"] as const;

const REFUSALS: readonly Refusal[] = [
  // Routing.
  { name: "unknown path", send: { url: "/api/v2/nothing" }, status: 404, text: "Endpoint not found." },
  {
    name: "query has no v4",
    send: { url: canisterUrl(4, "query") },
    status: 404,
    text: "Endpoint not found.",
  },
  {
    name: "subnet call has no v3",
    send: { url: subnetUrl(3, "call") },
    status: 404,
    text: "Endpoint not found.",
  },
  {
    name: "subnet query has no v2",
    send: { url: subnetUrl(2, "query") },
    status: 404,
    text: "Endpoint not found.",
  },
  {
    name: "admin prefix without an admin",
    send: { url: "/_/topology" },
    status: 404,
    text: "Endpoint not found.",
  },
  {
    name: "GET on an endpoint",
    send: { method: "GET" },
    status: 405,
    text: "Method GET is not allowed here, expected POST.",
  },
  {
    name: "POST on status",
    send: { url: "/api/v2/status" },
    status: 405,
    text: "Method POST is not allowed here, expected GET,HEAD.",
  },
  {
    name: "a principal that is none",
    send: { url: "/api/v2/canister/aaaaa-ab/call" },
    status: 400,
    text: /^Invalid URL: Cannot parse `aaaaa-ab` as a principal: /,
  },
  {
    name: "a host name that is not ours",
    send: { headers: { host: "evil.example:8000" } },
    status: 403,
    text: /^Host "evil\.example" is not served by this node/,
  },
  // Bodies, on every endpoint.
  ...EVERY_KIND.flatMap((kind): Refusal[] => [
    {
      name: `${kind}: no content type`,
      send: { kind, headers: { "content-type": undefined } },
      status: 400,
      text: "Unexpected content-type, expected application/cbor.",
    },
    {
      name: `${kind}: wrong content type`,
      send: { kind, headers: { "content-type": "application/json" } },
      status: 400,
      text: "Unexpected content-type, expected application/cbor.",
    },
    {
      name: `${kind}: body over the limit`,
      send: { kind, body: new Uint8Array(5 * 1024 * 1024 + 1) },
      status: 413,
      text: "length limit exceeded",
    },
    {
      name: `${kind}: not CBOR`,
      send: { kind, body: utf8("hello") },
      status: 400,
      text: /^Failed to deserialize cbor request: /,
    },
    {
      name: `${kind}: empty`,
      send: { kind, body: new Uint8Array(0) },
      status: 400,
      text: /^Failed to deserialize cbor request: .*truncated/,
    },
    {
      name: `${kind}: another kind of request`,
      send: {
        kind,
        body: signedEnvelope({ kind: kind === "query" ? "read_state" : "query" }).bytes,
      },
      status: 400,
      text: `Failed to deserialize cbor request: unknown variant \`${kind === "query" ? "read_state" : "query"}\`, expected \`${kind}\``,
    },
    {
      name: `${kind}: unhealthy replica`,
      send: { kind },
      world: (world) => {
        world.health = "waiting_for_certified_state";
      },
      status: 503,
      text: "Replica is unhealthy: WaitingForCertifiedState. Check the /api/v2/status for more information.",
    },
    {
      name: `${kind}: too many in flight`,
      send: { kind },
      options: { limits: { callsMax: 0, queriesMax: 0, readStatesMax: 0 } },
      status: 429,
      text: "The service is overloaded.",
    },
    {
      name: `${kind}: canister of another network`,
      send: {
        kind,
        url: DEFAULT_URL[kind].replace(principalToText(CANISTER), principalToText(ELSEWHERE)),
        content: kind === "read_state" ? {} : { canister_id: ELSEWHERE },
      },
      status: 400,
      text: `Canister ${principalToText(ELSEWHERE)} is not in the canister ranges of a subnet that is served here.`,
    },
    // Authentication.
    {
      name: `${kind}: expired`,
      send: { kind, content: { ingress_expiry: NOW - 1n } },
      status: 400,
      text: /^Invalid request expiry: Specified ingress_expiry not within expected range: Minimum allowed expiry: 2027-01-15 08:00:00 UTC, Maximum allowed expiry: 2027-01-15 08:05:30 UTC, Provided expiry: {8}2027-01-15 07:59:59\.999999999 UTC$/,
    },
    {
      name: `${kind}: expiry too far ahead`,
      send: { kind, content: { ingress_expiry: NOW + 6n * MINUTE } },
      status: 400,
      text: /^Invalid request expiry: /,
    },
    {
      name: `${kind}: nonce over 32 bytes`,
      send: { kind, content: { nonce: new Uint8Array(33) } },
      status: 400,
      text: "Nonce in request is too big: got 33 bytes, but at most 32 are allowed.",
    },
    {
      name: `${kind}: anonymous with a signature`,
      send: { kind, signer: null, envelope: { sender_sig: new Uint8Array(64) } },
      status: 400,
      text: "Signature is not allowed for the anonymous user.",
    },
    {
      name: `${kind}: no signature`,
      send: { kind, signer: null, content: { sender: selfAuthenticating(alice.publicKeyDer) } },
      status: 400,
      text: `Missing signature from user: ${principalToText(selfAuthenticating(alice.publicKeyDer))}`,
    },
    {
      name: `${kind}: somebody else's key`,
      send: { kind, signer: alice, envelope: { sender_pubkey: bob.publicKeyDer } },
      status: 400,
      text: /^The user id '.*' does not match the public key '/,
    },
    ...[alice, bob, carol].map((signer, i): Refusal => {
      const scheme = ["Ed25519", "EcdsaP256", "EcdsaSecp256k1"][i] as string;
      return {
        name: `${kind}: wrong ${scheme} signature`,
        send: { kind, signer, envelope: { sender_sig: new Uint8Array(64).fill(1) } },
        status: 400,
        text: new RegExp(
          `^Invalid signature: Invalid basic signature: ${scheme} signature could not be verified: `,
        ),
      };
    }),
    {
      name: `${kind}: delegation signed by the wrong key`,
      send: { kind, delegations: [{ to: bob, by: carol }] },
      status: 400,
      text: /^Invalid delegation: /,
    },
    {
      name: `${kind}: delegation expired`,
      send: { kind, delegations: [{ to: bob, fields: { expiration: NOW - 1n } }] },
      status: 400,
      text: /^Invalid delegation expiry: Specified sender delegation has expired:\n/,
    },
    {
      name: `${kind}: delegation in a cycle`,
      send: { kind, delegations: [{ to: bob }, { to: carol }, { to: bob }] },
      status: 400,
      text: /^Invalid delegation: Chain of delegations contains at least one cycle: /,
    },
    {
      name: `${kind}: 21 delegations`,
      send: {
        kind,
        delegations: Array.from({ length: 21 }, (_, i) => ({ to: ed25519Signer(seed(100 + i)) })),
      },
      status: 400,
      text: "Invalid delegation: Chain of delegations is too long: got 21 delegations, but at most 20 are allowed.",
    },
    {
      name: `${kind}: unknown permissions`,
      send: { kind, delegations: [{ to: bob, fields: { permissions: "some" } }] },
      status: 400,
      text: 'Invalid delegation: Delegation permissions error: expected "queries" or "all", but got "some"',
    },
  ]),
  ...(["call", "query"] as const).flatMap((kind): Refusal[] => [
    {
      name: `${kind}: canister not in the targets`,
      send: { kind, delegations: [{ to: bob, fields: { targets: [OTHER] } }] },
      status: 400,
      text: `Canister '${principalToText(CANISTER)}' is not one of the delegation targets.`,
    },
    {
      name: `${kind}: targets that do not intersect`,
      send: {
        kind,
        delegations: [
          { to: bob, fields: { targets: [CANISTER] } },
          { to: carol, fields: { targets: [OTHER] } },
        ],
      },
      status: 400,
      text: `Canister '${principalToText(CANISTER)}' is not one of the delegation targets.`,
    },
    {
      name: `${kind}: effective canister id is not the canister`,
      send: { kind, url: DEFAULT_URL[kind].replace(principalToText(CANISTER), principalToText(OTHER)) },
      status: 400,
      text: `Specified CanisterId ${principalToText(CANISTER)} does not match effective canister id in URL ${principalToText(OTHER)}`,
    },
    {
      name: `${kind}: management argument names another canister`,
      send: { kind, content: { canister_id: new Uint8Array(0), arg: OTHER } },
      status: 400,
      text: `Specified CanisterId ${principalToText(OTHER)} does not match effective canister id in URL ${principalToText(CANISTER)}`,
    },
    {
      name: `${kind}: subnet of another network`,
      send: { kind, url: subnetUrl(kind === "call" ? 4 : 3, kind, selfAuthenticating(utf8("other"))) },
      status: 400,
      text: /^Subnet .* is not served here\.$/,
    },
    {
      name: `${kind}: subnet endpoint for anything else`,
      send: { kind, url: subnetUrl(kind === "call" ? 4 : 3, kind) },
      status: 400,
      text: /^Subnet-scoped (calls serve the creation of canisters by|queries serve the method list_canisters of) the management canister only/,
    },
    {
      name: `${kind}: sender_info without a canister key`,
      send: {
        kind,
        content: {
          sender_info: new Map<string, CborValue>([
            ["info", utf8("i")],
            ["signer", CANISTER],
            ["sig", utf8("s")],
          ]),
        },
      },
      status: 400,
      text: /^Invalid sender info: sender_pubkey is not a valid canister signature public key: /,
    },
  ]),
  // Calls.
  {
    name: "call under a delegation for queries",
    send: {
      delegations: [
        { to: bob, fields: { permissions: "queries" } },
        { to: carol, fields: { permissions: "all" } },
      ],
    },
    status: 400,
    text: "Invalid delegation: Delegation permissions error: the delegation permits queries only, not update calls",
  },
  {
    name: "call over the ingress limit",
    send: { content: { arg: new Uint8Array(4_000) } },
    world: (world) => {
      world.ingressBytesMax = 4_000;
    },
    status: 413,
    text: /^Request [0-9a-f]{64} is too large\. Message byte size 4\d{3} is larger than the max allowed 4000\.$/,
  },
  {
    name: "ingress pool full",
    send: {},
    world: (world) => {
      world.full = true;
    },
    status: 503,
    text: "Service is overloaded, try again later.",
  },
  ...[2, 3, 4].flatMap((version): Refusal[] => [
    {
      name: `v${version} call: submission sheds load`,
      send: { url: canisterUrl(version, "call") },
      world: (world) => {
        world.outcome = "overloaded";
      },
      status: 503,
      text: "Service is overloaded, try again later.",
    },
    {
      name: `v${version} call: no consensus on this node`,
      send: { url: canisterUrl(version, "call") },
      world: (world) => {
        world.outcome = "unavailable";
      },
      status: 500,
      text: "P2P is not running on this node.",
    },
  ]),
  ...[3, 4].flatMap((version): Refusal[] => [
    {
      name: `v${version} call: not answered in time`,
      send: { url: canisterUrl(version, "call") },
      world: (world) => {
        world.answered = Promise.resolve(false);
      },
      status: 202,
      text: "Message did not complete execution and certification within the replica defined timeout.",
    },
    {
      name: `v${version} call: answered but pruned`,
      send: { url: canisterUrl(version, "call") },
      world: (world) => {
        world.knownAfter = null;
      },
      status: 202,
      text: "Certified state does not contain request status. Please try /read_state.",
    },
  ]),
  { name: "v2 call accepted", send: { url: canisterUrl(2, "call") }, status: 202, text: "" },
  // Queries.
  {
    name: "no certified state for a query",
    send: { kind: "query" },
    world: (world) => {
      world.query = null;
    },
    status: 503,
    text: "Certified state unavailable. Please try again.",
  },
  // read_state.
  {
    name: "too many paths",
    send: { kind: "read_state", content: { paths: Array.from({ length: 1_001 }, () => [utf8("time")]) } },
    status: 400,
    text: "Too many paths in read state request: got 1001 paths, but at most 1000 are allowed.",
  },
  {
    name: "path too deep",
    send: { kind: "read_state", content: { paths: [Array.from({ length: 128 }, () => utf8("a"))] } },
    status: 400,
    text: "At least one path in read state request is too deep: got 128 labels, but at most 127 are allowed.",
  },
  {
    name: "no certified state to read",
    send: { kind: "read_state" },
    world: (world) => {
      world.state = { kind: "unavailable" };
    },
    status: 503,
    text: "Certified state is not available yet. Please try again...",
  },
  ...(
    [
      [404, "Invalid path requested."],
      [403, "The user tries to access Request ID not signed by the caller."],
      [400, "Invalid request id in paths. Maybe the request ID is not of 32 bytes in length?!"],
    ] as const
  ).map(
    ([status, text]): Refusal => ({
      name: `the view refuses with ${status}`,
      send: { kind: "read_state" },
      world: (world) => {
        world.state = { kind: "refused", status, text };
      },
      status,
      text,
    }),
  ),
];

describe("statuses and texts", () => {
  for (const refusal of REFUSALS) {
    test(refusal.name, async () => {
      const world = createWorld();
      refusal.world?.(world);
      const response = await post(createTestApi(world, refusal.options), refusal.send);
      assert.equal(response.status, refusal.status, textOf(response));
      if (typeof refusal.text === "string") assert.equal(textOf(response), refusal.text);
      else assert.match(textOf(response), refusal.text);
      assert.equal(response.headers["access-control-allow-origin"], "*");
      assert.match(String(response.headers["content-type"]), /^text\/plain/);
      if (response.status >= 400 && response.status < 500) {
        assert.equal(world.submitted.length + world.queries.length, 0, "nothing reached the replica");
      }
    });
  }
});

describe("strict CBOR", () => {
  const content = contentOf("call", ANONYMOUS, {});
  const withContent = (over: Fields): Uint8Array =>
    encodeCbor(new Map([["content", contentOf("call", ANONYMOUS, over)]]));
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      "trailing bytes",
      concatBytes(encodeCbor(new Map([["content", content]])), Uint8Array.of(0)),
      /trailing/,
    ],
    [
      "truncated",
      encodeCbor(new Map([["content", content]])).subarray(0, 40),
      /longer than the input|truncated/,
    ],
    ["an array", encodeCbor([1, 2]), /`envelope` is not a map/],
    ["no content", encodeCbor(new Map([["sender_sig", utf8("x")]])), /missing field `content`/],
    ["an indefinite map", Uint8Array.of(0xd9, 0xd9, 0xf7, 0xbf, 0xff), /indefinite/],
    [
      "a duplicate key",
      concatBytes(
        Uint8Array.of(0xa2),
        encodeCborBare("content"),
        encodeCborBare(content),
        encodeCborBare("content"),
        encodeCborBare(content),
      ),
      /content/,
    ],
    ["nesting bomb", new Uint8Array(100_000).fill(0x81), /nesting/],
    [
      "huge declared length",
      Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      /longer than the input/,
    ],
    [
      "a principal over 29 bytes",
      withContent({ canister_id: new Uint8Array(30) }),
      /`canister_id` is not a principal/,
    ],
    ["an expiry over 64 bits", concatBytes(withContent({ ingress_expiry: -1 })), /outside nat64/],
    ["an expiry that is text", withContent({ ingress_expiry: "soon" }), /`ingress_expiry` is not an integer/],
    ["an argument that is text", withContent({ arg: "DIDL" }), /`arg` is not a byte string/],
    ["no method", withContent({ method_name: undefined }), /missing field `method_name`/],
    ["unknown request type", withContent({ request_type: "update" }), /unknown request_type `update`/],
  ];
  for (const [name, body, why] of cases) {
    test(name, async () => {
      const response = await post(createTestApi(createWorld()), { body });
      assert.equal(response.status, 400, textOf(response));
      assert.match(textOf(response), /^Failed to deserialize cbor request: /);
      assert.match(textOf(response), why);
    });
  }
});
