/**
 * What this member publishes, until it takes it back. Shares help nobody once a quorum is past their height; shares of catch-up packages
 * once the package is there; wholes once they are well behind a package.
 */
import type { Height } from "@orrery/base";
import { type Artifact, artifactId, heightOf } from "./artifacts.ts";

type ByHeight = Map<Height, string[]>;

export class Publications {
  readonly #shares: ByHeight = new Map();
  readonly #catchUpShares: ByHeight = new Map();
  readonly #wholes: ByHeight = new Map();

  get count(): number {
    return [this.#shares, this.#catchUpShares, this.#wholes]
      .flatMap((ids) => [...ids.values()])
      .reduce((sum, { length }) => sum + length, 0);
  }

  add(artifact: Artifact): void {
    const { kind } = artifact;
    const isShare = kind.endsWith("_share");
    const into = kind === "catch_up_share" ? this.#catchUpShares : isShare ? this.#shares : this.#wholes;
    const height = heightOf(artifact);
    into.set(height, [...(into.get(height) ?? []), artifactId(artifact)]);
  }

  takeShares(past: Height): readonly string[] {
    return take(this.#shares, past);
  }

  takeCatchUpShares(past: Height): readonly string[] {
    return take(this.#catchUpShares, past);
  }

  /** A whole that is needed no more. */
  take(height: Height, id: string): boolean {
    const ids = this.#wholes.get(height);
    const at = ids?.indexOf(id) ?? -1;
    if (at >= 0) ids?.splice(at, 1);
    return at >= 0;
  }

  takeBelow(height: Height): readonly string[] {
    return take(this.#wholes, height - 1);
  }
}

const NOTHING: readonly string[] = [];

function take(all: ByHeight, last: Height): readonly string[] {
  const heights: Height[] = [];
  for (const height of all.keys()) if (height <= last) heights.push(height);
  // Mostly there are none: this is asked at every step.
  if (heights.length === 0) return NOTHING;
  const ids = heights.flatMap((height) => all.get(height) ?? []);
  for (const height of heights) all.delete(height);
  return ids;
}
