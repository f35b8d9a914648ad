/** What a simulated subnet is made of: its options, its nodes with their keys, and the events of its queue. */
import type { Height, NodeId, SubnetId } from "@orrery/base";
import type {
  Artifact,
  Dkg,
  Epoch,
  MemberConfig,
  MemberCrypto,
  Start,
  Summary,
} from "@orrery/consensus/member";
import type { Application } from "./application.ts";
import type { FaultPlan } from "./faults.ts";
import { IdealDkg } from "./ideal-dkg.ts";
import { IdealKeys } from "./ideal-keys.ts";
import type { Recorder } from "./recorder.ts";
import { SimNode } from "./sim-node.ts";
import type { SimRegistry } from "./sim-registry.ts";
import type { Script } from "./strikes.ts";
import type { Twins } from "./twins.ts";

export interface WorldOptions {
  readonly seed: number;
  /** That nodes' ids are numbered after; 0 when left out. */
  readonly firstNode?: number;
  /** Members at first. */
  readonly nodes: number;
  /** Nodes that can become members; with `null` members and keys never change. */
  readonly spares: number | null;
  readonly config: Omit<MemberConfig, "self" | "members">;
  readonly start: Start;
  /** Of a node, by its index; all alike. */
  readonly application: (index: number) => Application;
  /** From a block's delivery to its state. */
  readonly executionNs: bigint;
  readonly faults: FaultPlan;
  readonly recorder?: Recorder;
  /** What goes wrong, by seconds, in place of what would be drawn. */
  readonly script?: Script;
  /** Where keys come from; ideal ones (simulated) when left out. */
  readonly keys?: KeySource;
}

export interface Keys {
  /** Keys of members that begin together. */
  genesis(members: readonly NodeId[], registryVersion: number): Epoch;
  of(nodeId: NodeId): Dkg;
}

/** Keys and their generation in one run. */
export type KeySource = (seed: number, subnetId: SubnetId) => Keys;

export type WorldEvent =
  | {
      readonly kind: "receive";
      readonly from: number;
      readonly to: number;
      readonly artifact: Artifact;
      /** Of the artifact, for the trace. */
      readonly name: number;
      /** On its link. */
      readonly number: number;
    }
  | { readonly kind: "wake"; readonly node: number }
  | {
      readonly kind: "executed";
      readonly node: number;
      readonly height: Height;
      readonly rootHash: Uint8Array;
      /** Of the whole state at a catch-up height. */
      readonly stateHash: Uint8Array | null;
      readonly life: number;
    }
  /** The state of a catch-up package, from whoever has it. */
  | {
      readonly kind: "fetch";
      readonly node: number;
      readonly height: Height;
      readonly stateHash: Uint8Array;
      readonly life: number;
    }
  /** `version`: of the program, where it is another one than it had. */
  | { readonly kind: "boot"; readonly node: number; readonly version?: string }
  | { readonly kind: "heal" }
  /** It is not slow any more. */
  | { readonly kind: "hasten"; readonly node: number }
  | { readonly kind: "resume" }
  | { readonly kind: "second" };

export function keysFor({ seed, nodes, config, keys }: WorldOptions): Keys {
  return keys?.(seed, config.subnetId) ?? new IdealDkg(seed, new IdealKeys(seed, nodes));
}

/** What a subnet whose members and keys change begins with. */
export function firstSummaryOf({ config }: WorldOptions, registry: SimRegistry, keys: Keys): Summary {
  const current = keys.genesis(registry.newest.members.map(registry.idOf), 1);
  const length = config.rules.catchUpInterval;
  return { length, nextLength: length, halts: false, current, next: null };
}

interface NodeMeans {
  readonly registry: SimRegistry;
  readonly keys: Keys;
  readonly first: Summary;
  readonly twins: Twins;
  /** Newest version of the registry that a node knows. */
  readonly versionFor: (index: number) => number;
}

/** Members, spares, and those that run twice. */
export function makeNodes(
  { seed, nodes, spares, config, application, start, keys: source }: WorldOptions,
  { registry, keys, first, twins, versionFor }: NodeMeans,
): readonly SimNode[] {
  const fixed = spares === null && source === undefined ? new IdealKeys(seed, nodes) : null;
  return twins.nodes.map((index) => {
    const self = twins.identityOf(index);
    const nodeId = registry.idOf(self);
    const dkg = keys.of(nodeId);
    const crypto = fixed?.of(self) ?? (dkg.load(first.current) as MemberCrypto);
    const record = (version: number): ReturnType<SimRegistry["record"]> => registry.record(version);
    const intervals = { nodeId, peerOf: registry.numberOf, dkg, record };
    return new SimNode({
      config: { ...config, self, members: nodes },
      crypto,
      index,
      application: application(index),
      start: spares === null ? start : { ...start, summary: first },
      registryVersion: () => versionFor(index),
      ...(spares === null ? {} : { intervals }),
    });
  });
}
