/** Pages put into the `web` canister, certified as canisters certify theirs. */
import { certifyPages, type TestCertification } from "@orrery/http/testing";
import type { Program } from "../programs.ts";

export interface Page {
  /** What the canister looks up: method, URL and range asked for. */
  readonly key: string;
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body: Uint8Array | string;
  /** How much of the body comes with the response; the rest in chunks of as many bytes. */
  readonly chunkBytes?: number;
  /** By default for exactly the URL's path. */
  readonly path?: readonly string[];
  /** By default all of the request's range and all of the response. */
  readonly certification?: TestCertification;
  readonly upgrade?: boolean;
  /** Certified is another body than the one that is given. */
  readonly forged?: boolean;
}

const WHOLE: TestCertification = {
  request: { headers: ["range"], queryParameters: [] },
  response: { kind: "excluded", headers: [] },
};

const bytesOf = (body: Uint8Array | string): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : body;

function chunksOf(body: Uint8Array, bytes: number): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = bytes; at < body.length; at += bytes) chunks.push(body.subarray(at, at + bytes));
  return chunks;
}

/** Certifies the pages, all at once, and puts them in. */
export async function putPages(program: Program, pages: readonly Page[]): Promise<void> {
  const certified = certifyPages(
    pages.map(({ key, status = 200, headers = [], body, path, certification = WHOLE, forged }) => {
      const [method = "GET", url = "/", range] = key.split(" ");
      const route = url.split("?")[0] ?? "/";
      return {
        request: {
          method,
          url,
          headers: range === undefined ? [] : [["range", range]],
          body: new Uint8Array(0),
        },
        response: { status, headers, body: forged === true ? bytesOf("what was meant") : bytesOf(body) },
        certification,
        path: path ?? ["http_expr", ...route.split("/").slice(1), "<$>"],
      };
    }),
  );
  for (const [i, page] of pages.entries()) {
    const { headers = [], rest = "" } = certified.pages[i] ?? {};
    const body = bytesOf(page.body);
    const bytes = page.chunkBytes ?? body.length;
    await program.call("put", page.key, {
      status: page.status ?? 200,
      headers,
      body: body.subarray(0, bytes),
      chunks: bytes === 0 ? [] : chunksOf(body, bytes),
      certification: [rest],
      upgrade: page.upgrade ?? false,
    });
  }
  await program.call("certify", certified.data);
}
