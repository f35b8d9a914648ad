/**
 * Random work for canisters that control each other: programs of the universal canister with calls nested in their callbacks, and
 * management calls of every kind, sensible and not. Everything follows from the random numbers.
 */
import { Principal } from "@icp-sdk/core/principal";
import { type CanisterId, MANAGEMENT_CANISTER } from "@orrery/base";
import type { Random } from "../durability/random.ts";
import { encodeArg } from "../suite/management.ts";
import { universalModule } from "../suite/module.ts";
import { callItem, code, type Item, ic0, op, reply64, SCRATCH, set, setHook } from "../suite/script.ts";

const T = 1_000_000_000_000n;
const CHUNK = new Uint8Array(100).fill(3);

export interface Surroundings {
  readonly random: Random;
  readonly ids: readonly CanisterId[];
  /** Of all canisters. */
  snapshots(): readonly Uint8Array[];
}

export type ManagementCall = readonly [method: string, arg: Uint8Array];

const among = <Value>(random: Random, values: readonly Value[]): Value => random.pick(values);
const likely = (random: Random, percent: number): boolean => random.below(100) < percent;

const SETTINGS: readonly object[] = [
  ...[0n, 2_592_000n, 10n ** 9n, 10n ** 12n].map((freezing_threshold) => ({ freezing_threshold })),
  ...[0n, 10_000n, T].map((value) => ({ minimum_incoming_canister_call_cycles: value })),
  ...[0n, 1n << 20n, 1n << 32n].map((memory_allocation) => ({ memory_allocation })),
  ...[0n, 1n, 50n].map((compute_allocation) => ({ compute_allocation })),
  ...[0n, 5n * T, 1n << 100n].map((reserved_cycles_limit) => ({ reserved_cycles_limit })),
  ...[0n, 600_000n, 1n << 32n].map((wasm_memory_limit) => ({
    wasm_memory_limit,
    wasm_memory_threshold: 100_000n,
  })),
  ...[0n, 4_096n, 8_192n].map((log_memory_limit) => ({ log_memory_limit })),
];
const NONSENSE: readonly ManagementCall[] = [
  ["nonsense", CHUNK],
  ["stop_canister", CHUNK],
  ["install_code", code(1)],
  ["load_canister_snapshot", new Uint8Array()],
];

/** An installation whose hook does nothing, sets a timer or traps. */
function installation({ random }: Surroundings, canister_id: Principal): ManagementCall {
  const hook = among<Item>(random, [[], [1, set(1)], [1, ic0.global_timer_set, op.drop], [op.unreachable]]);
  const mode = among<object>(random, [
    { install: null },
    { reinstall: null },
    { reinstall: null },
    { upgrade: null },
    { upgrade: { skip_pre_upgrade: true } },
  ]);
  const wasm_module = universalModule({ width: likely(random, 80) ? 32 : 64, heartbeat: likely(random, 10) });
  return ["install_code", encodeArg("install_code", { mode, canister_id, wasm_module, arg: code(hook) })];
}

export function managementCall(around: Surroundings): ManagementCall {
  const { random } = around;
  const canister_id = Principal.fromUint8Array(among(random, around.ids));
  const snapshots = around.snapshots();
  const snapshot_id = snapshots.length === 0 ? new Uint8Array(18) : among(random, snapshots);
  const call = (method: string, more: object = {}): ManagementCall => [
    method,
    encodeArg(method, { canister_id, ...more }),
  ];
  const calls: readonly (() => ManagementCall)[] = [
    () => call("stop_canister"),
    () => call("start_canister"),
    () => call("start_canister"),
    () => call("start_canister"),
    () => installation(around, canister_id),
    () => installation(around, canister_id),
    () => installation(around, canister_id),
    () => call("uninstall_code"),
    () => call("take_canister_snapshot", { uninstall_code: likely(random, 20) }),
    () => call("take_canister_snapshot", snapshots.length === 0 ? {} : { replace_snapshot: snapshot_id }),
    () => call("load_canister_snapshot", { snapshot_id }),
    () => call("load_canister_snapshot", { snapshot_id }),
    () => call("delete_canister_snapshot", { snapshot_id }),
    () => call("deposit_cycles"),
    () => call("canister_status"),
    () => call("canister_info"),
    () => call("update_settings", { settings: among(random, SETTINGS) }),
    () => call("update_settings", { settings: among(random, SETTINGS) }),
    () => call("upload_chunk", { chunk: CHUNK }),
    () => call("clear_chunk_store"),
    () => (likely(random, 30) ? call("delete_canister") : call("raw_rand")),
    () => ["create_canister", encodeArg("create_canister", {})],
    () => among(random, NONSENSE),
  ];
  return among(random, calls)();
}

function call(around: Surroundings, depth: number): Item {
  const { random, ids } = around;
  const managed = likely(random, 45) ? managementCall(around) : null;
  const inner = (likelyReply: number): readonly Item[] =>
    program(around, { depth: depth - 1, mayReply: likely(random, likelyReply) });
  const cycles = [0n, 0n, 1n, 1_000n, 1_000_000n, T / 1_000n, (6n * T) / 10n];
  return [
    callItem({
      to: managed === null ? among(random, ids) : MANAGEMENT_CANISTER,
      method: managed?.[0] ?? among(random, ["update", "update", "update", "query", "nothing"]),
      arg: managed?.[1] ?? code(...inner(100)),
      onReply: inner(70),
      onReject: inner(70),
      cycles: among(random, cycles),
      ...(likely(random, 40) ? { onCleanup: program(around, { depth: 0, mayReply: false }) } : {}),
      ...(likely(random, 35) ? { timeoutSeconds: among(random, [0, 1, 2, 300]) } : {}),
    }),
    op.drop,
  ];
}

/** Steps that a program is made of besides calls. */
function step(around: Surroundings, depth: number): Item {
  const { random } = around;
  const steps: readonly (() => Item)[] = [
    () => [random.below(1_000), set(random.below(8) + 1)],
    () => [random.below(likely(random, 10) ? 900_000 : 50_000), op.spin],
    () => [among(random, [1, 2, 100]), ic0.stable64_grow, op.drop],
    () => [among(random, [1n, 1_000_000n, T]), ic0.msg_cycles_accept, op.drop],
    () => ["a text", ic0.debug_print],
    () => [random.below(5), op.memory_grow, op.drop],
    () => [0, random.below(1_000_000), SCRATCH, ic0.cycles_burn128],
    () => ["certified", ic0.certified_data_set],
    () => [
      setHook("global_timer", ...program(around, { depth: Math.max(0, depth - 1), mayReply: false })),
      [1, ic0.global_timer_set, op.drop],
    ],
  ];
  return among(random, steps)();
}

/** A program; at depth 0 without calls. */
export function program(
  around: Surroundings,
  options: { readonly depth: number; readonly mayReply: boolean },
): readonly Item[] {
  const { random } = around;
  const { depth, mayReply } = options;
  const items: Item[] = [];
  for (let left = random.below(3) + (depth > 0 ? 1 : 0); left > 0; left--)
    items.push(depth > 0 && likely(random, 45) ? call(around, depth) : step(around, depth));
  if (likely(random, 12)) items.push(op.unreachable);
  if (mayReply && likely(random, 75)) items.push(likely(random, 80) ? [7, reply64] : ["no", ic0.msg_reject]);
  return items;
}
