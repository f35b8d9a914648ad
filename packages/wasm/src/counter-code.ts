/**
 * Code that keeps the instructions and the stack left (layout.ts), which a call passes as one number: in the exact form every
 * charge works on the global; in the fast form on a local copy, which is written back (spilled) wherever somebody else may read
 * or change it, and loaded again after. A function takes its frame from the stack when it is entered and gives it back at its end.
 */

import { WORD_BYTES } from "./frame.ts";
import {
  COUNTER_UNIT,
  HOOK_OUT_OF_INSTRUCTIONS,
  HOOK_TRAP,
  type Layout,
  STACK_OVERFLOW_BIT,
  TRAP_STACK_OVERFLOW,
} from "./layout.ts";
import {
  OP_CALL,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I64_SUB,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_UNREACHABLE,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

/** The counter is below zero, or the stack is. */
const EXHAUSTED_BITS: number = STACK_OVERFLOW_BIT - 2 ** 63;

export class CounterCode {
  readonly #global: number;
  /** The local copy; -1 in the exact form. */
  #local = -1;

  /** Calls take and return the counter. */
  readonly #passed: boolean;

  constructor(layout: Layout) {
    this.#global = layout.counterGlobal;
    this.#passed = layout.passesCounter;
  }

  /** Starts a body that keeps the counter in `local`. */
  keepIn(local: number): void {
    this.#local = local;
  }

  /** Writes the local counter back; nothing in the exact form. */
  spill(w: Writer): void {
    if (this.#local < 0) return;
    w.op(OP_LOCAL_GET, this.#local);
    w.op(OP_GLOBAL_SET, this.#global);
  }

  reload(w: Writer): void {
    if (this.#local < 0) return;
    w.op(OP_GLOBAL_GET, this.#global);
    w.op(OP_LOCAL_SET, this.#local);
  }

  /** Subtracts `cost`; with `checked`, calls the hook when the counter is below zero. */
  charge(w: Writer, cost: number, checked: boolean, unlikelyIf: () => void): void {
    this.#get(w);
    if (cost > 0) {
      w.i64Const(cost * COUNTER_UNIT);
      w.u8(OP_I64_SUB);
    }
    if (checked) this.#set(w);
    else if (this.#local >= 0) w.op(OP_LOCAL_SET, this.#local);
    else w.op(OP_GLOBAL_SET, this.#global);
    if (checked) this.#checkInstructions(w, unlikelyIf);
  }

  /** A function's start: loads the counter, takes `frame` bytes of the stack (0: needs none), makes the first run's charge. */
  enter(w: Writer, options: { readonly frame: number; readonly cost: number }, unlikelyIf: () => void): void {
    const words = options.frame / WORD_BYTES;
    const taken = options.cost * COUNTER_UNIT + words;
    if (this.#passed) w.op(OP_LOCAL_GET, this.#local);
    else w.op(OP_GLOBAL_GET, this.#global);
    w.i64Const(taken);
    w.u8(OP_I64_SUB);
    this.#set(w);
    if (words === 0) {
      this.#checkInstructions(w, unlikelyIf);
      return;
    }
    // One branch for both, since each costs a call as much as its charge.
    w.i64Const(EXHAUSTED_BITS);
    w.code(0x83, 0x42, 0x00, 0x52); // and, <> 0 ?
    unlikelyIf();
    this.#get(w);
    w.i64Const(STACK_OVERFLOW_BIT);
    w.code(0x83, 0x42, 0x00, 0x52, OP_IF, 0x40);
    this.#get(w);
    w.i64Const(taken);
    w.code(0x7c); // add
    w.op(OP_GLOBAL_SET, this.#global);
    w.i32Const(TRAP_STACK_OVERFLOW);
    w.op(OP_CALL, HOOK_TRAP);
    w.code(OP_UNREACHABLE, OP_END);
    this.#outOfInstructions(w);
    w.u8(OP_END);
  }

  /** A function's end: gives its frame back, returns the counter or writes it back. */
  leave(w: Writer, frame: number): void {
    this.#get(w);
    if (frame > 0) {
      w.i64Const(frame / WORD_BYTES);
      w.code(0x7c); // add
    }
    if (!this.#passed) w.op(OP_GLOBAL_SET, this.#global);
  }

  /** The last argument of a call of the canister's own function or of an import's wrapper. */
  pass(w: Writer): void {
    if (this.#passed) w.op(OP_LOCAL_GET, this.#local);
    else this.spill(w);
  }

  /** Takes the counter back, the last result of such a call. */
  take(w: Writer): void {
    if (this.#passed) w.op(OP_LOCAL_SET, this.#local);
    else this.reload(w);
  }

  #get(w: Writer): void {
    if (this.#local >= 0) w.op(OP_LOCAL_GET, this.#local);
    else w.op(OP_GLOBAL_GET, this.#global);
  }

  /** Keeps what is on the stack, and leaves it there. */
  #set(w: Writer): void {
    if (this.#local >= 0) {
      w.op(OP_LOCAL_TEE, this.#local);
      return;
    }
    w.op(OP_GLOBAL_SET, this.#global);
    w.op(OP_GLOBAL_GET, this.#global);
  }

  /** Calls the hook when the counter on the stack is below zero. */
  #checkInstructions(w: Writer, unlikelyIf: () => void): void {
    w.code(0x42, 0x00, 0x53); // < 0 ?
    unlikelyIf();
    this.#outOfInstructions(w);
    w.u8(OP_END);
  }

  #outOfInstructions(w: Writer): void {
    this.spill(w);
    w.op(OP_CALL, HOOK_OUT_OF_INSTRUCTIONS);
    this.reload(w);
  }
}
