/**
 * The System API as data: name, parameter and result types of every function a canister may import from `ic0`
 * (interface spec, "Overview of imports", and the newer functions that current libraries import). `I` stands for i64 in a module
 * whose memory is 64-bit and i32 otherwise.
 */

export type Ic0Type = "i32" | "i64" | "I";

export interface Ic0Signature {
  readonly params: readonly Ic0Type[];
  readonly results: readonly Ic0Type[];
  /** Offered to modules with a 32-bit memory (or none) only. */
  readonly wasm32Only: boolean;
  /** Instructions charged for a call on top of the `call` itself, before the function does anything. */
  readonly cost: number;
}

const DEFAULT_COST = 500;
const COSTS: Readonly<Record<string, number>> = {
  call_perform: 5000,
  call_new: 1500,
  cost_http_request_v2: 10_000,
  is_controller: 1000,
  performance_counter: 200,
  debug_print: 100,
  stable_grow: 100,
  stable64_grow: 100,
  stable_size: 0,
  stable64_size: 0,
  stable_read: 20,
  stable64_read: 20,
  stable_write: 20,
  stable64_write: 20,
  mint_cycles: 0,
  mint_cycles128: 0,
};

/** One function a word: `name(params)results`; `I`, `i` (i32) and `l` (i64). */
const COMMON = `
msg_arg_data_size()I msg_arg_data_copy(III) msg_caller_size()I msg_caller_copy(III)
msg_caller_info_data_size()I msg_caller_info_data_copy(III)
msg_caller_info_signer_size()I msg_caller_info_signer_copy(III)
msg_reject_code()i msg_reject_msg_size()I msg_reject_msg_copy(III) msg_deadline()l
msg_reply_data_append(II) msg_reply() msg_reject(II)
msg_cycles_available128(I) msg_cycles_refunded128(I) msg_cycles_accept128(llI) cycles_burn128(llI)
canister_self_size()I canister_self_copy(III) canister_cycle_balance128(I) canister_liquid_cycle_balance128(I)
canister_status()i canister_version()l subnet_self_size()I subnet_self_copy(III) subnet_self_node_count()i
msg_method_name_size()I msg_method_name_copy(III) accept_message()
call_new(IIIIIIII) call_on_cleanup(II) call_data_append(II) call_with_best_effort_response(i) call_perform()i
call_cycles_add128(ll) stable64_size()l stable64_grow(l)l stable64_write(lll) stable64_read(lll)
root_key_size()I root_key_copy(III) certified_data_set(II)
data_certificate_present()i data_certificate_size()I data_certificate_copy(III)
time()l global_timer_set(l)l performance_counter(i)l is_controller(II)i in_replicated_execution()i
cost_call(llI) cost_create_canister(I) cost_http_request(llI) cost_http_request_v2(III)
cost_sign_with_ecdsa(IIiI)i cost_sign_with_schnorr(IIiI)i cost_vetkd_derive_key(IIiI)i
env_var_count()I env_var_name_size(I)I env_var_name_copy(IIII) env_var_name_exists(II)i
env_var_value_size(II)I env_var_value_copy(IIIII) debug_print(II) trap(II) mint_cycles128(llI)`;

const WASM32_ONLY = `
msg_cycles_available()l msg_cycles_refunded()l msg_cycles_accept(l)l canister_cycle_balance()l call_cycles_add(l)
stable_size()i stable_grow(i)i stable_write(iii) stable_read(iii) mint_cycles(l)l`;

const LETTERS: Readonly<Record<string, Ic0Type>> = { I: "I", i: "i32", l: "i64" };

function parse(text: string, wasm32Only: boolean): [string, Ic0Signature][] {
  return [...text.matchAll(/(\w+)\((\w*)\)(\w*)/g)].map(([, name = "", params = "", results = ""]) => [
    name,
    { params: types(params), results: types(results), wasm32Only, cost: COSTS[name] ?? DEFAULT_COST },
  ]);
}

function types(letters: string): Ic0Type[] {
  return [...letters].map((letter) => LETTERS[letter] ?? "I");
}

/** Every importable function by name. */
export const IC0_IMPORTS: ReadonlyMap<string, Ic0Signature> = new Map([
  ...parse(COMMON, false),
  ...parse(WASM32_ONLY, true),
]);

/** Static charge of each System API function, made inside the instrumented module before the import is entered. */
export const SYSTEM_API_COSTS: Readonly<Record<string, number>> = Object.fromEntries(
  [...IC0_IMPORTS].map(([name, signature]) => [name, signature.cost]),
);
