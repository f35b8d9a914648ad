/**
 * Marks of the 4 KiB pages that stores may touch (layout.ts, "The page map"), made before the store: a page marked in vain
 * does no harm, a page written without a mark would break roll-back. A check stands before the first store of a group:
 * - stores of one run whose addresses differ by constants share one check of all their bytes. In a loop it compares with the
 *   last page that this group marked, kept in a local; elsewhere it looks up the pages of the first and the last byte;
 * - so do the stores of all copies of a small loop (unrolled-loop.ts) that each turn makes, when a turn moves their base by a constant:
 *   they are marked in the first copy, before it is known how many turns there will be;
 * - a single store looks up the page of its first byte, and takes an unaligned address for one that may reach the next page.
 * Pages outside memory may be marked, by a store that traps or by turns that do not come: `dirtyPages` leaves them out. Which pages are
 * marked in vain differs between the forms of a module and between versions: nothing that members agree on may follow from it.
 */
import { type ExtraLocals, TYPE_I32, TYPE_I64 } from "./extra-locals.ts";
import type { Layout } from "./layout.ts";
import {
  OP_CALL,
  OP_END,
  OP_I32_ADD,
  OP_I32_SUB,
  OP_I64_ADD,
  OP_I64_SUB,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
} from "./opcodes.ts";
import { CONSTANT } from "./operands.ts";
import type { Writer } from "./writer.ts";

/** Stores are grouped under one check while they span at most this; more would mark pages nobody writes. */
const GROUP_BYTES_MAX = 512;
/** Locals that remember the last page marked, for each function. */
const PAGE_CACHES_MAX = 6;
const PAGE_SHIFT = 12;
const PAGE_BYTES = 4096;

/** A check waiting to be put before its first store: the stores write bytes `[min, max)` counted from `base`. */
interface Mark {
  /** Where in the run. */
  readonly at: number;
  /** A local, or `CONSTANT` for absolute addresses. */
  readonly base: number;
  min: number;
  max: number;
  readonly inLoop: boolean;
  /** All stores are of this many bytes, at `min`; 0 for a group. */
  single: number;
}

/** A store of `size` bytes at `offset` from `base`: a local, or `CONSTANT`. */
interface Stored {
  readonly base: number;
  readonly offset: number;
  readonly size: number;
}

export class PageMarks {
  readonly #is64: boolean;
  readonly #fnMark: number;
  readonly #locals: ExtraLocals;
  readonly #target: Writer;
  #marks: Mark[] = [];
  readonly #open: Map<number, Mark> = new Map();
  #caches: number[] = [];
  readonly #cacheOfBase: Map<number, number> = new Map();
  #nextCache = 0;

  /** Checks are written to `target`. */
  constructor(layout: Layout, locals: ExtraLocals, target: Writer) {
    this.#is64 = layout.is64;
    this.#fnMark = layout.fnMark;
    this.#locals = locals;
    this.#target = target;
  }

  /** Starts a body. */
  reset(): void {
    this.#marks = [];
    this.#open.clear();
    this.#caches = [];
    this.#cacheOfBase.clear();
    this.#nextCache = 0;
  }

  /** A store at position `at` of the run, and others up to `reach` bytes from it in copies of its loop; joins a group of its base. */
  grouped(at: number, { base, offset, size }: Stored, reach: number, inLoop: boolean): void {
    const first = Math.min(offset, offset + reach);
    const end = Math.max(offset, offset + reach) + size;
    const open = this.#open.get(base);
    if (open !== undefined) {
      const min = Math.min(open.min, first);
      const max = Math.max(open.max, end);
      if (max - min <= GROUP_BYTES_MAX) {
        if (open.min !== first || open.single !== end - first) open.single = 0;
        open.min = min;
        open.max = max;
        return;
      }
    }
    const mark = { at, base, min: first, max: end, inLoop, single: reach === 0 ? size : 0 };
    this.#marks.push(mark);
    this.#open.set(base, mark);
  }

  /** A store of its own, whose address is in a scratch local. */
  alone(at: number, base: number, offset: number, size: number): void {
    this.#marks.push({ at, base, min: offset, max: offset + size, inLoop: false, single: size });
  }

  /** A local was set: stores that follow cannot join its group. */
  close(local: number): void {
    this.#open.delete(local);
  }

