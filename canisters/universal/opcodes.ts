/**
 * The instruction set of the universal test canister: a stack machine whose cells are 64-bit numbers and whose programs arrive as
 * arguments. One byte an opcode, operands behind it. Every function of the System API is an instruction that takes its arguments
 * from the stack (the last one on top) and leaves its result there, widened without sign.
 *
 * Invariant: the order of both lists is the numbering; what is committed was built from it.
 */

/** Instructions of the machine itself. `operand`: bytes behind the opcode ("blob": a length of four bytes, then the bytes). */
export const MACHINE_OPS = {
  push64: 8,
  push8: 1,
  blob: "blob",
  drop: 0,
  dup: 0,
  swap: 0,
  /** A register: 256 cells of the heap that later messages find again. */
  get: 1,
  set: 1,
  /** Relative to the byte behind the operand, signed. */
  jump: 4,
  jump_zero: 4,
  add: 0,
  sub: 0,
  mul: 0,
  div_u: 0,
  rem_u: 0,
  and: 0,
  or: 0,
  shl: 0,
  shr_u: 0,
  eq: 0,
  lt_u: 0,
  /** address → value. */
  load8: 0,
  load32: 0,
  load64: 0,
  /** address, value →. */
  store8: 0,
  store64: 0,
  /** destination, source, length →. */
  memory_copy: 0,
  /** destination, byte, length →. */
  memory_fill: 0,
  memory_size: 0,
  memory_grow: 0,
  /** address, length → address of a copy that later messages find, its length in the eight bytes before it. */
  keep: 0,
  /** number of a hook, address of a kept program →. */
  hook: 0,
  /** value →, appended to the log of the heap. */
  log64: 0,
  /** address, length →. */
  log_blob: 0,
  /** → address, length. */
  log: 0,
  log_clear: 0,
  unreachable: 0,
  /** iterations → of a loop of eight instructions. */
  spin: 0,
  stop: 0,
  /** Quotient of two 64-bit floating-point numbers, as bits. */
  float_div: 0,
  trunc_s: 0,
  /** Calls itself that many levels deep. */
  recurse: 0,
  /** Calls an element of the table as a callback with environment zero. */
  call_table: 0,
  /** A global of the module, outside every memory. */
  global_get: 0,
  global_set: 0,
  div_s: 0,
  /** address → value, 32-bit floating-point division of the cells at address and address + 4, as bits. */
  float32_div: 0,
} as const;

/** Opcode of the first System API function. */
export const FIRST_IMPORT = 64;

/**
 * The System API (interface specification, "Overview of imports"): `I` pointer or size, `i` 32-bit, `l` 64-bit. Those with a
 * leading `-` exist for 32-bit memories only.
 */
export const IMPORTS = {
  msg_arg_data_size: "()I",
  msg_arg_data_copy: "(III)",
  msg_caller_size: "()I",
  msg_caller_copy: "(III)",
  msg_caller_info_data_size: "()I",
  msg_caller_info_data_copy: "(III)",
  msg_caller_info_signer_size: "()I",
  msg_caller_info_signer_copy: "(III)",
  msg_reject_code: "()i",
  msg_reject_msg_size: "()I",
  msg_reject_msg_copy: "(III)",
  msg_deadline: "()l",
  msg_reply_data_append: "(II)",
  msg_reply: "()",
  msg_reject: "(II)",
  msg_cycles_available128: "(I)",
  msg_cycles_refunded128: "(I)",
  msg_cycles_accept128: "(llI)",
  cycles_burn128: "(llI)",
  canister_self_size: "()I",
  canister_self_copy: "(III)",
  canister_cycle_balance128: "(I)",
  canister_liquid_cycle_balance128: "(I)",
  canister_status: "()i",
  canister_version: "()l",
  subnet_self_size: "()I",
  subnet_self_copy: "(III)",
  msg_method_name_size: "()I",
  msg_method_name_copy: "(III)",
  accept_message: "()",
  call_new: "(IIIIIIII)",
  call_on_cleanup: "(II)",
  call_data_append: "(II)",
  call_with_best_effort_response: "(i)",
  call_perform: "()i",
  call_cycles_add128: "(ll)",
  stable64_size: "()l",
  stable64_grow: "(l)l",
  stable64_write: "(lll)",
  stable64_read: "(lll)",
  root_key_size: "()I",
  root_key_copy: "(III)",
  certified_data_set: "(II)",
  data_certificate_present: "()i",
  data_certificate_size: "()I",
  data_certificate_copy: "(III)",
  time: "()l",
  global_timer_set: "(l)l",
  performance_counter: "(i)l",
  is_controller: "(II)i",
  in_replicated_execution: "()i",
  cost_call: "(llI)",
  cost_create_canister: "(I)",
  cost_http_request: "(llI)",
  cost_sign_with_ecdsa: "(IIiI)i",
  cost_sign_with_schnorr: "(IIiI)i",
  cost_vetkd_derive_key: "(IIiI)i",
  env_var_count: "()I",
  env_var_name_size: "(I)I",
  env_var_name_copy: "(IIII)",
  env_var_name_exists: "(II)i",
  env_var_value_size: "(II)I",
  env_var_value_copy: "(IIIII)",
  debug_print: "(II)",
  trap: "(II)",
  msg_cycles_available: "-()l",
  msg_cycles_refunded: "-()l",
  msg_cycles_accept: "-(l)l",
  canister_cycle_balance: "-()l",
  call_cycles_add: "-(l)",
  stable_size: "-()i",
  stable_grow: "-(i)i",
  stable_write: "-(iii)",
  stable_read: "-(iii)",
} as const;

export type ImportName = keyof typeof IMPORTS;
export type MachineOp = keyof typeof MACHINE_OPS;

export interface ImportFunction {
  readonly name: ImportName;
  readonly opcode: number;
  /** Letters of `IMPORTS`. */
  readonly params: string;
  readonly result: string;
  readonly only32: boolean;
}

/** The functions of `IMPORTS` in their order. */
export const importFunctions: readonly ImportFunction[] = Object.entries(IMPORTS).map(
  ([name, signature], index) => {
    const [, params = "", result = ""] = /\((\w*)\)(\w*)/.exec(signature) ?? [];
    const only32 = signature.startsWith("-");
    return { name: name as ImportName, opcode: FIRST_IMPORT + index, params, result, only32 };
  },
);

/** Hooks whose program `hook` sets: what runs when the system calls the entry point. */
export const HOOKS = {
  pre_upgrade: 0,
  inspect_message: 1,
  heartbeat: 2,
  global_timer: 3,
  on_low_wasm_memory: 4,
  transform: 5,
} as const;

/** Elements of the table: nothing, the callback that runs the program its environment points to, one of another type. */
export const TABLE = { nothing: 0, callback: 1, otherType: 2, firstOp: 16 } as const;

/** The heap, in bytes. */
export const LAYOUT = {
  machine: 0,
  hooks: 0x400,
  registers: 0x800,
  stack: 0x1000,
  stackEnd: 0x5000,
  /** Marker, length in eight bytes, program: for the start function, written into the module before it is installed. */
  start: 0x6000,
  startBytes: 0x800,
  program: 0x10000,
  programBytes: 0x10000,
  scratch: 0x20000,
  kept: 0x30000,
  keptEnd: 0x60000,
  log: 0x60000,
  big: 0x70000,
  pages: 8,
} as const;

/** What stands before the start function's program. */
export const START_MARKER = "<start program:>";
