/**
 * Installing code (interface spec, "install_code", "install_chunked_code"): who may, in which state, at what price. What executes
 * is install-work.ts's, in as many rounds as it takes; here module, timer, certified data, history and cycles follow it.
 */
import { assert, err, ok, type Principal, principalKey, principalToText, type Result } from "@orrery/base";
import type { CanisterState, InstallWork, Prepayment } from "@orrery/state";
import { COMPILE_INSTRUCTIONS_PER_OPERATOR } from "@orrery/wasm";
import { maxOf, minOf } from "../bigints.ts";
import { prepayExecution } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { CHUNK_BYTES_MAX } from "../limits.ts";
import { settleOutbox } from "../messaging/delivery.ts";
import { appendLogs } from "../messaging/logs.ts";
import { messageBytes } from "../messaging/message-memory.ts";
import { newOutbox } from "../messaging/outbox.ts";
import { noModule } from "../messaging/reject.ts";
import { applyEffects, payDebit, settle, type TurnEnv } from "../messaging/run-message.ts";
import { clearLogs } from "../messaging/uninstall.ts";
import { decodedBytes, statedBytes } from "../runner/modules.ts";
import { installDebitError, oweInstallation } from "../scheduler/debits.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import { aboutCanister } from "../system-api/failure.ts";
import type { CompiledUpload, Job, JobResult, Partition } from "../types.ts";
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
import { sectionsLeft, subnetMemoryLeft } from "./memory.ts";

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
  const store =
    args.store === null ? target : findStore(round, call, { store: args.store, target: args.target });
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
function findStore(
  round: Round,
  call: ManagementCall,
  { store: id, target }: { readonly store: Principal; readonly target: Principal },
): Result<CanisterState, UserError> {
  const found = findCanister(round, id);
  if (!found.ok) return err(storeNotFound(round, id, target));
  if (principalKey(id) === principalKey(call.sender) || isController(found.value.meta, call.sender))
    return found;
  return err(invalidController(found.value.meta, call.sender));
}

function storeNotFound({ state }: Round, store: Principal, target: Principal): UserError {
  const [id, own, about] = [store, state.subnet.subnetId, target].map(principalToText);
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `InstallChunkedCode Error: Store canister ${id} was not found on subnet ${own} of target canister ${about}`,
  );
}

interface InstallTask {
  readonly canister: CanisterState;
  readonly args: InstallArgs;
  readonly module: () => Result<Uint8Array, UserError>;
  readonly extraInstructions: bigint;
}

/** Starts an installation and gives it its first slice. */
function install(round: Round, call: ManagementCall, task: InstallTask): ManagementAnswer {
  const { canister, args } = task;
  const { state } = round;
  const refusal = installDebitError(canister) ?? modeError(canister, args.mode);
  if (refusal !== null) return failure(refusal);
  const prepaid = prepayExecution(state.subnet, canister, {
    instructionLimit: round.limits.instructionsPerInstall,
    reveal: true,
  });
  if (!prepaid.ok) return failure(notEnoughCycles(prepaid.error));
  const uploaded = task.module();
  if (!uploaded.ok) {
    const env = turnEnv(round);
    charge(env, canister, { prepaid: prepaid.value, instructions: task.extraInstructions });
    env.outbox.instructions += task.extraInstructions;
    settleOutbox(round, canister, env.outbox);
    return failure(aboutCanister(canister.meta.id, uploaded.error), task.extraInstructions);
  }
  const work: InstallWork = {
    kind: "install",
    origin: call.origin,
    sender: call.sender,
    cycles: call.cycles,
    ...args.mode,
    arg: args.arg,
    senderVersion: args.senderVersion,
    blob: state.blobs.put(uploaded.value),
    customSectionsAvailable: sectionsLeft(round),
    extraInstructions: task.extraInstructions,
    prepaid: prepaid.value,
    startTime: state.time,
    startHeight: state.height,
    subnetMemoryAvailable: subnetMemoryLeft(round.index),
    balance: canister.meta.cycles,
    messageBytes: messageBytes(canister.meta),
    prioritized: false,
    slicesGranted: 0,
    inductionDebit: 0n,
  };
  canister.running = work;
  return continueInstallation(round, canister, work).answer;
}

/** Gives the installation one more slice; the answer is the caller's to give when it is not pending. */
export function continueInstallation(
  round: Round,
  canister: CanisterState,
  work: InstallWork,
): { readonly call: ManagementCall; readonly answer: ManagementAnswer } {
  const partition = new InstallPartition(round, canister, work);
  round.executor.run([partition], round.local);
  assert(partition.answer !== null, "an installation's slice ends with an answer or goes on");
  return { call: partition.call, answer: partition.answer };
}

/** What is granted in a round in which nothing is due. */
const NOTHING_DUE = -1n;

/** Instructions up to which an installation's result is due after so many slices. */
function grantedInstructions({ limits, state }: Round, work: InstallWork, slices: number): bigint {
  if (slices === 0) return 0n;
  const slice = limits.instructionsPerInstallSlice;
  const idle = decodedBytes(state.blobs.get(work.blob)) > limits.firstSliceModuleBytes;
  if (idle) return slices === 1 ? NOTHING_DUE : BigInt(slices - 1) * slice;
  return (limits.instructionsPerFirstInstallSlice ?? slice) + BigInt(slices - 1) * slice;
}

