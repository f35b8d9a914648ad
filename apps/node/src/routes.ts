/** Which subnet of a network a request is for: what whoever stands in front of its nodes goes by. */
import { assert, type CanisterId, equalBytes, principalFromText, principalToText } from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import { createCanisterHosts, destinationOf, type HttpRequest } from "@orrery/http";
import type { CanisterRange } from "@orrery/state";
import { decodeGenesis, defaultSubnet, subnetsOf } from "./genesis.ts";
import type { SubnetIndex } from "./protocol.ts";

export interface Routes {
  /** How many there are: those of the genesis, and those that it heard of since. */
  readonly subnets: number;
  /** Where canisters go by default, and what names no canister of the network. */
  readonly defaultSubnet: SubnetIndex;
  subnetOf(request: Pick<HttpRequest, "url" | "header">): SubnetIndex;
  /** Whether it is for no canister or subnet: at a canister's host every path but the interface's is the canister's own. */
  isForNetwork(request: Pick<HttpRequest, "url" | "header">): boolean;
  /** As text. */
  idOf(subnet: SubnetIndex): string;
  /** A subnet came to the network, with these canisters; told again, nothing. */
  learn(subnet: { readonly id: string; readonly ranges: readonly CanisterRange[] }): void;
}

/** Of a subnet in `/_/topology`. */
export type TopologyRanges = readonly Readonly<Record<"start" | "end", { readonly canister_id: string }>>[];

export function rangesIn(told: TopologyRanges): readonly CanisterRange[] {
  const idOf = (text: string): CanisterId => new Uint8Array(Buffer.from(text, "base64")) as CanisterId;
  return told.map(({ start, end }) => ({ start: idOf(start.canister_id), end: idOf(end.canister_id) }));
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
  const all = subnetsOf(genesis, NO_SECRETS).map(({ info: { subnetId, routing } }) => ({
    id: subnetId as Uint8Array,
    ranges: routing.find((entry) => equalBytes(entry.subnetId, subnetId))?.ranges ?? [],
  }));
  const hosts = createCanisterHosts();
  const common = defaultSubnet(genesis.subnets);
  return {
    get subnets(): number {
      return all.length;
    },
    idOf: (subnet) => principalToText(all[subnet]?.id ?? new Uint8Array(0)),
    defaultSubnet: common,
    isForNetwork: (request) => destinationOf(hosts, request) === null,
    subnetOf(request): SubnetIndex {
      const destination = destinationOf(hosts, request);
      if (destination === null) return common;
      const { kind, id } = destination;
      // A subnet that came later has its ids from one that is before it.
      const found = all.findLastIndex((subnet) =>
        kind === "subnet" ? equalBytes(subnet.id, id) : id.length > 0 && rangesContain(subnet.ranges, id),
      );
      return found < 0 ? common : found;
    },
    learn({ id, ranges }): void {
      const bytes = principalFromText(id);
      if (!all.some((subnet) => equalBytes(subnet.id, bytes))) all.push({ id: bytes, ranges });
    },
  };
}
