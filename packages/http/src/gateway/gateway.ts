/**
 * The HTTP gateway (HTTP gateway protocol): from a client's request to the response of the canister that it names. Everything that
 * goes wrong becomes a page; nothing but faults of this program is thrown.
 */
import type { Rng } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import type { CanisterHost, CanisterHosts } from "../canister-hosts.ts";
import { canisterOf } from "../destination.ts";
import { hostName } from "../host-check.ts";
import type { HttpRequest, HttpResponse } from "../messages.ts";
import type { ReplicaNetwork } from "../replica-view.ts";
import { type Exchange, type ExchangeContext, exchange, type Inflate } from "./exchange.ts";
import { incorrectId, malformed, overloaded, Refusal, unresolved } from "./failure.ts";
import {
  checkRequestHeaders,
  isPreflight,
  outgoingRequestHeaders,
  PREFLIGHT,
  passedHeaders,
  withGatewayHeaders,
} from "./headers.ts";
import { DEFAULT_GATEWAY_LIMITS, type GatewayLimits } from "./limits.ts";
import { failurePage, landingPage } from "./pages.ts";
import { asksForRange, completed, PARTIAL } from "./partial.ts";
import { rememberSignatures } from "./remembered-signatures.ts";

export interface GatewayOptions {
  readonly network: Pick<ReplicaNetwork, "replicaOf">;
  readonly hosts: CanisterHosts;
  /** DER, of the root subnet: where all trust starts. */
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
  /** Nonces of update calls. */
  readonly rng: Rng;
  readonly inflate: Inflate;
  readonly limits?: Partial<GatewayLimits>;
}

export type Gateway = (request: HttpRequest) => Promise<HttpResponse>;

const AUTHORITY = /^[a-z]+:\/\/([^/?#]*)/i;

/** Null when nothing names a canister. */
function resolve(hosts: CanisterHosts, request: HttpRequest): CanisterHost | null {
  const found = canisterOf(hosts, request);
  if (typeof found === "string") throw new Refusal(incorrectId(found));
  return found;
}

/** Whether the name is the gateway's own: one below localhost was meant for a canister. */
function isOwnHost(header: string | undefined): boolean {
  return header === undefined || !hostName(header).endsWith(".localhost");
}

/** Path and query of the request's target, which proxies send with the host in front. */
function targetOf(url: string): string {
  const target = url.replace(AUTHORITY, "");
  if (target === "" || target.startsWith("?")) return `/${target}`;
  if (!target.startsWith("/"))
    throw new Refusal(malformed(`The request's target is ${target.slice(0, 100)}.`));
  return target;
}

function exchangeOf(request: HttpRequest, host: CanisterHost, limits: GatewayLimits): Exchange {
  const url = targetOf(request.url);
  const headers = request.headers();
  checkRequestHeaders(url, headers, limits);
  const asReceived = { method: request.method.toUpperCase(), url, headers, body: request.body };
  return { ...host, request: asReceived, sent: { ...asReceived, headers: outgoingRequestHeaders(headers) } };
}

async function* after(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (first.length > 0) yield first;
  yield* rest;
}

async function respond(context: ExchangeContext, asked: Exchange): Promise<HttpResponse> {
  const { limits } = context;
  const answer = await exchange(context, asked);
  const partial = answer.status === PARTIAL && !asksForRange(asked.request);
  const { status, headers, body, rest, length } = partial ? completed(context, asked, answer) : answer;
  const passed = passedHeaders(headers, limits);
  if (length !== null) passed["content-length"] = String(length);
  if (rest === null) return { status, headers: passed, body };
  const empty = new Uint8Array(0);
  if (asked.request.method === "HEAD") return { status, headers: passed, body: empty };
  return { status, headers: passed, body: empty, stream: after(body, rest) };
}

/** Builds the gateway. The result may be called concurrently. */
export function createGateway(options: GatewayOptions): Gateway {
  const { hosts, network, rootKey, rng, inflate } = options;
  const limits: GatewayLimits = { ...DEFAULT_GATEWAY_LIMITS, ...options.limits };
  const context: ExchangeContext = {
    network,
    rootKey,
    bls: rememberSignatures(options.bls),
    rng,
    inflate,
    limits,
    assembling: { bytes: 0 },
  };
  let underWay = 0;

  async function serve(request: HttpRequest, host: CanisterHost | null): Promise<HttpResponse> {
    if (host === null) {
      if (request.method === "OPTIONS") return PREFLIGHT;
      const atRoot = /^\/?($|\?)/.test(targetOf(request.url));
      const reads = request.method === "GET" || request.method === "HEAD";
      if (atRoot && reads && isOwnHost(request.header("host"))) return landingPage(request);
      throw new Refusal(unresolved());
    }
    const response = await respond(context, exchangeOf(request, host, limits));
    return request.method === "OPTIONS" && !isPreflight(response) ? PREFLIGHT : response;
  }

  async function handle(request: HttpRequest): Promise<HttpResponse> {
    let host: CanisterHost | null = null;
    let response: HttpResponse;
    try {
      host = resolve(hosts, request);
      response = await serve(request, host);
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause;
      response =
        request.method === "OPTIONS"
          ? PREFLIGHT
          : failurePage(request, cause.failure, host?.canisterId ?? null);
    }
    return withGatewayHeaders(response, host?.canisterId ?? null);
  }

  return async (request) => {
    if (underWay >= limits.requestsMax)
      return withGatewayHeaders(failurePage(request, overloaded(), null), null);
    underWay++;
    try {
      return await handle(request);
    } finally {
      underWay--;
    }
  };
}
