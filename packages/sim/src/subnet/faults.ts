/** What may go wrong in a simulated subnet, and how often; all of it drawn from the run's seed. */

export interface FaultPlan {
  /** Delay of a message: between these, ns. */
  readonly delayNs: readonly [bigint, bigint];
  /** Chances that a message is lost (and sent again after a while), or comes twice. */
  readonly loss: number;
  readonly duplicate: number;
  /** In a second of virtual time and a node: chance to crash, and how long it stays away, ns. */
  readonly crashPerSecond: number;
  readonly awayNs: readonly [bigint, bigint];
  /** In a second of virtual time: chance that the subnet is cut in two, and for how long, ns. */
  readonly partitionPerSecond: number;
  readonly partedNs: readonly [bigint, bigint];
  /** Clocks are off by at most so much, either way, ns. */
  readonly skewNs: bigint;
  /** In a second of virtual time and an honest node: chance that its state breaks, as far as fewer than f are faulty. */
  readonly corruptPerSecond: number;
  /** In a second of virtual time: chance that the registry changes members; that it halts the subnet, and for how long, ns. */
  readonly changePerSecond: number;
  readonly haltPerSecond: number;
  readonly haltedNs: readonly [bigint, bigint];
  /** Nodes learn of the registry's versions at most so much later, ns. */
  readonly registryDelayNs: bigint;
  /** How the nodes at the lowest places misbehave; at most f of them keep the subnet safe and alive. */
  readonly byzantine: readonly Misbehaviour[];
}

export const MISBEHAVIOURS = [
  /** Says nothing. */
  "silent",
  /** Makes two blocks when it is its turn, and shows each to half of the others. */
  "equivocate",
  /** Signs every block that it sees, notarization and finalization alike. */
  "sign_everything",
  /** Its shares are wrong. */
  "wrong_shares",
  /** Its blocks repeat what was ordered before. */
  "invalid_blocks",
  /** Certifies another state. */
  "wrong_certification",
  /** Deals keys that do not fit. */
  "wrong_dealings",
  /** Its summaries make itself the only member. */
  "wrong_summaries",
  /** Its blocks' times, certified heights and registry versions do not follow the parents'. */
  "wrong_contexts",
  /** Its blocks order messages of the blocks before again. */
  "repeat",
  /** Its blocks order something always. */
  "always_order",
  /** Shows half of the others another block under its block's hash and signature. */
  "wrong_hashes",
  /** Sends blocks, proofs, votes and wholes in others' names, or without a quorum. */
  "forge",
  /** Sends whatever its keys can sign, and what others did not, for every height. */
  "flood",
] as const;

export type Misbehaviour = (typeof MISBEHAVIOURS)[number];

const MS = 1_000_000n;
const SECOND: bigint = 1_000n * MS;

export const CALM: FaultPlan = {
  delayNs: [5n * MS, 5n * MS],
  loss: 0,
  duplicate: 0,
  crashPerSecond: 0,
  awayNs: [0n, 0n],
  partitionPerSecond: 0,
  partedNs: [0n, 0n],
  skewNs: 0n,
  corruptPerSecond: 0,
  changePerSecond: 0,
  haltPerSecond: 0,
  haltedNs: [0n, 0n],
  registryDelayNs: 0n,
  byzantine: [],
};

export const STORMY: FaultPlan = {
  delayNs: [1n * MS, 120n * MS],
  loss: 0.1,
  duplicate: 0.05,
  crashPerSecond: 0.02,
  awayNs: [SECOND / 2n, 20n * SECOND],
  partitionPerSecond: 0.03,
  partedNs: [SECOND, 20n * SECOND],
  skewNs: 200n * MS,
  corruptPerSecond: 0,
  changePerSecond: 0.1,
  haltPerSecond: 0,
  haltedNs: [SECOND, 15n * SECOND],
  registryDelayNs: 2n * SECOND,
  byzantine: [],
};
