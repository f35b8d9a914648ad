/**
 * What operators do to the registry of their network, each for the node whose seed it has: introduce a node, propose a change, approve it. The
 * entry `@orrery/node/registry`.
 */

import type { NodeId } from "@orrery/base";
import { compareBytes, OrreryError, selfAuthenticating } from "@orrery/base";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import { createNodeSigner, nodePublicKeyDer } from "@orrery/host";
import type { PeerAddress } from "@orrery/host/p2p";
import { showNode } from "../founding/introduction.ts";
import { nodeSecretsOf } from "../founding/node-seed.ts";
import { decodeGenesis, subnetsOf } from "../genesis.ts";
import type { SubnetIndex } from "../protocol.ts";
import { genesisTopology } from "../topology.ts";
import { genesisRegistry } from "./begin.ts";
import { approvalContent, encodeRecord, type RegistryChange, type RegistryRecord } from "./record.ts";
import type { Registry } from "./registry.ts";

export { intervalNeeded } from "@orrery/consensus/member";
export { REGISTRY_PATH, type RegistryDocument } from "./answer.ts";
export * from "./record.ts";
export type { Registry } from "./registry.ts";
export {
  decodeRecords,
  encodeRecords,
  readCreationsFile,
  readRegistryFile,
  writeRegistryFile,
} from "./registry-file.ts";
export { roomFault } from "./room.ts";

/** The registry of a network after these records. `registry_fixed` where its keys derive from a seed; `registry_corrupt` for others' records. */
export async function openRegistry(
  plan: { readonly genesis: Uint8Array; readonly addresses: readonly PeerAddress[] },
  records: readonly RegistryRecord[],
): Promise<Registry> {
  const genesis = decodeGenesis(plan.genesis);
  if (genesis.founding === undefined) {
    throw new OrreryError(
      "registry_fixed",
      "the keys of this network derive from a seed, so that its nodes stay the same: found a network to change them",
    );
  }
  const [bls, curve] = await Promise.all([createMclBls(), createMclCurve()]);
  const subnets = subnetsOf(genesis, bls);
  const { processes } = genesisTopology(subnets, plan.addresses, 0);
  const registry = genesisRegistry({ genesis, subnets, processes, curve });
  for (const record of records) {
    const appended = registry.append(encodeRecord(record));
    if (!appended.ok)
      throw new OrreryError("registry_corrupt", `the records are not this network's: ${appended.error}`);
  }
  return registry;
}

/** How a process with this seed joins, with a node of each of these subnets. */
export async function joinWith(
  seed: Uint8Array,
  subnets: readonly SubnetIndex[],
  address: PeerAddress,
): Promise<RegistryChange> {
  const curve = await createMclCurve();
  const nodes = [...subnets]
    .sort((a, b) => a - b)
    .map((subnet) => ({ subnet, ...showNode(curve, seed, subnet) }));
  return { kind: "join", address, nodes };
}

/** Of the node with this seed in a subnet. */
export function nodeIdOf(seed: Uint8Array, subnet: SubnetIndex): NodeId {
  return selfAuthenticating(nodePublicKeyDer(nodeSecretsOf(seed, subnet).signing)) as Uint8Array as NodeId;
}

/** The record with the approval of the root's node that has this seed. */
export function approveWith({ mutation, approvals }: RegistryRecord, seed: Uint8Array): RegistryRecord {
  const nodeId = nodeIdOf(seed, 0);
  const signature = createNodeSigner(nodeSecretsOf(seed, 0).signing)(approvalContent(mutation));
  const others = approvals.filter((each) => compareBytes(each.nodeId, nodeId) !== 0);
  return {
    mutation,
    approvals: [...others, { nodeId, signature }].sort((a, b) => compareBytes(a.nodeId, b.nodeId)),
  };
}
