/**
 * A network in one place, for tests and tools: what can be asked of it and what can be done to it. Synchronous and pure: everything
 * follows from topology, seed, time and calls; whatever only a host can do is handed in. Rounds happen when somebody asks for
 * them. Errors carry codes of docs/errors.md; what canisters and the ingress filter say is a `Result`.
 */
import type { CanisterId, NodeId, Principal, Result, SubnetId, TimeNs, UserId } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import type {
  ExecutionLimits,
  Inflate,
  QueryProfile,
  RangesForm,
  ReadStateAnswer,
  ReadStateQuery,
  UserError,
  ViewAnswer,
  ViewQuery,
} from "@orrery/execution";
import type { CanisterRange, Disk, RejectCode, SubnetType } from "@orrery/state";
import type { Engine } from "@orrery/wasm";
import type { HeldMessage, MessageRule } from "./faults.ts";
import type { TraceEvent } from "./trace.ts";

/** What a subnet is on the public network: decides its type, its nominal size, its canister ids and its chain keys. */
export type SubnetKind =
  | "nns"
  | "sns"
  | "ii"
  | "fiduciary"
  | "bitcoin"
  | "test_threshold_keys"
  | "system"
  | "application"
  | "verified_application"
  | "cloud_engine";

export interface SubnetSpec {
  readonly kind: SubnetKind;
  /** `benchmarking`: a trillion instructions for every message, query and round. Production by default. */
  readonly instructions?: "production" | "benchmarking";
  /** `free`: nothing costs cycles. Normal by default. */
  readonly costSchedule?: "normal" | "free";
  /** Who may manage canisters that they do not control; nobody by default. */
  readonly admins?: readonly Principal[];
}

/** What the core asks of whoever hosts it. */
export interface InstanceHost {
  readonly bls: Bls;
  /** Inflates gzip, throws when there is more than `maxBytes`. */
  readonly inflate: Inflate;
  /** DER public key of a 32-byte Ed25519 secret, and signing with it. */
  readonly ed25519PublicKeyDer: (secret: Uint8Array) => Uint8Array;
  readonly ed25519Signer: (secret: Uint8Array) => (message: Uint8Array) => Uint8Array;
  /** What canisters printed in an execution that ended, in its order, trapped ones included. */
  readonly onPrint?: (canisterId: CanisterId, time: TimeNs, texts: readonly Uint8Array[]) => void;
  /** Of this thread (`SharedEngine`): networks that have it in common compile a module once; made when not given. */
  readonly engine?: Engine;
}

export interface InstanceOptions {
  /** At most one of each named kind; in any order. */
  readonly topology: readonly SubnetSpec[];
  /**
   * Which canister ids the subnets hold. `pocketic` (the default): as PocketIC 14 gives them for the same topology. `node`: as a
   * local network of nodes, whose first subnet is the root and whose second holds every id that nobody else does.
   */
  readonly ids?: "pocketic" | "node";
  /** The NNS subnet has the id that it has on the public network. */
  readonly mainnetNnsId?: boolean;
  /** 32 bytes: every key and all randomness follow from it. */
  readonly seed: Uint8Array;
  /** Of the state before the first round, ns since 1970. */
  readonly time: TimeNs;
  readonly host: InstanceHost;
  /** Over the limits of every subnet; heartbeats run every round unless this says otherwise. */
  readonly limits?: Partial<ExecutionLimits>;
  /** Longest envelope of a call that is taken, bytes: `ingress_too_large`; no limit by default. */
  readonly ingressBytesMax?: number;
}

export interface SubnetTopology {
  readonly id: SubnetId;
  readonly kind: SubnetKind;
  readonly type: SubnetType;
  /** Nodes that it has nominally: fees and outcalls go by it. */
  readonly size: number;
  /** 32 bytes that name it among subnets of any instance with the same ranges. */
  readonly seed: Uint8Array;
  /** Ids with `specified_id` first, the range of all other ids last. */
  readonly ranges: readonly CanisterRange[];
  readonly instructions: "production" | "benchmarking";
  readonly costSchedule: "normal" | "free";
  readonly admins: readonly Principal[] | null;
  /** DER, 133 bytes. */
  readonly publicKey: Uint8Array;
  /** Its nodes that really are there. */
  readonly nodes: readonly NodeId[];
}

