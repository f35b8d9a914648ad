/**
 * An HTTP gateway's part on the thread of its instance: which canister a host names, verified responses, and below `/_/` and `/api/` the instance
 * itself. Custom domains come from a file that is read again when it changes.
 */
import type { Bls } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { inflateBody, systemRng, watchCustomDomains } from "@orrery/host";
import {
  type Api,
  createApi,
  createCanisterHosts,
  type Fallback,
  type ReplicaNetwork,
  type Validate,
} from "@orrery/http";
import { createGateway } from "@orrery/http/gateway";
import type { GatewayRules } from "./protocol.ts";

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
    rules.domainsFile === null
      ? null
      : watchCustomDomains(rules.domainsFile, canisterHosts.setCustomDomains, (line) =>
          process.stderr.write(`${line}\n`),
        );
  const api = createApi(network, {
    validate,
    effectiveCanisterId,
    hosts: [...domains, ...rules.hosts],
    admin,
    gateway: createGateway({
      network,
      hosts: canisterHosts,
      rootKey,
      bls,
      rng: systemRng,
      inflate: inflateBody,
    }),
    canisterHosts,
  });
  return (request) => {
    lookAtDomains?.();
    return api(request);
  };
}
