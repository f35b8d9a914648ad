/** Peers that flood, lie, stall and never end: throttled, then dropped with a reason and for a time, and others notice nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, u64be } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import { ingressChannel, ingressLabel } from "./index.ts";
import {
  ALLOWANCES,
  ANSWER_NS,
  BAN_FIRST_NS,
  BAN_LAST_NS,
  BODY_BYTES_MAX,
  HELD_BYTES_MAX,
  REQUESTS_PER_PEER_MAX,
  SERVED_PER_PEER_MAX,
} from "./limits.ts";
import { CHANNEL, Mesh, SECOND } from "./mesh.testkit.ts";
import { ARTIFACT_SERVICE } from "./receiver.ts";
import { encodeMessage, type WireMessage } from "./wire.ts";

const NAMES = ["a", "b", "m"];

function joined(options: Partial<ConstructorParameters<typeof Mesh>[0]> = {}): Mesh {
  const mesh = new Mesh({ names: NAMES, ...options });
  mesh.joinAll();
  return mesh;
}

/** As the misbehaving peer says it to `a`. */
function say(mesh: Mesh, message: WireMessage): void {
  if (mesh.isJoined("m", "a")) mesh.step("a", { kind: "frame", peer: "m", frame: encodeMessage(message) });
}

function update(slot: number, version: number, body = Uint8Array.of(slot, version)): WireMessage {
  return {
    kind: "update",
    channel: 1,
    slot,
    version,
    form: "whole",
    label: body.slice(0, 8),
    content: { kind: "inline", body },
  };
}

function advert(slot: number, length: number, label = Uint8Array.of(slot)): WireMessage {
  const content = { kind: "advert", hash: new Uint8Array(32).fill(slot), length } as const;
  return { kind: "update", channel: 1, slot, version: 1, form: "whole", label, content };
}

function reasons(mesh: Mesh): readonly string[] {
  return mesh.dropped.map(({ by, peer, reason }) => `${by} dropped ${peer}: ${reason}`);
}

/** What an honest pair still does, whatever the third did. */
function expectHonestUnharmed(mesh: Mesh): void {
  const publication = { label: Uint8Array.of(200), body: new Uint8Array(100_000), isUrgent: false };
  mesh.step("b", { kind: "publish", channel: 1, key: "honest", publication });
  mesh.settle(2n * SECOND);
  assert.equal(mesh.at("a").has.get("c8")?.body.length, 100_000);
  assert.ok(mesh.isJoined("a", "b"));
}