export interface InstanceTopology {
  readonly subnets: readonly SubnetTopology[];
  /** Under whose key certificates of all subnets verify: the NNS, or the first where there is none. */
  readonly rootSubnetId: SubnetId;
  readonly defaultEffectiveCanisterId: CanisterId;
}

/** Where a call goes; `none` derives it from the call. */
export type EffectivePrincipal =
  | { readonly kind: "none" }
  | { readonly kind: "subnet"; readonly id: SubnetId }
  | { readonly kind: "canister"; readonly id: CanisterId };

export interface CanisterCall {
  readonly sender: UserId;
  /** The empty principal is the management canister. */
  readonly canisterId: CanisterId;
  readonly method: string;
  readonly arg: Uint8Array;
  readonly effective?: EffectivePrincipal;
  readonly senderInfo?: { readonly info: Uint8Array; readonly signer: Principal } | null;
}

export interface MessageId {
  readonly subnetId: SubnetId;
  /** 32 bytes. */
  readonly requestId: Uint8Array;
}

export interface Reject {
  readonly code: RejectCode;
  readonly message: string;
  /** The replica's number, 503 is shown as "IC0503", and its name: "CanisterCalledTrap". */
  readonly errorCode: number;
  readonly errorName: string;
  /** Whether it is in the certified state; what the ingress filter and queries say is not. */
  readonly certified: boolean;
}

/** Reply bytes, or why there are none. */
export type CallResult = Result<Uint8Array, Reject>;

export interface PendingOutcall {
  readonly subnetId: SubnetId;
  /** Its number on that subnet. */
  readonly id: number;
  readonly url: string;
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH";
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array | null;
  /** As the canister asked; null when it did not. */
  readonly maxResponseBytes: number | null;
  /** What a node would download at most, bytes. */
  readonly downloadBytesMax: number;
}

/** What came of the request on one node. */
export type OutcallAnswer =
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: readonly { readonly name: string; readonly value: string }[];
      readonly body: Uint8Array;
      /** What getting it took, where a canister pays for that; the headers and the body by default. */
      readonly downloadedBytes?: number;
      readonly elapsedMs?: number;
    }
  | {
      readonly kind: "reject";
      readonly code: RejectCode;
      readonly message: string;
      readonly downloadedBytes?: number;
      readonly elapsedMs?: number;
    };

/** Who made a subnet's next block, and who should have. */
export interface Blockmaker {
  readonly subnetId: SubnetId;
  readonly nodeId: NodeId;
  readonly failed: readonly NodeId[];
}

/** One subnet as the HTTPS interface asks it. */
export interface HostedReplica {
  readonly subnetId: SubnetId;
  readonly nodeId: NodeId;
  /** Longest envelope of an update call that it takes. */
  readonly ingressBytesMax: number;
  servesCanister(id: CanisterId): boolean;
  servesSubnet(id: SubnetId): boolean;
  isSubnetAdmin(user: UserId): boolean;
  inspect(envelope: Uint8Array): UserError | null;
  /** Takes an envelope, already authenticated, for the next round of the subnet. */
  submit(envelope: Uint8Array, requestId: Uint8Array): "accepted" | "duplicate" | "overloaded";
  /** Whether the request has an answer by now. */
  isAnswered(requestId: Uint8Array): boolean;
  requestCertificate(
    requestId: Uint8Array,
    destination: { readonly kind: "canister" | "subnet"; readonly id: Principal },
    ranges: RangesForm,
  ): Uint8Array | null;
  query(query: ViewQuery): ViewAnswer;
  readState(query: ReadStateQuery): ReadStateAnswer;
  signQueryResponse(message: Uint8Array): Uint8Array;
}

export interface Instance {
  topology(): InstanceTopology;
  /** DER root key of the network. */
  readonly rootKey: Uint8Array;
  /** Time that the next round goes on from, ns. */
  readonly time: TimeNs;
  /** `time_backwards` when it is before the present. */
  setTime(time: TimeNs): void;
  /** The same, and certificates carry it at once. */
  setCertifiedTime(time: TimeNs): void;
  /** One round of every subnet; it takes a nanosecond unless the time was set since the last one. */
  tick(blockmakers?: readonly Blockmaker[]): void;
  /** Rounds as long as some subnet has something to do at the present time, heartbeats apart; at most `maxRounds`. Whether it came to rest. */
  settle(maxRounds?: number): boolean;
  /** Whether some canister has a heartbeat, so that rounds do something although nothing is due. */
  readonly heartbeats: boolean;
  /** The next time at which something is due by itself, heartbeats apart; null when nothing is. */
  nextDue(): TimeNs | null;

