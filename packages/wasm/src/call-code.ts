/**
 * Code of calls and of the stack bound: a function takes its frame from what its caller left and traps below zero; a caller
 * leaves what it has before each call. The counter is written back before a call and loaded again after it.
 */
import type { CodeContext } from "./code-context.ts";
import { TYPE_I32, TYPE_I64 } from "./extra-locals.ts";
import { HOOK_TRAP, mapFunction, TRAP_INDIRECT_CALL_TO_NULL, TRAP_STACK_OVERFLOW } from "./layout.ts";
import {
  OP_CALL,
  OP_END,
  OP_GLOBAL_GET,
  OP_GLOBAL_SET,
  OP_I32_SUB,
  OP_IF,
  OP_LOCAL_GET,
  OP_LOCAL_TEE,
  OP_UNREACHABLE,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

/** The stack left to a function, in a local of its own; declared by whoever writes `writeStackCheck` for the body. */
export function stackLocal({ locals }: CodeContext): number {
  return locals.named("stack", TYPE_I32);
}

/** At function entry: takes `frame` bytes of the stack. */
export function writeStackCheck(w: Writer, frame: number, context: CodeContext): void {
  w.op(OP_GLOBAL_GET, context.layout.stackGlobal);
  w.i32Const(frame);
  w.u8(OP_I32_SUB);
  w.op(OP_LOCAL_TEE, stackLocal(context));
  w.code(0x41, 0x00, 0x48, OP_IF, 0x40); // < 0 ?
  writeTrap(w, TRAP_STACK_OVERFLOW);
  w.u8(OP_END);
}

function writeTrap(w: Writer, code: number): void {
  w.i32Const(code);
  w.op(OP_CALL, HOOK_TRAP);
  w.u8(OP_UNREACHABLE);
}

/** A call of the canister's function `index`. */
export function writeCall(w: Writer, index: number, context: CodeContext): void {
  const { layout, counter } = context;
  counter.spill(w);
  if (index >= layout.importCount) writePassStack(w, context);
  w.op(OP_CALL, mapFunction(layout, index));
  counter.reload(w);
}

function writePassStack(w: Writer, context: CodeContext): void {
  w.op(OP_LOCAL_GET, stackLocal(context));
  w.op(OP_GLOBAL_SET, context.layout.stackGlobal);
}

/**
 * Before call_indirect. The engine reports a null entry and a wrong type alike; with `nullCheck`, which only the exact form
 * asks for, a null entry traps on its own.
 */
export function writeIndirectCallPrologue(
  w: Writer,
  nullCheck: { readonly table: number; readonly wide: boolean } | null,
  context: CodeContext,
): void {
  if (nullCheck !== null) {
    const { table, wide } = nullCheck;
    const index = context.locals.named(wide ? "index64" : "index", wide ? TYPE_I64 : TYPE_I32);
    w.op(OP_LOCAL_TEE, index);
    w.op(0x25, table); // table.get
    w.code(0xd1, OP_IF, 0x40); // ref.is_null
    writeTrap(w, TRAP_INDIRECT_CALL_TO_NULL);
    w.u8(OP_END);
    w.op(OP_LOCAL_GET, index);
  }
  context.counter.spill(w);
  writePassStack(w, context);
}
