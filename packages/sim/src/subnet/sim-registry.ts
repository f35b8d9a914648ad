/**
 * The registry's history of a simulated subnet: versions that come to be while it runs, each known to a node a while later. Nodes are numbered;
 * their ids are made of the numbers.
 */
import type { NodeId } from "@orrery/base";
import type { SubnetRecord } from "@orrery/consensus/member";

const NODE_ID_BYTES = 29;
/** Numbers of a created subnet's nodes begin at its place times this: beyond those of any other. */
const CREATED_NODES = 1_000;
/** What runs until a record names another. */
export const FIRST_PROGRAM = "1.0.0";

export function nodeIdOf(index: number): NodeId {
  const id = new Uint8Array(NODE_ID_BYTES);
  new DataView(id.buffer).setUint32(0, index + 1);
  return id as NodeId;
}

/** The number that the id is made of. */
export function nodeOf(nodeId: NodeId): number {
  return new DataView(nodeId.buffer, nodeId.byteOffset, NODE_ID_BYTES).getUint32(0) - 1;
}

/** The subnet at a version: members by number. */
export interface SimRecord {
  readonly members: readonly number[];
  readonly intervalLength: number;
  readonly halts: boolean;
  /** Of the program; none is named by default. */
  readonly replicaVersion?: string;
  /** Subnets that are to be created, by place, with the numbers of their nodes; none by default. */
  readonly planned?: readonly { readonly subnet: number; readonly members: readonly number[] }[];
}

export class SimRegistry {
  readonly #versions: { readonly record: SimRecord; readonly at: bigint }[] = [];
  readonly #known: SubnetRecord[] = [];
  readonly #firstNode: number;
  #longest = 0;

  /** `firstNode`: that the nodes are numbered after in their ids; of a created subnet those that its creator gave it. */
  constructor(first: SimRecord, firstNode = 0) {
    this.#firstNode = firstNode;
    this.change(first, 0n);
  }

  readonly idOf = (index: number): NodeId => nodeIdOf(this.#firstNode + index);
  readonly numberOf = (nodeId: NodeId): number => nodeOf(nodeId) - this.#firstNode;

  /** Newest version that there is. */
  get version(): number {
    return this.#versions.length;
  }

  get newest(): SimRecord {
    return (this.#versions.at(-1) as { record: SimRecord }).record;
  }

  change(record: SimRecord, at: bigint): void {
    this.#versions.push({ record, at });
    const { members, intervalLength, halts, replicaVersion, planned } = record;
    this.#longest = Math.max(this.#longest, intervalLength);
    const bare = {
      ...{ members: members.map(this.idOf), intervalLength, halts },
      ...(replicaVersion === undefined ? {} : { replicaVersion }),
    };
    if (planned === undefined) {
      this.#known.push(bare);
      return;
    }
    const nodes = planned.map((each) => ({ subnet: each.subnet, members: each.members.map(nodeIdOf) }));
    this.#known.push({ ...bare, planned: nodes });
  }

  /** Another node in a member's place. Nothing where it is a member, or the other is none: of what is told, some may have been left out. */
  replace(goes: number, comes: number, at: bigint): void {
    const { members: before } = this.newest;
    if (before.includes(comes) || !before.includes(goes)) return;
    const members = before.map((index) => (index === goes ? comes : index));
    this.change({ ...this.newest, members }, at);
  }

  /** The subnet stands still at the next summary, or goes on. */
  halt(halts: boolean, at: bigint): void {
    if (this.newest.halts !== halts) this.change({ ...this.newest, halts }, at);
  }

  /** Intervals have another length after the next summary. */
  stretch(intervalLength: number, at: bigint): void {
    if (this.newest.intervalLength !== intervalLength) this.change({ ...this.newest, intervalLength }, at);
  }

  /** From the next summary on blocks are for the next version of the program. */
  upgrade(at: bigint): void {
    const [major = "1"] = (this.newest.replicaVersion ?? FIRST_PROGRAM).split(".");
    this.change({ ...this.newest, replicaVersion: `${Number(major) + 1}.0.0` }, at);
  }

  /** The next subnet is to be created, of so many nodes. */
  create(members: number, at: bigint): void {
    const { planned = [] } = this.newest;
    const subnet = planned.length + 1;
    const nodes = Array.from({ length: members }, (_, node) => CREATED_NODES * subnet + node);
    this.change({ ...this.newest, planned: [...planned, { subnet, members: nodes }] }, at);
  }

  /** Of the lengths that intervals ever had, or will have. */
  get longestInterval(): number {
    return this.#longest;
  }

  /** Newest version that a node knows which learns of everything `delay` later. */
  versionAt(now: bigint, delay: bigint): number {
    const version = this.#versions.findLastIndex(({ at }) => at === 0n || at + delay <= now);
    return version + 1;
  }

  record(version: number): SubnetRecord | null {
    return this.#known[version - 1] ?? null;
  }
}
