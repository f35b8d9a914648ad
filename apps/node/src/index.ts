/** Floor 6: the assembly of a node. */
export { type NodeHandle, type NodeOptions, type NodeStatus, startNode } from "./node.ts";
export { IMPLEMENTATION_VERSION } from "./replica.ts";
