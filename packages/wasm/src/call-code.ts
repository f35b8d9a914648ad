/** Code of calls: what is left of instructions and stack goes to the function that is called and comes back with its results. */
import type { CodeContext } from "./code-context.ts";
import { TYPE_I32, TYPE_I64 } from "./extra-locals.ts";
import { HOOK_TRAP, mapFunction, TRAP_INDIRECT_CALL_TO_NULL } from "./layout.ts";
import {
  OP_CALL,
  OP_END,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_UNREACHABLE,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

/** A call of the canister's function `index`. */
export function writeCall(w: Writer, index: number, { layout, counter }: CodeContext): void {
  counter.pass(w);
  w.op(OP_CALL, mapFunction(layout, index));
  counter.take(w);
}

/**
 * Before call_indirect, whose operand on top is the index into the table. The engine reports a null entry and a wrong type alike;
 * in the exact form a null entry traps on its own.
 */
export function writeIndirectCallPrologue(
  w: Writer,
  options: { readonly exact: boolean; readonly table: number; readonly wide: boolean },
  context: CodeContext,
): void {
  const { layout, locals, counter } = context;
  const { exact, table, wide } = options;
  if (!exact && !layout.passesCounter) {
    counter.spill(w);
    return;
  }
  const index = locals.named(wide ? "index64" : "index", wide ? TYPE_I64 : TYPE_I32);
  if (exact) {
    w.op(OP_LOCAL_TEE, index);
    w.op(0x25, table); // table.get
    w.code(0xd1, OP_IF, 0x40); // ref.is_null
    w.i32Const(TRAP_INDIRECT_CALL_TO_NULL);
    w.op(OP_CALL, HOOK_TRAP);
    w.code(OP_UNREACHABLE, OP_END);
  } else w.op(OP_LOCAL_SET, index);
  counter.pass(w);
  w.op(OP_LOCAL_GET, index);
}
