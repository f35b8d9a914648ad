/**
 * Which heights of a subnet of several nodes are shown here: those that are durable, executed and certified. Certifications come for most
 * heights and in any order; the newest that can be shown brings the heights below it along. Invariant: what is shown has the root hash that
 * the subnet certified and that this node came to.
 */
import { equalBytes, type Height, type PrincipalKey, type TimeNs } from "@orrery/base";
import type { ThresholdSignature } from "@orrery/consensus/member";

/** What came of a block here. */
export interface Executed {
  readonly rootHash: Uint8Array;
  /** Request ids that became terminal. */
  readonly answered: readonly string[];
  /** Subnets whose stream changed. */
  readonly streams: readonly PrincipalKey[];
}

export interface Publication {
  readonly height: Height;
  readonly signature: Uint8Array;
  /** Of the heights that are shown now and were not before. */
  readonly answered: readonly string[];
  readonly streams: readonly PrincipalKey[];
}

export type Due =
  | ({ readonly kind: "publish" } & Publication)
  | { readonly kind: "nothing" }
  /** This node's state is not the one that was certified. */
  | { readonly kind: "diverged"; readonly height: Height };

export class Publications {
  readonly #times = new Map<Height, TimeNs>();
  readonly #executed = new Map<Height, Executed>();
  readonly #certified = new Map<Height, ThresholdSignature>();
  /** Durable and executed. */
  #ready: Height;
  #published: Height | null = null;
  #time: TimeNs;

  constructor(tip: { readonly height: Height; readonly time: TimeNs }) {
    this.#ready = tip.height;
    this.#time = tip.time;
    this.#times.set(tip.height, tip.time);
  }

  /** Null before the first. */
  get height(): Height | null {
    return this.#published;
  }

  /** Of the block of the newest publication. */
  get time(): TimeNs {
    return this.#time;
  }

  onDelivered(height: Height, time: TimeNs): void {
    this.#times.set(height, time);
  }

  onExecuted(height: Height, executed: Executed): void {
    this.#executed.set(height, executed);
  }

  onCertified(certification: ThresholdSignature): void {
    const { height } = certification;
    if (this.#published === null || height > this.#published) this.#certified.set(height, certification);
  }

  onReady(heights: readonly Height[]): void {
    this.#ready = Math.max(this.#ready, ...heights);
  }

  /** What is to be shown now, once. */
  take(): Due {
    const candidates = [...this.#certified.values()].filter(({ height }) => height <= this.#ready);
    const newest = candidates.sort((a, b) => b.height - a.height)[0];
    if (newest === undefined) return { kind: "nothing" };
    const { height, content, signature } = newest;
    const own = this.#executed.get(height);
    if (own === undefined) return { kind: "nothing" };
    if (!equalBytes(own.rootHash, content)) return { kind: "diverged", height };
    const shown = [...this.#executed].filter(([at]) => at <= height).sort(([a], [b]) => a - b);
    this.#published = height;
    this.#time = this.#times.get(height) ?? this.#time;
    for (const map of [this.#times, this.#executed, this.#certified])
      for (const at of map.keys()) if (at <= height) map.delete(at);
    return {
      kind: "publish",
      height,
      signature,
      answered: shown.flatMap(([, { answered }]) => answered),
      streams: [...new Set(shown.flatMap(([, { streams }]) => streams))],
    };
  }
}
