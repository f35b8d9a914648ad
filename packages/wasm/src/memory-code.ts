/** Code around operators that write memory and cannot use a group's check: bulk operators and stores with scratch operands. */
import type { CodeContext } from "./code-context.ts";
import { TYPE_I32, TYPE_I64 } from "./extra-locals.ts";
import type { Layout } from "./layout.ts";
import {
  OP_CALL,
  OP_I32_ADD,
  OP_I64_ADD,
  OP_LOCAL_GET,
  OP_LOCAL_SET,
  OP_LOCAL_TEE,
  OP_MEMORY_COPY,
  OP_MEMORY_INIT,
} from "./opcodes.ts";
import type { Writer } from "./writer.ts";

const I64_EXTEND_I32_U = 0xad;
const DROP = 0x1a;

/** Before memory.copy, fill or init: the charge for the length, the mark of the range. The operands stay as they were. */
export function writeBulkPrologue(w: Writer, op: number, { layout, locals, counter }: CodeContext): void {
  const wide = layout.is64;
  const wideLength = wide && op !== OP_MEMORY_INIT;
  const wideMiddle = wide && op === OP_MEMORY_COPY;
  const address = locals.named("address", wide ? TYPE_I64 : TYPE_I32);
  const middle = locals.named(wideMiddle ? "middle64" : "middle", wideMiddle ? TYPE_I64 : TYPE_I32);
  const length = locals.named(wideLength ? "length64" : "length", wideLength ? TYPE_I64 : TYPE_I32);
  w.op(OP_LOCAL_SET, length);
  w.op(OP_LOCAL_SET, middle);
  w.op(OP_LOCAL_SET, address);
  counter.spill(w);
  w.op(OP_LOCAL_GET, length);
  if (!wideLength) w.u8(I64_EXTEND_I32_U);
  w.op(OP_CALL, layout.fnCharge);
  counter.reload(w);
  w.op(OP_LOCAL_GET, address);
  w.op(OP_LOCAL_GET, length);
  if (wide && !wideLength) w.u8(I64_EXTEND_I32_U);
  w.op(OP_CALL, layout.fnMarkRange);
  w.op(OP_LOCAL_GET, address);
  w.op(OP_LOCAL_GET, middle);
  w.op(OP_LOCAL_GET, length);
}

/**
 * Before a store: moves its operands to scratch locals; the address is back on the stack when `between` runs and the value
 * after it.
 */
export function writeStorePrologue(
  w: Writer,
  valueType: number,
  { layout, locals }: CodeContext,
  between: (address: number) => void,
): void {
  const value = locals.named(`value${valueType}`, valueType);
  const address = locals.named("address", layout.is64 ? TYPE_I64 : TYPE_I32);
  w.op(OP_LOCAL_SET, value);
  w.op(OP_LOCAL_TEE, address);
  between(address);
  w.op(OP_LOCAL_GET, value);
}

/** Marks by a call, for a store with an offset of 2 GiB and more: the sum overflows only if the store traps. */
export function writeFarMark(w: Writer, address: number, offset: number, size: number, layout: Layout): void {
  if (offset >= 2 ** 53) return; // no memory reaches that far
  w.op(OP_LOCAL_GET, address);
  if (layout.is64) w.i64Const(offset);
  else w.i32Const(offset);
  w.u8(layout.is64 ? OP_I64_ADD : OP_I32_ADD);
  w.i32Const(size);
  w.op(OP_CALL, layout.fnMark);
  w.u8(DROP);
}
