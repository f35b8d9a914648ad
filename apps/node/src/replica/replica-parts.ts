/** What a replica is made with, of what it is given. */
import type { QueryStats } from "@orrery/base";
import type { Kept } from "@orrery/consensus/member";
import type { RecoveredArtifact } from "../protocol.ts";
import { decodeArtifact } from "./artifact-codec.ts";
import { EnvelopeReader, type EnvelopeReaderOptions } from "./ingress.ts";
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
  }: Pick<ReplicaRoundsOptions, "ingressBytesMax" | "local" | "verifyBls">,
  reader: EnvelopeReader,
  rest: Pick<PayloadRules, "responseFault" | "ordered">,
): PayloadRules {
  return {
    ingressBytesMax,
    ingressId: (envelope) => reader.id(envelope),
    readIngress: (envelope) => reader.judge(envelope),
    readSlice: createSliceReader(local.info, verifyBls),
    ...rest,
  };
}
