/**
 * Test support: the verdict of the published verifier (npm `@dfinity/response-verification`, Rust in Wasm) beside ours, on cases drawn
 * from one seed: certified as they should be, and changed in any part. It knows delegations with flat ranges only.
 */
import assert from "node:assert/strict";
import { gunzipSync, inflateRawSync } from "node:zlib";
import { verifyRequestResponsePair } from "@dfinity/response-verification";
import { type CanisterId, canisterIdFromIndex, decodeCbor, encodeCbor, type Result } from "@orrery/base";
import { type Bls, sha256 } from "@orrery/crypto";
import fc from "fast-check";
import type { HeaderField } from "../../messages.ts";
import { decodeBase64 } from "./base64.ts";
import {
  CANISTER,
  certifyLegacy,
  certifyResponse,
  MAX_AGE_NS,
  NOW,
  type Path,
  rootKeyOf,
  type Signed,
  type TestCertification,
  type TestRequest,
  type TestResponse,
} from "./certify.testkit.ts";
import type { ResponseCertification } from "./expression.ts";
import { type Verified, verifyResponse } from "./verify.ts";

export interface Case {
  readonly request: TestRequest;
  readonly response: TestResponse;
  readonly canisterId: CanisterId;
  readonly now: bigint;
}

/** What a verifier says, in a form that two of them can be compared by. */
export type Verdict =
  | { readonly trusted: false; readonly reason: string }
  | {
      readonly trusted: true;
      readonly version: number;
      /** Null: not said. */
      readonly headers: readonly HeaderField[] | null;
    };

export function ourVerdict(bls: Bls, { request, response, canisterId, now }: Case): Verdict {
  const result: Result<Verified, string> = verifyResponse(
    request,
    {
      status: response.status,
      headers: response.headers,
      bodyHash: sha256(response.body),
      decodeBody(encoding) {
        try {
          return encoding === "gzip" ? gunzipSync(response.body) : inflateRawSync(response.body);
        } catch {
          return null;
        }
      },
    },
    { canisterId, rootKey: rootKeyOf(bls), bls, now, maxAgeNs: MAX_AGE_NS },
  );
  if (!result.ok) return { trusted: false, reason: result.error };
  const { value } = result;
  return { trusted: true, version: value.version, headers: value.version === 2 ? value.headers : null };
}

/** Judges a case as it is and with changes that `n` chooses; throws where the verifiers disagree. Whether it is trusted as it is. */
export function judge(bls: Bls, original: Case, n: number, changes: number): boolean {
  const names = Object.keys(MUTATIONS);
  for (let i = 0; i < changes; i++) {
    // The first change is none.
    const name = names[i === 0 ? 0 : (n + i * 7) % names.length] as string;
    const changed = (MUTATIONS[name] as Mutation)(original, n);
    const [ours, theirs] = [ourVerdict(bls, changed), theirVerdict(bls, changed)];
    assert.deepEqual(comparable(ours), comparable(theirs), `${name}: ${JSON.stringify([ours, theirs])}`);
  }
  const damaged = Object.values(DAMAGE)[n % Object.keys(DAMAGE).length] as Mutation;
  const changed = damaged(original, n);
  if (ourVerdict(bls, changed).trusted) assert.ok(theirVerdict(bls, changed).trusted, "damaged");
  return ourVerdict(bls, original).trusted;
}

const pairs = (headers: readonly HeaderField[]): [string, string][] =>
  headers.map(([name, value]) => [name, value]);

export function theirVerdict(bls: Bls, { request, response, canisterId, now }: Case): Verdict {
  try {
    const info = verifyRequestResponsePair(
      {
        method: request.method,
        url: request.url,
        headers: pairs(request.headers),
        body: request.body,
        certificate_version: [2],
      },
      { status_code: response.status, headers: pairs(response.headers), body: response.body },
      canisterId,
      now,
      MAX_AGE_NS,
      rootKeyOf(bls),
      1,
    );
    const version = info.verificationVersion;
    return { trusted: true, version, headers: version === 2 ? (info.response?.headers ?? null) : null };
  } catch (cause) {
    return { trusted: false, reason: String((cause as { message?: string }).message) };
  }
}

