/** Header rules of the gateway: what goes to a canister, what of a canister's comes back, and what is added. */
import { type CanisterId, principalToText } from "@orrery/base";
import type { HeaderField, HttpResponse } from "../messages.ts";
import { badResponse, malformed, Refusal } from "./failure.ts";
import type { GatewayLimits } from "./limits.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_VALUE = /^[\t -~]*$/;
const RESPONSE_VALUE = /^[\t -~\x80-\xff]*$/;

/** Headers about one connection (RFC 9110, section 7.6.1), and the length, which the server knows best. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const ALLOWED_METHODS = "HEAD, GET, POST, PUT, DELETE, PATCH";
const ALLOWED_HEADERS =
  "user-agent, dnt, if-none-match, if-modified-since, cache-control, content-type, range, cookie, " +
  "x-requested-with, x-ic-canister-id";
const EXPOSED_HEADERS = "accept-ranges, content-length, content-range, x-request-id, x-ic-canister-id";
const VARY = "origin, access-control-request-method, access-control-request-headers";
const MAX_AGE_S = "7200";

/** The value of a header, the last one when it is repeated. */
export function headerValue(headers: readonly HeaderField[], lowerName: string): string | undefined {
  return headers.findLast(([name]) => name.toLowerCase() === lowerName)?.[1];
}

function sizeOf(headers: readonly HeaderField[]): number {
  let size = 0;
  for (const [name, value] of headers) size += name.length + value.length;
  return size;
}

/** Refuses requests whose headers Candid text cannot carry, or that are too long. */
export function checkRequestHeaders(
  url: string,
  headers: readonly HeaderField[],
  limits: GatewayLimits,
): void {
  const size = url.length + sizeOf(headers);
  const { requestHeaderBytesMax: max } = limits;
  if (size > max)
    throw new Refusal(malformed(`URL and headers have ${size} characters; at most ${max} are passed on.`));
  const bad = headers.find(([, value]) => !REQUEST_VALUE.test(value));
  if (bad !== undefined) {
    throw new Refusal(
      malformed(`The header ${bad[0]} has characters outside ASCII, which canisters are not sent.`),
    );
  }
}

/** As the canister gets them: it may always answer without an encoding. */
export function outgoingRequestHeaders(headers: readonly HeaderField[]): readonly HeaderField[] {
  return headers
    .filter(([name]) => name !== "x-request-id")
    .map(([name, value]): HeaderField => {
      if (name !== "accept-encoding") return [name, value];
      const encodings = value.split(",").map((encoding) => encoding.trim());
      if (!encodings.some((encoding) => encoding.toLowerCase() === "identity")) encodings.push("identity");
      return [name, encodings.join(", ")];
    });
}

/** A canister's headers as a record; refuses those that no HTTP response can have. */
export function passedHeaders(
  headers: readonly HeaderField[],
  limits: GatewayLimits,
): Record<string, string | readonly string[]> {
  const size = sizeOf(headers);
  if (size > limits.responseHeaderBytesMax) {
    const sizes = `Its headers have ${size} characters, and at most ${limits.responseHeaderBytesMax} are passed on.`;
    throw new Refusal(badResponse(sizes));
  }
  // Without a prototype: a canister may name a header as any member of objects.
  const out: Record<string, string | readonly string[]> = Object.create(null);
  for (const [name, value] of headers) {
    if (!TOKEN.test(name))
      throw new Refusal(badResponse(`${JSON.stringify(name.slice(0, 100))} is no header name.`));
    if (!RESPONSE_VALUE.test(value))
      throw new Refusal(
        badResponse(`The header ${name.slice(0, 100)} has characters that no header may have.`),
      );
    const lower = name.toLowerCase();
    if (NOT_PASSED.has(lower)) continue;
    const before = out[lower];
    out[lower] = before === undefined ? value : [...[before].flat(), value];
  }
  return out;
}

/** The response with what every response of the gateway has; headers that the canister set stay. */
export function withGatewayHeaders(response: HttpResponse, canisterId: CanisterId | null): HttpResponse {
  return {
    ...response,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-expose-headers": EXPOSED_HEADERS,
      vary: VARY,
      ...response.headers,
      ...(canisterId === null ? {} : { "x-ic-canister-id": principalToText(canisterId) }),
    },
  };
}

/** Answer to a CORS preflight where no canister gives one. */
export const PREFLIGHT: HttpResponse = {
  status: 200,
  headers: {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": ALLOWED_METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": MAX_AGE_S,
    vary: VARY,
  },
  body: "",
};

const PREFLIGHT_HEADERS = [
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-max-age",
];

/** Whether a canister's answer to OPTIONS is one that browsers take. */
export function isPreflight({ status, headers, body, stream }: HttpResponse): boolean {
  const empty = body.length === 0 && stream === undefined;
  return (
    status >= 200 && status < 300 && empty && PREFLIGHT_HEADERS.some((name) => headers[name] !== undefined)
  );
}
