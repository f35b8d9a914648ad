/** Which loops are worth copying (unrolled-loop.ts): small innermost ones, without calls and other operators that a host may see. */
import type { Range } from "./decode.ts";
import { LoopStreams } from "./loop-streams.ts";
import {
  immediates,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_IF,
  OP_LOOP,
  OP_MEMORY_GROW,
  OP_MEMORY_INIT,
  PREFIX_SIMD,
} from "./opcodes.ts";
import { readOpcode, skipImmediates } from "./operators.ts";
import { Reader } from "./reader.ts";

/** Bytes of a loop's body at most, before instrumentation. */
const BODY_BYTES_MAX = 300;
/** Copies at most, and the bytes that more than two of them may have. */
const COPIES_MAX = 4;
const COPIES_BYTES_MAX = 300;
/** Instructions of all copies: as many may be executed before it is found that there are none left. */
const INSTRUCTIONS_LATE_MAX = 600;
/** A module's bodies may grow by one part in this many, and by some bytes whatever their size. */
const GROWTH_SHARE = 4;
const GROWTH_BYTES = 4096;

export interface LoopPlan {
  /** Where the loop's body starts, its block type behind it. */
  readonly start: number;
  readonly copies: number;
  /** Jumps back to the loop's start. */
  readonly backEdges: number;
  readonly streams: LoopStreams;
}

/** What copies may add to a module. */
export class GrowthBudget {
  #left: number;

  constructor(bodies: readonly Range[]) {
    const bytes = bodies.reduce((sum, { start, end }) => sum + end - start, 0);
    this.#left = GROWTH_BYTES + Math.floor(bytes / GROWTH_SHARE);
  }

  /** Takes `bytes`, when there are as many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}

/** The plan for the loop whose body starts where `r` is (and stays); null when it is left as it is. */
export function planLoop(r: Reader, weights: Uint16Array, budget: GrowthBudget): LoopPlan | null {
  const at = new Reader(r.bytes, r.at, r.end);
  let depth = 0;
  let weight = 0;
  let backEdges = 0;
  for (;;) {
    const op = readOpcode(at);
    weight += weights[op] as number;
    switch (op) {
      case OP_LOOP:
      case OP_CALL:
      case OP_CALL_INDIRECT:
      case OP_MEMORY_GROW:
        return null;
      case OP_BLOCK:
      case OP_IF:
        at.s33();
        depth++;
        break;
      case OP_BR:
      case OP_BR_IF:
        if (at.u32() === depth) backEdges++;
        break;
      case OP_BR_TABLE:
        for (let n = at.u32(); n >= 0; n--) if (at.u32() === depth) backEdges++;
        break;
      default:
        if (op >= OP_MEMORY_INIT && op < PREFIX_SIMD) return null;
        skipImmediates(at, immediates[op] as number);
    }
    const bytes = at.at - r.at;
    if (bytes > BODY_BYTES_MAX) return null;
    if (op !== OP_END || --depth >= 0) continue;
    const copies = Math.min(
      COPIES_MAX,
      Math.max(2, Math.floor(COPIES_BYTES_MAX / bytes)),
      Math.floor(INSTRUCTIONS_LATE_MAX / weight),
    );
    if (backEdges === 0 || copies < 2 || !budget.take((copies - 1) * bytes)) return null;
    return { start: r.at, copies, backEdges, streams: new LoopStreams(r) };
  }
}
