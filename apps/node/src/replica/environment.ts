/** What a member of consensus is given on a node: its place, its keys, the pace of rounds, and how payloads are made and judged. */
import type { TimeNs } from "@orrery/base";
import type { MemberEnvironment, PayloadContext, Start } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { Genesis } from "../genesis.ts";
import type { SubnetRegistry } from "../registry/registry.ts";
import type { Runs } from "./own-version.ts";
import { buildPayload, judgePayload, type PayloadRules, type Waiting } from "./payloads.ts";
import { BUSY_NOTARY_DELAY_NS, IDLE_NOTARY_DELAY_NS, REGISTRY_VERSION, UNIT_DELAY_NS } from "./rules.ts";
import type { SubnetKeys } from "./subnet-keys.ts";

/** Where every member of a new subnet begins; where its nodes deal keys, with the summary of the first interval. */
export function genesisStart(
  { keys: { subnetId } }: Pick<LocalSubnet, "keys">,
  { time, catchUpInterval: length = 1 }: Pick<Genesis, "time" | "catchUpInterval">,
  { intervals }: Pick<SubnetKeys, "intervals">,
): Start {
  const summary: Pick<Start, "summary"> =
    intervals === null
      ? {}
      : { summary: { length, nextLength: length, halts: false, current: intervals.first, next: null } };
  return {
    ...summary,
    tip: {
      height: 0,
      hash: new Uint8Array(32),
      time,
      certifiedHeight: 0,
      registryVersion: intervals?.first.registryVersion ?? REGISTRY_VERSION,
    },
    beacon: sha256(subnetId),
  };
}

export interface EnvironmentOptions {
  readonly local: LocalSubnet;
  /** Place of the node in the subnet. */
  readonly self: number;
  readonly keys: SubnetKeys;
  readonly registry: SubnetRegistry;
  readonly runs: Runs;
  /** Heights from one catch-up package to the next. */
  readonly catchUpInterval: number;
  readonly rules: PayloadRules;
  /** For the block that is made. */
  readonly waiting: (context: PayloadContext) => Waiting;
  /** Whether anything waits for a block: each member's own view, which paces what it signs. */
  readonly isBusy: () => boolean;
}

/** Members that deal keys to themselves at each interval. */
function intervalsOf({
  local,
  keys,
  registry,
  runs,
}: EnvironmentOptions): Pick<MemberEnvironment, "intervals"> {
  if (keys.intervals === null) return {};
  return {
    intervals: {
      nodeId: local.keys.nodeId,
      peerOf: (nodeId) => registry.node(nodeId)?.place ?? null,
      record: (version) => registry.record(version),
      runs,
      dkg: keys.intervals.dkg,
    },
  };
}

export function environmentOf(options: EnvironmentOptions): MemberEnvironment {
  const { local, self, keys, registry, catchUpInterval, rules, waiting, isBusy } = options;
  return {
    config: {
      subnetId: local.keys.subnetId,
      self,
      members: local.info.nodes.length,
      rules: {
        unitDelayNs: UNIT_DELAY_NS,
        get initialNotaryDelayNs(): TimeNs {
          return isBusy() ? BUSY_NOTARY_DELAY_NS : IDLE_NOTARY_DELAY_NS;
        },
        catchUpInterval,
      },
    },
    crypto: keys.crypto,
    payloads: {
      build: (context) => buildPayload(waiting(context), context, rules),
      judge: (payload, context) => judgePayload(payload, context, rules),
    },
    registryVersion: () => registry.version,
    ...intervalsOf(options),
  };
}
