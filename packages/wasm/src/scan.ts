/**
 * One pass over the function bodies: size, complexity, refused instructions, and the number of operators the replica
 * would compile, which the cost of installing code is made of (reference: instruction limits, metering).
 */
import type { DecodedModule } from "./decode.ts";
import {
  complexities,
  immediates,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_DATA_DROP,
  OP_ELEM_DROP,
  OP_ELSE,
  OP_END,
  OP_IF,
  OP_LOOP,
  OP_MEMORY_COPY,
  OP_MEMORY_FILL,
  OP_MEMORY_GROW,
  OP_MEMORY_INIT,
  OP_RETURN,
  OP_UNREACHABLE,
  REFUSED_TABLE_OPERATORS,
  weights32,
  weights64,
} from "./opcodes.ts";
import { readLocals, readOpcode, skipImmediates } from "./operators.ts";
import { InvalidModule, Reader } from "./reader.ts";

export const FUNCTION_COMPLEXITY_MAX = 1_000_000;
export const FUNCTION_OPERATORS_MAX = 1_000_000;

/** Operators the replica's metering adds: a charge, a charge with its check, a dynamic charge, a guarded memory.grow. */
const CHARGE_OPERATORS = 4;
const CHECK_OPERATORS = 6;
const DYNAMIC_OPERATORS_32 = 3;
const DYNAMIC_OPERATORS_64 = 1;
const GROW_OPERATORS = 3;

export interface CodeSummary {
  /** Operators of all bodies after the replica's metering. */
  readonly operators: number;
  readonly dropsSegments: boolean;
}

/** Scans every body; throws `InvalidModule` with the replica's text for the first function that breaks a limit. */
export function scanCode(m: DecodedModule): CodeSummary {
  const is64 = m.memories[0]?.is64 === true;
  let operators = 0;
  let dropsSegments = false;
  for (const [index, body] of m.bodies.entries()) {
    const summary = scanBody(new Reader(m.bytes, body.start, body.end), index, is64);
    operators += summary.operators;
    dropsSegments ||= summary.dropsSegments;
  }
  return { operators, dropsSegments };
}

function scanBody(r: Reader, index: number, is64: boolean): CodeSummary {
  readLocals(r);
  const weights = is64 ? weights64 : weights32;
  let size = 0;
  let complexity = 0;
  let added = 0;
  let runCost = 1;
  let checked = true;
  let depth = 1;
  let dropsSegments = false;
  while (depth > 0) {
    const op = readOpcode(r);
    const refused = op === 0x26 || op > 0xff ? REFUSED_TABLE_OPERATORS.get(op) : undefined;
    if (refused !== undefined) throw unsupported(index, refused);
    skipImmediates(r, immediates[op] as number);
    size++;
    complexity += complexities[op] as number;
    runCost += weights[op] as number;
    let ends = false;
    switch (op) {
      case 0x02:
        depth++;
        break;
      case OP_LOOP:
      case OP_IF:
        depth++;
        ends = true;
        break;
      case OP_END:
        depth--;
        ends = true;
        break;
      case OP_ELSE:
      case OP_BR:
      case OP_BR_IF:
      case OP_BR_TABLE:
      case OP_RETURN:
      case OP_UNREACHABLE:
        ends = true;
        break;
      case OP_MEMORY_COPY:
      case OP_MEMORY_FILL:
        added += is64 ? DYNAMIC_OPERATORS_64 : DYNAMIC_OPERATORS_32;
        break;
      case OP_MEMORY_INIT:
        added += DYNAMIC_OPERATORS_32;
        break;
      case OP_MEMORY_GROW:
        added += GROW_OPERATORS;
        break;
      case OP_DATA_DROP:
      case OP_ELEM_DROP:
        dropsSegments = true;
        break;
      default:
    }
    if (ends) {
      if (checked) added += CHARGE_OPERATORS + CHECK_OPERATORS;
      else if (runCost > 0) added += CHARGE_OPERATORS;
      runCost = 0;
      checked = op === OP_LOOP;
    }
  }
  if (r.at !== r.end) throw r.fail("operators remaining after end of function");
  checkLimits(index, size, complexity);
  return { operators: size + added, dropsSegments };
}

function unsupported(index: number, instruction: string): InvalidModule {
  return new InvalidModule(
    "unsupported_instruction",
    `Wasm module contains a function at index ${index} with unsupported instruction ${instruction}.`,
  );
}

function checkLimits(index: number, size: number, complexity: number): void {
  if (complexity > FUNCTION_COMPLEXITY_MAX) {
    throw new InvalidModule(
      "function_complexity",
      `Wasm module contains a function at index ${index} with complexity ${complexity} ` +
        `which exceeds the maximum complexity allowed ${FUNCTION_COMPLEXITY_MAX}.`,
    );
  }
  if (size > FUNCTION_OPERATORS_MAX) {
    throw new InvalidModule(
      "function_size",
      `Wasm module contains a function at index ${index} of size ${size} ` +
        `that exceeds the maximum allowed size of ${FUNCTION_OPERATORS_MAX}.`,
    );
  }
}
