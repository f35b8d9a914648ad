/** Which nodes a process has: those of the genesis by its number among the processes that began, those that joined by the registry. */
import { assert, equalBytes, OrreryError } from "@orrery/base";
import { NODES_PER_SUBNET_MAX } from "@orrery/execution/genesis";
import { nodePublicKeyDer } from "@orrery/host";
import { nodeSecretsOf } from "./founding/node-seed.ts";
import { decodeGenesis } from "./genesis.ts";
import type { MemberOptions } from "./node.ts";
import type { SubnetIndex } from "./protocol.ts";
import type { RegistryRecord } from "./registry/record.ts";
import { hostedByProcess } from "./topology.ts";

/** What of the network the process hosts: its place in subnets, and which these are; null: all. */
export interface Hosting {
  /** Of one that joined: beyond those of any genesis. */
  readonly place: number;
  readonly hosted: readonly SubnetIndex[] | null;
  /** Which of the processes that began; null: it joined. */
  readonly process: number | null;
}

/** `network_plan_invalid` where the processes are not those of the network; `node_unlisted` where no record has the node join. */
export function hostingOf(member: MemberOptions | undefined, records: readonly RegistryRecord[]): Hosting {
  if (member === undefined) return { place: 0, hosted: null, process: 0 };
  const { self, seed, addresses } = member;
  if (self === null) {
    const hosted = joinedBy(records, seed ?? new Uint8Array(0));
    if (hosted.length === 0) throw nodeUnlisted("any subnet");
    return { place: NODES_PER_SUBNET_MAX, hosted, process: null };
  }
  const { subnets } = decodeGenesis(member.genesis);
  const own = hostedByProcess(subnets, addresses.length)[self];
  assert(own !== undefined, `there is a process ${self}`);
  return { place: own[0]?.place ?? 0, hosted: own.map(({ subnet }) => subnet), process: self };
}

/** The registry does not know the node. */
export function nodeUnlisted(subnet: string): OrreryError {
  return new OrreryError(
    "node_unlisted",
    `the registry as it is here does not list this node in ${subnet}: give it the records that the other nodes approved`,
  );
}

/** Subnets that the node with this seed ever joined by a record, ascending. */
function joinedBy(records: readonly RegistryRecord[], seed: Uint8Array): readonly SubnetIndex[] {
  const joined = records.flatMap(({ mutation }) =>
    mutation.changes.flatMap((change) => (change.kind === "join" ? change.nodes : [])),
  );
  return joined
    .filter(({ subnet, publicKey }) =>
      equalBytes(publicKey, nodePublicKeyDer(nodeSecretsOf(seed, subnet).signing)),
    )
    .map(({ subnet }) => subnet)
    .sort((a, b) => a - b);
}
