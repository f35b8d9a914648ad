/** The newest certified time that anybody has seen of each subnet: subnets have times of their own, which never run backwards. */
import type { Principal } from "@icp-sdk/core/principal";

/** Canister ids are given to subnets in blocks of so many. */
const BLOCK_IDS: bigint = 2n ** 20n;

/** Names the block of ids that a canister, and with it its subnet, is known by. */
export function blockOf(canisterId: Principal): bigint {
  return Buffer.from(canisterId.toUint8Array()).readBigUInt64BE() / BLOCK_IDS;
}

export class CertificateClock {
  readonly #newest = new Map<bigint, bigint>();

  /** In nanoseconds, of the canister's subnet. */
  newest(canisterId: Principal): bigint {
    return this.#newest.get(blockOf(canisterId)) ?? 0n;
  }

  saw(canisterId: Principal, time: bigint): void {
    if (time > this.newest(canisterId)) this.#newest.set(blockOf(canisterId), time);
  }
}
