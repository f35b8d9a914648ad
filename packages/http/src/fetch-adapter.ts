/** The interface behind WHATWG Request and Response, for a network that lives in a browser tab or a service worker. */
import type { Api } from "./api.ts";
import { BODY_BYTES_MAX } from "./context.ts";
import type { HeaderField } from "./messages.ts";

/** The parts of the Fetch standard's types that are used; the platform's own classes fit. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null } & Iterable<readonly [string, string]>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export type ResponseFactory<R> = (
  /** In pieces when the gateway passes on a long body as it comes. */
  body: Uint8Array | string | AsyncIterable<Uint8Array>,
  init: { readonly status: number; readonly headers: [string, string][] },
) => R;

/** One entry for each value of a header. */
function headerFields(headers: Readonly<Record<string, string | readonly string[]>>): [string, string][] {
  return Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value as string]),
  );
}

/** A fetch handler over the interface; `respond` is `(body, init) => new Response(body, init)`. */
export function createFetchHandler<R>(
  api: Api,
  respond: ResponseFactory<R>,
): (request: FetchRequest) => Promise<R> {
  return async (request) => {
    const buffer =
      request.method === "GET" || request.method === "HEAD"
        ? new ArrayBuffer(0)
        : await request.arrayBuffer();
    const path = request.url.replace(/^[a-z]+:\/\/[^/]*/, "");
    const response = await api({
      method: request.method,
      url: path === "" ? "/" : path,
      header: (name) => request.headers.get(name) ?? undefined,
      headers: () => [...request.headers].map(([name, value]): HeaderField => [name.toLowerCase(), value]),
      // One byte over the limit is enough for the refusal.
      body: new Uint8Array(buffer, 0, Math.min(buffer.byteLength, BODY_BYTES_MAX + 1)),
    });
    const init = { status: response.status, headers: headerFields(response.headers) };
    return respond(response.stream ?? response.body, init);
  };
}
