/** The envelope validator: every rule of the specification's "Authentication", each with the replica's text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANONYMOUS,
  type CanisterId,
  type CborMap,
  type CborValue,
  canisterIdFromIndex,
  concatBytes,
  decodeEnvelope,
  type Envelope,
  encodeCbor,
  ok,
  principalKey,
  principalToText,
  type Result,
  selfAuthenticating,
  toHex,
  utf8,
} from "@orrery/base";
import { canisterSignatureKeyToDer } from "./der.ts";
import { domainSep } from "./hashes.ts";
import { type InvalidRequest, type ValidRequest, validateEnvelope } from "./ingress.ts";
import { hashOfMap, requestId } from "./request-id.ts";
import {
  createSignatureVerifier,
  ed25519Signer,
  p256Signer,
  type Signer,
  secp256k1Signer,
} from "./signatures.ts";

const NOW = 1_700_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const CANISTER = canisterIdFromIndex(1n);
const OTHER = canisterIdFromIndex(2n);
const verifier = createSignatureVerifier();

const key = (i: number): Signer => ed25519Signer(new Uint8Array(32).fill(i));
const USER = key(1);

type Fields = Readonly<Record<string, CborValue>>;

function content(kind: "call" | "query" | "read_state", sender: Uint8Array, more: Fields = {}): Fields {
  const common = { request_type: kind, sender, ingress_expiry: NOW + 240n * SECOND };
  const specific: Fields =
    kind === "read_state"
      ? { paths: [[utf8("time")]] }
      : { canister_id: CANISTER, method_name: "greet", arg: utf8("DIDL") };
  return { ...common, ...specific, ...more };
}

const mapOf = (fields: Fields): CborMap =>
  new Map(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

interface Link {
  readonly from: Signer;
  readonly to: Signer;
  readonly more?: Fields;
}

function delegate({ from, to, more = {} }: Link): CborValue {
  const delegation = { pubkey: to.publicKeyDer, expiration: NOW + 3_600n * SECOND, ...more };
  const signature = from.sign(
    concatBytes(domainSep("ic-request-auth-delegation"), hashOfMap(mapOf(delegation))),
  );
  return { delegation, signature };
}

function sign(fields: Fields, signer: Signer): Uint8Array {
  return signer.sign(concatBytes(domainSep("ic-request"), requestId(mapOf(fields))));
}

/** An envelope as it comes over the wire, so that the decoder is under test too. */
function envelope(fields: Fields, auth: Fields = {}): Envelope {
  const decoded = decodeEnvelope(encodeCbor({ content: fields, ...auth }));
  assert.ok(decoded.ok, decoded.ok ? "" : decoded.error);
  return decoded.value;
}

function signed(fields: Fields, signer: Signer, more: Fields = {}): Envelope {
  return envelope(fields, { sender_pubkey: signer.publicKeyDer, sender_sig: sign(fields, signer), ...more });
}

function validate(request: Envelope): Result<ValidRequest, InvalidRequest> {
  return validateEnvelope(request, { now: NOW, verifier });
}

function refusal(request: Envelope): InvalidRequest {
  const result = validate(request);
  assert.ok(!result.ok, "the request was to be refused");
  return result.error;
}

function accept(request: Envelope): ValidRequest {
  const result = validate(request);
  assert.ok(result.ok, result.ok ? "" : result.error.text);
  return result.value;
}

const self = (signer: Signer): Uint8Array => selfAuthenticating(signer.publicKeyDer);

/** A request of `links[0].from`, delegated along the links and signed by the last key. */
function chained(
  links: readonly Link[],
  kind: "call" | "query" | "read_state" = "call",
  more: Fields = {},
): Envelope {
  const first = (links[0] as Link).from;
  const fields = content(kind, self(first), more);
  return envelope(fields, {
    sender_pubkey: first.publicKeyDer,
    sender_delegation: links.map(delegate),
    sender_sig: sign(fields, (links.at(-1) as Link).to),
  });
}

const KINDS = ["call", "query", "read_state"] as const;

test("anonymous requests need no signature and may carry none", () => {
  for (const kind of KINDS) {
    const fields = content(kind, ANONYMOUS);
    const valid = accept(envelope(fields));
    assert.equal(toHex(valid.requestId), toHex(requestId(mapOf(fields))));
    assert.equal(valid.targets, null);
    for (const auth of [
      { sender_pubkey: USER.publicKeyDer, sender_sig: sign(fields, USER) },
      { sender_pubkey: USER.publicKeyDer },
      { sender_sig: sign(fields, USER) },
      { sender_delegation: [] },
    ]) {
      assert.deepEqual(refusal(envelope(fields, auth)), {
        code: "anonymous_signature",
        text: "Signature is not allowed for the anonymous user.",
      });
    }
  }
});

