/**
 * How much blocks may order from one catch-up height to the next. Members offer every block to each other, and keep it, until the next
 * catch-up package: without a bound, what clients send in one interval would fill the channel of artifacts, and the subnet would stand
 * still for good. The room grows with each height, so that a subnet that is flooded orders less and never nothing. A function of the
 * chain, of which every member comes to the same: a maker who takes more is refused.
 */
import {
  assert,
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  type Height,
  RESPONSE_BYTES_PER_BLOCK_MAX,
  responseWeight,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import type { PayloadContext } from "@orrery/consensus/member";

export type Section = "ingress" | "xnet" | "responses";

const MIB = 1024 * 1024;

/** Of an interval, beside what one block may have at once. */
const BYTES_PER_INTERVAL_MAX: Readonly<Record<Section, number>> = {
  ingress: 128 * MIB,
  xnet: 64 * MIB,
  responses: 32 * MIB,
};
const BYTES_AT_ONCE: Readonly<Record<Section, number>> = {
  ingress: BLOCK_PAYLOAD_BYTES_MAX,
  xnet: XNET_BYTES_PER_BLOCK_MAX,
  responses: RESPONSE_BYTES_PER_BLOCK_MAX,
};
/** In which a height is: those whose blocks are judged are known. */
export type IntervalOf = (height: Height) => { readonly start: Height; readonly length: number } | null;

/** Intervals may be shorter, but then no more comes with a height. */
const HEIGHTS_MIN = 500;

type Sizes = Readonly<Record<Section, number>>;

function sizesOf({ ingress, xnet = [], responses = [] }: BlockPayload): Sizes {
  const sum = (list: readonly Uint8Array[]): number => list.reduce((bytes, { length }) => bytes + length, 0);
  const answers = responses.reduce((bytes, response) => bytes + responseWeight(response), 0);
  return { ingress: sum(ingress), xnet: sum(xnet), responses: answers };
}

export class OrderedBytes {
  readonly #intervalOf: IntervalOf;
  /** Of final blocks of the interval under way. */
  readonly #final = new Map<Height, Sizes>();

  constructor(intervalOf: IntervalOf) {
    this.#intervalOf = intervalOf;
  }

  /** A final block; each height above the newest catch-up package is told, some twice. */
  add(height: Height, payload: BlockPayload): void {
    this.#final.set(height, sizesOf(payload));
    const begin = this.#intervalOf(height)?.start ?? 0;
    for (const each of this.#final.keys()) if (each <= begin) this.#final.delete(each);
  }

  /** Bytes that the section of a block in this place may have. */
  left(section: Section, { height, certifiedHeight, past }: Omit<PayloadContext, "time">): number {
    // What comes with the catch-up height below is of the interval before.
    const interval = this.#intervalOf(height - 1);
    assert(interval !== null, `the interval below block ${height} is known`);
    const { start: begin, length } = interval;
    let used = 0;
    for (const [at, sizes] of this.#final) if (at > begin && at <= certifiedHeight) used += sizes[section];
    for (const [i, payload] of past.entries()) if (height - 1 - i > begin) used += sizesOf(payload)[section];
    const grown = (BYTES_PER_INTERVAL_MAX[section] * (height - begin)) / Math.max(HEIGHTS_MIN, length);
    return Math.max(0, BYTES_AT_ONCE[section] + Math.floor(grown) - used);
  }
}
