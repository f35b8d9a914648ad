/**
 * The HTTPS interface as one function from request to response (interface spec, "HTTPS Interface"): Host check, CORS, routing,
 * load shedding and metrics around the handlers. Whatever is not a path of the interface goes to the gateway when there is one.
 */
import { assertNever } from "@orrery/base";
import { handleCall } from "./call.ts";
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
import { type Operation, type Route, routeOf } from "./router.ts";
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
  /** Serves every other path and every `<canister>.localhost` host: the HTTP gateway. */
  readonly gateway?: Fallback;
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

function refuseHost(request: HttpRequest, hosts: readonly string[]): HttpResponse | null {
  const header = request.header("host");
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
  const { validate, effectiveCanisterId, hosts = [] } = options;
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
    if (route === null) return fallback(options.gateway, request);
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
    const refused = refuseHost(request, hosts);
    if (refused !== null) return refused;
    const route = routeOf(pathOf(request.url));
    const endpoint = route === null ? "other" : "operation" in route ? route.operation : route.kind;
    return chain(dispatch(route, request), (response) => {
      counters.count(endpoint, response.status);
      return response;
    });
  };
}
