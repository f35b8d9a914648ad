/**
 * Ways in which running a canister fails, and the words for them (the replica's execution errors; interface spec, "Error codes").
 * A `Failure` is plain data; inside Wasm it travels as a `CanisterFailure` exception, outside as an `ExecutionError`. Text format:
 * "Error from Canister <id>: <what>" and, when there is help, ".\n<help>".
 */

import type { CanisterId } from "@orrery/base";
import { assertNever, principalToText } from "@orrery/base";
import { ErrorCode, type UserError } from "../error-codes.ts";

export type Failure =
  | { readonly kind: "function_not_found"; readonly table: number; readonly index: number }
  | {
      readonly kind: "method_not_found";
      readonly method: "update" | "query" | "composite_query" | "system";
      readonly name: string;
    }
  /** Breaks the System API's contract in a way that compilers and libraries are to blame for. */
  | { readonly kind: "toolchain_violation"; readonly text: string }
  /** Breaks the contract in a way that the program's author can mend. */
  | {
      readonly kind: "user_violation";
      readonly text: string;
      readonly suggestion: string;
      readonly doc: string;
    }
  | { readonly kind: "instruction_limit"; readonly limit: bigint }
  /** One operation took as much beyond the end of its slice as the next one has. */
  | { readonly kind: "slice_overrun"; readonly instructions: bigint; readonly slice: bigint }
  | { readonly kind: "trapped"; readonly code: string; readonly backtrace?: string }
  | { readonly kind: "called_trap"; readonly message: string; readonly backtrace?: string }
  | { readonly kind: "composite_query_replicated" }
  | { readonly kind: "wasm_module_not_found" }
  | { readonly kind: "message_rejected" }
  | { readonly kind: "invalid_wasm"; readonly text: string }
  | { readonly kind: "engine_error"; readonly text: string }
  | { readonly kind: "out_of_memory" }
  | { readonly kind: "invalid_principal" }
  | { readonly kind: "insufficient_cycles"; readonly text: string }
  | { readonly kind: "memory_access_limit"; readonly text: string }
  | {
      readonly kind: "memory_grow_cycles";
      readonly bytes: bigint;
      readonly available: bigint;
      readonly threshold: bigint;
      readonly reveal: boolean;
    }
  | {
      readonly kind: "reserved_cycles_limit";
      readonly bytes: bigint;
      readonly requested: bigint;
      readonly limit: bigint;
    }
  | { readonly kind: "wasm_memory_limit"; readonly bytes: bigint; readonly limit: bigint }
  | { readonly kind: "environment_index"; readonly index: bigint; readonly length: number }
  | { readonly kind: "environment_name"; readonly name: string }
  | { readonly kind: "cleanup"; readonly callback: Failure; readonly cleanup: Failure };

/** A failure on its way through Wasm frames: thrown by System API functions, caught by the runner. */
export class CanisterFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.kind);
    this.name = "CanisterFailure";
    this.failure = failure;
  }
}

/** What the user is told, with the failure it was made from. */
export interface ExecutionError extends UserError {
  readonly failure: Failure;
}

const DOCS = "https://internetcomputer.org/docs/current/references/execution-errors#";
const TOOLCHAIN_HELP =
  "If you are running this canister in a test environment (e.g., dfx), make sure the test environment is up to date. " +
  "Otherwise, this is likely an error with the compiler/CDK toolchain being used to build the canister. Please report the " +
  "error to IC devs on the forum: https://forum.dfinity.org and include which language/CDK was used to create the canister.";
const TRAP_HELP =
  "Consider gracefully handling failures from this canister or altering the canister to handle exceptions.";

/** A contract violation that the toolchain is to blame for. */
export function toolchainViolation(text: string): CanisterFailure {
  return new CanisterFailure({ kind: "toolchain_violation", text });
}

/** A contract violation that the author can mend; `doc`: anchor in the page of execution errors, empty for none. */
export function userViolation(text: string, suggestion = "", doc = ""): CanisterFailure {
  return new CanisterFailure({ kind: "user_violation", text, suggestion, doc });
}

export function trapped(code: string): CanisterFailure {
  return new CanisterFailure({ kind: "trapped", code });
}

function missing(failure: {
  readonly threshold: bigint;
  readonly available: bigint;
  readonly reveal: boolean;
}): string {
  if (!failure.reveal) return "";
  return ` At least ${failure.threshold - failure.available} additional cycles are required.`;
}

function backtraceLines({ backtrace }: { readonly backtrace?: string }): string {
  return backtrace === undefined ? "" : `\n${backtrace}`;
}

