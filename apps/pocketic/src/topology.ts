/** The topology of an instance as the protocol writes it. */
import { principalKey, principalToText } from "@orrery/base";
import type { InstanceTopology, SubnetKind, SubnetTopology } from "@orrery/sim/instance";
import { base64 } from "./calls.ts";
import type { Encodable } from "./json.ts";

const KIND_NAMES: Readonly<Record<SubnetKind, string>> = {
  nns: "NNS",
  sns: "SNS",
  ii: "II",
  fiduciary: "Fiduciary",
  bitcoin: "Bitcoin",
  test_threshold_keys: "TestThresholdKeys",
  system: "System",
  application: "Application",
  verified_application: "VerifiedApplication",
  cloud_engine: "CloudEngine",
};

function subnetJson(subnet: SubnetTopology): Encodable {
  const { kind, seed, size, ranges, instructions, costSchedule, admins, nodes } = subnet;
  return {
    subnet_kind: KIND_NAMES[kind],
    subnet_seed: [...seed],
    size,
    node_ids: nodes.map((id) => ({ node_id: base64(id) })),
    instruction_config: instructions === "production" ? "Production" : "Benchmarking",
    canister_ranges: ranges.map(({ start, end }) => ({
      start: { canister_id: base64(start) },
      end: { canister_id: base64(end) },
    })),
    cost_schedule: costSchedule === "normal" ? "Normal" : "Free",
    subnet_admins: admins === null ? null : admins.map((id) => ({ principal_id: base64(id) })),
  };
}

/** `Topology`, its subnets in the order of their ids. */
export function topologyJson({ subnets, defaultEffectiveCanisterId }: InstanceTopology): Encodable {
  const sorted = subnets
    .map((subnet) => ({ key: principalKey(subnet.id), subnet }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    subnet_configs: Object.fromEntries(
      sorted.map(({ subnet }) => [principalToText(subnet.id), subnetJson(subnet)]),
    ),
    default_effective_canister_id: { canister_id: base64(defaultEffectiveCanisterId) },
  };
}
