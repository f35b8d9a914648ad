/**
 * Who may read which paths of the certified state, and what a read reveals (interface spec, "Request: Read state"). Statuses and
 * texts are the replica's; `/request_status` is also bound to the effective id of the request, as the specification asks.
 */
import {
  equalBytes,
  type Principal,
  type PrincipalKey,
  principalKey,
  principalToText,
  toHex,
  utf8,
  utf8Decode,
} from "@orrery/base";
import { rangesContain, treeEntries, treeGet } from "@orrery/crypto";
import { isAmong } from "../system-api/frame.ts";
import type { Mirror } from "./mirror.ts";

export type Path = readonly Uint8Array[];

export interface ReadStateQuery {
  /** The URL's canister or subnet. */
  readonly destination: { readonly kind: "canister" | "subnet"; readonly id: Principal };
  /** v2 endpoints read flat ranges, v3 endpoints shards. */
  readonly ranges: "flat" | "sharded";
  readonly paths: readonly Path[];
  readonly sender: Principal;
  /** Canisters that the sender's delegations allow; null is all. */
  readonly targets: ReadonlySet<PrincipalKey> | null;
}

export interface Refusal {
  readonly status: number;
  readonly text: string;
}

const PRINCIPAL_BYTES_MAX = 29;
const REQUEST_ID_BYTES = 32;
/** Longest part of a section's name that an error repeats. */
const NAME_SHOWN_MAX = 100;

const CANISTER_LEAVES: ReadonlySet<string> = new Set([
  "controllers",
  "module_hash",
  "canister_creation_timestamp",
  "last_install_timestamp",
]);
const BOUNDARY_LEAVES: ReadonlySet<string> = new Set(["domain", "ipv4_address", "ipv6_address"]);
const STATUS_LEAVES: ReadonlySet<string> = new Set([
  "status",
  "reply",
  "reject_code",
  "reject_message",
  "error_code",
]);
const LABEL = {
  subnet: utf8("subnet"),
  canisterRanges: utf8("canister_ranges"),
  metrics: utf8("metrics"),
  node: utf8("node"),
  time: utf8("time"),
} as const;

const INVALID_PATH: Refusal = { status: 404, text: "Invalid path requested." };

function badRequest(text: string): Refusal {
  return { status: 400, text };
}

function forbidden(text: string): Refusal {
  return { status: 403, text };
}

function checkPrincipal(label: Uint8Array): Refusal | null {
  if (label.length <= PRINCIPAL_BYTES_MAX) return null;
  return badRequest(
    `Could not parse principal ID: it has ${label.length} bytes, at most ${PRINCIPAL_BYTES_MAX} are allowed.`,
  );
}

function checkEffective(label: Uint8Array, { destination }: ReadStateQuery): Refusal | null {
  const malformed = checkPrincipal(label);
  if (malformed !== null || equalBytes(label, destination.id)) return malformed;
  const text = `Effective principal id in URL ${principalToText(destination.id)} does not match requested principal id: `;
  return badRequest(`${text}${principalToText(label)}.`);
}

function checkMetadata(
  mirror: Mirror,
  query: ReadStateQuery,
  canisterId: Uint8Array,
  label: Uint8Array,
): Refusal | null {
  const name = utf8Decode(label);
  if (name === null) return badRequest("Could not parse the custom section name: invalid utf-8.");
  const wrong = checkEffective(canisterId, query);
  if (wrong !== null) return wrong;
  const meta = mirror.canister(canisterId)?.meta;
  const section = meta?.module?.metadata.find((one) => one.name === name);
  if (meta === undefined || section?.visibility !== "private") return null;
  if (isAmong(meta.settings.controllers, query.sender)) return null;
  const shown = [...name].slice(0, NAME_SHOWN_MAX).join("");
  return forbidden(`Custom section ${shown} can only be requested by the controllers of the canister.`);
}

function checkCanister(mirror: Mirror, query: ReadStateQuery, path: Path): Refusal | null {
  const [, canisterId, kind, name] = path;
  if (query.destination.kind !== "canister" || canisterId === undefined || kind === undefined)
    return INVALID_PATH;
  const leaf = utf8Decode(kind) ?? "";
  if (path.length === 3 && CANISTER_LEAVES.has(leaf)) return checkEffective(canisterId, query);
  if (path.length === 4 && leaf === "metadata")
    return checkMetadata(mirror, query, canisterId, name as Uint8Array);
  return INVALID_PATH;
}

function checkSubnet(mirror: Mirror, query: ReadStateQuery, path: Path): Refusal | null {
  const [, subnetId, kind] = path;
  if (subnetId === undefined || path.length === 2) return null;
  const leaf = utf8Decode(kind as Uint8Array) ?? "";
  if (leaf === "node") {
    const key = path.length === 5 ? utf8Decode(path[4] as Uint8Array) : "public_key";
    return path.length <= 5 && key === "public_key" ? null : INVALID_PATH;
  }
  if (path.length !== 3) return INVALID_PATH;
  if (leaf === "public_key" || leaf === "type") return null;
  if (leaf === "metrics" && query.destination.kind === "subnet") return checkEffective(subnetId, query);
  if (leaf === "canister_ranges") {
    const visible = query.ranges === "flat" || equalBytes(subnetId, mirror.subnet.rootSubnetId);
    return visible ? null : INVALID_PATH;
  }
  return INVALID_PATH;
}

