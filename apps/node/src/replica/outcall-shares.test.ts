/** What nodes agree on of HTTPS outcalls: whatever order words come in, all come to the same, and nobody takes what was not signed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type OutcallResponse, type SubnetId, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { Outcall } from "@orrery/state";
import fc from "fast-check";
import { decodeToldShare, encodeToldShare, shareLabel, type ToldShare } from "./outcall-share.ts";
import { isTimely, OutcallShares, type OutcallSharesOptions } from "./outcall-shares.ts";

const NODES = 4;
const NOW = 1_000_000_000_000n;
const AT = { time: NOW, height: 1 };
const MINUTE = 60_000_000_000n;
const subnetId = new Uint8Array(29) as unknown as SubnetId;

/** A stand-in for signatures: a hash that names its signer. */
const signatureOf = (signer: number, message: Uint8Array): Uint8Array =>
  sha256(Uint8Array.of(signer, ...message));

const outcall = (id: number, replicated = true): Outcall => ({ id, time: NOW, replicated }) as Outcall;
const reply = (text: string): OutcallResponse["content"] => ({ kind: "reply", data: utf8(text) });

interface Node {
  readonly shares: OutcallShares;
  readonly told: Map<number, Uint8Array>;
  reconsidered: number;
}

function newNode(self: number, nodes = NODES, changing?: OutcallSharesOptions["members"]): Node {
  const told = new Map<number, Uint8Array>();
  const all = Array.from({ length: nodes }, (_, place) => place);
  const node: Node = {
    told,
    reconsidered: 0,
    shares: new OutcallShares({
      subnetId,
      self,
      members: changing ?? (() => all),
      crypto: {
        sign: (message) => signatureOf(self, message),
        verify: (signer, message, signature) =>
          Buffer.from(signatureOf(signer, message)).equals(Buffer.from(signature)),
      },
      publish: ({ outcall: { id } }: ToldShare, body) => told.set(id, body),
      retract: (id) => told.delete(id),
      reconsider: () => node.reconsidered++,
    }),
  };
  return node;
}

/** Nodes for whom an outcall has begun, each with what it got; null for those who got nothing. */
function answered(contents: readonly (string | null)[], begun: Outcall = outcall(5)): readonly Node[] {
  const nodes = contents.map((_, self) => newNode(self, contents.length));
  for (const [self, { shares }] of nodes.entries()) {
    shares.begin([begun]);
    const text = contents[self];
    if (typeof text === "string")
      shares.got({ outcall: begun.id, spent: BigInt(self), content: reply(text) });
  }
  return nodes;
}

/** Each hears the words of all, in the order of `places`. */
function exchange(nodes: readonly Node[], places: readonly number[] = nodes.keys().toArray()): void {
  for (const [self, { shares }] of nodes.entries()) {
    for (const peer of places) {
      const body = nodes[peer]?.told.get(5);
      if (peer !== self && body !== undefined) assert.ok(shares.hear(peer, body));
    }
  }
}

/** What the node in this place would put into a block. */
function answerOf(nodes: readonly Node[], place = 0): OutcallResponse {
  const [answer] = (nodes[place] as Node).shares.offers(1);
  assert.ok(answer !== undefined);
  return answer;
}

