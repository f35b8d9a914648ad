/** Responses of the protocol that need no instance: JSON bodies, errors as `{"message"}`, what browsers are allowed. */

export interface Answer {
  readonly status: number;
  /** A list is sent as one header for each of its values. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | string;
  /** The body when it comes in pieces; one that fails ends the connection. */
  readonly stream?: AsyncIterable<Uint8Array>;
}

const JSON_HEADERS: Readonly<Record<string, string>> = { "content-type": "application/json" };
const TEXT_HEADERS: Readonly<Record<string, string>> = { "content-type": "text/plain; charset=utf-8" };

const CORS_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "accept-ranges,content-length,content-range,x-request-id,x-ic-canister-id",
};
const PREFLIGHT_HEADERS: Readonly<Record<string, string>> = {
  ...CORS_HEADERS,
  "access-control-allow-methods": "GET,POST,DELETE,HEAD,OPTIONS",
  "access-control-allow-headers": "*,authorization,content-type,processing-timeout-ms",
  "access-control-max-age": "600",
};

/** `text` is JSON already. */
export function jsonAnswer(status: number, text: string | Uint8Array): Answer {
  return { status, headers: JSON_HEADERS, body: text };
}

export function textAnswer(status: number, text: string): Answer {
  return { status, headers: TEXT_HEADERS, body: text };
}

/** The shape of every failure that is not a canister's. */
export function failure(status: number, message: string): Answer {
  return jsonAnswer(status, JSON.stringify({ message }));
}

export const NULL_ANSWER: Answer = jsonAnswer(200, "null");

/** May be read by pages of any origin, as everything below `/instances` may. */
export function withCors(answer: Answer): Answer {
  return { ...answer, headers: { ...CORS_HEADERS, ...answer.headers } };
}

export const PREFLIGHT: Answer = { status: 200, headers: PREFLIGHT_HEADERS, body: "" };
