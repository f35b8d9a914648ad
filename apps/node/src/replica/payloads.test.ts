/** What goes into blocks, and that a validator takes exactly what a maker may choose. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  err,
  INGRESS_PER_BLOCK_MAX,
  type OutcallResponse,
  ok,
  type PrincipalKey,
  RESPONSES_PER_BLOCK_MAX,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import fc from "fast-check";
import { buildPayload, judgePayload, type PayloadRules, type Waiting } from "./payloads.ts";

const NOW = 1_000_000_000_000n;
const MINUTE = 60_000_000_000n;
const MESSAGE_BYTES_MAX = 1_000_000;

/** Envelopes of the test: an id, a sign whether somebody signed it, minutes until it expires, and room. */
function envelope(id: number, { signed = true, minutes = 4, length = 10 } = {}): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set([id >> 8, id & 255, signed ? 1 : 0, minutes]);
  return bytes;
}

function known(bytes: Uint8Array): { id: string; expiry: bigint; validUntil: bigint } {
  const expiry = NOW + BigInt(bytes[3] as number) * MINUTE;
  return { id: `${bytes[0]}/${bytes[1]}`, expiry, validUntil: expiry };
}

const rules: PayloadRules = {
  ingressBytesMax: MESSAGE_BYTES_MAX,
  ingressId: (bytes) => known(bytes).id,
  readIngress: (bytes) => (bytes[2] === 1 ? ok(known(bytes)) : err("nobody signed it")),
  readSlice: (slice) => {
    if (slice[1] === 2) return "later";
    return slice[1] === 1 ? ok(`subnet ${slice[0]}` as PrincipalKey) : err("nobody signed it");
  },
  responseFault: ({ agreement }) => (agreement?.shares[0]?.signer === 0 ? null : "nobody signed it"),
  subnetFault: ({ place, type }) => (place > 3 ? "later" : type === "application" ? null : "another one"),
  ordered: { left: () => Number.POSITIVE_INFINITY },
};

const NOTHING: Waiting = {
  ingress: [],
  slices: [],
  queryStats: [],
  responses: [],
  holdsLong: false,
  subnets: [],
};
const context = (past: readonly BlockPayload[] = []) => ({
  height: past.length + 1,
  certifiedHeight: 0,
  time: NOW,
  past,
});

function waitingFor(envelopes: readonly Uint8Array[]): Waiting {
  return { ...NOTHING, ingress: envelopes.map((bytes) => ({ ...known(bytes), envelope: bytes })) };
}

const slice = (source: number, length = 10, signed = 1): Uint8Array => {
  const bytes = new Uint8Array(length);
  bytes.set([source, signed]);
  return bytes;
};

function offered(slices: readonly Uint8Array[]): Waiting {
  return {
    ...NOTHING,
    slices: slices.map((each) => ({ source: `subnet ${each[0]}` as PrincipalKey, slice: each })),
  };
}

function refusal(payload: BlockPayload, past: readonly BlockPayload[] = []): string {
  const judged = judgePayload(payload, context(past), rules);
  assert.equal(judged.kind, "invalid");
  return judged.kind === "invalid" ? judged.reason : "";
}

