/**
 * The delegations of a node's subnets (interface spec, "Delegation"): taken from the root's published state, here or at one of the root's
 * nodes, verified before they are used, and renewed when a state is published or, on an idle root, when somebody asks a subnet whose
 * delegation has aged. An idle network of one node asks for nothing, so its disk stays asleep.
 */
import { OrreryError, type TimeNs } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { type Delegation, verifyDelegation } from "@orrery/execution/delegation";
import type { SubnetInfo } from "@orrery/state";
import type { BySubnet, SubnetIndex } from "./protocol.ts";

/** A younger one is good enough; a publication of the root and a request renew an older one. The replica's interval. */
export const DELEGATION_RENEWAL_NS = 600_000_000_000n;
/** An older one goes out with no answer: a fresh one is waited for. Clients take delegations of up to 30 days. */
export const DELEGATION_AGE_NS_MAX = 86_400_000_000_000n;
/** Between two attempts that nobody waits for: publications come more often. */
const ATTEMPT_NS_MIN = 1_000_000_000n;

export interface DelegationsOptions {
  readonly bls: Bls;
  /** The node's own. */
  readonly subnets: BySubnet<SubnetInfo>;
  /** The root's word for a subnet, from its newest published state where the node has that; null when nobody gives one. */
  readonly ask: (subnet: SubnetIndex, info: SubnetInfo) => Promise<AskedDelegation | null>;
  /** Makes the root publish a state with a fresh time. */
  readonly freshRoot: () => Promise<void>;
  /** From now on the subnet's certificates carry the delegation. */
  readonly install: (subnet: SubnetIndex, delegation: Delegation) => void;
  /** Of the clock. */
  readonly now: () => TimeNs;
  readonly onFailure: (error: unknown) => void;
}

/** `lie`: it does not hold; where that is not there, the node's own root says it. */
export interface AskedDelegation {
  readonly delegation: Delegation;
  readonly lie?: (why: string) => void;
}

export class Delegations {
  readonly #options: DelegationsOptions;
  /** Time of the one in use, by the subnet's place. */
  readonly #times = new Map<SubnetIndex, TimeNs>();
  readonly #complete = Promise.withResolvers<void>();
  #renewing: Promise<void> | null = null;
  /** When a publication last was the occasion. */
  #attempted: TimeNs | null = null;

  constructor(options: DelegationsOptions) {
    this.#options = options;
    if ([...options.subnets.keys()].every((subnet) => subnet === 0)) this.#complete.resolve();
  }

  /** Whether the subnet's certificates can be verified; the root's always can. */
  has(subnet: SubnetIndex): boolean {
    return subnet === 0 || this.#times.has(subnet);
  }

  /** Resolves when every subnet has one. */
  get complete(): Promise<void> {
    return this.#complete.promise;
  }

  /** The root published a state, or a subnet whose root is elsewhere. */
  published(): void {
    const now = this.#options.now();
    const isEarly = this.#attempted !== null && now - this.#attempted < ATTEMPT_NS_MIN;
    if (this.#oldest() <= DELEGATION_RENEWAL_NS || isEarly) return;
    this.#attempted = now;
    this.renew(false).catch(this.#options.onFailure);
  }

  /** An answer of the subnet is asked for: null when its delegation may go out, else wait for a fresh one. Begins to renew an old one. */
  current(subnet: SubnetIndex): Promise<void> | null {
    const time = this.#times.get(subnet);
    if (time === undefined) return null;
    const age = this.#options.now() - time;
    if (age <= DELEGATION_RENEWAL_NS) return null;
    const renewed = this.renew(true);
    if (age > DELEGATION_AGE_NS_MAX) return renewed;
    renewed.catch(this.#options.onFailure);
    return null;
  }

  /** Takes, verifies and installs the delegations of all subnets; with `fresh`, of a root state that is made for it. */
  renew(fresh: boolean): Promise<void> {
    this.#renewing ??= this.#renewAll(fresh).finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renewAll(fresh: boolean): Promise<void> {
    const { subnets, freshRoot } = this.#options;
    if (fresh) await freshRoot();
    for (const subnet of subnets.keys()) if (subnet !== 0) await this.#renewOne(subnet);
  }

  async #renewOne(subnet: SubnetIndex): Promise<void> {
    const { bls, subnets, ask, install } = this.#options;
    const info = subnets.get(subnet) as SubnetInfo;
    const told = await ask(subnet, info);
    if (told === null) return;
    const { delegation, lie } = told;
    // Of several nodes one may be behind what another one said before.
    if (delegation.time < (this.#times.get(subnet) ?? 0n)) return;
    const verdict = verifyDelegation(delegation, info, bls);
    if (!verdict.ok) {
      if (lie !== undefined) {
        lie(verdict.error);
        return;
      }
      throw new OrreryError("delegation_invalid", `the root's word for subnet ${subnet}: ${verdict.error}`);
    }
    install(subnet, delegation);
    this.#times.set(subnet, delegation.time);
    if ([...subnets.keys()].every((each) => this.has(each))) this.#complete.resolve();
  }

  /** Age of the oldest one in use; without limit when one is missing. */
  #oldest(): bigint {
    let oldest = 0n;
    for (const subnet of this.#options.subnets.keys()) {
      if (subnet === 0) continue;
      const time = this.#times.get(subnet);
      if (time === undefined) return DELEGATION_AGE_NS_MAX;
      const age = this.#options.now() - time;
      if (age > oldest) oldest = age;
    }
    return oldest;
  }
}
