/**
 * The consensus engine's inputs, effects and the interfaces it needs of the host (docs/ARCHITECTURE.md "Consensus"). Consensus orders
 * payloads; it does not know what is in them, nor that execution exists.
 */
import type { Batch, Block, BlockPayload, Height, NodeId, SubnetId, TimeNs } from "@orrery/base";

/** Fills a block: joined by the host to the ingress pool (and later to streams and outcall answers). */
export interface PayloadBuilder {
  /** At most `BLOCK_PAYLOAD_BYTES_MAX` of inputs that are not in `past` and do not expire before `context.time`. */
  buildPayload(context: { readonly height: Height; readonly time: TimeNs }): BlockPayload;
}

export type PayloadVerdict =
  | { readonly kind: "valid" }
  | { readonly kind: "invalid"; readonly reason: string };

/** Judges another maker's payload under the same rules. */
export interface PayloadValidator {
  validatePayload(
    payload: BlockPayload,
    context: { readonly height: Height; readonly time: TimeNs },
  ): PayloadVerdict;
}

/** What the registry says at a version; fed by genesis and scripted mutations until governance feeds it. */
export interface RegistryView {
  readonly version: number;
  /** Nodes of the subnet at `version`, in registry order, with their DER Ed25519 keys. */
  members(version: number): readonly { readonly nodeId: NodeId; readonly publicKey: Uint8Array }[];
}

/** Block plus the maker's basic signature over its hash. */
export interface BlockProposal {
  readonly block: Block;
  readonly signer: NodeId;
  readonly signature: Uint8Array;
}

/**
 * What the block log keeps of a height: a finalized proposal and its random tape. With one member the proposal is final when
 * its maker's signature is on it (a quorum of one); larger subnets add the aggregated finalization here.
 */
export interface FinalizedBlock {
  readonly proposal: BlockProposal;
  /** Threshold signature over the tape's content; its hash is the batch's randomness. */
  readonly tape: Uint8Array;
}

export interface ConsensusConfig {
  readonly subnetId: SubnetId;
  readonly nodeId: NodeId;
}

export interface ConsensusState {
  readonly config: ConsensusConfig;
  /** Last finalized block; at genesis height 0 with a zero hash. */
  tip: { readonly height: Height; readonly hash: Uint8Array; readonly time: TimeNs };
  /** Waiting for signatures of the height after the tip. */
  pending: {
    readonly block: Block;
    /** Its bytes and their hash: megabytes, so they are made once. */
    readonly encoded: Uint8Array;
    readonly hash: Uint8Array;
    proposalSignature: Uint8Array | null;
    tape: Uint8Array | null;
  } | null;
}

export type ConsensusInput =
  /** The host wants a round: there is work, or time should pass. Ignored while one is pending. */
  | {
      readonly kind: "make_block";
      readonly now: TimeNs;
      readonly certifiedHeight: Height;
      readonly registryVersion: number;
      readonly builder: PayloadBuilder;
    }
  | {
      readonly kind: "signed";
      readonly purpose: "proposal" | "tape";
      readonly height: Height;
      readonly signature: Uint8Array;
    };

export type ConsensusEffect =
  /** Sign with the node's basic key (`proposal`) or the subnet's threshold key (`tape`); answer with a `signed` input. */
  | {
      readonly kind: "sign";
      readonly purpose: "proposal" | "tape";
      readonly height: Height;
      readonly message: Uint8Array;
    }
  /** Make durable before anything of this height is shown to anybody. */
  | { readonly kind: "persist"; readonly height: Height; readonly record: Uint8Array }
  /** Execute; runs beside `persist`. */
  | { readonly kind: "deliver"; readonly batch: Batch };
