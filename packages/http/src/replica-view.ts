/**
 * What the HTTPS interface asks of a replica (interface spec, "HTTPS Interface"). Declared here by its consumer, implemented
 * by whoever assembles a node: over worker threads on a host, directly in the browser and under test. Everything that may take
 * time is `Awaitable`; an implementation that has the answer returns it as it is.
 */
import type {
  CallRequest,
  CanisterId,
  Envelope,
  NodeId,
  PrincipalKey,
  RequestId,
  SenderInfo,
  SubnetId,
  TimeNs,
  UserId,
} from "@orrery/base";
import type { Awaitable } from "./messages.ts";

/** Why a message was refused or a query failed: the replica's number (503 = "IC0503") and text. */
export interface UserError {
  readonly code: number;
  readonly message: string;
}

export type ReplicaHealth =
  | "starting"
  | "healthy"
  | "waiting_for_certified_state"
  | "waiting_for_root_delegation"
  | "certified_state_behind";

export interface ReplicaStatus {
  readonly health: ReplicaHealth;
  /** DER, of the root subnet. Null withholds it, as a public network does. */
  readonly rootKey: Uint8Array | null;
  /** Null before the first certified state. */
  readonly certifiedHeight: number | null;
  readonly implVersion: string | null;
  readonly implHash: string | null;
}

/**
 * Form of the canister ranges in a certificate's delegation: v2 (v3 for calls) endpoints carry the flat list of the subnet,
 * later ones the shard that contains the effective canister id.
 */
export type RangesForm = "flat" | "sharded";

/** Where the URL sends a request. */
export type Destination =
  | { readonly kind: "canister"; readonly id: CanisterId }
  | { readonly kind: "subnet"; readonly id: SubnetId };

/** An update call that passed envelope validation. */
export interface Ingress {
  /** The envelope exactly as received: what a block carries. */
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  /** The envelope's content. */
  readonly call: CallRequest;
  readonly requestId: RequestId;
  readonly destination: Destination;
}

/** `overloaded`: the pool or the way to it is full; `unavailable`: this node takes no part in consensus now. */
export type SubmitOutcome = "accepted" | "duplicate" | "overloaded" | "unavailable";

export interface AnswerWait {
  /** True once the request has a terminal status in the certified state, false when the time is over. Never rejects. */
  readonly answered: Promise<boolean>;
  /** Stops waiting; `answered` then resolves to false. */
  cancel(): void;
}

export interface UserQuery {
  readonly sender: UserId;
  readonly senderInfo: SenderInfo | null;
  readonly canisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly destination: Destination;
  /** For the delegation inside `data_certificate`. */
  readonly ranges: RangesForm;
}

export type QueryOutcome =
  | { readonly status: "replied"; readonly reply: Uint8Array }
  | {
      readonly status: "rejected";
      readonly rejectCode: number;
      readonly rejectMessage: string;
      /** "IC0503"; null when there is none. */
      readonly errorCode: string | null;
    };

/** A query's outcome and the time of the certified state that it was computed on. */
export interface AnsweredQuery {
  readonly outcome: QueryOutcome;
  readonly timestamp: TimeNs;
}

export interface StateQuery {
  readonly destination: Destination;
  readonly ranges: RangesForm;
  readonly paths: readonly (readonly Uint8Array[])[];
  readonly sender: UserId;
  /** Canisters that the sender's delegations allow; null is all. */
  readonly targets: ReadonlySet<PrincipalKey> | null;
}

/** Encoded certificate, or the status and text of the refusal. `unavailable`: there is no certified state. */
export type StateAnswer =
  | { readonly kind: "certificate"; readonly certificate: Uint8Array }
  | { readonly kind: "refused"; readonly status: number; readonly text: string }
  | { readonly kind: "unavailable" };

/** The replicas behind one endpoint: one for each subnet that it serves. */
export interface ReplicaNetwork {
  /** Of the endpoint as a whole: healthy when all of it is. */
  status(): ReplicaStatus;
  /** The replica that answers for the destination; one that does not serve it, and says so, when nobody does. */
  replicaOf(destination: Destination): ReplicaView;
}

/** An endpoint of one replica. */
export function soleReplica(replica: ReplicaView): ReplicaNetwork {
  return { status: () => replica.status(), replicaOf: () => replica };
}

export interface ReplicaView {
  status(): ReplicaStatus;
  /** Time that expiries are compared with. */
  now(): TimeNs;
  /** Whether a subnet that this endpoint serves holds the canister id, existing or not. */
  servesCanister(id: CanisterId): boolean;
  servesSubnet(id: SubnetId): boolean;
  /** Whether the user may use the subnet-scoped call and query endpoints. */
  isSubnetAdmin(user: UserId): boolean;
  /** Whole envelope of an update call, bytes: what the subnet takes. */
  readonly ingressBytesMax: number;
  /** Whether the ingress pool takes no more for now. */
  ingressFull(): boolean;
  /** The ingress filter: existence, cycles, management rules, `canister_inspect_message`. Null accepts. */
  inspect(ingress: Ingress): Awaitable<UserError | null>;
  submit(ingress: Ingress): Awaitable<SubmitOutcome>;
  /** Begins to watch for the request's answer; called before `submit`, so that none is missed. */
  watch(requestId: RequestId, timeoutMs: number): AnswerWait;
  /** Certificate of `/time` and `/request_status/<id>`; null when the certified state has no status for it. */
  requestCertificate(
    requestId: RequestId,
    destination: Destination,
    ranges: RangesForm,
  ): Awaitable<Uint8Array | null>;
  /** Null when there is no certified state. */
  query(query: UserQuery): Awaitable<AnsweredQuery | null>;
  readState(query: StateQuery): Awaitable<StateAnswer>;
  /** The node that signs query responses: self-authenticating id of its Ed25519 key. */
  readonly nodeId: NodeId;
  /** Ed25519 signature of `message` (domain separator included) with the node's key. */
  signQueryResponse(message: Uint8Array): Awaitable<Uint8Array>;
}
