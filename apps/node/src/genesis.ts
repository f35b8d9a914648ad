/** The genesis record (`@orrery/execution/genesis`) with the keys as this process makes them. */
import type { Bls } from "@orrery/crypto";
import { type Genesis, localSubnetsOf } from "@orrery/execution/genesis";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { nodePublicKeyDer } from "@orrery/host";
import { nodeSecretsOf } from "./founding/node-seed.ts";

export {
  creationSubnetIds,
  decodeGenesis,
  defaultSubnet,
  encodeGenesis,
  type Genesis,
  networkOf,
  SUBNET_KINDS,
} from "@orrery/execution/genesis";

/**
 * Keys and records of all subnets, the root first; of nodes those at the place `self`. `nodeSeed`: of that node, where it has one of its own
 * and it is known here.
 */
export function subnetsOf(
  genesis: Genesis,
  bls: Pick<Bls, "publicKey">,
  self = 0,
  nodeSeed: Uint8Array | null = null,
): readonly LocalSubnet[] {
  const makers = { bls, ed25519PublicKeyDer: nodePublicKeyDer };
  if (nodeSeed === null) return localSubnetsOf(genesis, makers, self);
  return localSubnetsOf(genesis, makers, self, (subnet) => nodeSecretsOf(nodeSeed, subnet).signing);
}

/** Whether several nodes agree on the blocks of a subnet. */
export function isReplicated({ info }: LocalSubnet): boolean {
  return info.nodes.length > 1;
}
