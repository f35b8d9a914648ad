/**
 * What goes into the blocks of a subnet of many, and whether another maker's choice is right (interface spec, "Ingress messages"; sections
 * of the replica's batch payload). Pure functions of what waits here and of the payloads ordered since the state that a block builds on:
 * nothing is ordered twice, nothing exceeds the limits of a block, and everything was signed by who it names. Whether a slice goes on where
 * the streams are is judged again by execution, on the state that it meets.
 */
import {
  BLOCK_PAYLOAD_BYTES_MAX,
  type BlockPayload,
  type CreatedSubnet,
  type Height,
  INGRESS_PER_BLOCK_MAX,
  type OutcallResponse,
  type PrincipalKey,
  type QueryStats,
  RESPONSE_BYTES_PER_BLOCK_MAX,
  RESPONSES_PER_BLOCK_MAX,
  type Result,
  responseWeight,
  SUBNETS_PER_BLOCK_MAX,
  type TimeNs,
  XNET_BYTES_PER_BLOCK_MAX,
  XNET_SLICES_PER_BLOCK_MAX,
} from "@orrery/base";
import type { PayloadContext, PayloadJudgement } from "@orrery/consensus/member";
import { INGRESS_DRIFT_NS_MAX, INGRESS_TTL_NS_MAX } from "@orrery/crypto";
import type { OrderedBytes } from "./ordered-bytes.ts";
import { isTimely } from "./outcall-shares.ts";

/** What is known of an envelope whose signature holds. */
export interface KnownIngress {
  /** Hexadecimal. */
  readonly id: string;
  readonly expiry: TimeNs;
  /** The expiry, or that of the first delegation that ends before. */
  readonly validUntil: TimeNs;
}

export interface PayloadRules {
  /** Longest envelope that the subnet takes, bytes. */
  readonly ingressBytesMax: number;
  /** Of an envelope that anybody ordered: as it is in a block that others judged. */
  readonly ingressId: (envelope: Uint8Array) => string;
  /** Reads an envelope and verifies its signature; the error says what is wrong. `later` where that takes too long for one turn. */
  readonly readIngress: (envelope: Uint8Array) => Result<KnownIngress, string> | "later";
  /** The subnet that certified a slice for this one; the error says what is wrong with it. `later`: of a subnet that is not known here. */
  readonly readSlice: (slice: Uint8Array) => Result<PrincipalKey, string> | "later";
  /** Why a block may not have an answer to an outcall; null: it may. */
  readonly responseFault: (
    response: OutcallResponse,
    block: { readonly time: TimeNs; readonly height: Height },
  ) => string | null;
  /** Why a block may not say that a subnet came to the network; null: it may; `later` where nobody said so here yet. */
  readonly subnetFault: (subnet: CreatedSubnet) => string | null | "later";
  /** Beside the limits of a block. */
  readonly ordered: Pick<OrderedBytes, "left">;
}

/** What waits for a block here. */
export interface Waiting {
  /** Oldest first. */
  readonly ingress: Iterable<KnownIngress & { readonly envelope: Uint8Array }>;
  /** One of a subnet, verified. */
  readonly slices: readonly { readonly source: PrincipalKey; readonly slice: Uint8Array }[];
  /** At most `QUERY_STATS_PER_BLOCK_MAX`. */
  readonly queryStats: readonly QueryStats[];
  /** Answers that nodes agreed on, by ascending number. */
  readonly responses: readonly OutcallResponse[];
  readonly holdsLong: boolean;
  /** That came to the network, and are in no block that was executed here. */
  readonly subnets: readonly CreatedSubnet[];
}

type Context = PayloadContext;

function orderedIngress({ past }: Context, rules: PayloadRules): Set<string> {
  const ordered = new Set<string>();
  for (const { ingress } of past) for (const envelope of ingress) ordered.add(rules.ingressId(envelope));
  return ordered;
}

/** Subnets whose slice is ordered and not executed everywhere: the next one goes on where that one ends, which is not known yet. */
function orderedSources({ past }: Context, rules: PayloadRules): Set<PrincipalKey> {
  const sources = new Set<PrincipalKey>();
  for (const { xnet = [] } of past) {
    for (const slice of xnet) {
      const source = rules.readSlice(slice);
      if (source !== "later" && source.ok) sources.add(source.value);
    }
  }
  return sources;
}

