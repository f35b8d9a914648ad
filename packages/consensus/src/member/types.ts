/** What a member of a subnet is given, takes and asks for (docs/ARCHITECTURE.md, "Consensus"). */
import type { Block, BlockPayload, Height, NodeId, SubnetId, TimeNs } from "@orrery/base";
import type { Epoch } from "../summary-codec.ts";
import type {
  Artifact,
  CatchUpPackage,
  DealtKeys,
  KeySet,
  MemberIndex,
  ThresholdSignature,
} from "./artifacts.ts";

export type { DealtKeys, KeySet } from "./artifacts.ts";

/** Parameters of a subnet's record in the registry. */
export interface SubnetRules {
  /** Between the turns of two ranks. */
  readonly unitDelayNs: TimeNs;
  /** Before the first block of a round is notarized: bounds the rate of blocks. */
  readonly initialNotaryDelayNs: TimeNs;
  /** Heights from one catch-up package to the next. With intervals, of which each has its own length, it is not used. */
  readonly catchUpInterval: number;
}

/** `self` and `members` are of a subnet whose members never change; with intervals they are not used. */
export interface MemberConfig {
  readonly subnetId: SubnetId;
  readonly self: MemberIndex;
  readonly members: number;
  readonly rules: SubnetRules;
}

/** What the disk has when a member starts. */
export interface Kept {
  /** Persisted and not purged, in its order. */
  readonly artifacts: readonly Artifact[];
  /** Of the newest state that is whole there. */
  readonly stateHeight: Height;
  /**
   * Of the clock when it turned out that what the member had persisted is lost: what it signed it does not know, so it signs nothing before a
   * catch-up package that was made since passes all of it.
   */
  readonly lostAt?: TimeNs;
}

/** Signatures, by the member's own keys and its shares of the subnet's. Never throws on what others made. */
export interface MemberCrypto {
  sign(message: Uint8Array): Uint8Array;
  verify(signer: MemberIndex, message: Uint8Array, signature: Uint8Array): boolean;
  signShare(keys: KeySet, message: Uint8Array): Uint8Array;
  verifyShare(keys: KeySet, signer: MemberIndex, message: Uint8Array, signature: Uint8Array): boolean;
  /** Of as many shares as are needed, verified or not: of wrong ones comes something that does not verify. */
  combine(
    keys: KeySet,
    message: Uint8Array,
    shares: readonly (readonly [MemberIndex, Uint8Array])[],
  ): Uint8Array;
  verifyWhole(keys: KeySet, message: Uint8Array, signature: Uint8Array): boolean;
}

export interface PayloadContext {
  readonly height: Height;
  readonly time: TimeNs;
  /** Payloads are judged on this state. */
  readonly certifiedHeight: Height;
  /** What was ordered since that state, nearest first. */
  readonly past: readonly BlockPayload[];
}

export type PayloadJudgement =
  | { readonly kind: "valid" }
  | { readonly kind: "invalid"; readonly reason: string }
  /** Something that it takes to judge is not here yet. */
  | { readonly kind: "later" };

export interface Payloads {
  build(context: PayloadContext): BlockPayload;
  judge(payload: BlockPayload, context: PayloadContext): PayloadJudgement;
}

/** A subnet that is to be created: the root subnet's members deal its first keys to its nodes. */
export interface PlannedSubnet {
  /** Its place in the network. */
  readonly subnet: number;
  /** In the order in which they are counted. */
  readonly members: readonly NodeId[];
}

/** What the registry says of the subnet at a version. */
export interface SubnetRecord {
  /** In the order in which they are counted. */
  readonly members: readonly NodeId[];
  /** DER of their Ed25519 keys, for those who run what is ordered; not there where these know them from the genesis. */
  readonly publicKeys?: readonly Uint8Array[];
  /** Heights from one summary to the next. */
  readonly intervalLength: number;
  /** The subnet stands still at the next summary. */
  readonly halts: boolean;
  /** Of the program that goes on from the next summary; not there: any. */
  readonly replicaVersion?: string;
  /** Of the root subnet: those that the registry created up to the version, by ascending place; not there: none. */
  readonly planned?: readonly PlannedSubnet[];
}

