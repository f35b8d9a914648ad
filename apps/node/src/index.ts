/** Floor 6: the assembly of a node. */

export { decodeGenesis, newGenesisRecord, SUBNET_KINDS } from "./genesis.ts";
export {
  type MemberOptions,
  type NodeHandle,
  type NodeOptions,
  type NodeStatus,
  startNode,
} from "./node.ts";
export { Healings } from "./replica/healings.ts";
export { IMPLEMENTATION_VERSION, type SubnetSummary } from "./replica.ts";
export { requireSame } from "./same-network.ts";
export { type Hosted, hostedByProcess } from "./topology.ts";
