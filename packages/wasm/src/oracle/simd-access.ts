/** Part of the oracle (tests only). Loads and stores of vectors (Wasm core specification, "Memory instructions"). */
import type { Instruction } from "./instructions.ts";
import { type OracleMemory, unsignedOf } from "./memory.ts";
import type { Value } from "./values.ts";

export function accessVector(memory: OracleMemory, stack: Value[], instruction: Instruction): void {
  const { name, offset = 0n, lane = 0 } = instruction;
  const operation = name.slice("v128.".length);
  const withVector = operation === "store" || operation.endsWith("_lane");
  const vector = withVector ? (stack.pop() as Uint8Array) : new Uint8Array(16);
  const laneBytes = Number(/\d+/.exec(operation)?.[0] ?? 128) / 8;
  const count = Number(/x(\d+)/.exec(operation)?.[1] ?? 1);
  const view = memory.view(unsignedOf(stack.pop() as Value) + offset, BigInt(laneBytes * count));
  const bytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  if (operation.startsWith("store")) {
    bytes.set(vector.subarray(lane * laneBytes, lane * laneBytes + laneBytes));
    return;
  }
  const result = operation.endsWith("_lane") ? vector.slice() : new Uint8Array(16);
  if (count > 1) widen(bytes, result, laneBytes, operation.endsWith("_s"));
  else if (operation.endsWith("_splat")) for (let at = 0; at < 16; at += laneBytes) result.set(bytes, at);
  else result.set(bytes, lane * laneBytes);
  stack.push(result);
}

/** Each lane of the source becomes one of twice its width. */
function widen(source: Uint8Array, result: Uint8Array, laneBytes: number, signed: boolean): void {
  for (let at = 0; at < source.length; at += laneBytes) {
    const lane = source.subarray(at, at + laneBytes);
    const extension = signed && ((lane.at(-1) as number) & 0x80) !== 0 ? 0xff : 0;
    result.fill(extension, 2 * at, 2 * (at + laneBytes));
    result.set(lane, 2 * at);
  }
}
