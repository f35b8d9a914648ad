/**
 * Imports for debugging (interface spec, "Debugging aids"). `debug_print` never fails because of its arguments; what both cost
 * depends on how much of the message the canister's log can hold. A byte that somebody sees costs one more: what `trap` says, and
 * on system subnets, whose nodes print it, what `debug_print` does.
 */
import { utf8, utf8DecodeLossy } from "@orrery/base";
import { CanisterFailure } from "./failure.ts";
import type { MessageFrame } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { unsigned } from "./host.ts";

/** Longest text taken from a `trap`. */
const TRAP_TEXT_BYTES_MAX: number = 32 * 1024;
const ALLOCATED_BYTE_INSTRUCTIONS = 2;
const STORED_BYTE_INSTRUCTIONS = 50;

function printPrice({ logs }: MessageFrame, bytes: number): number {
  const allocated = Math.min(bytes, logs.capacity);
  return ALLOCATED_BYTE_INSTRUCTIONS * allocated + STORED_BYTE_INSTRUCTIONS * Math.min(bytes, logs.free);
}

function print(host: Host, { logs }: MessageFrame, src: Pointer, size: Pointer): void {
  const start = unsigned(src);
  const bytes = unsigned(size);
  const memory = host.instance.memoryBytes();
  if (start + bytes > memory.length) logs.push(utf8("(debug_print message out of memory bounds)"));
  else logs.push(memory.slice(start, start + Math.min(bytes, logs.capacity)));
}

export function debugImports(host: Host): Record<string, HostFunction> {
  return {
    debug_print: (src: Pointer, size: Pointer) => {
      const { frame } = host;
      const bytes = unsigned(size);
      const shown = frame.context.subnet.type === "system" ? bytes : 0;
      host.charge(shown + printPrice(frame, bytes));
      print(host, frame, src, size);
      return undefined;
    },
    trap: (src: Pointer, size: Pointer) => {
      host.charge(unsigned(size) + printPrice(host.frame, unsigned(size)));
      const start = unsigned(src);
      const bytes = Math.min(unsigned(size), TRAP_TEXT_BYTES_MAX);
      const memory = host.instance.memoryBytes();
      const message =
        start + bytes > memory.length
          ? "(trap message out of memory bounds)"
          : utf8DecodeLossy(memory.slice(start, start + bytes));
      throw new CanisterFailure({ kind: "called_trap", message });
    },
  };
}
