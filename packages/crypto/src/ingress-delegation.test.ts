/** The envelope validator on chains of delegations, each refusal with the replica's text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, type CborValue, principalKey, principalToText, toHex } from "@orrery/base";
import { p256Signer, secp256k1Signer } from "./curves.ts";
import {
  accept,
  CANISTER,
  chained,
  content,
  delegate,
  envelope,
  KINDS,
  type Kind,
  key,
  type Link,
  NOW,
  OTHER,
  refusal,
  SECOND,
  self,
  sign,
  signed,
  USER,
} from "./ingress.testkit.ts";
import type { Signer } from "./signatures.ts";

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
  const two = (first: readonly CanisterId[], second: readonly CanisterId[], kind: Kind) =>
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
  const permitted = (kind: Kind, ...permissions: (string | undefined)[]) =>
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
