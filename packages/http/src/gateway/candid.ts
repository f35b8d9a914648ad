/**
 * The Candid types of the HTTP gateway protocol ("Canister HTTP Interface"): requests encoded, responses and the answers of
 * streaming callbacks decoded. A streaming token is opaque: it is kept as the message that the callback takes.
 */
import {
  CANDID_MAGIC,
  type CanisterId,
  candidFieldId,
  concatAll,
  encodeSleb128,
  encodeUleb128,
  err,
  ok,
  type Result,
  CANDID_TYPE as TYPE,
  utf8,
} from "@orrery/base";
import type { HeaderField } from "../messages.ts";
import { CandidMismatch, CandidReader } from "./candid-reader.ts";
import { CandidMalformed } from "./candid-types.ts";

/** What a canister is asked. */
export interface CanisterRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

/** How the rest of a body is fetched: by a query of a method with this argument. */
export interface StreamingCallback {
  readonly canister: CanisterId;
  readonly method: string;
  /** Candid message. */
  readonly token: Uint8Array;
}

export interface CanisterResponse {
  readonly status: number;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
  readonly upgrade: boolean;
  readonly streaming: StreamingCallback | null;
}

/** Headers of a response; canisters send tens. */
const HEADERS_MAX = 1_000;
/** The newest version of response verification that is understood. */
const CERTIFICATE_VERSION = 2;

const ID = {
  method: candidFieldId("method"),
  url: candidFieldId("url"),
  headers: candidFieldId("headers"),
  body: candidFieldId("body"),
  certificateVersion: candidFieldId("certificate_version"),
  status: candidFieldId("status_code"),
  upgrade: candidFieldId("upgrade"),
  streaming: candidFieldId("streaming_strategy"),
  callback: candidFieldId("Callback"),
  callbackFunc: candidFieldId("callback"),
  token: candidFieldId("token"),
} as const;

/** Places of the request's types in the type table. */
const TABLE = { request: 0, headers: 1, header: 2, blob: 3, version: 4 } as const;

/** The entry of a record type; fields by their ids, which order them. */
function recordType(fields: Readonly<Record<number, number>>): readonly Uint8Array[] {
  const ids = Object.keys(fields)
    .map(Number)
    .sort((a, b) => a - b);
  return [
    encodeSleb128(TYPE.record),
    encodeUleb128(ids.length),
    ...ids.flatMap((id) => [encodeUleb128(id), encodeSleb128(fields[id] as number)]),
  ];
}

/** Everything of a request's message that comes before the value. */
function requestPrefix(versioned: boolean): Uint8Array {
  return concatAll([
    CANDID_MAGIC,
    encodeUleb128(Object.keys(TABLE).length),
    ...recordType({
      [ID.method]: TYPE.text,
      [ID.url]: TYPE.text,
      [ID.headers]: TABLE.headers,
      [ID.body]: TABLE.blob,
      ...(versioned ? { [ID.certificateVersion]: TABLE.version } : {}),
    }),
    encodeSleb128(TYPE.vec),
    encodeSleb128(TABLE.header),
    ...recordType({ 0: TYPE.text, 1: TYPE.text }),
    encodeSleb128(TYPE.vec),
    encodeSleb128(TYPE.nat8),
    encodeSleb128(TYPE.opt),
    encodeSleb128(TYPE.nat16),
    encodeUleb128(1),
    encodeSleb128(TABLE.request),
  ]);
}

const QUERY_PREFIX: Uint8Array = requestPrefix(true);
const UPDATE_PREFIX: Uint8Array = requestPrefix(false);

function sized(bytes: Uint8Array): readonly Uint8Array[] {
  return [encodeUleb128(bytes.length), bytes];
}

/** The argument of `http_request`, or without the version that of `http_request_update`. */
export function encodeRequest(request: CanisterRequest, call: "query" | "update"): Uint8Array {
  const values = new Map<number, readonly Uint8Array[]>([
    [ID.method, sized(utf8(request.method))],
    [ID.url, sized(utf8(request.url))],
    [ID.body, sized(request.body)],
    [
      ID.headers,
      [
        encodeUleb128(request.headers.length),
        ...request.headers.flatMap(([name, value]) => [...sized(utf8(name)), ...sized(utf8(value))]),
      ],
    ],
  ]);
  if (call === "query") values.set(ID.certificateVersion, [Uint8Array.of(1, CERTIFICATE_VERSION, 0)]);
  const ordered = [...values].sort(([a], [b]) => a - b).flatMap(([, value]) => value);
  return concatAll([call === "query" ? QUERY_PREFIX : UPDATE_PREFIX, ...ordered]);
}

