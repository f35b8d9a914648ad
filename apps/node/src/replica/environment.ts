/** What a member of consensus is given on a node: its place, its keys, the pace of rounds, and how payloads are made and judged. */
import type { BlockPayload, SubnetId, TimeNs } from "@orrery/base";
import type { MemberEnvironment, Start } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { buildPayload, judgePayload, type PayloadRules, type Waiting } from "./payloads.ts";
import { BUSY_NOTARY_DELAY_NS, IDLE_NOTARY_DELAY_NS, UNIT_DELAY_NS } from "./rules.ts";
import type { SubnetKeys } from "./subnet-keys.ts";

/** Registry versions follow governance; a network without it stays at the first. */
const REGISTRY_VERSION = 1;

/** Where every member of a new subnet begins. */
export function genesisStart(subnetId: SubnetId, time: TimeNs): Start {
  return {
    tip: {
      height: 0,
      hash: new Uint8Array(32),
      time,
      certifiedHeight: 0,
      registryVersion: REGISTRY_VERSION,
    },
    beacon: sha256(subnetId),
  };
}

export interface EnvironmentOptions {
  readonly local: LocalSubnet;
  /** Place of the node in the subnet. */
  readonly self: number;
  readonly keys: SubnetKeys;
  /** Heights from one catch-up package to the next. */
  readonly catchUpInterval: number;
  readonly rules: PayloadRules;
  /** For a block that stands on these. */
  readonly waiting: (past: readonly BlockPayload[]) => Waiting;
  /** Whether anything waits for a block: each member's own view, which paces what it signs. */
  readonly isBusy: () => boolean;
}

export function environmentOf(options: EnvironmentOptions): MemberEnvironment {
  const { local, self, keys, catchUpInterval, rules, waiting, isBusy } = options;
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
      build: (context) => buildPayload(waiting(context.past), context, rules),
      judge: (payload, context) => judgePayload(payload, context, rules),
    },
    registryVersion: () => REGISTRY_VERSION,
  };
}