/** The failure in words, without the canister and without help. */
export function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case "function_not_found":
      return `Canister requested to invoke a non-existent Wasm function ${failure.index} from table ${failure.table}`;
    case "method_not_found":
      return `Canister has no ${failure.method} method '${failure.name}'.`;
    case "toolchain_violation":
    case "user_violation":
      return `Canister violated contract: ${failure.text}`;
    case "instruction_limit":
      return `Canister exceeded the limit of ${failure.limit} instructions for single message execution.`;
    case "slice_overrun":
      return (
        `Canister attempted to perform a large memory operation that used ${failure.instructions} instructions and ` +
        `exceeded the slice limit ${failure.slice}.`
      );
    case "trapped":
      return `Canister trapped: ${failure.code}${backtraceLines(failure)}`;
    case "called_trap":
      return `Canister called \`ic0.trap\` with message: '${failure.message}'${backtraceLines(failure)}`;
    case "composite_query_replicated":
      return "Composite query cannot be called in replicated mode";
    case "wasm_module_not_found":
      return "Attempted to execute a message, but the canister contains no Wasm module.";
    case "message_rejected":
      return "Canister rejected the message";
    case "invalid_wasm":
      return `Canister's Wasm module is not valid: ${failure.text}`;
    case "engine_error":
      return `Canister encountered a Wasm engine error: ${failure.text}`;
    case "out_of_memory":
      return "Canister cannot grow its memory usage.";
    case "invalid_principal":
      return "Canister provided invalid principal id";
    case "insufficient_cycles":
      return failure.text;
    case "memory_access_limit":
      return `Canister exceeded memory access limits: ${failure.text}`;
    case "memory_grow_cycles":
      return `Canister cannot grow memory by ${failure.bytes} bytes due to insufficient cycles.${missing(failure)}`;
    case "reserved_cycles_limit":
      return (
        `Canister cannot grow memory by ${failure.bytes} bytes due to its reserved cycles limit. The current limit ` +
        `(${failure.limit}) would be exceeded by ${failure.requested - failure.limit}.`
      );
    case "wasm_memory_limit":
      return (
        `Canister exceeded its current Wasm memory limit of ${failure.limit} bytes. The peak Wasm memory usage was ` +
        `${failure.bytes} bytes. If the canister reaches 4GiB, then it may stop functioning and may become unrecoverable. ` +
        "Please reach out to the canister owner to investigate the reason for the increased memory usage. It might be " +
        "necessary to move data from the Wasm memory to the stable memory. If such high Wasm memory usage is expected and " +
        "safe, then the developer can increase the Wasm memory limit in the canister settings."
      );
    case "environment_index":
      return (
        `Environment variable index ${failure.index} is out of bounds. ` +
        `The number of environment variables is ${failure.length}.`
      );
    case "environment_name":
      return `Environment variable ${failure.name} not found.`;
    case "cleanup":
      return (
        `${describeFailure(failure.callback)}\n\ncall_on_cleanup also failed:\n\n` +
        describeFailure(failure.cleanup)
      );
    default:
      return assertNever(failure, "failure");
  }
}

function withDoc(suggestion: string, anchor: string): string {
  return anchor === "" ? suggestion : `${suggestion} See documentation: ${DOCS}${anchor}`;
}

function helpFor(failure: Failure): string {
  switch (failure.kind) {
    case "function_not_found":
    case "toolchain_violation":
    case "invalid_principal":
    case "invalid_wasm":
      return TOOLCHAIN_HELP;
    case "user_violation":
      return failure.suggestion === "" ? "" : withDoc(failure.suggestion, failure.doc);
    case "method_not_found":
      return withDoc(
        "Check that the method being called is exported by the target canister.",
        "method-not-found",
      );
    case "instruction_limit":
      return withDoc(
        "Try optimizing this method to consume fewer instructions or split the work across multiple messages.",
        "instruction-limit-exceeded",
      );
    case "slice_overrun":
      return withDoc(
        "Try breaking up large copies within the canister code into smaller chunks.",
        "slice-overrun",
      );
    case "trapped":
      return withDoc(TRAP_HELP, "trapped");
    case "called_trap":
      return withDoc(TRAP_HELP, "trapped-explicitly");
    case "wasm_module_not_found":
      return withDoc("Please install code to this canister before calling it.", "wasm-module-not-found");
    case "out_of_memory":
      return withDoc(
        "Check the canister's memory usage against its allocation and the system wide limits to determine why more memory " +
          "cannot be allocated.",
        "out-of-memory",
      );
    case "memory_access_limit":
      return withDoc(
        "Try optimizing the use of stable memory so that individual messages don't need to access as much stable memory.",
        "memory-access-limit-exceeded",
      );
    case "memory_grow_cycles":
      return withDoc("Try topping up the canister.", "insufficient-cycles-in-memory-grow");
    case "reserved_cycles_limit":
      return withDoc(
        "Try increasing the canister's reserved cycles limit.",
        "reserved-cycles-limit-exceeded-in-memory-grow",
      );
    case "wasm_memory_limit":
      return withDoc(
        "Try checking the canister for a possible memory leak or modifying it to use more stable memory instead of Wasm memory.",
        "wasm-memory-limit-exceeded",
      );
    case "composite_query_replicated":
    case "message_rejected":
    case "engine_error":
    case "insufficient_cycles":
    case "environment_index":
    case "environment_name":
    case "cleanup":
      return "";
    default:
      return assertNever(failure, "failure");
  }
}

