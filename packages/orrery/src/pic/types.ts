/**
 * What users of PicJS say and get, under the names that they know: a test written for `@dfinity/pic` needs another import and nothing
 * else. Enumerations are objects of their texts, which is what they are at run time there as well.
 */
import type { Identity } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";

export const SubnetStateType = { New: "new", FromPath: "fromPath" } as const;
export type SubnetStateType = (typeof SubnetStateType)[keyof typeof SubnetStateType];

export const CanisterCyclesCostSchedule = { Normal: "Normal", Free: "Free" } as const;
export type CanisterCyclesCostSchedule =
  (typeof CanisterCyclesCostSchedule)[keyof typeof CanisterCyclesCostSchedule];

export const SubnetType = {
  Application: "Application",
  Bitcoin: "Bitcoin",
  Fiduciary: "Fiduciary",
  InternetIdentity: "II",
  NNS: "NNS",
  SNS: "SNS",
  System: "System",
} as const;
export type SubnetType = (typeof SubnetType)[keyof typeof SubnetType];

export const CanisterHttpMethod = { GET: "GET", POST: "POST", HEAD: "HEAD" } as const;
export type CanisterHttpMethod = (typeof CanisterHttpMethod)[keyof typeof CanisterHttpMethod];

export const IcpConfigFlag = { Disabled: "Disabled", Enabled: "Enabled" } as const;
export type IcpConfigFlag = (typeof IcpConfigFlag)[keyof typeof IcpConfigFlag];

export const IcpFeaturesConfig = { DefaultConfig: "DefaultConfig" } as const;
export type IcpFeaturesConfig = (typeof IcpFeaturesConfig)[keyof typeof IcpFeaturesConfig];

export interface NewSubnetStateConfig {
  type: typeof SubnetStateType.New;
}

/** A state of the Rust replica, which this one does not read: refused with a clear error. */
export interface FromPathSubnetStateConfig {
  type: typeof SubnetStateType.FromPath;
  path: string;
}

export interface SubnetConfig<
  T extends NewSubnetStateConfig | FromPathSubnetStateConfig =
    | NewSubnetStateConfig
    | FromPathSubnetStateConfig,
> {
  /** Long messages always take as many rounds as their slices; this changes nothing. */
  enableDeterministicTimeSlicing?: boolean | undefined;
  /** A trillion instructions for every message. */
  enableBenchmarkingInstructionLimits?: boolean | undefined;
  state: T;
}

export type NnsSubnetStateConfig = NewSubnetStateConfig | FromPathSubnetStateConfig;
export type SnsSubnetStateConfig = NewSubnetStateConfig;
export type IiSubnetStateConfig = NewSubnetStateConfig;
export type FiduciarySubnetStateConfig = NewSubnetStateConfig;
export type BitcoinSubnetStateConfig = NewSubnetStateConfig;
export type SystemSubnetStateConfig = NewSubnetStateConfig;
export type ApplicationSubnetStateConfig = NewSubnetStateConfig;
export type VerifiedApplicationSubnetStateConfig = NewSubnetStateConfig;
export type NnsSubnetConfig = SubnetConfig<NnsSubnetStateConfig>;
export type SnsSubnetConfig = SubnetConfig<SnsSubnetStateConfig>;
export type IiSubnetConfig = SubnetConfig<IiSubnetStateConfig>;
export type FiduciarySubnetConfig = SubnetConfig<FiduciarySubnetStateConfig>;
export type BitcoinSubnetConfig = SubnetConfig<BitcoinSubnetStateConfig>;
export type SystemSubnetConfig = SubnetConfig<SystemSubnetStateConfig>;
export type ApplicationSubnetConfig = SubnetConfig<ApplicationSubnetStateConfig> & {
  costSchedule?: CanisterCyclesCostSchedule | undefined;
};
export type VerifiedApplicationSubnetConfig = SubnetConfig<VerifiedApplicationSubnetStateConfig>;

export interface IcpConfig {
  betaFeatures?: IcpConfigFlag | undefined;
  canisterBacktrace?: IcpConfigFlag | undefined;
  functionNameLengthLimits?: IcpConfigFlag | undefined;
  canisterExecutionRateLimiting?: IcpConfigFlag | undefined;
}

