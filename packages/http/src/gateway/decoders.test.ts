/** Everything that the gateway decodes, on drawn input; and inputs that were made to cost much. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Bls } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { decodeResponse } from "./candid.ts";
import { type DecoderProperty, decoderProperties } from "./decoders.testkit.ts";
import { parseCertificateHeader } from "./verification/certificate-header.ts";
import { parseExpression } from "./verification/expression.ts";

const RUNS = 300;

let properties: readonly DecoderProperty[];
before(async () => {
  const bls: Bls = await createMclBls();
  properties = decoderProperties(bls);
});

test("decoders answer whatever they are given", () => {
  for (const { name, check } of properties) assert.equal(check(RUNS, 1), null, name);
});

describe("costly input is refused soon", () => {
  const bytes = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
    Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part)] : [...part])));
  const messages: Readonly<Record<string, Uint8Array>> = {
    "four thousand million nulls": bytes("DIDL", [1, 0x6d, 0x7f, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    "lists of empty records": bytes("DIDL", [2, 0x6d, 1, 0x6c, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    "a record of itself": bytes("DIDL", [1, 0x6c, 1, 0, 0, 1, 0]),
    "records that double": bytes(
      "DIDL",
      [25, ...Array.from({ length: 24 }, (_, i) => [0x6c, 2, 0, i + 1, 1, i + 1]).flat(), 0x6c, 0],
      [1, 0],
    ),
    "a table that claims too much": bytes("DIDL", [0xff, 0xff, 0xff, 0xff, 0x0f]),
    "numbers without an end": bytes(
      "DIDL",
      Array.from({ length: 1_000 }, () => 0xff),
    ),
  };
  for (const [name, message] of Object.entries(messages)) {
    test(name, () => {
      const startedMs = performance.now();
      assert.equal(decodeResponse(message).ok, false);
      assert.ok(performance.now() - startedMs < 2_000);
    });
  }

  test("expressions and trees that nest without an end", () => {
    assert.equal(parseExpression("a(".repeat(100_000)).ok, false);
    assert.equal(parseExpression("a{a:".repeat(100_000)).ok, false);
    assert.equal(parseExpression("[".repeat(100_000)).ok, false);
    const deep = Buffer.from(
      Uint8Array.from({ length: 90_000 }, (_, i) => (i % 2 === 0 ? 0x83 : 1)),
    ).toString("base64");
    assert.equal(parseCertificateHeader(`certificate=:AA==:, tree=:${deep}:`).ok, false);
  });
});
