/**
 * The stores of a small loop that every turn makes before it can lead to the next one, and how far each local moves in a turn: what
 * one mark of pages needs to stand for the stores of all copies of the loop (unrolled-loop.ts, page-marks.ts).
 */
import * as o from "./opcodes.ts";
import type { Reader } from "./reader.ts";

/** Where the operators read so far stand in `local.get x, const, add, local.set x`. */
interface Sum {
  /** Operators of it that were read, from the first. */
  length: number;
  local: number;
  constant: number;
}

export class LoopStreams {
  /** Locals that the loop sets, by their own numbers: what one turn adds at most once; NaN where anything else is done to them. */
  readonly #steps: Map<number, number> = new Map();
  /** Positions of the stores in each block that is open, of those that control has passed when it is here. */
  readonly #passed: number[][] = [[]];
  readonly #sum: Sum = { length: 0, local: 0, constant: 0 };
  #certain: ReadonlySet<number> | null = null;

  /** Bytes by which local `own` moves in a turn, if at all; NaN when that cannot be told. */
  step(own: number): number {
    return this.#steps.get(own) ?? 0;
  }

  /** Whether each turn that leads to another makes the store at `position` of the module. */
  isCertain(position: number): boolean {
    return this.#certain?.has(position) === true;
  }

  open(): void {
    this.#passed.push([]);
    this.#sum.length = 0;
  }

  /** `else` or the end of a block: whether control has passed what stands in it is not known after it. */
  close(): void {
    this.#passed.pop();
    this.#sum.length = 0;
  }

  /** A jump back to the loop's start. */
  back(): void {
    const certain = new Set(this.#passed.flat());
    this.#certain =
      this.#certain === null ? certain : new Set([...this.#certain].filter((at) => certain.has(at)));
  }

  /** Any other operator, at `position`; `r` is behind its opcode and stays there. */
  operator(op: number, position: number, r: Reader): void {
    const sum = this.#sum;
    const { at } = r;
    switch (op) {
      case o.OP_LOCAL_GET:
        sum.length = 1;
        sum.local = r.u32();
        break;
      case o.OP_I32_CONST:
      case o.OP_I64_CONST:
        sum.length = sum.length === 1 ? 2 : 0;
        sum.constant = op === o.OP_I32_CONST ? r.s32() : r.s64Small();
        break;
      case o.OP_I32_SUB:
      case o.OP_I64_SUB:
        sum.constant = -sum.constant;
        sum.length = sum.length === 2 ? 3 : 0;
        break;
      case o.OP_I32_ADD:
      case o.OP_I64_ADD:
        sum.length = sum.length === 2 ? 3 : 0;
        break;
      case o.OP_LOCAL_SET:
      case o.OP_LOCAL_TEE: {
        const local = r.u32();
        const isStep = sum.length === 3 && sum.local === local && !this.#steps.has(local);
        this.#steps.set(local, isStep ? sum.constant : Number.NaN);
        sum.length = 0;
        break;
      }
      default:
        sum.length = 0;
        if (o.storeBytes[op] !== 0) this.#passed[this.#passed.length - 1]?.push(position);
    }
    r.at = at;
  }
}
