/**
 * An HTTP gateway's part on the thread of its instance: which canister a host names, verified responses, and below `/_/` and `/api/` the instance
 * itself. Custom domains come from a file that is read again when it changes.
 */
import { readFileSync, statSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { type CanisterId, type OrreryError, principalFromText } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { inflateGzip, systemRng } from "@orrery/host";
import {
  type Api,
  type CanisterHosts,
  createApi,
  createCanisterHosts,
  type Fallback,
  type ReplicaNetwork,
  type Validate,
} from "@orrery/http";
import { createGateway, type Inflate } from "@orrery/http/gateway";
import type { GatewayRules } from "./protocol.ts";

/** A file of custom domains is looked at no more often. */
const DOMAINS_PAUSE_MS = 1_000;
const DOMAINS_BYTES_MAX = 1_048_576;

const inflate: Inflate = (encoding, bytes, bytesMax) => {
  try {
    return encoding === "gzip"
      ? inflateGzip(bytes, bytesMax)
      : new Uint8Array(inflateRawSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
};

/** Lines of `<domain>:<canister id>`; others are passed over, so that a slip does not take all domains down. */
function readDomains(path: string): ReadonlyMap<string, CanisterId> {
  const domains = new Map<string, CanisterId>();
  for (const line of readFileSync(path, "utf8").slice(0, DOMAINS_BYTES_MAX).split("\n")) {
    const [domain, id] = line.trim().split(":") as [string, string?];
    if (domain === "" || id === undefined) continue;
    try {
      domains.set(domain.toLowerCase(), principalFromText(id.trim()));
    } catch (error) {
      process.stderr.write(`${path}: ${domain} is passed over: ${(error as OrreryError).message}\n`);
    }
  }
  return domains;
}

/** Keeps the custom domains as the file has them. */
function createDomainWatch(path: string, hosts: CanisterHosts): () => void {
  let lookedMs = Number.NEGATIVE_INFINITY;
  let seen = "";
  return () => {
    if (performance.now() - lookedMs < DOMAINS_PAUSE_MS) return;
    lookedMs = performance.now();
    const stat = statSync(path, { throwIfNoEntry: false });
    const version = stat === undefined ? "" : `${stat.mtimeMs} ${stat.size}`;
    if (version === seen) return;
    seen = version;
    hosts.setCustomDomains(stat === undefined ? new Map() : readDomains(path));
  };
}

export interface InstanceGatewayOptions {
  readonly rules: GatewayRules;
  readonly network: ReplicaNetwork;
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
  readonly validate: Validate;
  /** Serves `/_/…`. */
  readonly admin: Fallback;
}

export function createInstanceGateway(options: InstanceGatewayOptions): Api {
  const { rules, network, rootKey, bls, validate, admin } = options;
  const domains = (rules.domains ?? []).map((domain) => domain.toLowerCase());
  const canisterHosts = createCanisterHosts([...domains, "127.0.0.1"]);
  const lookAtDomains =
    rules.domainsFile === null ? null : createDomainWatch(rules.domainsFile, canisterHosts);
  const api = createApi(network, {
    validate,
    effectiveCanisterId,
    hosts: [...domains, ...rules.hosts],
    admin,
    gateway: createGateway({ network, hosts: canisterHosts, rootKey, bls, rng: systemRng, inflate }),
    canisterHosts,
  });
  return (request) => {
    lookAtDomains?.();
    return api(request);
  };
}