/** One run of key generation: the same for everybody, from final blocks. */
export interface DkgConfig {
  /** Height of the summary that began the interval in which it runs. */
  readonly start: Height;
  readonly keys: DealtKeys;
  /** Of the receivers. */
  readonly registryVersion: number;
  readonly dealers: readonly NodeId[];
  readonly receivers: readonly NodeId[];
  /** Shares that make a signature. */
  readonly threshold: number;
  readonly dealingsNeeded: number;
  /** The transcript of the dealers' key, where the receivers get the same key; null for a fresh one. */
  readonly reshared: Uint8Array | null;
}

/**
 * Key generation, as consensus needs it. `later` where a host computes it beside consensus: the next step asks again. Everybody comes to the
 * same answers; nothing throws on what others made.
 */
export interface Dkg {
  /** This member's, the same whenever it is asked. */
  createDealing(config: DkgConfig, dealer: MemberIndex): Uint8Array | "later";
  verifyDealing(config: DkgConfig, dealer: MemberIndex, dealing: Uint8Array): boolean | "later";
  /** The transcript of verified dealings, by ascending dealer; null when there is none of them. */
  aggregate(
    config: DkgConfig,
    dealings: readonly (readonly [MemberIndex, Uint8Array])[],
  ): Uint8Array | null | "later";
  /** Signs as the member of the epoch that this node is, and verifies as everybody. */
  load(epoch: Epoch): MemberCrypto | "later";
}

export interface MemberEnvironment {
  readonly config: MemberConfig;
  /** Of members that never change; with intervals it verifies wholes of the subnet's own key. */
  readonly crypto: MemberCrypto;
  readonly payloads: Payloads;
  /** Newest version of the registry that this member knows. Where it changes, tell the member the time: it may go on then. */
  readonly registryVersion: () => number;
  /** Where members and keys change: the start then has the summary of its block. */
  readonly intervals?: {
    readonly nodeId: NodeId;
    /** What the host calls a node that it hears: no member's index, which changes with the members. Null for who is nobody here. */
    readonly peerOf: (nodeId: NodeId) => number | null;
    /** Null for versions that are not known here. */
    readonly record: (registryVersion: number) => SubnetRecord | null;
    /** Whether this program is of the version that a summary names; not there: of what runs as long as none names one. */
    readonly runs: (replicaVersion: string | undefined) => boolean;
    readonly dkg: Dkg;
  };
}

export type MemberInput =
  /** The clock's time; where it went back, the time stands still. */
  | { readonly kind: "time"; readonly now: TimeNs }
  /** From another node, in its shape; nothing else of it is trusted. `from`: as the host numbers nodes; where members never change, by index. */
  | { readonly kind: "artifact"; readonly from: number; readonly artifact: Artifact }
  /** The state after a delivered block. */
  | { readonly kind: "executed"; readonly height: Height; readonly rootHash: Uint8Array }
  /** The whole state after a delivered block of a catch-up height is on the disk, and has this hash. */
  | { readonly kind: "checkpointed"; readonly height: Height; readonly stateHash: Uint8Array }
  /** The state of a catch-up package is here: the answer to `sync`. */
  | { readonly kind: "synced"; readonly height: Height };

export type MemberEffect =
  /** Make durable; for an artifact of its own before it is published. */
  | { readonly kind: "persist"; readonly artifact: Artifact }
  /** Bring to every other member until it is retracted. */
  | { readonly kind: "publish"; readonly artifact: Artifact }
  | { readonly kind: "retract"; readonly id: string }
  /** Have that node, as the host numbers it, offer again what it publishes: some of it could not be kept when it came. */
  | { readonly kind: "again"; readonly from: number }
  /** Finalized, in order, each once; again from the newest package on after a restart. */
  | {
      readonly kind: "deliver";
      readonly block: Block;
      readonly tape: ThresholdSignature;
      /** Where members change. */
      readonly maker?: NodeId;
    }
  /** Get the state of the package from others, whatever state is here: the blocks up to it are not needed any more. Asked again after a restart. */
  | { readonly kind: "sync"; readonly catchUp: CatchUpPackage }
  /** The subnet goes on from the package with another version of the program: this one does nothing more for it. */
  | { readonly kind: "superseded"; readonly catchUp: CatchUpPackage }
  /** What was persisted of the heights below is not needed any more. */
  | { readonly kind: "purge"; readonly below: Height }
  /** This member's state is another one than a quorum's. */
  | { readonly kind: "diverged"; readonly height: Height }
  | { readonly kind: "certified"; readonly certification: ThresholdSignature }
  /** A node, as the host numbers it, sent what no honest one does. */
  | { readonly kind: "misbehaved"; readonly peer: number; readonly why: string };
