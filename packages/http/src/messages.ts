/**
 * Requests and responses as plain records (interface spec, "HTTPS Interface"): what the host's socket server, the browser
 * adapter and the tests all speak. Every response carries the CORS header; errors are text/plain, successes CBOR.
 */
import { type CborValue, encodeCbor } from "@orrery/base";

export type HeaderField = readonly [name: string, value: string];

export interface HttpRequest {
  readonly method: string;
  /** Path and query as received, starting with "/". */
  readonly url: string;
  /** Header value by lower-case name. */
  header(name: string): string | undefined;
  /** Every header in the order received, names in lower case; only the gateway, which passes them on, asks. */
  headers(): readonly HeaderField[];
  readonly body: Uint8Array;
}

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; a list is sent as one header for each of its values. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | string;
  /**
   * The body when it comes in pieces, `body` being empty then; `content-length` is among the headers. One that fails must end the
   * connection, so that the client sees that it was cut off.
   */
  readonly stream?: AsyncIterable<Uint8Array>;
}

/** A value now or later. Handlers stay synchronous as long as everything they ask is, so that no microtask is paid. */
export type Awaitable<T> = T | Promise<T>;

/** Applies `next` at once when the value is there, else when it arrives. */
export function chain<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Runs `task` and `done` after it, however it ends. */
export function settle<T>(task: () => Awaitable<T>, done: () => void): Awaitable<T> {
  let value: Awaitable<T>;
  try {
    value = task();
  } catch (error) {
    done();
    throw error;
  }
  if (value instanceof Promise) return value.finally(done);
  done();
  return value;
}

const CBOR_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "application/cbor",
  "access-control-allow-origin": "*",
};
const TEXT_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/plain; charset=utf-8",
  "access-control-allow-origin": "*",
};
const PREFLIGHT_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET,POST",
  "access-control-allow-headers": "authorization,accept,content-type",
};

/** 200 with bytes that already are CBOR. */
export function cborBytesResponse(body: Uint8Array): HttpResponse {
  return { status: 200, headers: CBOR_HEADERS, body };
}

/** 200 with a self-described CBOR value. */
export function cborResponse(value: CborValue): HttpResponse {
  return cborBytesResponse(encodeCbor(value));
}

export function textResponse(status: number, body: string): HttpResponse {
  return { status, headers: TEXT_HEADERS, body };
}

/** Answer to a CORS preflight: any origin, GET and POST, the three headers that clients send. */
export function preflightResponse(): HttpResponse {
  return { status: 200, headers: PREFLIGHT_HEADERS, body: "" };
}

export function methodNotAllowedResponse(method: string, allowed: string): HttpResponse {
  return {
    status: 405,
    headers: { ...TEXT_HEADERS, allow: allowed },
    body: `Method ${method.slice(0, 16)} is not allowed here, expected ${allowed}.`,
  };
}
