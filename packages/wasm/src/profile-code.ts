/**
 * Code of the profiling form. It is the exact form, whose counter is right at every moment, with a function around each of the
 * canister's and around each import's wrapper: it tells the host which function is entered, with the instructions left, calls it, and
 * tells when it came back. All calls, tables, exports and references go to these, so no body differs from the exact form's.
 */
import { type DecodedModule, functionType } from "./decode.ts";
import type { GeneratedFunction } from "./generated.ts";
import { COUNTER_SHIFT, HOOK_ENTER, HOOK_LEAVE, HOOKS, type Layout } from "./layout.ts";
import { OP_CALL, OP_END, OP_GLOBAL_GET, OP_LOCAL_GET } from "./opcodes.ts";
import { Writer } from "./writer.ts";

/** One for each function of the module, imports first. */
export function profiledFunctions(m: DecodedModule, layout: Layout): GeneratedFunction[] {
  const count = layout.importCount + layout.functionCount;
  return Array.from({ length: count }, (_, index) => profiled(m, layout, index));
}

function profiled(m: DecodedModule, layout: Layout, index: number): GeneratedFunction {
  const { params, results } = functionType(m, index);
  const isImport = index < layout.importCount;
  const w = new Writer(64);
  w.u32(0);
  w.i32Const(index);
  instructionsLeft(w, layout);
  w.op(OP_CALL, HOOK_ENTER);
  for (let i = 0; i < params.length; i++) w.op(OP_LOCAL_GET, i);
  w.op(OP_CALL, isImport ? layout.wrapperBase + index : HOOKS.length + index);
  instructionsLeft(w, layout);
  w.op(OP_CALL, HOOK_LEAVE);
  w.u8(OP_END);
  return { params, results, body: w };
}

/** As f64, which holds every count and crosses to the host without an allocation. */
function instructionsLeft(w: Writer, layout: Layout): void {
  w.op(OP_GLOBAL_GET, layout.counterGlobal);
  w.i64Const(COUNTER_SHIFT);
  w.code(0x87, 0xb9); // i64.shr_s, f64.convert_i64_s
}
