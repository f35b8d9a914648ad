/** What `POST /instances` and `POST /http_gateway` take: every field of version 14 and of older clients, and what cannot be done refused by name. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SubnetKind } from "@orrery/sim/instance";
import type { Json } from "./json.ts";
import type { Feature, InstanceConfig, SubnetConfig } from "./protocol.ts";
import {
  bytes,
  index,
  list,
  oneOf,
  optional,
  type Reader,
  record,
  ShapeError,
  string,
  u16,
  u64,
  variant,
  wrapped,
} from "./shapes.ts";

/** Genesis of the public network: no instance is older. */
const GENESIS_NS = 1_620_328_630_000_000_000n;
/** A day between rounds. */
const AUTO_PROGRESS_MS_MAX = 86_400_000n;

/** A file of a state directory that holds an instance. */
export const TOPOLOGY_FILE = "topology.json";

const anything: Reader<Json> = (value) => value;

/** `"New"`, the only state that a subnet may start from here. */
const newState: Reader<null> = (value, at) => {
  if (value === "New" || value === null) return null;
  const kind = typeof value === "object" ? Object.keys(value)[0] : undefined;
  if (kind === "FromPath" || kind === "FromBlobStore") {
    throw new ShapeError(
      `\`${at}\` asks for SubnetStateConfig::${kind}: checkpoints of the replica are not read here; start with "New" and load canisters from their snapshots`,
    );
  }
  throw new ShapeError(`\`${at}\` is no subnet state, expected "New"`);
};

const principal: Reader<Uint8Array> = (value, at) =>
  typeof value === "string" ? bytes(value, at) : wrapped("principal_id", bytes)(value, at);

const subnetSpec = record({
  state_config: newState,
  instruction_config: optional(oneOf("Production", "Benchmarking")),
  cost_schedule: optional(oneOf("Normal", "Free")),
  subnet_admins: optional(list(principal)),
});

const flag = optional(oneOf("Enabled", "Disabled"));
const feature = optional(oneOf("DefaultConfig"));

const NAMED: Readonly<Record<string, SubnetKind>> = {
  nns: "nns",
  sns: "sns",
  ii: "ii",
  fiduciary: "fiduciary",
  bitcoin: "bitcoin",
  test_threshold_keys: "test_threshold_keys",
};
const NUMEROUS: Readonly<Record<string, SubnetKind>> = {
  system: "system",
  application: "application",
  verified_application: "verified_application",
  cloud_engine: "cloud_engine",
};

/** The subnet that each feature implies, of those that there are. */
const OFFERED: Readonly<Record<Feature, SubnetKind>> = {
  icp_token: "nns",
  cycles_token: "ii",
  cycles_minting: "nns",
};
/** The public network's cycles minting began then, and no instance that has it is older. */
const CYCLES_MINTING_NS = 1_620_633_601_000_000_000n;

const FEATURES = [
  "registry",
  "cycles_minting",
  "icp_token",
  "cycles_token",
  "nns_governance",
  "sns",
  "ii",
  "nns_ui",
  "bitcoin",
  "dogecoin",
  "canister_migration",
] as const;

const httpsConfig = record({ cert_path: string, key_path: string });

const gatewayFields = {
  ip_addr: optional(string),
  port: optional(u16),
  domains: optional(list(string)),
  https_config: optional(httpsConfig),
  domain_custom_provider_local_file: optional(string),
};

export interface GatewayConfig {
  readonly ip_addr: string | null;
  readonly port: number | null;
  readonly domains: readonly string[] | null;
  readonly https_config: { readonly cert_path: string; readonly key_path: string } | null;
  /** Lines of `<domain>:<canister id>`, read again while the gateway runs. */
  readonly domain_custom_provider_local_file: string | null;
}

export type ForwardTo =
  | { readonly kind: "PocketIcInstance"; readonly value: number }
  | { readonly kind: "Replica"; readonly value: string };

/** Body of `POST /http_gateway`. */
export const gatewayRequest: Reader<GatewayConfig & { readonly forward_to: ForwardTo }> = record({
  ...gatewayFields,
  forward_to: variant({ PocketIcInstance: index, Replica: string }),
});

const autoProgress = record({ artificial_delay_ms: optional(u64) });

/** Body of `POST auto_progress`: the least time between rounds. */
export const autoProgressMs: Reader<number> = (value, at) => {
  const ms = autoProgress(value, at).artificial_delay_ms ?? 0n;
  if (ms > AUTO_PROGRESS_MS_MAX) {
    throw new ShapeError(`\`artificial_delay_ms\` is ${ms}, expected at most ${AUTO_PROGRESS_MS_MAX}, a day`);
  }
  return Number(ms);
};

