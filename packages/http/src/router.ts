/**
 * The URL paths of the HTTPS interface (interface spec, "HTTPS Interface"). Parsing only: which endpoint, which version, which
 * principal. A path that is none of them is null; a principal that does not parse keeps its text for the error.
 */
import { OrreryError, type Principal, principalFromText } from "@orrery/base";

export type Operation = "call" | "query" | "read_state";
export type ApiVersion = 2 | 3 | 4;

export type Route =
  | { readonly kind: "status" }
  | {
      readonly kind: "canister" | "subnet";
      readonly operation: Operation;
      readonly version: ApiVersion;
      readonly id: Principal;
    }
  | { readonly kind: "bad_principal"; readonly text: string; readonly why: string }
  | { readonly kind: "metrics" }
  /** Reserved for administration: `/_/…`. */
  | { readonly kind: "admin"; readonly path: string };

/** Versions that each endpoint exists in. */
const CANISTER_VERSIONS: Readonly<Record<Operation, readonly ApiVersion[]>> = {
  call: [2, 3, 4],
  query: [2, 3],
  read_state: [2, 3],
};
const SUBNET_VERSIONS: Readonly<Record<Operation, readonly ApiVersion[]>> = {
  call: [4],
  query: [3],
  read_state: [2, 3],
};

const API_PATH = /^\/api\/v([234])\/(canister|subnet)\/([^/]+)\/(call|query|read_state)$/;

/** Distinct principals kept parsed: a node is asked about few at a time. */
const PARSED_MAX = 1_000;

const parsed = new Map<string, Principal>();

function parsePrincipal(text: string): Principal {
  let principal = parsed.get(text);
  if (principal === undefined) {
    principal = principalFromText(text);
    if (parsed.size >= PARSED_MAX) parsed.clear();
    parsed.set(text, principal);
  }
  return principal;
}

/**
 * Whether the path belongs to the versioned interface, which no canister can have pages in. On a canister's own host other versions are
 * the canister's: it may have an interface of its own there.
 */
export function isVersioned(path: string, ofCanister: boolean): boolean {
  return (ofCanister ? /^\/api\/v[234]\// : /^\/api\/v\d+\//).test(path);
}

/** Route of a path (query string already removed); null when there is none. */
export function routeOf(path: string): Route | null {
  const match = API_PATH.exec(path);
  if (match === null) {
    if (path === "/api/v2/status") return { kind: "status" };
    if (path === "/metrics") return { kind: "metrics" };
    if (path.startsWith("/_/")) return { kind: "admin", path };
    return null;
  }
  const version = Number(match[1]) as ApiVersion;
  const kind = match[2] as "canister" | "subnet";
  const operation = match[4] as Operation;
  const versions = (kind === "canister" ? CANISTER_VERSIONS : SUBNET_VERSIONS)[operation];
  if (!versions.includes(version)) return null;
  const text = match[3] as string;
  try {
    return { kind, operation, version, id: parsePrincipal(text) };
  } catch (error) {
    if (error instanceof OrreryError) return { kind: "bad_principal", text, why: error.message };
    throw error;
  }
}
