/**
 * The part of an installation that executes: compilation, the checks that need its result, the hooks (interface spec,
 * "install_code"). Pure data in, pure data out, so that it may happen on any thread and again; what it changes besides memories is
 * install.ts's to apply.
 */
import { assert, principalToText } from "@orrery/base";
import { type InstallWork, memoryUsageBytes, type SubnetInfo } from "@orrery/state";
import type { FunctionProfile } from "@orrery/wasm";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { MEMORY_SHARES, protocolSlice, QUEUE_CAPACITY } from "../limits.ts";
import { wasmMemoryLimitError } from "../messaging/low-memory.ts";
import { paceAfter } from "../messaging/work.ts";
import { persistenceError } from "../runner/install.ts";
import { aboutCanister } from "../system-api/failure.ts";
import type {
  CompiledUpload,
  InstallEnd,
  JobResult,
  MessageContext,
  MessageRunner,
  Pace,
  RunnableCanister,
} from "../types.ts";
import { customSectionsError, type GrowthPlan, growthError, planGrowth } from "./memory.ts";

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
  const refusal = refusalOf(installation, compiled);
  if (refusal !== null) return refused(runner, installation, refusal, options.pace);
  assert(compiled.ok, "what does not compile is refused");
  const before = work.extraInstructions + compiled.value.instructions;
  let cyclesReserved = 0n;
  const outcome = runner.install(
    canister,
    {
      mode: work.mode,
      skipPreUpgrade: work.skipPreUpgrade,
      keepHeap: work.persistence === "keep",
      module: compiled.value.module,
      arg: work.arg,
      refuse: (end) => {
        const tooLarge = wasmMemoryLimitError(canister.meta, end.heapPages);
        if (tooLarge !== null) return tooLarge;
        const plan = growthOf(installation, compiled.value, end);
        if (!plan.ok) return growthError(plan.refusal);
        cyclesReserved = plan.reserve;
        return null;
      },
    },
    {
      ...installContext(installation, work.prepaid.instructionLimit - before),
      ...paceAfter(options.pace, before),
    },
    commitWithin - before,
  );
  return {
    // The replica compiles after pre_upgrade.
    ...(outcome.endedBefore === true ? { paid: outcome.instructions } : {}),
    outcome: {
      ...outcome,
      effects: outcome.effects === null ? null : { ...outcome.effects, cyclesReserved },
      instructions: before + outcome.instructions,
      ...(outcome.profile === undefined ? {} : { profile: withCompilation(before, outcome.profile) }),
    },
    cleanup: null,
    compiled: compiled.value,
  };
}

/** What is charged before anything runs has a frame of its own. */
function withCompilation(instructions: bigint, { stacks }: FunctionProfile): FunctionProfile {
  return { stacks: [{ frames: ["(compilation)"], instructions }, ...stacks] };
}

/** Why a new module is not taken. */
interface Refusal {
  readonly error: UserError;
  /** Instructions that count, and those of them that are paid, besides pre_upgrade's. */
  readonly instructions: bigint;
  readonly paid: bigint;
}

/**
 * What can be said of the new module before it runs. When the outcome is due depends on what compiling counts wherever the upload
 * compiles: who runs the installation may know that ahead.
 */
function refusalOf(
  installation: Installation,
  compiled: ReturnType<MessageRunner["compile"]>,
): Refusal | null {
  const { canister, work } = installation;
  const paid = work.extraInstructions;
  const instructions = paid + (compiled.ok ? compiled.value.instructions : 0n);
  const disagreement = persistenceProblem(installation, compiled.ok ? compiled.value : null);
  if (disagreement !== null) return { error: disagreement, instructions, paid };
  if (!compiled.ok) return { error: aboutCanister(canister.meta.id, compiled.error), instructions, paid };
  const error = tooExpensive(installation, compiled.value, instructions);
  return error === null ? null : { error, instructions, paid: instructions };
}

/** Of an upgrade, pre_upgrade runs first: its failure is what is told, and paid. */
function refused(
  runner: MessageRunner,
  installation: Installation,
  { error, instructions, paid }: Refusal,
  pace: Pace | undefined,
): JobResult {
  const { canister, work } = installation;
  const limit = work.prepaid.instructionLimit - instructions;
  const runs = work.mode === "upgrade" && !work.skipPreUpgrade && limit > 0n;
  const context = { ...installContext(installation, limit), ...paceAfter(pace, instructions) };
  const nothing = { error: null, instructions: 0n, logs: [], effects: null, heapPagesTouched: 0 };
  const before = (runs ? runner.preUpgrade?.(canister, context) : null) ?? nothing;
  const failed = before.error !== null;
  return {
    outcome: {
      ...before,
      error: before.error ?? error,
      instructions: instructions + before.instructions,
    },
    paid: failed ? before.instructions : paid + before.instructions,
    cleanup: null,
    compiled: null,
  };
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
    slice: protocolSlice(subnet.type, "install"),
    requestSlots: () => QUEUE_CAPACITY,
  };
}

function persistenceProblem(
  { canister, work }: Installation,
  compiled: CompiledUpload | null,
): UserError | null {
  if (work.mode !== "upgrade") return null;
  return persistenceError(canister, compiled?.module ?? null, work.persistence);
}

/** What the installation would take of the subnet and of the balance as it ended; at first with the sizes that are there. */
function growthOf(
  { subnet, canister, work }: Installation,
  compiled: CompiledUpload,
  end?: InstallEnd,
): GrowthPlan {
  const { meta } = canister;
  const left = meta.cycles - (end?.cyclesBurned ?? 0n);
  const grown = {
    ...meta,
    heapPages: end?.heapPages ?? meta.heapPages,
    stablePages: end?.stablePages ?? meta.stablePages,
    module: compiled.module,
    customSectionBytes: compiled.customSectionBytes,
    cycles: left + work.prepaid.cycles,
  };
  const plan = planGrowth(subnet, { meta, grown, available: work.subnetMemoryAvailable / MEMORY_SHARES });
  if (!plan.ok || plan.reserve <= left) return plan;
  // What is prepaid comes back only afterwards.
  const bytes = memoryUsageBytes(grown) - memoryUsageBytes(meta);
  return { ok: false, refusal: { kind: "cycles", bytes, missing: plan.reserve - left } };
}

/** What is known before anything runs: compiling must fit the limit, custom sections the subnet; the new module's own size must not freeze the canister. */
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
  const { customSectionsAvailable: available } = installation.work;
  const sections = compiled.customSectionBytes - canister.meta.customSectionBytes;
  if (sections > available) return customSectionsError(sections, available);
  const plan = growthOf(installation, compiled);
  return plan.ok ? null : growthError(plan.refusal);
}