describe("agreement", () => {
  test("all but a third have to get the same; whoever did can make the block, and everybody takes it", () => {
    const nodes = answered(["same", "other", "same", "same"]);
    assert.equal(nodes[0]?.shares.settled, 0);
    exchange(nodes);
    assert.deepEqual(
      nodes.map(({ shares }) => shares.settled),
      [1, 0, 1, 1],
    );
    const answer = answerOf(nodes);
    assert.deepEqual(answer.content, reply("same"));
    assert.deepEqual(
      answer.agreement?.shares.map(({ signer }) => signer),
      [0, 2, 3],
    );
    assert.equal(answer.spent, 2n, "the median of what they spent");
    for (const { shares } of nodes) assert.equal(shares.fault(answer, AT), null);
    assert.equal(newNode(1).shares.fault(answer, AT), null, "who knows nothing of the outcall takes it too");
  });

  test("where too few got the same, all come to the same words", () => {
    const nodes = answered(["a", "b", "a", "b"]);
    exchange(nodes);
    const answers = nodes.map(({ shares }) => shares.offers(1));
    const first = answerOf(nodes);
    assert.match(
      first.content.kind === "reject" ? first.content.message : "",
      /^No consensus could be reached\. Replicas had different responses\. Details: request_id: 5, timeout: 1060000000000, hashes: \[[0-9a-f]{64}: 2\], \[[0-9a-f]{64}: 2\]$/,
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    for (const { shares } of nodes) assert.equal(shares.fault(first, AT), null);
  });

  test("as long as those who are silent may decide, nobody does", () => {
    for (const contents of [
      ["a", "b", null, null],
      ["a", "a", "b", null],
      ["a", "a", null, null],
    ]) {
      const nodes = answered(contents);
      exchange(nodes);
      assert.equal(nodes[0]?.shares.settled, 0, `${contents}`);
    }
  });

  test("one node's word counts where it alone makes the outcall, content and all", () => {
    const begun = outcall(5, false);
    const nodes = answered([null, "alone", null, null], begun);
    assert.deepEqual(
      nodes.map(({ shares }) => shares.isOwn(begun)),
      [false, true, false, false],
    );
    exchange(nodes);
    for (const { shares } of nodes) assert.deepEqual(shares.offers(1)[0]?.content, reply("alone"));
    // Another node's word is none, though it may be of newer members.
    const wrong = answered([null, null, "another", null], begun);
    const body = wrong[2]?.told.get(5) as Uint8Array;
    assert.equal(wrong[0]?.shares.hear(2, body), true);
    assert.deepEqual(wrong[0]?.shares.offers(1), []);
  });

  test("where members change, those of the block's height count, by their number among them", () => {
    const told = new Map<number, Uint8Array>();
    const [before, after] = [
      [0, 1, 2, 3],
      [1, 2, 3, 4],
    ];
    const node = newNode(1, NODES, (height) => (height !== null && height >= 10 ? after : before));
    const others = [0, 1, 2, 3, 4].map((place) => newNode(place, NODES, () => [place]));
    for (const [place, { shares }] of [...others.entries(), [1, node] as const]) {
      shares.begin([outcall(5)]);
      shares.got({ outcall: 5, spent: 1n, content: reply("same") });
      const body = others[place]?.told.get(5);
      if (body !== undefined) told.set(place, body);
    }
    for (const place of [0, 2, 3]) assert.ok(node.shares.hear(place, told.get(place) as Uint8Array));
    const signers = (height: number): readonly number[] =>
      node.shares
        .offers(height)
        .flatMap(({ agreement }) => agreement?.shares.map(({ signer }) => signer) ?? []);
    assert.deepEqual(signers(9), [0, 1, 2, 3]);
    // The first is not a member any more: the three others are numbers 0, 1 and 2 of four.
    assert.deepEqual(signers(10), [0, 1, 2]);
    const [answer] = node.shares.offers(10);
    assert.ok(answer !== undefined);
    assert.equal(node.shares.fault(answer, { time: NOW, height: 10 }), null);
    assert.match(node.shares.fault(answer, { time: NOW, height: 9 }) ?? "", /does not hold/);
  });

  test("in whatever order words come, and however often, all come to the same", () => {
    const places = fc.array(fc.nat(6), { minLength: 7, maxLength: 30 });
    const texts = fc.array(fc.constantFrom("a", "b", null), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(texts, places, (contents, order) => {
        const nodes = answered(contents);
        exchange(nodes, order);
        exchange(nodes);
        const counts = ["a", "b"].map((text) => contents.filter((each) => each === text).length);
        const [largest = 0] = counts.toSorted((a, b) => b - a);
        const silent = contents.filter((each) => each === null).length;
        const expected = largest >= 5 ? "agreed" : largest + silent < 5 ? "divergent" : "open";
        const answers = nodes.flatMap(({ shares }) => shares.offers(1));
        for (const answer of answers) {
          assert.equal(answer.content.kind, expected === "agreed" ? "reply" : "reject");
          for (const { shares } of nodes) assert.equal(shares.fault(answer, AT), null);
        }
        assert.equal(answers.length, expected === "agreed" ? largest : expected === "divergent" ? 7 : 0);
      }),
    );
  });
});

describe("what nobody takes", () => {
  test("answers that are not what was signed", () => {
    const nodes = answered(["same", "same", "same", "same"]);
    exchange(nodes);
    const answer = answerOf(nodes);
    const agreement = answer.agreement as NonNullable<OutcallResponse["agreement"]>;
    const [first, ...others] = agreement.shares as [(typeof agreement.shares)[number]];
    const faultOf = (changed: Partial<OutcallResponse>, time = NOW): string | null =>
      (nodes[3] as Node).shares.fault({ ...answer, ...changed }, { time, height: 1 });
    const { agreement: _, ...bare } = answer;
    assert.match((nodes[3] as Node).shares.fault(bare, AT) ?? "", /nobody signed/);
    assert.match(faultOf({ content: reply("changed") }) ?? "", /does not hold/);
    assert.match(faultOf({ outcall: 6 }) ?? "", /does not hold/);
    assert.match(faultOf({ spent: 3n }) ?? "", /other costs/);
    assert.match(faultOf({}, NOW + MINUTE) ?? "", /out of time/);
    assert.match(faultOf({}, NOW - 1n) ?? "", /out of time/);
    assert.match(faultOf({ agreement: { ...agreement, begun: NOW - 1n } }) ?? "", /does not hold/);
    assert.equal(faultOf({ agreement: { ...agreement, shares: others }, spent: 2n }), null);
    const few = { agreement: { ...agreement, shares: others.slice(1) }, spent: 2n };
    assert.match(faultOf(few) ?? "", /too few/);
    const stranger = { ...first, signer: NODES };
    assert.match(
      faultOf({ agreement: { ...agreement, shares: [...others, stranger] } }) ?? "",
      /does not hold/,
    );
    const signature = first.signature.map((byte) => byte ^ 1);
    const forged = { agreement: { ...agreement, shares: [{ ...first, signature }, ...others] } };
    assert.match(faultOf(forged) ?? "", /does not hold/);
  });

  test("that nodes do not agree, where they may yet, or in other words", () => {
    const nodes = answered(["a", "b", "a", "b"]);
    exchange(nodes);
    const answer = answerOf(nodes);
    const agreement = answer.agreement as NonNullable<OutcallResponse["agreement"]>;
    const { shares } = nodes[1] as Node;
    const fewer = { ...agreement, shares: agreement.shares.slice(0, 2) };
    assert.match(shares.fault({ ...answer, agreement: fewer, spent: 0n }, AT) ?? "", /may agree on yet/);
    assert.match(shares.fault({ ...answer, content: reply("x") }, AT) ?? "", /says something else/);
  });

  test("words of others in a peer's name, and of outcalls that nobody waits for", () => {
    const nodes = answered(["same", "same", "same", "same"]);
    const { shares } = nodes[0] as Node;
    const body = nodes[1]?.told.get(5) as Uint8Array;
    assert.equal(shares.hear(2, body), false);
    assert.equal(shares.hear(1, body.subarray(1)), false);
    const told = decodeToldShare(body) as ToldShare;
    const lie = encodeToldShare({ ...told, share: { ...told.share, spent: 100n } });
    assert.equal(shares.hear(1, lie), false, "its signature is of something else");
    assert.equal(shares.hear(1, encodeToldShare({ ...told, content: reply("same") })), false);
    assert.equal(shares.wants(shareLabel({ id: 6, time: NOW })), "later");
    assert.equal(shares.wants(shareLabel({ id: 5, time: NOW })), "now");
    assert.equal(shares.wants(shareLabel({ id: 5, time: NOW + 1n })), "never");
    shares.end([5]);
    assert.equal(nodes[0]?.told.size, 0, "nobody is told any more");
    assert.equal(shares.wants(shareLabel({ id: 5, time: NOW })), "never");
    assert.ok(shares.hear(1, body), "it may have been on its way");
    assert.deepEqual(shares.offers(1), []);
    assert.equal(nodes[0]?.reconsidered, 1);
  });

  test("bytes that are no word are refused and never throw", () => {
    const body = answered(["same", null, null, null])[0]?.told.get(5) as Uint8Array;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(body.length - 1),
        fc.nat(255),
        (bytes, at, byte) => {
          decodeToldShare(bytes);
          const changed = body.slice();
          changed[at] = byte;
          const told = decodeToldShare(changed);
          if (told !== null) assert.ok(encodeToldShare(told).length <= changed.length + 16);
        },
      ),
    );
  });
});

test("an answer is timely from its outcall's begin to its deadline", () => {
  const nodes = answered(["same", "same", "same", "same"]);
  exchange(nodes);
  const answer = answerOf(nodes);
  assert.deepEqual(
    [NOW - 1n, NOW, NOW + MINUTE - 1n, NOW + MINUTE].map((time) => isTimely(answer, time)),
    [false, true, true, false],
  );
});
