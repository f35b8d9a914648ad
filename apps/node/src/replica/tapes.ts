/**
 * Whether the tapes of blocks that peers told are right, before anything is executed with them: by the key of the interval in which each
 * is, which the summary block that began the interval names. The key changes with every interval, so that a node that was away takes those
 * of the past from the blocks themselves, in their order, each of which the one above it names.
 */
import type { Height, SubnetId } from "@orrery/base";
import { decodeFinalizedBlock } from "@orrery/consensus";
import { publicKeyIn } from "@orrery/consensus/keys";
import { decodeSummary, type Epoch, type Summary, thresholdContent } from "@orrery/consensus/member";

/** A log that does not have a block then does not have it. */
const ASKED_MAX = 20;
const NOTHING: Uint8Array = new Uint8Array(0);

export interface TapesOptions {
  readonly subnetId: SubnetId;
  /** BLS. */
  readonly verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
  /** Of the interval that the genesis begins. */
  readonly first: { readonly epoch: Epoch; readonly length: number };
  /** The key of a transcript; `publicKeyIn` by default. */
  readonly keyIn?: (transcript: Uint8Array) => Uint8Array;
  /** Of this node's own log: the block of a height and those below it, as many as fit. */
  readonly blocks: (from: Height) => Promise<readonly Uint8Array[]>;
}

interface Interval {
  readonly start: Height;
  readonly end: Height;
  readonly publicKey: Uint8Array;
}

export class Tapes {
  readonly #options: TapesOptions;
  /** The one that is judged by now. */
  #interval: Interval | null = null;

  constructor(options: TapesOptions) {
    this.#options = options;
  }

  /** Of the interval in which the block after the tip of this node's own log is, or which that block begins. */
  async beginAfter(tip: Height): Promise<void> {
    this.#interval = null;
    for (let from = tip; from > 0; ) {
      const records = await this.#blocks(from);
      for (const record of records) {
        const { height, payload } = decodeFinalizedBlock(record).proposal.block;
        if (payload.summary === undefined) continue;
        this.learn(height, decodeSummary(payload.summary));
        return;
      }
      // The log does not reach as far back.
      if (records.length === 0) return;
      from -= records.length;
    }
    const { epoch, length } = this.#options.first;
    this.#begin(0, length, epoch);
  }

  /** What was just made is in the log after the commit under way: the next answers come after that. */
  async #blocks(from: Height): Promise<readonly Uint8Array[]> {
    for (let asked = 1; ; asked++) {
      const records = await this.#options.blocks(from);
      if (records.length > 0 || asked === ASKED_MAX) return records;
    }
  }

  /** A summary block comes next: the interval that it begins is its own first height's. */
  learn(start: Height, { length, current }: Pick<Summary, "length" | "current">): void {
    this.#begin(start, length, current);
  }

  /** Null where nobody said with which keys the height runs. */
  isRight(height: Height, tape: Uint8Array): boolean | null {
    const interval = this.#interval;
    if (interval === null || height < interval.start || height >= interval.end) return null;
    const { subnetId, verify } = this.#options;
    return verify(interval.publicKey, thresholdContent("tape", subnetId, height, NOTHING), tape);
  }

  #begin(start: Height, length: number, { transcripts }: Epoch): void {
    const { keyIn = publicKeyIn } = this.#options;
    this.#interval = { start, end: start + length, publicKey: keyIn(transcripts.low) };
  }
}
