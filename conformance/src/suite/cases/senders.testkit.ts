/** Canister-signature senders as wallets use them, and attested information of senders (interface spec, "Authentication", "Canister signatures", "sender_info"). */
import assert from "node:assert/strict";
import { type CborMap, type CborValue, concatBytes, decodeCbor, encodeCbor } from "@orrery/base";
import { domainSep, hashOfMap, requestId } from "@orrery/crypto";
import { join, textOf, utf8 } from "../bytes.ts";
import { type CanisterSigner, canisterSignatures, canisterSigner, signAs } from "../canister-signer.ts";
import { section } from "../case.ts";
import { refused, rejected, replied, repliedBytes, repliedNumber } from "../checks.ts";
import { ed25519, type Identity, webAuthn } from "../identity.ts";
import { callOut, code, copied, type Item, ic0, reply, reply64, setHook, when } from "../script.ts";
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
import { pair, type Universal, type World } from "../world.ts";
import { abroad } from "./abroad.testkit.ts";

const signatures = section("Signatures");
const auth = section("Authentication");
const self = section("Self-identification");

const WHO = code(copied("msg_caller"), reply);
const HOUR = 3_600_000_000_000n;

/** The canister's signature over a delegation to a session key. */
async function delegate(
  by: CanisterSigner,
  to: Identity,
  more: Partial<Delegation> = {},
): Promise<SignedDelegation> {
  const delegation = { pubkey: to.publicKeyDer ?? new Uint8Array(), expiration: nowNs() + HOUR, ...more };
  const message = concatBytes(
    domainSep("ic-request-auth-delegation"),
    hashOfMap(new Map(Object.entries(delegation) as [string, CborValue][])),
  );
  const [signature = new Uint8Array()] = await canisterSignatures(by, [message]);
  return { delegation: delegation as Record<string, CborValue>, signature };
}
const headOf = (by: CanisterSigner): Identity => ({
  sender: by.sender,
  publicKeyDer: by.publicKeyDer,
  sign: () => assert.fail("a canister signs by certifying"),
});
const ask = (world: World, canister: Universal, request: Request): Promise<Outcome> =>
  world.wire.query(canister.destination, request);
/** A call's outcome; the same request again answers with what the state has of it. */
const tell = (world: World, canister: Universal, request: Request): Promise<Outcome> =>
  world.eventually("the call's outcome", async () => {
    const answer = await world.wire.post(`/api/v4/${canister.destination}/call`, request.body);
    if (answer.status === 202) return null;
    if (answer.status !== 200) return { kind: "refused", status: answer.status, text: textOf(answer.body) };
    const bytes = (decodeCbor(answer.body) as CborMap).get("certificate");
    assert.ok(bytes instanceof Uint8Array, textOf(answer.body));
    return outcomeIn(await world.wire.verify(bytes, canister.destination), request.id);
  });
const query = (canister: Universal, sender: Uint8Array, arg: Uint8Array, method_name = "query"): CborMap =>
  contentOf("query", sender, { canister_id: canister.bytes, method_name, arg });

