/** Bytes that arrive in pieces, in one growing array: a million pieces of one byte cost a megabyte, not a million objects. */

const FIRST_CAPACITY = 256;
/** Most buffers stay empty. */
const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0);

export class ByteBuffer {
  #bytes: Uint8Array<ArrayBuffer> = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(part: Uint8Array): void {
    const needed = this.#length + part.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, FIRST_CAPACITY, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.#length);
    this.#length = needed;
  }

  /** A copy of what was appended. */
  take(): Uint8Array {
    if (this.#length === 0) return EMPTY;
    return this.#bytes.slice(0, this.#length);
  }
}
