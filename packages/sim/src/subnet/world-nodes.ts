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
import { nodeIdOf, nodeOf, type SimRegistry } from "./sim-registry.ts";
import type { Script } from "./strikes.ts";
import type { Twins } from "./twins.ts";

export interface WorldOptions {
  readonly seed: number;
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

/** Keys and their generation in one run. */
export type KeySource = (
  seed: number,
  subnetId: SubnetId,
) => {
  /** Keys of members that begin together. */
  genesis(members: readonly NodeId[], registryVersion: number): Epoch;
  of(nodeId: NodeId): Dkg;
};

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

interface NodeMeans {
  readonly registry: SimRegistry;
  readonly twins: Twins;
  /** Newest version of the registry that a node knows. */
  readonly versionFor: (index: number) => number;
}

/** Members, spares, and those that run twice. */
export function makeNodes(
  { seed, nodes, spares, config, application, start, keys: source }: WorldOptions,
  { registry, twins, versionFor }: NodeMeans,
): readonly SimNode[] {
  const keys = new IdealKeys(seed, nodes);
  const dkg = source?.(seed, config.subnetId) ?? new IdealDkg(seed, keys);
  const current = dkg.genesis(registry.newest.members.map(nodeIdOf), 1);
  const length = config.rules.catchUpInterval;
  const summary: Summary = { length, nextLength: length, halts: false, current, next: null };
  return twins.nodes.map((index) => {
    const self = twins.identityOf(index);
    const nodeId = nodeIdOf(self);
    const own = dkg.of(nodeId);
    const isFixed = spares === null && source === undefined;
    const crypto = isFixed ? keys.of(self) : (own.load(current) as MemberCrypto);
    const record = (version: number): ReturnType<SimRegistry["record"]> => registry.record(version);
    return new SimNode({
      config: { ...config, self, members: nodes },
      crypto,
      index,
      application: application(index),
      start: spares === null ? start : { ...start, summary },
      registryVersion: () => versionFor(index),
      ...(spares === null ? {} : { intervals: { nodeId, peerOf: nodeOf, dkg: own, record } }),
    });
  });
}