/** Verdicts without the reasons, for comparison. Header names are compared as HTTP does. */
export function comparable(verdict: Verdict): unknown {
  if (!verdict.trusted) return "refused";
  const headers = verdict.headers?.map(([name, value]) => `${name.toLowerCase()}: ${value}`) ?? null;
  return { version: verdict.version, headers };
}

const SEGMENTS = ["a", "b", "index.html", "ä", "<*>", "x y"];
const segment = fc.constantFrom(...SEGMENTS);
const token = fc.constantFrom("x-one", "X-Two", "content-type", "etag", "set-cookie");
const text = fc.string({ unit: "grapheme-ascii", maxLength: 8 }).map((value) => value.trim());
const fields = fc.array(fc.tuple(token, text), { maxLength: 5 });
const body = fc.uint8Array({ maxLength: 40 });
const parameter = fc.constantFrom("p", "q", "long-name", "P");
const query = fc.option(
  fc
    .array(fc.tuple(parameter, fc.constantFrom("", "=", "=1", "=a=b", "=%20")), {
      minLength: 1,
      maxLength: 4,
    })
    .map((parts) => parts.map(([name, value]) => name + value).join("&")),
  { nil: null },
);

const responseCertification: fc.Arbitrary<ResponseCertification> = fc.record({
  kind: fc.constantFrom("included", "excluded"),
  headers: fc.uniqueArray(token, { maxLength: 3 }),
});
const certification: fc.Arbitrary<TestCertification> = fc.oneof(
  fc.constant({ request: null, response: null }),
  fc.record({ request: fc.constant(null), response: responseCertification }),
  fc.record({
    request: fc.record({
      headers: fc.uniqueArray(token, { maxLength: 3 }),
      queryParameters: fc.uniqueArray(parameter, { maxLength: 2 }),
    }),
    response: responseCertification,
  }),
);

/** Where the response is certified: for exactly the request's path, or for a wildcard that covers it, or beside it. */
type Aim = "exact" | "wildcard" | "directory" | "elsewhere";
const aim: fc.Arbitrary<Aim> = fc.constantFrom(
  "exact",
  "exact",
  "wildcard",
  "wildcard",
  "directory",
  "elsewhere",
);

function expressionPath(segments: Path, directory: boolean, where: Aim, keep: number, other: Path): Path {
  const all = directory ? [...segments, ""] : segments;
  if (where === "exact") return ["http_expr", ...all, "<$>"];
  const kept = segments.slice(0, keep % (segments.length + 1));
  if (where === "wildcard") return ["http_expr", ...kept, "<*>"];
  return where === "directory" ? ["http_expr", ...kept, "", "<*>"] : ["http_expr", ...other, "<$>"];
}

const path = fc.array(segment, { maxLength: 4 });
const place = fc.record({
  segments: path,
  directory: fc.boolean(),
  where: aim,
  keep: fc.nat(4),
  others: fc.array(
    fc
      .tuple(path, fc.boolean(), fc.constantFrom("<$>", "<*>"))
      .map(([segments, slash, end]) => ["http_expr", ...segments, ...(slash ? [""] : []), end]),
    { maxLength: 4 },
  ),
  /** Show everything, or nothing but the response's path and these. */
  hide: fc.boolean(),
  shown: fc.array(path, { maxLength: 3 }),
});

const encodedPath = (segments: Path, directory: boolean): string =>
  `/${segments.map(encodeURIComponent).join("/")}${directory && segments.length > 0 ? "/" : ""}`;

