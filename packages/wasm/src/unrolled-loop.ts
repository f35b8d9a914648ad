/**
 * A loop whose body stands in the code several times, so that the counter is checked, and mostly changed, once in as many turns
 * (fast form only). A jump back to the loop's start leads from a copy to the next one, from the last one to the first:
 *
 *     block $out  loop $first  block $second  copy 1  br $out  end  block $third  copy 2  br $out  end  copy 3  end  end
 *
 * What has been executed is charged late: when control leaves the loop, comes from the last copy to the first, or where two ways meet
 * again. The replica checks its counter at the head of each turn, after the charge of the turn's first run. Here that is made up
 * for wherever control leaves a turn but to the next one, and with what the counter was at the head. So a message runs out of
 * instructions exactly when it does in the replica, some instructions later but before anything but its own memory has changed.
 */

import { type Block, labelOperands } from "./code-context.ts";
import type { CounterCode } from "./counter-code.ts";
import type { LoopPlan } from "./loop-plan.ts";
import {
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_ELSE,
  OP_END,
  OP_IF,
  OP_LOOP,
  OP_RETURN,
  OP_UNREACHABLE,
} from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import type { Runs } from "./runs.ts";

const EMPTY = 0x40;
/** Stores of all copies are marked together while they are at most so far from one another. */
const REACH_BYTES_MAX = 256;

/** What is not charged yet: `runs.cost` in all. */
interface Debt {
  readonly cost: number;
  /** The counter at the head of this turn has not been checked. */
  readonly unchecked: boolean;
  /** The cost up to the end of the turn's first run; -1 before that end. */
  readonly headCost: number;
}

/** A block within the loop. */
interface Inner {
  readonly op: number;
  readonly dead: boolean;
  /** At its start: what a false condition goes on with. */
  readonly before: Debt;
  /** Reachable jumps lead to its end, or the first branch of an `if` does. */
  joined: boolean;
  hasElse: boolean;
}

export class UnrolledLoop {
  readonly #plan: LoopPlan;
  readonly #runs: Runs;
  readonly #counter: CounterCode;
  readonly #inner: Inner[] = [];
  #copy = 1;
  #unchecked = true;
  #headCost = -1;
  /** What the next copy begins with. */
  #carried = 0;

  /** Opens the loop, whose block type is `type`, without parameters. */
  constructor(plan: LoopPlan, type: number, runs: Runs, counter: CounterCode) {
    this.#plan = plan;
    this.#runs = runs;
    this.#counter = counter;
    for (const op of [OP_BLOCK, OP_LOOP]) {
      runs.run.u8(op);
      runs.run.signed(type);
    }
    runs.end(false);
    this.#begin();
  }

  /**
   * How far the addresses of later copies lie from that of the store at `position`, which is at a constant from local `own` (below zero:
   * at a constant): what its mark has to reach over. Null for a store that the first copy's mark stands for.
   */
  reach(position: number, own: number): number | null {
    const { streams, copies } = this.#plan;
    if (!streams.isCertain(position)) return 0;
    const bytes = (own < 0 ? 0 : streams.step(own)) * (copies - 1);
    // Where nothing is known of the local this does not hold.
    if (!(Math.abs(bytes) <= REACH_BYTES_MAX)) return 0;
    return this.#copy === 1 ? bytes : null;
  }

  /** Where the body starts in the module. */
  get start(): number {
    return this.#plan.start;
  }

  #begin(): void {
    if (this.#copy < this.#plan.copies) this.#runs.out.code(OP_BLOCK, EMPTY);
    this.#go({ cost: this.#carried, unchecked: true, headCost: -1 });
    this.#carried = 0;
  }