describe("ingress messages", () => {
  test("in their order, none that is ordered already, none out of its time", () => {
    const waiting = waitingFor([1, 2].map((id) => envelope(id)).concat(envelope(9, { minutes: 6 })));
    const built = buildPayload(waiting, context([{ ingress: [envelope(1)] }]), rules);
    assert.deepEqual(built, { ingress: [envelope(2)] });
  });

  test("as many and as much as a block holds", () => {
    const many = Array.from({ length: INGRESS_PER_BLOCK_MAX + 5 }, (_, id) => envelope(id));
    assert.equal(buildPayload(waitingFor(many), context(), rules).ingress.length, INGRESS_PER_BLOCK_MAX);
    const large = Array.from({ length: 6 }, (_, id) => envelope(id, { length: MESSAGE_BYTES_MAX }));
    const { ingress } = buildPayload(waitingFor([...large, envelope(7)]), context(), rules);
    // What still fits is not kept waiting by what does not.
    assert.deepEqual(ingress, [...large.slice(0, 4), envelope(7)]);
  });

  test("are refused in others' blocks: twice, ordered before, unsigned, too long, out of time, too many", () => {
    const one = envelope(1);
    assert.match(refusal({ ingress: [one, envelope(1)] }), /ordered already/);
    assert.match(refusal({ ingress: [one] }, [{ ingress: [envelope(1)] }]), /ordered already/);
    assert.match(refusal({ ingress: [envelope(1, { signed: false })] }), /nobody signed it/);
    assert.match(refusal({ ingress: [envelope(1, { length: MESSAGE_BYTES_MAX + 1 })] }), /bytes, more than/);
    assert.match(refusal({ ingress: [envelope(1, { minutes: 6 })] }), /expires too late/);
    const expired = judgePayload(
      { ingress: [envelope(1, { minutes: 0 })] },
      { ...context(), time: NOW + 1n },
      rules,
    );
    assert.equal(expired.kind, "invalid");
    const many = Array.from({ length: INGRESS_PER_BLOCK_MAX + 1 }, (_, id) => envelope(id));
    assert.match(refusal({ ingress: many }), /ingress messages, more than/);
    const large = Array.from({ length: 5 }, (_, id) => envelope(id, { length: MESSAGE_BYTES_MAX }));
    assert.match(refusal({ ingress: large }), new RegExp(`more than ${BLOCK_PAYLOAD_BYTES_MAX} bytes`));
  });
});

describe("slices of streams", () => {
  test("one of a subnet, and none of one whose last is not executed yet", () => {
    const built = buildPayload(
      offered([slice(1), slice(2), slice(3)]),
      context([{ ingress: [], xnet: [slice(2)] }]),
      rules,
    );
    assert.deepEqual(built.xnet, [slice(1), slice(3)]);
    assert.match(refusal({ ingress: [], xnet: [slice(1), slice(1)] }), /second stream slice/);
    assert.match(refusal({ ingress: [], xnet: [slice(2)] }, [{ ingress: [], xnet: [slice(2)] }]), /second/);
    assert.match(refusal({ ingress: [], xnet: [slice(1, 10, 0)] }), /nobody signed it/);
  });

  test("as much as a block holds", () => {
    const large = [1, 2, 3].map((source) => slice(source, XNET_BYTES_PER_BLOCK_MAX / 2));
    assert.equal(buildPayload(offered(large), context(), rules).xnet?.length, 2);
    assert.match(refusal({ ingress: [], xnet: large }), /bytes of stream slices/);
  });
});

test("while messages are left to be read it is later, unless something else is wrong", () => {
  const slow: PayloadRules = {
    ...rules,
    readIngress: (bytes) => (known(bytes).id === "0/2" ? "later" : rules.readIngress(bytes)),
  };
  const judge = (payload: BlockPayload) => judgePayload(payload, context(), slow).kind;
  assert.equal(judge({ ingress: [envelope(1), envelope(2), envelope(3)] }), "later");
  assert.equal(judge({ ingress: [envelope(1), envelope(1), envelope(2)] }), "invalid");
  assert.equal(judge({ ingress: [envelope(2)], xnet: [slice(1, 10, 0)] }), "invalid");
});

describe("what is left of an interval", () => {
  const scarce: PayloadRules = { ...rules, ordered: { left: () => 1_000 } };

  test("goes to those who waited longest, and nobody takes more", () => {
    const [small, large, last] = [envelope(1), envelope(2, { length: 995 }), envelope(3)];
    const built = buildPayload(waitingFor([small, large, last]), context(), scarce);
    assert.deepEqual(built.ingress, [small]);
    assert.deepEqual(buildPayload(waitingFor([large, last]), context(), scarce).ingress, [large]);
    const judged = judgePayload({ ingress: [small, large] }, context(), scarce);
    assert.match(judged.kind === "invalid" ? judged.reason : "", /1000 bytes of ingress .* left of its int/);
  });

  test("is one for messages and one for slices", () => {
    const waiting = {
      ...offered([slice(1, 600), slice(2, 600)]),
      ingress: waitingFor([envelope(1)]).ingress,
    };
    const built = buildPayload(waiting, context(), scarce);
    assert.deepEqual(built, { ingress: [envelope(1)], xnet: [slice(1, 600)] });
    const judged = judgePayload({ ingress: [], xnet: [slice(1, 600), slice(2, 600)] }, context(), scarce);
    assert.match(judged.kind === "invalid" ? judged.reason : "", /bytes of stream slices .* left of its int/);
  });
});

