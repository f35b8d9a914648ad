/**
 * Processor time of the thread that asks, to the microsecond: on a machine that has other work too, times by the wall say little. Node.js
 * itself tells it in steps of the scheduler's tick only; what it offers WebAssembly programs (WASI) is the system's own clock.
 */
import { WASI } from "node:wasi";

/** `(module (memory (export "memory") 1))`: where the clock's answer is written. */
const MEMORY_MODULE = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 1, 7, 10, 1, 6, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 2, 0,
]);
const THREAD_CLOCK = 3;

const wasi = new WASI({ version: "preview1" });
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MEMORY_MODULE));
wasi.initialize({ exports });
const answer = new DataView((exports["memory"] as WebAssembly.Memory).buffer);
const ask = wasi.wasiImport["clock_time_get"] as (clock: number, precision: bigint, at: number) => number;

/** Milliseconds of processor time that this thread has used. */
export function threadMilliseconds(): number {
  const error = ask(THREAD_CLOCK, 0n, 0);
  if (error !== 0) throw new Error(`the clock of this thread cannot be read: WASI error ${error}`);
  return Number(answer.getBigUint64(0, true)) / 1e6;
}