/** Cases of version 2. */
export const currentCase = (bls: Bls): fc.Arbitrary<Case> =>
  fc
    .record({
      place,
      query,
      certification,
      method: fc.constantFrom("GET", "POST", "HEAD"),
      requestHeaders: fields,
      requestBody: body,
      status: fc.constantFrom(200, 206, 301, 404),
      headers: fields,
      body,
      signed: fc.constantFrom<Signed>("root", "flat"),
    })
    .map((drawn) => {
      const { segments, directory, where, keep, others, hide, shown } = drawn.place;
      const url = encodedPath(segments, directory) + (drawn.query === null ? "" : `?${drawn.query}`);
      const request = { method: drawn.method, url, headers: drawn.requestHeaders, body: drawn.requestBody };
      const response = certifyResponse({
        bls,
        request,
        response: { status: drawn.status, headers: drawn.headers, body: drawn.body },
        certification: drawn.certification,
        path: expressionPath(segments, directory || segments.length === 0, where, keep, others[0] ?? []),
        others,
        shown: hide ? shown.map((each) => ["http_expr", ...each, "<*>"]) : null,
        signed: drawn.signed,
      });
      return { request, response, canisterId: CANISTER, now: NOW };
    });

/** Cases of version 1. */
export const legacyCase = (bls: Bls): fc.Arbitrary<Case> =>
  fc
    .record({
      path,
      directory: fc.boolean(),
      query,
      assets: fc.dictionary(fc.constantFrom("/", "/a", "/a/b", "/index.html", "/ä"), body),
      body,
      own: fc.boolean(),
      hide: fc.boolean(),
      encoding: fc.constantFrom(null, "gzip", "deflate", "br", "identity"),
      signed: fc.constantFrom<Signed>("root", "flat"),
      version: fc.constantFrom("1", "1", "3", "0", "x", undefined),
    })
    .map((drawn) => {
      const plain = encodedPath(drawn.path, drawn.directory);
      const decoded = decodeURIComponent(plain);
      const assets = drawn.own ? { ...drawn.assets, [decoded]: drawn.body } : drawn.assets;
      const headers: HeaderField[] = drawn.encoding === null ? [] : [["Content-Encoding", drawn.encoding]];
      const request = {
        method: "GET",
        url: plain + (drawn.query === null ? "" : `?${drawn.query}`),
        headers: [],
        body: new Uint8Array(0),
      };
      const response = certifyLegacy({
        bls,
        response: { status: 200, headers, body: drawn.body },
        assets,
        shown: drawn.hide ? [decoded] : null,
        signed: drawn.signed,
        ...(drawn.version === undefined ? {} : { version: drawn.version }),
      });
      return { request, response, canisterId: CANISTER, now: NOW };
    });

/** One part of a case changed; `n` chooses where. */
export type Mutation = (original: Case, n: number) => Case;

const flipped = (bytes: Uint8Array, n: number): Uint8Array => {
  if (bytes.length === 0) return Uint8Array.of(n & 0xff);
  const copy = bytes.slice();
  const at = n % copy.length;
  copy[at] = (copy[at] as number) ^ (1 << (n % 8));
  return copy;
};

const onRequest =
  (change: (request: TestRequest, n: number) => Partial<TestRequest>): Mutation =>
  (original, n) => ({ ...original, request: { ...original.request, ...change(original.request, n) } });
const onResponse =
  (change: (response: TestResponse, n: number) => Partial<TestResponse>): Mutation =>
  (original, n) => ({ ...original, response: { ...original.response, ...change(original.response, n) } });

const ADDED = ["x-one", "etag", "x-new", "IC-Certificate", "ic-certificateexpression"];

function changedHeaders(headers: readonly HeaderField[], n: number): readonly HeaderField[] {
  const own = headers.filter(([name]) => name !== "IC-Certificate");
  const at = n % Math.max(own.length, 1);
  const changed = own.map(
    ([name, value], i): HeaderField => (i === at ? [name, `${value}x`] : [name, value]),
  );
  return [...changed, ...headers.filter(([name]) => name === "IC-Certificate")];
}

/** The certificate header with a field's text replaced. */
function changedField(
  headers: readonly HeaderField[],
  field: string,
  change: (text: string) => string,
): readonly HeaderField[] {
  const pattern = new RegExp(`(${field}=:?)([^:,]+)`);
  return headers.map(
    ([name, value]): HeaderField => [
      name,
      name === "IC-Certificate"
        ? value.replace(pattern, (_, head: string, text: string) => head + change(text))
        : value,
    ],
  );
}

