/**
 * The HTTPS interface as one function from request to response (interface spec, "HTTPS Interface"): Host check, CORS, routing,
 * load shedding and metrics around the handlers. Whatever is not a path of the interface goes to the gateway when there is one.
 */
import { assertNever } from "@orrery/base";
import { handleCall } from "./call.ts";
import type { CanisterHosts } from "./canister-hosts.ts";
import {
  type ApiContext,
  type ApiLimits,
  DEFAULT_API_LIMITS,
  type EffectiveCanisterId,
  type Validate,
} from "./context.ts";
import { hostAllowed, hostName } from "./host-check.ts";
import {
  type Awaitable,
  chain,
  type HttpRequest,
  type HttpResponse,
  methodNotAllowedResponse,
  preflightResponse,
  settle,
  textResponse,
} from "./messages.ts";
import { createRequestCounters, METRICS_CONTENT_TYPE } from "./metrics.ts";
import { handleQuery } from "./query.ts";
import { handleReadState } from "./read-state.ts";
import type { Destination, ReplicaNetwork } from "./replica-view.ts";
import { isVersioned, type Operation, type Route, routeOf } from "./router.ts";
import { handleStatus } from "./status.ts";

/** Answers a request or, with null, leaves it to the 404. */
export type Fallback = (request: HttpRequest) => Awaitable<HttpResponse | null>;

export interface ApiOptions {
  readonly validate: Validate;
  readonly effectiveCanisterId: EffectiveCanisterId;
  readonly limits?: Partial<ApiLimits>;
  /** Host names served besides localhost and IP literals, lower case; `*.example.org` allows subdomains. */
  readonly hosts?: readonly string[];
  /** Prometheus text of the rest of the node, put after this package's own at `/metrics`. */
  readonly metrics?: () => string;
  /** Serves `/_/…`, the paths reserved for administration. */
  readonly admin?: Fallback;
  /** The HTTP gateway: serves every other path, and all but the versioned interface on hosts that name a canister. */
  readonly gateway?: Fallback;
  /** Hosts that name a canister; they are served although they are not among `hosts`. */
  readonly canisterHosts?: Pick<CanisterHosts, "find">;
}

export type Api = (request: HttpRequest) => Awaitable<HttpResponse>;

type Handler = typeof handleCall;

const HANDLERS: Readonly<Record<Operation, Handler>> = {
  call: handleCall,
  query: handleQuery,
  read_state: handleReadState,
};

const NOT_FOUND: HttpResponse = textResponse(404, "Endpoint not found.");
const SHED: HttpResponse = textResponse(429, "The service is overloaded.");

function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function refuseHost(header: string | undefined, hosts: readonly string[]): HttpResponse | null {
  if (hostAllowed(header, hosts)) return null;
  const host = hostName(header ?? "").slice(0, 128);
  const remedy = "use localhost or an IP address";
  return textResponse(
    403,
    `Host "${host}" is not served by this node, which guards against DNS rebinding: ${remedy}.`,
  );
}

/** Builds the interface over replicas. The result may be called concurrently; it keeps no state but counters. */
export function createApi(network: ReplicaNetwork, options: ApiOptions): Api {
  const { validate, effectiveCanisterId, hosts = [], gateway, canisterHosts } = options;
  const limits: ApiLimits = { ...DEFAULT_API_LIMITS, ...options.limits };
  const shared: Omit<ApiContext, "replica"> = { validate, effectiveCanisterId, limits, waiting: new Set() };
  const inFlightMax: Readonly<Record<Operation, number>> = {
    call: limits.callsMax,
    query: limits.queriesMax,
    read_state: limits.readStatesMax,
  };
  const inFlight: Record<Operation, number> = { call: 0, query: 0, read_state: 0 };
  const counters = createRequestCounters(() => inFlight);

  function operate(
    route: Extract<Route, { kind: "canister" | "subnet" }>,
    request: HttpRequest,
  ): Awaitable<HttpResponse> {
    const { kind, operation, version, id } = route;
    if (request.method !== "POST") return methodNotAllowedResponse(request.method, "POST");
    if (inFlight[operation] >= inFlightMax[operation]) return SHED;
    inFlight[operation]++;
    const destination: Destination = { kind, id };
    const context: ApiContext = { ...shared, replica: network.replicaOf(destination) };
    return settle(
      () => HANDLERS[operation](context, request, destination, version),
      () => {
        inFlight[operation]--;
      },
    );
  }

  function fallback(serve: Fallback | undefined, request: HttpRequest): Awaitable<HttpResponse> {
    if (serve !== undefined) return chain(serve(request), (response) => response ?? NOT_FOUND);
    return request.method === "OPTIONS" ? preflightResponse() : NOT_FOUND;
  }

  function dispatch(route: Route | null, request: HttpRequest): Awaitable<HttpResponse> {
    if (route === null) return fallback(gateway, request);
    if (route.kind === "admin") return fallback(options.admin, request);
    if (request.method === "OPTIONS") return preflightResponse();
    switch (route.kind) {
      case "canister":
      case "subnet":
        return operate(route, request);
      case "bad_principal":
        return textResponse(
          400,
          `Invalid URL: Cannot parse \`${route.text.slice(0, 128)}\` as a principal: ${route.why}`,
        );
      case "status":
      case "metrics": {
        if (request.method !== "GET" && request.method !== "HEAD")
          return methodNotAllowedResponse(request.method, "GET,HEAD");
        if (route.kind === "status") return handleStatus(network);
        const body = counters.render() + (options.metrics?.() ?? "");
        return { status: 200, headers: { "content-type": METRICS_CONTENT_TYPE }, body };
      }
      default:
        return assertNever(route, "route");
    }
  }

  return (request) => {
    const host = request.header("host");
    const ofCanister = gateway !== undefined && (canisterHosts?.find(host) ?? null) !== null;
    const refused = ofCanister ? null : refuseHost(host, hosts);
    if (refused !== null) return refused;
    const path = pathOf(request.url);
    // A canister's host is the canister's own: it may have pages where this node has metrics and administration.
    const route = ofCanister && !isVersioned(path, true) ? null : routeOf(path);
    const endpoint = route === null ? "other" : "operation" in route ? route.operation : route.kind;
    if (route === null && isVersioned(path, ofCanister)) {
      counters.count(endpoint, NOT_FOUND.status);
      return NOT_FOUND;
    }
    return chain(dispatch(route, request), (response) => {
      counters.count(endpoint, response.status);
      return response;
    });
  };
}
