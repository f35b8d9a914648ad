/**
 * This member's own states against what quorums say of them: roots against certifications, whole states against catch-up packages,
 * whichever comes first. Invariant: of a state that differs nothing is used, from its height on, until another one took its place.
 */
import { equalBytes, type Height } from "@orrery/base";

/** Packages whose state this member has not come to yet: it goes on from a package that is further ahead. */
const PACKAGES_MAX = 4;

export class OwnStates {
  #executed: Height;
  /** Root hashes of states that are not certified yet. */
  readonly #roots = new Map<Height, Uint8Array>();
  /** Hashes of whole states that no package has yet. */
  readonly #wholes = new Map<Height, Uint8Array>();
  /** Hashes of whole states that packages have and this member has not computed yet. */
  readonly #packages = new Map<Height, Uint8Array>();
  #divergedAt: Height | null = null;

  constructor(executed: Height) {
    this.#executed = executed;
  }

  /** Of the newest state that can be used. */
  get height(): Height {
    return this.#divergedAt === null ? this.#executed : Math.min(this.#executed, this.#divergedAt - 1);
  }

  get isDiverged(): boolean {
    return this.#divergedAt !== null;
  }

  /** Hashes of whole states that have no package yet, by height. */
  get wholes(): ReadonlyMap<Height, Uint8Array> {
    return this.#wholes;
  }

  /** False when a quorum certified another root. `certified`: its root, where it is known. */
  execute(height: Height, root: Uint8Array, certified: Uint8Array | null): boolean {
    this.#executed = Math.max(this.#executed, height);
    if (certified === null) {
      this.#roots.set(height, root);
      return true;
    }
    return this.#compare(height, root, certified);
  }

  /** False when this member computed another root. */
  certify(height: Height, certified: Uint8Array): boolean {
    const root = this.#roots.get(height);
    for (const each of [...this.#roots.keys()]) if (each <= height) this.#roots.delete(each);
    return root === undefined || this.#compare(height, root, certified);
  }

  /** False when a package has another state. */
  checkpoint(height: Height, hash: Uint8Array, catchUpHeight: Height): boolean {
    const expected = this.#packages.get(height);
    if (expected !== undefined) {
      this.#packages.delete(height);
      return this.#compare(height, hash, expected);
    }
    if (height > catchUpHeight) this.#wholes.set(height, hash);
    return true;
  }

  /** False when this member computed another state. */
  package(height: Height, hash: Uint8Array): boolean {
    const own = this.#wholes.get(height);
    for (const each of [...this.#wholes.keys()]) if (each <= height) this.#wholes.delete(each);
    if (own !== undefined) return this.#compare(height, own, hash);
    this.#packages.set(height, hash);
    if (this.#packages.size > PACKAGES_MAX) this.#packages.delete(Math.min(...this.#packages.keys()));
    return true;
  }

  /** The state of a package took the place of what was here. */
  adopt(height: Height): void {
    this.#executed = height;
    this.#divergedAt = null;
    this.#roots.clear();
    this.#wholes.clear();
    this.#packages.clear();
  }

  #compare(height: Height, own: Uint8Array, others: Uint8Array): boolean {
    if (equalBytes(own, others)) return true;
    this.#divergedAt = Math.min(this.#divergedAt ?? height, height);
    return false;
  }
}
