/** What a replica is made with, of what it is given. */
import { type BlockPayload, type CreatedSubnet, equalBytes, type QueryStats } from "@orrery/base";
import type { Kept } from "@orrery/consensus/member";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import type { RecoveredArtifact } from "../protocol.ts";
import { decodeArtifact } from "./artifact-codec.ts";
import { EnvelopeReader, type EnvelopeReaderOptions } from "./ingress.ts";
import { KeyRuns } from "./key-runs.ts";
import type { PayloadRules } from "./payloads.ts";
import { OwnQueryStats } from "./query-stats.ts";
import type { ReplicaRoundsOptions } from "./replica-options.ts";
import { createSliceReader } from "./slice-reader.ts";

/** What the disk has of the member's life before. */
export function keptOf(
  { started, lostAt }: Pick<ReplicaRoundsOptions, "started" | "lostAt">,
  recovered: readonly RecoveredArtifact[],
): Kept {
  return {
    artifacts: recovered.map(({ bytes }) => decodeArtifact(bytes)),
    stateHeight: started.tip.height,
    ...(lostAt === null ? {} : { lostAt }),
  };
}

export function keyRunsOf(
  options: Pick<ReplicaRoundsOptions, "registry" | "keys" | "genesis" | "logger">,
): KeyRuns {
  const { keys, genesis } = options;
  return new KeyRuns({
    ...options,
    first: keys.intervals?.first ?? null,
    firstLength: genesis.catchUpInterval ?? 1,
  });
}

/** `wake`: there is time for what was left for another turn. */
export function readerOf(
  { verifier }: Pick<ReplicaRoundsOptions, "verifier">,
  { verified, wake }: Pick<EnvelopeReaderOptions, "verified"> & { readonly wake: () => void },
): EnvelopeReader {
  const reader = new EnvelopeReader({
    verifier,
    verified,
    nowMs: () => performance.now(),
    onLeft: () =>
      setImmediate(() => {
        reader.nextTurn();
        wake();
      }),
  });
  return reader;
}

export function ownStatsOf(
  { threads, started, onFailure }: Pick<ReplicaRoundsOptions, "threads" | "started" | "onFailure">,
  isStopped: () => boolean,
): OwnQueryStats {
  return new OwnQueryStats({
    ask: () => threads.view<readonly QueryStats[]>({ kind: "take_query_stats" }),
    onFailure: (error) => isStopped() || onFailure("view", error),
    time: started.tip.time,
  });
}

export function payloadRulesOf(
  {
    ingressBytesMax,
    local,
    verifyBls,
    creations,
  }: Pick<ReplicaRoundsOptions, "ingressBytesMax" | "local" | "verifyBls" | "creations">,
  reader: EnvelopeReader,
  rest: Pick<PayloadRules, "responseFault" | "ordered">,
): PayloadRules {
  return {
    ingressBytesMax,
    ingressId: (envelope) => reader.id(envelope),
    readIngress: (envelope) => reader.judge(envelope),
    readSlice: createSliceReader(() => creations.infoOf(local.info), verifyBls),
    subnetFault: (subnet) => subnetFault(subnet, creations),
    ...rest,
  };
}

/** Why a block may not say that a subnet came to the network; null: it may; `later` where nobody said so here yet. */
function subnetFault(
  { place, type, publicKey }: CreatedSubnet,
  creations: ReplicaRoundsOptions["creations"],
): string | null | "later" {
  const known = creations.at(place);
  if (known === null) return place < LOCAL_SUBNETS_MAX ? "later" : `a subnet at place ${place}`;
  if (known.type === type && equalBytes(known.publicKey, publicKey)) return null;
  return `a subnet at place ${place} that the root subnet did not create`;
}

/** Subnets that came to the network, until a block that goes to execution tells of them. */
export class Announcements {
  readonly #options: Pick<ReplicaRoundsOptions, "creations" | "local">;
  readonly #told = new Set<number>();

  constructor(options: Pick<ReplicaRoundsOptions, "creations" | "local">) {
    this.#options = options;
  }

  /** After a start all that are not of the genesis: execution knows which it has. */
  waiting(): readonly CreatedSubnet[] {
    const { creations, local } = this.#options;
    const { routing } = local.info;
    return creations.all
      .filter(
        ({ place, subnetId }) =>
          !this.#told.has(place) && !routing.some((e) => equalBytes(e.subnetId, subnetId)),
      )
      .map(({ place, type, publicKey }) => ({ place, type, publicKey }));
  }

  ordered({ subnets = [] }: Pick<BlockPayload, "subnets">): void {
    for (const { place } of subnets) this.#told.add(place);
  }
}
