/**
 * Writes deterministic CBOR (RFC 8949 §4.2.1) straight into a growing buffer: what `encodeCborBare` yields, without building the
 * value first. Checkpoints encode every changed record on the execution thread, so its speed is part of a round's pause.
 */
import { compareBytes, utf8 } from "@orrery/base";

const BYTES_INITIAL = 1024;
/** Byte strings from this length, messages mostly, are not copied before the whole is put together: a canister's queues may hold gigabytes. */
const LONG_BYTES_MIN: number = 64 * 1024;
const U32 = 0x1_0000_0000;

export class CborWriter {
  #buffer = new Uint8Array(BYTES_INITIAL);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  /** Long byte strings, each with the length of the buffer before it. */
  #long: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  /** A copy of what was written; the writer is empty afterwards and can be used again. */
  finish(): Uint8Array {
    const out = this.#long.length === 0 ? this.#buffer.slice(0, this.#length) : this.#joined();
    this.#length = 0;
    this.#long = [];
    return out;
  }

  #joined(): Uint8Array {
    const out = new Uint8Array(this.#long.reduce((sum, { bytes }) => sum + bytes.length, this.#length));
    let [from, to] = [0, 0];
    for (const { at, bytes } of this.#long) {
      out.set(this.#buffer.subarray(from, at), to);
      out.set(bytes, to + at - from);
      to += at - from + bytes.length;
      from = at;
    }
    out.set(this.#buffer.subarray(from, this.#length), to);
    return out;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  bytes(value: Uint8Array): void {
    this.#head(2, value.length);
    if (value.length < LONG_BYTES_MIN) this.raw(value);
    else this.#long.push({ at: this.#length, bytes: value });
  }

  text(value: string): void {
    const { length } = value;
    if (length < 24) {
      // Short ASCII text, the common case, without a detour through an encoder.
      this.#reserve(length + 1);
      const start = this.#length;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        this.#buffer[start + 1 + i] = code;
      }
      if (i === length) {
        this.#buffer[start] = 0x60 | length;
        this.#length += length + 1;
        return;
      }
    }
    const encoded = utf8(value);
    this.#head(3, encoded.length);
    this.raw(encoded);
  }

  /** A safe integer of either sign. */
  integer(value: number): void {
    if (value >= 0) this.#head(0, value);
    else this.#head(1, -1 - value);
  }

  /** Below 2^64, not negative. */
  unsigned(value: bigint): void {
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) {
      this.#head(0, Number(value));
      return;
    }
    this.#reserve(9);
    this.#buffer[this.#length] = 0x1b;
    this.#view.setBigUint64(this.#length + 1, value);
    this.#length += 9;
  }

  bool(value: boolean): void {
    this.#byte(value ? 0xf5 : 0xf4);
  }

  null(): void {
    this.#byte(0xf6);
  }

  list(length: number): void {
    this.#head(4, length);
  }

  /** Followed by that many keys, in the order of `sortedKeys`, each with its value. */
  map(entries: number): void {
    this.#head(5, entries);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #head(major: number, value: number): void {
    this.#reserve(9);
    const at = this.#length;
    const type = major << 5;
    if (value < 24) {
      this.#buffer[at] = type | value;
      this.#length = at + 1;
    } else if (value < 0x100) {
      this.#buffer[at] = type | 24;
      this.#buffer[at + 1] = value;
      this.#length = at + 2;
    } else if (value < 0x1_0000) {
      this.#buffer[at] = type | 25;
      this.#view.setUint16(at + 1, value);
      this.#length = at + 3;
    } else if (value < U32) {
      this.#buffer[at] = type | 26;
      this.#view.setUint32(at + 1, value);
      this.#length = at + 5;
    } else {
      this.#buffer[at] = type | 27;
      this.#view.setUint32(at + 1, Math.floor(value / U32));
      this.#view.setUint32(at + 5, value % U32);
      this.#length = at + 9;
    }
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Each key with its encoding, in the order of the encodings' bytes. */
export function sortedKeys(keys: Iterable<string>): { readonly key: string; readonly encoded: Uint8Array }[] {
  const writer = new CborWriter();
  const out: { key: string; encoded: Uint8Array }[] = [];
  for (const key of keys) {
    writer.text(key);
    out.push({ key, encoded: writer.finish() });
  }
  return out.sort((a, b) => compareBytes(a.encoded, b.encoded));
}
