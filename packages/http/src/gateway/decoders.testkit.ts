/**
 * Test support: properties of everything that the gateway decodes, on bytes and texts drawn from one seed. Whatever comes in, a decoder
 * answers with a value or with words, within a bounded time; where the published library reads a message too, both read the same.
 */
import assert from "node:assert/strict";
import { IDL } from "@icp-sdk/core/candid";
import { encodeCbor, type Result } from "@orrery/base";
import { type Bls, EMPTY_TREE, encodeHashTree } from "@orrery/crypto";
import fc from "fast-check";
import { canisterIdOf, createCanisterHosts } from "../canister-hosts.ts";
import { decodeCallbackResponse, decodeResponse } from "./candid.ts";
import { parseContentRange } from "./content-range.ts";
import { type Answer, encodeAnswer, Response } from "./gateway.testkit.ts";
import { decodeBase64 } from "./verification/base64.ts";
import { parseCertificateHeader } from "./verification/certificate-header.ts";
import { CANISTER, certifyResponse } from "./verification/certify.testkit.ts";
import { parseExpression } from "./verification/expression.ts";
import { splitUrl } from "./verification/url.ts";

/** No single input may take longer: the gateway runs beside everything else of a node. */
const MS_MAX = 250;

export interface DecoderProperty {
  readonly name: string;
  /** The counterexample, or null when there is none among so many draws. */
  readonly check: (numRuns: number, seed: number) => string | null;
}

function checked<Drawn extends [unknown, ...unknown[]]>(
  property: fc.IProperty<Drawn>,
): DecoderProperty["check"] {
  return (numRuns, seed) => {
    const result = fc.check(property, { numRuns, seed });
    return result.failed ? (fc.defaultReportMessage(result) ?? "failed") : null;
  };
}

function timely<T>(decode: () => T): T {
  const { user } = process.cpuUsage();
  const value = decode();
  const tookMs = (process.cpuUsage().user - user) / 1_000;
  assert.ok(tookMs <= MS_MAX, `${tookMs} ms`);
  return value;
}

function settled(result: Result<unknown, string>): void {
  if (!result.ok) assert.ok(result.error.length > 0 && result.error.length < 2_000, result.error);
}

/** Bytes with some changed, left out, doubled or put in. */
const damaged = (original: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(
      original,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom("flip", "set", "drop", "insert", "cut"), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
    )
    .map(([bytes, changes]) => {
      const out = [...bytes];
      for (const [n, kind, value] of changes) {
        const at = out.length === 0 ? 0 : n % out.length;
        if (kind === "flip") out[at] = (out[at] ?? 0) ^ (1 << (value % 8));
        else if (kind === "set") out[at] = value;
        else if (kind === "drop") out.splice(at, 1 + (value % 4));
        else if (kind === "insert") out.splice(at, 0, value, value);
        else out.length = at;
      }
      return Uint8Array.from(out);
    });

const headers = fc.array(
  fc.tuple(fc.string({ maxLength: 6 }), fc.string({ unit: "grapheme", maxLength: 6 })),
  { maxLength: 4 },
);
const answer: fc.Arbitrary<Answer> = fc.record(
  {
    status: fc.nat(65_535),
    headers,
    body: fc.uint8Array({ maxLength: 20 }),
    upgrade: fc.boolean(),
    chunks: fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }),
  },
  { requiredKeys: ["status"] },
);

interface Read {
  readonly status_code: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly upgrade: readonly boolean[];
  readonly streaming_strategy: readonly unknown[];
}

/** The message as the published library reads it; null when it refuses. */
function published(bytes: Uint8Array): Read | null {
  try {
    return (IDL.decode([Response], bytes) as unknown as [Read])[0];
  } catch {
    return null;
  }
}

/** Both read the same, or one of them refuses. */
function agree(bytes: Uint8Array, mustBoth: boolean): void {
  const ours = timely(() => decodeResponse(bytes));
  settled(ours);
  const theirs = published(bytes);
  if (mustBoth) assert.ok(ours.ok && theirs !== null, ours.ok ? "refused by the library" : ours.error);
  if (!ours.ok || theirs === null) return;
  const { status, headers: fields, body, upgrade, streaming } = ours.value;
  // The library knows the type of the test's tokens; the gateway takes any.
  if (mustBoth) assert.equal(streaming !== null, theirs.streaming_strategy.length > 0);
  assert.deepEqual(
    [status, fields, [...body], upgrade],
    [theirs.status_code, theirs.headers, [...theirs.body], theirs.upgrade[0] === true],
  );
}

