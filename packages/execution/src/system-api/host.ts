/**
 * Between System API functions and the instance that calls them: pointers of either width, bounds checks in the replica's words,
 * per-byte charges, and the frame of the message that runs. One host belongs to one instance; frames come and go.
 */
import { assert } from "@orrery/base";
import type { CanisterInstance } from "@orrery/wasm";
import { toolchainViolation, userViolation } from "./failure.ts";
import type { MessageFrame } from "./frame.ts";
import { IMPORT_CONTEXTS, type ImportName, modeText } from "./modes.ts";

/** An `I` or `i32` parameter as it arrives: a number from 32-bit modules, a bigint from 64-bit ones. */
export type Pointer = number | bigint;

/** A System API function as the engine calls it. */
export type HostFunction = (...args: never[]) => number | bigint | undefined;

const U64: bigint = 1n << 64n;
/** Functions that error texts spell with a dot; all others appear as `ic0_name`. */
const DOTTED: ReadonlySet<string> = new Set(["root_key_copy", "subnet_self_copy"]);

/** An unsigned size or address; beyond 2^53 it is rounded, and out of every bound anyway. */
export function unsigned(value: Pointer): number {
  return typeof value === "number" ? value >>> 0 : Number(BigInt.asUintN(64, value));
}

/** A 128-bit number from its halves, as `*128` functions take it. */
export function fromHalves(high: bigint, low: bigint): bigint {
  return BigInt.asUintN(64, high) * U64 + BigInt.asUintN(64, low);
}

function littleEndian128(value: bigint): Uint8Array {
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, value), true);
  view.setBigUint64(8, value >> 64n, true);
  return out;
}

export class Host {
  readonly is64: boolean;
  #instance: CanisterInstance | null = null;
  #frame: MessageFrame | null = null;

  constructor(is64: boolean) {
    this.is64 = is64;
  }

  attach(instance: CanisterInstance): void {
    this.#instance = instance;
  }

  get instance(): CanisterInstance {
    assert(this.#instance !== null, "a System API function ran before its instance was attached");
    return this.#instance;
  }

  /** The running message; entering and leaving are the runner's. */
  get frame(): MessageFrame {
    assert(this.#frame !== null, "a System API function ran outside a message");
    return this.#frame;
  }

  enter(frame: MessageFrame): void {
    this.#frame = frame;
  }

  leave(): void {
    this.#frame = null;
  }

  /** The frame, when `name` may be called in its context; a contract violation otherwise. */
  allow(name: ImportName): MessageFrame {
    const { frame } = this;
    if ((IMPORT_CONTEXTS[name] & frame.mask) === 0) throw this.refuse(name);
    return frame;
  }

  refuse(name: ImportName): Error {
    const shown = DOTTED.has(name) ? `ic0.${name}` : `ic0_${name}`;
    return userViolation(
      `"${shown}" cannot be executed in ${modeText(this.frame.mode)} mode`,
      "Check the ICP documentation to make sure APIs are being called in the correct message types.",
      "calling-a-system-api-from-the-wrong-mode",
    );
  }

  /** Charges the part of a call's price that depends on its arguments. */
  charge(instructions: number): void {
    if (instructions !== 0) this.instance.charge(instructions);
  }

  /** An `I` result. */
  size(value: number): number | bigint {
    return this.is64 ? BigInt(value) : value | 0;
  }

  /** A copy of `size` bytes of the canister's memory; `what` opens the error text. */
  readBytes(what: string, src: Pointer, size: Pointer): Uint8Array {
    const memory = this.instance.memoryBytes();
    const { start, end } = subslice(what, src, size, memory.length);
    return memory.slice(start, end);
  }

  /** The bytes in place, valid until the canister runs on. */
  viewBytes(what: string, src: Pointer, size: Pointer): Uint8Array {
    const memory = this.instance.memoryBytes();
    const { start, end } = subslice(what, src, size, memory.length);
    return memory.subarray(start, end);
  }

  /** Copies a part of `data` to the canister; `heap` and `source` open the error texts of the two bounds. */
  copyOut(
    texts: { readonly heap: string; readonly source: string },
    data: Uint8Array,
    to: { readonly dst: Pointer; readonly offset: Pointer; readonly size: Pointer },
  ): void {
    const memory = this.instance.memoryBytes();
    const target = subslice(texts.heap, to.dst, to.size, memory.length);
    const source = subslice(texts.source, to.offset, to.size, data.length);
    memory.set(data.subarray(source.start, source.end), target.start);
    this.instance.markDirty(target.start, target.end - target.start);
  }

  /** Writes an amount of cycles, 16 bytes little endian. */
  writeCycles(name: string, dst: Pointer, cycles: bigint): void {
    const at = unsigned(dst);
    const length = this.instance.memoryBytes().length;
    if (at + 16 > length) {
      throw toolchainViolation(
        `${name} failed because dst + size is out of bounds.Found dst = ${at} and size = 16 while must be <= ${length}`,
      );
    }
    this.instance.write(at, littleEndian128(cycles));
  }
}

/** The bounds check of every System API function that takes a slice. */
export function subslice(
  what: string,
  src: Pointer,
  size: Pointer,
  length: number,
): { readonly start: number; readonly end: number } {
  const start = unsigned(src);
  const bytes = unsigned(size);
  const end = start + bytes;
  if (end <= length) return { start, end };
  if (end >= 2 ** 64)
    throw toolchainViolation(`${what}: src=${start} + length=${bytes} is an invalid address`);
  throw toolchainViolation(`${what}: src=${start} + length=${bytes} exceeds the slice size=${length}`);
}
