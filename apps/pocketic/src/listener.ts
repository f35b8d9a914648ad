/**
 * HTTP on a socket for this server: bodies up to what the route allows, no limit on how long an answer may take, names that requests may
 * be addressed to. Loads nothing but the runtime's own modules, since the first answer of a cold start waits for it.
 */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { concatAll } from "@orrery/base";
import { answerEarly } from "@orrery/host";
import { type Answer, failure } from "./answers.ts";

export interface ListenerRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  /** Header by lower-case name; of several the first. */
  header(name: string): string | undefined;
  /** Every header in the order received, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** A buffer of its own, which may be transferred. */
  readonly body: Uint8Array<ArrayBuffer>;
}

export type Admission = { readonly bytesMax: number } | Answer;

export interface ListenerOptions {
  /** Decides before the body is read: its limit, or the answer already. */
  readonly admit: (method: string, url: string, host: string | undefined) => Admission | Promise<Admission>;
  readonly answer: (request: ListenerRequest) => Answer | Promise<Answer>;
  readonly onError: (error: unknown) => void;
}

export interface Listener {
  readonly port: number;
  /** Requests under way, from their first byte to the last of their answer. */
  readonly pending: number;
  /** `performance.now()` of the last request's end, or of the start. */
  readonly idleSinceMs: number;
  close(): Promise<void>;
}

/** Slow clients are not waited for longer, as the replica does. */
const BODY_TIMEOUT_MS = 300_000;
const KEEP_ALIVE_MS = 60_000;

type Body = Uint8Array<ArrayBuffer> | "too_large" | "aborted";

function readBody(request: IncomingMessage, bytesMax: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    request.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      resolve("too_large");
    });
    request.on("end", () => resolve(length > bytesMax ? "too_large" : concatAll(chunks)));
    request.on("close", () => resolve("aborted"));
    request.on("error", () => resolve("aborted"));
  });
}

function send(response: ServerResponse, answer: Answer, withBody: boolean, close: boolean): void {
  if (response.destroyed) return;
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status, {
    // Of a HEAD request the answer may say how long the body would be.
    "content-length": body.length,
    ...answer.headers,
    ...(close ? { connection: "close" } : {}),
  });
  response.end(withBody ? body : undefined);
}

async function sendStream(
  response: ServerResponse,
  { status, headers, stream }: Answer & Required<Pick<Answer, "stream">>,
): Promise<void> {
  response.writeHead(status, { ...headers } as OutgoingHttpHeaders);
  try {
    for await (const piece of stream) {
      if (response.destroyed) return;
      if (!response.write(piece))
        await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
    }
    response.end();
  } catch {
    // The client must see that it was cut off.
    response.destroy();
  }
}

function headersOf({ rawHeaders }: IncomingMessage): (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.push([(rawHeaders[at] as string).toLowerCase(), rawHeaders[at + 1] as string]);
  }
  return headers;
}

async function serve(
  options: ListenerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/" } = request;
  const withBody = method !== "HEAD";
  const admitted = await options.admit(method, url, request.headers.host);
  if ("status" in admitted) {
    request.resume();
    send(response, admitted, withBody, false);
    return;
  }
  const body = await readBody(request, admitted.bytesMax);
  if (body === "aborted") return;
  if (body === "too_large") {
    const text = `The request body is over ${admitted.bytesMax} bytes, the most that is taken here; send a smaller one.`;
    answerEarly(request, response, failure(413, text));
    return;
  }
  const headers = headersOf(request);
  const header = (name: string): string | undefined => headers.find(([one]) => one === name)?.[1];
  const answer = await options.answer({ method, url, header, headers, body });
  const { stream } = answer;
  if (stream === undefined || !withBody) send(response, answer, withBody, false);
  else await sendStream(response, { ...answer, stream });
}

function listen(server: Server, bind: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, bind, resolve);
  });
}

export interface ListenAt {
  readonly bind: string;
  readonly port: number;
  /** PEM; plain HTTP without. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Accepts connections once the promise resolves; rejects with the system's error when it cannot. */
export async function startListener(
  { bind, port, tls }: ListenAt,
  options: ListenerOptions,
): Promise<Listener> {
  let pending = 0;
  let idleSinceMs = performance.now();
  const onRequest: RequestListener = (request, response) => {
    pending++;
    response.once("close", () => {
      pending--;
      idleSinceMs = performance.now();
    });
    serve(options, request, response).catch((error: unknown) => {
      options.onError(error);
      if (response.headersSent) response.destroy();
      else send(response, failure(500, `Internal error: ${(error as Error).message}`), true, true);
    });
  };
  const timeouts = { requestTimeout: BODY_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true };
  const server =
    tls === undefined
      ? createServer(timeouts, onRequest)
      : (await import("node:https")).createServer({ ...timeouts, ...tls }, onRequest);
  await listen(server, bind, port);
  return {
    port: (server.address() as AddressInfo).port,
    get pending(): number {
      return pending;
    },
    get idleSinceMs(): number {
      return idleSinceMs;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
