/** Subnets as PicJS's options ask for them, and as its users see them. */
import { Principal } from "@icp-sdk/core/principal";
import type { SubnetTopology as Known, SubnetKind, SubnetSpec } from "@orrery/sim/instance";
import {
  type ApplicationSubnetConfig,
  type CreateInstanceOptions,
  type SubnetConfig,
  SubnetStateType,
  type SubnetTopology,
  SubnetType,
} from "./types.ts";

function spec(
  kind: SubnetKind,
  config: SubnetConfig & Pick<ApplicationSubnetConfig, "costSchedule">,
): SubnetSpec {
  if (config.state.type === SubnetStateType.FromPath) {
    throw new Error(
      `The ${kind} subnet is to have the state at ${config.state.path}, which the Rust replica wrote: this one reads only what ` +
        "it wrote itself. Begin with a new state, and bring canisters over as snapshots.",
    );
  }
  return {
    kind,
    instructions: config.enableBenchmarkingInstructionLimits === true ? "benchmarking" : "production",
    costSchedule: config.costSchedule === "Free" ? "free" : "normal",
  };
}

export function topologyOf(options: CreateInstanceOptions | undefined): readonly SubnetSpec[] {
  const { nns, sns, ii, fiduciary, bitcoin } = options ?? {};
  const { system = [], application = [], verifiedApplication = [] } = options ?? {};
  const features = Object.entries(options?.icpFeatures ?? {}).filter(([, value]) => value !== undefined);
  if (features.length > 0) {
    const names = features.map(([name]) => name).join(", ");
    throw new Error(
      `The icpFeatures ${names} ask for system canisters of the public network, which cannot be brought here yet: install their Wasm.`,
    );
  }
  const one = (kind: SubnetKind, config: SubnetConfig | undefined): SubnetSpec[] =>
    config === undefined ? [] : [spec(kind, config)];
  const specs = [
    ...one("nns", nns),
    ...one("sns", sns),
    ...one("ii", ii),
    ...one("fiduciary", fiduciary),
    ...one("bitcoin", bitcoin),
    ...system.map((config) => spec("system", config)),
    ...application.map((config) => spec("application", config)),
    ...verifiedApplication.map((config) => spec("verified_application", config)),
  ];
  return specs.length === 0 ? [{ kind: "application" }] : specs;
}

const TYPES: Readonly<Record<SubnetKind, string>> = {
  nns: SubnetType.NNS,
  sns: SubnetType.SNS,
  ii: SubnetType.InternetIdentity,
  fiduciary: SubnetType.Fiduciary,
  bitcoin: SubnetType.Bitcoin,
  system: SubnetType.System,
  application: SubnetType.Application,
  verified_application: "VerifiedApplication",
  cloud_engine: "CloudEngine",
  test_threshold_keys: "TestThresholdKeys",
};

export function subnetTopology({ id, kind, size, ranges }: Known): SubnetTopology {
  return {
    id: Principal.fromUint8Array(id),
    type: TYPES[kind] as SubnetTopology["type"],
    size,
    canisterRanges: ranges.map(({ start, end }) => ({
      start: Principal.fromUint8Array(start),
      end: Principal.fromUint8Array(end),
    })),
  };
}
