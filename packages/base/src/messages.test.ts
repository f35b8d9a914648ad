/** The block codec: one encoding a block, hostile ones refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareBytes, toHex } from "./bytes.ts";
import { type CborValue, decodeCbor, encodeCbor, encodeCborBare } from "./cbor.ts";
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type Block,
  DEALINGS_PER_BLOCK_MAX,
  decodeBlock,
  encodeBlock,
  INGRESS_PER_BLOCK_MAX,
  QUERY_STATS_PER_BLOCK_MAX,
  type QueryStats,
  SUBNETS_PER_BLOCK_MAX,
  SUMMARY_BYTES_MAX,
} from "./messages.ts";
import type { CanisterId } from "./principal.ts";
import {
  type OutcallAgreement,
  type OutcallResponse,
  type OutcallShare,
  RESPONSE_BYTES_PER_BLOCK_MAX,
  RESPONSES_PER_BLOCK_MAX,
} from "./responses.ts";

const natural = fc.maxSafeNat();
const count = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const queryStats: fc.Arbitrary<readonly QueryStats[]> = fc
  .uniqueArray(fc.uint8Array({ maxLength: 29 }), { minLength: 1, maxLength: 4, selector: toHex })
  .chain((ids) =>
    fc.tuple(
      ...ids.sort(compareBytes).map((id) =>
        fc.record({
          canisterId: fc.constant(id as CanisterId),
          calls: count,
          instructions: count,
          requestBytes: count,
          responseBytes: count,
        }),
      ),
    ),
  );
const content: fc.Arbitrary<OutcallResponse["content"]> = fc.oneof(
  fc.record({ kind: fc.constant("reply" as const), data: fc.uint8Array({ maxLength: 8 }) }),
  fc.record({
    kind: fc.constant("reject" as const),
    code: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const, 5 as const),
    message: fc.string({ maxLength: 8, unit: "grapheme" }),
  }),
);
const share = (signer: number): fc.Arbitrary<OutcallShare> =>
  fc.record(
    {
      signer: fc.constant(signer),
      spent: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
      signature: fc.uint8Array({ maxLength: 64 }),
      hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    },
    { requiredKeys: ["signer", "spent", "signature"] },
  );
const agreement: fc.Arbitrary<OutcallAgreement> = fc.record({
  begun: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  shares: fc
    .uniqueArray(fc.nat(200), { minLength: 1, maxLength: 4 })
    .chain((signers) => fc.tuple(...signers.sort((a, b) => a - b).map(share))),
});
const responses: fc.Arbitrary<readonly OutcallResponse[]> = fc
  .uniqueArray(fc.nat(), { minLength: 1, maxLength: 4 })
  .chain((ids) =>
    fc.tuple(
      ...ids
        .sort((a, b) => a - b)
        .map((id) =>
          fc.record(
            {
              outcall: fc.constant(id),
              spent: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
              content,
              agreement,
            },
            { requiredKeys: ["outcall", "spent", "content"] },
          ),
        ),
    ),
  );
const block: fc.Arbitrary<Block> = fc.record({
  version: fc.constant(1 as const),
  parent: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  height: natural,
  rank: natural,
  context: fc.record({
    registryVersion: natural,
    certifiedHeight: natural,
    time: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  }),
  payload: fc.oneof(
    fc.record({ ingress: fc.constant([]), summary: fc.uint8Array({ maxLength: 8 }) }),
    filledPayload(),
  ),
});

function filledPayload(): fc.Arbitrary<Block["payload"]> {
  return fc.record(
    {
      ingress: fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 4 }),
      queryStats,
      responses,
      holdsLong: fc.constant(true as const),
      dealings: fc.array(fc.uint8Array({ maxLength: 8 }), {
        minLength: 1,
        maxLength: DEALINGS_PER_BLOCK_MAX,
      }),
      subnets: fc.array(
        fc.record(
          { place: fc.nat(), type: fc.string({ maxLength: 8 }), publicKey: fc.uint8Array({ maxLength: 8 }) },
          { noNullPrototype: true },
        ),
        { minLength: 1, maxLength: 3 },
      ),
    },
    { requiredKeys: ["ingress"] },
  );
}

test("blocks survive encoding", () => {
  fc.assert(
    fc.property(block, (one) => {
      const decoded = decodeBlock(encodeBlock(one));
      assert.deepEqual(JSON.stringify(decoded, big), JSON.stringify(one, big));
    }),
  );
});

const big = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

const EXAMPLE: Block = {
  version: 1,
  parent: new Uint8Array(32),
  height: 3,
  rank: 0,
  context: { registryVersion: 1, certifiedHeight: 2, time: 5n },
  payload: { ingress: [Uint8Array.of(1)] },
};

test("a summary stands in its block alone, and within what a network carries", () => {
  const decoded = (payload: Block["payload"]): Block => decodeBlock(encodeBlock({ ...EXAMPLE, payload }));
  const summary = new Uint8Array(SUMMARY_BYTES_MAX);
  assert.equal(decoded({ ingress: [], summary }).payload.summary?.length, SUMMARY_BYTES_MAX);
  const others: readonly Block["payload"][] = [
    { ingress: [Uint8Array.of(1)] },
    { ingress: [], xnet: [Uint8Array.of(1)] },
    { ingress: [], holdsLong: true },
    { ingress: [], dealings: [Uint8Array.of(1)] },
    { ingress: [], subnets: [{ place: 2, type: "application", publicKey: Uint8Array.of(1) }] },
    { ingress: [], summary: new Uint8Array(SUMMARY_BYTES_MAX + 1) },
  ];
  for (const payload of others) {
    assert.throws(() => decoded({ summary, ...payload }), { code: "block_invalid" });
  }
});

test("wrong fields are refused", () => {
  const fields = decodeCbor(encodeBlock(EXAMPLE)) as ReadonlyMap<string, CborValue>;
  const wrong: readonly (readonly [string, CborValue])[] = [
    ["v", 2],
    ["p", new Uint8Array(31)],
    ["p", "text"],
    ["h", -1],
    ["h", 1n << 60n],
    ["r", null],
    ["g", "1"],
    ["c", undefined],
    ["t", -1],
    ["t", "5"],
    ["i", 1],
    ["i", ["text"]],
    ["i", Array(INGRESS_PER_BLOCK_MAX + 1).fill(new Uint8Array(0))],
    ["i", [new Uint8Array(BLOCK_PAYLOAD_BYTES_MAX + 1)]],
    ["l", false],
    ["l", 1],
    ["x", 1],
    ["a", 1],
    ["a", []],
    ["a", [1]],
    ["a", [[1, new Uint8Array(0)]]],
    ["a", [[-1, new Uint8Array(0), new Uint8Array(0)]]],
    ["a", [[1, 0, new Uint8Array(0)]]],
    ["a", [[1, new Uint8Array(17), new Uint8Array(0)]]],
    ["a", [[1, Uint8Array.of(0), new Uint8Array(0)]]],
    ["a", [[1, new Uint8Array(0), 6, "text"]]],
    ["a", [[1, new Uint8Array(0), 0, "text"]]],
    ["a", [[1, new Uint8Array(0), 4]]],
    ["a", [[1, new Uint8Array(0), 4, "text", 1]]],
    ["a", [2, 1].map((id) => [id, new Uint8Array(0), new Uint8Array(0)])],
    ["a", [1, 1].map((id) => [id, new Uint8Array(0), new Uint8Array(0)])],
    ["a", [[1, new Uint8Array(0), new Uint8Array(RESPONSE_BYTES_PER_BLOCK_MAX + 1)]]],
    [
      "a",
      Array.from({ length: RESPONSES_PER_BLOCK_MAX + 1 }, (_, i) => [
        i,
        new Uint8Array(0),
        new Uint8Array(0),
      ]),
    ],
    ["n", []],
    ["n", 1],
    ["n", [[2, "application"]]],
    ["n", [[-1, "application", Uint8Array.of(1)]]],
    ["n", [[2, 3, Uint8Array.of(1)]]],
    ["n", [[2, "a".repeat(33), Uint8Array.of(1)]]],
    ["n", [[2, "application", new Uint8Array(161)]]],
    ["n", [[2, "application", Uint8Array.of(1), 0]]],
    ["n", Array.from({ length: SUBNETS_PER_BLOCK_MAX + 1 }, (_, i) => [i, "application", Uint8Array.of(i)])],
    ["q", []],
    ["q", 1],
    ["q", [[Uint8Array.of(1), 1, 1, 1]]],
    ["q", [[new Uint8Array(30), 1, 1, 1, 1]]],
    ["q", [["text", 1, 1, 1, 1]]],
    ["q", [[Uint8Array.of(1), -1, 1, 1, 1]]],
    ["q", [[Uint8Array.of(1), "1", 1, 1, 1]]],
    ["q", [2, 1].map((id) => [Uint8Array.of(id), 1, 1, 1, 1])],
    ["q", [1, 1].map((id) => [Uint8Array.of(id), 1, 1, 1, 1])],
    [
      "q",
      Array.from({ length: QUERY_STATS_PER_BLOCK_MAX + 1 }, (_, i) => [Uint8Array.of(i >> 8, i), 1, 1, 1, 1]),
    ],
  ];
  for (const [key, value] of wrong) {
    const bytes = encodeCborBare(new Map([...fields, [key, value]]));
    assert.throws(() => decodeBlock(bytes), { code: "block_invalid" }, `${key} = ${typeof value}`);
  }
});

test("a second encoding of the same block is refused", () => {
  const canonical = encodeBlock(EXAMPLE);
  const fields = decodeCbor(canonical);
  assert.throws(() => decodeBlock(encodeCbor(fields)), { code: "block_invalid" }, "tagged");
  const [head, ...rest] = canonical;
  assert.throws(
    () => decodeBlock(Uint8Array.of(0xb8, (head as number) & 31, ...rest)),
    { code: "block_invalid" },
    "long length",
  );
});

test("damaged blocks are block_invalid or other blocks with other bytes", () => {
  fc.assert(
    fc.property(block, fc.nat(), fc.nat(255), (one, at, byte) => {
      const bytes = encodeBlock(one);
      bytes[at % bytes.length] = byte;
      try {
        assert.deepEqual(encodeBlock(decodeBlock(bytes)), bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "block_invalid");
      }
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
      assert.throws(() => decodeBlock(bytes), { code: "block_invalid" }),
    ),
  );
});