  /** Puts a call into the ingress pool of its subnet after the ingress filter; `call_unroutable` when it has no subnet. */
  submitIngress(call: CanisterCall): Result<MessageId, Reject>;
  /** Rounds of all subnets until there is an answer; `call_pending` after `maxRounds` (100 by default). */
  awaitIngress(id: MessageId, maxRounds?: number): CallResult;
  /** The answer if there is one; null otherwise. `call_foreign` when `caller` did not send it. */
  ingressStatus(id: MessageId, caller?: UserId): CallResult | null;
  query(call: CanisterCall): CallResult;

  canisterExists(id: CanisterId): boolean;
  /** The subnet of an existing canister; null when there is none. */
  subnetOf(id: CanisterId): SubnetId | null;
  /** The subnet that holds the id, whether or not there is a canister. */
  hostOf(id: CanisterId): SubnetId | null;
  /** The following are `canister_unknown` when there is no such canister. */
  controllers(id: CanisterId): readonly Principal[];
  cycles(id: CanisterId): bigint;
  /** The balance afterwards. */
  addCycles(id: CanisterId, amount: bigint): bigint;
  stableMemory(id: CanisterId): Uint8Array;
  /** Replaces all of it; its size is that of the bytes in whole Wasm pages. */
  setStableMemory(id: CanisterId, bytes: Uint8Array): void;
  /** Whether the installed module declares that upgrades keep its heap. */
  keepsHeap(id: CanisterId): boolean;
  /** DER; `subnet_unknown`. */
  publicKey(subnetId: SubnetId): Uint8Array;

  /** Outcalls that wait for an answer, the oldest of each subnet first. */
  pendingOutcalls(): readonly PendingOutcall[];
  /**
   * Answers one for the next round: one answer for all nodes, or one for each of the subnet's nominal size, which must agree after
   * the caller's transform. `outcall_unknown`, `outcall_answers`.
   */
  mockOutcall(subnetId: SubnetId, id: number, answers: readonly OutcallAnswer[]): void;

  /** Subnets as the HTTPS interface sees them: the one of the destination, or one that does not serve it. */
  replicaOf(destination: { readonly kind: "canister" | "subnet"; readonly id: Principal }): HostedReplica;
  /** Height of the newest certified state, of the subnet that new canisters go to. */
  readonly height: number;
  /** Called after every round; what it returns ends that. */
  onRound(listener: () => void): () => void;

  /** From now on these rules for messages between canisters, and no others; the first that fits applies. `rule_invalid`. */
  intercept(rules: readonly MessageRule[]): void;
  heldMessages(): readonly HeldMessage[];
  /** Lets held messages go on in the next round, in this order; all of them when none are named. `message_unknown`. */
  releaseMessages(ids?: readonly number[]): void;

  /** From now on executions are kept for `takeTrace`, or not any more. What happens is the same. */
  trace(on: boolean): void;
  /** Executions since it was last asked, in their order; the oldest of very many are gone. Queries are none. */
  takeTrace(): readonly TraceEvent[];
  /** From now on what these canisters execute is profiled, in traces and in queries; it takes longer, and what happens is the same. */
  profile(which: "all" | "none" | readonly CanisterId[]): void;
  /** What profiled canisters executed in queries since it was last asked. */
  takeQueryProfiles(): readonly QueryProfile[];

  /** `subnet_unknown`; `subnet_named` for those with mainnet ranges. */
  deleteSubnet(id: SubnetId): void;

  /** The same network, from here on on its own: costs records and tables, pages are shared until they are written. */
  fork(): Instance;
  /** Writes everything (`messages_held` unless all are on their way); each name is a directory of its own. What was saved there before is replaced. */
  save(open: (name: string) => Disk): void;
  /** Gives its memory back; nothing may be asked of it any more. */
  dispose(): void;
}