  #go(debt: Debt): void {
    this.#runs.cost = debt.cost;
    this.#unchecked = debt.unchecked;
    this.#headCost = debt.headCost;
  }

  /** Ends a run. */
  #endRun(): void {
    this.#runs.copy();
    if (this.#headCost < 0) this.#headCost = this.#runs.cost;
  }

  /** Writes the charge of the debt, and the check that is due. */
  #charge(): void {
    const { cost } = this.#runs;
    if (this.#unchecked) this.#runs.charge(this.#headCost, true);
    const rest = this.#unchecked ? cost - this.#headCost : cost;
    if (rest > 0) this.#runs.charge(rest, false);
  }

  #settle(): void {
    this.#charge();
    this.#runs.cost = 0;
    this.#unchecked = false;
  }

  /** The label in the new code. */
  #label(label: number): number {
    if (label <= this.#inner.length) return label;
    return label + (this.#copy < this.#plan.copies ? 2 : 1);
  }

  /** A `block` or `if`, whose opcode and type stand at the end of the run. */
  open(op: number, dead: boolean): void {
    if (op === OP_IF) this.#endRun();
    const before = { cost: this.#runs.cost, unchecked: this.#unchecked, headCost: this.#headCost };
    this.#inner.push({ op, dead, before, joined: false, hasElse: false });
  }

  /** `else`; `reached`: control comes to it from above. */
  otherwise(reached: boolean): void {
    const block = this.#inner[this.#inner.length - 1] as Inner;
    this.#endRun();
    if (reached) this.#settle();
    this.#runs.out.u8(OP_ELSE);
    block.hasElse = true;
    block.joined ||= reached;
    this.#go(block.before);
  }

  /** The end of a block within the loop. */
  close(reached: boolean): void {
    const block = this.#inner.pop() as Inner;
    if (block.dead) this.#runs.copy();
    else this.#join(block, reached);
    this.#runs.out.u8(OP_END);
  }

  #join({ op, before, joined, hasElse }: Inner, reached: boolean): void {
    this.#endRun();
    const skips = op === OP_IF && !hasElse;
    if (!joined && !(skips && reached)) {
      // One way leads here, or none.
      if (skips) this.#go(before);
      else if (!reached) this.#runs.cost = 0;
      return;
    }
    if (reached) this.#settle();
    if (skips) {
      this.#go(before);
      this.#runs.out.u8(OP_ELSE);
      this.#settle();
    }
    this.#go({ cost: 0, unchecked: false, headCost: 0 });
  }

  /** The end of the loop's body; true when the body comes once more. */
  closeCopy(reached: boolean): boolean {
    const { out } = this.#runs;
    const isLast = this.#copy === this.#plan.copies;
    this.#endRun();
    if (reached) this.#settle();
    // Where it is not reached the jump takes results along that the copy's block has no room for.
    if (!isLast) out.op(OP_BR, 2);
    out.u8(OP_END);
    if (isLast) {
      out.u8(OP_END);
      return false;
    }
    this.#copy++;
    this.#begin();
    return true;
  }

  /** A jump or `unreachable`, its immediates to be read from `r`; `blocks`: those of the function that are open. */
  jump(op: number, r: Reader, dead: boolean, blocks: readonly Block[]): void {
    const { out } = this.#runs;
    this.#endRun();
    switch (op) {
      case OP_UNREACHABLE:
        if (!dead) {
          this.#settle();
          this.#counter.spill(out);
        }
        out.u8(op);
        return;
      case OP_RETURN:
        if (!dead) this.#settle();
        out.op(OP_BR, this.#label(blocks.length - 1));
        return;
      case OP_BR_TABLE:
        if (!dead) this.#settle();
        this.#table(r, dead);
        return;
      default:
    }
    const label = r.u32();
    if (dead) out.op(op, this.#label(label));
    else if (label < this.#inner.length) {
      this.#settle();
      this.#joinAt(label);
      out.op(op, label);
    } else if (label === this.#inner.length) this.#back(op, label);
    else this.#exit(op, label, labelOperands(blocks, label));
  }

  #joinAt(label: number): void {
    const target = this.#inner[this.#inner.length - 1 - label];
    if (target !== undefined) target.joined = true;
  }

  #table(r: Reader, dead: boolean): void {
    const { out } = this.#runs;
    const count = r.u32();
    out.op(OP_BR_TABLE, count);
    for (let n = 0; n <= count; n++) {
      const label = r.u32();
      if (!dead) this.#joinAt(label);
      out.u32(this.#label(label));
    }
  }

  /** To the loop's start: the next copy takes the debt over when nothing else leads to it. */
  #back(op: number, label: number): void {
    const { out, cost } = this.#runs;
    if (this.#copy < this.#plan.copies && this.#plan.backEdges === 1) {
      this.#carried = cost;
      out.op(op, label);
    } else {
      // The counter below zero after this turn is so at the head of the next one, too.
      const isLast = this.#copy === this.#plan.copies;
      this.#aside(op, label, () => this.#runs.charge(cost, isLast));
    }
  }

  #exit(op: number, label: number, operands: number): void {
    if (operands === 0) this.#aside(op, this.#label(label), () => this.#charge());
    else {
      this.#settle();
      this.#runs.out.op(op, this.#label(label));
    }
  }

  /** A jump that alone pays the debt: where it is conditional and not taken, the debt stays. */
  #aside(op: number, label: number, charge: () => void): void {
    const { out } = this.#runs;
    if (op === OP_BR_IF) out.code(OP_IF, EMPTY);
    charge();
    out.op(OP_BR, op === OP_BR_IF ? label + 1 : label);
    if (op === OP_BR_IF) out.u8(OP_END);
  }
}