/** System canisters of the public network; none can be asked for yet. */
export interface IcpFeatures {
  registry?: IcpFeaturesConfig | undefined;
  cyclesMinting?: IcpFeaturesConfig | undefined;
  icpToken?: IcpFeaturesConfig | undefined;
  cyclesToken?: IcpFeaturesConfig | undefined;
  nnsGovernance?: IcpFeaturesConfig | undefined;
  sns?: IcpFeaturesConfig | undefined;
  ii?: IcpFeaturesConfig | undefined;
  nnsUi?: never;
}

/** Without any subnet there is one application subnet. */
export interface CreateInstanceOptions {
  nns?: NnsSubnetConfig | undefined;
  sns?: SnsSubnetConfig | undefined;
  ii?: IiSubnetConfig | undefined;
  fiduciary?: FiduciarySubnetConfig | undefined;
  bitcoin?: BitcoinSubnetConfig | undefined;
  system?: SystemSubnetConfig[] | undefined;
  application?: ApplicationSubnetConfig[] | undefined;
  verifiedApplication?: VerifiedApplicationSubnetConfig[] | undefined;
  /** There is no server to wait for; this changes nothing. */
  processingTimeoutMs?: number | undefined;
  ingressMaxRetries?: number | undefined;
  icpConfig?: IcpConfig | undefined;
  icpFeatures?: IcpFeatures | undefined;
  disableIngressValidation?: boolean | undefined;
}

export interface SubnetTopology {
  id: Principal;
  type: SubnetType;
  /** Nodes that it has nominally. */
  size: number;
  canisterRanges: { start: Principal; end: Principal }[];
}

export interface EnvironmentVariable {
  name: string;
  value: string;
}

export type LogVisibility = { controllers: null } | { public: null } | { allowedViewers: Principal[] };
export type SnapshotVisibility = LogVisibility;

export interface CanisterSettings {
  /** The sender by default. */
  controllers?: Principal[] | undefined;
  computeAllocation?: bigint | undefined;
  memoryAllocation?: bigint | undefined;
  /** Seconds. */
  freezingThreshold?: bigint | undefined;
  reservedCyclesLimit?: bigint | undefined;
  logVisibility?: LogVisibility | undefined;
  snapshotVisibility?: SnapshotVisibility | undefined;
  logMemoryLimit?: bigint | undefined;
  wasmMemoryLimit?: bigint | undefined;
  wasmMemoryThreshold?: bigint | undefined;
  environmentVariables?: EnvironmentVariable[] | undefined;
}

export interface CreateCanisterOptions extends CanisterSettings {
  /** A million trillion by default. */
  cycles?: bigint | undefined;
  sender?: Principal | undefined;
  targetSubnetId?: Principal | undefined;
  targetCanisterId?: Principal | undefined;
}

/** `wasm`: bytes, or the path of a file. */
export interface SetupCanisterOptions extends CreateCanisterOptions {
  idlFactory: IDL.InterfaceFactory;
  wasm: Uint8Array | string;
  arg?: Uint8Array | undefined;
}

export interface CanisterFixture<T extends ActorInterface<T> = ActorInterface> {
  actor: Actor<T>;
  canisterId: Principal;
}

export interface StartCanisterOptions {
  canisterId: Principal;
  sender?: Principal | undefined;
  targetSubnetId?: Principal | undefined;
}

export type StopCanisterOptions = StartCanisterOptions;

export interface ReinstallCodeOptions {
  canisterId: Principal;
  wasm: Uint8Array | string;
  arg?: Uint8Array | undefined;
  sender?: Principal | undefined;
}

export interface InstallCodeOptions extends ReinstallCodeOptions {
  targetSubnetId?: Principal | undefined;
}

export interface CanisterInstallModeUpgradeOptions {
  skip_pre_upgrade: [] | [boolean];
  wasm_memory_persistence: [] | [{ keep?: null; replace?: null }];
}

