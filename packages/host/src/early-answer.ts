/**
 * Answers a request whose body is not wanted, so that the client gets to read why: the answer is sent at once, and the connection is closed
 * only when the rest of the body has been read and dropped (RFC 9112 §9.6: closing before that may destroy the answer on its way).
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

/** A client that sends more after its answer has lost the right to read it. */
const DROPPED_BYTES_MAX: number = 1_024 ** 3;

export interface EarlyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array | string;
}

/** To be called while the body arrives, by whoever keeps nothing of it. The request's timeout goes on. */
export function answerEarly(request: IncomingMessage, response: ServerResponse, answer: EarlyAnswer): void {
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status, {
    ...answer.headers,
    "content-length": body.length,
    connection: "close",
  } as OutgoingHttpHeaders);
  response.write(body);
  let dropped = 0;
  const close = (): void => {
    response.end();
  };
  request.on("data", (chunk: Uint8Array) => {
    dropped += chunk.length;
    if (dropped > DROPPED_BYTES_MAX) close();
  });
  request.once("end", close);
  request.once("close", close);
  request.resume();
}
