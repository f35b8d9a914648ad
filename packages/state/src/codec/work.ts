/** Durable form of executions under way (work.ts). */
import type { CanisterId, Principal } from "@orrery/base";
import type { RejectCode, WasmClosure } from "../types.ts";
import type {
  InstallWork,
  MessageWork,
  Prepayment,
  ReplicatedEntry,
  RunningWork,
  WorkOrigin,
} from "../work.ts";
import {
  bigInteger,
  bool,
  branded,
  bytes,
  type Codec,
  integer,
  literal,
  nullable,
  record,
  text,
  union,
} from "./codec.ts";

export const rejectCode = integer as Codec<RejectCode>;
export const closure: Codec<WasmClosure> = record<WasmClosure>({ fun: integer, env: bigInteger });

const entry = union<ReplicatedEntry>({
  update: { method: text, arg: bytes },
  replicated_query: { method: text, arg: bytes },
  heartbeat: {},
  global_timer: {},
  on_low_wasm_memory: {},
  reply_callback: { closure, arg: bytes },
  reject_callback: { closure, code: rejectCode, message: text },
});

const origin = union<WorkOrigin>({
  ingress: { requestId: bytes },
  call: { from: branded<CanisterId>(), callbackId: integer },
});

const base = {
  prepaid: record<Prepayment>({ cycles: bigInteger, instructionLimit: bigInteger, is64: bool }),
  startTime: bigInteger,
  startHeight: integer,
  subnetMemoryAvailable: bigInteger,
  balance: bigInteger,
  messageBytes: integer,
  prioritized: bool,
  slicesGranted: integer,
  inductionDebit: bigInteger,
};

export const runningWork: Codec<RunningWork> = union<RunningWork>({
  message: {
    ...base,
    contextId: integer,
    entry,
    instructionLimit: bigInteger,
    totalLimit: bigInteger,
    guaranteedBytesAvailable: integer,
    callbacksAvailable: integer,
    cyclesRefunded: bigInteger,
    cleanup: nullable(
      record<NonNullable<MessageWork["cleanup"]>>({ closure, rejectCode: integer as Codec<RejectCode | 0> }),
    ),
  },
  install: {
    ...base,
    origin,
    sender: branded<Principal>(),
    cycles: bigInteger,
    mode: literal<InstallWork["mode"]>("install", "reinstall", "upgrade"),
    skipPreUpgrade: bool,
    persistence: nullable(literal<"keep" | "replace">("keep", "replace")),
    arg: bytes,
    senderVersion: nullable(bigInteger),
    blob: text,
    customSectionsAvailable: integer,
    extraInstructions: bigInteger,
  },
});
