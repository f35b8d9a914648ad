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
  /** The same, but only what one side sends does not come. */
  readonly onewayPerSecond: number;
  /** Chance that a message takes much longer, so that later ones overtake it. */
  readonly reorder: number;
  /** In a second of virtual time and a node: chance to start again at once, or in the middle of what it writes. */
  readonly restartPerSecond: number;
  readonly tornWritePerSecond: number;
  /** The same of the nodes at the lowest f places: chance to come back with an empty disk. */
  readonly diskLossPerSecond: number;
  /** The same of any node: chance to be slow, how much longer everything takes then, and for how long, ns. */
  readonly slowPerSecond: number;
  readonly slowNs: bigint;
  readonly slowForNs: readonly [bigint, bigint];
  /** Clocks are off by at most so much, either way, ns. */
  readonly skewNs: bigint;
  /** In a second of virtual time and an honest node: chance that its state breaks, as far as fewer than f are faulty. */
  readonly corruptPerSecond: number;
  /** In a second of virtual time: chance that the registry changes members; that it halts the subnet, and for how long, ns. */
  readonly changePerSecond: number;
  readonly haltPerSecond: number;
  readonly haltedNs: readonly [bigint, bigint];
  /** The same: chance that it changes the length of intervals, to one between these; that it names another version of the program. */
  readonly stretchPerSecond?: number;
  readonly intervalBlocks?: readonly [number, number];
  readonly upgradePerSecond?: number;
  /** The same: chance that it asks the members for another subnet. */
  readonly createPerSecond?: number;
  /** Nodes learn of the registry's versions at most so much later, ns. */
  readonly registryDelayNs: bigint;
  /** How the nodes at the lowest places misbehave, one way or by turns; at most f of them keep the subnet safe and alive. */
  readonly byzantine: readonly (Misbehaviour | readonly Misbehaviour[])[];
  /** Whether they also hand out wrong states. */
  readonly liesOnSync: boolean;
  /** Nodes at the lowest places that run twice, each as an honest one would (`twins.ts`); heights have shapes of the network then. */
  readonly twins?: number;
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
  /** Keeps its votes and shares from half of the others, and its blocks from all but one. */
  "withhold",
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
  onewayPerSecond: 0,
  reorder: 0,
  restartPerSecond: 0,
  tornWritePerSecond: 0,
  diskLossPerSecond: 0,
  slowPerSecond: 0,
  slowNs: 0n,
  slowForNs: [0n, 0n],
  skewNs: 0n,
  corruptPerSecond: 0,
  changePerSecond: 0,
  haltPerSecond: 0,
  haltedNs: [0n, 0n],
  registryDelayNs: 0n,
  byzantine: [],
  liesOnSync: false,
};

export const STORMY: FaultPlan = {
  ...CALM,
  delayNs: [1n * MS, 120n * MS],
  loss: 0.1,
  duplicate: 0.05,
  crashPerSecond: 0.02,
  awayNs: [SECOND / 2n, 20n * SECOND],
  partitionPerSecond: 0.03,
  partedNs: [SECOND, 20n * SECOND],
  skewNs: 200n * MS,
  changePerSecond: 0.1,
  haltedNs: [SECOND, 15n * SECOND],
  registryDelayNs: 2n * SECOND,
};
