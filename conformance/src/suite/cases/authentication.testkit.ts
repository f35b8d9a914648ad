/** Who sent a request: keys, signatures, delegations, expiry (interface spec, "Authentication", "Signatures"). */
import assert from "node:assert/strict";
import { type CborMap, type CborValue, concatBytes, decodeCbor, encodeCbor } from "@orrery/base";
import { domainSep, requestId } from "@orrery/crypto";
import { hex, utf8 } from "../bytes.ts";
import { canisterSigner, signAs } from "../canister-signer.ts";
import { section } from "../case.ts";
import { refused, replied, repliedBytes, repliedNumber } from "../checks.ts";
import {
  ANONYMOUS,
  canisterSignatureKey,
  ecdsa,
  ed25519,
  type Identity,
  principalOfKey,
  webAuthn,
} from "../identity.ts";
import { encodeArg, principal } from "../management.ts";
import { code, copied, ic0, reply, reply64 } from "../script.ts";
import {
  contentOf,
  type Delegation,
  nowNs,
  type Outcome,
  outcomeIn,
  type Request,
  type SignedDelegation,
  sign,
  signDelegation,
} from "../wire.ts";
import type { Universal, World } from "../world.ts";

const auth = section("Authentication");
const signatures = section("Signatures");

const SECOND = 1_000_000_000n;
const WHO = code(copied("msg_caller"), reply);
const SEVEN = code(7, reply64);
const soon = () => nowNs() + 3_600n * SECOND;

const kinds: readonly (readonly [string, () => Identity])[] = [
  ["Ed25519", ed25519],
  ["ECDSA on P-256", () => ecdsa("prime256v1")],
  ["ECDSA on secp256k1", () => ecdsa("secp256k1")],
  ["web authentication with ES256", () => webAuthn("ES256")],
  ["web authentication with RS256", () => webAuthn("RS256")],
  ["web authentication with EdDSA", () => webAuthn("EdDSA")],
];

signatures.each("each kind of key: an update call is taken", kinds, async (world, [, make]) => {
  const identity = make();
  repliedBytes(await (await world.shared()).call(WHO, { as: identity }), identity.sender);
});
signatures.each("each kind of key: a query is taken", kinds, async (world, [, make]) => {
  const identity = make();
  repliedBytes(await (await world.shared()).ask(WHO, { as: identity }), identity.sender);
});
signatures.each("each kind of key: a changed signature is refused", kinds, async (world, [, make]) => {
  const identity = make();
  const tampered: Identity = { ...identity, sign: (message) => flip(identity.sign(message)) };
  refused(await (await world.shared()).ask(WHO, { as: tampered }), 400, /signature/i);
});
signatures.each(
  "each kind of key: a signature of something else is refused",
  kinds,
  async (world, [, make]) => {
    const identity = make();
    const other: Identity = { ...identity, sign: () => identity.sign(utf8("something else")) };
    refused(await (await world.shared()).ask(WHO, { as: other }), 400, /signature|challenge/i);
  },
);
signatures.each("each kind of key: somebody else's key is refused", kinds, async (world, [, make]) => {
  const [identity, other] = [make(), make()];
  const mixed: Identity = { ...identity, publicKeyDer: other.publicKeyDer };
  refused(await (await world.shared()).ask(WHO, { as: mixed }), 400, "does not match the public key");
});
signatures.each("each kind of key: may delegate to a session key", kinds, async (world, [, make]) => {
  const [identity, session] = [make(), ed25519()];
  const request = delegated(await world.shared(), WHO, [identity, session]);
  repliedBytes(await send(world, await world.shared(), request), identity.sender);
});

/** Another byte in the middle. */
function flip(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  const at = Math.floor(out.length / 2);
  out[at] = (out[at] ?? 0) ^ 1;
  return out;
}