test("signed requests of every plain scheme pass", () => {
  for (const signer of [
    USER,
    p256Signer(new Uint8Array(32).fill(2)),
    secp256k1Signer(new Uint8Array(32).fill(3)),
  ]) {
    for (const kind of KINDS) {
      const valid = accept(signed(content(kind, self(signer)), signer));
      assert.equal(toHex(valid.sender), toHex(self(signer)));
    }
  }
});

test("missing signatures, foreign keys and wrong signatures are refused", () => {
  const fields = content("call", self(USER));
  const user = principalToText(self(USER));
  for (const auth of [{}, { sender_pubkey: USER.publicKeyDer }, { sender_sig: sign(fields, USER) }]) {
    assert.deepEqual(refusal(envelope(fields, auth)), {
      code: "signature_missing",
      text: `Missing signature from user: ${user}`,
    });
  }
  assert.deepEqual(refusal(signed(fields, key(9))), {
    code: "sender_key_mismatch",
    text: `The user id '${user}' does not match the public key '${toHex(key(9).publicKeyDer)}'`,
  });
  const wrong = refusal(signed(fields, USER, { sender_sig: new Uint8Array(64) }));
  assert.equal(wrong.code, "signature_invalid");
  assert.match(
    wrong.text,
    /^Invalid signature: Invalid basic signature: Ed25519 signature could not be verified: public key /,
  );
  const unknownKey = utf8("not a key");
  const strange = content("call", selfAuthenticating(unknownKey));
  const refused = refusal(envelope(strange, { sender_pubkey: unknownKey, sender_sig: new Uint8Array(64) }));
  assert.match(refused.text, /^Invalid signature: Invalid public key: /);
});

test("any change of the content after signing is refused, unknown fields included", () => {
  const fields = content("call", self(USER));
  const sender_sig = sign(fields, USER);
  for (const change of [
    { arg: utf8("x") },
    { method_name: "y" },
    { nonce: utf8("z") },
    { unknown: 1 },
    { canister_id: OTHER },
  ]) {
    assert.equal(refusal(signed({ ...fields, ...change }, USER, { sender_sig })).code, "signature_invalid");
  }
});

test("the expiry window is inclusive, and anonymous reads are exempt", () => {
  const max = NOW + 330n * SECOND;
  const at = (ingress_expiry: bigint, kind: (typeof KINDS)[number], sender: Signer | null) =>
    sender === null
      ? envelope(content(kind, ANONYMOUS, { ingress_expiry }))
      : signed(content(kind, self(sender), { ingress_expiry }), sender);
  for (const kind of KINDS) {
    for (const sender of [USER, null]) {
      accept(at(NOW, kind, sender));
      accept(at(max, kind, sender));
      for (const expiry of [NOW - 1n, max + 1n, 0n, (1n << 64n) - 1n]) {
        if (sender === null && kind !== "call") accept(at(expiry, kind, sender));
        else
          assert.equal(refusal(at(expiry, kind, sender)).code, "request_expiry_invalid", `${kind} ${expiry}`);
      }
    }
  }
  assert.equal(
    refusal(at(0n, "call", null)).text,
    "Invalid request expiry: Specified ingress_expiry not within expected range: " +
      "Minimum allowed expiry: 2023-11-14 22:13:20 UTC, Maximum allowed expiry: 2023-11-14 22:18:50 UTC, " +
      "Provided expiry:        1970-01-01 00:00:00 UTC",
  );
});

test("limits on nonces, paths and labels", () => {
  accept(envelope(content("call", ANONYMOUS, { nonce: new Uint8Array(32) })));
  assert.deepEqual(refusal(envelope(content("call", ANONYMOUS, { nonce: new Uint8Array(33) }))), {
    code: "nonce_too_big",
    text: "Nonce in request is too big: got 33 bytes, but at most 32 are allowed.",
  });
  const paths = (count: number, labels: number) =>
    envelope(content("read_state", ANONYMOUS, { paths: Array(count).fill(Array(labels).fill(utf8("l"))) }));
  accept(paths(1_000, 1));
  accept(paths(1, 127));
  assert.deepEqual(refusal(paths(1_001, 1)), {
    code: "too_many_paths",
    text: "Too many paths in read state request: got 1001 paths, but at most 1000 are allowed.",
  });
  assert.deepEqual(refusal(paths(1, 128)), {
    code: "path_too_long",
    text: "At least one path in read state request is too deep: got 128 labels, but at most 127 are allowed.",
  });
});

