/**
 * Messages between the subnets of a node: which slice of whose stream goes into whose next block. A pair of subnets has one slice
 * under way at a time: asked for, verified and waiting, or in a block that is not published yet. It is asked for again when the
 * source publishes a change of its stream, and when the destination has published what it took. Nothing else happens: streams at
 * rest make no blocks.
 */
import {
  assert,
  type Height,
  OrreryError,
  type PrincipalKey,
  principalKey,
  type SubnetId,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import type { SubnetInfo } from "@orrery/state";
import type { SubnetIndex } from "./protocol.ts";

export interface SlicesOptions {
  readonly subnets: readonly Pick<SubnetInfo, "subnetId">[];
  /** Those that the node is one of; all by default. Slices go to them alone. */
  readonly hosted?: readonly SubnetIndex[];
  /** From published states: the slice of `source` that `destination` should take next, verified. */
  readonly cut: (source: SubnetIndex, destination: SubnetIndex) => Promise<Cut>;
  /** There is something for the subnet's next block. */
  readonly wake: (destination: SubnetIndex) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Null: there is nothing new. `later`: the destination's state is behind what the source has of it. */
export type Cut = Uint8Array | null | "later";

/**
 * A cut at one of several nodes: its own state of a subnet may be behind the one that others of the subnet sent messages from, and
 * then what was answered does not fit yet.
 */
export async function orLater(cut: Promise<Uint8Array | null> | undefined): Promise<Cut | undefined> {
  try {
    return await cut;
  } catch (error) {
    if (error instanceof OrreryError && error.code === "slice_invalid") return "later";
    throw error;
  }
}

type Under =
  | { readonly kind: "nothing" }
  /** `again`: something changed since it was asked for. */
  | { readonly kind: "asked"; again: boolean }
  | { readonly kind: "waiting"; readonly slice: Uint8Array }
  | { readonly kind: "placed"; readonly height: Height };

const NOTHING: Under = { kind: "nothing" };

export class Slices {
  readonly #options: SlicesOptions;
  /** Ids of the network's subnets, by place. */
  readonly #ids: SubnetId[];
  readonly #places: Map<PrincipalKey, SubnetIndex>;
  /** By destination, then by source. */
  readonly #under: ReadonlyMap<SubnetIndex, Under[]>;
  /** Destinations whose state was behind. */
  readonly #behind = new Set<SubnetIndex>();

  constructor(options: SlicesOptions) {
    this.#options = options;
    this.#ids = options.subnets.map(({ subnetId }) => subnetId);
    this.#places = new Map(options.subnets.map(({ subnetId }, place) => [principalKey(subnetId), place]));
    const hosted = options.hosted ?? [...options.subnets.keys()];
    this.#under = new Map(hosted.map((subnet) => [subnet, options.subnets.map(() => NOTHING)]));
  }

  /** Subnets that came to the network, in the order of their places; some may be known. */
  grow(created: readonly { readonly place: SubnetIndex; readonly subnetId: SubnetId }[]): void {
    for (const { place, subnetId } of created) {
      if (place !== this.#ids.length) continue;
      this.#ids.push(subnetId);
      this.#places.set(principalKey(subnetId), place);
      for (const row of this.#under.values()) row.push(NOTHING);
    }
  }

  /** States from before the start may hold messages that nobody has taken. */
  begin(): void {
    for (const destination of this.#under.keys()) {
      for (const source of this.#ids.keys()) this.#ask(source, destination);
    }
  }

  /** Somebody says that there is something in the stream of a subnet that is not this node's. */
  told(source: SubnetIndex, destination: SubnetIndex): void {
    this.#ask(source, destination);
  }

  /** Slices waiting for the subnet's next block. */
  waiting(destination: SubnetIndex): number {
    return this.#row(destination).filter(({ kind }) => kind === "waiting").length;
  }

  /** For the block at `height`: as much as it holds, and another source first in every block. The rest goes on waiting. */
  take(destination: SubnetIndex, height: Height): readonly Uint8Array[] {
    const row = this.#row(destination);
    const taken: Uint8Array[] = [];
    let bytes = 0;
    for (const i of row.keys()) {
      const source = (height + i) % row.length;
      const under = row[source];
      if (under?.kind !== "waiting" || bytes + under.slice.length > XNET_BYTES_PER_BLOCK_MAX) continue;
      bytes += under.slice.length;
      taken.push(under.slice);
      row[source] = { kind: "placed", height };
    }
    return taken;
  }

  /** What waits for the subnet's next block and goes on waiting until a block has it: several nodes offer the same. */
  offers(destination: SubnetIndex): readonly { readonly source: PrincipalKey; readonly slice: Uint8Array }[] {
    return this.#row(destination).flatMap((under, source) =>
      under.kind === "waiting"
        ? [{ source: principalKey(this.#ids[source] as SubnetId), slice: under.slice }]
        : [],
    );
  }

  /** The block at `height` has slices of these subnets, whoever offered them. */
  ordered(destination: SubnetIndex, height: Height, sources: readonly PrincipalKey[]): void {
    for (const key of sources) {
      const source = this.#places.get(key);
      if (source !== undefined) this.#row(destination)[source] = { kind: "placed", height };
    }
  }

  /** A height was published in which the streams to these subnets changed. */
  published(subnet: SubnetIndex, height: Height, streams: readonly PrincipalKey[]): void {
    for (const [source, under] of this.#row(subnet).entries()) {
      if (under.kind !== "placed" || under.height > height) continue;
      this.#row(subnet)[source] = NOTHING;
      this.#ask(source, subnet);
    }
    if (this.#behind.delete(subnet)) for (const source of this.#ids.keys()) this.#ask(source, subnet);
    for (const key of streams) {
      const destination = this.#places.get(key);
      if (destination !== undefined && this.#under.has(destination)) this.#ask(subnet, destination);
    }
  }

  #row(destination: SubnetIndex): Under[] {
    const row = this.#under.get(destination);
    assert(row !== undefined, "slices go to subnets of this node");
    return row;
  }

  #ask(source: SubnetIndex, destination: SubnetIndex): void {
    if (source === destination) return;
    const row = this.#row(destination);
    const under = row[source] as Under;
    if (under.kind === "asked") under.again = true;
    // What waits is taken first, and what was placed is published first: both ask again.
    if (under.kind !== "nothing") return;
    const asked: Under = { kind: "asked", again: false };
    row[source] = asked;
    this.#options.cut(source, destination).then((slice) => {
      // A block had another one meanwhile: what comes after it is asked for once that is published.
      if (row[source] !== asked) return;
      row[source] = NOTHING;
      if (slice === "later") this.#behind.add(destination);
      else if (slice !== null) this.#accept(source, destination, slice);
      else if (asked.again) this.#ask(source, destination);
    }, this.#options.onFailure);
  }

  #accept(source: SubnetIndex, destination: SubnetIndex, slice: Uint8Array): void {
    this.#row(destination)[source] = { kind: "waiting", slice };
    this.#options.wake(destination);
  }
}
