/**
 * Where the nodes of a network run: which node of which subnet is in which process, and how processes know each other. A process hosts at most
 * one node of each subnet, usually of one subnet alone; it proves to its peers the key of the first of them, and is known by that
 * node's id. Invariants: a node is in one process; a place is given once.
 */
import { assert, type NodeId, OrreryError, principalToText } from "@orrery/base";
import type { LocalSubnet, LocalSubnetKind } from "@orrery/execution/local-network";
import type { PeerAddress } from "@orrery/host/p2p";
import type { PeerId } from "@orrery/p2p";
import type { SubnetIndex } from "./protocol.ts";

/** One node of one subnet. */
export interface TopologyNode {
  readonly subnet: SubnetIndex;
  /** Its number in the subnet: those of the genesis first; one that joins takes the next one, and none is given twice. */
  readonly place: number;
  readonly nodeId: NodeId;
  /** DER Ed25519, as in the registry. */
  readonly publicKey: Uint8Array;
}

/** A process and the nodes in it. */
export interface NodeProcess {
  /** Id of the first of its nodes, as text. */
  readonly id: PeerId;
  /** Of that node: what the process proves to its peers. */
  readonly publicKey: Uint8Array;
  /** Where it listens for its peers. */
  readonly address: PeerAddress;
  /** By ascending subnet; at least one. */
  readonly nodes: readonly TopologyNode[];
}

/** All processes that this one may speak to, and itself. */
export interface Topology {
  readonly self: PeerId;
  readonly processes: readonly NodeProcess[];
}

/** Which node of which subnet: what a process is told at its start. */
export interface Hosted {
  readonly subnet: SubnetIndex;
  readonly place: number;
}

/**
 * What each of so many processes hosts at genesis. As many as nodes in all: one node each, those of the first subnet first. As many as
 * nodes of a subnet, all of which have as many: one node of every subnet each. Anything else is `network_plan_invalid`.
 */
export function hostedByProcess(
  subnets: readonly Pick<LocalSubnetKind, "nodes">[],
  processes: number,
): readonly (readonly Hosted[])[] {
  const counts = subnets.map(({ nodes = 1 }) => nodes);
  const all = counts.flatMap((nodes, subnet) =>
    Array.from({ length: nodes }, (_, place): readonly Hosted[] => [{ subnet, place }]),
  );
  if (all.length === processes) return all;
  if (counts.every((nodes) => nodes === processes))
    return Array.from({ length: processes }, (_, place) => counts.map((_, subnet) => ({ subnet, place })));
  throw new OrreryError(
    "network_plan_invalid",
    `${processes} processes cannot host subnets of ${counts.join(", ")} nodes: one process for each node, or for each place, ` +
      "is needed; restore the network's files from a copy",
  );
}

/** Of a network as it begins. `addresses`: of all processes; `self`: which of them this one is. */
export function genesisTopology(
  subnets: readonly LocalSubnet[],
  addresses: readonly PeerAddress[],
  self: number,
): Topology {
  const kinds = subnets.map(({ info }) => ({ nodes: info.nodes.length }));
  const processes = hostedByProcess(kinds, addresses.length).map((hosted, index) => {
    const nodes = hosted.map(({ subnet, place }): TopologyNode => {
      const node = subnets[subnet]?.info.nodes[place];
      assert(node !== undefined, "a subnet has a record of each of its nodes");
      return { subnet, place, nodeId: node.nodeId as NodeId, publicKey: node.publicKey };
    });
    return nodeProcess(nodes, addresses[index] as PeerAddress);
  });
  const own = processes[self];
  assert(own !== undefined, `there is a process ${self}`);
  return { self: own.id, processes };
}

export function nodeProcess(nodes: readonly TopologyNode[], address: PeerAddress): NodeProcess {
  const [first] = nodes;
  assert(first !== undefined, "a process hosts a node");
  return { id: principalToText(first.nodeId), publicKey: first.publicKey, address, nodes };
}

/** Place of a process's node in a subnet; null where it has none there. */
export function placeIn(process: NodeProcess, subnet: SubnetIndex): number | null {
  return process.nodes.find((node) => node.subnet === subnet)?.place ?? null;
}

/** Whoever hosts a node of a subnet. */
export function processesOf({ processes }: Topology, subnet: SubnetIndex): readonly NodeProcess[] {
  return processes.filter((process) => placeIn(process, subnet) !== null);
}
