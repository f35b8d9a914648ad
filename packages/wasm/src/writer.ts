/** A growing byte buffer with the encodings of the Wasm binary format. */

export class Writer {
  #bytes: Uint8Array;
  /** Bytes written. */
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  #reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  clear(): void {
    this.length = 0;
  }

  u8(value: number): void {
    if (this.length >= this.#bytes.length) this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  /** Raw opcode bytes. */
  code(...bytes: readonly number[]): void {
    this.#reserve(bytes.length);
    for (const b of bytes) this.#bytes[this.length++] = b;
  }

  /** Unsigned LEB128 of a number below 2^32. */
  u32(value: number): void {
    this.#reserve(5);
    let v = value;
    while (v >= 0x80) {
      this.#bytes[this.length++] = (v & 0x7f) | 0x80;
      v >>>= 7;
    }
    this.#bytes[this.length++] = v;
  }

  /** Signed LEB128 of a safe integer. */
  signed(value: number): void {
    this.#reserve(10);
    let v = value;
    while (v !== (v | 0)) {
      const low = ((v % 128) + 128) % 128;
      v = (v - low) / 128;
      this.#bytes[this.length++] = low | 0x80;
    }
    // 32-bit arithmetic from here on.
    while (v < -0x40 || v >= 0x40) {
      this.#bytes[this.length++] = (v & 0x7f) | 0x80;
      v >>= 7;
    }
    this.#bytes[this.length++] = v & 0x7f;
  }

  /** An opcode and one unsigned operand. */
  op(opcode: number, operand: number): void {
    this.u8(opcode);
    this.u32(operand);
  }

  i32Const(value: number): void {
    this.u8(0x41);
    this.signed(value | 0);
  }

  i64Const(value: number): void {
    this.u8(0x42);
    this.signed(value);
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const n = end - start;
    this.#reserve(n);
    if (n < 16) {
      for (let i = start; i < end; i++) this.#bytes[this.length++] = source[i] as number;
    } else {
      this.#bytes.set(source.subarray(start, end), this.length);
      this.length += n;
    }
  }

  append(other: Writer): void {
    this.copy(other.#bytes, 0, other.length);
  }

  appendRange(other: Writer, start: number, end: number): void {
    this.copy(other.#bytes, start, end);
  }

  name(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u32(bytes.length);
    this.copy(bytes, 0, bytes.length);
  }

  /** A section: id, size, content. */
  section(id: number, content: Writer): void {
    this.u8(id);
    this.u32(content.length);
    this.append(content);
  }

  /** The bytes written so far, in place. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
