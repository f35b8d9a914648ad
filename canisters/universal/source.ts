/**
 * The universal test canister as WebAssembly text, generated for 32-bit and 64-bit memory: the machine of `opcodes.ts`, one small
 * function an instruction, dispatched through the table. Entry points run programs: methods and installation hooks the argument,
 * the others what `hook` kept for them, the start function what was written into the module.
 */
import {
  HOOKS,
  type ImportFunction,
  importFunctions,
  LAYOUT,
  MACHINE_OPS,
  START_MARKER,
  TABLE,
} from "./opcodes.ts";

export type Width = 32 | 64;

/** Cells of the stack, relative to its top. */
const CELL_BYTES = 8;

interface Dialect {
  readonly ptr: "i32" | "i64";
  /** A constant of pointer type. */
  p(value: number): string;
  /** A cell from a pointer, and the reverse. */
  widen(text: string): string;
  narrow(text: string): string;
}

function dialect(width: Width): Dialect {
  const ptr = width === 32 ? "i32" : "i64";
  return {
    ptr,
    p: (value) => `(${ptr}.const ${value})`,
    widen: (text) => (width === 32 ? `(i64.extend_i32_u ${text})` : text),
    narrow: (text) => (width === 32 ? `(i32.wrap_i64 ${text})` : text),
  };
}

