/**
 * HTTP on a socket: node:http in front of a handler that takes and returns plain records. Bodies are bounded (413) and must
 * arrive in time (408); a taken port is an error that names a free one.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { OrreryError } from "@orrery/base";

export interface HttpServerRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  /** Header by lower-case name. */
  header(name: string): string | undefined;
  readonly body: Uint8Array;
}

export interface HttpServerResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

export interface HttpServerOptions {
  readonly port: number;
  readonly bind: string;
  readonly handle: (request: HttpServerRequest) => Promise<HttpServerResponse> | HttpServerResponse;
  readonly onError: (error: unknown) => void;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Interface spec: bodies over 5 MiB are refused; the replica waits 300 s for one. */
export const BODY_BYTES_MAX: number = 5 * 1024 * 1024;
export const BODY_TIMEOUT_MS = 300_000;

const EMPTY: Uint8Array = new Uint8Array(0);
const TEXT: Readonly<Record<string, string>> = { "content-type": "text/plain; charset=utf-8" };

function readBody(
  request: IncomingMessage,
  done: (body: Uint8Array | "too_large" | "aborted") => void,
): void {
  if (request.method === "GET" || request.method === "HEAD") {
    request.resume();
    done(EMPTY);
    return;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  const finish = (body: Uint8Array | "too_large" | "aborted"): void => {
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
    if (chunks.length === 1) {
      const only = chunks[0] as Uint8Array;
      finish(new Uint8Array(only.buffer, only.byteOffset, only.byteLength));
      return;
    }
    const body = new Uint8Array(ended ? 0 : length);
    let at = 0;
    for (const chunk of chunks) {
      body.set(chunk, at);
      at += chunk.length;
    }
    finish(body);
  });
  request.on("error", () => finish("aborted"));
  request.on("aborted", () => finish("aborted"));
}

function send(response: ServerResponse, answer: HttpServerResponse, close: boolean): void {
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status, {
    ...answer.headers,
    "content-length": body.length,
    ...(close ? { connection: "close" } : {}),
  });
  response.end(body);
}

function onRequest(options: HttpServerOptions, request: IncomingMessage, response: ServerResponse): void {
  readBody(request, (body) => {
    if (body === "aborted") return;
    if (body === "too_large") {
      const text = `The request body is over ${BODY_BYTES_MAX} bytes; send a smaller one.`;
      send(
        response,
        { status: 413, headers: { ...TEXT, "access-control-allow-origin": "*" }, body: text },
        true,
      );
      return;
    }
    const fail = (error: unknown): void => {
      options.onError(error);
      if (!response.headersSent) {
        send(
          response,
          { status: 500, headers: TEXT, body: "Internal error; the node's log has the details." },
          true,
        );
      }
    };
    try {
      const answer = options.handle({
        method: request.method ?? "GET",
        url: request.url ?? "/",
        header: (name) => {
          const value = request.headers[name];
          return Array.isArray(value) ? value[0] : value;
        },
        body,
      });
      if (answer instanceof Promise) answer.then((value) => send(response, value, false)).catch(fail);
      else send(response, answer, false);
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

async function listen(server: Server, options: HttpServerOptions): Promise<void> {
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
  const server = createServer(
    { requestTimeout: BODY_TIMEOUT_MS, keepAliveTimeout: 60_000, noDelay: true },
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
