/** Part of the oracle (tests only). A plain reader of valid Wasm binaries: bytes, LEB128 numbers, names. */

export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  byte(): number {
    const value = this.bytes[this.at];
    if (value === undefined || this.at >= this.end) throw new Error(`end of bytes at ${this.at}`);
    this.at++;
    return value;
  }

  /** Unsigned LEB128 that fits in a number. */
  unsigned(): number {
    return Number(this.unsignedBig());
  }

  unsignedBig(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  signedBig(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return BigInt.asIntN(Number(shift), value);
    }
  }

  slice(length: number): Uint8Array {
    if (this.at + length > this.end) throw new Error(`end of bytes at ${this.at}`);
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }

  name(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.slice(this.unsigned()));
  }

  list<T>(read: (index: number) => T): T[] {
    const items: T[] = [];
    for (let n = this.unsigned(), i = 0; i < n; i++) items.push(read(i));
    return items;
  }
}
