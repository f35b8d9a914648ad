/**
 * Channels and services of the exchange between processes of a network (`@orrery/p2p`), by number. Of each subnet: its nodes' artifacts,
 * ingress messages and answers to outcalls, which only they hear of, and how far its streams go, which the nodes of other subnets hear.
 */

import { OUTCALLS_MAX } from "@orrery/execution";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import { BODY_BYTES_MAX, type Channel, FIRST_SERVICE, PUSH_BYTES_MAX, type Service } from "@orrery/p2p";
import { STATE_ASK_CHUNKS_MAX, STATE_CHUNK_BYTES_MAX } from "@orrery/state";
import type { SubnetIndex } from "../protocol.ts";
import { REGISTRY_ANSWER_BYTES_MAX, REGISTRY_REQUEST_BYTES_MAX } from "../registry/telling.ts";
import { TOLD_BYTES_MAX } from "../state/state-calls.ts";

/** Shares and wholes of the heights from a little below the newest catch-up package on, at a subnet's largest. */
const ARTIFACTS_MAX = 60_000;
/** What blocks may order in the intervals that are live at once (`ordered-bytes.ts`), and blocks that do not become final. */
export const ARTIFACT_BYTES_MAX: number = 1_280 * 1024 * 1024;
/** The largest answer has 2,000,000 bytes. */
const OUTCALL_SHARE_BYTES_MAX: number = 2 * 1024 * 1024;
/** Of answers that one node alone got, and shares of all others. */
const OUTCALL_BYTES_MAX: number = 64 * 1024 * 1024;
/** Two indices. */
const STREAM_WORD_BYTES_MAX = 32;
const BLOCK_REQUEST_BYTES_MAX = 16;
/** Places of chunks. */
const STATE_REQUEST_BYTES_MAX: number = 128 + 5 * STATE_ASK_CHUNKS_MAX;
const STATE_ANSWER_BYTES_MAX: number = TOLD_BYTES_MAX + STATE_CHUNK_BYTES_MAX + 16 * STATE_ASK_CHUNKS_MAX;
const SLICE_REQUEST_BYTES_MAX = 64;
const DELEGATION_REQUEST_BYTES_MAX = 8;
/** Certificates of a network with as many subnets and shards as there are. */
const DELEGATION_BYTES_MAX: number = 4 * 1024 * 1024;

/** What a channel is about. */
export type Kind = "artifacts" | "ingress" | "outcalls" | "streams";
const KINDS: readonly Kind[] = ["artifacts", "ingress", "outcalls", "streams"];

export function channelOf(subnet: SubnetIndex, kind: Kind): number {
  return KINDS.length * subnet + KINDS.indexOf(kind);
}

export function ofChannel(channel: number): { readonly subnet: SubnetIndex; readonly kind: Kind } {
  return {
    subnet: Math.floor(channel / KINDS.length),
    kind: KINDS[channel % KINDS.length] as Kind,
  };
}

/** What a service gives. */
export type Giving = "blocks" | "states" | "slices";
const GIVINGS: readonly Giving[] = ["blocks", "states", "slices"];

export function serviceOf(subnet: SubnetIndex, giving: Giving): number {
  return FIRST_SERVICE + GIVINGS.length * subnet + GIVINGS.indexOf(giving);
}

/** The root's nodes alone give delegations. */
export const DELEGATIONS: number = FIRST_SERVICE + GIVINGS.length * LOCAL_SUBNETS_MAX;

/** Every process gives records of the registry. */
export const REGISTRY: number = DELEGATIONS + 1;

export function ofService(service: number): {
  readonly subnet: SubnetIndex;
  readonly giving: Giving | "delegations" | "registry";
} {
  if (service === DELEGATIONS) return { subnet: 0, giving: "delegations" };
  if (service === REGISTRY) return { subnet: 0, giving: "registry" };
  const number = service - FIRST_SERVICE;
  return {
    subnet: Math.floor(number / GIVINGS.length),
    giving: GIVINGS[number % GIVINGS.length] as Giving,
  };
}

export function artifactChannel(
  subnet: SubnetIndex,
  rest: Pick<Channel, "bytesMax" | "part" | "takesPart">,
): Channel {
  return {
    number: channelOf(subnet, "artifacts"),
    slotsMax: ARTIFACTS_MAX,
    artifactBytesMax: BODY_BYTES_MAX,
    wholeBytesMax: BODY_BYTES_MAX,
    pushBytesMax: PUSH_BYTES_MAX,
    wants: () => "now",
    ...rest,
  };
}

export function outcallChannel(subnet: SubnetIndex, rest: Pick<Channel, "wants" | "takesPart">): Channel {
  return {
    number: channelOf(subnet, "outcalls"),
    slotsMax: OUTCALLS_MAX,
    bytesMax: OUTCALL_BYTES_MAX,
    artifactBytesMax: OUTCALL_SHARE_BYTES_MAX,
    wholeBytesMax: OUTCALL_SHARE_BYTES_MAX,
    pushBytesMax: PUSH_BYTES_MAX,
    ...rest,
  };
}

/** A word for each other subnet. */
export function streamChannel(subnet: SubnetIndex, rest: Pick<Channel, "wants" | "takesPart">): Channel {
  return {
    number: channelOf(subnet, "streams"),
    slotsMax: LOCAL_SUBNETS_MAX,
    bytesMax: LOCAL_SUBNETS_MAX * STREAM_WORD_BYTES_MAX,
    artifactBytesMax: STREAM_WORD_BYTES_MAX,
    wholeBytesMax: STREAM_WORD_BYTES_MAX,
    pushBytesMax: PUSH_BYTES_MAX,
    ...rest,
  };
}

/** `states`: one for each of several lanes of a peer that has lost its state, and what it has cancelled. */
export function subnetServices(subnet: SubnetIndex): readonly Service[] {
  return [
    {
      number: serviceOf(subnet, "blocks"),
      requestBytesMax: BLOCK_REQUEST_BYTES_MAX,
      answerBytesMax: BODY_BYTES_MAX,
      waitingMax: 4,
    },
    {
      number: serviceOf(subnet, "states"),
      requestBytesMax: STATE_REQUEST_BYTES_MAX,
      answerBytesMax: STATE_ANSWER_BYTES_MAX,
      waitingMax: 16,
    },
  ];
}

/** Of every subnet of the network: whoever asks has it among its services, and whoever has none of it gives nothing. */
export function sliceService(subnet: SubnetIndex): Service {
  return {
    number: serviceOf(subnet, "slices"),
    requestBytesMax: SLICE_REQUEST_BYTES_MAX,
    answerBytesMax: BODY_BYTES_MAX,
    waitingMax: LOCAL_SUBNETS_MAX,
  };
}

export function registryService(): Service {
  return {
    number: REGISTRY,
    requestBytesMax: REGISTRY_REQUEST_BYTES_MAX,
    answerBytesMax: REGISTRY_ANSWER_BYTES_MAX,
    waitingMax: 2,
  };
}

export function delegationService(): Service {
  return {
    number: DELEGATIONS,
    requestBytesMax: DELEGATION_REQUEST_BYTES_MAX,
    answerBytesMax: DELEGATION_BYTES_MAX,
    waitingMax: 2,
  };
}