/** Bodies of the machine's instructions. `$a` and `$b` are cells. */
function bodies({ ptr, p, widen, narrow }: Dialect): Readonly<Record<string, string>> {
  const pop = "(call $pop)";
  const push = (text: string): string => `(call $push ${text})`;
  const binary = (op: string): string =>
    `(local.set $b ${pop}) (local.set $a ${pop}) ${push(`(${op} (local.get $a) (local.get $b))`)}`;
  const compare = (op: string): string =>
    binary(op).replace(/\(call \$push (.*)\)$/, "(call $push (i64.extend_i32_u $1))");
  const operand = (load: string, bytes: number): string =>
    `(local.set $a (${load} (global.get $pc))) (global.set $pc (${ptr}.add (global.get $pc) ${p(bytes)}))`;
  const register = `(${ptr}.add ${p(LAYOUT.registers)} (${ptr}.mul ${narrow("(local.get $a)")} ${p(CELL_BYTES)}))`;
  const jump = `(global.set $pc (${ptr}.add (global.get $pc) ${narrow("(local.get $a)")}))`;
  const three = `(local.set $c ${pop}) (local.set $b ${pop}) (local.set $a ${pop})`;
  const address = narrow("(local.get $a)");
  return {
    push64: `${operand("i64.load", 8)} ${push("(local.get $a)")}`,
    push8: `${operand("i64.load8_u", 1)} ${push("(local.get $a)")}`,
    blob: `${operand("i64.load32_u", 4)} ${push(widen("(global.get $pc)"))} ${push("(local.get $a)")} ${jump}`,
    drop: `(drop ${pop})`,
    dup: `(local.set $a ${pop}) ${push("(local.get $a)")} ${push("(local.get $a)")}`,
    swap: `(local.set $b ${pop}) (local.set $a ${pop}) ${push("(local.get $b)")} ${push("(local.get $a)")}`,
    get: `${operand("i64.load8_u", 1)} ${push(`(i64.load ${register})`)}`,
    set: `${operand("i64.load8_u", 1)} (i64.store ${register} ${pop})`,
    jump: `${operand("i64.load32_s", 4)} ${jump}`,
    jump_zero: `${operand("i64.load32_s", 4)} (if (i64.eqz ${pop}) (then ${jump}))`,
    add: binary("i64.add"),
    sub: binary("i64.sub"),
    mul: binary("i64.mul"),
    div_u: binary("i64.div_u"),
    div_s: binary("i64.div_s"),
    rem_u: binary("i64.rem_u"),
    and: binary("i64.and"),
    or: binary("i64.or"),
    shl: binary("i64.shl"),
    shr_u: binary("i64.shr_u"),
    eq: compare("i64.eq"),
    lt_u: compare("i64.lt_u"),
    load8: `(local.set $a ${pop}) ${push(`(i64.load8_u ${address})`)}`,
    load32: `(local.set $a ${pop}) ${push(`(i64.load32_u ${address})`)}`,
    load64: `(local.set $a ${pop}) ${push(`(i64.load ${address})`)}`,
    store8: `(local.set $b ${pop}) (local.set $a ${pop}) (i64.store8 ${address} (local.get $b))`,
    store64: `(local.set $b ${pop}) (local.set $a ${pop}) (i64.store ${address} (local.get $b))`,
    memory_copy: `${three} (memory.copy ${address} ${narrow("(local.get $b)")} ${narrow("(local.get $c)")})`,
    memory_fill: `${three} (memory.fill ${address} (i32.wrap_i64 (local.get $b)) ${narrow("(local.get $c)")})`,
    memory_size: push(widen("(memory.size)")),
    memory_grow: push(widen(`(memory.grow ${narrow(pop)})`)),
    keep: `(local.set $b ${pop}) (local.set $a ${pop}) ${push(widen(`(call $keep ${address} ${narrow("(local.get $b)")})`))}`,
    hook:
      `(local.set $b ${pop}) (local.set $a ${pop}) ` +
      `(i64.store (${ptr}.add ${p(LAYOUT.hooks)} (${ptr}.mul ${address} ${p(CELL_BYTES)})) (local.get $b))`,
    log64: `(i64.store (call $log_end) ${pop}) (call $log_advance ${p(8)})`,
    log_blob:
      `(local.set $b ${pop}) (local.set $a ${pop}) ` +
      `(memory.copy (call $log_end) ${address} ${narrow("(local.get $b)")}) (call $log_advance ${narrow("(local.get $b)")})`,
    log: `${push(`(i64.const ${LAYOUT.log})`)} ${push(`(i64.load ${p(LAYOUT.machine)})`)}`,
    log_clear: `(i64.store ${p(LAYOUT.machine)} (i64.const 0))`,
    unreachable: "(unreachable)",
    spin:
      `(local.set $a ${pop}) (block $done (loop $again (br_if $done (i64.eqz (local.get $a))) ` +
      "(local.set $a (i64.sub (local.get $a) (i64.const 1))) (br $again)))",
    stop: "(global.set $pc (global.get $end))",
    float_div: `(local.set $b ${pop}) (local.set $a ${pop}) ${push(
      "(i64.reinterpret_f64 (f64.div (f64.reinterpret_i64 (local.get $a)) (f64.reinterpret_i64 (local.get $b))))",
    )}`,
    float32_div: `(local.set $a ${pop}) ${push(
      `(i64.extend_i32_u (i32.reinterpret_f32 (f32.div (f32.load ${address}) (f32.load offset=4 ${address}))))`,
    )}`,
    trunc_s: `(local.set $a ${pop}) ${push("(i64.trunc_f64_s (f64.reinterpret_i64 (local.get $a)))")}`,
    recurse: `${push(`(call $recurse ${pop})`)}`,
    call_table: `(call_indirect (type $callback) ${p(0)} (i32.wrap_i64 ${pop}))`,
    global_get: push("(global.get $outside)"),
    global_set: `(global.set $outside ${pop})`,
  };
}

function importDeclaration(fn: ImportFunction, ptr: string): string {
  const type = (letter: string): string => ({ I: ptr, i: "i32", l: "i64" })[letter] as string;
  const params = fn.params === "" ? "" : ` (param ${[...fn.params].map(type).join(" ")})`;
  const result = fn.result === "" ? "" : ` (result ${type(fn.result)})`;
  return `(import "ic0" "${fn.name}" (func $ic0_${fn.name}${params}${result}))`;
}