test("delegations pass on authority, across schemes, up to twenty", () => {
  const chain = [
    USER,
    p256Signer(new Uint8Array(32).fill(7)),
    secp256k1Signer(new Uint8Array(32).fill(7)),
    key(4),
  ];
  const links = (keys: readonly Signer[]): Link[] =>
    keys.slice(1).map((to, i) => ({ from: keys[i] as Signer, to }));
  for (const kind of KINDS) assert.equal(accept(chained(links(chain), kind)).targets, null);
  const long = Array.from({ length: 22 }, (_, i) => key(100 + i));
  accept(chained(links(long.slice(0, 21))));
  assert.deepEqual(refusal(chained(links(long))), {
    code: "delegation_invalid",
    text: "Invalid delegation: Chain of delegations is too long: got 21 delegations, but at most 20 are allowed.",
  });
  const fields = content("call", self(USER));
  accept(signed(fields, USER, { sender_delegation: [] }));
});

test("broken chains are refused", () => {
  const [a, b, c] = [key(1), key(2), key(3)];
  const wrongSigner = refusal(
    chained([
      { from: a, to: b },
      { from: a, to: c },
    ]),
  );
  assert.equal(wrongSigner.code, "delegation_invalid");
  assert.match(
    wrongSigner.text,
    /^Invalid delegation: Invalid basic signature: Ed25519 signature could not be verified/,
  );
  const fields = content("call", self(a));
  const signedByFirst = envelope(fields, {
    sender_pubkey: a.publicKeyDer,
    sender_delegation: [delegate({ from: a, to: b })],
    sender_sig: sign(fields, a),
  });
  assert.equal(refusal(signedByFirst).code, "signature_invalid");
  const tampered = chained([{ from: a, to: b }]);
  const [link] = tampered.senderDelegation ?? [];
  assert.ok(link !== undefined);
  const fieldsOfLink = new Map<string, CborValue>([...link.delegation.fields, ["expiration", NOW + 1n]]);
  const delegation = { ...link.delegation, fields: fieldsOfLink };
  assert.equal(
    refusal({ ...tampered, senderDelegation: [{ ...link, delegation }] }).code,
    "delegation_invalid",
  );
});

test("a key may appear once in a chain", () => {
  const [a, b, c] = [key(1), key(2), key(3)];
  for (const links of [
    [{ from: a, to: a }],
    [
      { from: a, to: b },
      { from: b, to: a },
    ],
    [
      { from: a, to: b },
      { from: b, to: c },
      { from: c, to: b },
    ],
  ]) {
    const repeated = toHex((links.at(-1) as Link).to.publicKeyDer);
    assert.deepEqual(refusal(chained(links)), {
      code: "delegation_invalid",
      text: `Invalid delegation: Chain of delegations contains at least one cycle: first repeating public key encountered ${repeated}`,
    });
  }
});

test("delegations expire, the instant itself still counts", () => {
  const [a, b] = [key(1), key(2)];
  accept(chained([{ from: a, to: b, more: { expiration: NOW } }]));
  assert.deepEqual(refusal(chained([{ from: a, to: b, more: { expiration: NOW - SECOND } }])), {
    code: "delegation_expired",
    text:
      "Invalid delegation expiry: Specified sender delegation has expired:\n" +
      "Provided expiry:    2023-11-14 22:13:19 UTC\nLocal replica time: 2023-11-14 22:13:20 UTC",
  });
  for (const kind of ["query", "read_state"] as const) {
    assert.equal(
      refusal(chained([{ from: a, to: b, more: { expiration: 0 } }], kind)).code,
      "delegation_expired",
    );
  }
});

test("targets intersect along the chain and bind calls and queries", () => {
  const [a, b, c] = [key(1), key(2), key(3)];
  const one = (targets: readonly Uint8Array[]) => chained([{ from: a, to: b, more: { targets } }]);
  assert.deepEqual(
    accept(one([CANISTER, OTHER])).targets,
    new Set([principalKey(CANISTER), principalKey(OTHER)]),
  );
  const refused = {
    code: "canister_not_in_targets",
    text: `Canister '${principalToText(CANISTER)}' is not one of the delegation targets.`,
  };
  assert.deepEqual(refusal(one([OTHER])), refused);
  assert.deepEqual(refusal(one([])), refused);
  const two = (first: readonly CanisterId[], second: readonly CanisterId[], kind: (typeof KINDS)[number]) =>
    chained(
      [
        { from: a, to: b, more: { targets: first } },
        { from: b, to: c, more: { targets: second } },
      ],
      kind,
    );
  assert.deepEqual(refusal(two([CANISTER], [OTHER], "call")), refused);
  assert.deepEqual(refusal(two([CANISTER], [OTHER], "query")), refused);
  assert.deepEqual(accept(two([CANISTER], [OTHER], "read_state")).targets, new Set());
  assert.deepEqual(
    accept(two([CANISTER, OTHER], [CANISTER], "call")).targets,
    new Set([principalKey(CANISTER)]),
  );
  accept(one(Array(1_000).fill(CANISTER)));
  assert.deepEqual(refusal(one(Array(1_001).fill(CANISTER))), {
    code: "delegation_invalid",
    text: "Invalid delegation: Delegation target error: expected at most 1000 targets per delegation, but got 1001",
  });
});

