/**
 * Checkpoint files before the current chain, by what their headers say: which of them states of the past still need. Nothing that a node
 * runs on depends on them.
 */
import { type Height, OrreryError } from "@orrery/base";
import { CHECKPOINT_PREFIX, type CheckpointHeader, readFrames } from "./checkpoint-format.ts";
import { checkpointFileName } from "./checkpoint-manifest.ts";
import type { Disk } from "./disk.ts";
import { numberOf } from "./durable-format.ts";

/** Enough for a file's header. */
const HEADER_WINDOW_BYTES = 512;

/** Null for a file that is gone or is not what its name says. */
export function readCheckpointHeader(
  disk: Disk,
  generation: number,
  network: Uint8Array,
): CheckpointHeader | null {
  const name = checkpointFileName(generation);
  try {
    const file = disk.open(name, { create: false });
    try {
      const { header } = readFrames(name, file, network, { windowBytes: HEADER_WINDOW_BYTES });
      return header.generation === generation ? header : null;
    } finally {
      file.close();
    }
  } catch (cause) {
    const isGone = cause instanceof OrreryError && ["file_missing", "store_corrupt"].includes(cause.code);
    if (isGone) return null;
    throw cause;
  }
}

export class FormerCheckpoints {
  readonly #disk: Disk;
  readonly #network: Uint8Array;
  /** Of whole files only, and never of one after the current chain: what a crash left there goes, and its number is given again. */
  readonly #headers = new Map<number, CheckpointHeader>();

  constructor(disk: Disk, network: Uint8Array) {
    this.#disk = disk;
    this.#network = network;
  }

  /** Of the files before generation `before`, those that states from height `from` on begin with. */
  needed(options: { readonly before: number; readonly from: Height }): ReadonlySet<number> {
    const { before, from } = options;
    const base = this.#header(before);
    if (base === null || base.height <= from) return new Set();
    const headers = this.#disk.list().flatMap((name) => {
      const generation = numberOf(CHECKPOINT_PREFIX, name);
      const header = generation === null || generation >= before ? null : this.#header(generation);
      return header === null ? [] : [header];
    });
    const first = headers.filter(({ height }) => height <= from).at(-1)?.generation ?? 0;
    const needed = new Set<number>();
    for (const { generation } of headers.filter((one) => one.generation >= first)) {
      for (let at = generation; at > 0 && !needed.has(at); at = this.#header(at)?.parent ?? 0) needed.add(at);
    }
    return needed;
  }

  /**
   * Height of the newest file at or below `height`, 0 when there is none: states from there on are made again from it. `newest` is the
   * current chain's last: a file after it is no checkpoint.
   */
  heightBelow(height: Height, { newest }: { readonly newest: number }): Height {
    const heights = this.#disk.list().map((name) => {
      const generation = numberOf(CHECKPOINT_PREFIX, name);
      const header = generation === null || generation > newest ? null : this.#header(generation);
      return header === null || header.height > height ? 0 : header.height;
    });
    return Math.max(0, ...heights);
  }

  #header(generation: number): CheckpointHeader | null {
    const known = this.#headers.get(generation);
    if (known !== undefined) return known;
    const header = readCheckpointHeader(this.#disk, generation, this.#network);
    if (header !== null) this.#headers.set(generation, header);
    return header;
  }
}