const changeBytes =
  (field: string, change: (bytes: Uint8Array, n: number) => Uint8Array): Mutation =>
  (original, n) =>
    onResponse(({ headers }) => ({
      headers: changedField(headers, field, (text) =>
        Buffer.from(change(decodeBase64(text) ?? new Uint8Array(0), n)).toString("base64"),
      ),
    }))(original, n);

const changePath = (bytes: Uint8Array, n: number): Uint8Array => {
  const value = [...(decodeCbor(bytes) as string[])];
  const at = n % value.length;
  if (n % 3 === 0) value.splice(at, 1);
  else if (n % 3 === 1) value.splice(at, 0, SEGMENTS[n % SEGMENTS.length] as string);
  else value[at] = n % 2 === 0 ? "<*>" : "<$>";
  return encodeCbor(value);
};

/** Changes of meaning: both verifiers must say the same. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  none: (original) => original,
  method: onRequest(({ method }) => ({ method: method === "GET" ? "POST" : "GET" })),
  path: onRequest(({ url }, n) => ({ url: `/${SEGMENTS.slice(0, 2)[n % 2]}${url}` })),
  "trailing slash": onRequest(({ url }) => ({
    url: url.replace(/\/?(\?|$)/, (end) => (end[0] === "/" ? end.slice(1) : `/${end}`)),
  })),
  query: onRequest(({ url }, n) => ({
    url: `${url}${url.includes("?") ? "&" : "?"}${["p", "q", "z"][n % 3]}=2`,
  })),
  "request header": onRequest(({ headers }, n) => ({ headers: changedHeaders(headers, n) })),
  "added request header": onRequest(({ headers }, n) => ({
    headers: [...headers, [ADDED[n % 3] as string, "1"]],
  })),
  "request body": onRequest(({ body }, n) => ({ body: flipped(body, n) })),
  status: onResponse(({ status }) => ({ status: status === 200 ? 404 : 200 })),
  "response header": onResponse(({ headers }, n) => ({ headers: changedHeaders(headers, n) })),
  "added response header": onResponse(({ headers }, n) => ({
    headers: [[ADDED[n % 3] as string, "1"], ...headers],
  })),
  "repeated header": onResponse(({ headers }, n) => ({
    headers: [...headers, headers[n % headers.length] as HeaderField],
  })),
  "removed response header": onResponse(({ headers }, n) => ({
    headers: headers.filter((_, i) => i !== n % headers.length),
  })),
  "second certificate header": onResponse(({ headers }, n) => ({
    headers: [...headers, [ADDED[3 + (n % 2)] as string, "x"]],
  })),
  body: onResponse(({ body }, n) => ({ body: flipped(body, n) })),
  canister: (original) => ({ ...original, canisterId: canisterIdFromIndex(16n) }),
  "canister out of range": (original) => ({ ...original, canisterId: canisterIdFromIndex(21n) }),
  "just in time": (original) => ({ ...original, now: NOW + MAX_AGE_NS }),
  old: (original) => ({ ...original, now: NOW + MAX_AGE_NS + 1n }),
  "from the future": (original) => ({ ...original, now: NOW - MAX_AGE_NS - 1n }),
  version: onResponse(({ headers }, n) => ({
    headers: changedField(headers, "version", () => ["1", "3", "", "2x", "02"][n % 5] as string),
  })),
  "no version": onResponse(({ headers }) => ({ headers: changedField(headers, ", version", () => "") })),
  "expression path": changeBytes("expr_path", changePath),
  "missing field": onResponse(({ headers }, n) => ({
    headers: changedField(headers, ["certificate", "tree", "expr_path"][n % 3] as string, () => "").map(
      ([name, value]): HeaderField => [name, value.replace("=::", "=")],
    ),
  })),
};

/** Changes of encoded bytes: what the published verifier refuses, ours must refuse too; it may read a damaged encoding more generously. */
export const DAMAGE: Readonly<Record<string, Mutation>> = {
  certificate: changeBytes("certificate", flipped),
  tree: changeBytes("tree", flipped),
  "expression path": changeBytes("expr_path", flipped),
};