const AT_ONCE: readonly (readonly [string, string, (mesh: Mesh) => void])[] = [
  [
    "bytes that are no message",
    "malformed",
    (mesh) => mesh.step("a", { kind: "frame", peer: "m", frame: new Uint8Array(9) }),
  ],
  [
    "an oversized frame",
    "malformed",
    (mesh) => mesh.step("a", { kind: "frame", peer: "m", frame: new Uint8Array(200_000).fill(1) }),
  ],
  ["no frames", "malformed", (mesh) => mesh.step("a", { kind: "malformed", peer: "m" })],
  [
    "no frames before it counts as connected",
    "malformed",
    (mesh) => {
      mesh.part("a", "m");
      mesh.step("a", { kind: "malformed", peer: "m" });
      mesh.join("a", "m");
      assert.deepEqual(mesh.dropped.splice(1), [{ by: "a", peer: "m", reason: "banned" }]);
    },
  ],
  ["an unknown channel", "malformed", (mesh) => say(mesh, { ...update(0, 1), channel: 9 } as WireMessage)],
  ["too long an artifact", "malformed", (mesh) => say(mesh, advert(0, CHANNEL.artifactBytesMax + 1))],
  ["a slot beyond the table", "slot_flood", (mesh) => say(mesh, update(CHANNEL.slotsMax, 1))],
  [
    "a free slot beyond the table",
    "slot_flood",
    (mesh) => say(mesh, { kind: "clear", channel: 1, slot: 1e6, version: 1 }),
  ],
  [
    "more bytes in slots than a channel has",
    "slot_flood",
    (mesh) => {
      for (let slot = 0; slot < 30; slot++) say(mesh, advert(slot, CHANNEL.artifactBytesMax));
    },
  ],
  [
    "an answer that was not asked for",
    "unasked_answer",
    (mesh) => say(mesh, { kind: "piece", number: 7, total: 1, offset: 0, bytes: Uint8Array.of(1) }),
  ],
  [
    "an answer longer than asked for",
    "unasked_answer",
    (mesh) => {
      say(mesh, advert(1, 10));
      say(mesh, { kind: "piece", number: 0, total: 11, offset: 0, bytes: new Uint8Array(11) });
    },
  ],
  [
    "an answer that is not what its hash said",
    "wrong_answer",
    (mesh) => {
      say(mesh, advert(1, 10));
      say(mesh, { kind: "piece", number: 0, total: 10, offset: 0, bytes: new Uint8Array(10) });
    },
  ],
  ["an unknown service", "malformed", (mesh) => say(mesh, request(0, { service: 99 }))],
  ["too long a request", "malformed", (mesh) => say(mesh, request(0, { body: new Uint8Array(1_001) }))],
  [
    "a request with a number that is in use",
    "malformed",
    (mesh) => {
      say(mesh, request(0));
      say(mesh, request(0));
    },
  ],
  [
    "stripped nonsense",
    "malformed",
    (mesh) => say(mesh, { ...update(0, 1, Uint8Array.of(9)), form: "stripped" } as WireMessage),
  ],
];

function request(number: number, other: { service?: number; body?: Uint8Array } = {}): WireMessage {
  return { kind: "request", number, service: 16, bytesMax: 100, body: new Uint8Array(1), ...other };
}

for (const [what, reason, act] of AT_ONCE) {
  test(`${what}: dropped at once as ${reason}`, () => {
    const mesh = joined({ answer: () => "silent" });
    act(mesh);
    assert.deepEqual(reasons(mesh), [`a dropped m: ${reason}`]);
    assert.equal(mesh.at("a").exchange.sizes.offers, 0);
    expectHonestUnharmed(mesh);
  });
}

test("requests without end are refused as busy, and beyond all bounds the peer is dropped", () => {
  const mesh = joined({ answer: () => "silent" });
  mesh.stuck.add("m");
  for (let number = 0; number < 20; number++) say(mesh, request(number));
  const asked = mesh.at("a").effects.filter(({ kind }) => kind === "asked");
  assert.equal(asked.length, 8);
  assert.deepEqual(reasons(mesh), []);
  // Artifacts that are live cost no memory to serve, but an honest peer does not ask for so many at once.
  const artifact = new Uint8Array(300_000);
  const publication = { label: Uint8Array.of(1), body: artifact, isUrgent: false };
  mesh.step("a", { kind: "publish", channel: 1, key: "x", publication });
  const body = concatBytes(Uint8Array.of(1), sha256(artifact));
  let sent = 0;
  for (; sent < 1_000 && mesh.isJoined("m", "a"); sent++)
    say(mesh, { kind: "request", number: 100 + sent, service: ARTIFACT_SERVICE, bytesMax: 300_000, body });
  assert.deepEqual(reasons(mesh), ["a dropped m: request_flood"]);
  assert.ok(sent <= SERVED_PER_PEER_MAX, `${sent} requests`);
  expectHonestUnharmed(mesh);
});

