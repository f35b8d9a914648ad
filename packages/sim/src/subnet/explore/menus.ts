/** What may happen in a slot of an exploration: shapes of the network, and when the faulty member says what. */

import type { Leaders } from "./chosen-keys.ts";
import {
  type Exchange,
  Exploration,
  type ExplorationOptions,
  type Explored,
  type Shape,
} from "./exploration.ts";
import { SLOT_NS } from "./local-states.ts";

const SECOND = 1_000_000_000n;

/** Three honest members, whole, with one of them alone, and all apart. */
const WHOLE: Shape = [0, 0, 0];
const THREE: readonly Shape[] = [WHOLE, [0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 1, 2]];

/** The last of the four members is the faulty one. */
const FAULTY = 3;

/** Of the first height, up to the names of the honest members: the faulty one is of rank 0, of rank 1, or of none. */
export const FIRST_LEADERS: readonly Leaders[] = [
  [FAULTY, 0],
  [0, FAULTY],
  [0, 1],
];

/** Whom the faulty member gives its votes. */
const NONE: Shape = [0, 0, 0];
const ALL: Shape = [1, 1, 1];

/** What was held back comes to everybody, votes of the faulty member too; then beacons, tapes and certifications come to be. */
function gathered(shape: Shape): readonly Exchange[] {
  const says: Exchange["faulty"] = { says: "votes", to: [ALL] };
  const blocks = { lets: "blocks and votes", shapes: [shape], faulty: says } as const;
  const randomness = { lets: "randomness", shapes: [shape], faulty: null } as const;
  return [blocks, blocks, blocks, blocks, randomness, randomness, randomness].map((exchange, number) => ({
    ...exchange,
    untilNs: (BigInt(number + 1) * SECOND) / 20n,
  }));
}

/** In a slot: all that was held back; blocks of rank 0; votes; blocks of rank 1; what comes late. The shape that blocks of rank 0 meet stays until then. */
const exchangesOf = (votes: readonly Shape[]): readonly Exchange[] => [
  ...gathered(WHOLE),
  { lets: "blocks and votes", shapes: THREE, faulty: { says: "blocks", rank: 0 }, untilNs: 40n * SECOND },
  { lets: "blocks and votes", shapes: null, faulty: { says: "votes", to: votes }, untilNs: 61n * SECOND },
  { lets: "blocks and votes", shapes: null, faulty: { says: "blocks", rank: 1 }, untilNs: 3_000n * SECOND },
  { lets: "blocks and votes", shapes: THREE, faulty: null, untilNs: SLOT_NS },
];

const BYZANTINE_EXCHANGES = exchangesOf([NONE, ALL]);

/** Votes to any of the others, and not to the rest. */
const CHOOSY_EXCHANGES = exchangesOf(
  Array.from({ length: 8 }, (_, to) => [to & 1, (to >> 1) & 1, (to >> 2) & 1]),
);

/** Exchanges in which all that was held back comes. */
const GATHERED: number = gathered(WHOLE).length;

/** Everybody hears everybody; the faulty member says nothing but what it kept back. */
const calm = (exchanges: readonly Exchange[], shape: Shape): readonly Exchange[] =>
  exchanges.map(({ lets, untilNs }, number) => ({
    lets,
    shapes: [shape],
    faulty: number < GATHERED ? (exchanges[number]?.faulty ?? null) : null,
    untilNs,
  }));

export interface Depth {
  readonly slots: number;
  /** Slots that are not calm. */
  readonly stormsMax: number;
  /** Makers that heights after the first may have; all when left out. */
  readonly leaders?: readonly Leaders[];
}

export function byzantine(depth: Depth, firstLeaders: Leaders): ExplorationOptions {
  return {
    ...depth,
    calm: calm(BYZANTINE_EXCHANGES, WHOLE),
    places: [0, 1, 2],
    honest: [0, 1, 2],
    faulty: FAULTY,
    exchanges: BYZANTINE_EXCHANGES,
    firstLeaders,
  };
}

/** The same with a faulty member that gives its votes to some. */
export function choosy(depth: Depth, firstLeaders: Leaders): ExplorationOptions {
  return { ...byzantine(depth, firstLeaders), exchanges: CHOOSY_EXCHANGES };
}

/** Five places, whole or cut in two. */
const HALVES: readonly Shape[] = Array.from({ length: 16 }, (_, cut) =>
  Array.from({ length: 5 }, (_, place) => (place === 0 ? 0 : (cut >> (place - 1)) % 2)),
);

/** In a slot the subnet is whole or cut in two, whatever is held back comes when it can. */
const TWIN_EXCHANGES: readonly Exchange[] = [
  { lets: "all", shapes: HALVES, faulty: null, untilNs: SECOND / 2n },
  { lets: "blocks and votes", shapes: null, faulty: null, untilNs: 40n * SECOND },
  { lets: "blocks and votes", shapes: null, faulty: null, untilNs: 61n * SECOND },
  { lets: "blocks and votes", shapes: null, faulty: null, untilNs: 3_000n * SECOND },
  { lets: "blocks and votes", shapes: null, faulty: null, untilNs: SLOT_NS },
];

/** One member runs twice with the same keys, and each of the two does what an honest member would. */
export function twins(depth: Depth, firstLeaders: Leaders): ExplorationOptions {
  return {
    ...depth,
    calm: calm(TWIN_EXCHANGES, [0, 0, 0, 0, 0]),
    places: [0, 1, 2, FAULTY, FAULTY],
    honest: [0, 1, 2],
    faulty: null,
    exchanges: TWIN_EXCHANGES,
    firstLeaders,
  };
}

export function exploreFrom(options: ExplorationOptions): Explored {
  return new Exploration(options).run();
}
