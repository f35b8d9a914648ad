/** Reading and writing of the package's own layouts: fixed fields in order, big endian, nothing left over. */
import { BLS_ORDER, bigintFromBytes } from "../bls.ts";
import { SCALAR_BYTES } from "./curve.ts";

/** Thrown by `Reader` and caught by the decoder that made it. */
export class Malformed extends Error {}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A copy. */
  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Malformed(`ends at ${this.#bytes.length} bytes, within a field`);
    const out = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return out;
  }

  many(count: number, length: number): readonly Uint8Array[] {
    return Array.from({ length: count }, () => this.bytes(length));
  }

  /** From `min` to `max`, in `size` bytes. */
  integer(size: number, min: number, max: number, what: string): number {
    const value = Number(bigintFromBytes(this.bytes(size)));
    if (value < min || value > max) throw new Malformed(`${what} is ${value}, not from ${min} to ${max}`);
    return value;
  }

  scalar(): bigint {
    const value = bigintFromBytes(this.bytes(SCALAR_BYTES));
    if (value >= BLS_ORDER) throw new Malformed("a scalar is not below the order");
    return value;
  }

  scalars(count: number): readonly bigint[] {
    return Array.from({ length: count }, () => this.scalar());
  }

  end(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest > 0) throw new Malformed(`${rest} bytes follow the end`);
  }
}