function isDue({ expiry, validUntil }: KnownIngress, time: TimeNs): boolean {
  return time <= validUntil && expiry <= time + INGRESS_TTL_NS_MAX + INGRESS_DRIFT_NS_MAX;
}

function chooseIngress(waiting: Waiting, context: Context, rules: PayloadRules): readonly Uint8Array[] {
  const ordered = orderedIngress(context, rules);
  const left = rules.ordered.left("ingress", context);
  const chosen: Uint8Array[] = [];
  let bytes = 0;
  for (const entry of waiting.ingress) {
    const { id, envelope } = entry;
    if (chosen.length >= INGRESS_PER_BLOCK_MAX) break;
    if (ordered.has(id) || !isDue(entry, context.time)) continue;
    if (bytes + envelope.length > BLOCK_PAYLOAD_BYTES_MAX) continue;
    // What is left of an interval is for those who waited longest, or a long message would never have room.
    if (bytes + envelope.length > left) break;
    bytes += envelope.length;
    chosen.push(envelope);
  }
  return chosen;
}

function chooseSlices(waiting: Waiting, context: Context, rules: PayloadRules): readonly Uint8Array[] {
  const ordered = orderedSources(context, rules);
  const left = rules.ordered.left("xnet", context);
  const chosen: Uint8Array[] = [];
  let bytes = 0;
  for (const { source, slice } of waiting.slices) {
    if (chosen.length >= XNET_SLICES_PER_BLOCK_MAX) break;
    if (ordered.has(source) || bytes + slice.length > XNET_BYTES_PER_BLOCK_MAX) continue;
    if (bytes + slice.length > left) break;
    bytes += slice.length;
    chosen.push(slice);
  }
  return chosen;
}

function orderedOutcalls({ past }: Context): Set<number> {
  return new Set(past.flatMap(({ responses = [] }) => responses.map(({ outcall }) => outcall)));
}

function chooseResponses(
  waiting: Waiting,
  context: Context,
  rules: PayloadRules,
): readonly OutcallResponse[] {
  const ordered = orderedOutcalls(context);
  const left = Math.min(RESPONSE_BYTES_PER_BLOCK_MAX, rules.ordered.left("responses", context));
  const chosen: OutcallResponse[] = [];
  let bytes = 0;
  for (const response of waiting.responses) {
    if (chosen.length >= RESPONSES_PER_BLOCK_MAX) break;
    if (ordered.has(response.outcall) || !isTimely(response, context.time)) continue;
    if (bytes + responseWeight(response) > left) break;
    bytes += responseWeight(response);
    chosen.push(response);
  }
  return chosen;
}

/** Everything that waits and may be ordered, within the limits of a block. */
export function buildPayload(waiting: Waiting, context: Context, rules: PayloadRules): BlockPayload {
  const xnet = chooseSlices(waiting, context, rules);
  const responses = chooseResponses(waiting, context, rules);
  const { queryStats } = waiting;
  const told = new Set(context.past.flatMap(({ subnets = [] }) => subnets.map(({ place }) => place)));
  const subnets = waiting.subnets.filter(({ place }) => !told.has(place)).slice(0, SUBNETS_PER_BLOCK_MAX);
  return {
    ingress: chooseIngress(waiting, context, rules),
    ...(queryStats.length === 0 ? {} : { queryStats }),
    ...(xnet.length === 0 ? {} : { xnet }),
    ...(responses.length === 0 ? {} : { responses }),
    ...(waiting.holdsLong ? { holdsLong: true } : {}),
    ...(subnets.length === 0 ? {} : { subnets }),
  };
}

interface Fault {
  readonly reason: string;
}

