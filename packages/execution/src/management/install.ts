/**
 * Installing code (interface spec, "install_code", "install_chunked_code"): who may, in which state, at what price. The Wasm side
 * is the runner's, atomic; here module, timer, certified data, history and cycles follow it.
 */
import { err, ok, type Principal, principalKey, principalToText, type Result } from "@orrery/base";
import { type CanisterState, touch } from "@orrery/state";
import {
  freezingThresholdCycles,
  isFrozen,
  memoryUsageBytes,
  type Prepayment,
  prepayExecution,
} from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { CHUNK_BYTES_MAX, SUBNET_MEMORY_BYTES_MAX } from "../limits.ts";
import { settleOutbox } from "../messaging/delivery.ts";
import { appendLogs } from "../messaging/logs.ts";
import { newOutbox } from "../messaging/outbox.ts";
import { noModule } from "../messaging/reject.ts";
import { applyEffects, messageContext, settle, type TurnEnv } from "../messaging/run-message.ts";
import { clearLogs } from "../messaging/uninstall.ts";
import { persistenceError } from "../runner/install.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { aboutCanister } from "../system-api/failure.ts";
import type { CompiledUpload } from "../types.ts";
import {
  controlled,
  decodeArg,
  failure,
  findCanister,
  type Handler,
  historyOrigin,
  type ManagementAnswer,
  type ManagementCall,
} from "./call.ts";
import {
  type CandidRecord,
  optional,
  type Read,
  readBlob,
  readBool,
  readNat64,
  readPrincipal,
  readRecord,
  readVariant,
  readVec,
  required,
} from "./candid-decode.ts";
import { assembleModule } from "./chunks.ts";
import { invalidController, isController } from "./effective-id.ts";
import { recordChange } from "./history.ts";

interface InstallMode {
  readonly mode: "install" | "reinstall" | "upgrade";
  readonly skipPreUpgrade: boolean;
  readonly persistence: "keep" | "replace" | null;
}

interface InstallArgs {
  readonly mode: InstallMode;
  readonly arg: Uint8Array;
  readonly senderVersion: bigint | null;
}

const PLAIN = { skipPreUpgrade: false, persistence: null } as const;

const readPersistence: Read<"keep" | "replace"> = readVariant<"keep" | "replace">({
  keep: () => "keep",
  replace: () => "replace",
});

const readMode: Read<InstallMode> = readVariant<InstallMode>({
  install: () => ({ mode: "install", ...PLAIN }),
  reinstall: () => ({ mode: "reinstall", ...PLAIN }),
  upgrade: (value, what) => {
    const inner = value.kind === "opt" ? value.value : value;
    if (inner === null || inner.kind === "none") return { mode: "upgrade", ...PLAIN };
    const options = readRecord(inner, what);
    return {
      mode: "upgrade",
      skipPreUpgrade: optional(options, "skip_pre_upgrade", readBool) ?? false,
      persistence: optional(options, "wasm_memory_persistence", readPersistence),
    };
  },
});

function readInstallArgs(record: CandidRecord): InstallArgs {
  return {
    mode: required(record, "mode", readMode),
    arg: required(record, "arg", readBlob),
    senderVersion: optional(record, "sender_canister_version", readNat64),
  };
}

export const installCode: Handler = (round, call) => {
  const found = controlled(round, call, (record) => ({
    ...readInstallArgs(record),
    module: required(record, "wasm_module", readBlob),
  }));
  if (!found.ok) return failure(found.error);
  const { canister, args } = found.value;
  return install(round, call, { canister, args, module: () => ok(args.module), extraInstructions: 0n });
};

export const installChunkedCode: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    ...readInstallArgs(record),
    target: required(record, "target_canister", readPrincipal),
    store: optional(record, "store_canister", readPrincipal),
    hashes: required(record, "chunk_hashes_list", readVec(readChunkHash)),
    moduleHash: required(record, "wasm_module_hash", readBlob),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const args = decoded.value;
  const target = findCanister(round, args.target);
  if (!target.ok) return failure(target.error);
  if (!isController(target.value.meta, call.sender))
    return failure(invalidController(target.value.meta, call.sender));
  const store = args.store === null ? target : findStore(round, call, args.store);
  if (!store.ok) return failure(store.error);
  return install(round, call, {
    canister: target.value,
    args,
    module: () => assembleModule(round, store.value, args),
    // An instruction per byte, as if every chunk were full.
    extraInstructions: BigInt(CHUNK_BYTES_MAX) * BigInt(args.hashes.length),
  });
};

