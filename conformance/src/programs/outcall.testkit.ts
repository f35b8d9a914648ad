/** HTTPS outcalls of tests: requests and responses as the management canister takes and gives them, and a server that a node is told to trust. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { IDL } from "@icp-sdk/core/candid";
import { selfSigned } from "@orrery/host/self-signed";
import type { Question, Told } from "./asking.ts";

const Blob = IDL.Vec(IDL.Nat8);
const Header = IDL.Record({ name: IDL.Text, value: IDL.Text });
export const Response: IDL.Type = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(Header), body: Blob });
export const TransformArgs: IDL.Type = IDL.Record({ response: Response, context: Blob });
const HttpRequestArgs = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({ get: IDL.Null, head: IDL.Null, post: IDL.Null, put: IDL.Null }),
  headers: IDL.Vec(Header),
  body: IDL.Opt(Blob),
  transform: IDL.Opt(
    IDL.Record({ function: IDL.Func([TransformArgs], [Response], ["query"]), context: Blob }),
  ),
  is_replicated: IDL.Opt(IDL.Bool),
  pricing_version: IDL.Opt(IDL.Nat32),
});
const CYCLES = 30_000_000_000n;

export interface HttpReply {
  readonly status: bigint;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array;
}

/** `value`: what of the arguments is not as by default; `url` at least. */
export function httpQuestion(value: { readonly url: string; readonly [field: string]: unknown }): Question {
  const arg = IDL.encode(
    [HttpRequestArgs],
    [
      {
        max_response_bytes: [2_000n],
        method: { get: null },
        headers: [],
        body: [],
        transform: [],
        is_replicated: [],
        pricing_version: [],
        ...value,
      },
    ],
  );
  return { method: "http_request", arg, cycles: CYCLES };
}

/** Fails where the outcall was rejected. */
export function httpReply(answer: Told): HttpReply {
  assert.equal(answer.code, 0, answer.text);
  return IDL.decode([Response], answer.data)[0] as unknown as HttpReply;
}

export interface Outside {
  readonly origin: string;
  close(): void;
}

/** Processes that start before it is closed trust it; the certificate is kept in the folder. */
export async function startOutside(
  folder: string,
  answer: (...request: Parameters<NonNullable<Parameters<typeof createServer>[1]>>) => void,
): Promise<Outside> {
  const { certificate, key } = selfSigned();
  const trusted = process.env["NODE_EXTRA_CA_CERTS"];
  const server: Server = createServer({ cert: certificate, key }, answer);
  server.listen(0, "localhost");
  await once(server, "listening");
  const file = join(folder, "ca.pem");
  writeFileSync(file, certificate);
  process.env["NODE_EXTRA_CA_CERTS"] = file;
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    close(): void {
      if (trusted === undefined) delete process.env["NODE_EXTRA_CA_CERTS"];
      else process.env["NODE_EXTRA_CA_CERTS"] = trusted;
      server.closeAllConnections();
      server.close();
    },
  };
}
