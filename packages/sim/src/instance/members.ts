/**
 * The subnets of a network in one place, joined as the subnets of a node are: rounds in turn, slices of streams carried between them with
 * their certificates, delegations from the root to the others. Nobody stands between them, so what one signed another takes without
 * looking at the signature; clients verify both.
 */
import {
  assert,
  type CanisterId,
  equalBytes,
  OrreryError,
  type Principal,
  principalToText,
  type SubnetId,
  type TimeNs,
  utf8,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import type { Delegation } from "@orrery/execution/delegation";
import type { SubnetInfo } from "@orrery/state";
import type { DelegationOf, Replica } from "./replica.ts";

/** A younger delegation is good enough. The replica's interval. */
const DELEGATION_RENEWAL_NS = 600_000_000_000n;
const STREAMS: Uint8Array = utf8("streams");

/** Makes one of the replicas, given where its delegation comes from. */
export type MakeReplica = (delegation: DelegationOf) => Replica;

export class Members {
  #replicas: readonly Replica[];
  #root: Replica;
  readonly #delegations = new Map<Replica, Delegation>();
  readonly #delegation: DelegationOf = (replica) => this.#delegationOf(replica);

  constructor(makers: readonly MakeReplica[], rootId: SubnetId) {
    this.#replicas = makers.map((make) => make(this.#delegation));
    this.#root = this.#rootOf(rootId);
  }

  get all(): readonly Replica[] {
    return this.#replicas;
  }

  get root(): Replica {
    return this.#root;
  }

  #rootOf(id: SubnetId): Replica {
    const root = this.subnet(id);
    assert(root !== null, "the root is one of the subnets");
    return root;
  }

  /** The subnet of the id, or null. */
  subnet(id: Principal): Replica | null {
    return this.#replicas.find(({ place }) => equalBytes(place.id, id)) ?? null;
  }

  /** As `subnet`, or `subnet_unknown`. */
  named(id: Principal): Replica {
    const replica = this.subnet(id);
    if (replica !== null) return replica;
    throw new OrreryError(
      "subnet_unknown",
      `there is no subnet ${principalToText(id)}: see the network's subnets`,
    );
  }

  /** The subnet that holds the canister id, or null. */
  hostOf(id: CanisterId): Replica | null {
    return this.#replicas.find(({ held }) => rangesContain(held, id)) ?? null;
  }

  /** One round of every subnet at `time`; each takes what the others have sent, those before it in this round included. */
  round(time: TimeNs): void {
    for (const replica of this.#replicas) {
      const result = replica.round(time, this.#slicesFor(replica));
      for (const { path } of result.delta.tree) {
        const [head, id] = path;
        if (head === undefined || id === undefined || !equalBytes(head, STREAMS)) continue;
        this.subnet(id as Principal)?.sources.add(replica);
      }
    }
  }

  /** Whether other subnets have sent it something. Sources that have nothing are forgotten. */
  hasMail(replica: Replica): boolean {
    for (const source of replica.sources) {
      if (this.#nextSlice(replica, source) !== null) return true;
      replica.sources.delete(source);
    }
    return false;
  }

  #nextSlice(replica: Replica, source: Replica): Uint8Array | null {
    return replica.view.nextSlice(source.view, { verifyBls: () => true });
  }

  #slicesFor(replica: Replica): readonly Uint8Array[] {
    const slices: Uint8Array[] = [];
    let bytes = 0;
    for (const source of this.#replicas) {
      if (!replica.sources.has(source)) continue;
      const slice = this.#nextSlice(replica, source);
      if (slice === null) replica.sources.delete(source);
      // What a block has no room for is still there for the next one.
      else if (bytes + slice.length <= XNET_BYTES_PER_BLOCK_MAX) {
        bytes += slice.length;
        slices.push(slice);
      }
    }
    return slices;
  }

  /** The root's word for a subnet, not older than the renewal interval. */
  #delegationOf(replica: Replica): Delegation | null {
    const root = this.#root;
    if (replica === root) return null;
    const known = this.#delegations.get(replica);
    if (known !== undefined && root.view.time - known.time <= DELEGATION_RENEWAL_NS) return known;
    const delegation = root.view.delegationOf(replica.place.id);
    assert(delegation !== null, "the root knows every subnet");
    this.#delegations.set(replica, delegation);
    return delegation;
  }

  /** The network goes on with these subnets: those that it had under new records, and one that it did not have. */
  reshape(records: readonly SubnetInfo[], added: MakeReplica | null): void {
    const recordOf = ({ place }: Replica): SubnetInfo | undefined =>
      records.find(({ subnetId }) => equalBytes(subnetId, place.id));
    const kept: Replica[] = [];
    for (const replica of this.#replicas) {
      const record = recordOf(replica);
      if (record === undefined) {
        replica.dispose({ pagesGo: false });
        continue;
      }
      replica.adopt(record);
      kept.push(replica);
    }
    for (const { sources } of kept) {
      for (const source of sources) if (!kept.includes(source)) sources.delete(source);
    }
    this.#delegations.clear();
    this.#replicas = added === null ? kept : [...kept, added(this.#delegation)];
    this.#root = this.#rootOf((records[0] as SubnetInfo).rootSubnetId);
  }

  /** The same subnets with the same states, on their own. */
  fork(): Members {
    const makers = this.#replicas.map(
      (replica): MakeReplica =>
        (delegation) =>
          replica.fork({ delegation }),
    );
    const fork = new Members(makers, this.#root.place.id);
    for (const [i, { sources }] of this.#replicas.entries()) {
      for (const source of sources) {
        fork.all[i]?.sources.add(fork.all[this.#replicas.indexOf(source)] as Replica);
      }
    }
    return fork;
  }

  dispose(options: { readonly pagesGo: boolean }): void {
    for (const replica of this.#replicas) replica.dispose(options);
    this.#replicas = [];
  }
}
