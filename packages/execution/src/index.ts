/** Floor 3: from a batch to the next certified state. */
export { createExecution, type Execution, type ExecutionOptions } from "./apply-batch.ts";
export * from "./cycles.ts";
export * from "./error-codes.ts";
export * from "./fees.ts";
export { type GenesisCanister, installGenesis } from "./genesis.ts";
export * from "./limits.ts";
export { specifiedCanisterId } from "./management/create.ts";
export {
  acceptManagementIngress,
  effectiveCanisterId,
  isController,
  isSubnetAdmin,
} from "./management/effective-id.ts";
export { ingressCallable, type ManagementMethod, managementMethod } from "./management/methods.ts";
export {
  canisterMetadata,
  encodeCanisterMetrics,
  encodeCanisterStatus,
} from "./management/status.ts";
export { FormingMirror } from "./query/forming.ts";
export { type ViewEnd, ViewGathering, type ViewPart } from "./query/gathering.ts";
export type { FormedMirror } from "./query/mirror.ts";
export { type FetchedOutcall, outcallResponseBytesMax } from "./query/outcall.ts";
export {
  isOutcallNode,
  outcallContentHash,
  outcallDeadline,
  outcallDivergence,
  outcallVerdict,
} from "./query/outcall-agreement.ts";
export type { QueryProfile } from "./query/query-call.ts";
export type { ReadStateQuery } from "./query/read-state.ts";
export { newModules, takeSnapshot, type ViewSnapshot } from "./query/snapshot.ts";
export {
  type Certification,
  CertifiedView,
  type NextSliceOptions,
  type QueryProfiling,
  type RangesForm,
  type ReadStateAnswer,
  type ViewAnswer,
  type ViewOptions,
  type ViewQuery,
  type ViewQueryOutcome,
} from "./query/view.ts";
export type { CanisterImage, Draft } from "./runner/image.ts";
export { checkPersistence, persistenceError } from "./runner/install.ts";
export { LIVE_BYTES_MAX, LIVE_INSTANCES_MAX } from "./runner/instances.ts";
export {
  COMPILED_BYTES_MAX,
  COMPILED_MODULES_MAX,
  decodedBytes,
  type Inflate,
  type ModuleSource,
} from "./runner/modules.ts";
export { type QueryRun, type RunnerOptions, WasmRunner } from "./runner/runner.ts";
export { type JobScene, runWork, sceneOf } from "./scheduler/jobs.ts";
export { inlineExecutor, type MessageGate } from "./scheduler/round.ts";
export * from "./streams/payload.ts";
export { type Destination, type Router, routerOf } from "./streams/routing.ts";
export * from "./streams/slices.ts";
export {
  aboutCanister,
  cleanupError,
  type ExecutionError,
  type Failure,
  formatExecutionError,
} from "./system-api/failure.ts";
export type * from "./types.ts";
