/**
 * The routing table (interface spec, "Canister ranges"; the replica's network topology): which subnet a canister id, or a subnet's
 * own id, belongs to. Fixed for the life of a subnet record, so it is indexed once for each.
 */
import { canisterIndex, type Principal, type PrincipalKey, principalKey, type SubnetId } from "@orrery/base";
import type { ChainKeyId, SubnetInfo, SubnetType } from "@orrery/state";

/** Of a canister; a subnet's id is longer. */
const CANISTER_ID_BYTES = 10;

export interface Destination {
  readonly subnetId: SubnetId;
  readonly key: PrincipalKey;
  readonly type: SubnetType;
  /** Whether it is the subnet whose table this is. */
  readonly own: boolean;
  readonly chainKeys: readonly ChainKeyId[];
}

export interface Router {
  /** In the order of their ids. */
  readonly subnets: readonly Destination[];
  /** Whether the callee is the management canister of some subnet: its own id, or a subnet's. */
  isManagement(callee: Principal): boolean;
  /** The subnet that hosts the canister, or whose id it is; null: nobody's. */
  route(principal: Principal): Destination | null;
}

interface Span {
  readonly start: bigint;
  readonly end: bigint;
  readonly destination: Destination;
}

function destinationsOf(subnet: SubnetInfo): Map<PrincipalKey, Destination> {
  const ownKey = principalKey(subnet.subnetId);
  const destinations = new Map<PrincipalKey, Destination>();
  const entries = subnet.routing.some(({ subnetId }) => principalKey(subnetId) === ownKey)
    ? subnet.routing
    : [...subnet.routing, { subnetId: subnet.subnetId, ranges: [] }];
  for (const { subnetId, type = "application", chainKeys = [] } of entries) {
    const key = principalKey(subnetId);
    const own = key === ownKey;
    destinations.set(key, {
      subnetId,
      key,
      own,
      type: own ? subnet.type : type,
      chainKeys: own ? (subnet.chainKeys ?? chainKeys) : chainKeys,
    });
  }
  return destinations;
}

function makeRouter(subnet: SubnetInfo): Router {
  const destinations = destinationsOf(subnet);
  const spans: Span[] = [];
  for (const { subnetId, ranges } of subnet.routing) {
    const destination = destinations.get(principalKey(subnetId)) as Destination;
    for (const { start, end } of ranges) {
      const first = canisterIndex(start);
      const last = canisterIndex(end);
      if (first !== null && last !== null) spans.push({ start: first, end: last, destination });
    }
  }
  spans.sort((a, b) => (a.start < b.start ? -1 : 1));
  const subnets = [...destinations.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    subnets,
    isManagement: (callee) =>
      callee.length === 0 || (callee.length > CANISTER_ID_BYTES && destinations.has(principalKey(callee))),
    route(principal) {
      const index = canisterIndex(principal);
      if (index === null) return destinations.get(principalKey(principal)) ?? null;
      let low = 0;
      let high = spans.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((spans[middle] as Span).start <= index) low = middle + 1;
        else high = middle;
      }
      const span = spans[low - 1];
      return span !== undefined && index <= span.end ? span.destination : null;
    },
  };
}

const routers = new WeakMap<SubnetInfo, Router>();

export function routerOf(subnet: SubnetInfo): Router {
  let router = routers.get(subnet);
  if (router === undefined) {
    router = makeRouter(subnet);
    routers.set(subnet, router);
  }
  return router;
}