/** Why ingress messages of a block are not right; null when they are; `later` while they are not all read. */
function ingressFault(
  ingress: readonly Uint8Array[],
  context: Context,
  rules: PayloadRules,
): Fault | null | "later" {
  if (ingress.length > INGRESS_PER_BLOCK_MAX)
    return { reason: `${ingress.length} ingress messages, more than ${INGRESS_PER_BLOCK_MAX}` };
  const ordered = orderedIngress(context, rules);
  const left = rules.ordered.left("ingress", context);
  let bytes = 0;
  for (const envelope of ingress) {
    bytes += envelope.length;
    if (envelope.length > rules.ingressBytesMax)
      return { reason: `an ingress message of ${envelope.length} bytes, more than ${rules.ingressBytesMax}` };
    if (bytes > BLOCK_PAYLOAD_BYTES_MAX)
      return { reason: `more than ${BLOCK_PAYLOAD_BYTES_MAX} bytes of ingress messages` };
    if (bytes > left)
      return { reason: `more than the ${left} bytes of ingress messages that are left of its interval` };
    const known = rules.readIngress(envelope);
    if (known === "later") return "later";
    if (!known.ok) return { reason: `an ingress message: ${known.error}` };
    if (!isDue(known.value, context.time))
      return { reason: "an ingress message that has expired, or expires too late" };
    if (ordered.has(known.value.id)) return { reason: "an ingress message that is ordered already" };
    ordered.add(known.value.id);
  }
  return null;
}

function slicesFault(
  xnet: readonly Uint8Array[],
  context: Context,
  rules: PayloadRules,
): Fault | null | "later" {
  if (xnet.length > XNET_SLICES_PER_BLOCK_MAX)
    return { reason: `${xnet.length} stream slices, more than ${XNET_SLICES_PER_BLOCK_MAX}` };
  const ordered = orderedSources(context, rules);
  const left = rules.ordered.left("xnet", context);
  let bytes = 0;
  for (const slice of xnet) {
    bytes += slice.length;
    if (bytes > XNET_BYTES_PER_BLOCK_MAX)
      return { reason: `more than ${XNET_BYTES_PER_BLOCK_MAX} bytes of stream slices` };
    if (bytes > left)
      return { reason: `more than the ${left} bytes of stream slices that are left of its interval` };
    const source = rules.readSlice(slice);
    if (source === "later") return "later";
    if (!source.ok) return { reason: `a stream slice: ${source.error}` };
    if (ordered.has(source.value)) return { reason: "a second stream slice of one subnet" };
    ordered.add(source.value);
  }
  return null;
}

function responsesFault(
  responses: readonly OutcallResponse[],
  context: Context,
  rules: PayloadRules,
): Fault | null {
  if (responses.length > RESPONSES_PER_BLOCK_MAX)
    return { reason: `${responses.length} answers to outcalls, more than ${RESPONSES_PER_BLOCK_MAX}` };
  const ordered = orderedOutcalls(context);
  const left = Math.min(RESPONSE_BYTES_PER_BLOCK_MAX, rules.ordered.left("responses", context));
  let bytes = 0;
  for (const response of responses) {
    bytes += responseWeight(response);
    if (bytes > left)
      return { reason: `more than the ${left} bytes of answers to outcalls that a block may have` };
    if (ordered.has(response.outcall)) return { reason: "an answer to an outcall that has one" };
    ordered.add(response.outcall);
    const fault = rules.responseFault(response, context);
    if (fault !== null) return { reason: fault };
  }
  return null;
}

/** Told twice they change nothing: who made a block may not know that another one has them. */
function subnetsFault(subnets: readonly CreatedSubnet[], rules: PayloadRules): Fault | null | "later" {
  const faults = subnets.map((subnet) => rules.subnetFault(subnet));
  const reason = faults.find((fault) => fault !== null && fault !== "later");
  if (typeof reason === "string") return { reason };
  return faults.includes("later") ? "later" : null;
}

/** Whether every honest maker could have chosen the payload. Statistics of queries are their maker's word, within the codec's limits. */
export function judgePayload(payload: BlockPayload, context: Context, rules: PayloadRules): PayloadJudgement {
  const { ingress, xnet = [], responses = [], subnets = [] } = payload;
  const fault =
    subnetsFault(subnets, rules) ??
    slicesFault(xnet, context, rules) ??
    responsesFault(responses, context, rules) ??
    ingressFault(ingress, context, rules);
  if (fault === "later") return { kind: "later" };
  return fault === null ? { kind: "valid" } : { kind: "invalid", ...fault };
}
