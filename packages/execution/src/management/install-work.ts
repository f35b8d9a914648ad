/**
 * The part of an installation that executes: compilation, the checks that need its result, the hooks (interface spec,
 * "install_code"). Pure data in, pure data out, so that it may happen on any thread and again; what it changes besides memories is
 * install.ts's to apply.
 */
import { principalToText } from "@orrery/base";
import type { InstallWork, SubnetInfo } from "@orrery/state";
import { freezingThresholdCycles, isFrozen, memoryUsageBytes } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { QUEUE_CAPACITY } from "../limits.ts";
import { paceAfter } from "../messaging/work.ts";
import { persistenceError } from "../runner/install.ts";
import { aboutCanister } from "../system-api/failure.ts";
import type {
  CompiledUpload,
  JobResult,
  MessageContext,
  MessageRunner,
  Pace,
  RunnableCanister,
} from "../types.ts";

interface Installation {
  readonly subnet: SubnetInfo;
  readonly canister: RunnableCanister;
  readonly work: InstallWork;
}

/** Commits when compilation and execution together took at most `commitWithin` instructions. */
export function runInstallation(
  runner: MessageRunner,
  canister: RunnableCanister,
  options: {
    readonly scene: { readonly subnet: SubnetInfo; readonly upload: Uint8Array };
    readonly work: InstallWork;
    readonly commitWithin: bigint;
    readonly pace?: Pace | undefined;
  },
): JobResult {
  const { scene, work, commitWithin } = options;
  const installation: Installation = { subnet: scene.subnet, canister, work };
  const compiled = runner.compile(scene.upload);
  if (!compiled.ok) return failed(work.extraInstructions, aboutCanister(canister.meta.id, compiled.error));
  const before = work.extraInstructions + compiled.value.instructions;
  const early =
    persistenceProblem(installation, compiled.value) ?? tooExpensive(installation, compiled.value, before);
  if (early !== null) return failed(before, early);
  const outcome = runner.install(
    canister,
    {
      mode: work.mode,
      skipPreUpgrade: work.skipPreUpgrade,
      keepHeap: work.persistence === "keep",
      module: compiled.value.module,
      arg: work.arg,
      refuse: (sizes) => unaffordable(installation, compiled.value, sizes),
    },
    {
      ...installContext(installation, work.prepaid.instructionLimit - before),
      ...paceAfter(options.pace, before),
    },
    commitWithin - before,
  );
  return {
    outcome: { ...outcome, instructions: before + outcome.instructions },
    cleanup: null,
    compiled: compiled.value,
  };
}

function failed(instructions: bigint, error: UserError): JobResult {
  const outcome = { error, instructions, effects: null, logs: [], heapPagesTouched: 0 };
  return { outcome, cleanup: null, compiled: null };
}

function installContext({ subnet, work }: Installation, instructionLimit: bigint): MessageContext {
  return {
    subnet,
    time: work.startTime,
    caller: work.sender,
    callerInfo: null,
    deadline: 0n,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    canRespond: false,
    instructionLimit,
    contextInstructions: 0n,
    dataCertificate: null,
    subnetMemoryAvailable: work.subnetMemoryAvailable,
    requestSlots: () => QUEUE_CAPACITY,
  };
}

function persistenceProblem({ canister, work }: Installation, compiled: CompiledUpload): UserError | null {
  if (work.mode !== "upgrade") return null;
  return persistenceError(canister, compiled.module, work.persistence);
}

/** What the installation has come to, memories included, must leave the canister unfrozen. */
function unaffordable(
  { subnet, canister, work }: Installation,
  compiled: CompiledUpload,
  /** Wasm pages; before anything ran, those that are there. */
  sizes?: { readonly heapPages: number; readonly stablePages: number },
): UserError | null {
  const grown = {
    ...canister.meta,
    ...sizes,
    module: compiled.module,
    customSectionBytes: compiled.customSectionBytes,
    cycles: canister.meta.cycles + work.prepaid.cycles,
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
  installation: Installation,
  compiled: CompiledUpload,
  before: bigint,
): UserError | null {
  const { canister } = installation;
  const { prepaid } = installation.work;
  if (before > prepaid.instructionLimit) {
    return userError(
      ErrorCode.CanisterInstructionLimitExceeded,
      `Error from Canister ${principalToText(canister.meta.id)}: Canister exceeded the limit of ` +
        `${prepaid.instructionLimit} instructions for single message execution.`,
    );
  }
  return unaffordable(installation, compiled);
}