function codeOf(failure: Failure): ErrorCode {
  switch (failure.kind) {
    case "function_not_found":
      return ErrorCode.CanisterFunctionNotFound;
    case "method_not_found":
      return ErrorCode.CanisterMethodNotFound;
    case "toolchain_violation":
    case "user_violation":
    case "invalid_principal":
    case "insufficient_cycles":
    case "environment_index":
    case "environment_name":
      return ErrorCode.CanisterContractViolation;
    case "instruction_limit":
    case "slice_overrun":
      return ErrorCode.CanisterInstructionLimitExceeded;
    case "trapped":
      return ErrorCode.CanisterTrapped;
    case "called_trap":
      return ErrorCode.CanisterCalledTrap;
    case "composite_query_replicated":
      return ErrorCode.CompositeQueryCalledInReplicatedMode;
    case "wasm_module_not_found":
      return ErrorCode.CanisterWasmModuleNotFound;
    case "message_rejected":
      return ErrorCode.CanisterRejectedMessage;
    case "invalid_wasm":
      return ErrorCode.CanisterInvalidWasm;
    case "engine_error":
      return ErrorCode.CanisterWasmEngineError;
    case "out_of_memory":
      return ErrorCode.CanisterOutOfMemory;
    case "memory_access_limit":
      return ErrorCode.CanisterMemoryAccessLimitExceeded;
    case "memory_grow_cycles":
      return ErrorCode.InsufficientCyclesInMemoryGrow;
    case "reserved_cycles_limit":
      return ErrorCode.ReservedCyclesLimitExceededInMemoryGrow;
    case "wasm_memory_limit":
      return ErrorCode.CanisterWasmMemoryLimitExceeded;
    case "cleanup":
      return codeOf(failure.callback);
    default:
      return assertNever(failure, "failure");
  }
}

/** The failure as the user reads it: code, and text with canister and help. */
export function formatExecutionError(canisterId: CanisterId, failure: Failure): ExecutionError {
  if (failure.kind === "composite_query_replicated") {
    return { code: codeOf(failure), message: describeFailure(failure), failure };
  }
  const help = helpFor(failure);
  const text = `Error from Canister ${principalToText(canisterId)}: ${describeFailure(failure)}`;
  return { code: codeOf(failure), message: help === "" ? text : `${text}.\n${help}`, failure };
}

/** An error that knows its failure, told as this canister's; any other error as it is. */
export function aboutCanister(canisterId: CanisterId, error: UserError): UserError {
  const { failure } = error as Partial<ExecutionError>;
  return failure === undefined ? error : formatExecutionError(canisterId, failure);
}

/**
 * The error of a callback whose cleanup failed too: the callback's code, both texts. Errors that do not come from running code
 * keep their texts.
 */
export function cleanupError(canisterId: CanisterId, callback: UserError, cleanup: UserError): UserError {
  const first = (callback as Partial<ExecutionError>).failure;
  const second = (cleanup as Partial<ExecutionError>).failure;
  if (first !== undefined && second !== undefined) {
    return formatExecutionError(canisterId, { kind: "cleanup", callback: first, cleanup: second });
  }
  return {
    code: callback.code,
    message: `${callback.message}\n\ncall_on_cleanup also failed:\n\n${cleanup.message}`,
  };
}

/** The log record that a trap leaves, null for failures that leave none. */
export function trapLogText(failure: Failure): string | null {
  if (failure.kind === "trapped") return `[TRAP]: ${failure.code}${backtraceLines(failure)}`;
  if (failure.kind === "called_trap") {
    return `[TRAP]: ${failure.message === "" ? "(no message)" : failure.message}${backtraceLines(failure)}`;
  }
  return null;
}