/** Runs a reader over the message's first argument; further arguments are passed over, as subtyping allows. */
function decode<T>(
  bytes: Uint8Array,
  what: string,
  read: (reader: CandidReader, type: number) => T,
): Result<T, string> {
  try {
    const reader = new CandidReader(bytes);
    const [type, ...others] = reader.arguments;
    if (type === undefined) throw new CandidMismatch("it has no argument");
    const value = read(reader, type);
    for (const other of others) reader.skip(other);
    if (!reader.atEnd) throw new CandidMalformed("bytes are left over");
    return ok(value);
  } catch (cause) {
    if (cause instanceof CandidMalformed || cause instanceof CandidMismatch)
      return err(`the answer is not ${what} in Candid: ${cause.message}`);
    throw cause;
  }
}

function required<T>(value: T | null, name: string): T {
  if (value === null) throw new CandidMismatch(`field ${name} is missing`);
  return value;
}

function readHeaders(reader: CandidReader, type: number): readonly HeaderField[] {
  const headers: HeaderField[] = [];
  reader.list(type, HEADERS_MAX, (inner) => {
    let name: string | null = null;
    let value: string | null = null;
    reader.record(inner, {
      0: (field) => {
        name = reader.text(field);
      },
      1: (field) => {
        value = reader.text(field);
      },
    });
    headers.push([required<string>(name, "0 of a header"), required<string>(value, "1 of a header")]);
  });
  return headers;
}

function readStreaming(reader: CandidReader, type: number): StreamingCallback {
  let func: { readonly canister: CanisterId; readonly method: string } | null = null;
  let token: Uint8Array | null = null;
  reader.variant(type, {
    [ID.callback]: (content) =>
      reader.record(content, {
        [ID.callbackFunc]: (field) => {
          func = reader.func(field);
        },
        [ID.token]: (field) => {
          token = reader.message(field);
        },
      }),
  });
  const { canister, method } = required<{ canister: CanisterId; method: string }>(func, "callback");
  return { canister, method, token: required<Uint8Array>(token, "token") };
}

/** The answer of `http_request` and `http_request_update`; the error says what is wrong with it. */
export function decodeResponse(bytes: Uint8Array): Result<CanisterResponse, string> {
  return decode(bytes, "an HTTP response", (reader, type) => {
    let status: number | null = null;
    let headers: readonly HeaderField[] | null = null;
    let body: Uint8Array | null = null;
    let upgrade = false;
    let streaming: StreamingCallback | null = null;
    reader.record(type, {
      [ID.status]: (field) => {
        status = reader.nat16(field);
      },
      [ID.headers]: (field) => {
        headers = readHeaders(reader, field);
      },
      [ID.body]: (field) => {
        body = reader.blob(field);
      },
      [ID.upgrade]: (field) => {
        upgrade = reader.optional(field, (inner) => reader.bool(inner)) === true;
      },
      [ID.streaming]: (field) => {
        streaming = reader.optional(field, (inner) => readStreaming(reader, inner));
      },
    });
    return {
      status: required<number>(status, "status_code"),
      headers: required<readonly HeaderField[]>(headers, "headers"),
      body: required<Uint8Array>(body, "body"),
      upgrade,
      streaming,
    };
  });
}

export interface CallbackResponse {
  readonly body: Uint8Array;
  /** Argument of the next call; null after the last chunk. */
  readonly token: Uint8Array | null;
}

/** The answer of a streaming callback. Some canisters declare it optional; none is the end of the body. */
export function decodeCallbackResponse(bytes: Uint8Array): Result<CallbackResponse, string> {
  return decode(bytes, "a streamed chunk", (reader, type) => {
    let body: Uint8Array | null = null;
    let token: Uint8Array | null = null;
    const read = (inner: number): true => {
      reader.record(inner, {
        [ID.body]: (field) => {
          body = reader.blob(field);
        },
        [ID.token]: (field) => {
          token = reader.optional(field, (content) => reader.message(content));
        },
      });
      return true;
    };
    if (!reader.isOptional(type)) read(type);
    else if (reader.optional(type, read) === null) return { body: new Uint8Array(0), token: null };
    return { body: required<Uint8Array>(body, "body"), token };
  });
}
