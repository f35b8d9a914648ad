/** Test support: canisters' certifications of responses, made with keys of our own. Used by the tests of the gateway only. */
import {
  type CanisterId,
  canisterIdFromIndex,
  encodeCbor,
  encodeUleb128,
  type SubnetId,
  selfAuthenticating,
  utf8,
} from "@orrery/base";
import {
  type Bls,
  blsToDer,
  type CertificateDelegation,
  emptyTree,
  encodeCertificate,
  encodeHashTree,
  encodeRanges,
  type LabelTree,
  secretFromSeed,
  sha256,
  shardRanges,
  stateRootMessage,
  treeHash,
  treeSet,
  witness,
} from "@orrery/crypto";
import type { HeaderField } from "../../messages.ts";
import type { RequestCertification, ResponseCertification } from "./expression.ts";
import { certifiedHeaders, requestHash, responseHash } from "./hashes.ts";

export const CANISTER: CanisterId = canisterIdFromIndex(15n);
export const NOW = 1_800_000_000_000_000_000n;
export const MAX_AGE_NS = 300_000_000_000n;

const ROOT_SECRET = secretFromSeed(new Uint8Array(32).fill(1));
const SUBNET_SECRET = secretFromSeed(new Uint8Array(32).fill(2));
const RANGE = { start: canisterIdFromIndex(10n), end: canisterIdFromIndex(20n) };

export type Path = readonly string[];
export type Signed = "root" | "flat" | "sharded";

export function rootKeyOf(bls: Bls): Uint8Array {
  return blsToDer(bls.publicKey(ROOT_SECRET));
}

function issue(
  bls: Bls,
  secret: Uint8Array,
  tree: LabelTree,
  delegation: CertificateDelegation | null,
): Uint8Array {
  const signature = bls.sign(secret, stateRootMessage(treeHash(tree)));
  return encodeCertificate({ tree: witness(tree, [[]]), signature, delegation });
}

/** A certificate of the whole tree, signed by the root. */
export function issueAsRoot(bls: Bls, tree: LabelTree): Uint8Array {
  return issue(bls, ROOT_SECRET, tree, null);
}

function delegationOf(bls: Bls, ranges: "flat" | "sharded"): CertificateDelegation {
  const key = blsToDer(bls.publicKey(SUBNET_SECRET));
  const subnetId = selfAuthenticating(key) as Uint8Array as SubnetId;
  let tree = treeSet(emptyTree(), [utf8("time")], encodeUleb128(5n));
  tree = treeSet(tree, [utf8("subnet"), subnetId, utf8("public_key")], key);
  if (ranges === "flat") {
    tree = treeSet(tree, [utf8("subnet"), subnetId, utf8("canister_ranges")], encodeRanges([RANGE]));
  } else {
    for (const shard of shardRanges([RANGE])) {
      const path = [utf8("canister_ranges"), subnetId, shard.label];
      tree = treeSet(tree, path, encodeRanges(shard.ranges));
    }
  }
  return { subnetId, certificate: issue(bls, ROOT_SECRET, tree, null) };
}

/** A certificate of the canister's certified data, signed by the root or by a subnet with a delegation. */
export function certificateOf(
  bls: Bls,
  data: Uint8Array,
  options: { readonly signed?: Signed; readonly time?: bigint; readonly canisterId?: CanisterId } = {},
): Uint8Array {
  const { signed = "root", time = NOW, canisterId = CANISTER } = options;
  let tree = treeSet(emptyTree(), [utf8("time")], encodeUleb128(time));
  tree = treeSet(tree, [utf8("canister"), canisterId, utf8("certified_data")], data);
  return signed === "root"
    ? issue(bls, ROOT_SECRET, tree, null)
    : issue(bls, SUBNET_SECRET, tree, delegationOf(bls, signed));
}

export interface TestRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