const readChunkHash: Read<Uint8Array> = (value, what) => required(readRecord(value, what), "hash", readBlob);

/** The store is open to its controllers and to itself. */
function findStore(round: Round, call: ManagementCall, id: Principal): Result<CanisterState, UserError> {
  const found = findCanister(round, id);
  if (!found.ok) return found;
  if (principalKey(id) === principalKey(call.sender) || isController(found.value.meta, call.sender))
    return found;
  return err(invalidController(found.value.meta, call.sender));
}

interface InstallTask {
  readonly canister: CanisterState;
  readonly args: InstallArgs;
  readonly module: () => Result<Uint8Array, UserError>;
  readonly extraInstructions: bigint;
}

function install(round: Round, call: ManagementCall, task: InstallTask): ManagementAnswer {
  const { canister, args } = task;
  const refusal = modeError(canister, args.mode);
  if (refusal !== null) return failure(refusal);
  const prepaid = prepayExecution(round.state.subnet, canister, {
    instructionLimit: round.limits.instructionsPerInstall,
    reveal: true,
  });
  if (!prepaid.ok) return failure(notEnoughCycles(prepaid.error));
  const outbox = newOutbox();
  const env: TurnEnv = {
    subnet: round.state.subnet,
    time: round.state.time,
    runner: round.runner,
    limits: round.limits,
    subnetMemoryAvailable: SUBNET_MEMORY_BYTES_MAX - round.index.memoryUsed,
    outbox,
  };
  const result = runInstall(round, call, { ...task, env, prepaid: prepaid.value });
  settleOutbox(round, canister, outbox);
  touch(round.state, canister);
  return result === null
    ? { kind: "reply", data: EMPTY_REPLY, instructions: outbox.instructions }
    : failure(result, outbox.instructions);
}

function modeError({ meta }: CanisterState, { mode }: InstallMode): UserError | null {
  if (mode === "upgrade" && meta.module === null) return noModule(meta.id);
  if (mode !== "install" || meta.module === null) return null;
  return userError(
    ErrorCode.CanisterNonEmpty,
    `Canister ${principalToText(meta.id)} cannot be installed because the canister is not empty. ` +
      "Try installing with mode='reinstall' instead.",
  );
}

function notEnoughCycles(error: UserError): UserError {
  return userError(error.code, `Canister installation failed with \`${error.message}\`.`);
}

interface PaidInstall extends InstallTask {
  readonly env: TurnEnv;
  readonly prepaid: Prepayment;
}

/** Runs the installation and settles its price; null when it succeeded, otherwise nothing but the price and logs remain. */
function runInstall(round: Round, call: ManagementCall, task: PaidInstall): UserError | null {
  const { canister, args, env, prepaid } = task;
  const { blobs } = round.state;
  const uploaded = task.module();
  const compiled = uploaded.ok ? round.runner.compile(uploaded.value) : uploaded;
  if (!uploaded.ok || !compiled.ok) {
    return abandon(task, {
      instructions: task.extraInstructions,
      error: aboutCanister(canister.meta.id, (compiled as { error: UserError }).error),
    });
  }
  const before = task.extraInstructions + compiled.value.instructions;
  const { module } = compiled.value;
  const early =
    persistenceProblem(task, compiled.value) ??
    tooExpensive(round, task, { compiled: compiled.value, before });
  if (early !== null) return abandon(task, { instructions: before, error: early });
  // The runner finds the code by its key.
  blobs.put(uploaded.value);
  const outcome = round.runner.install(
    canister,
    {
      mode: args.mode.mode,
      skipPreUpgrade: args.mode.skipPreUpgrade,
      keepHeap: args.mode.persistence === "keep",
      module,
      arg: args.arg,
      refuse: (sizes) => unaffordable(round, task, { compiled: compiled.value, sizes }),
    },
    {
      ...messageContext(env, canister, {
        context: null,
        entry: { kind: "heartbeat" },
        instructionLimit: prepaid.instructionLimit - before,
      }),
      caller: call.sender,
    },
  );
  if (outcome.effects !== null && args.mode.mode === "reinstall") clearLogs(round, canister);
  if (appendLogs(canister, outcome.logs, round.state.time)) env.outbox.logsChanged = true;
  if (outcome.effects === null) {
    blobs.release(module.blob);
    const error =
      outcome.error ??
      userError(ErrorCode.CanisterWasmEngineError, "the installation failed without a reason");
    return abandon(task, { instructions: before + outcome.instructions, error });
  }
  adopt(round, call, { canister, args, compiled: compiled.value });
  applyEffects(env, canister, null, outcome.effects);
  finish(task, before + outcome.instructions);
  return null;
}