test("a flood of messages is throttled first, and the peer is dropped when it goes on", () => {
  const mesh = joined();
  const frame = encodeMessage({ kind: "cancel", number: 1 });
  const flood = (count: number): void => {
    for (let i = 0; i < count; i++) mesh.step("a", { kind: "frame", peer: "m", frame });
  };
  flood(ALLOWANCES.messages.burst - 10);
  assert.equal(
    mesh.at("a").effects.some(({ kind }) => kind === "pause"),
    false,
  );
  flood(1_000);
  const pauses = (): readonly boolean[] =>
    mesh.at("a").effects.flatMap((effect) => (effect.kind === "pause" ? [effect.isPaused] : []));
  assert.deepEqual(pauses(), [true]);
  assert.deepEqual(reasons(mesh), []);
  mesh.settle(SECOND);
  assert.deepEqual(pauses(), [true, false]);
  // Whoever does not stop when it is not read any more is not waited for.
  flood(2 * ALLOWANCES.messages.burst);
  assert.deepEqual(reasons(mesh), ["a dropped m: flood_messages"]);
  expectHonestUnharmed(mesh);
});

test("a peer that is always at its limit is borne for a while, and dropped", () => {
  const mesh = joined();
  let rounds = 0;
  for (; rounds < 1_000 && mesh.isJoined("m", "a"); rounds++) {
    mesh.step("a", { kind: "cost", peer: "m", cost: ALLOWANCES.cost.perSecond, isInvalid: false });
    mesh.pass(SECOND / 2n);
  }
  assert.deepEqual(reasons(mesh), ["a dropped m: flood_cost"]);
  assert.ok(rounds > 30 && rounds < 200, `${rounds} rounds`);
  expectHonestUnharmed(mesh);
});

test("some invalid artifacts are a mistake, many are an attack", () => {
  const mesh = joined();
  for (let i = 0; i < 10; i++) mesh.step("a", { kind: "cost", peer: "m", cost: 100, isInvalid: true });
  mesh.settle(SECOND);
  assert.deepEqual(reasons(mesh), []);
  for (let i = 0; i < 100; i++) mesh.step("a", { kind: "cost", peer: "m", cost: 100, isInvalid: true });
  assert.deepEqual(reasons(mesh), ["a dropped m: flood_cost"]);
});

test("a slow reader holds back itself alone, in bounded memory, and is dropped after a while", () => {
  const mesh = joined();
  mesh.stuck.add("m");
  for (let i = 0; i < 2_000; i++) {
    const publication = { label: Uint8Array.of(i % 60), body: new Uint8Array(4_000).fill(i), isUrgent: true };
    mesh.step("a", { kind: "publish", channel: 1, key: `${i % 60}`, publication });
    while (mesh.deliver());
  }
  assert.deepEqual(reasons(mesh), []);
  assert.equal(mesh.at("b").has.size, 60);
  mesh.pass(31n * SECOND);
  assert.deepEqual(reasons(mesh), ["a dropped m: slow_reader"]);
  expectHonestUnharmed(mesh);
});

/** Frames to it come to nothing, and it knows of no connection, though it still says what the test says for it. */
function deafen(mesh: Mesh): void {
  mesh.step("m", { kind: "disconnected", peer: "a" });
}

test("a silent source costs one wait: others are asked first from then on", () => {
  const mesh = joined();
  deafen(mesh);
  /** The misbehaving peer says first that it has what the other has. */
  const announce = (from: number, count: number): void => {
    const bodies = Array.from({ length: count }, (_, i) => new Uint8Array(2_000).fill(from + i));
    for (const [i, body] of bodies.entries()) {
      const content = { kind: "advert", hash: sha256(body), length: body.length } as const;
      const label = Uint8Array.of(from + i);
      say(mesh, { kind: "update", channel: 1, slot: from + i, version: 1, form: "whole", label, content });
    }
    for (const [i, body] of bodies.entries()) {
      const publication = { label: Uint8Array.of(from + i), body, isUrgent: false };
      mesh.step("b", { kind: "publish", channel: 1, key: `${from + i}`, publication });
    }
  };
  const { has } = mesh.at("a");
  announce(0, 32);
  mesh.settle(SECOND);
  assert.equal(has.size, 32 - REQUESTS_PER_PEER_MAX);
  mesh.settle(ANSWER_NS + SECOND);
  assert.equal(has.size, 32);
  // One thing at a time, and it is the only one that waits.
  announce(32, 32);
  mesh.settle(SECOND);
  assert.equal(has.size, 63);
  mesh.settle(ANSWER_NS + SECOND);
  assert.equal(has.size, 64);
});

