/**
 * How the locals of an innermost loop move from one turn to the next, as far as it can be told from its text: which are set there, and
 * which of those only ever by adding a constant. It says where stores are likely to go on from the page of the one before; nothing
 * relies on it.
 */
import * as o from "./opcodes.ts";
import { readOpcode, skipImmediates } from "./operators.ts";
import { Reader } from "./reader.ts";

/** Longer loops are not looked through: the time that marks take is not lost in them. */
const LOOP_BYTES_MAX = 2_048;
/**
 * Nor are those of longer functions, such as interpreters of other languages: one more variable that lives through such a function costs
 * its registers more than any of its loops gains.
 */
const FUNCTION_BYTES_MAX = 1_024;

/** By local, how far it moves in a turn: infinitely far where that is unknown. Locals that are not there stay as they are. */
export type LoopSteps = Map<number, number>;

/**
 * Looks through the loop whose body begins at the reader of a function, which stays where it is; null when either is long or it has a loop inside.
 * Locals are numbered as in the rewritten body, where those from `firstMoved` on stand one later.
 */
export function loopSteps(reader: Reader, firstMoved: number): LoopSteps | null {
  if (reader.end - reader.start > FUNCTION_BYTES_MAX) return null;
  const r = new Reader(reader.bytes, reader.at, reader.end);
  const last = reader.at + LOOP_BYTES_MAX;
  const steps: LoopSteps = new Map();
  /** The local, the constant and the sum that the operators before this one are, as far as they are in this order. */
  let [stage, local, constant] = [0, 0, 0];
  for (let depth = 1; r.at < last; ) {
    const op = readOpcode(r);
    switch (op) {
      case o.OP_LOCAL_GET:
        stage = 1;
        local = numbered(r.u32(), firstMoved);
        continue;
      case o.OP_I32_CONST:
      case o.OP_I64_CONST:
        constant = op === o.OP_I32_CONST ? r.s32() : r.s64Small();
        stage = stage === 1 ? 2 : 0;
        continue;
      case o.OP_I32_ADD:
      case o.OP_I32_SUB:
      case o.OP_I64_ADD:
      case o.OP_I64_SUB:
        stage = stage === 2 ? 3 : 0;
        continue;
      case o.OP_LOCAL_SET:
      case o.OP_LOCAL_TEE: {
        const set = numbered(r.u32(), firstMoved);
        const step = stage === 3 && set === local ? Math.abs(constant) : Number.POSITIVE_INFINITY;
        steps.set(set, Math.max(steps.get(set) ?? 0, step));
        break;
      }
      case o.OP_LOOP:
        return null;
      case o.OP_BLOCK:
      case o.OP_IF:
        depth++;
        skipImmediates(r, o.immediates[op] as number);
        break;
      case o.OP_END:
        if (--depth === 0) return steps;
        break;
      default:
        skipImmediates(r, o.immediates[op] as number);
    }
    stage = 0;
  }
  return null;
}

function numbered(own: number, firstMoved: number): number {
  return own >= firstMoved ? own + 1 : own;
}
