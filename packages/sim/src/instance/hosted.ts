/** One subnet of a network in one place as the HTTPS interface asks it. */
import { equalBytes, ingressBytesMax, toHex } from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import { isSubnetAdmin } from "@orrery/execution";
import type { Replica } from "./replica.ts";
import type { HostedReplica } from "./types.ts";

/** Envelopes that wait for a round; the replica's pool takes as many from one peer. */
const INGRESS_POOL_MAX = 10_000;
const UNANSWERED: ReadonlySet<string> = new Set(["received", "processing"]);

export function hostedReplica(replica: Replica): HostedReplica {
  const { place } = replica;
  return {
    subnetId: place.id,
    nodeId: place.keys.nodeId,
    servesCanister: (id) => id.length === 10 && id[8] === 1 && id[9] === 1 && rangesContain(replica.held, id),
    servesSubnet: (id) => equalBytes(id, place.id),
    ingressBytesMax: ingressBytesMax(replica.info.type),
    isSubnetAdmin: (user) => isSubnetAdmin(replica.info, user),
    inspect: (envelope) => replica.view.inspect(envelope),
    submit(envelope, requestId) {
      const known =
        replica.state.ingressHistory.has(toHex(requestId)) ||
        replica.ingress.some((one) => equalBytes(one.requestId, requestId));
      if (known) return "duplicate";
      if (replica.ingress.length >= INGRESS_POOL_MAX) return "overloaded";
      replica.ingress.push({ requestId, envelope });
      return "accepted";
    },
    isAnswered(requestId) {
      const status = replica.state.ingressHistory.get(toHex(requestId))?.status.kind;
      return status !== undefined && !UNANSWERED.has(status);
    },
    requestCertificate: (requestId, destination, ranges) =>
      replica.view.requestCertificate(requestId, ranges, destination),
    query: (query) => replica.view.query(query),
    readState: (query) => replica.view.readState(query),
    signQueryResponse: replica.signAsNode,
  };
}