export interface TestResponse {
  readonly status: number;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

/** Null request: the response alone is certified; null response: nothing is. */
export interface TestCertification {
  readonly request: RequestCertification | null;
  readonly response: ResponseCertification | null;
}

const list = (names: readonly string[]): string => `[${names.map((name) => `"${name}"`).join(",")}]`;

export function expressionText({ request, response }: TestCertification): string {
  if (response === null) return "default_certification(ValidationArgs{no_certification:Empty{}})";
  const asked =
    request === null
      ? "no_request_certification:Empty{}"
      : `request_certification:RequestCertification{certified_request_headers:${list(request.headers)},` +
        `certified_query_parameters:${list(request.queryParameters)}}`;
  const kind = response.kind === "included" ? "certified_response_headers" : "response_header_exclusions";
  return (
    `default_certification(ValidationArgs{certification:Certification{${asked},response_certification:` +
    `ResponseCertification{${kind}:ResponseHeaderList{headers:${list(response.headers)}}}}})`
  );
}

/** A response to a request, and how a canister certifies it. */
export interface CertifiedPage {
  readonly request: TestRequest;
  readonly response: TestResponse;
  readonly certification: TestCertification;
  /** From `http_expr` to `<$>` or `<*>`. */
  readonly path: Path;
}

export interface CertifyOptions extends CertifiedPage {
  readonly bls: Bls;
  /** Other expression paths in the tree. */
  readonly others?: readonly Path[];
  /** What of the tree is shown besides the response's own path; null shows all. */
  readonly shown?: readonly Path[] | null;
  readonly signed?: Signed;
  readonly time?: bigint;
  readonly canisterId?: CanisterId;
}

const EMPTY = new Uint8Array(0);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

function queryOf(url: string): string | null {
  const mark = url.indexOf("?");
  return mark < 0 ? null : url.slice(mark + 1);
}

/** What is put in the tree for a response, and the response's headers with the expression. */
function entryOf({ request, response, certification, path }: CertifiedPage): {
  readonly headers: readonly HeaderField[];
  readonly leaf: readonly Uint8Array[];
} {
  const expression = expressionText(certification);
  const headers: HeaderField[] = [...response.headers, ["IC-CertificateExpression", expression]];
  const place = [...path.map(utf8), sha256(utf8(expression))];
  if (certification.response === null) return { headers, leaf: place };
  const forRequest =
    certification.request === null
      ? EMPTY
      : requestHash({ ...request, query: queryOf(request.url) }, certification.request);
  const certified = certifiedHeaders(headers, certification.response);
  return {
    headers,
    leaf: [...place, forRequest, responseHash(response.status, certified, sha256(response.body))],
  };
}

/** What follows the certificate in the header `IC-Certificate`. */
function headerRest(tree: LabelTree, path: Path, shown: readonly (readonly Uint8Array[])[]): string {
  const shownTree = base64(encodeHashTree(witness(tree, shown)));
  return `, tree=:${shownTree}:, version=2, expr_path=:${base64(encodeCbor([...path]))}:`;
}

/** The response with the two headers of version 2. */
export function certifyResponse(options: CertifyOptions): TestResponse {
  const { bls, response, path, others = [], shown = null } = options;
  const { headers, leaf } = entryOf(options);
  let tree = treeSet(emptyTree(), leaf, EMPTY);
  for (const other of others) tree = treeSet(tree, [...other.map(utf8), sha256(utf8(other.join()))], EMPTY);
  const rest = headerRest(tree, path, shown === null ? [[]] : [leaf, ...shown.map((each) => each.map(utf8))]);
  const certificate = base64(certificateOf(bls, treeHash(tree), options));
  return { ...response, headers: [...headers, ["IC-Certificate", `certificate=:${certificate}:${rest}`]] };
}

/** For a canister that adds the certificate itself: its certified data, and each page's headers and rest of `IC-Certificate`. */
export function certifyPages(pages: readonly CertifiedPage[]): {
  readonly data: Uint8Array;
  readonly pages: readonly { readonly headers: readonly HeaderField[]; readonly rest: string }[];
} {
  const entries = pages.map(entryOf);
  const tree = entries.reduce((grown, { leaf }) => treeSet(grown, leaf, EMPTY), emptyTree());
  return {
    data: treeHash(tree),
    pages: entries.map(({ headers, leaf }, i) => {
      const { path } = pages[i] as CertifiedPage;
      // For a wildcard, that there is nothing more specific is shown by everything that there is.
      return { headers, rest: headerRest(tree, path, path.at(-1) === "<*>" ? [[]] : [leaf]) };
    }),
  };
}

/** The response with the header of version 1; `assets` are what the canister certified, by path. */
export function certifyLegacy(options: {
  readonly bls: Bls;
  readonly response: TestResponse;
  readonly assets: Readonly<Record<string, Uint8Array>>;
  readonly shown?: readonly string[] | null;
  readonly signed?: Signed;
  readonly time?: bigint;
  readonly canisterId?: CanisterId;
  readonly version?: string;
}): TestResponse {
  const { bls, response, assets, shown = null, version } = options;
  let tree = emptyTree();
  for (const [path, body] of Object.entries(assets)) {
    tree = treeSet(tree, [utf8("http_assets"), utf8(path)], sha256(body));
  }
  const shownTree = witness(
    tree,
    shown === null ? [[]] : shown.map((path) => [utf8("http_assets"), utf8(path)]),
  );
  const certificate = certificateOf(bls, treeHash(tree), options);
  const header =
    `certificate=:${base64(certificate)}:, tree=:${base64(encodeHashTree(shownTree))}:` +
    (version === undefined ? "" : `, version=${version}`);
  return { ...response, headers: [...response.headers, ["IC-Certificate", header]] };
}
