/**
 * A bounded reader of Wasm binaries. Every read checks its bounds and the strict LEB128 rules (no encoding longer than its
 * type allows, no stray high bits); anything else throws `InvalidModule`, the only error the decoder ever throws.
 */
import type { WasmValidationError, WasmValidationKind } from "./types.ts";

/** Limits of the replica's engine that this one does not have: bytes of an imported or exported name, element segments. */
const NAME_BYTES_MAX = 100_000;
export const ELEMENT_SEGMENTS_MAX = 100_000;

/** A module that is not acceptable. Thrown inside this package; callers get its `reason` in a `Result`. */
export class InvalidModule extends Error {
  readonly reason: WasmValidationError;

  constructor(kind: WasmValidationKind, message: string) {
    super(message);
    this.name = "InvalidModule";
    this.reason = { kind, message };
  }
}

/** The engine of the replica refuses this while it validates; the host's engine may know the proposal that allows it. */
export function invalidInReplica(r: Reader, what: string): InvalidModule {
  return invalidInReplicaAt(r.at, what);
}

/** The same with a place, an offset in the module. */
export function invalidInReplicaAt(offset: number, what: string): InvalidModule {
  return new InvalidModule(
    "engine_validation",
    "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with " +
      `${what} (at offset 0x${offset.toString(16)})`,
  );
}

/** A module whose rewritten form is more than engines take: refused by our own count, whatever the engine would say. */
export function outgrown(what: string): InvalidModule {
  return new InvalidModule("engine_limit", `Wasm module exceeds the engine's limits: ${what}`);
}

/** Without imports of globals there is none that a constant may read. */
export function localGlobal(r: Reader): InvalidModule {
  return invalidInReplica(r, "constant expression required: global.get of locally defined global");
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Reader {
  readonly bytes: Uint8Array;
  /** Next byte to read. */
  at: number;
  /** First byte that may not be read. */
  end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  fail(what: string): InvalidModule {
    return invalidInReplica(this, what);
  }

  u8(): number {
    if (this.at >= this.end) throw this.fail("unexpected end");
    return this.bytes[this.at++] as number;
  }

  skip(length: number): void {
    if (length > this.end - this.at) throw this.fail("unexpected end");
    this.at += length;
  }

  u32(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const b = this.u8();
      value |= (b & 0x7f) << (7 * i);
      if (b < 0x80) return value >>> 0;
    }
    const last = this.u8();
    if (last > 0x0f) throw this.fail("invalid LEB128 of 32 bits");
    return (value | (last << 28)) >>> 0;
  }

  /** An unsigned 64-bit number, exact when below 2^53 and rounded (never below 2^53) otherwise. */
  u64(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 9; i++) {
      const b = this.u8();
      value += (b & 0x7f) * scale;
      if (b < 0x80) return value;
      scale *= 128;
    }
    const last = this.u8();
    if (last > 1) throw this.fail("invalid LEB128 of 64 bits");
    return value + last * scale;
  }

  s32(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const b = this.u8();
      value |= (b & 0x7f) << (7 * i);
      if (b < 0x80) return (b & 0x40) === 0 ? value : value | (-1 << (7 * i + 7));
    }
    const last = this.u8();
    if (last > 0x07 && (last < 0x78 || last > 0x7f)) throw this.fail("invalid LEB128 of 32 bits");
    return value | (last << 28);
  }

  /** Block types: 33 bits, signed. */
  s33(): number {
    const first = this.bytes[this.at] as number;
    if (this.at < this.end && first < 0x80) {
      this.at++;
      return (first & 0x40) === 0 ? first : first - 0x80;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      const b = this.u8();
      value += (b & 0x7f) * scale;
      scale *= 128;
      if (b < 0x80) {
        if (i === 4 && b > 0x0f && b < 0x70) throw this.fail("invalid LEB128 of 33 bits");
        return (b & 0x40) === 0 ? value : value - scale;
      }
    }
    throw this.fail("invalid LEB128 of 33 bits");
  }

  s64(): bigint {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const b = this.u8();
      value |= BigInt(b & 0x7f) << BigInt(7 * i);
      if (b < 0x80) {
        if (i === 9 && b !== 0 && b !== 0x7f) break;
        return BigInt.asIntN(64, (b & 0x40) === 0 ? value : value - (1n << BigInt(7 * i + 7)));
      }
    }
    throw this.fail("invalid LEB128 of 64 bits");
  }

  /** A signed 64-bit number when it is small (below 2^48 in size), NaN otherwise. */
  s64Small(): number {
    let value = 0;
    let scale = 1;
    // Linkers pad addresses to the full ten bytes: from the eighth on, bits may only repeat the sign.
    let zeros = true;
    let ones = true;
    for (let i = 0; i < 10; i++) {
      const b = this.u8();
      if (i < 7) {
        value += (b & 0x7f) * scale;
        scale *= 128;
      } else {
        zeros &&= (b & 0x7f) === 0;
        ones &&= (b & 0x7f) === 0x7f;
      }
      if (b >= 0x80) continue;
      if (i < 7) return (b & 0x40) === 0 ? value : value - scale;
      if (zeros) return value;
      return ones ? value - scale : Number.NaN;
    }
    throw this.fail("invalid LEB128 of 64 bits");
  }

  /** Skips a signed LEB128 of at most `bytesMax` bytes. */
  skipLeb(bytesMax: number): void {
    for (let i = 0; i < bytesMax; i++) if (this.u8() < 0x80) return;
    throw this.fail("invalid LEB128");
  }

  /** A vector's length; each element takes at least one byte, so a longer vector cannot be. `max`: what the replica allows. */
  count(what: string, max: number = Number.POSITIVE_INFINITY): number {
    const n = this.u32();
    if (n > this.end - this.at) throw this.fail(`${what}: more elements than bytes`);
    if (n > max) throw invalidInReplica(this, `${what} count of ${n} exceeds the limit of ${max}`);
    return n;
  }

  /** Of an import or an export. */
  boundedName(): string {
    const start = this.at;
    if (this.u32() > NAME_BYTES_MAX) throw this.fail("string size out of bounds");
    this.at = start;
    return this.name();
  }

  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    try {
      return strictUtf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw invalidInReplicaAt(start, "malformed UTF-8 encoding");
    }
  }
}

/** Reads a module's header and the headers of its sections, which the replica does before it validates anything. */
export class FrameReader extends Reader {
  override fail(what: string): InvalidModule {
    const place = `(at offset 0x${this.at.toString(16)})`;
    const text = `Failed to decode wasm module: Error finding code section: ${what} ${place}`;
    return new InvalidModule("decoding", text);
  }
}
