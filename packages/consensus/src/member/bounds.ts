/**
 * How much a member may ever keep, as the replica publishes it for its pool of validated artifacts: a leak, or a member that makes
 * others keep what it likes, shows as more. Of waiting artifacts each sender has bounds of its own (`waiting.ts`).
 */
import { faultsOf, makersOf } from "./committee.ts";
import { CATCH_UP_GAP_MAX, CERTIFICATION_GAP_MAX } from "./duties.ts";
import type { Pool, Signatures } from "./pool.ts";

/** Heights kept below a catch-up package, for peers that are a little behind. */
export const CHAIN_KEPT = 50;

/** Packages that are of use at the same time: before, now, and the one in the making. */
const PACKAGES = 3;

export interface PoolSizes {
  readonly proposals: number;
  readonly notarizations: number;
  readonly finalizations: number;
  readonly beacons: number;
  readonly tapes: number;
  readonly notarizationShares: number;
  readonly finalizationShares: number;
  readonly beaconShares: number;
  readonly tapeShares: number;
  readonly catchUpShares: number;
  readonly equivocationProofs: number;
}

export interface MemberSizes extends PoolSizes {
  readonly rounds: number;
  readonly certificationShares: number;
  /** Artifacts that cannot be judged yet, and their bytes. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Artifacts that this member offers to others. */
  readonly published: number;
}

/** For a subnet of that many members with that many heights from one package to the next. */
export function poolBounds(members: number, catchUpInterval: number): PoolSizes {
  const makers = makersOf(members);
  const unfinal = CERTIFICATION_GAP_MAX;
  const heights = catchUpInterval + CHAIN_KEPT + CATCH_UP_GAP_MAX + 1;
  const proposals = makers * unfinal + (heights - unfinal) + 1;
  return {
    proposals,
    notarizations: proposals - 1,
    finalizations: heights,
    beacons: heights + 1,
    tapes: heights + 1,
    notarizationShares: unfinal * makers * members,
    finalizationShares: unfinal * members,
    beaconShares: (heights + 1) * members,
    tapeShares: (heights + 1) * members,
    catchUpShares: PACKAGES * members,
    equivocationProofs: unfinal * (faultsOf(members) + 1),
  };
}

function signaturesOf(shares: ReadonlyMap<string, Signatures>): number {
  let sum = 0;
  for (const { size } of shares.values()) sum += size;
  return sum;
}

/** What a pool has. */
export function sizesOf(pool: Pool): PoolSizes & Pick<MemberSizes, "rounds" | "certificationShares"> {
  const sizes = {
    rounds: 0,
    proposals: 0,
    notarizations: 0,
    finalizations: 0,
    beacons: 0,
    tapes: 0,
    notarizationShares: 0,
    finalizationShares: 0,
    beaconShares: 0,
    tapeShares: 0,
    certificationShares: 0,
    catchUpShares: 0,
    equivocationProofs: 0,
  };
  for (const { proposals, notarized, finalized, beacon, tape, shares, equivocations } of pool.rounds) {
    sizes.rounds++;
    sizes.proposals += proposals.size;
    sizes.notarizations += notarized.size;
    sizes.finalizations += finalized === null ? 0 : 1;
    sizes.beacons += beacon === null ? 0 : 1;
    sizes.tapes += tape === null ? 0 : 1;
    sizes.notarizationShares += signaturesOf(shares.notarization);
    sizes.finalizationShares += signaturesOf(shares.finalization);
    sizes.beaconShares += signaturesOf(shares.beacon);
    sizes.tapeShares += signaturesOf(shares.tape);
    sizes.certificationShares += signaturesOf(shares.certification);
    sizes.catchUpShares += signaturesOf(shares.catch_up);
    sizes.equivocationProofs += equivocations.size;
  }
  return sizes;
}
