/**
 * Reads deterministic CBOR (RFC 8949 §4.2.1) piece by piece, as `CborWriter` writes it: whoever knows what comes takes it straight from the
 * bytes, without a value of the whole in between, and what is not in its shortest form is refused. A start reads every record of
 * a state this way.
 */
import { OrreryError, textAt } from "@orrery/base";

const NULL = 0xf6;
const FALSE = 0xf4;
const TRUE = 0xf5;
const U32 = 0x1_0000_0000;

export function recordInvalid(expected: string): OrreryError {
  return new OrreryError("record_invalid", `not a durable record of this version: expected ${expected}`);
}

export class CborReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Where the next item begins. */
  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** To an earlier place. */
  goBack(at: number): void {
    this.#at = at;
  }

  /** The bytes from a place up to here, which are the caller's to copy. */
  since(at: number): Uint8Array {
    return this.#bytes.subarray(at, this.#at);
  }

  /** Takes `expected` if it comes next. */
  takes(expected: Uint8Array): boolean {
    const { length } = expected;
    const at = this.#at;
    for (let i = 0; i < length; i++) if (this.#bytes[at + i] !== expected[i]) return false;
    this.#at = at + length;
    return true;
  }

  takesNull(): boolean {
    if (this.#bytes[this.#at] !== NULL) return false;
    this.#at++;
    return true;
  }

  bool(): boolean {
    const byte = this.#bytes[this.#at++];
    if (byte !== FALSE && byte !== TRUE) throw recordInvalid("a boolean");
    return byte === TRUE;
  }

  /** Kind of the next item (major type). */
  get major(): number {
    return (this.#bytes[this.#at] ?? 0xff) >> 5;
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.#length(2, "a byte string");
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  text(): string {
    const length = this.#length(3, "text");
    this.#at += length;
    const text = textAt(this.#bytes, this.#at - length, this.#at);
    if (text === null) throw recordInvalid("text in UTF-8");
    return text;
  }

  /** A safe integer of either sign. */
  integer(): number {
    const negative = this.major === 1;
    const value = this.#head(negative ? 1 : 0, "a safe integer");
    if (!Number.isSafeInteger(value) || (negative && value === Number.MAX_SAFE_INTEGER))
      throw recordInvalid("a safe integer");
    return negative ? -1 - (value as number) : (value as number);
  }

  /** Below 2^64, not negative. */
  unsigned(): bigint {
    return BigInt(this.#head(0, "an integer"));
  }

  /** Number of items that follow. */
  list(): number {
    return this.#length(4, "a list");
  }

  /** Number of keys that follow, each with its value. */
  map(): number {
    return this.#length(5, "a map");
  }

  /** Passes over one item, whatever it is; what is in it is not looked at. */
  skip(): void {
    for (let left = 1; left > 0; left--) {
      const { major } = this;
      if (major > 5) {
        if (!this.takesNull()) this.bool();
        continue;
      }
      const value = this.#head(major, "an item");
      if (major < 2) continue;
      const count = this.#bounded(value, "an item");
      if (major < 4) this.#at += count;
      else left += major === 4 ? count : 2 * count;
    }
  }

  #length(major: number, what: string): number {
    return this.#bounded(this.#head(major, what), what);
  }

  /** A length that the rest can hold: every item has a byte. */
  #bounded(length: number | bigint, what: string): number {
    if (length > this.#bytes.length - this.#at) throw recordInvalid(`${what} within the record`);
    return length as number;
  }

  #head(major: number, what: string): number | bigint {
    const bytes = this.#bytes;
    const initial = bytes[this.#at];
    if (initial === undefined || initial >> 5 !== major) throw recordInvalid(what);
    this.#at++;
    const info = initial & 31;
    if (info < 24) return info;
    if (info > 27) throw recordInvalid(what);
    const size = 1 << (info - 24);
    const end = this.#at + size;
    if (end > bytes.length) throw recordInvalid(`${what} within the record`);
    let value = 0;
    for (const last = Math.min(end, this.#at + 4); this.#at < last; this.#at++)
      value = value * 256 + (bytes[this.#at] as number);
    const least = size === 1 ? 24 : size === 2 ? 0x100 : size === 4 ? 0x1_0000 : 1;
    if (value < least) throw recordInvalid(`${what} in its shortest form`);
    if (size < 8) return value;
    let low = 0;
    for (; this.#at < end; this.#at++) low = low * 256 + (bytes[this.#at] as number);
    const wide = value * U32 + low;
    return Number.isSafeInteger(wide) ? wide : (BigInt(value) << 32n) | BigInt(low);
  }
}
