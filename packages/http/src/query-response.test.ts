import assert from "node:assert/strict";
import { test } from "node:test";
import { ANONYMOUS, decodeCbor } from "@orrery/base";
import fc from "fast-check";
import { encodeQueryResponse } from "./query-response.ts";

const node = { identity: ANONYMOUS, timestamp: (1n << 64n) - 1n, signature: new Uint8Array(64).fill(7) };
const signatures = [new Map<string, unknown>(Object.entries(node))];

test("replies of every size class decode to what was encoded", () => {
  for (const size of [0, 1, 23, 24, 255, 256, 65_535, 65_536, 3_145_728]) {
    const reply = new Uint8Array(size).fill(5);
    const decoded = decodeCbor(encodeQueryResponse({ status: "replied", reply }, node));
    const expected = new Map<string, unknown>([
      ["status", "replied"],
      ["reply", new Map([["arg", reply]])],
      ["signatures", signatures.map((s) => new Map([...s]))],
    ]);
    assert.deepEqual(decoded, expected);
  }
});

test("rejects with any text decode to what was encoded", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.option(fc.constantFrom("IC0503", "IC0406")),
      fc.nat(9),
      (text, errorCode, code) => {
        const outcome = { status: "rejected", rejectCode: code, rejectMessage: text, errorCode } as const;
        const decoded = decodeCbor(encodeQueryResponse(outcome, node)) as Map<string, unknown>;
        assert.equal(decoded.get("reject_message"), text);
        assert.equal(decoded.get("reject_code"), code);
        assert.equal(decoded.get("error_code") ?? null, errorCode);
      },
    ),
  );
});