/** One slice of one installation. */
class InstallPartition implements Partition {
  readonly call: ManagementCall;
  answer: ManagementAnswer | null = null;
  readonly #round: Round;
  readonly #canister: CanisterState;
  readonly #work: InstallWork;
  #begun = false;

  constructor(round: Round, canister: CanisterState, work: InstallWork) {
    this.#round = round;
    this.#canister = canister;
    this.#work = work;
    const { sender, cycles, origin } = work;
    this.call = { method: "install_code", arg: new Uint8Array(0), sender, cycles, origin };
  }

  next(): Job | null {
    if (this.#begun) return null;
    this.#begun = true;
    this.#work.slicesGranted++;
    const granted = grantedInstructions(this.#round, this.#work, this.#work.slicesGranted);
    return { canister: this.#canister, work: this.#work, granted };
  }

  done(job: Job, result: JobResult | null): void {
    const env = turnEnv(this.#round);
    const { outbox } = env;
    const earlier = maxOf(0n, grantedInstructions(this.#round, this.#work, this.#work.slicesGranted - 1));
    outbox.instructions += maxOf(0n, result?.outcome.instructions ?? job.granted) - earlier;
    outbox.slices++;
    if (result === null) {
      this.answer = { kind: "pending", instructions: outbox.instructions };
    } else {
      const uploaded = isNoModule(result) ? this.#round.state.blobs.get(this.#work.blob) : null;
      // What is paid for it tells nothing of the time that it took; a round has room for few of them.
      const looked = uploaded === null ? 0 : decodedBytes(uploaded);
      const error = finishInstall(this.#round, env, {
        canister: this.#canister,
        work: this.#work,
        result,
        call: this.call,
        price: priceOf(this.#work, result, uploaded),
      });
      this.answer =
        error === null
          ? { kind: "reply", data: EMPTY_REPLY, instructions: outbox.instructions }
          : failure(error, outbox.instructions + BigInt(looked));
    }
    settleOutbox(this.#round, this.#canister, outbox);
  }
}

/** Whether the upload was refused before anything else was looked at. */
function isNoModule({ outcome }: JobResult): boolean {
  const code = outcome.error?.code;
  return code === ErrorCode.CanisterInvalidWasm || code === ErrorCode.CanisterWasmEngineError;
}

/** Instructions that are paid: for an upload that is no module, as if each of its bytes were an operator (replica). */
function priceOf({ prepaid }: InstallWork, result: JobResult, noModule: Uint8Array | null): bigint {
  const paid = result.paid ?? result.outcome.instructions;
  if (noModule === null) return paid;
  const compiling = COMPILE_INSTRUCTIONS_PER_OPERATOR * BigInt(statedBytes(noModule));
  return minOf(paid + compiling, prepaid.instructionLimit);
}

function turnEnv({ state, limits, index }: Round): TurnEnv {
  return {
    subnet: state.subnet,
    time: state.time,
    height: state.height,
    limits,
    subnetMemoryAvailable: subnetMemoryLeft(index),
    callBudget: { guaranteedBytes: 0, callbacks: 0 },
    outbox: newOutbox(),
  };
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

/** Applies what the installation came to and settles its price; null when it succeeded, otherwise only price and logs remain. */
function finishInstall(
  round: Round,
  env: TurnEnv,
  end: {
    readonly canister: CanisterState;
    readonly work: InstallWork;
    readonly result: JobResult;
    readonly call: ManagementCall;
    /** Instructions that are paid. */
    readonly price: bigint;
  },
): UserError | null {
  const { canister, work, result, call, price } = end;
  const { outcome, compiled } = result;
  canister.running = null;
  if (outcome.effects !== null && work.mode !== "upgrade") clearLogs(round, canister);
  if (appendLogs(canister, outcome, work.startTime)) env.outbox.logsChanged = true;
  if (outcome.effects !== null && compiled !== null) {
    adopt(round, call, { canister, work, compiled });
    applyEffects(env, canister, null, outcome.effects, work.startTime);
  } else {
    round.state.blobs.release(work.blob);
  }
  charge(env, canister, { prepaid: work.prepaid, instructions: price });
  oweInstallation(round, canister, price);
  payDebit(env, canister, work.inductionDebit);
  if (outcome.effects !== null) return null;
  return (
    outcome.error ?? userError(ErrorCode.CanisterWasmEngineError, "the installation failed without a reason")
  );
}

/** The installed module replaces the old one: everything of the canister that hangs on code, besides memory. */
function adopt(
  round: Round,
  call: ManagementCall,
  options: {
    readonly canister: CanisterState;
    readonly work: InstallWork;
    readonly compiled: CompiledUpload;
  },
): void {
  const { canister, work, compiled } = options;
  const { meta } = canister;
  const { state } = round;
  if (meta.module !== null) state.blobs.release(meta.module.blob);
  meta.module = compiled.module;
  meta.customSectionBytes = compiled.customSectionBytes;
  meta.installedAt = state.time;
  meta.globalTimer = 0n;
  if (work.mode !== "upgrade") meta.certifiedData = new Uint8Array(0);
  meta.lowMemoryHook = "not_satisfied";
  meta.version++;
  recordChange(canister, {
    time: work.startTime,
    origin: historyOrigin(call, work.senderVersion),
    details: { kind: "code_deployment", mode: work.mode, moduleHash: compiled.module.hash },
  });
}

function charge(
  env: TurnEnv,
  canister: CanisterState,
  price: { readonly prepaid: Prepayment; readonly instructions: bigint },
): void {
  env.outbox.executions++;
  settle(env, canister, price.prepaid, price.instructions);
}
