/**
 * Response verification, versions 1 and 2 (HTTP gateway protocol, "Response Verification", "Legacy Response Verification"): whether a
 * canister certified this response to this request, and which of its headers. Trust starts at the root key; the certificate must be
 * the canister's own and recent. Where the protocol's text and public gateways differ, it is as those have it.
 */
import { type CanisterId, equalBytes, err, ok, type Result, type TimeNs, utf8 } from "@orrery/base";
import { type Bls, lookupPath, lookupSubtree, reconstruct, sha256, verifyCertificate } from "@orrery/crypto";
import type { HeaderField } from "../../messages.ts";
import { type CertificateHeader, parseCertificateHeader } from "./certificate-header.ts";
import { type Certification, parseExpression } from "./expression.ts";
import { checkExpressionPath } from "./expression-path.ts";
import {
  CERTIFICATE_HEADER,
  certifiedHeaders,
  EXPRESSION_HEADER,
  requestHash,
  responseHash,
} from "./hashes.ts";
import { splitUrl } from "./url.ts";

export interface VerificationRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

/** Decoded body by `Content-Encoding`, or null when it cannot be decoded. */
export type DecodeBody = (encoding: "gzip" | "deflate") => Uint8Array | null;

export interface VerificationResponse {
  readonly status: number;
  readonly headers: readonly HeaderField[];
  /** SHA-256 of the body. */
  readonly bodyHash: Uint8Array;
  /** Only version 1 looks at it. */
  readonly decodeBody: DecodeBody;
}

export interface VerificationTrust {
  readonly canisterId: CanisterId;
  /** DER. */
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
  readonly now: TimeNs;
  /** How far the certificate's time may be from `now`. */
  readonly maxAgeNs: bigint;
}

/** `headers`: the certified ones and the certificate; null when nothing of the response is certified, by the canister's word. */
export type Verified =
  | { readonly version: 1 }
  | { readonly version: 2; readonly headers: readonly HeaderField[] | null };

const INDEX = "/index.html";

/** Value of the last header with the name, as gateways take it. */
function lastHeader(headers: readonly HeaderField[], lowerName: string): string | null {
  return headers.findLast(([name]) => name.toLowerCase() === lowerName)?.[1] ?? null;
}

/** The certificate is the canister's and the tree's root is its certified data. */
function checkCertificate(header: CertificateHeader, trust: VerificationTrust): Result<null, string> {
  const { canisterId, rootKey, bls, now, maxAgeNs } = trust;
  const verified = verifyCertificate({
    bytes: header.certificate,
    rootKeyDer: rootKey,
    scope: { canister: canisterId },
    bls,
    now,
    maxAgeNs,
    allowUntagged: true,
  });
  if (!verified.ok) return err(verified.error.message);
  const data = lookupPath(verified.value.tree, [utf8("canister"), canisterId, utf8("certified_data")]);
  if (data.kind !== "found") return err("the certificate does not show the canister's certified data");
  return equalBytes(data.value, reconstruct(header.tree))
    ? ok(null)
    : err("the tree's root hash is not the canister's certified data");
}

function verifyLegacy(
  path: string,
  response: VerificationResponse,
  { tree }: CertificateHeader,
): Result<Verified, string> {
  let entry = lookupPath(tree, [utf8("http_assets"), utf8(path)]);
  if (entry.kind !== "found") entry = lookupPath(tree, [utf8("http_assets"), utf8(INDEX)]);
  if (entry.kind !== "found") return err(`the tree has neither ${path} nor ${INDEX} among its assets`);
  const encoding = lastHeader(response.headers, "content-encoding");
  let decodedHash = response.bodyHash;
  if (encoding === "gzip" || encoding === "deflate") {
    const decoded = response.decodeBody(encoding);
    if (decoded === null) return err(`the body is not ${encoding}, or too large when decoded`);
    decodedHash = sha256(decoded);
  }
  // The protocol certifies the decoded body; canisters are known to certify the encoded one, and gateways take that.
  if (equalBytes(entry.value, decodedHash) || equalBytes(entry.value, response.bodyHash))
    return ok({ version: 1 });
  return err(`the body is not the one certified for ${path}`);
}

interface Parts {
  readonly request: VerificationRequest;
  readonly query: string | null;
  readonly path: string;
  readonly response: VerificationResponse;
  readonly header: CertificateHeader;
  readonly certificate: string;
}

/** The leaf that stands for the request and the response must be there and empty. */
function checkHashes(
  { request, query, response, header }: Parts,
  expressionPath: readonly Uint8Array[],
  certification: Extract<Certification, { kind: "certified" }>,
  headers: readonly HeaderField[],
): Result<null, string> {
  const forRequest =
    certification.request === null
      ? new Uint8Array(0)
      : requestHash({ ...request, query }, certification.request);
  const forResponse = responseHash(response.status, headers, response.bodyHash);
  const leaf = lookupSubtree(header.tree, [...expressionPath, forRequest, forResponse]);
  if (leaf.kind !== "found")
    return err(
      "the request, or the status, certified headers and body of the response, are not those certified",
    );
  return leaf.value.kind === "leaf" && leaf.value.value.length === 0
    ? ok(null)
    : err("the tree's entry for the response is not an empty leaf");
}

function verifyCurrent(parts: Parts): Result<Verified, string> {
  const { path, response, header } = parts;
  const expression = lastHeader(response.headers, EXPRESSION_HEADER);
  if (expression === null) return err("the response has no IC-CertificateExpression header");
  if (header.expressionPath === null) return err("the IC-Certificate header has no field expr_path");
  const certification = parseExpression(expression);
  if (!certification.ok) return certification;
  const covered = checkExpressionPath(header.expressionPath, path, header.tree);
  if (!covered.ok) return covered;
  const expressionPath = [...header.expressionPath.map(utf8), sha256(utf8(expression))];
  if (lookupSubtree(header.tree, expressionPath).kind !== "found")
    return err("the IC-CertificateExpression header is not the one certified for the path");
  if (certification.value.kind === "skip") return ok({ version: 2, headers: null });
  const headers = certifiedHeaders(response.headers, certification.value.response);
  const hashes = checkHashes(parts, expressionPath, certification.value, headers);
  if (!hashes.ok) return hashes;
  return ok({ version: 2, headers: [...headers, ["IC-Certificate", parts.certificate]] });
}

/** The error says in words for the response's maker why it cannot be trusted. */
export function verifyResponse(
  request: VerificationRequest,
  response: VerificationResponse,
  trust: VerificationTrust,
): Result<Verified, string> {
  const certificate = lastHeader(response.headers, CERTIFICATE_HEADER);
  if (certificate === null) return err("the response has no IC-Certificate header");
  const header = parseCertificateHeader(certificate);
  if (!header.ok) return header;
  const { version } = header.value;
  if (version !== 1 && version !== 2)
    return err(`response verification has versions 1 and 2, not ${version}`);
  const url = splitUrl(request.url);
  if (url === null) return err("the request's URL is malformed");
  const trusted = checkCertificate(header.value, trust);
  if (!trusted.ok) return trusted;
  return version === 1
    ? verifyLegacy(url.path, response, header.value)
    : verifyCurrent({ request, response, header: header.value, certificate, ...url });
}
