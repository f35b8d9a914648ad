/**
 * The delegations of a node's subnets (interface spec, "Delegation"): taken from the root's published state, verified before they are
 * used, and renewed when the root publishes or, on an idle root, when somebody asks a subnet whose delegation has aged. An idle
 * network asks for nothing, so its disk stays asleep.
 */
import { OrreryError, type TimeNs } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import { type Delegation, verifyDelegation } from "@orrery/execution/delegation";
import type { SubnetInfo } from "@orrery/state";
import type { SubnetIndex } from "./protocol.ts";

/** A younger one is good enough; a publication of the root and a request renew an older one. The replica's interval. */
export const DELEGATION_RENEWAL_NS = 600_000_000_000n;
/** An older one goes out with no answer: a fresh one is waited for. Clients take delegations of up to 30 days. */
export const DELEGATION_AGE_NS_MAX = 86_400_000_000_000n;

export interface DelegationsOptions {
  readonly bls: Bls;
  /** The subnets, by their place. */
  readonly subnets: readonly SubnetInfo[];
  /** The root's word for a subnet from its newest published state; null when it has none. */
  readonly ask: (subnet: SubnetInfo) => Promise<Delegation | null>;
  /** Makes the root publish a state with a fresh time. */
  readonly freshRoot: () => Promise<void>;
  /** From now on the subnet's certificates carry the delegation. */
  readonly install: (subnet: SubnetIndex, delegation: Delegation) => void;
  /** Of the clock. */
  readonly now: () => TimeNs;
  readonly onFailure: (error: unknown) => void;
}

export class Delegations {
  readonly #options: DelegationsOptions;
  /** Time of the one in use, by the subnet's place. */
  readonly #times = new Map<SubnetIndex, TimeNs>();
  #renewing: Promise<void> | null = null;

  constructor(options: DelegationsOptions) {
    this.#options = options;
  }

  /** Whether the subnet's certificates can be verified; the root's always can. */
  has(subnet: SubnetIndex): boolean {
    return subnet === 0 || this.#times.has(subnet);
  }

  /** The root published a state. */
  rootPublished(): void {
    if (this.#oldest() > DELEGATION_RENEWAL_NS) this.renew(false).catch(this.#options.onFailure);
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
    for (let subnet = 1; subnet < subnets.length; subnet++) await this.#renewOne(subnet);
  }

  async #renewOne(subnet: SubnetIndex): Promise<void> {
    const { bls, subnets, ask, install } = this.#options;
    const info = subnets[subnet] as SubnetInfo;
    const delegation = await ask(info);
    if (delegation === null) return;
    const verdict = verifyDelegation(delegation, info, bls);
    if (!verdict.ok) {
      throw new OrreryError("delegation_invalid", `the root's word for subnet ${subnet}: ${verdict.error}`);
    }
    install(subnet, delegation);
    this.#times.set(subnet, delegation.time);
  }

  /** Age of the oldest one in use; without limit when one is missing. */
  #oldest(): bigint {
    let oldest = 0n;
    for (let subnet = 1; subnet < this.#options.subnets.length; subnet++) {
      const time = this.#times.get(subnet);
      if (time === undefined) return DELEGATION_AGE_NS_MAX;
      const age = this.#options.now() - time;
      if (age > oldest) oldest = age;
    }
    return oldest;
  }
}
