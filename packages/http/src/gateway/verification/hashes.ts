/**
 * What is certified of a request and of a response (HTTP gateway protocol, "Request Hash Calculation", "Response Hash
 * Calculation"): hashes of selected headers, of pseudo headers and of the body.
 */
import { compareBytes, concatAll, encodeUleb128, utf8 } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { HeaderField } from "../../messages.ts";
import type { RequestCertification, ResponseCertification } from "./expression.ts";

export const CERTIFICATE_HEADER = "ic-certificate";
export const EXPRESSION_HEADER = "ic-certificateexpression";

/** Representation-independent hash of named hashes; unlike maps of requests, names may repeat. */
function hashOfFields(fields: readonly (readonly [name: string, valueHash: Uint8Array])[]): Uint8Array {
  const hashed = fields.map(([name, valueHash]) => concatAll([sha256(utf8(name)), valueHash]));
  hashed.sort(compareBytes);
  return sha256(concatAll(hashed));
}

function lowered(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}

/** Parts of the query whose parameter is listed, in their order; null when there are none. Names are compared as gateways do. */
function certifiedQuery(query: string, listed: ReadonlySet<string>): string | null {
  const parts = query.split("&").filter((part) => listed.has((part.split("=", 1)[0] ?? "").toLowerCase()));
  return parts.length === 0 ? null : parts.join("&");
}

export interface CertifiedRequest {
  readonly method: string;
  /** After the question mark; null when there is none. */
  readonly query: string | null;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

export function requestHash(request: CertifiedRequest, certification: RequestCertification): Uint8Array {
  const listed = lowered(certification.headers);
  const fields: [string, Uint8Array][] = [];
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (listed.has(lower)) fields.push([lower, sha256(utf8(value))]);
  }
  fields.push([":ic-cert-method", sha256(utf8(request.method))]);
  const query =
    request.query === null ? null : certifiedQuery(request.query, lowered(certification.queryParameters));
  if (query !== null) fields.push([":ic-cert-query", sha256(utf8(query))]);
  return sha256(hashOfFields(fields), sha256(request.body));
}

/** The headers that are certified: the expression always, the certificate never. */
export function certifiedHeaders(
  headers: readonly HeaderField[],
  certification: ResponseCertification,
): readonly HeaderField[] {
  const listed = lowered(certification.headers);
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    if (lower === CERTIFICATE_HEADER) return false;
    return lower === EXPRESSION_HEADER || listed.has(lower) === (certification.kind === "included");
  });
}

/** `headers`: the certified ones. */
export function responseHash(
  status: number,
  headers: readonly HeaderField[],
  bodyHash: Uint8Array,
): Uint8Array {
  const fields = headers.map(([name, value]): [string, Uint8Array] => [
    name.toLowerCase(),
    sha256(utf8(value)),
  ]);
  fields.push([":ic-cert-status", sha256(encodeUleb128(status))]);
  return sha256(hashOfFields(fields), bodyHash);
}
