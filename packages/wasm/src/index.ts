/** Floor 1: canister modules, from bytes to running instances. */
export { BACKTRACE_FRAMES_MAX, backtrace, type Frame, withFrames } from "./backtrace.ts";
export type { Form } from "./code-context.ts";
export { type DecodedModule, decodeModule } from "./decode.ts";
export {
  COMPILE_INSTRUCTIONS_PER_OPERATOR,
  type CompiledCanister,
  createEngine,
  Engine,
  type EngineOptions,
  type InstantiateOptions,
} from "./engine.ts";
export { IC0_IMPORTS, type Ic0Signature, type Ic0Type, SYSTEM_API_COSTS } from "./ic0-imports.ts";
export { type InitialImage, OS_PAGE_BYTES } from "./image.ts";
export { CanisterInstance, type InstanceHooks } from "./instance.ts";
export { type InstrumentOptions, instrument } from "./instrument.ts";
export { MEMORY32_PAGES_MAX, MEMORY64_PAGES_MAX } from "./limits.ts";
export { MemoryPool, type MemoryRequest } from "./memory-pool.ts";
export { functionNames } from "./names.ts";
export {
  type FunctionProfile,
  type FunctionStack,
  joinProfiles,
  PROFILE_DEPTH_MAX,
  PROFILE_REST,
  PROFILE_STACKS_MAX,
} from "./profile.ts";
export { ENGINE_STACK_MB, STACK_BYTES } from "./stack.ts";
export { TRAP_TEXTS, type TrapKind, WasmTrap } from "./traps.ts";
export type {
  CustomSection,
  GlobalType,
  HookName,
  MemoryInfo,
  ModuleInfo,
  ValueType,
  WasmValidationError,
  WasmValidationKind,
} from "./types.ts";
export { HOOK_NAMES } from "./types.ts";
export { validateModule } from "./validate.ts";
