/** What replicas say to and hear from other nodes, as they see it: `conversation.ts` carries it. */
import type { Height } from "@orrery/base";
import type { Artifact } from "@orrery/consensus/member";
import type { PeerId, Wanted } from "@orrery/p2p";
import type { SubnetIndex } from "../protocol.ts";
import type { StateRequest } from "../state/state-calls.ts";
import type { ToldShare } from "./outcall-share.ts";
import type { KnownIngress } from "./payloads.ts";

/** One subnet's part of the conversation. */
export interface Voice {
  publish(artifact: Artifact): void;
  retract(id: string): void;
  /** Has what a peer publishes handed over once more. */
  again(peer: number): void;
  /** A message that a client brought here. */
  offer(message: KnownIngress & { readonly envelope: Uint8Array }): void;
  /** It is ordered, or has expired. */
  withdraw(requestId: string): void;
  /** This node's word on an outcall. */
  tellOutcall(told: ToldShare, body: Uint8Array): void;
  /** Nobody waits for an answer any more. */
  withdrawOutcall(outcall: number): void;
  /** Outcalls began here that peers may have spoken of. */
  reconsiderOutcalls(): void;
  /** What judging a peer's words cost, microseconds; `isInvalid`: no honest peer says such. */
  report(peer: number, cost: number, isInvalid: boolean): void;
  /** Finalized blocks from a height on down, as records of a block log; null when nobody tells. Members to avoid are asked if there are no others. */
  askBlocks(from: Height, avoid: ReadonlySet<number>): Promise<ToldBlocks | null>;
  /** Parts of the state of a catch-up package, in the same way. */
  askState(request: StateRequest, avoid: ReadonlySet<number>): Promise<ToldParts | null>;
}

export interface ToldParts {
  readonly peer: number;
  readonly parts: readonly Uint8Array[];
}

export interface ToldBlocks {
  readonly peer: number;
  readonly records: readonly Uint8Array[];
}

/** A replica as its peers know it. */
export interface Listener {
  readonly ingressBytesMax: number;
  /** `ingress`: of a block that came without them. */
  hearArtifact(peer: number, bytes: Uint8Array, ingress: readonly Uint8Array[]): void;
  /** A message that waits here, by the SHA-256 of its bytes. */
  ingressPart(hash: Uint8Array): Uint8Array | null;
  hearIngress(peer: number, envelope: Uint8Array): void;
  /** What nodes say of HTTPS outcalls. */
  readonly outcalls: {
    hear(peer: number, body: Uint8Array): void;
    wants(label: Uint8Array): Wanted;
  };
  /** Whether a message waits here or is ordered; by request id. */
  knowsIngress(requestId: string): boolean;
  /** Of its block log, from a height on down, as much as an answer holds; none when it does not have the first. */
  tellBlocks(from: Height): Promise<readonly Uint8Array[]>;
  /** The first of the parts that a peer asks for; none when the state is not here. */
  tellState(request: StateRequest): Promise<readonly Uint8Array[]>;
}

/** What processes ask each other about the registry. */
export interface RegistryListener {
  answer(peer: PeerId, body: Uint8Array): Uint8Array | null;
}

/** What comes from nodes of other subnets, and is asked by them. */
export interface AbroadListener {
  wantsStream(label: Uint8Array): Wanted;
  /** A node of `source` says how far its stream goes to the subnet of the label. */
  hearStream(peer: PeerId, source: SubnetIndex, label: Uint8Array, body: Uint8Array): void;
  /** A slice of `source`'s stream, to somebody with a node of these subnets. */
  tellSlice(
    source: SubnetIndex,
    body: Uint8Array,
    asks: ReadonlySet<SubnetIndex>,
  ): Promise<Uint8Array | null>;
  tellDelegation(body: Uint8Array): Promise<Uint8Array | null>;
}

/** What a process says to nodes of other subnets. */
export interface AbroadVoice {
  /** How far the stream to a subnet goes, live until something else is said of it. */
  tellStream(source: SubnetIndex, to: SubnetIndex, label: Uint8Array, body: Uint8Array): void;
  /** Null when none of the peers answers in time. */
  askSlice(source: SubnetIndex, body: Uint8Array, peers: readonly PeerId[]): Promise<Answer | null>;
  /** Of any node of the root. */
  askDelegation(body: Uint8Array): Promise<Answer | null>;
  report(peer: PeerId, isInvalid: boolean): void;
}

export interface Answer {
  readonly peer: PeerId;
  readonly body: Uint8Array;
}