test("permissions restrict what a chain may do, and cannot be lifted", () => {
  const [a, b, c] = [key(1), key(2), key(3)];
  const permitted = (kind: (typeof KINDS)[number], ...permissions: (string | undefined)[]) =>
    chained(
      [
        { from: a, to: b, more: { permissions: permissions[0] } },
        { from: b, to: c, more: { permissions: permissions[1] } },
      ],
      kind,
    );
  for (const kind of KINDS) {
    accept(permitted(kind, "all", undefined));
    for (const [first, second] of [
      ["other", undefined],
      [undefined, ""],
      ["all", "Queries"],
    ] as const) {
      assert.equal(refusal(permitted(kind, first, second)).code, "delegation_invalid");
    }
  }
  for (const [first, second] of [
    ["queries", undefined],
    ["queries", "all"],
    ["all", "queries"],
  ] as const) {
    accept(permitted("query", first, second));
    accept(permitted("read_state", first, second));
    assert.match(
      refusal(permitted("call", first, second)).text,
      /^Invalid delegation: Delegation permissions error: /,
    );
  }
});

test("sender_info is for canister-signature identities, signed by the named canister", () => {
  const accepting = { verify: () => ok(null) };
  const publicKey = canisterSignatureKeyToDer(CANISTER, utf8("seed"));
  const info = (signer: Uint8Array): Fields => ({ sender_info: { info: utf8("i"), signer, sig: utf8("s") } });
  const judge = (request: Envelope) => validateEnvelope(request, { now: NOW, verifier: accepting });
  const by = (fields: Fields, sender_pubkey: Uint8Array) =>
    envelope(fields, { sender_pubkey, sender_sig: utf8("any") });
  const sender = selfAuthenticating(publicKey);
  assert.ok(judge(by(content("call", sender, info(CANISTER)), publicKey)).ok);
  const textOf = (result: Result<ValidRequest, InvalidRequest>) => (result.ok ? "valid" : result.error.text);
  assert.equal(
    textOf(judge(by(content("call", sender, info(OTHER)), publicKey))),
    `Invalid sender info: signer ${principalToText(OTHER)} does not match canister ID ${principalToText(CANISTER)} in sender_pubkey`,
  );
  assert.match(
    textOf(judge(by(content("query", self(USER), info(CANISTER)), USER.publicKeyDer))),
    /^Invalid sender info: sender_pubkey is not a valid canister signature public key/,
  );
  assert.equal(
    textOf(judge(envelope(content("call", ANONYMOUS, info(CANISTER))))),
    "Invalid sender info: sender_info requires an authenticated request with sender_pubkey",
  );
  const seen: string[] = [];
  const strict = {
    verify: ({ message, signature }: { readonly message: Uint8Array; readonly signature: Uint8Array }) => {
      seen.push(toHex(message));
      return toHex(signature) === toHex(utf8("s")) ? ({ ok: false, error: "no" } as const) : ok(null);
    },
  };
  const request = by(content("call", sender, info(CANISTER)), publicKey);
  assert.equal(
    textOf(validateEnvelope(request, { now: NOW, verifier: strict })),
    "Invalid sender info: signature verification failed: no",
  );
  assert.equal(seen.at(-1), toHex(concatBytes(domainSep("ic-sender-info"), utf8("i"))));
});

test("contents that have no hash are refused", () => {
  const odd = envelope(content("call", ANONYMOUS, { flag: true }));
  assert.equal(refusal(odd).code, "request_malformed");
  const link = delegate({ from: USER, to: key(2) }) as {
    readonly delegation: Fields;
    readonly signature: Uint8Array;
  };
  const fields = content("call", self(USER));
  const sender_delegation = [{ ...link, delegation: { ...link.delegation, flag: true } }];
  const request = envelope(fields, {
    sender_pubkey: USER.publicKeyDer,
    sender_delegation,
    sender_sig: new Uint8Array(64),
  });
  assert.equal(refusal(request).code, "request_malformed");
});