signatures.each(
  "a canister's signature may delegate to a session key of any kind",
  [
    ["Ed25519", ed25519],
    ["ES256", () => webAuthn("ES256")],
  ] as const,
  async (world, [, make]) => {
    const [signer, session, canister] = [await canisterSigner(world), make(), await world.shared()];
    const chain = { from: headOf(signer), delegations: [await delegate(signer, session)] };
    repliedBytes(
      await ask(world, canister, sign(session, query(canister, signer.sender, WHO), chain)),
      signer.sender,
    );
    const fields = { canister_id: canister.bytes, method_name: "update", arg: WHO };
    const call = sign(session, contentOf("call", signer.sender, fields), chain);
    repliedBytes(await tell(world, canister, call), signer.sender);
  },
);
signatures("a session key behind a canister's signature delegates on", async (world) => {
  const [signer, first, second] = [await canisterSigner(world), ed25519(), ed25519()];
  const canister = await world.shared();
  const delegations = [
    await delegate(signer, first),
    signDelegation(first, { pubkey: second.publicKeyDer ?? new Uint8Array(), expiration: nowNs() + HOUR }),
  ];
  const request = sign(second, query(canister, signer.sender, WHO), { from: headOf(signer), delegations });
  repliedBytes(await ask(world, canister, request), signer.sender);
});
signatures("targets of a canister's delegation bind", async (world) => {
  const [signer, session] = [await canisterSigner(world), ed25519()];
  const canister = await world.shared();
  const chain = {
    from: headOf(signer),
    delegations: [await delegate(signer, session, { targets: [signer.canister.bytes] })],
  };
  refused(
    await ask(world, canister, sign(session, query(canister, signer.sender, WHO), chain)),
    400,
    /target|delegation/i,
  );
});
signatures("a delegation that the canister did not sign is refused", async (world) => {
  const [signer, session, other] = [await canisterSigner(world), ed25519(), ed25519()];
  const canister = await world.shared();
  const good = await delegate(signer, session);
  const forged = {
    ...good,
    delegation: { ...good.delegation, pubkey: other.publicKeyDer ?? new Uint8Array() },
  };
  const chain = { from: headOf(signer), delegations: [forged] };
  refused(
    await ask(world, canister, sign(other, query(canister, signer.sender, WHO), chain)),
    400,
    /signature|delegation/i,
  );
});
signatures("a canister's signature holds after it certified something else", async (world) => {
  const [signer, session] = [await canisterSigner(world), ed25519()];
  const canister = await world.shared();
  const chain = { from: headOf(signer), delegations: [await delegate(signer, session)] };
  replied(await signer.canister.update("something else", ic0.certified_data_set, ic0.msg_reply));
  repliedBytes(
    await ask(world, canister, sign(session, query(canister, signer.sender, WHO), chain)),
    signer.sender,
  );
});
signatures("one key may sign for many users, by their seeds", async (world) => {
  const canister = await world.universal();
  const [a, b] = [await canisterSigner(world, canister), await canisterSigner(world, canister)];
  assert.deepEqual(a.sender, b.sender);
  const session = ed25519();
  const shared = await world.shared();
  const chain = { from: headOf(a), delegations: [await delegate(b, session)] };
  repliedBytes(await ask(world, shared, sign(session, query(shared, a.sender, WHO), chain)), a.sender);
});
signatures.needing("several subnets")("a canister of another subnet may sign", async (world) => {
  const [signer, session] = [await canisterSigner(world, await abroad(world)), ed25519()];
  const canister = await world.shared();
  const chain = { from: headOf(signer), delegations: [await delegate(signer, session)] };
  repliedBytes(
    await ask(world, canister, sign(session, query(canister, signer.sender, WHO), chain)),
    signer.sender,
  );
});
signatures("a canister's signature in another network's certificate is refused", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const good = await signAs(signer, query(canister, signer.sender, WHO));
  const envelope = decodeCbor(good.body) as CborMap;
  const signature = decodeCbor(envelope.get("sender_sig") as Uint8Array) as CborMap;
  const certificate = decodeCbor(signature.get("certificate") as Uint8Array) as CborMap;
  const bytes = (certificate.get("signature") as Uint8Array).slice();
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  const other = encodeCbor(new Map([...certificate, ["signature", bytes as CborValue]]));
  const sender_sig = encodeCbor(new Map([...signature, ["certificate", other as CborValue]]));
  const body = encodeCbor(new Map([...envelope, ["sender_sig", sender_sig as CborValue]]));
  refused(await ask(world, canister, { ...good, body }), 400, /signature/i);
});
auth("a canister's delegation for queries refuses a call", async (world) => {
  const [signer, session] = [await canisterSigner(world), ed25519()];
  const canister = await world.shared();
  const chain = {
    from: headOf(signer),
    delegations: [await delegate(signer, session, { permissions: "queries" })],
  };
  repliedBytes(
    await ask(world, canister, sign(session, query(canister, signer.sender, WHO), chain)),
    signer.sender,
  );
  const fields = { canister_id: canister.bytes, method_name: "update", arg: WHO };
  const call = sign(session, contentOf("call", signer.sender, fields), chain);
  refused(await tell(world, canister, call), 400, /permi|quer/i);
});