signatures("web authentication over another challenge is refused", async (world) => {
  refused(
    await (await world.shared()).ask(WHO, { as: webAuthn("ES256", { challenge: (bytes) => flip(bytes) }) }),
    400,
    /challenge|signature/i,
  );
});
signatures("a signature that is too short is refused", async (world) => {
  const identity = ed25519();
  refused(
    await (await world.shared()).ask(WHO, {
      as: { ...identity, sign: (m) => identity.sign(m).slice(0, 63) },
    }),
    400,
    /signature/i,
  );
});
signatures("a signature without the domain separator is refused", async (world) => {
  const identity = ed25519();
  const bare: Identity = { ...identity, sign: (message) => identity.sign(message.slice(11)) };
  refused(await (await world.shared()).ask(WHO, { as: bare }), 400, /signature/i);
});
signatures("a key of an unknown algorithm is refused", async (world) => {
  const identity = ed25519();
  const key = (identity.publicKeyDer ?? new Uint8Array()).slice();
  key[8] = 0x7f;
  refused(
    await (await world.shared()).ask(WHO, {
      as: { ...identity, publicKeyDer: key, sender: principalOfKey(key) },
    }),
    400,
  );
});
signatures("a key that is no DER is refused", async (world) => {
  const key = utf8("no key at all");
  refused(
    await (await world.shared()).ask(WHO, {
      as: { ...ed25519(), publicKeyDer: key, sender: principalOfKey(key) },
    }),
    400,
  );
});

signatures("a canister's signature: a query is taken", async (world) => {
  const signer = await canisterSigner(world);
  const fields = { canister_id: (await world.shared()).bytes, method_name: "query", arg: WHO };
  const request = await signAs(signer, contentOf("query", signer.sender, fields));
  repliedBytes(await world.wire.query((await world.shared()).destination, request), signer.sender);
});
signatures("a canister's signature: an update call is taken", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const request = await signAs(
    signer,
    contentOf("call", signer.sender, { canister_id: canister.bytes, method_name: "update", arg: WHO }),
  );
  repliedBytes(
    await world.wire
      .post(`/api/v4/${canister.destination}/call`, request.body)
      .then((answer) => answerOf(world, canister, request, answer.body)),
    signer.sender,
  );
});
signatures("a canister's signature of something else is refused", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const content = contentOf("query", signer.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: WHO,
  });
  const good = await signAs(signer, content);
  const other = new Map([...content, ["arg", SEVEN as CborValue]]);
  const body = encodeCbor(new Map([...(decodeCbor(good.body) as CborMap), ["content", other as CborValue]]));
  refused(await world.wire.query(canister.destination, { ...good, body }), 400, /signature/i);
});
signatures("a canister's signature under another seed is refused", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const key = canisterSignatureKey(signer.canister.bytes, utf8("another seed"));
  const content = contentOf("query", principalOfKey(key), {
    canister_id: canister.bytes,
    method_name: "query",
    arg: WHO,
  });
  const good = await signAs(signer, content);
  const body = encodeCbor(
    new Map([...(decodeCbor(good.body) as CborMap), ["sender_pubkey", key as CborValue]]),
  );
  refused(await world.wire.query(canister.destination, { ...good, body }), 400, /signature/i);
});
signatures("attested information reaches the canister", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const info = utf8("facts about the sender");
  const program = code(
    copied("msg_caller_info_data"),
    ic0.msg_reply_data_append,
    copied("msg_caller_info_signer"),
    reply,
  );
  const request = await signAs(
    signer,
    contentOf("query", signer.sender, { canister_id: canister.bytes, method_name: "query", arg: program }),
    info,
  );
  repliedBytes(
    await world.wire.query(canister.destination, request),
    concatBytes(info, signer.canister.bytes),
  );
});
signatures("attested information of an ordinary key is refused", async (world) => {
  const canister = await world.shared();
  const sender_info = { info: utf8("x"), signer: canister.bytes, sig: new Uint8Array(64) };
  const fields = { canister_id: canister.bytes, method_name: "query", arg: WHO, sender_info };
  refused(
    await world.wire.query(canister.destination, world.sign("query", fields)),
    400,
    "Invalid sender info",
  );
});
signatures("attested information that another canister signed is refused", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const content = contentOf("query", signer.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: SEVEN,
  });
  const request = await signAs(signer, content, utf8("x"), canister.bytes);
  refused(await world.wire.query(canister.destination, request), 400, "does not match canister ID");
});

