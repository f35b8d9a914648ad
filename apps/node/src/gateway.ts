/**
 * The HTTP gateway of a node, in front of all its subnets. Its code is loaded by the first request that needs it, so that a node that
 * only answers agents starts as fast as before.
 */
import type { Logger } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { inflateBody, systemRng, watchCustomDomains } from "@orrery/host";
import { type ApiOptions, type CanisterHosts, createCanisterHosts, type ReplicaNetwork } from "@orrery/http";
import type { Gateway } from "@orrery/http/gateway";

export interface NodeGatewayOptions {
  readonly network: ReplicaNetwork;
  /** DER, of the root subnet. */
  readonly rootKey: Uint8Array;
  readonly bls: Bls;
  /** Names that canisters are served below besides localhost. */
  readonly domains: readonly string[];
  /** Lines of `<host>:<canister id>`, read again when they change; null for none. */
  readonly customDomainsFile: string | null;
  readonly logger: Logger;
}

async function load({ network, rootKey, bls }: NodeGatewayOptions, hosts: CanisterHosts): Promise<Gateway> {
  const { createGateway } = await import("@orrery/http/gateway");
  return createGateway({ network, rootKey, bls, hosts, rng: systemRng, inflate: inflateBody });
}

/** Hosts whose custom domains are those of the file, whenever one is looked for. */
function hostsOf({ domains, customDomainsFile, logger }: NodeGatewayOptions): CanisterHosts {
  const hosts = createCanisterHosts(domains);
  if (customDomainsFile === null) return hosts;
  const look = watchCustomDomains(customDomainsFile, hosts.setCustomDomains, (line) =>
    logger.log("warn", line),
  );
  return {
    ...hosts,
    find(header) {
      look();
      return hosts.find(header);
    },
  };
}

export function createNodeGateway(
  options: NodeGatewayOptions,
): Required<Pick<ApiOptions, "gateway" | "canisterHosts">> {
  const canisterHosts = hostsOf(options);
  let gateway: Promise<Gateway> | null = null;
  return {
    canisterHosts,
    async gateway(request) {
      gateway ??= load(options, canisterHosts);
      return await (await gateway)(request);
    },
  };
}
