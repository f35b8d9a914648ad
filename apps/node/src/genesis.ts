/** The genesis record (`@orrery/execution/genesis`) with the keys as this process makes them. */
import type { Clock, Principal, Rng } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { encodeGenesis, type Genesis, localSubnetsOf, networkOf } from "@orrery/execution/genesis";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { nodePublicKeyDer } from "@orrery/host";
import type { SubnetType } from "@orrery/state";
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

const SUBNETS_DEFAULT: readonly SubnetType[] = ["application"];

/** Of a network that begins. */
export function newGenesisRecord(options: {
  readonly rng: Rng;
  readonly clock: Clock;
  /** Kinds of the subnets beside the root. */
  readonly subnets?: readonly SubnetType[];
  readonly subnetAdmins?: readonly Principal[];
  /** Of each subnet; one by default. */
  readonly nodes?: number;
  readonly catchUpInterval?: number;
}): Uint8Array {
  const { rng, clock, subnets = SUBNETS_DEFAULT, subnetAdmins, nodes, catchUpInterval } = options;
  return encodeGenesis({
    seed: rng.bytes(32),
    time: clock.now(),
    subnets: networkOf(subnets, subnetAdmins, nodes),
    ...(catchUpInterval === undefined ? {} : { catchUpInterval }),
    profile: "local",
  });
}