/** The instruction of an import: its arguments are the topmost cells. */
function importBody(fn: ImportFunction, width: Width): string {
  const { ptr, p, widen, narrow } = dialect(width);
  if (fn.only32 && width === 64) return "(unreachable)";
  const count = fn.params.length;
  const cell = (index: number): string => `(i64.load offset=${index * CELL_BYTES} (global.get $sp))`;
  const args = [...fn.params].map((letter, index) => {
    if (letter === "l") return cell(index);
    return letter === "i" ? `(i32.wrap_i64 ${cell(index)})` : narrow(cell(index));
  });
  const release =
    count === 0 ? "" : `(global.set $sp (${ptr}.sub (global.get $sp) ${p(count * CELL_BYTES)})) `;
  const call = `(call $ic0_${fn.name} ${args.join(" ")})`;
  const widened = {
    "": call,
    l: `(call $push ${call})`,
    i: `(call $push (i64.extend_i32_u ${call}))`,
    I: `(call $push ${widen(call)})`,
  };
  return `${release}${widened[fn.result as keyof typeof widened]}`;
}

function machinery({ ptr, p, widen, narrow }: Dialect): string {
  const hook = (number: number): string => `(i64.load ${p(LAYOUT.hooks + number * CELL_BYTES)})`;
  return `
  (func $push (param $value i64)
    (if (${ptr}.ge_u (global.get $sp) ${p(LAYOUT.stackEnd)}) (then (unreachable)))
    (i64.store (global.get $sp) (local.get $value))
    (global.set $sp (${ptr}.add (global.get $sp) ${p(CELL_BYTES)})))
  (func $pop (result i64)
    (if (${ptr}.le_u (global.get $sp) ${p(LAYOUT.stack)}) (then (unreachable)))
    (global.set $sp (${ptr}.sub (global.get $sp) ${p(CELL_BYTES)}))
    (i64.load (global.get $sp)))
  (func $keep (param $from ${ptr}) (param $size ${ptr}) (result ${ptr})
    (local $at ${ptr})
    (local.set $at (${ptr}.add (global.get $kept) ${p(CELL_BYTES)}))
    (if (${ptr}.gt_u (${ptr}.add (local.get $at) (local.get $size)) ${p(LAYOUT.keptEnd)}) (then (unreachable)))
    (i64.store (global.get $kept) ${widen("(local.get $size)")})
    (memory.copy (local.get $at) (local.get $from) (local.get $size))
    (global.set $kept (${ptr}.and (${ptr}.add (${ptr}.add (local.get $at) (local.get $size)) ${p(7)}) ${p(-8)}))
    (local.get $at))
  (func $log_end (result ${ptr}) (${ptr}.add ${p(LAYOUT.log)} ${narrow(`(i64.load ${p(LAYOUT.machine)})`)}))
  (func $log_advance (param $by ${ptr})
    (i64.store ${p(LAYOUT.machine)} (i64.add (i64.load ${p(LAYOUT.machine)}) ${widen("(local.get $by)")})))
  (func $recurse (param $levels i64) (result i64)
    (if (result i64) (i64.eqz (local.get $levels))
      (then (i64.const 0))
      (else (i64.add (i64.const 1) (call $recurse (i64.sub (local.get $levels) (i64.const 1)))))))
  (func $run (param $from ${ptr}) (param $size ${ptr})
    (global.set $sp ${p(LAYOUT.stack)})
    (global.set $pc (local.get $from))
    (global.set $end (${ptr}.add (local.get $from) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (${ptr}.ge_u (global.get $pc) (global.get $end)))
        (call_indirect (type $op) (call $fetch))
        (br $next))))
  (func $fetch (result i32)
    (global.set $pc (${ptr}.add (global.get $pc) ${p(1)}))
    (i32.add (i32.const ${TABLE.firstOp}) (i32.load8_u (${ptr}.sub (global.get $pc) ${p(1)}))))
  (func $run_argument
    (local $size ${ptr})
    (local.set $size (call $ic0_msg_arg_data_size))
    (if (${ptr}.gt_u (local.get $size) ${p(LAYOUT.programBytes)}) (then (local.set $size ${p(LAYOUT.programBytes)})))
    (call $ic0_msg_arg_data_copy ${p(LAYOUT.program)} ${p(0)} (local.get $size))
    (call $run ${p(LAYOUT.program)} (local.get $size)))
  (func $run_kept (param $at ${ptr})
    (call $run (local.get $at) ${narrow(`(i64.load (${ptr}.sub (local.get $at) ${p(CELL_BYTES)}))`)}))
  (func $callback (param $env ${ptr})
    (call $run_kept (local.get $env)))
  (func $other_type (param i64 f32) (result i32) (i32.const 0))
  (func $start
    (call $run ${p(LAYOUT.start + START_MARKER.length + CELL_BYTES)} ${narrow(`(i64.load ${p(LAYOUT.start + START_MARKER.length)})`)}))
  ${Object.entries(HOOKS)
    .map(
      ([name, number]) =>
        `(func $${name} (if (i64.ne ${hook(number)} (i64.const 0)) (then (call $run_kept ${narrow(hook(number))}))${
          name === "inspect_message" ? " (else (call $ic0_accept_message))" : ""
        }))`,
    )
    .join("\n  ")}`;
}

