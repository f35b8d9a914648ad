/**
 * The registry of a network as one node knows it: versions, of which the first is the genesis and each further one what all but f nodes of the
 * root subnet approved, as the version before lists them. Two records of one version that both count would have an honest node's approval
 * both, and honest nodes approve one. Everything here follows from the genesis and the records alone, the same for everybody; nothing is
 * ever taken back.
 */
import {
  compareBytes,
  equalBytes,
  err,
  type NodeId,
  OrreryError,
  ok,
  principalToText,
  type Result,
} from "@orrery/base";
import type { NodeKeys } from "@orrery/consensus/keys";
import { faultsOf, type PlannedSubnet, type SubnetRecord } from "@orrery/consensus/member";
import type { Curve } from "@orrery/crypto/dkg";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { nodeSignatures } from "@orrery/host/signatures";
import type { PeerId } from "@orrery/p2p";
import type { SubnetType } from "@orrery/state";
import type { SubnetIndex } from "../protocol.ts";
import { REGISTRY_VERSION } from "../replica/rules.ts";
import type { NodeProcess } from "../topology.ts";
import { Draft, type KnownNode, type Outcome, type ReplicaUpgrade, type SubnetAt } from "./draft.ts";
import {
  type Approval,
  approvalContent,
  decodeRecord,
  type Mutation,
  mutationHash,
  type RegistryChange,
  type RegistryRecord,
} from "./record.ts";

interface Version {
  readonly subnets: readonly SubnetAt[];
  /** What the next record names as the one before it. */
  readonly hash: Uint8Array;
  /** As it came; null for the genesis. */
  readonly record: RegistryRecord | null;
}

export interface RegistryOptions {
  /** `genesisHash`. */
  readonly genesis: Uint8Array;
  readonly subnets: readonly Pick<LocalSubnet, "info">[];
  /** Of the genesis' nodes, by subnet and place. */
  readonly founders: readonly (readonly NodeKeys[])[];
  /** In which the genesis' nodes run. */
  readonly processes: readonly NodeProcess[];
  readonly intervalLength: number;
  readonly curve: Curve;
}