const instanceFields = record({
  subnet_config_set: record({
    ...Object.fromEntries(Object.keys(NAMED).map((name) => [name, optional(subnetSpec)])),
    ...Object.fromEntries(Object.keys(NUMEROUS).map((name) => [name, optional(list(subnetSpec))])),
  }),
  http_gateway_config: optional(record(gatewayFields)),
  state_dir: optional(string),
  icp_config: optional(
    record({
      beta_features: flag,
      canister_backtrace: flag,
      function_name_length_limits: flag,
      canister_execution_rate_limiting: flag,
    }),
  ),
  log_level: optional(string),
  bitcoind_addr: optional(anything),
  dogecoind_addr: optional(anything),
  icp_features: optional(record(Object.fromEntries(FEATURES.map((name) => [name, feature])))),
  incomplete_state: flag,
  initial_time: optional(
    variant({ Timestamp: wrapped("nanos_since_epoch", u64), AutoProgress: autoProgressMs }),
  ),
  mainnet_nns_subnet_id: optional((value: Json) => value === true || value === "Enabled"),
  disable_ingress_validation: optional((value: Json) => value === true || value === "Enabled"),
});

const LOG_LEVELS = ["critical", "error", "warning", "warn", "info", "debug", "trace", "off"];

type Spec = ReturnType<typeof subnetSpec>;

function subnetOf(kind: SubnetKind, spec: Spec): SubnetConfig {
  return {
    kind,
    instructions: spec.instruction_config === "Benchmarking" ? "benchmarking" : "production",
    costSchedule: spec.cost_schedule === "Free" ? "free" : "normal",
    admins: spec.subnet_admins,
  };
}

function subnetsOf(set: Readonly<Record<string, unknown>>): SubnetConfig[] {
  const named = Object.entries(NAMED).flatMap(([name, kind]) => {
    const spec = set[name] as Spec | null;
    return spec === null ? [] : [subnetOf(kind, spec)];
  });
  const numerous = Object.entries(NUMEROUS).flatMap(([name, kind]) =>
    ((set[name] as readonly Spec[] | null) ?? []).map((spec) => subnetOf(kind, spec)),
  );
  return [...named, ...numerous];
}

function isPresent(addresses: Json): boolean {
  return addresses !== null && !(Array.isArray(addresses) && addresses.length === 0);
}

/** Refuses what this server cannot do, by name. */
function refuseUnsupported(fields: ReturnType<typeof instanceFields>): void {
  for (const [name, value] of [
    ["bitcoind_addr", fields.bitcoind_addr],
    ["dogecoind_addr", fields.dogecoind_addr],
  ] as const) {
    if (isPresent(value))
      throw new ShapeError(`\`${name}\` is given: there is no adapter to such a node here`);
  }
  const missing = featuresOf(fields).filter((name) => !Object.hasOwn(OFFERED, name));
  if (missing.length > 0) {
    const names = missing.map((name) => `\`${name}\``).join(", ");
    throw new ShapeError(
      `the ICP features ${names} are asked for: this server does not carry their canisters; leave them out and install their Wasm modules under their ids with \`specified_id\``,
    );
  }
}

function featuresOf({ icp_features: features }: ReturnType<typeof instanceFields>): readonly string[] {
  return Object.entries(features ?? {})
    .filter(([, value]) => value !== null)
    .map(([name]) => name);
}

/** The subnets asked for and those that features imply. */
function withImplied(
  subnets: readonly SubnetConfig[],
  features: readonly Feature[],
): readonly SubnetConfig[] {
  const implied = new Set(features.map((feature) => OFFERED[feature]));
  const missing = [...implied].filter((kind) => !subnets.some((subnet) => subnet.kind === kind));
  const plain = { instructions: "production", costSchedule: "normal", admins: null } as const;
  return [...missing.map((kind) => ({ kind, ...plain })), ...subnets];
}

/** Reads and checks the body of `POST /instances`. */
export const instanceConfig: Reader<{
  readonly config: InstanceConfig;
  readonly gateway: GatewayConfig | null;
}> = (value, at) => {
  const fields = instanceFields(value, at);
  refuseUnsupported(fields);
  const features = featuresOf(fields) as readonly Feature[];
  const subnets = withImplied(subnetsOf(fields.subnet_config_set), features);
  const stateDir = fields.state_dir;
  if (subnets.length === 0 && (stateDir === null || !existsSync(join(stateDir, TOPOLOGY_FILE)))) {
    throw new ShapeError("ExtendedSubnetConfigSet must contain at least one subnet");
  }
  if (fields.log_level !== null && !LOG_LEVELS.includes(fields.log_level.toLowerCase())) {
    throw new ShapeError(`Failed to parse log level: ${fields.log_level.slice(0, 40)}`);
  }
  const time = fields.initial_time;
  const initialTime = time?.kind === "Timestamp" ? time.value : null;
  const earliest = features.includes("cycles_minting") ? CYCLES_MINTING_NS : GENESIS_NS;
  if (initialTime !== null && initialTime < earliest) {
    throw new ShapeError(
      `The initial timestamp (unix timestamp in nanoseconds) must be no earlier than ${earliest} (provided ${initialTime}).`,
    );
  }
  return {
    config: {
      subnets,
      stateDir,
      initialTime: initialTime ?? earliest,
      features,
      autoProgressMs: time?.kind === "AutoProgress" ? time.value : null,
      mainnetNnsId: fields.mainnet_nns_subnet_id ?? false,
      trustsIngress: fields.disable_ingress_validation ?? false,
    },
    gateway: fields.http_gateway_config,
  };
};