async function answerOf(
  world: World,
  canister: Universal,
  request: Request,
  body: Uint8Array,
): Promise<Outcome> {
  const certificate = await world.wire.verify(
    (decodeCbor(body) as CborMap).get("certificate") as Uint8Array,
    canister.destination,
  );
  const outcome = outcomeIn(certificate, request.id);
  assert.ok(outcome !== null);
  return outcome;
}

auth("an anonymous request needs no signature", async (world) => {
  repliedBytes(await (await world.shared()).call(WHO, { as: ANONYMOUS }), Uint8Array.of(4));
});
auth.each(
  "an anonymous request with a signature, a key or a delegation is refused",
  ["sender_sig", "sender_pubkey", "sender_delegation"] as const,
  async (world, field) => {
    const canister = await world.shared();
    const content = contentOf("query", ANONYMOUS.sender, {
      canister_id: canister.bytes,
      method_name: "query",
      arg: WHO,
    });
    const value: CborValue = field === "sender_delegation" ? [] : new Uint8Array(64);
    refused(
      await world.wire.query(canister.destination, {
        id: new Uint8Array(32),
        body: encodeCbor({ content, [field]: value }),
      }),
      400,
      "Signature is not allowed for the anonymous user.",
    );
  },
);
auth.each(
  "a signed request without its signature or key is refused",
  ["sender_sig", "sender_pubkey"] as const,
  async (world, field) => {
    const canister = await world.shared();
    const request = world.sign("query", { canister_id: canister.bytes, method_name: "query", arg: WHO });
    const body = new Map(decodeCbor(request.body) as CborMap);
    body.delete(field);
    refused(
      await world.wire.query(canister.destination, { ...request, body: encodeCbor(body) }),
      400,
      /Missing signature from user/,
    );
  },
);
auth("a sender that is no key's principal is refused", async (world) => {
  const canister = await world.shared();
  const content = contentOf("query", Uint8Array.of(1, 2, 3), {
    canister_id: canister.bytes,
    method_name: "query",
    arg: WHO,
  });
  refused(
    await world.wire.query(canister.destination, sign(ed25519(), content)),
    400,
    "does not match the public key",
  );
});

const withExpiry = async (world: World, kind: "call" | "query", expiry: bigint): Promise<Outcome> => {
  const canister = await world.shared();
  const fields = {
    canister_id: canister.bytes,
    method_name: kind === "call" ? "update" : "query",
    arg: SEVEN,
    ingress_expiry: expiry,
  };
  const request = world.sign(kind, fields);
  return kind === "call"
    ? await world.wire.call(canister.destination, request, { identity: world.user })
    : await world.wire.query(canister.destination, request);
};
const EXPIRY = "Invalid request expiry: Specified ingress_expiry not within expected range";
auth("a call that has expired is refused", async (world) => {
  refused(await withExpiry(world, "call", nowNs() - 10n * SECOND), 400, EXPIRY);
});
auth("a query that has expired is refused", async (world) => {
  refused(await withExpiry(world, "query", nowNs() - 10n * SECOND), 400, EXPIRY);
});
auth("an expiry in four minutes is taken", async (world) => {
  repliedNumber(await withExpiry(world, "call", nowNs() + 240n * SECOND), 7);
});
auth("an expiry in seven minutes is refused", async (world) => {
  refused(await withExpiry(world, "call", nowNs() + 420n * SECOND), 400, EXPIRY);
});
auth("an expiry in seven minutes is refused for a query", async (world) => {
  refused(await withExpiry(world, "query", nowNs() + 420n * SECOND), 400, EXPIRY);
});
auth("an expiry of zero is refused", async (world) => {
  refused(await withExpiry(world, "call", 0n), 400, EXPIRY);
});
auth("an expiry of 2^64 - 1 is refused", async (world) => {
  refused(await withExpiry(world, "call", (1n << 64n) - 1n), 400, EXPIRY);
});
auth("an anonymous call that has expired is refused", async (world) => {
  const canister = await world.shared();
  const request = world.sign(
    "call",
    { canister_id: canister.bytes, method_name: "update", arg: SEVEN, ingress_expiry: 1n },
    ANONYMOUS,
  );
  refused(await world.wire.call(canister.destination, request, { identity: ANONYMOUS }), 400, EXPIRY);
});
auth("an expiry of a few seconds is taken", async (world) => {
  repliedNumber(await withExpiry(world, "call", nowNs() + 20n * SECOND), 7);
});