/** What the registry says of one subnet. */
export interface SubnetRegistry {
  /** The newest of the registry. */
  readonly version: number;
  /** Everybody who ever was a node of the subnet, by place. */
  readonly nodes: readonly KnownNode[];
  /** Null for who never was one. */
  node(nodeId: Uint8Array): KnownNode | null;
  /** Of a node of any subnet; null for who never was one. */
  keysOf(nodeId: Uint8Array): NodeKeys | null;
  /** Null for versions that are not known here. */
  record(version: number): SubnetRecord | null;
  /** Of the newest version; null where no record named one. */
  readonly upgrade: ReplicaUpgrade | null;
  /** Before the first upgrade; null where there was none. */
  readonly firstReplicaVersion: string | null;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #versions: Version[];
  /** By subnet and place. */
  readonly #nodes: KnownNode[][];
  #processes: readonly NodeProcess[];
  readonly #records = new Map<string, SubnetRecord>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { subnets, founders, processes, genesis } = options;
    this.#nodes = subnets.map(({ info }, subnet) =>
      info.nodes.map(({ nodeId, publicKey }, place) => ({
        subnet,
        place,
        nodeId: nodeId as NodeId,
        publicKey,
        keys: founders[subnet]?.[place] as NodeKeys,
      })),
    );
    this.#processes = processes;
    const { intervalLength } = options;
    const members = this.#nodes.map((nodes) => ({
      members: nodes.map(({ place }) => place),
      ...{ halts: false, intervalLength, upgrade: null, created: null },
    }));
    this.#versions = [{ subnets: members, hash: genesis, record: null }];
  }

  /** The newest. */
  get version(): number {
    return REGISTRY_VERSION + this.#versions.length - 1;
  }

  /** All of the network. */
  get subnets(): readonly SubnetIndex[] {
    return [...this.#nodes.keys()];
  }

  of(subnet: SubnetIndex): SubnetRegistry {
    const version = (): number => this.version;
    const nodes = (): readonly KnownNode[] => this.nodes(subnet);
    const upgrade = (): ReplicaUpgrade | null => this.upgrade(subnet, this.version);
    const first = (): string | null => this.firstReplicaVersion(subnet);
    return {
      get version(): number {
        return version();
      },
      get nodes(): readonly KnownNode[] {
        return nodes();
      },
      node: (nodeId) => this.node(subnet, nodeId),
      keysOf: (nodeId) => this.keysOf(nodeId),
      record: (number) => this.record(subnet, number),
      get upgrade(): ReplicaUpgrade | null {
        return upgrade();
      },
      get firstReplicaVersion(): string | null {
        return first();
      },
    };
  }

  /** Everybody who ever was a node of the subnet, by place. */
  nodes(subnet: SubnetIndex): readonly KnownNode[] {
    return this.#nodes[subnet] ?? [];
  }

  /** Null for who never was one. */
  node(subnet: SubnetIndex, nodeId: Uint8Array): KnownNode | null {
    return this.nodes(subnet).find((node) => equalBytes(node.nodeId, nodeId)) ?? null;
  }

  /** All that there ever were. */
  get processes(): readonly NodeProcess[] {
    return this.#processes;
  }

  /** Places of the members of a subnet at a version that is known. */
  members(subnet: SubnetIndex, version: number): readonly number[] {
    return this.#at(version)?.subnets[subnet]?.members ?? [];
  }

  /** Whether the subnet halts, at a version that is known. */
  halts(subnet: SubnetIndex, version: number): boolean {
    return this.#at(version)?.subnets[subnet]?.halts ?? false;
  }

  /** As consensus asks; null for versions that are not known here. */
  record(subnet: SubnetIndex, version: number): SubnetRecord | null {
    const at = this.#at(version)?.subnets[subnet];
    if (at === undefined) return null;
    const name = `${subnet}/${version}`;
    const made = this.#records.get(name) ?? this.#recordOf(subnet, version, at);
    this.#records.set(name, made);
    return made;
  }

  /** Heights from one summary to the next, at a version that is known. */
  intervalLength(subnet: SubnetIndex, version: number): number {
    return this.#at(version)?.subnets[subnet]?.intervalLength ?? this.#options.intervalLength;
  }

  /** The last one up to a version that is known; null where no record named one. */
  upgrade(subnet: SubnetIndex, version: number): ReplicaUpgrade | null {
    return this.#at(version)?.subnets[subnet]?.upgrade ?? null;
  }

  /** What the subnet ran before the first upgrade; null where there was none, or nobody said. */
  firstReplicaVersion(subnet: SubnetIndex): string | null {
    for (const { subnets } of this.#versions) {
      const { upgrade = null } = subnets[subnet] ?? {};
      if (upgrade !== null) return upgrade.from;
    }
    return null;
  }

  /** Of a subnet that a record created; null for those of the genesis, and for none. */
  created(subnet: SubnetIndex): SubnetType | null {
    return this.#newest.subnets[subnet]?.created ?? null;
  }

  /** Null for who never was a node of any. */
  keysOf(nodeId: Uint8Array): NodeKeys | null {
    for (const subnet of this.subnets) {
      const node = this.node(subnet, nodeId);
      if (node !== null) return node.keys;
    }
    return null;
  }

  /** Subnets that records created up to a version, as the root's members have to know of them. */
  #planned({ subnets }: Version): Pick<SubnetRecord, "planned"> {
    const planned = subnets.flatMap(({ created, members }, subnet): PlannedSubnet[] => {
      const nodes = members.map((place) => this.nodes(subnet)[place] as KnownNode);
      return created === null ? [] : [{ subnet, members: nodes.map(({ nodeId }) => nodeId) }];
    });
    return planned.length === 0 ? {} : { planned };
  }

  #recordOf(subnet: SubnetIndex, version: number, at: SubnetAt): SubnetRecord {
    const { members, halts, intervalLength, upgrade } = at;
    const nodes = members.map((place) => this.nodes(subnet)[place] as KnownNode);
    return {
      members: nodes.map(({ nodeId }) => nodeId),
      // Whoever begins knows the genesis' nodes.
      ...(version === REGISTRY_VERSION ? {} : { publicKeys: nodes.map(({ publicKey }) => publicKey) }),
      ...{ intervalLength, halts },
      ...(upgrade === null ? {} : { replicaVersion: upgrade.to }),
      ...(subnet === 0 ? this.#planned(this.#at(version) as Version) : {}),
    };
  }

  #at(version: number): Version | undefined {
    return this.#versions[version - REGISTRY_VERSION];
  }

  get #newest(): Version {
    return this.#versions.at(-1) as Version;
  }

  /** Records above a version, the oldest first. */
  since(version: number): readonly RegistryRecord[] {
    return this.#versions
      .slice(Math.max(0, version - REGISTRY_VERSION + 1))
      .flatMap(({ record }) => (record === null ? [] : [record]));
  }

  /** Whether it is the record of its version here. */
  has({ mutation }: RegistryRecord): boolean {
    const known = this.#at(mutation.version);
    return known !== undefined && equalBytes(known.hash, mutationHash(mutation));
  }

  /**
   * Processes with a node that is a member at the newest version, or was since `oldest` of its subnet; of each those of its nodes. `self` is
   * there anyway.
   */
  processesSince(oldest: (subnet: SubnetIndex) => number, self: PeerId): readonly NodeProcess[] {
    const inUse = this.#nodes.map((_, subnet) => {
      const places = new Set<number>();
      for (let version = Math.min(oldest(subnet), this.version); version <= this.version; version++)
        for (const place of this.members(subnet, version)) places.add(place);
      return places;
    });
    return this.#processes.flatMap((process) => {
      const nodes = process.nodes.filter(({ subnet, place }) => inUse[subnet]?.has(place) === true);
      if (process.id === self) return [process];
      return nodes.length === 0 ? [] : [{ ...process, nodes }];
    });
  }

  /** What these changes would be the next version of. */
  propose(changes: readonly RegistryChange[]): Mutation {
    return { version: this.version + 1, previous: this.#newest.hash, changes };
  }

  /** How many of the root subnet's nodes have to approve the next version. */
  get approvalsNeeded(): number {
    const { length } = this.members(0, this.version);
    return length - faultsOf(length);
  }

  /** Whether somebody's approval of what may come next counts. */
  isApproval(mutation: Mutation, { nodeId, signature }: Approval): boolean {
    return this.#holds(approvalContent(mutation), { nodeId, signature });
  }

  #holds(content: Uint8Array, { nodeId, signature }: Approval): boolean {
    const node = this.node(0, nodeId);
    if (node === null || !this.members(0, this.version).includes(node.place)) return false;
    return nodeSignatures.ed25519(node.keys.signing, content, signature);
  }

  /** The registry's next version, if it may be that; else why it may not. */
  append(bytes: Uint8Array): Result<RegistryRecord, string> {
    let record: RegistryRecord;
    try {
      record = decodeRecord(bytes);
    } catch (error) {
      if (error instanceof OrreryError) return err(error.message);
      throw error;
    }
    const { mutation } = record;
    // Before what it says is judged, which takes long: anybody may bring one.
    const fault = this.#faultOf(mutation) ?? this.#approvalFaultOf(record);
    if (fault !== null) return err(fault);
    const next = this.#draft(mutation);
    if (!next.ok) return next;
    const { subnets, nodes, processes } = next.value;
    for (const subnet of subnets.keys()) this.#nodes[subnet] ??= [];
    for (const node of nodes) this.#nodes[node.subnet]?.push(node);
    this.#processes = [...this.#processes, ...processes];
    this.#versions.push({ subnets, hash: mutationHash(mutation), record });
    return ok(record);
  }

  /** What would come of it, whoever approves. */
  judge(mutation: Mutation): Result<Outcome, string> {
    const fault = this.#faultOf(mutation);
    return fault === null ? this.#draft(mutation) : err(fault);
  }

  /** Why it cannot be the next one, whatever it says; null: it can. */
  #faultOf({ version, previous }: Mutation): string | null {
    if (version !== this.version + 1) return `it is version ${version}, and the newest is ${this.version}`;
    return equalBytes(previous, this.#newest.hash) ? null : "it follows another version than ours";
  }

  /** Why its approvals do not make it count; null: they do. */
  #approvalFaultOf({ mutation, approvals }: RegistryRecord): string | null {
    if (approvals.length < this.approvalsNeeded)
      return `${approvals.length} nodes approve it, and it takes ${this.approvalsNeeded}`;
    const content = approvalContent(mutation);
    for (const [i, approval] of approvals.entries()) {
      const before = approvals[i - 1];
      if (before !== undefined && compareBytes(before.nodeId, approval.nodeId) >= 0)
        return "its approvals are not in their order";
      if (!this.#holds(content, approval))
        return `the approval of ${principalToText(approval.nodeId)} does not hold`;
    }
    return null;
  }

  #draft(mutation: Mutation): Result<Outcome, string> {
    const draft = new Draft(this, this.#newest.subnets);
    for (const change of mutation.changes) {
      const fault = draft.apply(change, this.#options.curve);
      if (fault !== null) return err(fault);
    }
    return draft.outcome();
  }
}
