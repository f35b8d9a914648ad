/**
 * Which function of the System API may be called where (interface spec, "Overview of imports"): a case a context, a row a function.
 * A function is called with arguments that are right; whether it is refused for its context is what its error says.
 */
import assert from "node:assert/strict";
import type { ImportName } from "@orrery/canisters/universal";
import { section } from "../case.ts";
import { replied } from "../checks.ts";
import { callOut, code, type Item, ic0, importNames, op, SCRATCH, setHook } from "../script.ts";
import type { Outcome } from "../wire.ts";
import type { Universal, World } from "../world.ts";

const overview = section("Overview of imports");

/** The specification's letters; `*` is every context but the start function. */
const LETTERS: Readonly<Record<ImportName, string>> = {
  msg_arg_data_size: "I U RQ NRQ CQ Ry CRy F",
  msg_arg_data_copy: "I U RQ NRQ CQ Ry CRy F",
  msg_caller_size: "*",
  msg_caller_copy: "*",
  msg_caller_info_data_size: "U RQ NRQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_data_copy: "U RQ NRQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_signer_size: "U RQ NRQ CQ Ry Rt CRy CRt C CC F",
  msg_caller_info_signer_copy: "U RQ NRQ CQ Ry Rt CRy CRt C CC F",
  msg_reject_code: "Ry Rt CRy CRt C",
  msg_reject_msg_size: "Rt CRt",
  msg_reject_msg_copy: "Rt CRt",
  msg_deadline: "U RQ NRQ CQ Ry Rt CRy CRt",
  msg_reply_data_append: "U RQ NRQ CQ Ry Rt CRy CRt",
  msg_reply: "U RQ NRQ CQ Ry Rt CRy CRt",
  msg_reject: "U RQ NRQ CQ Ry Rt CRy CRt",
  msg_cycles_available128: "U RQ Rt Ry",
  msg_cycles_refunded128: "Rt Ry",
  msg_cycles_accept128: "U RQ Rt Ry",
  cycles_burn128: "I G U RQ Ry Rt C T",
  canister_self_size: "*",
  canister_self_copy: "*",
  canister_cycle_balance128: "*",
  canister_liquid_cycle_balance128: "*",
  canister_status: "*",
  canister_version: "*",
  subnet_self_size: "*",
  subnet_self_copy: "*",
  msg_method_name_size: "F",
  msg_method_name_copy: "F",
  accept_message: "F",
  call_new: "U CQ Ry Rt CRy CRt T",
  call_on_cleanup: "U CQ Ry Rt CRy CRt T",
  call_data_append: "U CQ Ry Rt CRy CRt T",
  call_with_best_effort_response: "U CQ Ry Rt CRy CRt T",
  call_perform: "U CQ Ry Rt CRy CRt T",
  call_cycles_add128: "U Ry Rt T",
  stable64_size: "* s",
  stable64_grow: "* s",
  stable64_write: "* s",
  stable64_read: "* s",
  root_key_size: "I G U RQ Ry Rt C T",
  root_key_copy: "I G U RQ Ry Rt C T",
  certified_data_set: "I G U Ry Rt T",
  data_certificate_present: "*",
  data_certificate_size: "NRQ CQ",
  data_certificate_copy: "NRQ CQ",
  time: "*",
  global_timer_set: "I G U Ry Rt C T",
  performance_counter: "* s",
  is_controller: "* s",
  in_replicated_execution: "* s",
  cost_call: "* s",
  cost_create_canister: "* s",
  cost_http_request: "* s",
  cost_sign_with_ecdsa: "* s",
  cost_sign_with_schnorr: "* s",
  cost_vetkd_derive_key: "* s",
  env_var_count: "*",
  env_var_name_size: "*",
  env_var_name_copy: "*",
  env_var_name_exists: "*",
  env_var_value_size: "*",
  env_var_value_copy: "*",
  debug_print: "* s",
  trap: "* s",
  msg_cycles_available: "U RQ Rt Ry",
  msg_cycles_refunded: "Rt Ry",
  msg_cycles_accept: "U RQ Rt Ry",
  canister_cycle_balance: "*",
  call_cycles_add: "U Ry Rt T",
  stable_size: "* s",
  stable_grow: "* s",
  stable_write: "* s",
  stable_read: "* s",
};

