/**
 * Contexts in which Wasm runs, and which import may be called where (interface spec, "Overview of imports"). The letters are the
 * specification's: I init and post_upgrade, G pre_upgrade, U update, RQ / NRQ query, TQ transform of an HTTPS outcall, CQ composite
 * query, Ry / Rt callbacks, CRy / CRt the same of composite queries, C / CC cleanup, s start, F inspect_message, T system tasks.
 * The replica runs a transform as a query: what the table refuses it, only the certificate is really missing.
 */

export type Mode =
  | "start"
  | "init"
  | "pre_upgrade"
  | "update"
  | "replicated_query"
  | "query"
  | "transform"
  | "composite_query"
  | "reply_callback"
  | "reject_callback"
  | "composite_reply_callback"
  | "composite_reject_callback"
  | "cleanup"
  | "composite_cleanup"
  | "inspect_message"
  | "heartbeat"
  | "global_timer"
  | "on_low_wasm_memory";

const LETTERS = [
  "s",
  "I",
  "G",
  "U",
  "RQ",
  "NRQ",
  "TQ",
  "CQ",
  "Ry",
  "Rt",
  "CRy",
  "CRt",
  "C",
  "CC",
  "F",
  "T",
] as const;
type Letter = (typeof LETTERS)[number];

/** A set of contexts, one bit each. */
export type ModeMask = number;

function bit(letter: Letter): ModeMask {
  return 1 << LETTERS.indexOf(letter);
}

/** Letters separated by spaces; `*` is every context but start. */
export function modeMask(letters: string): ModeMask {
  let mask = 0;
  for (const letter of letters.split(" ")) {
    if (letter === "*") mask |= ((1 << LETTERS.length) - 1) & ~bit("s");
    else mask |= bit(letter as Letter);
  }
  return mask;
}

interface ModeInfo {
  readonly mask: ModeMask;
  /** As it stands in error texts. */
  readonly text: string;
}

const INFO: Readonly<Record<Mode, ModeInfo>> = {
  start: { mask: bit("s"), text: "start" },
  init: { mask: bit("I"), text: "init" },
  pre_upgrade: { mask: bit("G"), text: "pre upgrade" },
  update: { mask: bit("U"), text: "update" },
  replicated_query: { mask: bit("RQ"), text: "replicated query" },
  query: { mask: bit("NRQ"), text: "non replicated query" },
  transform: { mask: bit("TQ"), text: "non replicated query" },
  composite_query: { mask: bit("CQ"), text: "composite query" },
  reply_callback: { mask: bit("Ry"), text: "reply callback" },
  reject_callback: { mask: bit("Rt"), text: "reject callback" },
  composite_reply_callback: { mask: bit("CRy"), text: "composite reply callback" },
  composite_reject_callback: { mask: bit("CRt"), text: "composite reject callback" },
  cleanup: { mask: bit("C"), text: "cleanup" },
  composite_cleanup: { mask: bit("CC"), text: "composite cleanup" },
  inspect_message: { mask: bit("F"), text: "inspect message" },
  heartbeat: { mask: bit("T"), text: "heartbeat" },
  global_timer: { mask: bit("T"), text: "global timer" },
  on_low_wasm_memory: { mask: bit("T"), text: "on low Wasm memory" },
};

export function maskOf(mode: Mode): ModeMask {
  return INFO[mode].mask;
}

export function modeText(mode: Mode): string {
  return INFO[mode].text;
}

const NON_REPLICATED: ModeMask = modeMask("NRQ TQ CQ CRy CRt CC F");

export function isReplicated(mode: Mode): boolean {
  return (maskOf(mode) & NON_REPLICATED) === 0;
}

