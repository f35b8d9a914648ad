/**
 * Programs of the universal test canister, written as postfix lists: numbers and byte strings are pushed (a byte string as its
 * address and length), instructions and System API functions run. `code(...)` assembles a list; programs may nest as arguments,
 * so that a callee's or a callback's program stands where it is used.
 */
import { utf8 } from "@orrery/base";
import {
  HOOKS,
  IMPORTS,
  type ImportName,
  importFunctions,
  LAYOUT,
  MACHINE_OPS,
  type MachineOp,
  TABLE,
} from "@orrery/canisters/universal";

/** An instruction with its operand. */
export interface Op {
  readonly op: Uint8Array;
}
export type Item = number | bigint | string | Uint8Array | Op | readonly Item[];

const U64: bigint = 1n << 64n;

function opcodeOf(name: MachineOp): number {
  return Object.keys(MACHINE_OPS).indexOf(name);
}

function littleEndian(value: number | bigint, bytes: number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  return out.slice(0, bytes);
}

function simple(name: MachineOp, operand: number | bigint = 0): Op {
  const size = MACHINE_OPS[name];
  const bytes = typeof size === "number" ? size : 0;
  return { op: Uint8Array.of(opcodeOf(name), ...littleEndian(operand, bytes)) };
}

/** The System API by name. */
export const ic0: Readonly<Record<ImportName, Op>> = Object.fromEntries(
  importFunctions.map(({ name, opcode }) => [name, { op: Uint8Array.of(opcode) }]),
) as Record<ImportName, Op>;

export const importNames: readonly ImportName[] = Object.keys(IMPORTS) as ImportName[];

type Plain = Exclude<MachineOp, "push64" | "push8" | "blob" | "get" | "set" | "jump" | "jump_zero">;
/** The machine's instructions without operands. */
export const op: Readonly<Record<Plain, Op>> = Object.fromEntries(
  (Object.keys(MACHINE_OPS) as MachineOp[]).map((name) => [name, simple(name)]),
) as Record<Plain, Op>;

/** Reads or writes a register, which later messages find again. */
export const get = (register: number): Op => simple("get", register);
export const set = (register: number): Op => simple("set", register);

