/**
 * Part of the oracle (tests only). Decodes an expression to a list of named instructions and finds, for each structured
 * instruction, where its `else` and its `end` stand (Wasm core specification, binary format, instructions).
 */
import type { Cursor } from "./cursor.ts";
import type { OracleFunctionType } from "./module.ts";
import { INSTRUCTION_NAMES } from "./names.ts";
import type { Value } from "./values.ts";

/** An instruction with the immediates that its kind has. */
export interface Instruction {
  readonly name: string;
  /** Label depth, or the index of a local, global, function, type, table, segment, destination memory. */
  readonly index?: number;
  /** Table of `call_indirect` and `table.init`, source table of `table.copy`, memory of `memory.init`. */
  readonly second?: number;
  readonly labels?: readonly number[];
  readonly offset?: bigint;
  readonly lane?: number;
  readonly lanes?: Uint8Array;
  readonly value?: Value;
  /** How many values a block takes and leaves. */
  readonly params?: number;
  readonly results?: number;
  /** Positions of a block's `else` (`end` without one) and `end`. */
  elseAt?: number;
  endAt?: number;
}

/** Reads up to and including the `end` that closes the expression. */
export function decodeExpression(c: Cursor, types: readonly OracleFunctionType[]): Instruction[] {
  const code: Instruction[] = [];
  const open: Instruction[] = [];
  for (;;) {
    const instruction = decodeInstruction(c, types);
    const { name } = instruction;
    code.push(instruction);
    if (name === "block" || name === "loop" || name === "if") open.push(instruction);
    else if (name === "else") (open.at(-1) as Instruction).elseAt = code.length - 1;
    else if (name === "end") {
      const block = open.pop();
      if (block === undefined) return code;
      block.endAt = code.length - 1;
      block.elseAt ??= code.length - 1;
    }
  }
}

function decodeInstruction(c: Cursor, types: readonly OracleFunctionType[]): Instruction {
  let opcode = c.byte();
  if (opcode === 0xfc || opcode === 0xfd) opcode = opcode * 0x100 + c.unsigned();
  const name = INSTRUCTION_NAMES.get(opcode);
  if (name === undefined) throw new Error(`opcode 0x${opcode.toString(16)} is not covered by the oracle`);
  return { name, ...immediates(name, c, types) };
}

type Immediates = Omit<Instruction, "name">;

function immediates(name: string, c: Cursor, types: readonly OracleFunctionType[]): Immediates {
  switch (name) {
    case "block":
    case "loop":
    case "if":
      return blockType(c, types);
    case "br_table": {
      const labels = c.list(() => c.unsigned());
      return { labels: [...labels, c.unsigned()] };
    }
    case "select_typed":
      c.list(() => c.byte());
      return {};
    case "i32.const":
      return { value: Number(BigInt.asIntN(32, c.signedBig())) };
    case "i64.const":
      return { value: c.signedBig() };
    case "f32.const":
      return { value: new DataView(c.slice(4).buffer).getInt32(0, true) };
    case "f64.const":
      return { value: new DataView(c.slice(8).buffer).getBigInt64(0, true) };
    case "v128.const":
      return { value: c.slice(16) };
    case "i8x16.shuffle":
      return { lanes: c.slice(16) };
    case "ref.null":
      return { index: c.byte() };
    case "call_indirect":
    case "memory.init":
    case "memory.copy":
    case "table.init":
    case "table.copy":
      return { index: c.unsigned(), second: c.unsigned() };
    default:
      return otherImmediates(name, c);
  }
}

function otherImmediates(name: string, c: Cursor): Immediates {
  const [, operation = name] = name.split(".");
  if (/^(br|br_if|call|ref\.func|elem\.drop|data\.drop)$/.test(name)) return { index: c.unsigned() };
  if (/^(local|global|table)\./.test(name) || /^memory\./.test(name)) return { index: c.unsigned() };
  if (/^(load|store)/.test(operation)) return memoryArgument(operation, c);
  if (/^(extract|replace)_lane/.test(operation)) return { lane: c.byte() };
  return {};
}

function memoryArgument(operation: string, c: Cursor): Immediates {
  const alignment = c.unsigned();
  const index = (alignment & 64) !== 0 ? c.unsigned() : 0;
  const offset = c.unsignedBig();
  return operation.endsWith("_lane") ? { index, offset, lane: c.byte() } : { index, offset };
}

function blockType(c: Cursor, types: readonly OracleFunctionType[]): Immediates {
  const code = Number(c.signedBig());
  if (code === -64) return { params: 0, results: 0 };
  if (code < 0) return { params: 0, results: 1 };
  const type = types[code] as OracleFunctionType;
  return { params: type.params.length, results: type.results.length };
}
