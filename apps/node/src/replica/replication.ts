/** What members of subnets of several nodes load beside what every node does: an entry of its own, for a node alone starts without it. */
import { createMclCurve } from "@orrery/crypto/mcl";
import type { Replication } from "../service.ts";
import { createReplicatedNetwork } from "./replicated-network.ts";

export async function loadReplication(): Promise<Replication> {
  return { createReplicatedNetwork, curve: await createMclCurve() };
}
