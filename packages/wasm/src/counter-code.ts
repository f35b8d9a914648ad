/**
 * Code that keeps the instruction counter: in the exact form every charge works on the global counter; in the fast form on a
 * local copy, which is written back (spilled) wherever somebody else may read or change the counter, and loaded again after.
 */
import { HOOK_OUT_OF_INSTRUCTIONS, type Layout } from "./layout.ts";
import {
  OP_CALL,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I64_SUB,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

export class CounterCode {
  readonly #global: number;
  /** The local copy; -1 in the exact form. */
  #local = -1;

  constructor(layout: Layout) {
    this.#global = layout.counterGlobal;
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
    if (this.#local >= 0) w.op(OP_LOCAL_GET, this.#local);
    else w.op(OP_GLOBAL_GET, this.#global);
    if (cost > 0) {
      w.i64Const(cost);
      w.u8(OP_I64_SUB);
    }
    if (this.#local >= 0) w.op(checked ? OP_LOCAL_TEE : OP_LOCAL_SET, this.#local);
    else {
      w.op(OP_GLOBAL_SET, this.#global);
      if (checked) w.op(OP_GLOBAL_GET, this.#global);
    }
    if (!checked) return;
    w.code(0x42, 0x00, 0x53); // < 0 ?
    unlikelyIf();
    this.spill(w);
    w.op(OP_CALL, HOOK_OUT_OF_INSTRUCTIONS);
    this.reload(w);
    w.u8(OP_END);
  }
}