function assemble(item: Item): Uint8Array {
  if (typeof item === "number" && item >= 0 && item < 256) return Uint8Array.of(opcodeOf("push8"), item);
  if (typeof item === "number" || typeof item === "bigint")
    return Uint8Array.of(opcodeOf("push64"), ...littleEndian(item, 8));
  if (typeof item === "string") return assemble(utf8(item));
  if (item instanceof Uint8Array)
    return join([Uint8Array.of(opcodeOf("blob"), ...littleEndian(item.length, 4)), item]);
  if ("op" in item) return item.op;
  return join(item.map(assemble));
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The bytes of a program. */
export function code(...items: readonly Item[]): Uint8Array {
  return assemble(items);
}

/** Runs `then` when the topmost cell is not zero. */
export function when(then: readonly Item[], otherwise: readonly Item[] = []): Op {
  const no = assemble(otherwise);
  const yes = join([assemble(then), simple("jump", no.length).op]);
  return { op: join([simple("jump_zero", yes.length).op, yes, no]) };
}

/** Runs `body` as often as the topmost cell says; the count runs down in register 255. */
export function times(count: Item, body: readonly Item[]): Op {
  const head = assemble([get(255)]);
  const inner = assemble([body, get(255), 1, op.sub, set(255)]);
  const back = simple("jump", 0).op.length;
  const test = simple("jump_zero", inner.length + back).op;
  const backwards = -(head.length + test.length + inner.length + back);
  return { op: join([assemble([count, set(255)]), head, test, inner, simple("jump", backwards).op]) };
}

export const SCRATCH: number = LAYOUT.scratch;
export const BIG: number = LAYOUT.big;
/** Bytes of a freshly installed heap. */
export const HEAP_BYTES: number = LAYOUT.pages * 65_536;

/** value → appended to the reply as eight bytes. */
export const append64: Item = [SCRATCH, op.swap, op.store64, SCRATCH, 8, ic0.msg_reply_data_append];
/** value →, the reply. */
export const reply64: Item = [append64, ic0.msg_reply];
/** address, length → the reply. */
export const reply: Item = [ic0.msg_reply_data_append, ic0.msg_reply];
/** → address and length of what a pair of `_size` and `_copy` gives. */
export function copied(
  name:
    | "msg_arg_data"
    | "msg_caller"
    | "msg_caller_info_data"
    | "msg_caller_info_signer"
    | "msg_reject_msg"
    | "canister_self"
    | "subnet_self"
    | "msg_method_name"
    | "root_key"
    | "data_certificate",
): Item {
  const [size, copy] = [ic0[`${name}_size`], ic0[`${name}_copy`]];
  return [BIG, 0, size, copy, BIG, size];
}
/** → address and length of the 16 bytes that a function writes where its last argument points; the other arguments come first. */
export function wide(fn: Op, ...args: readonly Item[]): Item {
  return [...args, SCRATCH, fn, SCRATCH, 16];
}
/** → everything logged so far, as the reply. */
export const replyLog: Item = [op.log, reply];

export interface CallItem {
  readonly to: Uint8Array;
  readonly method?: string | Uint8Array;
  readonly arg?: Uint8Array;
  /** By default the outcome is relayed: `parseRelayed` reads it. */
  readonly onReply?: readonly Item[];
  readonly onReject?: readonly Item[];
  readonly onCleanup?: readonly Item[];
  readonly cycles?: bigint;
  readonly timeoutSeconds?: number;
  /** Table elements instead of callbacks. */
  readonly functions?: { readonly reply?: number; readonly reject?: number; readonly cleanup?: number };
}

/** Replies with a byte 1 and the argument. */
export const relayReply: Item = [Uint8Array.of(1), ic0.msg_reply_data_append, copied("msg_arg_data"), reply];
/** Replies with a byte 2, the reject code in eight bytes and the message. */
export const relayReject: Item = [
  Uint8Array.of(2),
  ic0.msg_reply_data_append,
  ic0.msg_reject_code,
  append64,
  copied("msg_reject_msg"),
  reply,
];

/** → `call_perform`'s result, the call built up from its parts. */
export function callItem(call: CallItem): Item {
  const kept = (program: readonly Item[]): Item => [code(...program), op.keep];
  const { functions = {}, cycles = 0n, timeoutSeconds } = call;
  return [
    call.to,
    typeof call.method === "string" || call.method === undefined
      ? utf8(call.method ?? "update")
      : call.method,
    functions.reply ?? TABLE.callback,
    kept(call.onReply ?? [relayReply]),
    functions.reject ?? TABLE.callback,
    kept(call.onReject ?? [relayReject]),
    ic0.call_new,
    call.onCleanup === undefined
      ? []
      : [functions.cleanup ?? TABLE.callback, kept(call.onCleanup), ic0.call_on_cleanup],
    call.arg === undefined ? [] : [call.arg, ic0.call_data_append],
    cycles === 0n ? [] : [cycles / U64, cycles % U64, ic0.call_cycles_add128],
    timeoutSeconds === undefined ? [] : [timeoutSeconds, ic0.call_with_best_effort_response],
    ic0.call_perform,
  ];
}

/** A call whose `call_perform` must succeed: traps otherwise. */
export function callOut(call: CallItem): Item {
  return [callItem(call), when([op.unreachable])];
}

/** Keeps a program for a hook. */
export function setHook(name: keyof typeof HOOKS, ...program: readonly Item[]): Item {
  return [HOOKS[name], code(...program), op.keep, op.hook];
}

/** Accepts the inspected message when register 9 is not zero. */
export const acceptIf9: Item = [get(9), when([ic0.accept_message])];

/** Counts the rounds that a gate has waited. */
export const GATE_TURNS = 20;
const GATE_OPEN = 21;
const GATE_STEP = 22;
const askRandomness: Item = [
  [
    new Uint8Array(),
    "raw_rand",
    TABLE.callback,
    get(GATE_STEP),
    TABLE.callback,
    get(GATE_STEP),
    ic0.call_new,
  ],
  ["DIDL\0\0", ic0.call_data_append, ic0.call_perform, op.drop],
];

/** Does not reply before another message opened the gate: asks for randomness again and again. */
export const gate: Item = [
  [
    code(get(GATE_TURNS), 1, op.add, set(GATE_TURNS), get(GATE_OPEN), when([ic0.msg_reply], [askRandomness])),
    op.keep,
  ],
  [set(GATE_STEP), askRandomness],
];
export const openGate: Item = [1, set(GATE_OPEN), ic0.msg_reply];
