/** Exchanges over connections that reorder, break and come again: every live artifact arrives, what is retracted goes, bounds hold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import fc from "fast-check";
import type { Channel, Publication } from "./index.ts";
import { CHANNEL, Mesh, SECOND } from "./mesh.testkit.ts";

const NAMES = ["a", "b", "c", "d"];

function body(seed: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = (seed * 31 + i * 7) & 255;
  return out;
}

function publication(seed: number, length: number, isUrgent = false): Publication {
  return { label: Uint8Array.of(seed), body: body(seed, length), isUrgent };
}

function publish(mesh: Mesh, name: string, seed: number, length: number, isUrgent = false): void {
  const input = {
    kind: "publish",
    channel: 1,
    key: `${seed}`,
    publication: publication(seed, length, isUrgent),
  } as const;
  mesh.step(name, input);
}

test("small artifacts come at once, large ones are fetched in pieces, and what is retracted is withdrawn", () => {
  const mesh = new Mesh({ names: NAMES });
  mesh.joinAll();
  publish(mesh, "a", 1, 10);
  publish(mesh, "a", 2, 300_000);
  mesh.settle();
  for (const name of ["b", "c", "d"]) {
    const { has } = mesh.at(name);
    assert.deepEqual(has.get("01")?.body, body(1, 10));
    assert.deepEqual(has.get("02")?.body, body(2, 300_000));
  }
  mesh.step("a", { kind: "retract", channel: 1, key: "2" });
  mesh.settle();
  for (const name of ["b", "c", "d"]) assert.deepEqual([...mesh.at(name).has.keys()], ["01"]);
  assert.deepEqual(mesh.dropped, []);
});

test("a peer that connects later, or again, is told of what is live", () => {
  const mesh = new Mesh({ names: NAMES });
  publish(mesh, "a", 1, 10);
  publish(mesh, "a", 2, 10);
  mesh.join("a", "b");
  mesh.settle();
  assert.equal(mesh.at("b").has.size, 2);
  mesh.part("a", "b");
  assert.equal(mesh.at("b").has.size, 0);
  mesh.step("a", { kind: "retract", channel: 1, key: "1" });
  publish(mesh, "a", 3, 5_000);
  mesh.join("a", "b");
  mesh.settle();
  assert.deepEqual([...mesh.at("b").has.keys()].sort(), ["02", "03"]);
});

test("a channel is between those who take part: others hear nothing of it, and are dropped when they speak there", () => {
  const isOne = (name: string): boolean => name < "c";
  // The third believes that it takes part.
  const channel = (name: string): Channel => ({
    ...CHANNEL,
    ...(name === "c" ? {} : { takesPart: (peer) => isOne(name) && isOne(peer) }),
  });
  const mesh = new Mesh({ names: NAMES, channel });
  mesh.joinAll();
  publish(mesh, "a", 1, 10);
  publish(mesh, "b", 2, 10);
  publish(mesh, "d", 3, 10);
  mesh.settle();
  assert.deepEqual([...mesh.at("b").has.keys()], ["01"]);
  assert.deepEqual([...mesh.at("a").has.keys()], ["02"]);
  for (const name of ["c", "d"]) assert.equal(mesh.at(name).has.size, 0, name);
  assert.deepEqual(mesh.dropped, []);
  publish(mesh, "c", 4, 10);
  mesh.settle();
  for (const name of ["a", "b", "d"]) assert.ok(![...mesh.at(name).has.keys()].includes("04"), name);
  assert.deepEqual(mesh.dropped.map(({ by, peer, reason }) => `${by} ${peer} ${reason}`).sort(), [
    "a c malformed",
    "b c malformed",
    "d c malformed",
  ]);
});

test("a peer that has an artifact is not told of it again", () => {
  const mesh = new Mesh({ names: ["a", "b"] });
  mesh.joinAll();
  publish(mesh, "a", 1, 2_000);
  mesh.settle();
  publish(mesh, "b", 1, 2_000);
  assert.equal(mesh.underWay, 0);
  // Once the other lets go, it does not come back either: it had it.
  mesh.step("a", { kind: "retract", channel: 1, key: "1" });
  mesh.settle();
  assert.equal(mesh.at("a").has.size, 0);
});

test("what is wanted later is kept or fetched when it is wanted, and what is not wanted never comes", () => {
  let now = false;
  const wants: Channel["wants"] = (label) => (label[0] === 9 ? "never" : now ? "now" : "later");
  const mesh = new Mesh({ names: ["a", "b"], channel: () => ({ ...CHANNEL, wants }) });
  mesh.joinAll();
  publish(mesh, "a", 1, 10);
  publish(mesh, "a", 2, 100_000);
  publish(mesh, "a", 9, 10);
  mesh.settle();
  assert.equal(mesh.at("b").has.size, 0);
  now = true;
  mesh.step("b", { kind: "reconsider", channel: 1 });
  mesh.settle();
  assert.deepEqual([...mesh.at("b").has.keys()].sort(), ["01", "02"]);
});

test("a stripped artifact is put together from the receiver's own parts and fetched ones", () => {
  const bytes = [body(1, 700), body(2, 90_000), body(3, 0), body(1, 700)];
  const parts = bytes.map((part) => ({ id: sha256(part), bytes: part }));
  const pool = new Map([[toHex(sha256(body(1, 700))), body(1, 700)]]);
  let lookups = 0;
  const channel: Channel = {
    ...CHANNEL,
    part: (id) => {
      lookups++;
      return pool.get(toHex(id)) ?? null;
    },
  };
  const mesh = new Mesh({ names: ["a", "b"], channel: (name) => (name === "b" ? channel : CHANNEL) });
  mesh.joinAll();
  const stripped: Publication = { label: Uint8Array.of(7), body: body(9, 50), parts, isUrgent: true };
  mesh.step("a", { kind: "publish", channel: 1, key: "7", publication: stripped });
  mesh.settle();
  const got = mesh.at("b").has.get("07");
  assert.deepEqual(got?.body, body(9, 50));
  assert.deepEqual(got?.parts, bytes);
  assert.ok(lookups >= 3);
});

test("a fetch goes on from another peer when one falls silent, leaves or lies", () => {
  for (const trouble of ["silent", "leaves", "lies"] as const) {
    const mesh = new Mesh({ names: ["a", "b", "c"] });
    mesh.join("a", "c");
    mesh.join("b", "c");
    publish(mesh, "a", 1, 200_000);
    publish(mesh, "b", 1, 200_000);
    // The announcements and then the request are let through; its answer is not.
    mesh.deliver();
    mesh.deliver();
    if (trouble === "leaves") mesh.part("a", "c");
    if (trouble === "silent") mesh.step("a", { kind: "disconnected", peer: "c" });
    if (trouble === "lies") {
      const piece = new Uint8Array(14 + 65_536);
      piece.set([1, 3, 0, 0, 0, 0, 0, 3, 13, 64]);
      for (let offset = 0; offset < 200_000; offset += 65_536) {
        new DataView(piece.buffer).setUint32(10, offset);
        const frame = piece.slice(0, 14 + Math.min(65_536, 200_000 - offset));
        mesh.step("c", { kind: "frame", peer: "a", frame });
      }
      assert.deepEqual(mesh.dropped, [{ by: "c", peer: "a", reason: "wrong_answer" }]);
    }
    mesh.settle(60n * SECOND);
    assert.deepEqual(mesh.at("c").has.get("01")?.body, body(1, 200_000), trouble);
  }
});

test("a question finds the peer that knows; one that nobody answers ends at its deadline", () => {
  const answer = (name: string, asked: Uint8Array): Uint8Array | null =>
    name === "c" && asked[0] === 1 ? body(5, 250_000) : null;
  const mesh = new Mesh({ names: NAMES, answer });
  mesh.joinAll();
  const ask = (id: string, byte: number): void =>
    mesh.step("a", {
      kind: "ask",
      id,
      service: 16,
      body: Uint8Array.of(byte),
      peers: null,
      deadline: mesh.now + 20n * SECOND,
    });
  ask("known", 1);
  ask("unknown", 2);
  mesh.settle(30n * SECOND);
  const ends = mesh.at("a").effects.filter(({ kind }) => kind === "answered" || kind === "unanswered");
  assert.deepEqual(ends, [
    { kind: "answered", id: "known", peer: "c", body: body(5, 250_000) },
    { kind: "unanswered", id: "unknown", reason: "none" },
  ]);
  assert.equal(mesh.at("a").exchange.sizes.questions, 0);
});

test("an open question goes to peers that connect later; a forgotten one to nobody", () => {
  const mesh = new Mesh({ names: ["a", "b"], answer: () => body(1, 3) });
  const ask = (id: string): void =>
    mesh.step("a", {
      kind: "ask",
      id,
      service: 16,
      body: body(1, 1),
      peers: null,
      deadline: mesh.now + 20n * SECOND,
    });
  ask("kept");
  ask("forgotten");
  mesh.step("a", { kind: "forget", id: "forgotten" });
  mesh.join("a", "b");
  mesh.settle(30n * SECOND);
  assert.deepEqual(
    mesh.at("a").effects.flatMap((effect) => (effect.kind === "answered" ? [effect.id] : [])),
    ["kept"],
  );
});

test("members that leave are dropped with all they had announced, and may come back", () => {
  const mesh = new Mesh({ names: ["a", "b"] });
  mesh.joinAll();
  publish(mesh, "b", 1, 10);
  mesh.settle();
  mesh.step("a", { kind: "members", peers: ["a"] });
  assert.deepEqual(mesh.dropped, [{ by: "a", peer: "b", reason: "removed" }]);
  assert.equal(mesh.at("a").has.size, 0);
  mesh.join("a", "b");
  assert.equal(mesh.isJoined("a", "b"), false);
  mesh.step("a", { kind: "members", peers: ["a", "b"] });
  mesh.join("a", "b");
  mesh.settle();
  assert.deepEqual([...mesh.at("a").has.keys()], ["01"]);
});

test("a full table publishes nothing more, and room comes back", () => {
  const channel = { ...CHANNEL, slotsMax: 2, bytesMax: 1_000 };
  const mesh = new Mesh({ names: ["a", "b"], channel: () => channel });
  publish(mesh, "a", 1, 900);
  publish(mesh, "a", 2, 200);
  assert.deepEqual(mesh.at("a").effects, [{ kind: "unpublished", channel: 1, key: "2" }]);
  publish(mesh, "a", 1, 100);
  publish(mesh, "a", 2, 200);
  publish(mesh, "a", 3, 1);
  assert.equal(mesh.at("a").effects.length, 2);
  mesh.joinAll();
  mesh.settle();
  assert.deepEqual([...mesh.at("b").has.keys()].sort(), ["01", "02"]);
});

type Event =
  | {
      readonly kind: "publish";
      readonly node: number;
      readonly key: number;
      readonly size: number;
      readonly urgent: boolean;
    }
  | { readonly kind: "retract"; readonly node: number; readonly key: number }
  | { readonly kind: "link"; readonly a: number; readonly b: number; readonly up: boolean }
  | { readonly kind: "deliver"; readonly count: number }
  | { readonly kind: "pass"; readonly ms: number };

const node = fc.integer({ min: 0, max: 3 });
const key = fc.integer({ min: 0, max: 15 });
const size = fc.oneof(
  fc.integer({ min: 0, max: 3_000 }),
  fc.constantFrom(1_024, 4_001, 65_536, 65_537, 150_000),
);
const EVENTS = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("publish" as const), node, key, size, urgent: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("retract" as const), node, key }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("link" as const), a: node, b: node, up: fc.boolean() }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
    },
  ),
  { maxLength: 60 },
);

function play(mesh: Mesh, live: readonly Map<number, number>[], event: Event): void {
  const name = (index: number): string => NAMES[index] as string;
  switch (event.kind) {
    case "publish": {
      // Labels name the publisher too, and sizes, so that a mix-up shows.
      const label = Uint8Array.of(event.node, event.key, event.size >> 16, event.size >> 8, event.size);
      live[event.node]?.set(event.key, event.size);
      const publication = { label, body: body(event.key, event.size), isUrgent: event.urgent };
      mesh.step(name(event.node), { kind: "publish", channel: 1, key: `${event.key}`, publication });
      return;
    }
    case "retract":
      live[event.node]?.delete(event.key);
      mesh.step(name(event.node), { kind: "retract", channel: 1, key: `${event.key}` });
      return;
    case "link": {
      if (event.a === event.b) return;
      const [a, b] = [name(event.a), name(event.b)];
      if (mesh.isJoined(a, b)) mesh.part(a, b);
      if (event.up) mesh.join(a, b);
      return;
    }
    case "deliver":
      for (let i = 0; i < event.count; i++) mesh.deliver();
      return;
    case "pass":
      mesh.pass(BigInt(event.ms) * 1_000_000n);
  }
}

test("whatever is published, retracted, reordered and cut: in the end every peer has what is live, and nothing else", () => {
  fc.assert(
    fc.property(EVENTS, fc.integer(), (events, seed) => {
      let state = seed | 1;
      const draw = (bound: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
        return bound === 0 ? 0 : (state >> 8) % bound;
      };
      const mesh = new Mesh({ names: NAMES, draw });
      const live = NAMES.map(() => new Map<number, number>());
      mesh.joinAll();
      for (const event of events) play(mesh, live, event);
      mesh.joinAll();
      mesh.settle(300n * SECOND);
      assert.deepEqual(mesh.dropped, []);
      for (const [index, name] of NAMES.entries()) {
        const wanted: string[] = [];
        for (const [from, keys] of live.entries()) {
          if (from === index) continue;
          for (const [k, s] of keys) wanted.push(toHex(Uint8Array.of(from, k, s >> 16, s >> 8, s)));
        }
        const { has, exchange } = mesh.at(name);
        assert.deepEqual([...has.keys()].sort(), wanted.sort());
        for (const [label, artifact] of has) {
          const [, k, high, middle, low] = fromHex(label) as unknown as [
            number,
            number,
            number,
            number,
            number,
          ];
          assert.deepEqual(artifact.body, body(k, (high << 16) | (middle << 8) | low));
        }
        assert.equal(exchange.sizes.offers, wanted.length);
        assert.equal(exchange.sizes.questions, 0);
      }
    }),
    { numRuns: 150 },
  );
});