test("large answers that one peer owes hold back nothing that others have", () => {
  const channel = { ...CHANNEL, bytesMax: 1e9, artifactBytesMax: BODY_BYTES_MAX };
  const mesh = joined({ channel: () => channel });
  deafen(mesh);
  for (let slot = 0; slot < 64; slot++) say(mesh, advert(slot, BODY_BYTES_MAX));
  expectHonestUnharmed(mesh);
});

test("what nobody wants yet takes bounded memory, and comes when it is wanted", () => {
  let isWanted = false;
  const channel = {
    ...CHANNEL,
    slotsMax: 1_000,
    bytesMax: 1e9,
    wants: () => (isWanted ? "now" : "later"),
  } as const;
  const mesh = new Mesh({ names: ["a", "m"], channel: () => channel });
  mesh.joinAll();
  const big = 100_000;
  const count = Math.ceil(HELD_BYTES_MAX / big) + 5;
  for (let slot = 0; slot < count; slot++) {
    const body = new Uint8Array(big);
    body.set(u64be(BigInt(slot)));
    say(mesh, update(slot, 1, body));
  }
  isWanted = true;
  mesh.step("a", { kind: "reconsider", channel: 1 });
  // The rest was forgotten, and is asked for.
  assert.equal(mesh.at("a").has.size, Math.floor(HELD_BYTES_MAX / big));
  assert.ok(mesh.underWay > 0);
});

test("who was dropped comes back after its time, which doubles up to a bound, and is forgiven after a good time", () => {
  const mesh = joined();
  const misbehave = (): bigint => {
    mesh.step("a", { kind: "frame", peer: "m", frame: new Uint8Array(0) });
    const last = mesh.at("a").effects.findLast((effect) => effect.kind === "drop");
    assert.ok(last?.kind === "drop" && last.reason === "malformed");
    return last.until - mesh.now;
  };
  let expected = BAN_FIRST_NS;
  for (let i = 0; i < 12; i++) {
    assert.equal(misbehave(), expected);
    mesh.join("a", "m");
    assert.equal(mesh.isJoined("a", "m"), false);
    assert.equal(mesh.dropped.at(-1)?.reason, "banned");
    mesh.pass(expected);
    mesh.join("a", "m");
    assert.ok(mesh.isJoined("a", "m"));
    expected = expected * 2n > BAN_LAST_NS ? BAN_LAST_NS : expected * 2n;
  }
  mesh.pass(600n * SECOND);
  assert.equal(misbehave(), BAN_FIRST_NS);
});

test("ingress messages that are expired, too far ahead, known or badly labelled are not taken", () => {
  const requestId = new Uint8Array(32).fill(1);
  const options = { number: 2, messageBytesMax: 1_000, now: () => 10n * SECOND };
  const { wants } = ingressChannel({ ...options, isKnown: () => false });
  const at = (expiry: bigint): string => wants(ingressLabel({ requestId, expiry }));
  assert.equal(at(9n * SECOND), "never");
  assert.equal(at(11n * SECOND), "now");
  assert.equal(at(401n * SECOND), "never");
  assert.equal(wants(new Uint8Array(39)), "never");
  const known = ingressChannel({ ...options, isKnown: (id) => id === "01".repeat(32) });
  assert.equal(known.wants(ingressLabel({ requestId, expiry: 11n * SECOND })), "never");
});

test("what was lost is handed over again when it is asked for", () => {
  const mesh = joined();
  const publication = { label: Uint8Array.of(1), body: new Uint8Array(50), isUrgent: true };
  mesh.step("b", { kind: "publish", channel: 1, key: "x", publication });
  mesh.settle();
  mesh.at("a").has.clear();
  mesh.step("a", { kind: "again", channel: 1, peer: "b" });
  mesh.settle();
  assert.equal(mesh.at("a").has.size, 1);
});
