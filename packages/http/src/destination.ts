/**
 * Which canister or subnet a request is for, for those who pass requests on to nodes: by its path, by its host name, by its query, or by the
 * page that it comes from (interface spec, "HTTPS Interface"; HTTP gateway protocol, "Canister ID Resolution").
 */
import type { CanisterId } from "@orrery/base";
import { type CanisterHost, type CanisterHosts, canisterIdOf } from "./canister-hosts.ts";
import type { HttpRequest } from "./messages.ts";
import type { Destination } from "./replica-view.ts";
import { isVersioned, routeOf } from "./router.ts";

const QUERY_ID = /[?&]canisterId=([^&#]*)/;
const AUTHORITY = /^[a-z]+:\/\/([^/?#]*)/i;

/** The value of `canisterId` in a URL's query; null when there is none. */
function idTextIn(url: string): string | null {
  return QUERY_ID.exec(url)?.[1] ?? null;
}

/** The canister that the page which led here belongs to. */
function fromReferer(referer: string | undefined): CanisterId | null {
  if (referer === undefined) return null;
  const label = AUTHORITY.exec(referer)?.[1]?.split(".")[0] ?? "";
  return canisterIdOf(label) ?? canisterIdOf(idTextIn(referer) ?? "");
}

/** Host name, then query, then referer; null when none of them names a canister; a text of the query that is no id. */
export function canisterOf(
  hosts: CanisterHosts,
  request: Pick<HttpRequest, "url" | "header">,
): CanisterHost | string | null {
  const byHost = hosts.find(request.header("host"));
  if (byHost !== null) return byHost;
  const text = idTextIn(request.url);
  if (text !== null) {
    const canisterId = canisterIdOf(text);
    return canisterId === null ? text : { canisterId, raw: false };
  }
  const canisterId = fromReferer(request.header("referer"));
  return canisterId === null ? null : { canisterId, raw: false };
}

/** Null: whoever answers it. */
export function destinationOf(
  hosts: CanisterHosts,
  request: Pick<HttpRequest, "url" | "header">,
): Destination | null {
  const path = request.url.split("?", 1)[0] as string;
  const byHost = hosts.find(request.header("host"));
  // A canister may have pages where a node has metrics and administration.
  const isOwn = byHost !== null && !isVersioned(path, true);
  const route = isOwn ? null : routeOf(path);
  if (route?.kind === "canister") return { kind: "canister", id: route.id as CanisterId };
  if (route?.kind === "subnet")
    return { kind: "subnet", id: route.id as (Destination & { kind: "subnet" })["id"] };
  if (route !== null) return null;
  const canister = canisterOf(hosts, request);
  return canister === null || typeof canister === "string"
    ? null
    : { kind: "canister", id: canister.canisterId };
}
