/**
 * A version of the registry in the making: what changes come to, one after the other, or why they cannot be. Who approves them is for the
 * registry to judge (`registry.ts`).
 */
import {
  equalBytes,
  err,
  type NodeId,
  ok,
  principalToText,
  type Result,
  selfAuthenticating,
} from "@orrery/base";
import type { NodeKeys } from "@orrery/consensus/keys";
import { isReplicaVersion } from "@orrery/consensus/member";
import type { Curve } from "@orrery/crypto/dkg";
import { NODES_PER_SUBNET_MAX } from "@orrery/execution/genesis";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import type { SubnetType } from "@orrery/state";
import { judgeNode } from "../founding/introduction.ts";
import type { SubnetIndex } from "../protocol.ts";
import { type NodeProcess, nodeProcess, type TopologyNode } from "../topology.ts";
import { INTERVAL_BLOCKS_MAX, INTERVAL_BLOCKS_MIN, type RegistryChange } from "./record.ts";

/** A node that a version ever listed. */
export interface KnownNode extends TopologyNode {
  readonly keys: NodeKeys;
}

/** One subnet at a version. */
export interface SubnetAt {
  /** By place. */
  readonly members: readonly number[];
  readonly halts: boolean;
  readonly intervalLength: number;
  /** Null: no record named one. */
  readonly upgrade: ReplicaUpgrade | null;
  /** Of a subnet that a record created; null: the genesis has it. */
  readonly created: SubnetType | null;
}

/** Versions of the program. */
export interface ReplicaUpgrade {
  readonly from: string;
  readonly to: string;
}

/** The registry at the version before. */
interface Before {
  readonly version: number;
  readonly subnets: readonly SubnetIndex[];
  readonly processes: readonly NodeProcess[];
  nodes(subnet: SubnetIndex): readonly KnownNode[];
  node(subnet: SubnetIndex, nodeId: Uint8Array): KnownNode | null;
  members(subnet: SubnetIndex, version: number): readonly number[];
}

/** What a change may do to a subnet: fewer nodes could not do without any of them. */
const MEMBERS_MIN = 4;

/** What changes come to. */
export interface Outcome {
  readonly subnets: readonly SubnetAt[];
  /** New ones, in the order of their places in each subnet. */
  readonly nodes: readonly KnownNode[];
  readonly processes: readonly NodeProcess[];
}

/** A version in the making. */
export class Draft {
  readonly #registry: Before;
  readonly #subnets: SubnetAt[];
  readonly #nodes: KnownNode[] = [];
  readonly #processes: NodeProcess[] = [];

  constructor(registry: Before, subnets: readonly SubnetAt[]) {
    this.#registry = registry;
    this.#subnets = [...subnets];
  }