export interface UpgradeCanisterOptions extends ReinstallCodeOptions {
  upgradeModeOptions?: CanisterInstallModeUpgradeOptions | undefined;
}

export interface UpdateCanisterSettingsOptions extends CanisterSettings {
  canisterId: Principal;
  sender?: Principal | undefined;
}

export interface CanisterStatusOptions {
  canisterId: Principal;
  sender?: Principal | undefined;
}

export type CanisterStatus = { running: null } | { stopping: null } | { stopped: null };

export interface CanisterQueryStats {
  numCallsTotal: bigint;
  numInstructionsTotal: bigint;
  requestPayloadBytesTotal: bigint;
  responsePayloadBytesTotal: bigint;
}

export interface CanisterStatusResult {
  status: CanisterStatus;
  settings: {
    controllers: Principal[];
    computeAllocation: bigint;
    memoryAllocation: bigint;
    freezingThreshold: bigint;
    reservedCyclesLimit: bigint;
    logVisibility: LogVisibility;
    wasmMemoryLimit: bigint;
    wasmMemoryThreshold: bigint;
    environmentVariables: EnvironmentVariable[];
  };
  moduleHash: Uint8Array | null;
  memorySize: bigint;
  cycles: bigint;
  reservedCycles: bigint;
  idleCyclesBurnedPerDay: bigint;
  queryStats: CanisterQueryStats;
}

export interface SenderInfo {
  info: Uint8Array;
  signer: Principal;
}

export interface QueryCallOptions {
  canisterId: Principal;
  method: string;
  /** Candid; no bytes by default. */
  arg?: Uint8Array | undefined;
  sender?: Principal | undefined;
  targetSubnetId?: Principal | undefined;
  senderInfo?: SenderInfo | undefined;
}

export type UpdateCallOptions = QueryCallOptions;

export type CanisterHttpHeader = [string, string];

export interface PendingHttpsOutcall {
  subnetId: Principal;
  requestId: number;
  httpMethod: CanisterHttpMethod;
  url: string;
  headers: CanisterHttpHeader[];
  body: Uint8Array;
  maxResponseBytes?: number;
}

export interface HttpsOutcallSuccessResponse {
  type: "success";
  statusCode: number;
  headers: CanisterHttpHeader[];
  body: Uint8Array;
}

export interface HttpsOutcallRejectResponse {
  type: "reject";
  /** The reject code, 1 to 5. */
  statusCode: number;
  message: string;
}

export type HttpsOutcallResponseMock = HttpsOutcallSuccessResponse | HttpsOutcallRejectResponse;

export interface MockPendingHttpsOutcallOptions {
  subnetId: Principal;
  requestId: number;
  response: HttpsOutcallResponseMock;
  /** The answers of the other nodes; the same for all by default. */
  additionalResponses?: HttpsOutcallResponseMock[] | undefined;
}

export interface StartServerOptions {
  showRuntimeLogs?: boolean | undefined;
  showCanisterLogs?: boolean | undefined;
  binPath?: string | undefined;
  ttl?: number | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a method of any service, as in the interface that this one stands for.
export type ActorMethod<Args extends any[] = any[], Ret = any> = (...args: Args) => Promise<Ret>;
export type ActorInterface<T = object> = { [K in keyof T]: ActorMethod };

interface Sending {
  /** Calls are sent as this principal from now on; as nobody by default. */
  setPrincipal(principal: Principal): void;
  setIdentity(identity: Identity): void;
}

export type Actor<T extends ActorInterface<T> = ActorInterface> = T & Sending & { new (): Actor<T> };

export type DeferredActorMethod<Args extends unknown[] = unknown[], Ret = unknown> = (
  ...args: Args
) => Promise<() => Promise<Ret>>;

export type DeferredActorInterface<T extends ActorInterface<T> = ActorInterface> = {
  [K in keyof T]: DeferredActorMethod<Parameters<T[K]>, Awaited<ReturnType<T[K]>>>;
};

/** Sends when a method is called, and waits for the answer when what that resolves to is called. */
export type DeferredActor<T extends ActorInterface<T> = ActorInterface> = DeferredActorInterface<T> &
  Sending & { new (): DeferredActor<T> };
