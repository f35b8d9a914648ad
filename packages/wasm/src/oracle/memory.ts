/**
 * Part of the oracle (tests only). Linear memories and tables with their bounds, segments, and the pages of 4 KiB whose bytes
 * differ from a snapshot.
 */
import { OracleTrap, type Reference, type Value } from "./values.ts";

const WASM_PAGE_BYTES = 65_536;

export class OracleMemory {
  readonly is64: boolean;
  readonly maxPages: number;
  bytes: Uint8Array;

  constructor(pages: number, maxPages: number, is64: boolean) {
    this.bytes = new Uint8Array(pages * WASM_PAGE_BYTES);
    this.maxPages = maxPages;
    this.is64 = is64;
  }

  get pages(): number {
    return this.bytes.length / WASM_PAGE_BYTES;
  }

  /** The pages before, or -1 beyond the maximum. */
  grow(delta: bigint): number {
    const before = this.pages;
    if (BigInt(before) + delta > BigInt(this.maxPages)) return -1;
    const grown = new Uint8Array((before + Number(delta)) * WASM_PAGE_BYTES);
    grown.set(this.bytes);
    this.bytes = grown;
    return before;
  }

  /** A view of `length` bytes at an unsigned address, or a trap. */
  view(address: bigint, length: bigint): DataView {
    if (address + length > BigInt(this.bytes.length)) throw new OracleTrap("out of bounds memory access");
    return new DataView(this.bytes.buffer, Number(address), Number(length));
  }
}

/** An address or a length operand, as unsigned. */
export function unsignedOf(value: Value): bigint {
  return typeof value === "number" ? BigInt(value >>> 0) : BigInt.asUintN(64, value as bigint);
}

const WIDTHS: Readonly<Record<string, number>> = { i32: 4, f32: 4, i64: 8, f64: 8 };

/** Bytes that a scalar load or store touches. */
export function accessBytes(name: string): number {
  const [type = "", operation = ""] = name.split(".");
  const narrow = /^(?:load|store)(\d+)/.exec(operation)?.[1];
  return narrow === undefined ? (WIDTHS[type] as number) : Number(narrow) / 8;
}

export function loadScalar(name: string, view: DataView): Value {
  let raw = 0n;
  for (let i = view.byteLength - 1; i >= 0; i--) raw = (raw << 8n) | BigInt(view.getUint8(i));
  const bits = view.byteLength * 8;
  const value = name.endsWith("_s") ? BigInt.asIntN(bits, raw) : raw;
  return name.startsWith("i32") || name.startsWith("f32")
    ? Number(BigInt.asIntN(32, value))
    : BigInt.asIntN(64, value);
}

export function storeScalar(view: DataView, value: Value): void {
  let raw = BigInt.asUintN(64, BigInt(value as number | bigint));
  for (let i = 0; i < view.byteLength; i++) {
    view.setUint8(i, Number(raw & 0xffn));
    raw >>= 8n;
  }
}

export class OracleTable {
  readonly is64: boolean;
  readonly max: number;
  readonly items: Reference[];

  constructor(size: number, max: number, is64: boolean) {
    this.items = Array<Reference>(size).fill(null);
    this.max = max;
    this.is64 = is64;
  }

  /** A position inside the table, or a trap. */
  position(index: bigint): number {
    if (index >= BigInt(this.items.length)) throw new OracleTrap("out of bounds table access");
    return Number(index);
  }

  /** Writes references from `at`, all or none. */
  write(at: bigint, items: readonly Reference[]): void {
    if (at + BigInt(items.length) > BigInt(this.items.length))
      throw new OracleTrap("out of bounds table access");
    for (const [i, item] of items.entries()) this.items[Number(at) + i] = item;
  }

  read(at: bigint, length: bigint): Reference[] {
    return slice(this.items, at, length);
  }
}

/** `length` references from `at`, or a trap. */
export function slice(items: readonly Reference[], at: bigint, length: bigint): Reference[] {
  if (at + length > BigInt(items.length)) throw new OracleTrap("out of bounds table access");
  return items.slice(Number(at), Number(at + length));
}
