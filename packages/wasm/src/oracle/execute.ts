/**
 * Part of the oracle (tests only). Runs one expression: control, variables, calls and charges. Instructions that are not about
 * control are in numeric.ts, access.ts and simd.ts.
 */
import { isAccess, runAccess } from "./access.ts";
import type { Instruction } from "./instructions.ts";
import type { OracleFunction, OracleMachine } from "./machine.ts";
import { type OracleTable, unsignedOf } from "./memory.ts";
import { type Charge, PAY_BY_LENGTH } from "./metering.ts";
import { NUMERIC, numericArity } from "./numeric.ts";
import { runVector } from "./simd.ts";
import { OracleTrap, type Reference, type Value } from "./values.ts";

/** One activation of an expression. */
export interface Frame {
  readonly code: readonly Instruction[];
  readonly charges: ReadonlyMap<number, Charge>;
  readonly locals: Value[];
  readonly stack: Value[];
  /** Values left on the stack at the end. */
  readonly results: number;
}

/** A label that a branch may name: how many values go along, the height below them, and where to go on. */
interface Label {
  readonly arity: number;
  readonly height: number;
  readonly target: number;
}

/** Runs a frame to its end. */
export function execute(machine: OracleMachine, frame: Frame): void {
  const { code, charges, results } = frame;
  const labels: Label[] = [{ arity: results, height: 0, target: code.length }];
  for (let at = 0; at < code.length; ) {
    const charge = charges.get(at);
    if (charge !== undefined) {
      machine.pay(charge.cost);
      if (charge.checked) machine.check();
    }
    const instruction = code[at] as Instruction;
    const next = control(machine, frame, labels, instruction, at);
    if (next !== null) at = next;
    else {
      plain(machine, frame, instruction);
      at++;
    }
  }
}

/** Runs a control instruction and tells which position follows; null for the other instructions. */
function control(
  machine: OracleMachine,
  { code, stack }: Frame,
  labels: Label[],
  instruction: Instruction,
  at: number,
): number | null {
  const { name, params = 0, results = 0, elseAt = 0, endAt = 0, index = 0 } = instruction;
  const branch = (depth: number): number => {
    const label = labels[labels.length - 1 - depth] as Label;
    labels.length -= depth + 1;
    const kept = label.arity === 0 ? [] : stack.slice(-label.arity);
    stack.length = label.height;
    stack.push(...kept);
    // A loop's label stays: a branch to it goes on behind its head. `return` and the outermost label leave the expression.
    if (code[label.target - 1]?.name === "loop") labels.push(label);
    return label.target;
  };
  switch (name) {
    case "block":
      labels.push({ arity: results, height: stack.length - params, target: endAt + 1 });
      return at + 1;
    case "loop":
      labels.push({ arity: params, height: stack.length - params, target: at + 1 });
      return at + 1;
    case "if": {
      const chosen = stack.pop() !== 0;
      if (chosen || elseAt !== endAt)
        labels.push({ arity: results, height: stack.length - params, target: endAt + 1 });
      return chosen ? at + 1 : elseAt + 1;
    }
    case "else":
      return branch(0);
    case "end":
      labels.pop();
      return at + 1;
    case "br":
      return branch(index);
    case "br_if":
      return stack.pop() === 0 ? at + 1 : branch(index);
    case "br_table": {
      const { labels: depths = [] } = instruction;
      const choice = Number(unsignedOf(stack.pop() as Value));
      return branch(depths[Math.min(choice, depths.length - 1)] as number);
    }
    case "return":
      return branch(labels.length - 1);
    case "unreachable":
      throw new OracleTrap("unreachable");
    case "call":
      invoke(machine, stack, machine.functions[index] as OracleFunction);
      return at + 1;
    case "call_indirect":
      invoke(machine, stack, indirect(machine, stack, instruction));
      return at + 1;
    default:
      return null;
  }
}

function invoke(machine: OracleMachine, stack: Value[], target: OracleFunction): void {
  const args = stack.splice(stack.length - target.type.params.length);
  stack.push(...machine.invoke(target, args));
}

function indirect(
  machine: OracleMachine,
  stack: Value[],
  { index = 0, second = 0 }: Instruction,
): OracleFunction {
  const table = machine.tables[second] as OracleTable;
  const position = unsignedOf(stack.pop() as Value);
  if (position >= BigInt(table.items.length)) throw new OracleTrap("undefined element");
  const target = table.items[Number(position)] as OracleFunction | null;
  if (target === null) throw new OracleTrap("uninitialized element");
  const expected = JSON.stringify(machine.module.types[index]);
  if (JSON.stringify(target.type) !== expected) throw new OracleTrap("indirect call type mismatch");
  return target;
}

function plain(machine: OracleMachine, { locals, stack }: Frame, instruction: Instruction): void {
  const { name, index = 0 } = instruction;
  const pop = (): Value => stack.pop() as Value;
  if (PAY_BY_LENGTH.has(name)) machine.charge(unsignedOf(stack.at(-1) as Value));
  const operator = NUMERIC.get(name);
  if (operator !== undefined) {
    const operands = stack.splice(stack.length - numericArity(name));
    stack.push(operator(...(operands as never[])));
  } else if (name.endsWith(".const")) stack.push(instruction.value as Value);
  else if (name === "local.get") stack.push(locals[index] as Value);
  else if (name === "local.set") locals[index] = pop();
  else if (name === "local.tee") locals[index] = stack.at(-1) as Value;
  else if (name === "global.get") stack.push(machine.globals[index] as Value);
  else if (name === "global.set") machine.globals[index] = pop();
  else if (name === "drop") pop();
  else if (name === "select" || name === "select_typed") {
    const [first, second, condition] = stack.splice(-3) as [Value, Value, Value];
    stack.push(condition === 0 ? second : first);
  } else if (name === "ref.null") stack.push(null);
  else if (name === "ref.is_null") stack.push(pop() === null ? 1 : 0);
  else if (name === "ref.func") stack.push(machine.functions[index] as Reference);
  else if (isAccess(name)) runAccess(machine, stack, instruction);
  else if (name !== "nop") runVector(stack, instruction);
}
