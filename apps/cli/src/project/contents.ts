/** What files hold, to tell a change from a file that is written anew with what it held. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";

/** Larger files are not read to see whether they are the same. */
const COMPARED_BYTES_MAX = 104_857_600;
const PIECE_BYTES = 1_048_576;

/** Null: there is more than is read. */
function hashOf(path: string): string | null {
  const hash = createHash("sha256");
  const piece = new Uint8Array(PIECE_BYTES);
  const fd = openSync(path, "r");
  try {
    // Not what its size says: it may be written to meanwhile.
    for (let bytes = 0; bytes <= COMPARED_BYTES_MAX; ) {
      const read = readSync(fd, piece);
      if (read === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, read));
      bytes += read;
    }
    return null;
  } finally {
    closeSync(fd);
  }
}

/** Null: cannot be told, which always counts as a change. */
function fingerprint(path: string): string | null {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return "folder";
    return stat.size > COMPARED_BYTES_MAX ? null : hashOf(path);
  } catch {
    return "absent";
  }
}

export class Contents {
  readonly #known = new Map<string, string | null>();
  readonly #touched = new Set<string>();

  /** Looks at a path for the first time. */
  note(path: string): void {
    this.#known.set(path, fingerprint(path));
  }

  /** Something happened to it. */
  touch(path: string): void {
    this.#touched.add(path);
  }

  /** Whether anything that was touched holds something else than when it was last looked at; looks at it. */
  hasChanged(): boolean {
    let changed = false;
    for (const path of this.#touched) {
      const now = fingerprint(path);
      if (now === null || now !== this.#known.get(path)) changed = true;
      this.#known.set(path, now);
    }
    this.#touched.clear();
    return changed;
  }
}
