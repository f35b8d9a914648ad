/**
 * Replicas of all subnets of an in-process network, joined as the subnets of a node are: slices of streams carried between them with
 * their certificates, delegations from the root to the others. A function of its seed and of the rounds that it is told to run.
 */
import {
  assert,
  type CanisterId,
  equalBytes,
  OrreryError,
  type OutcallResponse,
  type Principal,
  type PrincipalKey,
  principalKey,
  type TimeNs,
  utf8,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import { type Bls, rangesContain } from "@orrery/crypto";
import { createChainKeys } from "@orrery/crypto/chain-keys";
import type { BatchResult } from "@orrery/execution";
import { verifyDelegation } from "@orrery/execution/delegation";
import { type LocalSubnetKind, localNetwork } from "@orrery/execution/local-network";
import { nodePublicKeyDer } from "@orrery/host";
import type { CanisterRange } from "@orrery/state";
import { createInlineReplica, type InlineReplica } from "./replica.ts";

/** A younger delegation is good enough. The replica's interval. */
const DELEGATION_RENEWAL_NS = 600_000_000_000n;
const STREAMS: Uint8Array = utf8("streams");

export interface InlineNetworkOptions {
  /** 32 bytes: keys, ids and randomness follow from it. */
  readonly seed: Uint8Array;
  readonly time: TimeNs;
  readonly bls: Bls;
  /** The first is the root. */
  readonly subnets: readonly LocalSubnetKind[];
}

/** One subnet of the network. */
export interface Member {
  readonly replica: InlineReplica;
  readonly ranges: readonly CanisterRange[];
  /** Of the newest round. */
  moreWork: boolean;
  nextTimer: TimeNs | null;
  /** Subnets whose streams may hold something that this one has not taken. */
  readonly sources: Set<Member>;
  delegatedAt: TimeNs;
  /** Answers to outcalls for the next round. */
  readonly responses: OutcallResponse[];
}

export class InlineNetwork {
  readonly members: readonly Member[];
  readonly #bls: Bls;
  readonly #byKey: ReadonlyMap<PrincipalKey, Member>;

  constructor(options: InlineNetworkOptions) {
    const { seed, time, bls, subnets } = options;
    this.#bls = bls;
    const chainKeys = createChainKeys(seed);
    const makers = { bls, ed25519PublicKeyDer: nodePublicKeyDer };
    this.members = localNetwork({ seed, subnets, local: true, makers }).map((local): Member => {
      const { subnetId, routing } = local.info;
      return {
        replica: createInlineReplica({ seed, time, bls, local, chainKeys, genesis: () => [] }),
        ranges: routing.find((entry) => equalBytes(entry.subnetId, subnetId))?.ranges ?? [],
        moreWork: true,
        nextTimer: null,
        sources: new Set(),
        delegatedAt: time,
        responses: [],
      };
    });
    this.#byKey = new Map(this.members.map((member) => [principalKey(idOf(member)), member]));
    for (const member of this.members) this.#delegate(member);
  }

  get root(): Member {
    return this.members[0] as Member;
  }

  /** The subnet that holds the canister id, or null. */
  hostOf(id: CanisterId): Member | null {
    return this.members.find(({ ranges }) => rangesContain(ranges, id)) ?? null;
  }

  /** The subnet of the id, or null. */
  subnet(id: Principal): Member | null {
    return this.#byKey.get(principalKey(id)) ?? null;
  }

  /** One round of the subnet at `time`, later than its last; takes what other subnets have sent. */
  round(member: Member, time: TimeNs, ingress: readonly Uint8Array[]): BatchResult {
    const xnet = this.#slicesFor(member);
    const result = member.replica.round(time, {
      ingress,
      xnet,
      responses: member.responses.splice(0).sort((a, b) => a.outcall - b.outcall),
    });
    member.moreWork = result.moreWork;
    member.nextTimer = result.nextTimer;
    for (const { path } of result.delta.tree) {
      const [head, id] = path;
      if (head === undefined || id === undefined || !equalBytes(head, STREAMS)) continue;
      this.#byKey.get(principalKey(id))?.sources.add(member);
    }
    if (member === this.root) this.#renew(time);
    return result;
  }

  /** Whether other subnets have sent it something. Sources that have nothing are forgotten. */
  hasMail(member: Member): boolean {
    for (const source of member.sources) {
      if (this.#nextSlice(member, source) !== null) return true;
      member.sources.delete(source);
    }
    return false;
  }

  /** Whether the subnet's delegation should be renewed before its certificates go out at `time`. */
  delegationAged(member: Member, time: TimeNs): boolean {
    return member !== this.root && time - member.delegatedAt > DELEGATION_RENEWAL_NS;
  }

  #nextSlice(member: Member, source: Member): Uint8Array | null {
    return member.replica.view.nextSlice(source.replica.view, { verifyBls: this.#bls.verify });
  }

  #slicesFor(member: Member): readonly Uint8Array[] {
    const slices: Uint8Array[] = [];
    let bytes = 0;
    for (const source of this.members) {
      if (!member.sources.has(source)) continue;
      const slice = this.#nextSlice(member, source);
      if (slice === null) member.sources.delete(source);
      // What a block has no room for is still there for the next one.
      else if (bytes + slice.length <= XNET_BYTES_PER_BLOCK_MAX) {
        bytes += slice.length;
        slices.push(slice);
      }
    }
    return slices;
  }

  #renew(time: TimeNs): void {
    for (const member of this.members) if (this.delegationAged(member, time)) this.#delegate(member);
  }

  #delegate(member: Member): void {
    if (member === this.root) return;
    const { subnet } = member.replica;
    const delegation = this.root.replica.view.delegationOf(subnet.subnetId);
    assert(delegation !== null, "the root knows every subnet");
    const verdict = verifyDelegation(delegation, subnet, this.#bls);
    if (!verdict.ok)
      throw new OrreryError("delegation_invalid", `the root's word for a subnet: ${verdict.error}`);
    member.replica.delegate(delegation);
    member.delegatedAt = delegation.time;
  }
}

function idOf({ replica }: Member): Principal {
  return replica.subnet.subnetId;
}
