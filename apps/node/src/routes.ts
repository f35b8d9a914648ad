/** Which subnet of a network a request is for: what whoever stands in front of its nodes goes by. */
import { assert, equalBytes } from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import { createCanisterHosts, destinationOf, type HttpRequest } from "@orrery/http";
import { decodeGenesis, defaultSubnet, subnetsOf } from "./genesis.ts";
import type { SubnetIndex } from "./protocol.ts";

export interface Routes {
  readonly subnets: number;
  /** Where canisters go by default, and what names no canister of the network. */
  readonly defaultSubnet: SubnetIndex;
  subnetOf(request: Pick<HttpRequest, "url" | "header">): SubnetIndex;
  /** Whether it is for no canister or subnet: at a canister's host every path but the interface's is the canister's own. */
  isForNetwork(request: Pick<HttpRequest, "url" | "header">): boolean;
}

const NO_SECRETS = {
  publicKey(): never {
    throw new Error("keys of a founded network derive from no secret");
  },
};

/** Of a network that its nodes founded. */
export function routesOf(record: Uint8Array): Routes {
  const genesis = decodeGenesis(record);
  assert(genesis.founding !== undefined, "a network of several processes was founded by them");
  const infos = subnetsOf(genesis, NO_SECRETS).map(({ info }) => info);
  const hosts = createCanisterHosts();
  const common = defaultSubnet(genesis.subnets);
  return {
    subnets: infos.length,
    defaultSubnet: common,
    isForNetwork: (request) => destinationOf(hosts, request) === null,
    subnetOf(request): SubnetIndex {
      const destination = destinationOf(hosts, request);
      if (destination === null) return common;
      const { kind, id } = destination;
      const found = infos.findIndex(({ subnetId, routing }) => {
        if (kind === "subnet") return equalBytes(subnetId, id);
        const own = routing.find((entry) => equalBytes(entry.subnetId, subnetId));
        return id.length > 0 && rangesContain(own?.ranges ?? [], id);
      });
      return found < 0 ? common : found;
    },
  };
}