/** The installed module replaces the old one: everything of the canister that hangs on code, besides memory. */
function adopt(
  round: Round,
  call: ManagementCall,
  options: {
    readonly canister: CanisterState;
    readonly args: InstallArgs;
    readonly compiled: CompiledUpload;
  },
): void {
  const { canister, args, compiled } = options;
  const { meta } = canister;
  const { state } = round;
  if (meta.module !== null) state.blobs.release(meta.module.blob);
  meta.module = compiled.module;
  meta.customSectionBytes = compiled.customSectionBytes;
  meta.installedAt = state.time;
  meta.globalTimer = 0n;
  if (args.mode.mode !== "upgrade") meta.certifiedData = new Uint8Array(0);
  meta.lowMemoryHook = "not_satisfied";
  meta.version++;
  recordChange(canister, {
    time: state.time,
    origin: historyOrigin(call, args.senderVersion),
    details: { kind: "code_deployment", mode: args.mode.mode, moduleHash: compiled.module.hash },
  });
}

function persistenceProblem(task: PaidInstall, compiled: CompiledUpload): UserError | null {
  const { canister, args } = task;
  if (args.mode.mode !== "upgrade") return null;
  return persistenceError(canister, compiled.module, args.mode.persistence);
}

/** What the installation has come to, memories included, must leave the canister unfrozen. */
function unaffordable(
  round: Round,
  task: PaidInstall,
  options: {
    readonly compiled: CompiledUpload;
    /** Wasm pages; before anything ran, those that are there. */
    readonly sizes?: { readonly heapPages: number; readonly stablePages: number };
  },
): UserError | null {
  const { canister, prepaid } = task;
  const { subnet } = round.state;
  const grown = {
    ...canister.meta,
    ...options.sizes,
    module: options.compiled.module,
    customSectionBytes: options.compiled.customSectionBytes,
    cycles: canister.meta.cycles + prepaid.cycles,
  };
  if (!isFrozen(subnet, grown)) return null;
  const growth = memoryUsageBytes(grown) - memoryUsageBytes(canister.meta);
  const bytes = growth > 0n ? growth : 0n;
  const missing = freezingThresholdCycles(subnet, grown) - grown.cycles;
  return userError(
    ErrorCode.InsufficientCyclesInMemoryGrow,
    `Canister cannot grow memory by ${bytes} bytes due to insufficient cycles. ` +
      `At least ${missing} additional cycles are required.`,
  );
}

/** What is known before anything runs: compiling must fit the limit, the new module's own size must not freeze the canister. */
function tooExpensive(
  round: Round,
  task: PaidInstall,
  options: { readonly compiled: CompiledUpload; readonly before: bigint },
): UserError | null {
  const { canister, prepaid } = task;
  if (options.before > prepaid.instructionLimit) {
    return userError(
      ErrorCode.CanisterInstructionLimitExceeded,
      `Error from Canister ${principalToText(canister.meta.id)}: Canister exceeded the limit of ` +
        `${prepaid.instructionLimit} instructions for single message execution.`,
    );
  }
  return unaffordable(round, task, options);
}

function abandon(
  task: PaidInstall,
  options: { readonly instructions: bigint; readonly error: UserError },
): UserError {
  finish(task, options.instructions);
  return options.error;
}

function finish(task: PaidInstall, instructions: bigint): void {
  const { outbox } = task.env;
  outbox.instructions += instructions;
  outbox.executions++;
  settle(task.env, task.canister, task.prepaid, instructions);
}
