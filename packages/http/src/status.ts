/** GET /api/v2/status (interface spec, "Request: Status"): root key and the replica's implementation-specific fields. */
import { cborResponse, type HttpResponse } from "./messages.ts";
import type { ReplicaHealth, ReplicaNetwork } from "./replica-view.ts";

export function handleStatus(network: Pick<ReplicaNetwork, "status">): HttpResponse {
  const { rootKey, implVersion, implHash, health, certifiedHeight } = network.status();
  return cborResponse({
    root_key: rootKey ?? undefined,
    impl_version: implVersion ?? undefined,
    impl_hash: implHash ?? undefined,
    replica_health_status: health,
    certified_height: certifiedHeight ?? undefined,
  });
}

const HEALTH_NAMES: Readonly<Record<ReplicaHealth, string>> = {
  starting: "Starting",
  healthy: "Healthy",
  waiting_for_certified_state: "WaitingForCertifiedState",
  waiting_for_root_delegation: "WaitingForRootDelegation",
  certified_state_behind: "CertifiedStateBehind",
};

/** Text of the 503 that an unhealthy replica answers with; null when it is healthy. */
export function unhealthyText(health: ReplicaHealth): string | null {
  if (health === "healthy") return null;
  return `Replica is unhealthy: ${HEALTH_NAMES[health]}. Check the /api/v2/status for more information.`;
}
