/**
 * Hashes of pages by where they stand in the checkpoint files of one store: what stands there never changes, so that descriptions of one
 * checkpoint after another hash what was written between them, whichever arena each is read into.
 */
import type { PageLocation } from "../cold-pages.ts";

const HASH_BYTES = 32;
const FIRST_HASHES = 1_024;

/** Of one file. */
class FileHashes {
  readonly #places = new Map<number, number>();
  #hashes: Uint8Array = new Uint8Array(FIRST_HASHES * HASH_BYTES);
  #sums: Uint32Array = new Uint32Array(FIRST_HASHES);

  find({ unit, sum }: PageLocation): Uint8Array | null {
    const place = this.#places.get(unit);
    if (place === undefined || this.#sums[place] !== sum) return null;
    return this.#hashes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
  }

  keep({ unit, sum }: PageLocation, hash: Uint8Array): void {
    const place = this.#places.get(unit) ?? this.#places.size;
    if (place === this.#sums.length) this.#grow();
    this.#places.set(unit, place);
    this.#sums[place] = sum;
    this.#hashes.set(hash, place * HASH_BYTES);
  }

  #grow(): void {
    const [hashes, sums] = [this.#hashes, this.#sums];
    this.#hashes = new Uint8Array(2 * hashes.length);
    this.#hashes.set(hashes);
    this.#sums = new Uint32Array(2 * sums.length);
    this.#sums.set(sums);
  }
}

export class StoredPageHashes {
  #files = new Map<number, FileHashes>();
  /** Files that the description under way has pages of. */
  #used = new Map<number, FileHashes>();

  find(location: PageLocation): Uint8Array | null {
    return this.#file(location.generation).find(location);
  }

  keep(location: PageLocation, hash: Uint8Array): void {
    this.#file(location.generation).keep(location, hash);
  }

  /** A description is whole: files that it has no page of are superseded, or will be. */
  described(): void {
    this.#files = this.#used;
    this.#used = new Map();
  }

  #file(generation: number): FileHashes {
    const file = this.#used.get(generation) ?? this.#files.get(generation) ?? new FileHashes();
    this.#used.set(generation, file);
    return file;
  }
}
