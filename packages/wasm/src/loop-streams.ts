/**
 * The stores of a small loop that every turn makes before it can lead to the next one, and how far each local moves in a turn: what
 * one mark of pages needs to stand for the stores of all copies of the loop (unrolled-loop.ts, page-marks.ts).
 */
import * as o from "./opcodes.ts";
import { readOpcode, skipImmediates } from "./operators.ts";
import { Reader } from "./reader.ts";

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

  /** Looks through the loop whose body starts where `r` is (and stays); it has no loop inside. */
  constructor(r: Reader) {
    const at = new Reader(r.bytes, r.at, r.end);
    while (this.#passed.length > 0) this.#operator(at);
  }

  /** Bytes by which local `own` moves in a turn, if at all; NaN when that cannot be told. */
  step(own: number): number {
    return this.#steps.get(own) ?? 0;
  }

  /** Whether each turn that leads to another makes the store at `position` of the module. */
  isCertain(position: number): boolean {
    return this.#certain?.has(position) === true;
  }

  #operator(r: Reader): void {
    const position = r.at;
    const op = readOpcode(r);
    const { at } = r;
    let follows = false;
    switch (op) {
      case o.OP_BLOCK:
      case o.OP_IF:
        this.#passed.push([]);
        break;
      case o.OP_ELSE:
        this.#passed[this.#passed.length - 1] = [];
        break;
      case o.OP_END:
        // Whether control has passed what stands in the block is not known after it.
        this.#passed.pop();
        break;
      case o.OP_BR:
      case o.OP_BR_IF:
        this.#jump(r.u32());
        break;
      case o.OP_BR_TABLE:
        for (let n = r.u32(); n >= 0; n--) this.#jump(r.u32());
        break;
      default:
        follows = this.#sums(op, r);
        if (o.storeBytes[op] !== 0) this.#passed[this.#passed.length - 1]?.push(position);
    }
    if (!follows) this.#sum.length = 0;
    r.at = at;
    skipImmediates(r, o.immediates[op] as number);
  }

  /** Where a jump leads back to the loop's start, what has been passed by then is certain; only what all such jumps have passed is. */
  #jump(label: number): void {
    if (label !== this.#passed.length - 1) return;
    const certain = new Set(this.#passed.flat());
    this.#certain =
      this.#certain === null ? certain : new Set([...this.#certain].filter((at) => certain.has(at)));
  }

  /** Whether `op` goes on with a sum; takes down what a local is set to. */
  #sums(op: number, r: Reader): boolean {
    const sum = this.#sum;
    switch (op) {
      case o.OP_LOCAL_GET:
        sum.length = 1;
        sum.local = r.u32();
        return true;
      case o.OP_I32_CONST:
      case o.OP_I64_CONST:
        sum.constant = op === o.OP_I32_CONST ? r.s32() : r.s64Small();
        return sum.length++ === 1;
      case o.OP_I32_SUB:
      case o.OP_I64_SUB:
        sum.constant = -sum.constant;
        return sum.length++ === 2;
      case o.OP_I32_ADD:
      case o.OP_I64_ADD:
        return sum.length++ === 2;
      case o.OP_LOCAL_SET:
      case o.OP_LOCAL_TEE: {
        const local = r.u32();
        const isStep = sum.length === 3 && sum.local === local && !this.#steps.has(local);
        this.#steps.set(local, isStep ? sum.constant : Number.NaN);
        return false;
      }
      default:
        return false;
    }
  }
}