function allowed(name: ImportName, letter: string): boolean {
  const letters = LETTERS[name].split(" ");
  return letters.includes(letter) || (letter !== "s" && letters.includes("*"));
}

const TO_NOBODY: Item = ["", "update", 1, 0, 1, 0, ic0.call_new];
/** Arguments where zeros would not do. */
const ARGUMENTS: Partial<Record<ImportName, readonly Item[]>> = {
  call_new: ["", "update", 1, 0, 1, 0],
  call_on_cleanup: [TO_NOBODY, 1, 0],
  call_data_append: [TO_NOBODY, "x"],
  call_with_best_effort_response: [TO_NOBODY, 1],
  call_perform: [TO_NOBODY],
  call_cycles_add128: [TO_NOBODY, 0, 1],
  call_cycles_add: [TO_NOBODY, 1],
  env_var_name_copy: [0, SCRATCH, 0, 0],
  env_var_value_size: ["A"],
  env_var_value_copy: ["A", SCRATCH, 0, 0],
  cycles_burn128: [0, 0, SCRATCH],
  msg_cycles_accept128: [0, 0, SCRATCH],
  msg_cycles_available128: [SCRATCH],
  msg_cycles_refunded128: [SCRATCH],
  canister_cycle_balance128: [SCRATCH],
  canister_liquid_cycle_balance128: [SCRATCH],
  cost_call: [0, 0, SCRATCH],
  cost_create_canister: [SCRATCH],
  cost_http_request: [0, 0, SCRATCH],
  cost_sign_with_ecdsa: ["key_1", 0, SCRATCH],
  cost_sign_with_schnorr: ["key_1", 0, SCRATCH],
  cost_vetkd_derive_key: ["key_1", 0, SCRATCH],
};
const PARAMETERS: Partial<Record<ImportName, number>> = {
  env_var_name_size: 1,
  global_timer_set: 1,
  performance_counter: 1,
  stable64_grow: 1,
  stable_grow: 1,
  msg_cycles_accept: 1,
  msg_reply_data_append: 2,
  msg_reject: 2,
  certified_data_set: 2,
  is_controller: 2,
  env_var_name_exists: 2,
  debug_print: 2,
  trap: 2,
};

function invoke(name: ImportName): Item[] {
  const zeros = PARAMETERS[name] ?? (/(_copy|_read|_write)$/.test(name) ? 3 : 0);
  return [...(ARGUMENTS[name] ?? new Array<number>(zeros).fill(0)), ic0[name]];
}

const OK = code(ic0.msg_reply);
type Run = (canister: Universal, program: readonly Item[]) => Promise<Outcome>;

async function check(
  world: World,
  context: { readonly letter: string; readonly mode: string; readonly run: Run; readonly width?: 32 | 64 },
): Promise<void> {
  const { letter, mode, run, width = 32 } = context;
  const names = importNames.filter(
    (name) =>
      width === 32 || !/^(stable_|msg_cycles_\w+[^8]$|canister_cycle_balance$|call_cycles_add$)/.test(name),
  );
  const wrong: string[] = [];
  const queue = [...names];
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      const canister = await world.fresh({
        width,
        inspect: mode === "inspect message",
        settings: { environment_variables: [{ name: "A", value: "v" }] },
      });
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        const outcome = await run(canister, invoke(name));
        const text = outcome.kind === "rejected" ? outcome.message : "";
        const isRefused =
          text.includes(`${name}" cannot be executed in ${mode} mode`) ||
          text.includes(`call_new" cannot be executed in ${mode} mode`);
        if (isRefused === allowed(name, letter))
          wrong.push(`${name}: ${isRefused ? "refused" : "allowed"} (${text.slice(0, 120)})`);
      }
    }),
  );
  assert.deepEqual(wrong, []);
}

const self = (canister: Universal, more: object) =>
  callOut({ to: canister.bytes, arg: OK, method: "query", ...more });
const FAIL = code("no", ic0.msg_reject);