const response = (outcall: number, { bytes = 10, signed = true, begun = NOW } = {}): OutcallResponse => ({
  outcall,
  spent: 0n,
  content: { kind: "reply", data: new Uint8Array(bytes) },
  agreement: { begun, shares: [{ signer: signed ? 0 : 1, spent: 0n, signature: new Uint8Array(64) }] },
});

describe("answers to outcalls", () => {
  const built = (responses: readonly OutcallResponse[], past: readonly BlockPayload[] = []) =>
    buildPayload({ ...NOTHING, responses }, context(past), rules).responses ?? [];

  test("once, while somebody may wait for them", () => {
    assert.deepEqual(built([response(1), response(2)]), [response(1), response(2)]);
    assert.deepEqual(built([response(1), response(2)], [{ ingress: [], responses: [response(1)] }]), [
      response(2),
    ]);
    assert.deepEqual(built([response(1, { begun: NOW - MINUTE })]), []);
    const again = judgePayload(
      { ingress: [], responses: [response(1)] },
      context([{ ingress: [], responses: [response(1)] }]),
      rules,
    );
    assert.match(again.kind === "invalid" ? again.reason : "", /that has one/);
    assert.match(refusal({ ingress: [], responses: [response(1), response(1)] }), /that has one/);
    assert.match(refusal({ ingress: [], responses: [response(1, { signed: false })] }), /nobody signed/);
  });

  test("as many as a block has room for", () => {
    const large = [1, 2, 3].map((id) => response(id, { bytes: 900_000 }));
    assert.deepEqual(built(large), large.slice(0, 2));
    assert.match(refusal({ ingress: [], responses: large }), /bytes of answers/);
    const many = Array.from({ length: RESPONSES_PER_BLOCK_MAX + 1 }, (_, id) => response(id));
    assert.equal(built(many).length, RESPONSES_PER_BLOCK_MAX);
    assert.match(refusal({ ingress: [], responses: many }), /more than/);
  });
});

test("whatever waits, what is built is right, again and again on what was built before", () => {
  const entries = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 8 })), {
    maxLength: 40,
  });
  const sources = fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(entries, sources), { maxLength: 6 }), (rounds) => {
      const past: BlockPayload[] = [];
      const seen = new Set<string>();
      for (const [messages, from] of rounds) {
        const unique = new Map(messages.map(([id, minutes]) => [id, envelope(id, { minutes })]));
        const waiting = {
          ...waitingFor([...unique.values()]),
          slices: offered(from.map((each) => slice(each))).slices,
        };
        const payload = buildPayload(waiting, context(past), rules);
        assert.deepEqual(judgePayload(payload, context(past), rules), { kind: "valid" });
        for (const { id } of payload.ingress.map(known)) {
          assert.ok(!seen.has(id), "a message is ordered once");
          seen.add(id);
        }
        past.unshift(payload);
      }
    }),
  );
});

test("a subnet that came to the network is told of once, and nobody makes one up", () => {
  const subnet = (place: number, type = "application") => ({ place, type, publicKey: Uint8Array.of(place) });
  const waiting = { ...NOTHING, subnets: [subnet(2), subnet(3)] };
  const payload = buildPayload(waiting, context(), rules);
  assert.deepEqual(payload.subnets, [subnet(2), subnet(3)]);
  assert.deepEqual(judgePayload(payload, context(), rules), { kind: "valid" });
  const later = buildPayload(waiting, context([{ ingress: [], subnets: [subnet(2)] }]), rules);
  assert.deepEqual(later.subnets, [subnet(3)]);
  assert.equal(buildPayload(NOTHING, context(), rules).subnets, undefined);
  const judged = (...subnets: readonly ReturnType<typeof subnet>[]) =>
    judgePayload({ ingress: [], subnets }, context(), rules);
  const slices = { ingress: [], xnet: [slice(1), slice(5, 10, 2)] };
  assert.deepEqual(judgePayload(slices, context(), rules), { kind: "later" });
  assert.deepEqual(judged(subnet(2), subnet(4)), { kind: "later" });
  assert.deepEqual(judged(subnet(4), subnet(3, "system")), { kind: "invalid", reason: "another one" });
});