  /** Why it cannot be; null: it is done. */
  apply(change: RegistryChange, curve: Curve): string | null {
    switch (change.kind) {
      case "join":
        return this.#join(change, curve);
      case "leave": {
        const at = this.#subnets[change.subnet];
        const node = this.#registry.node(change.subnet, change.nodeId);
        if (at === undefined || node === null || !at.members.includes(node.place))
          return `${principalToText(change.nodeId)} is no node of subnet ${change.subnet}`;
        this.#subnets[change.subnet] = {
          ...at,
          members: at.members.filter((place) => place !== node.place),
        };
        return null;
      }
      case "halt": {
        const at = this.#subnets[change.subnet];
        if (at === undefined) return `there is no subnet ${change.subnet}`;
        this.#subnets[change.subnet] = { ...at, halts: change.halts };
        return null;
      }
      case "upgrade":
        return this.#upgrade(change);
      case "create":
        return this.#create(change);
      case "interval": {
        const at = this.#subnets[change.subnet];
        if (at === undefined) return `there is no subnet ${change.subnet}`;
        if (change.blocks < INTERVAL_BLOCKS_MIN || change.blocks > INTERVAL_BLOCKS_MAX)
          return `${change.blocks} blocks are no interval: take ${INTERVAL_BLOCKS_MIN} to ${INTERVAL_BLOCKS_MAX}`;
        this.#subnets[change.subnet] = { ...at, intervalLength: change.blocks };
        return null;
      }
    }
  }

  #upgrade({ subnet, from, to }: Extract<RegistryChange, { kind: "upgrade" }>): string | null {
    const at = this.#subnets[subnet];
    if (at === undefined) return `there is no subnet ${subnet}`;
    const odd = [from, to].find((version) => !isReplicaVersion(version));
    if (odd !== undefined) return `${odd} is no version of the program: take one such as 1.2.0`;
    const before = at.upgrade?.to ?? from;
    if (before !== from) return `subnet ${subnet} runs version ${before}, not ${from}`;
    if (from === to) return `subnet ${subnet} runs version ${to} already`;
    this.#subnets[subnet] = { ...at, upgrade: { from, to } };
    return null;
  }

  #create({ subnet, type }: Extract<RegistryChange, { kind: "create" }>): string | null {
    const { length } = this.#subnets;
    // One that is alone has all ids of canisters.
    if (length < 2) return "a network that began with its root subnet alone has no other: found one with two";
    if (subnet !== length) return `the next subnet of the network is number ${length}, not ${subnet}`;
    if (length >= LOCAL_SUBNETS_MAX) return `a network has at most ${LOCAL_SUBNETS_MAX} subnets`;
    const { intervalLength } = this.#subnets[0] as SubnetAt;
    this.#subnets.push({ members: [], halts: false, intervalLength, upgrade: null, created: type });
    return null;
  }

  #join({ address, nodes }: Extract<RegistryChange, { kind: "join" }>, curve: Curve): string | null {
    const joined: KnownNode[] = [];
    for (const { subnet, ...shown } of nodes) {
      const at = this.#subnets[subnet];
      if (at === undefined) return `there is no subnet ${subnet}`;
      const judged = judgeNode(curve, shown);
      if (!judged.ok) return judged.error;
      const nodeId = selfAuthenticating(shown.publicKey) as Uint8Array as NodeId;
      // Of any subnet: processes are known by nodes' ids.
      const known = this.#registry.subnets.flatMap((each) => this.#registry.nodes(each));
      const isTaken = [...this.#nodes, ...joined, ...known].some((node) => equalBytes(node.nodeId, nodeId));
      if (isTaken) return `${principalToText(nodeId)} is or was a node already`;
      const place =
        this.#registry.nodes(subnet).length + this.#nodes.filter((n) => n.subnet === subnet).length;
      const node = { subnet, place, nodeId, publicKey: shown.publicKey, keys: judged.value };
      this.#nodes.push(node);
      joined.push(node);
      this.#subnets[subnet] = { ...at, members: [...at.members, place] };
    }
    // It begins with what that subnet begins with, and not before.
    const late = joined.find(({ subnet }) => this.#subnets[subnet]?.created !== null);
    if (late !== undefined && joined.length > 1)
      return `a process with a node of subnet ${late.subnet}, which a record created, has no other node`;
    this.#processes.push(nodeProcess(joined, address));
    return null;
  }

  outcome(): Result<Outcome, string> {
    for (const [subnet, { members }] of this.#subnets.entries()) {
      const before = this.#registry.members(subnet, this.#registry.version).length;
      const least = subnet < this.#registry.subnets.length ? Math.min(MEMBERS_MIN, before) : MEMBERS_MIN;
      if (members.length < least)
        return err(`subnet ${subnet} would have ${members.length} nodes, fewer than ${MEMBERS_MIN}`);
      if (members.length > NODES_PER_SUBNET_MAX)
        return err(`subnet ${subnet} would have ${members.length} nodes, more than ${NODES_PER_SUBNET_MAX}`);
    }
    const torn = this.#tornProcess();
    if (torn !== null) return err(torn);
    return ok({ subnets: this.#subnets, nodes: this.#nodes, processes: this.#processes });
  }

  /** A process runs one version of the program, whatever subnets it has nodes of. */
  #tornProcess(): string | null {
    for (const { nodes } of [...this.#registry.processes, ...this.#processes]) {
      const own = nodes.filter(
        ({ subnet, place }) => this.#subnets[subnet]?.members.includes(place) === true,
      );
      const versions = own.map(({ subnet }) => [subnet, this.#subnets[subnet]?.upgrade?.to ?? null] as const);
      const [first, ...rest] = versions;
      const other = rest.find(([, version]) => version !== first?.[1]);
      if (first === undefined || other === undefined) continue;
      return `subnets ${first[0]} and ${other[0]} have nodes in one process, and would run different versions: upgrade both`;
    }
    return null;
  }
}
