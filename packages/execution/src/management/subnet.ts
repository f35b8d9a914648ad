/**
 * What a subnet tells of itself (interface spec, "node_metrics_history", "subnet_info"; the replica's "subnet_metrics"), and the move of canisters between
 * subnets, which is the migration canister's alone ("rename_canister").
 */
import {
  type CreatedSubnet,
  compareBytes,
  equalBytes,
  type Principal,
  principalKey,
  principalToText,
} from "@orrery/base";
import {
  certifiedMetrics,
  type NodeMetrics,
  type NodeMetricsSample,
  type ReplicatedState,
  type SubnetInfo,
} from "@orrery/state";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { NODE_METRICS_SAMPLES_MAX, REPLICA_VERSION } from "../limits.ts";
import { withSubnet } from "../local-network.ts";
import { SUBNET_KINDS } from "../node/genesis-record.ts";
import { controlled, decodeArg, failure, type Handler } from "./call.ts";
import { readNat64, readPrincipal, required } from "./candid-decode.ts";
import { encodeMetricsOfSubnet, encodeNodeMetrics, encodeSubnetInfo } from "./types.ts";

const NS_PER_DAY = 86_400_000_000_000n;

/**
 * Counts the block of this round, which is `madeBy`'s, or the only node's. Whose turn it was before another's block was taken instead
 * is not part of a block, so that failures are counted of nobody. Two samples of one UTC day are one; a node that did nothing since the sample before is left out of the next.
 */
export function observeBlock(state: ReplicatedState, madeBy?: Principal): void {
  const maker = madeBy ?? state.subnet.nodes[0]?.nodeId;
  if (maker === undefined) return;
  const samples = state.nodeMetrics;
  const last = samples.at(-1);
  const sameDay = last !== undefined && last.time / NS_PER_DAY === state.time / NS_PER_DAY;
  const kept = last === undefined ? [] : active(last, samples.at(-2));
  const sample: NodeMetricsSample = {
    time: state.time,
    nodes: counted(sameDay ? last.nodes : kept, maker),
  };
  state.nodeMetrics = [...(sameDay ? samples.slice(0, -1) : samples), sample].slice(
    -NODE_METRICS_SAMPLES_MAX,
  );
}

/** The nodes that agree on the subnet's blocks from now on. Fees stay those of its nominal size. */
export function replaceNodes(state: ReplicatedState, nodes: SubnetInfo["nodes"]): void {
  const before = state.subnet.nodes;
  const isSame =
    before.length === nodes.length &&
    nodes.every(({ nodeId }, place) => equalBytes(nodeId, before[place]?.nodeId ?? new Uint8Array(0)));
  if (isSame) return;
  for (const { nodeId } of [...before, ...nodes]) state.changed.nodes.add(principalKey(nodeId));
  state.subnet = { ...state.subnet, nodes };
}

/** Subnets that came to the network: whoever is there already stays as it is. */
export function addSubnets(state: ReplicatedState, subnets: readonly CreatedSubnet[]): void {
  const { routing: before } = state.subnet;
  let routing = before;
  for (const { place, type, publicKey } of subnets) {
    const known = SUBNET_KINDS.find((kind) => kind === type);
    if (known !== undefined) routing = withSubnet(routing, { place, type: known, publicKey });
  }
  if (routing === before) return;
  state.subnet = { ...state.subnet, routing };
  for (const { subnetId } of routing) state.changed.subnets.add(principalKey(subnetId));
}

function active(last: NodeMetricsSample, before: NodeMetricsSample | undefined): readonly NodeMetrics[] {
  return last.nodes.filter((node) => {
    const earlier = before?.nodes.find(({ nodeId }) => equalBytes(nodeId, node.nodeId));
    return earlier?.blocksProposed !== node.blocksProposed || earlier.blockFailures !== node.blockFailures;
  });
}

function counted(nodes: readonly NodeMetrics[], maker: Principal): NodeMetrics[] {
  const known = nodes.find(({ nodeId }) => equalBytes(nodeId, maker));
  const next: NodeMetrics = {
    nodeId: maker,
    blocksProposed: (known?.blocksProposed ?? 0n) + 1n,
    blockFailures: known?.blockFailures ?? 0n,
  };
  return known === undefined ? [...nodes, next] : nodes.map((node) => (node === known ? next : node));
}

function otherSubnet(given: Principal, own: Principal): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Provided target subnet ID ${principalToText(given)} does not match current subnet ID ${principalToText(own)}.`,
  );
}

export const nodeMetricsHistory: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    subnetId: required(record, "subnet_id", readPrincipal),
    start: required(record, "start_at_timestamp_nanos", readNat64),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const { subnetId, start } = decoded.value;
  const { subnet, nodeMetrics } = round.state;
  if (!equalBytes(subnetId, subnet.subnetId)) return failure(otherSubnet(subnetId, subnet.subnetId));
  return { kind: "reply", data: encodeNodeMetrics(nodeMetrics.filter(({ time }) => time >= start)) };
};

export const subnetInfo: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => required(record, "subnet_id", readPrincipal));
  if (!decoded.ok) return failure(decoded.error);
  const { subnet } = round.state;
  if (!equalBytes(decoded.value, subnet.subnetId))
    return failure(otherSubnet(decoded.value, subnet.subnetId));
  const info = { replicaVersion: REPLICA_VERSION, registryVersion: BigInt(round.registryVersion) };
  return { kind: "reply", data: encodeSubnetInfo(info) };
};

/** The sums of the certified tree, which are as of the round before, and the height of this one. */
export const subnetMetrics: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => required(record, "subnet_id", readPrincipal));
  if (!decoded.ok) return failure(decoded.error);
  const { state } = round;
  const { subnetId } = state.subnet;
  if (!equalBytes(decoded.value, subnetId)) return failure(otherSubnet(decoded.value, subnetId));
  return { kind: "reply", data: encodeMetricsOfSubnet(certifiedMetrics(state), state.height) };
};

/** Canisters move between subnets by the migration canister's hand, and networks of this implementation have none. */
export const renameCanister: Handler = (round, call) => {
  const { routing, rootSubnetId } = round.state.subnet;
  const root = routing.find(({ subnetId }) => equalBytes(subnetId, rootSubnetId));
  const fromRoot = root?.ranges.some(
    ({ start, end }) => compareBytes(start, call.sender) <= 0 && compareBytes(call.sender, end) <= 0,
  );
  if (fromRoot !== true) {
    return failure(
      userError(
        ErrorCode.CanisterContractViolation,
        `rename_canister is called by ${principalToText(call.sender)}. It can only be called by NNS.`,
      ),
    );
  }
  const found = controlled(round, call, () => null);
  if (!found.ok) return failure(found.error);
  const text = "The caller is not authorized to call this method.";
  return failure(userError(ErrorCode.CanisterRejectedMessage, text));
};
