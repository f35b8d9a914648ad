/**
 * HTTP on a socket: node:http in front of a handler that takes and returns plain records. Bodies are bounded (413) and must
 * arrive in time (408); a taken port is an error that names a free one.
 */
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { concatAll, OrreryError } from "@orrery/base";
import { answerEarly } from "./early-answer.ts";

export interface HttpServerRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  /** Header by lower-case name. */
  header(name: string): string | undefined;
  /** Every header in the order received, names in lower case. */
  headers(): readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface HttpServerResponse {
  readonly status: number;
  /** A list is sent as one header for each of its values. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | string;
  /** The body in pieces when there is one; its length is among the headers. A failure cuts the connection. */
  readonly stream?: AsyncIterable<Uint8Array>;
}

export interface HttpServerOptions {
  readonly port: number;
  readonly bind: string;
  readonly handle: (request: HttpServerRequest) => Promise<HttpServerResponse> | HttpServerResponse;
  readonly onError: (error: unknown) => void;
  /** A request that has not arrived whole by then is answered 408; `BODY_TIMEOUT_MS` by default. */
  readonly bodyTimeoutMs?: number;
  /** A client that takes nothing of a long body for so long is cut off. */
  readonly stallTimeoutMs?: number;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Interface spec: bodies over 5 MiB are refused; the replica waits 300 s for one. */
export const BODY_BYTES_MAX: number = 5 * 1024 * 1024;
export const BODY_TIMEOUT_MS = 300_000;
const HEADERS_TIMEOUT_MS = 60_000;
const CHECKING_INTERVAL_MS = 30_000;
const STALL_TIMEOUT_MS = 120_000;
/** Shorter bodies fit into the system's buffers. */
const LONG_BODY_BYTES_MIN = 64 * 1024;

const EMPTY: Uint8Array = new Uint8Array(0);
const TEXT: Readonly<Record<string, string>> = { "content-type": "text/plain; charset=utf-8" };

/** What came of a body: its pieces are joined when somebody looks at it, which takes a while where there are megabytes. */
type ReadBody = (() => Uint8Array) | "too_large" | "aborted";

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length !== 1) return concatAll(chunks);
  const only = chunks[0] as Uint8Array;
  return new Uint8Array(only.buffer, only.byteOffset, only.byteLength);
}

function readBody(request: IncomingMessage, done: (body: ReadBody) => void): void {
  if (request.method === "GET" || request.method === "HEAD") {
    request.resume();
    done(() => EMPTY);
    return;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  const finish = (body: ReadBody): void => {
    if (ended) return;
    ended = true;
    done(body);
  };
  request.on("data", (chunk: Uint8Array) => {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) {
      chunks.length = 0;
      finish("too_large");
    } else if (!ended) chunks.push(chunk);
  });
  request.on("end", () => {
    let body: Uint8Array | null = null;
    finish(() => {
      if (body === null) {
        body = joined(chunks);
        chunks.length = 0;
      }
      return body;
    });
  });
  request.on("error", () => finish("aborted"));
  request.on("aborted", () => finish("aborted"));
}

/** Statuses whose responses have no body, nor a length of one. */
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

function headersOf(request: IncomingMessage): [string, string][] {
  const fields: [string, string][] = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const [name, value] = request.rawHeaders.slice(i, i + 2) as [string, string];
    fields.push([name.toLowerCase(), value]);
  }
  return fields;
}

/** `length` of the body, null when only its maker knows; a response to HEAD keeps that of its maker: the one that GET would have. */
function outgoingHeaders(answer: HttpServerResponse, length: number | null): OutgoingHttpHeaders {
  // Without a prototype, since names come from outside.
  const headers: OutgoingHttpHeaders = Object.create(null);
  for (const [name, value] of Object.entries(answer.headers)) {
    headers[name] = typeof value === "string" ? value : [...value];
  }
  if (BODILESS.has(answer.status)) delete headers["content-length"];
  else if (length !== null) headers["content-length"] = length;
  return headers;
}

/** Cuts off a client that takes nothing for so long, until the response is with the system. */
function guardStall(response: ServerResponse, stallTimeoutMs: number): void {
  response.setTimeout(stallTimeoutMs, () => response.destroy());
  response.once("finish", () => response.setTimeout(0));
}

