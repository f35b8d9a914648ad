/** Part of the oracle (tests only). Instructions that touch memories, tables and segments. */
import type { Instruction } from "./instructions.ts";
import type { OracleMachine } from "./machine.ts";
import {
  accessBytes,
  loadScalar,
  type OracleMemory,
  type OracleTable,
  slice,
  storeScalar,
  unsignedOf,
} from "./memory.ts";
import { accessVector } from "./simd-access.ts";
import { OracleTrap, type Reference, type Value } from "./values.ts";

export function isAccess(name: string): boolean {
  return /^(memory|table|data|elem)\.|^\w+\.(load|store)/.test(name);
}

export function runAccess(machine: OracleMachine, stack: Value[], instruction: Instruction): void {
  const { name, index = 0, second = 0 } = instruction;
  if (name.startsWith("table.")) table(machine, stack, instruction);
  else if (name === "data.drop") machine.data[index] = new Uint8Array(0);
  else if (name === "elem.drop") machine.elements[index] = [];
  else if (name.startsWith("memory.")) {
    const memory = machine.memories[name === "memory.init" ? second : index] as OracleMemory;
    if (name === "memory.size") stack.push(sized(memory.pages, memory.is64));
    else if (name === "memory.grow")
      stack.push(sized(memory.grow(unsignedOf(stack.pop() as Value)), memory.is64));
    else bulk(machine, memory, stack, instruction);
  } else if (name.startsWith("v128."))
    accessVector(machine.memories[index] as OracleMemory, stack, instruction);
  else access(machine.memories[index] as OracleMemory, stack, instruction);
}

function sized(value: number, is64: boolean): Value {
  return is64 ? BigInt(value) : value | 0;
}

function access(memory: OracleMemory, stack: Value[], instruction: Instruction): void {
  const { name, offset = 0n } = instruction;
  const value = name.includes(".store") ? (stack.pop() as Value) : null;
  const view = memory.view(unsignedOf(stack.pop() as Value) + offset, BigInt(accessBytes(name)));
  if (value === null) stack.push(loadScalar(name, view));
  else storeScalar(view, value);
}

/** `memory.fill`, `memory.copy` and `memory.init`: both ranges are checked before anything is written. */
function bulk(machine: OracleMachine, memory: OracleMemory, stack: Value[], instruction: Instruction): void {
  const { name, index = 0, second = 0 } = instruction;
  const [to, from, length] = stack.splice(-3).map((value) => value as Value) as [Value, Value, Value];
  const size = unsignedOf(length);
  let source: Uint8Array;
  if (name === "memory.fill") {
    memory.view(unsignedOf(to), size);
    source = new Uint8Array(Number(size)).fill(Number(from) & 0xff);
  } else if (name === "memory.copy") {
    const view = (machine.memories[second] as OracleMemory).view(unsignedOf(from), size);
    source = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).slice();
  } else {
    const segment = machine.data[index] as Uint8Array;
    const at = unsignedOf(from);
    if (at + size > BigInt(segment.length)) throw new OracleTrap("out of bounds memory access");
    source = segment.slice(Number(at), Number(at + size));
  }
  const target = memory.view(unsignedOf(to), size);
  new Uint8Array(target.buffer as ArrayBuffer, target.byteOffset, target.byteLength).set(source);
}

function table(machine: OracleMachine, stack: Value[], { name, index = 0, second = 0 }: Instruction): void {
  const target = machine.tables[name === "table.init" ? second : index] as OracleTable;
  const operand = (): bigint => unsignedOf(stack.pop() as Value);
  if (name === "table.size") stack.push(sized(target.items.length, target.is64));
  else if (name === "table.get") stack.push(target.items[target.position(operand())] as Reference);
  else if (name === "table.set") {
    const item = stack.pop() as Reference;
    target.items[target.position(operand())] = item;
  } else if (name === "table.grow") {
    const delta = operand();
    const item = stack.pop() as Reference;
    stack.push(sized(growTable(target, delta, item), target.is64));
  } else if (name === "table.fill") {
    const length = operand();
    const item = stack.pop() as Reference;
    const at = operand();
    target.read(at, length);
    target.write(at, Array<Reference>(Number(length)).fill(item));
  } else {
    const [length, from, to] = [operand(), operand(), operand()];
    const items =
      name === "table.copy"
        ? (machine.tables[second] as OracleTable).read(from, length)
        : slice(machine.elements[index] as Reference[], from, length);
    target.write(to, items);
  }
}

/** Tables of the oracle stop at ten million elements, as the engines' do. */
const TABLE_MAX = 10_000_000;

function growTable(target: OracleTable, delta: bigint, item: Reference): number {
  const before = target.items.length;
  if (BigInt(before) + delta > BigInt(Math.min(target.max, TABLE_MAX))) return -1;
  for (let i = 0n; i < delta; i++) target.items.push(item);
  return before;
}