const INFO = utf8("facts");
/** Information, then who attested it. */
const SEEN: Item = [
  copied("msg_caller_info_data"),
  ic0.msg_reply_data_append,
  copied("msg_caller_info_signer"),
  reply,
];
const attested = async (
  world: World,
  canister: Universal,
  program: Uint8Array,
  options: { readonly kind?: "query" | "call"; readonly method?: string; readonly info?: Uint8Array } = {},
): Promise<{ readonly signer: CanisterSigner; readonly outcome: Outcome }> => {
  const signer = await canisterSigner(world);
  const { kind = "query", method = kind === "call" ? "update" : "query", info = INFO } = options;
  const fields = { canister_id: canister.bytes, method_name: method, arg: program };
  const request = await signAs(signer, contentOf(kind, signer.sender, fields), info);
  if (kind === "query") return { signer, outcome: await ask(world, canister, request) };
  return { signer, outcome: await tell(world, canister, request) };
};
self("attested information reaches an update", async (world) => {
  const { signer, outcome } = await attested(world, await world.shared(), code(SEEN), { kind: "call" });
  repliedBytes(outcome, join([INFO, signer.canister.bytes]));
});
self("attested information reaches a composite query", async (world) => {
  const { signer, outcome } = await attested(world, await world.shared(), code(SEEN), {
    method: "composite",
  });
  repliedBytes(outcome, join([INFO, signer.canister.bytes]));
});
self("attested information reaches a query that is executed with replication", async (world) => {
  const { signer, outcome } = await attested(world, await world.shared(), code(SEEN), {
    kind: "call",
    method: "query",
  });
  repliedBytes(outcome, join([INFO, signer.canister.bytes]));
});
self.each("attested information is there in callbacks", ["reply", "reject"], async (world, kind) => {
  const [canister, callee] = await pair(world);
  const arg = kind === "reply" ? code(ic0.msg_reply) : code("no", ic0.msg_reject);
  const program = callOut({ to: callee.bytes, arg, onReply: [SEEN], onReject: [SEEN] });
  const { signer, outcome } = await attested(world, canister, code(program), { kind: "call" });
  repliedBytes(outcome, join([INFO, signer.canister.bytes]));
});
self("attested information of a caller is not its callee's", async (world) => {
  const [canister, callee] = await pair(world);
  const size = callOut({
    to: callee.bytes,
    arg: code(ic0.msg_caller_info_data_size, reply64),
    onReply: [copied("msg_arg_data"), reply],
  });
  const { outcome } = await attested(world, canister, code(size), { kind: "call" });
  repliedNumber(outcome, 0);
});
self("canister_inspect_message sees attested information", async (world) => {
  const canister = await world.universal({ inspect: true });
  const hook: Item = [ic0.msg_caller_info_data_size, when([ic0.accept_message])];
  replied(await canister.update(setHook("inspect_message", hook), ic0.msg_reply));
  replied((await attested(world, canister, code(ic0.msg_reply), { kind: "call" })).outcome);
  rejected(await canister.update(ic0.msg_reply), { code: 4, error: "IC0406" });
});
self("attested information may be empty", async (world) => {
  const { signer, outcome } = await attested(world, await world.shared(), code(SEEN), {
    info: new Uint8Array(),
  });
  repliedBytes(outcome, signer.canister.bytes);
});
self("attested information may be long, and is copied in slices", async (world) => {
  const info = new Uint8Array(2_000).map((_, i) => i);
  const slice = code(65_536, 1_000, 5, ic0.msg_caller_info_data_copy, 65_536, 5, reply);
  const { outcome } = await attested(world, await world.shared(), slice, { info });
  repliedBytes(outcome, info.slice(1_000, 1_005));
});
auth("attested information that was changed is refused", async (world) => {
  const signer = await canisterSigner(world);
  const canister = await world.shared();
  const good = await signAs(signer, query(canister, signer.sender, WHO), INFO);
  const content = (decodeCbor(good.body) as CborMap).get("content") as CborMap;
  const info = new Map([...(content.get("sender_info") as CborMap), ["info", utf8("lies!") as CborValue]]);
  const changed = new Map([...content, ["sender_info", info as CborValue]]) as CborMap;
  const id = requestId(changed);
  const [sender_sig] = await canisterSignatures(signer, [concatBytes(domainSep("ic-request"), id)]);
  const body = encodeCbor({ content: changed, sender_pubkey: signer.publicKeyDer, sender_sig } as never);
  refused(await ask(world, canister, { id, body }), 400, /signature|info/i);
});
auth("attested information of the anonymous user is refused", async (world) => {
  const canister = await world.shared();
  const sender_info = { info: INFO, signer: canister.bytes, sig: new Uint8Array(64) };
  const content = contentOf("query", Uint8Array.of(4), {
    canister_id: canister.bytes,
    method_name: "query",
    arg: WHO,
    sender_info,
  });
  const id = requestId(content);
  refused(await ask(world, canister, { id, body: encodeCbor({ content }) }), 400);
});
auth("attested information goes with a delegation of the canister that signed it", async (world) => {
  const [signer, session] = [await canisterSigner(world), ed25519()];
  const canister = await world.shared();
  const [sig = new Uint8Array()] = await canisterSignatures(signer, [
    concatBytes(domainSep("ic-sender-info"), INFO),
  ]);
  const sender_info = { info: INFO, signer: signer.canister.bytes, sig };
  const chain = { from: headOf(signer), delegations: [await delegate(signer, session)] };
  const content = contentOf("query", signer.sender, {
    canister_id: canister.bytes,
    method_name: "query",
    arg: code(SEEN),
    sender_info,
  });
  repliedBytes(
    await ask(world, canister, sign(session, content, chain)),
    join([INFO, signer.canister.bytes]),
  );
});