function send(
  response: ServerResponse,
  answer: HttpServerResponse,
  close: boolean,
  { stallTimeoutMs = STALL_TIMEOUT_MS }: HttpServerOptions,
): void {
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  const made = response.req.method === "HEAD" && answer.headers["content-length"] !== undefined;
  const headers = outgoingHeaders(answer, made ? null : body.length);
  response.writeHead(answer.status, { ...headers, ...(close ? { connection: "close" } : {}) });
  if (body.length >= LONG_BODY_BYTES_MIN) guardStall(response, stallTimeoutMs);
  response.end(body);
}

/** Resolves once the client took what it was sent, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      response.off("drain", finish);
      response.off("close", finish);
      resolve();
    };
    response.once("drain", finish);
    response.once("close", finish);
  });
}

/** Sends the pieces no faster than the client takes them. */
async function sendStream(
  response: ServerResponse,
  answer: HttpServerResponse & Required<Pick<HttpServerResponse, "stream">>,
  { onError, stallTimeoutMs = STALL_TIMEOUT_MS }: HttpServerOptions,
): Promise<void> {
  try {
    response.writeHead(answer.status, outgoingHeaders(answer, null));
    guardStall(response, stallTimeoutMs);
    for await (const piece of answer.stream) {
      if (response.destroyed) return;
      if (!response.write(piece)) await drained(response);
    }
    response.end();
  } catch (error) {
    onError(error);
    response.destroy();
  }
}

function onRequest(options: HttpServerOptions, request: IncomingMessage, response: ServerResponse): void {
  readBody(request, (body) => {
    if (body === "aborted") return;
    if (body === "too_large") {
      const text = `The request body is over ${BODY_BYTES_MAX} bytes; send a smaller one.`;
      const headers = { ...TEXT, "access-control-allow-origin": "*" };
      answerEarly(request, response, { status: 413, headers, body: text });
      return;
    }
    const fail = (error: unknown): void => {
      options.onError(error);
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const body = "Internal error; the node's log has the details.";
      send(response, { status: 500, headers: TEXT, body }, true, options);
    };
    const respond = (answer: HttpServerResponse): void => {
      const { stream } = answer;
      if (stream === undefined) send(response, answer, false, options);
      else sendStream(response, { ...answer, stream }, options).catch(fail);
    };
    try {
      const answer = options.handle({
        method: request.method ?? "GET",
        url: request.url ?? "/",
        header: (name) => {
          const value = request.headers[name];
          return Array.isArray(value) ? value[0] : value;
        },
        headers: () => headersOf(request),
        get body(): Uint8Array {
          return body();
        },
      });
      if (answer instanceof Promise) answer.then(respond).catch(fail);
      else respond(answer);
    } catch (error) {
      fail(error);
    }
  });
}

/** A port that was free a moment ago, near `port`, for error messages. */
export async function findFreePort(bind: string, port: number): Promise<number> {
  for (let candidate = port + 1; candidate < Math.min(port + 50, 65_535); candidate++) {
    const free = await new Promise<boolean>((resolve) => {
      const probe = createTcpServer();
      probe.once("error", () => resolve(false));
      probe.listen(candidate, bind, () => probe.close(() => resolve(true)));
    });
    if (free) return candidate;
  }
  return 0;
}

/** Listens with any server; `port_taken` names a free port, `listen_failed` is every other refusal. */
export async function listen(
  server: Pick<TcpServer, "once" | "listen">,
  options: Pick<HttpServerOptions, "port" | "bind">,
): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port, options.bind, resolve);
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "EADDRINUSE") {
      const free = await findFreePort(options.bind, options.port);
      const hint = free === 0 ? "choose another with --port" : `port ${free} is free: use --port ${free}`;
      throw new OrreryError(
        "port_taken",
        `port ${options.port} on ${options.bind} is taken by another program; ${hint}`,
        {
          data: { port: options.port, freePort: free },
          cause,
        },
      );
    }
    throw new OrreryError(
      "listen_failed",
      `cannot listen on ${options.bind}:${options.port} (${code ?? (cause as Error).message}); check --bind and --port`,
      { cause },
    );
  }
}

/** Listens; port 0 takes any free one. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const requestTimeout = options.bodyTimeoutMs ?? BODY_TIMEOUT_MS;
  const server = createServer(
    {
      requestTimeout,
      headersTimeout: Math.min(requestTimeout, HEADERS_TIMEOUT_MS),
      // How often the runtime looks for late requests.
      connectionsCheckingInterval: Math.min(requestTimeout, CHECKING_INTERVAL_MS),
      keepAliveTimeout: 60_000,
      noDelay: true,
    },
    (request, response) => onRequest(options, request, response),
  );
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