type Links = readonly Identity[];
/** A query signed by the last of a chain of keys, each of which delegated to the next. */
function delegated(
  canister: Universal,
  arg: Uint8Array,
  chain: Links,
  options: {
    readonly kind?: "call" | "query";
    readonly change?: (delegation: Delegation, index: number) => Delegation;
    readonly break?: number;
  } = {},
): Request {
  const [from, ...rest] = chain as [Identity, ...Identity[]];
  let previous = from;
  const delegations: SignedDelegation[] = rest.map((next, index) => {
    const plain: Delegation = { pubkey: next.publicKeyDer ?? new Uint8Array(), expiration: soon() };
    const signed = signDelegation(previous, options.change?.(plain, index) ?? plain);
    previous = next;
    return options.break === index ? { ...signed, signature: flip(signed.signature) } : signed;
  });
  const kind = options.kind ?? "query";
  const fields = { canister_id: canister.bytes, method_name: kind === "call" ? "update" : "query", arg };
  return sign(previous, contentOf(kind, from.sender, fields), { from, delegations });
}
const send = (world: World, canister: Universal, request: Request) =>
  world.wire.query(canister.destination, request);
const links = (count: number): Links => Array.from({ length: count }, ed25519);

auth("a chain of two delegations is taken", async (world) => {
  const canister = await world.shared();
  const chain = links(3);
  repliedBytes(
    await send(world, canister, delegated(canister, WHO, chain)),
    chain[0]?.sender ?? new Uint8Array(),
  );
});
auth("a chain of twenty delegations is taken", async (world) => {
  const canister = await world.shared();
  repliedNumber(await send(world, canister, delegated(canister, SEVEN, links(21))), 7);
});
auth("a chain of twenty-one delegations is refused", async (world) => {
  const canister = await world.shared();
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(22))),
    400,
    "Chain of delegations is too long: got 21 delegations, but at most 20 are allowed.",
  );
});
auth("an empty chain is the key itself", async (world) => {
  const canister = await world.shared();
  repliedNumber(await send(world, canister, delegated(canister, SEVEN, links(1))), 7);
});
auth("delegations work for calls", async (world) => {
  const canister = await world.shared();
  const chain = links(2);
  const request = delegated(canister, WHO, chain, { kind: "call" });
  const outcome = await world.wire
    .post(`/api/v4/${canister.destination}/call`, request.body)
    .then(({ body }) => answerOf(world, canister, request, body));
  repliedBytes(outcome, chain[0]?.sender ?? new Uint8Array());
});
auth("a delegation with a broken signature is refused", async (world) => {
  const canister = await world.shared();
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(2), { break: 0 })),
    400,
    "Invalid delegation",
  );
});
auth("a broken signature in the middle of a chain is refused", async (world) => {
  const canister = await world.shared();
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(4), { break: 1 })),
    400,
    "Invalid delegation",
  );
});
auth("an expired delegation is refused", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation) => ({ ...delegation, expiration: nowNs() - 60n * SECOND });
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(2), { change })),
    400,
    "Specified sender delegation has expired",
  );
});
auth("one expired delegation of a chain is enough", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation, index: number) =>
    index === 1 ? { ...delegation, expiration: nowNs() - 60n * SECOND } : delegation;
  refused(await send(world, canister, delegated(canister, SEVEN, links(4), { change })), 400, "has expired");
});
auth("a delegation to oneself is refused", async (world) => {
  const canister = await world.shared();
  const [key] = links(1) as [Identity];
  refused(
    await send(world, canister, delegated(canister, SEVEN, [key, key])),
    400,
    "Chain of delegations contains at least one cycle",
  );
});
auth("a chain with a cycle is refused", async (world) => {
  const canister = await world.shared();
  const [a, b] = links(2) as [Identity, Identity];
  refused(await send(world, canister, delegated(canister, SEVEN, [a, b, a])), 400, "at least one cycle");
});
auth("the request must be signed by the last key", async (world) => {
  const canister = await world.shared();
  const [a, b] = links(2) as [Identity, Identity];
  const delegations = [signDelegation(a, { pubkey: b.publicKeyDer ?? new Uint8Array(), expiration: soon() })];
  const content = contentOf("query", a.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: SEVEN,
  });
  refused(await send(world, canister, sign(a, content, { from: a, delegations })), 400, "Invalid signature");
});
auth("the sender is the first key's", async (world) => {
  const canister = await world.shared();
  const [a, b] = links(2) as [Identity, Identity];
  const delegations = [signDelegation(a, { pubkey: b.publicKeyDer ?? new Uint8Array(), expiration: soon() })];
  const content = contentOf("query", b.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: SEVEN,
  });
  refused(
    await send(world, canister, sign(b, content, { from: a, delegations })),
    400,
    "does not match the public key",
  );
});
auth("keys of a chain may be of different kinds", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await send(
      world,
      canister,
      delegated(canister, SEVEN, [
        ed25519(),
        ecdsa("prime256v1"),
        ecdsa("secp256k1"),
        webAuthn("ES256"),
        ed25519(),
      ]),
    ),
    7,
  );
});
auth("targets that name the canister allow it", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation) => ({ ...delegation, targets: [canister.bytes] });
  repliedNumber(await send(world, canister, delegated(canister, SEVEN, links(2), { change })), 7);
});
auth("targets that do not name the canister refuse it", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation) => ({ ...delegation, targets: [Uint8Array.of(1, 2, 3)] });
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(2), { change })),
    400,
    `Canister '${canister.id.toText()}' is not one of the delegation targets.`,
  );
});
auth("a call outside the targets is refused too", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation) => ({ ...delegation, targets: [Uint8Array.of(1, 2, 3)] });
  const request = delegated(canister, SEVEN, links(2), { change, kind: "call" });
  refused(
    await world.wire.call(canister.destination, request, { identity: world.user }),
    400,
    "is not one of the delegation targets",
  );
});
auth("no targets at all refuse everything", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation) => ({ ...delegation, targets: [] });
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(2), { change })),
    400,
    "is not one of the delegation targets",
  );
});
auth("the targets of a chain are what all its delegations allow", async (world) => {
  const canister = await world.shared();
  const other = Uint8Array.of(1, 2, 3);
  const both = (delegation: Delegation, index: number) => ({
    ...delegation,
    targets: index === 0 ? [canister.bytes, other] : [canister.bytes],
  });
  repliedNumber(await send(world, canister, delegated(canister, SEVEN, links(3), { change: both })), 7);
  const none = (delegation: Delegation, index: number) => ({
    ...delegation,
    targets: index === 0 ? [other] : [canister.bytes],
  });
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(3), { change: none })),
    400,
    "is not one of the delegation targets",
  );
});
auth("a later delegation without targets lifts nothing", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation, index: number) =>
    index === 0 ? { ...delegation, targets: [Uint8Array.of(1)] } : delegation;
  refused(
    await send(world, canister, delegated(canister, SEVEN, links(3), { change })),
    400,
    "is not one of the delegation targets",
  );
});
auth("a thousand targets are allowed", async (world) => {
  const canister = await world.shared();
  const targets = [
    canister.bytes,
    ...Array.from({ length: 999 }, (_, i) => Uint8Array.of(i >> 8, i & 0xff, 1)),
  ];
  repliedNumber(
    await send(
      world,
      canister,
      delegated(canister, SEVEN, links(2), { change: (delegation) => ({ ...delegation, targets }) }),
    ),
    7,
  );
});
auth("a thousand and one targets are refused", async (world) => {
  const canister = await world.shared();
  const targets = [
    canister.bytes,
    ...Array.from({ length: 1_000 }, (_, i) => Uint8Array.of(i >> 8, i & 0xff, 1)),
  ];
  refused(
    await send(
      world,
      canister,
      delegated(canister, SEVEN, links(2), { change: (delegation) => ({ ...delegation, targets }) }),
    ),
    400,
    "1000 targets per delegation",
  );
});
auth("permissions for queries allow a query", async (world) => {
  const canister = await world.shared();
  repliedNumber(
    await send(
      world,
      canister,
      delegated(canister, SEVEN, links(2), {
        change: (delegation) => ({ ...delegation, permissions: "queries" }),
      }),
    ),
    7,
  );
});
auth("permissions for queries refuse a call", async (world) => {
  const canister = await world.shared();
  const request = delegated(canister, SEVEN, links(2), {
    kind: "call",
    change: (delegation) => ({ ...delegation, permissions: "queries" }),
  });
  refused(await world.wire.call(canister.destination, request, { identity: world.user }), 400, /permission/i);
});
auth("permissions for all allow a call", async (world) => {
  const canister = await world.shared();
  const request = delegated(canister, SEVEN, links(2), {
    kind: "call",
    change: (delegation) => ({ ...delegation, permissions: "all" }),
  });
  const outcome = await world.wire
    .post(`/api/v4/${canister.destination}/call`, request.body)
    .then(({ body }) => answerOf(world, canister, request, body));
  repliedNumber(outcome, 7);
});
auth("a later delegation for all lifts nothing of one for queries", async (world) => {
  const canister = await world.shared();
  const change = (delegation: Delegation, index: number) => ({
    ...delegation,
    permissions: index === 0 ? "queries" : "all",
  });
  const request = delegated(canister, SEVEN, links(3), { kind: "call", change });
  refused(await world.wire.call(canister.destination, request, { identity: world.user }), 400, /permission/i);
});
auth("unknown permissions refuse everything", async (world) => {
  const canister = await world.shared();
  refused(
    await send(
      world,
      canister,
      delegated(canister, SEVEN, links(2), {
        change: (delegation) => ({ ...delegation, permissions: "everything" }),
      }),
    ),
    400,
    /permission/i,
  );
});
auth("targets for the management canister allow its calls", async (world) => {
  const canister = await world.fresh({ install: false });
  const [owner, session] = links(2) as [Identity, Identity];
  await canister.configure({ controllers: [principal(owner.sender)] });
  const delegations = [
    signDelegation(owner, {
      pubkey: session.publicKeyDer ?? new Uint8Array(),
      expiration: soon(),
      targets: [new Uint8Array()],
    }),
  ];
  const fields = {
    canister_id: new Uint8Array(),
    method_name: "canister_status",
    arg: encodeArg("canister_status", { canister_id: canister.id }),
  };
  const request = sign(session, contentOf("query", owner.sender, fields), { from: owner, delegations });
  replied(await world.wire.query(canister.destination, request));
});
auth("a request id signed by another domain's separator is refused", async (world) => {
  const canister = await world.shared();
  const identity = ed25519();
  const content = contentOf("query", identity.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: SEVEN,
  });
  const sender_sig = identity.sign(concatBytes(domainSep("ic-request-auth-delegation"), requestId(content)));
  const body = encodeCbor({ content, sender_pubkey: identity.publicKeyDer, sender_sig } as CborValue);
  refused(
    await world.wire.query(canister.destination, { id: requestId(content), body }),
    400,
    "Invalid signature",
  );
});
auth("an unknown field of the content is part of what is signed", async (world) => {
  const canister = await world.shared();
  const request = world.sign("query", {
    canister_id: canister.bytes,
    method_name: "query",
    arg: SEVEN,
    future: "field",
  });
  const outcome = await world.wire.query(canister.destination, request);
  if (outcome.kind === "refused") refused(outcome, 400);
  else repliedNumber(outcome, 7);
});
auth("two users' calls are told apart", async (world) => {
  const canister = await world.shared();
  const [a, b] = [ed25519(), ed25519()];
  const [first, second] = await Promise.all([canister.call(WHO, { as: a }), canister.call(WHO, { as: b })]);
  assert.notEqual(hex(replied(first)), hex(replied(second)));
});