  /** Copies a finished run to the target with the checks in their places; `unlikely` writes the `if` of a check. */
  copyRun(run: Writer, unlikely: () => void): void {
    let done = 0;
    for (const mark of this.#marks) {
      this.#target.appendRange(run, done, mark.at);
      done = mark.at;
      this.#write(mark, unlikely);
    }
    this.#target.appendRange(run, done, run.length);
    if (this.#marks.length === 0) return;
    this.#marks = [];
    this.#open.clear();
  }

  /** Sets the page caches to a page that no store touches (but see `dirtyPages`). */
  writePrologue(w: Writer): void {
    for (const cache of this.#caches) {
      if (this.#is64) w.i64Const(-PAGE_BYTES);
      else w.i32Const(-PAGE_BYTES);
      w.op(OP_LOCAL_SET, cache);
    }
  }

  /** The local that remembers the last page marked for `base`, -1 outside loops, where it would not pay. */
  #cacheFor(base: number, inLoop: boolean): number {
    if (!inLoop || base === CONSTANT) return -1;
    const known = this.#cacheOfBase.get(base);
    if (known !== undefined) return known;
    let cache = this.#caches[this.#nextCache];
    if (cache === undefined) {
      cache = this.#locals.make(this.#is64 ? TYPE_I64 : TYPE_I32);
      this.#caches.push(cache);
    }
    this.#nextCache = (this.#nextCache + 1) % PAGE_CACHES_MAX;
    this.#cacheOfBase.set(base, cache);
    return cache;
  }

  /** The first address of a mark plus `extra`, on the stack. */
  #address(mark: Mark, extra: number): void {
    const w = this.#target;
    const offset = mark.min + extra;
    if (mark.base === CONSTANT) {
      this.#constant(offset);
      return;
    }
    w.op(OP_LOCAL_GET, mark.base);
    if (offset === 0) return;
    this.#constant(offset);
    w.u8(this.#is64 ? OP_I64_ADD : OP_I32_ADD);
  }

  #constant(value: number): void {
    if (this.#is64) this.#target.i64Const(value);
    else this.#target.i32Const(value);
  }

  #write(mark: Mark, unlikely: () => void): void {
    const w = this.#target;
    const span = mark.max - mark.min;
    const cache = mark.single === 0 ? this.#cacheFor(mark.base, mark.inLoop) : -1;
    if (mark.single !== 0) this.#unmarkedOrUnaligned(mark, span);
    else if (cache >= 0) this.#outsidePage(mark, span, cache);
    else {
      this.#loadMap(mark, 0);
      this.#loadMap(mark, span - 1);
      w.code(0x71, 0x45); // and, eqz
    }
    unlikely();
    this.#address(mark, 0);
    w.i32Const(span);
    w.op(OP_CALL, this.#fnMark);
    if (cache >= 0) w.op(OP_LOCAL_SET, cache);
    else w.u8(0x1a);
    w.u8(OP_END);
  }

  /** Whether the mark's bytes do not all lie in the page that its cache remembers. */
  #outsidePage(mark: Mark, span: number, cache: number): void {
    const w = this.#target;
    this.#address(mark, 0);
    w.op(OP_LOCAL_GET, cache);
    w.u8(this.#is64 ? OP_I64_SUB : OP_I32_SUB);
    this.#constant(PAGE_BYTES - span);
    w.u8(this.#is64 ? 0x56 : 0x4b);
  }

  /** Whether the page is unmarked or the address is not a multiple of the store's size, so that it may reach the next page. */
  #unmarkedOrUnaligned(mark: Mark, size: number): void {
    const w = this.#target;
    this.#loadMap(mark, 0);
    if (size === 1) {
      w.u8(0x45);
      return;
    }
    this.#address(mark, 0);
    if (this.#is64) w.u8(0xa7);
    w.i32Const(size - 1);
    w.code(0x71, 0x4d); // and, <=
  }

  /** The map's byte for the page of the mark's first address plus `extra`. */
  #loadMap(mark: Mark, extra: number): void {
    const w = this.#target;
    this.#address(mark, extra);
    this.#constant(PAGE_SHIFT);
    if (this.#is64) w.code(0x88, 0xa7);
    else w.u8(0x76);
    w.code(0x2d, 0x40, 0x01, 0x00); // i32.load8_u of memory 1
  }
}