function certificateHeaders(bls: Bls): readonly string[] {
  const response = certifyResponse({
    bls,
    request: { method: "GET", url: "/a/b", headers: [], body: new Uint8Array(0) },
    response: { status: 200, headers: [], body: new Uint8Array(0) },
    certification: { request: null, response: { kind: "excluded", headers: [] } },
    path: ["http_expr", "a", "b", "<$>"],
  });
  const header = response.headers.at(-1)?.[1] ?? "";
  const tree = Buffer.from(encodeHashTree(EMPTY_TREE)).toString("base64");
  const path = Buffer.from(encodeCbor(["http_expr", "<*>"])).toString("base64");
  return [header, `certificate=:AA==:, tree=:${tree}:, version=2, expr_path=:${path}:`];
}

const WORDS = [
  ...[
    "default_certification",
    "ValidationArgs",
    "certification",
    "Certification",
    "no_certification",
    "Empty",
  ],
  ...[
    "request_certification",
    "RequestCertification",
    "certified_request_headers",
    "certified_query_parameters",
  ],
  ...[
    "no_request_certification",
    "response_certification",
    "ResponseCertification",
    "ResponseHeaderList",
    "headers",
  ],
  ...["certified_response_headers", "response_header_exclusions", "a-b", "x"],
  ...['"', "(", ")", "{", "}", "[", "]", ":", ",", " ", "\\", "ä"],
];
const expression = fc.array(fc.constantFrom(...WORDS), { maxLength: 60 }).map((words) => words.join(""));

export function decoderProperties(bls: Bls): readonly DecoderProperty[] {
  const certificates = fc.constantFrom(...certificateHeaders(bls));
  const encoded = answer.map(encodeAnswer);
  const text = fc.string({ unit: "binary", maxLength: 60 });
  const hosts = createCanisterHosts(["example.org"]);
  hosts.setCustomDomains(new Map([["app.example", CANISTER]]));
  return [
    {
      name: "responses as they should be",
      check: checked(fc.property(encoded, (bytes) => agree(bytes, true))),
    },
    {
      name: "damaged responses",
      check: checked(fc.property(damaged(encoded), (bytes) => agree(bytes, false))),
    },
    {
      name: "anything as a response or a chunk",
      check: checked(
        fc.property(fc.uint8Array({ maxLength: 80 }), (tail) => {
          const bytes = Uint8Array.from([...Buffer.from("DIDL"), ...tail]);
          settled(timely(() => decodeResponse(bytes)));
          settled(timely(() => decodeCallbackResponse(bytes)));
          settled(decodeResponse(tail));
        }),
      ),
    },
    {
      name: "certificate headers",
      check: checked(
        fc.property(fc.oneof(text, damaged(certificates.map((header) => Buffer.from(header)))), (drawn) => {
          settled(
            timely(() =>
              parseCertificateHeader(
                typeof drawn === "string" ? drawn : Buffer.from(drawn).toString("latin1"),
              ),
            ),
          );
        }),
      ),
    },
    {
      name: "certificate expressions",
      check: checked(
        fc.property(fc.oneof(expression, text), (drawn) => settled(timely(() => parseExpression(drawn)))),
      ),
    },
    {
      name: "Base64",
      check: checked(
        fc.property(fc.uint8Array(), fc.boolean(), (bytes, padded) => {
          const encodedText = Buffer.from(bytes).toString("base64");
          const decoded = decodeBase64(padded ? encodedText : encodedText.replace(/=+$/, ""));
          assert.deepEqual([...(decoded ?? [])], [...bytes]);
        }),
      ),
    },
    {
      name: "content ranges",
      check: checked(
        fc.property(fc.nat(2_000), fc.nat(2_000), fc.nat(2_000), text, (first, last, total, drawn) => {
          settled(timely(() => parseContentRange(drawn)));
          const range = parseContentRange(`bytes ${first}-${last}/${total}`);
          assert.equal(range.ok, first <= last && last < total);
          if (range.ok) assert.deepEqual(range.value, { first, last, total });
        }),
      ),
    },
    {
      name: "URLs and host names",
      check: checked(
        fc.property(text, fc.string({ unit: "grapheme", maxLength: 12 }), (drawn, segment) => {
          splitUrl(drawn);
          hosts.find(drawn);
          canisterIdOf(drawn);
          const url = splitUrl(`/${encodeURIComponent(segment)}?${encodeURIComponent(drawn.toWellFormed())}`);
          assert.equal(url?.path, `/${segment}`);
        }),
      ),
    },
  ];
}