function checkRequestStatus(mirror: Mirror, query: ReadStateQuery, path: Path): Refusal | null {
  const [, requestId, kind] = path;
  const { destination, targets } = query;
  const leafKnown =
    path.length === 2 || (path.length === 3 && STATUS_LEAVES.has(utf8Decode(kind as Uint8Array) ?? ""));
  if (requestId === undefined || !leafKnown) return INVALID_PATH;
  if (destination.kind === "subnet" && query.ranges === "flat") return INVALID_PATH;
  if (requestId.length !== REQUEST_ID_BYTES) {
    const why = `Maybe the request ID is not of ${REQUEST_ID_BYTES} bytes in length?!`;
    return badRequest(`Invalid request id in paths. ${why}`);
  }
  const entry = mirror.ingress.get(toHex(requestId));
  if (entry === undefined) return null;
  if (!equalBytes(entry.sender, query.sender)) {
    return forbidden("The user tries to access Request ID not signed by the caller.");
  }
  if (targets !== null && !targets.has(principalKey(entry.receiver))) {
    return forbidden(
      "The user tries to access request IDs for canisters not belonging to sender delegation targets.",
    );
  }
  // Creation calls may go through any canister id, so nothing ties their status to one.
  if (destination.kind === "subnet" || entry.effectiveId.length === 0) return null;
  return checkEffective(entry.effectiveId, query);
}

function checkBoundaryNodes(path: Path): Refusal | null {
  if (path.length <= 2) return null;
  return path.length === 3 && BOUNDARY_LEAVES.has(utf8Decode(path[2] as Uint8Array) ?? "")
    ? null
    : INVALID_PATH;
}

function checkPath(mirror: Mirror, query: ReadStateQuery, path: Path): Refusal | null {
  const head = path[0] === undefined ? "" : (utf8Decode(path[0]) ?? "");
  switch (head) {
    case "time":
      return path.length === 1 ? null : INVALID_PATH;
    case "api_boundary_nodes":
      return checkBoundaryNodes(path);
    case "canister":
      return checkCanister(mirror, query, path);
    case "subnet":
      return checkSubnet(mirror, query, path);
    case "canister_ranges":
      return path.length === 2 && query.destination.kind === "subnet" ? null : INVALID_PATH;
    case "request_status":
      return checkRequestStatus(mirror, query, path);
    default:
      return INVALID_PATH;
  }
}

/** Pairs of paths that may not stand in one request. */
function checkTogether(paths: readonly Path[]): Refusal | null {
  let request: string | null = null;
  for (const path of paths) {
    if (path[1] === undefined || utf8Decode(path[0] as Uint8Array) !== "request_status") continue;
    const id = toHex(path[1]);
    if (request !== null && request !== id) {
      return badRequest(
        `More than one non-unique request ID exists in request_status paths: ${request} and ${id}.`,
      );
    }
    request = id;
  }
  return null;
}

/** Null when the sender may read all the paths. */
export function authorizePaths(mirror: Mirror, query: ReadStateQuery): Refusal | null {
  for (const path of query.paths) {
    const refusal = checkPath(mirror, query, path);
    if (refusal !== null) return refusal;
  }
  return checkTogether(query.paths);
}

/** Whether nodes and metrics of a subnet are shown: the URL must lie in that subnet. */
function innerVisible(mirror: Mirror, { destination }: ReadStateQuery, subnetId: Uint8Array): boolean {
  if (destination.kind === "subnet") return equalBytes(destination.id, subnetId);
  const entry = mirror.subnet.routing.find((one) => equalBytes(one.subnetId, subnetId));
  return entry !== undefined && rangesContain(entry.ranges, destination.id);
}

/** What is asked for inside a subnet that the URL does not lie in stays pruned. */
function isHidden(mirror: Mirror, query: ReadStateQuery, [head, subnetId, leaf]: Path): boolean {
  if (head === undefined || subnetId === undefined || leaf === undefined) return false;
  if (!equalBytes(head, LABEL.subnet) || !equalBytes(leaf, LABEL.node)) return false;
  return !innerVisible(mirror, query, subnetId);
}

function revealSubnet(mirror: Mirror, query: ReadStateQuery, subnetId: Uint8Array): Path[] {
  const path = [LABEL.subnet, subnetId];
  const subtree = treeGet(mirror.tree, path);
  if (subtree === null || subtree instanceof Uint8Array) return [path];
  const flat = query.ranges === "flat" || equalBytes(subnetId, mirror.subnet.rootSubnetId);
  const inner = innerVisible(mirror, query, subnetId);
  const out: Path[] = [];
  for (const { label } of treeEntries(subtree)) {
    if (equalBytes(label, LABEL.canisterRanges) && !flat) continue;
    if ((equalBytes(label, LABEL.metrics) || equalBytes(label, LABEL.node)) && !inner) continue;
    out.push([...path, label]);
  }
  return out;
}

/**
 * The paths that a certificate for an authorised query reveals: `/time` always; a prefix of `/subnet` is spelled out, so that
 * what may not be shown stays pruned.
 */
export function revealedPaths(mirror: Mirror, query: ReadStateQuery): Path[] {
  const out: Path[] = [[LABEL.time]];
  for (const path of query.paths) {
    const subnets = path.length <= 2 && path[0] !== undefined && equalBytes(path[0], LABEL.subnet);
    if (!subnets) {
      if (!isHidden(mirror, query, path)) out.push(path);
      continue;
    }
    if (path[1] !== undefined) {
      out.push(...revealSubnet(mirror, query, path[1]));
      continue;
    }
    const all = treeGet(mirror.tree, [LABEL.subnet]);
    if (all === null || all instanceof Uint8Array) out.push(path);
    else for (const { label } of treeEntries(all)) out.push(...revealSubnet(mirror, query, label));
  }
  return out;
}
