/**
 * The paths of the protocol, with or without a slash at the end. Parsing only: which endpoint, of which instance, how large its body may
 * be and whether it may be asked with this method.
 */

/** Operations of an instance by path, with the method that they take. */
export const OPERATIONS: Readonly<Record<string, "GET" | "POST">> = {
  "read/get_time": "GET",
  "read/topology": "GET",
  "_/topology": "GET",
  "_/dashboard": "GET",
  "read/get_canister_http": "GET",
  "read/query": "POST",
  "read/ingress_status": "POST",
  "read/get_cycles": "POST",
  "read/get_controllers": "POST",
  "read/get_subnet": "POST",
  "read/pub_key": "POST",
  "read/get_stable_memory": "POST",
  "update/submit_ingress_message": "POST",
  "update/await_ingress_message": "POST",
  "update/set_time": "POST",
  "update/set_certified_time": "POST",
  "update/add_cycles": "POST",
  "update/set_stable_memory": "POST",
  "update/tick": "POST",
  "update/mock_canister_http": "POST",
  "update/canister_snapshot_download": "POST",
  "update/canister_snapshot_upload": "POST",
  "update/delete_subnet": "POST",
  stop_progress: "POST",
};

export type Route =
  | { readonly kind: "status" | "openapi" | "instances" | "create_instance" | "verify_signature" }
  | { readonly kind: "store_blob" | "gateways" | "create_gateway" }
  | { readonly kind: "blob"; readonly id: string }
  | { readonly kind: "read_graph" | "prune_graph"; readonly label: string; readonly operation: string }
  | { readonly kind: "stop_gateway"; readonly gateway: number }
  | { readonly kind: "delete_instance"; readonly instance: number }
  | { readonly kind: "operation"; readonly instance: number; readonly name: string }
  /** The HTTPS interface of an instance, at `path` below it. */
  | { readonly kind: "api"; readonly instance: number; readonly path: string }
  | { readonly kind: "preflight" }
  | { readonly kind: "refused"; readonly status: 404 | 405; readonly message: string };

/** Whole bodies are held in memory, so each kind has a limit. */
const KIB = 1_024;
const MIB = 1_024 * KIB;
/** Interface specification: bodies of the HTTPS interface over 5 MiB are refused. */
const API_BODY_BYTES_MAX = 5 * MIB;
/** Answers of 40 nodes of 2 MB each in base64, which is the largest body that makes sense. */
const OPERATION_BODY_BYTES_MAX = 128 * MIB;
const CONFIG_BODY_BYTES_MAX = MIB;
/** A stable memory to be set. */
const BLOB_BYTES_MAX = 2_048 * MIB;

export function bodyBytesMax(route: Route): number {
  switch (route.kind) {
    case "api":
      return API_BODY_BYTES_MAX;
    case "operation":
    case "verify_signature":
      return OPERATION_BODY_BYTES_MAX;
    case "store_blob":
      return BLOB_BYTES_MAX;
    default:
      return CONFIG_BODY_BYTES_MAX;
  }
}

function notFound(path: string): Route {
  return { kind: "refused", status: 404, message: `No endpoint has the path ${path.slice(0, 200)}.` };
}

function onlyBy(allowed: string, method: string, route: Route): Route {
  if (method === allowed || (allowed === "GET" && method === "HEAD")) return route;
  const message = `Method ${method.slice(0, 16)} is not allowed here, expected ${allowed}.`;
  return { kind: "refused", status: 405, message };
}

/** Ids count from 0, so a longer number names nothing. */
function idOf(text: string | undefined): number | null {
  return text !== undefined && /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : null;
}

function byMethod(method: string, routes: Readonly<Record<string, Route>>): Route {
  const route = routes[method === "HEAD" ? "GET" : method];
  if (route !== undefined) return route;
  const message = `Method ${method.slice(0, 16)} is not allowed here, expected ${Object.keys(routes).join(" or ")}.`;
  return { kind: "refused", status: 405, message };
}

function instanceRoute(method: string, path: string, parts: readonly string[]): Route {
  const [, id, ...rest] = parts;
  if (method === "OPTIONS") return { kind: "preflight" };
  if (id === undefined) {
    return byMethod(method, { GET: { kind: "instances" }, POST: { kind: "create_instance" } });
  }
  const instance = idOf(id);
  if (instance === null) return notFound(path);
  const below = rest.join("/");
  if (below === "") return onlyBy("DELETE", method, { kind: "delete_instance", instance });
  if (rest[0] === "api") return { kind: "api", instance, path: `/${below}` };
  if (below === "auto_progress") {
    const name = method === "POST" ? "auto_progress" : "auto_progress_enabled";
    return byMethod(method, {
      GET: { kind: "operation", instance, name },
      POST: { kind: "operation", instance, name },
    });
  }
  const allowed = Object.hasOwn(OPERATIONS, below) ? OPERATIONS[below] : undefined;
  if (allowed === undefined) return notFound(path);
  return onlyBy(allowed, method, { kind: "operation", instance, name: below });
}

function gatewayRoute(method: string, path: string, parts: readonly string[]): Route {
  if (parts.length === 1) {
    return byMethod(method, { GET: { kind: "gateways" }, POST: { kind: "create_gateway" } });
  }
  const gateway = idOf(parts[1]);
  if (gateway === null || parts[2] !== "stop" || parts.length > 3) return notFound(path);
  return onlyBy("POST", method, { kind: "stop_gateway", gateway });
}

/** `url`: path and query as received. */
export function routeOf(method: string, url: string): Route {
  const query = url.indexOf("?");
  const path = query < 0 ? url : url.slice(0, query);
  const parts = path.slice(1).split("/");
  if (parts.at(-1) === "" && parts.length > 1) parts.pop();
  switch (parts[0]) {
    case "instances":
      return instanceRoute(method, path, parts);
    case "http_gateway":
      return gatewayRoute(method, path, parts);
    case "read_graph":
    case "prune_graph": {
      const [kind, label, operation] = parts as ["read_graph" | "prune_graph", string, string];
      if (parts.length !== 3) return notFound(path);
      return onlyBy(kind === "read_graph" ? "GET" : "DELETE", method, { kind, label, operation });
    }
    case "blobstore":
      if (parts.length === 1) return onlyBy("POST", method, { kind: "store_blob" });
      if (parts.length > 2) return notFound(path);
      return onlyBy("GET", method, { kind: "blob", id: parts[1] as string });
    default:
  }
  if (parts.length > 1) return notFound(path);
  if (parts[0] === "status") return onlyBy("GET", method, { kind: "status" });
  if (parts[0] === "api.json") return onlyBy("GET", method, { kind: "openapi" });
  if (parts[0] === "verify_signature") return onlyBy("POST", method, { kind: "verify_signature" });
  return notFound(path);
}