const CONTEXTS: readonly (readonly [string, string, Run])[] = [
  ["U", "update", (canister, program) => canister.update(...program)],
  ["RQ", "replicated query", (canister, program) => canister.replicatedQuery(...program)],
  ["NRQ", "non replicated query", (canister, program) => canister.query(...program)],
  ["CQ", "composite query", (canister, program) => canister.composite(...program)],
  ["Ry", "reply callback", (canister, program) => canister.update(self(canister, { onReply: program }))],
  [
    "Rt",
    "reject callback",
    (canister, program) => canister.update(self(canister, { arg: FAIL, onReject: program })),
  ],
  [
    "CRy",
    "composite reply callback",
    (canister, program) => canister.composite(self(canister, { onReply: program })),
  ],
  [
    "CRt",
    "composite reject callback",
    (canister, program) => canister.composite(self(canister, { arg: FAIL, onReject: program })),
  ],
  [
    "C",
    "cleanup",
    (canister, program) => canister.update(self(canister, { onReply: [op.unreachable], onCleanup: program })),
  ],
  [
    "CC",
    "composite cleanup",
    (canister, program) =>
      canister.composite(self(canister, { onReply: [op.unreachable], onCleanup: program })),
  ],
  ["I", "init", (canister, program) => canister.install({ reinstall: null }, { program })],
  ["s", "start", (canister, program) => canister.install({ reinstall: null }, { start: code(...program) })],
  [
    "G",
    "pre upgrade",
    async (canister, program) => {
      replied(await canister.install({ reinstall: null }));
      replied(await canister.update(setHook("pre_upgrade", ...program), ic0.msg_reply));
      return await canister.upgrade();
    },
  ],
  [
    "F",
    "inspect message",
    async (canister, program) => {
      replied(
        await canister.install(
          { reinstall: null },
          { inspect: true, program: [setHook("inspect_message", ...program)] },
        ),
      );
      return await canister.update(ic0.msg_reply);
    },
  ],
];
for (const [letter, mode, run] of CONTEXTS) {
  overview(`${letter}, ${mode}: exactly the functions of the table`, (world) =>
    check(world, { letter, mode, run }),
  );
}
overview("I, canister_post_upgrade: exactly the functions of the table", (world) =>
  check(world, { letter: "I", mode: "init", run: (canister, program) => canister.upgrade(...program) }),
);
overview.each(
  "methods of a 64-bit canister: exactly the functions of the table",
  CONTEXTS.slice(0, 4),
  (world, [letter, mode, run]) => check(world, { letter, mode, run, width: 64 }),
);

/** System tasks answer nobody: what they print tells how far they came. */
async function task(
  world: World,
  hook: "global_timer" | "heartbeat" | "on_low_wasm_memory",
  names: readonly ImportName[],
): Promise<void> {
  const queue = [...names];
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        const canister = await world.fresh({
          heartbeat: hook === "heartbeat",
          settings: {
            environment_variables: [{ name: "A", value: "v" }],
            ...(hook === "on_low_wasm_memory"
              ? { wasm_memory_limit: 700_000n, wasm_memory_threshold: 100_000n }
              : {}),
          },
        });
        const program: Item[] = ["begin", ic0.debug_print, invoke(name), "end", ic0.debug_print];
        const start: Item[] =
          hook === "global_timer"
            ? [1, ic0.global_timer_set, op.drop]
            : hook === "heartbeat"
              ? []
              : [2, op.memory_grow, op.drop];
        replied(await canister.update(setHook(hook, ...program), start, ic0.msg_reply));
        const log = await world.eventually(`${hook} for ${name}`, async () => {
          const text = await canister.log();
          return text.includes("begin") ? text : null;
        });
        const came = log.includes("end") || name === "trap";
        if (came !== allowed(name, "T")) wrong.push(`${name}: ${came ? "allowed" : "refused"}`);
        if (hook === "heartbeat") replied(await canister.update(setHook("heartbeat"), ic0.msg_reply));
      }
    }),
  );
  assert.deepEqual(wrong, []);
}
overview("T, canister_global_timer: exactly the functions of the table", (world) =>
  task(world, "global_timer", importNames),
);
const FEW: readonly ImportName[] = [
  "msg_caller_size",
  "msg_reply",
  "msg_arg_data_size",
  "call_new",
  "call_perform",
  "cycles_burn128",
  "certified_data_set",
  "msg_cycles_available",
  "msg_deadline",
  "root_key_size",
  "accept_message",
  "global_timer_set",
];
overview("T, canister_heartbeat: functions of the table", (world) => task(world, "heartbeat", FEW));
overview("T, canister_on_low_wasm_memory: functions of the table", (world) =>
  task(world, "on_low_wasm_memory", FEW),
);