const EXPORTS = `
  (export "canister_init" (func $run_argument))
  (export "canister_post_upgrade" (func $run_argument))
  (export "canister_update update" (func $run_argument))
  (export "canister_update \\c3\\bcn\\c3\\afcode" (func $run_argument))
  (export "canister_query query" (func $run_argument))
  (export "canister_composite_query composite" (func $run_argument))
  (export "canister_query transform" (func $transform))
  (export "canister_pre_upgrade" (func $pre_upgrade))
  (export "canister_inspect_message" (func $inspect_message))
  (export "canister_heartbeat" (func $heartbeat))
  (export "canister_global_timer" (func $global_timer))
  (export "canister_on_low_wasm_memory" (func $on_low_wasm_memory))`;

/** The module's text. */
export function universalSource(width: Width): string {
  const d = dialect(width);
  const machine = bodies(d);
  const ops = new Map<number, string>();
  for (const [opcode, name] of Object.keys(MACHINE_OPS).entries())
    ops.set(opcode, machine[name] ?? "(unreachable)");
  for (const fn of importFunctions) ops.set(fn.opcode, importBody(fn, width));
  const imports = importFunctions.filter((fn) => !(fn.only32 && width === 64));
  const last = Math.max(...ops.keys());
  const functions = [...ops].map(
    ([opcode, body]) => `  (func $op${opcode} (local $a i64) (local $b i64) (local $c i64) ${body})`,
  );
  const elements = [...ops.keys()].map(
    (opcode) => `  (elem (i32.const ${TABLE.firstOp + opcode}) func $op${opcode})`,
  );
  const startBytes = "\\00".repeat(LAYOUT.startBytes);
  return `(module
  ${imports.map((fn) => importDeclaration(fn, d.ptr)).join("\n  ")}
  (type $op (func))
  (type $callback (func (param ${d.ptr})))
  (memory ${width === 64 ? "i64 " : ""}${LAYOUT.pages})
  (table ${TABLE.firstOp + last + 1} funcref)
  (elem (i32.const ${TABLE.callback}) func $callback)
  (elem (i32.const ${TABLE.otherType}) func $other_type)
${elements.join("\n")}
  (data ${d.p(LAYOUT.start)} "${START_MARKER}${startBytes}")
  (global $pc (mut ${d.ptr}) ${d.p(0)})
  (global $end (mut ${d.ptr}) ${d.p(0)})
  (global $sp (mut ${d.ptr}) ${d.p(LAYOUT.stack)})
  (global $kept (mut ${d.ptr}) ${d.p(LAYOUT.kept)})
  (global $outside (mut i64) (i64.const 0))
  ${machinery(d)}
${functions.join("\n")}
${EXPORTS}
  (start $start))`;
}
