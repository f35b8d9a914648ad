/**
 * The advice that follows errors of the management canister, as the replica gives it (developer documentation, "Execution errors").
 * An error is known by its code and how its text begins. Errors of a canister's own code bring their advice with them.
 */
import { ErrorCode, type UserError } from "../error-codes.ts";
import { help } from "./help.ts";

interface Advice {
  readonly code: ErrorCode;
  readonly opening: string;
  readonly suggestion: string;
  /** Anchor in the page of execution errors, "" for none. */
  readonly doc: string;
}

function advice(code: ErrorCode, opening: string, suggestion: string, doc = ""): Advice {
  return { code, opening, suggestion, doc };
}

const TOP_UP = "Top up the canister with more cycles.";
const OTHER_SUBNET = "Try moving to another subnet.";
const RAISE_LIMIT =
  "Try increasing this canister's reserved cycles limit or moving it to a subnet with lower memory usage.";

const TABLE: readonly Advice[] = [
  advice(
    ErrorCode.CanisterInvalidController,
    "Only the controllers of the canister ",
    "Execute this call from a controller of the target canister or add the current caller as a controller.",
    "invalid-controller",
  ),
  advice(
    ErrorCode.CanisterInvalidController,
    "Canister ",
    "Delete the canister from one of its other controllers.",
    "delete-canister-self",
  ),
  advice(
    ErrorCode.CanisterNotFound,
    "Canister ",
    "Check the ICP dashboard to ensure the canister exists.",
    "canister-not-found",
  ),
  advice(
    ErrorCode.CanisterNonEmpty,
    "Canister ",
    "Check that you want to overwrite the canister and, if so, use mode='reinstall'.",
    "canister-not-empty",
  ),
  advice(
    ErrorCode.SubnetOversubscribed,
    "Canister requested a compute allocation ",
    OTHER_SUBNET,
    "subnet-compute-capacity-oversubscribed",
  ),
  advice(
    ErrorCode.CanisterNotStopped,
    "Canister ",
    "Stop the canister before deleting it.",
    "delete-canister-not-stopped",
  ),
  advice(
    ErrorCode.CanisterQueueNotEmpty,
    "Canister ",
    "Wait until the queues have been cleared to delete the canister and in the meantime stop the canister.",
    "delete-canister-queue-not-empty",
  ),
  advice(
    ErrorCode.InsufficientCyclesForCreateCanister,
    "Creating a canister ",
    "Try sending more cycles with the request.",
    "create-canister-not-enough-cycles",
  ),
  advice(
    ErrorCode.CanisterOutOfCycles,
    "Canister installation failed ",
    TOP_UP,
    "install-code-not-enough-cycles",
  ),
  advice(
    ErrorCode.CanisterInstallCodeRateLimited,
    "Canister ",
    "Retry the installation at a later time.",
    "install-code-rate-limited",
  ),
  advice(
    ErrorCode.MaxNumberOfCanistersReached,
    "Subnet ",
    "Try creating the canister on another subnet.",
    "maximum-number-of-canisters-reached",
  ),
  advice(
    ErrorCode.InsufficientCyclesInComputeAllocation,
    "Cannot increase ",
    TOP_UP,
    "insufficient-cycles-in-compute-allocation",
  ),
  advice(
    ErrorCode.InsufficientCyclesInMemoryAllocation,
    "Cannot increase ",
    TOP_UP,
    "insufficient-cycles-in-memory-allocation",
  ),
  advice(
    ErrorCode.InsufficientCyclesInMemoryGrow,
    "Canister cannot grow ",
    TOP_UP,
    "insufficient-cycles-in-memory-grow-1",
  ),
  advice(
    ErrorCode.ReservedCyclesLimitExceededInMemoryAllocation,
    "Cannot increase ",
    RAISE_LIMIT,
    "reserved-cycles-limit-exceeded-in-memory-allocation",
  ),
  advice(
    ErrorCode.ReservedCyclesLimitExceededInMemoryGrow,
    "Canister cannot grow ",
    RAISE_LIMIT,
    "reserved-cycles-limit-exceeded-in-memory-grow",
  ),
  advice(
    ErrorCode.CanisterContractViolation,
    "Error from Wasm chunk store: ",
    "Use the `stored_chunks` API to check which hashes are present or top up the canister if it is low on cycles.",
    "wasm-chunk-store-error",
  ),
  advice(
    ErrorCode.CanisterHeapDeltaRateLimited,
    "Canister ",
    "Try waiting a few seconds before retrying the operation.",
    "canister-heap-delta-rate-limited",
  ),
];

/** Two kinds of memory share an opening; what they go on with tells them apart. */
const SUBNET_MEMORY = / of memory but only /;
const SUBNET_SECTIONS = / of Wasm custom sections memory but only /;

function adviceFor(error: UserError): string | null {
  if (error.code === ErrorCode.SubnetOversubscribed) {
    if (SUBNET_MEMORY.test(error.message)) {
      return help(OTHER_SUBNET, "subnet-memory-capacity-oversubscribed");
    }
    if (SUBNET_SECTIONS.test(error.message)) {
      return help(
        "Try removing custom sections using a tool like `wasm-strip` or moving to another subnet.",
        "subnet-custom-section-memory-capacity-oversubscribed",
      );
    }
  }
  const row = TABLE.find(({ code, opening }) => code === error.code && error.message.startsWith(opening));
  return row === undefined ? null : help(row.suggestion, row.doc);
}

/** The error with its advice; an error that has it already, or has none, as it is. */
export function advised(error: UserError): UserError {
  const text = adviceFor(error);
  if (text === null || error.message.endsWith(text)) return error;
  return { ...error, message: `${error.message}${text}` };
}