/** Where the Wasm memory limit of the settings holds. */
export const MEMORY_LIMIT_MODES: ModeMask = modeMask("s I U");
/** Where growing memory must leave the balance above the freezing threshold. */
export const FREEZING_CHECK_MODES: ModeMask = modeMask("U T");
/** Where growing memory takes from what the subnet has left; installations are checked at their end. */
export const SUBNET_MEMORY_MODES: ModeMask = modeMask("U T Ry Rt C");
/** Where memory that is kept for dealing with answers may be taken as well. */
export const CALLBACK_MODES: ModeMask = modeMask("Ry Rt C");
/** Every import with the contexts that may call it. */
export const IMPORT_LETTERS = {
  msg_arg_data_size: "I U RQ NRQ TQ CQ Ry CRy F",
  msg_arg_data_copy: "I U RQ NRQ TQ CQ Ry CRy F",
  msg_caller_size: "*",
  msg_caller_copy: "*",
  msg_caller_info_data_size: "U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_data_copy: "U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_signer_size: "U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_signer_copy: "U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F",
  msg_reject_code: "Ry Rt CRy CRt C",
  msg_reject_msg_size: "Rt CRt",
  msg_reject_msg_copy: "Rt CRt",
  msg_deadline: "U RQ NRQ TQ CQ Ry Rt CRy CRt",
  msg_reply_data_append: "U RQ NRQ TQ CQ Ry Rt CRy CRt",
  msg_reply: "U RQ NRQ TQ CQ Ry Rt CRy CRt",
  msg_reject: "U RQ NRQ TQ CQ Ry Rt CRy CRt",
  msg_cycles_available: "U RQ Rt Ry",
  msg_cycles_available128: "U RQ Rt Ry",
  msg_cycles_refunded: "Rt Ry",
  msg_cycles_refunded128: "Rt Ry",
  msg_cycles_accept: "U RQ Rt Ry",
  msg_cycles_accept128: "U RQ Rt Ry",
  cycles_burn128: "I G U RQ Ry Rt C T",
  mint_cycles: "U Ry Rt T",
  mint_cycles128: "U Ry Rt T",
  canister_self_size: "*",
  canister_self_copy: "*",
  canister_cycle_balance: "*",
  canister_cycle_balance128: "*",
  canister_liquid_cycle_balance128: "*",
  canister_status: "*",
  canister_version: "*",
  subnet_self_size: "*",
  subnet_self_copy: "*",
  subnet_self_node_count: "*",
  msg_method_name_size: "F",
  msg_method_name_copy: "F",
  accept_message: "F",
  call_new: "U CQ Ry Rt CRy CRt T",
  call_on_cleanup: "U CQ Ry Rt CRy CRt T",
  call_data_append: "U CQ Ry Rt CRy CRt T",
  call_with_best_effort_response: "U CQ Ry Rt CRy CRt T",
  call_perform: "U CQ Ry Rt CRy CRt T",
  call_cycles_add: "U Ry Rt T",
  call_cycles_add128: "U Ry Rt T",
  root_key_size: "I G U RQ Ry Rt C T",
  root_key_copy: "I G U RQ Ry Rt C T",
  certified_data_set: "I G U Ry Rt T",
  data_certificate_present: "*",
  data_certificate_size: "NRQ CQ",
  data_certificate_copy: "NRQ CQ",
  time: "*",
  global_timer_set: "I G U Ry Rt C T",
  env_var_count: "*",
  env_var_name_size: "*",
  env_var_name_copy: "*",
  env_var_name_exists: "*",
  env_var_value_size: "*",
  env_var_value_copy: "*",
  performance_counter: "* s",
  is_controller: "* s",
  in_replicated_execution: "* s",
  stable_size: "* s",
  stable_grow: "* s",
  stable_read: "* s",
  stable_write: "* s",
  stable64_size: "* s",
  stable64_grow: "* s",
  stable64_read: "* s",
  stable64_write: "* s",
  cost_call: "* s",
  cost_create_canister: "* s",
  cost_http_request: "* s",
  cost_http_request_v2: "* s",
  cost_sign_with_ecdsa: "* s",
  cost_sign_with_schnorr: "* s",
  cost_vetkd_derive_key: "* s",
  debug_print: "* s",
  trap: "* s",
} as const;

export type ImportName = keyof typeof IMPORT_LETTERS;

export const IMPORT_CONTEXTS: Readonly<Record<ImportName, ModeMask>> = Object.fromEntries(
  Object.entries(IMPORT_LETTERS).map(([name, letters]) => [name, modeMask(letters)]),
) as Record<ImportName, ModeMask>;
