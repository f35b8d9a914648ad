/**
 * What goes from subnet to subnet where their nodes are in different processes. A subnet's nodes say how far their streams go; the nodes of the
 * subnet that a stream goes to ask one of those for what they have not seen, certified, and offer it for a block once it is judged. A node
 * of another subnet than the root asks the root's nodes for the root's word for it. Nobody is believed: what is signed by the right
 * subnet counts, and who gives anything else is reported. Nothing is asked for while nobody says that there is something.
 */
import {
  assert,
  type Logger,
  type PrincipalKey,
  principalKey,
  type SubnetId,
  XNET_BYTES_PER_BLOCK_MAX,
} from "@orrery/base";
import type { SliceRequest, StreamEnds } from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import type { PeerId, Wanted } from "@orrery/p2p";
import type { SubnetInfo } from "@orrery/state";
import type { SliceVerdict, SubnetIndex, ViewCall } from "../protocol.ts";
import { SLICE_MESSAGES_MAX } from "../slice-limits.ts";
import type { Cut } from "../slices.ts";
import {
  decodeDelegation,
  decodeEnds,
  decodeSliceRequest,
  decodeSubnet,
  encodeDelegation,
  encodeEnds,
  encodeSliceRequest,
  encodeSubnet,
} from "./abroad-wire.ts";
import type { AbroadListener, AbroadVoice } from "./voice.ts";

export interface AbroadOptions {
  /** All of the network; `grow` tells of those that come later. */
  readonly subnets: readonly Pick<SubnetInfo, "subnetId">[];
  /** Those that this process has a node of. */
  readonly hosted: ReadonlySet<SubnetIndex>;
  readonly voice: AbroadVoice;
  /** Of the node's own subnets. */
  readonly view: <T>(subnet: SubnetIndex, call: ViewCall) => Promise<T>;
  /** There is something in the source's stream to one of the node's own. */
  readonly onStream: (source: SubnetIndex, destination: SubnetIndex) => void;
  readonly logger: Logger;
}

/** Somebody's word for a subnet, to be judged; `lie`: it does not hold. */
export interface ToldDelegation {
  readonly delegation: Delegation;
  readonly lie: (why: string) => void;
}

export class Abroad implements AbroadListener {
  readonly #options: AbroadOptions;
  /** Ids of the network's subnets, by place. */
  readonly #ids: SubnetId[];
  readonly #places: Map<PrincipalKey, SubnetIndex>;
  /** How far nodes say that streams go, by source and destination, then by process. */
  readonly #told = new Map<string, Map<PeerId, StreamEnds>>();

  constructor(options: AbroadOptions) {
    this.#options = options;
    this.#ids = options.subnets.map(({ subnetId }) => subnetId);
    this.#places = new Map(options.subnets.map(({ subnetId }, place) => [principalKey(subnetId), place]));
  }

  /** Subnets that came to the network, in the order of their places; some may be known. Who is told of streams knows of them already. */
  grow(created: readonly { readonly place: SubnetIndex; readonly subnetId: SubnetId }[]): void {
    for (const { place, subnetId } of created) {
      if (place !== this.#ids.length) continue;
      this.#ids.push(subnetId);
      this.#places.set(principalKey(subnetId), place);
      for (const destination of this.#options.hosted)
        if (this.#told.has(pairOf(place, destination))) this.#options.onStream(place, destination);
    }
  }

  /** Says how far all streams of the node's subnets go. */
  async begin(): Promise<void> {
    const { hosted } = this.#options;
    const all = [...hosted].flatMap((source) => this.#ids.map((_, to) => this.#tellEnds(source, to)));
    await Promise.all(all);
  }

  /** A state of one of the node's subnets was published in which the streams to these changed. */
  async published(source: SubnetIndex, streams: readonly PrincipalKey[]): Promise<void> {
    const to = streams.flatMap((key) => this.#places.get(key) ?? []);
    await Promise.all(to.map((destination) => this.#tellEnds(source, destination)));
  }

  /** What a subnet of this node should take next of a stream of others; `later`: something is there, and is not to be had yet. */
  async cut(source: SubnetIndex, destination: SubnetIndex): Promise<Cut> {
    const { view, voice, logger } = this.#options;
    const told = this.#told.get(pairOf(source, destination));
    if (told === undefined || source >= this.#ids.length) return null;
    const from = this.#id(source);
    const request = await view<SliceRequest | null>(destination, { kind: "slice_request", source: from });
    if (request === null) return "later";
    const peers = [...told].filter(([, ends]) => goesOn(ends, request)).map(([peer]) => peer);
    if (peers.length === 0) return null;
    const answer = await voice.askSlice(source, encodeSliceRequest({ ...request, to: destination }), peers);
    if (answer === null) return "later";
    const { peer, body: slice } = answer;
    const verdict = await view<SliceVerdict | null>(destination, {
      kind: "judge_slice",
      source: from,
      slice,
    });
    if (verdict === "good") return slice;
    if (verdict === "wrong") {
      logger.log("warn", "a process gives a slice of a stream that its subnet did not certify", {
        peer,
        source,
      });
      told.delete(peer);
      voice.report(peer, true);
    }
    return "later";
  }

  /** The root's word for a subnet of this node, as one of the root's nodes gives it; null where none does. */
  async delegation(subnet: SubnetIndex): Promise<ToldDelegation | null> {
    const { voice, logger } = this.#options;
    const answer = await voice.askDelegation(encodeSubnet(subnet));
    if (answer === null) return null;
    const { peer, body } = answer;
    const lie = (why: string): void => {
      logger.log("warn", "a process gives a delegation that does not hold", { peer, subnet, why });
      voice.report(peer, true);
    };
    const delegation = decodeDelegation(body, this.#id(subnet));
    if (delegation !== null) return { delegation, lie };
    lie("it cannot be read");
    return null;
  }

  // ---- what other processes say and ask

  wantsStream(label: Uint8Array): Wanted {
    const destination = decodeSubnet(label);
    return destination !== null && this.#options.hosted.has(destination) ? "now" : "never";
  }

  hearStream(peer: PeerId, source: SubnetIndex, label: Uint8Array, body: Uint8Array): void {
    const { hosted, voice, onStream } = this.#options;
    const destination = decodeSubnet(label);
    const ends = decodeEnds(body);
    if (destination === null || ends === null || destination === source) {
      voice.report(peer, true);
      return;
    }
    // What this node has of the source itself it knows better.
    if (hosted.has(source) || !hosted.has(destination)) return;
    const pair = pairOf(source, destination);
    const told = this.#told.get(pair) ?? new Map<PeerId, StreamEnds>();
    this.#told.set(pair, told);
    told.set(peer, ends);
    // A node of a subnet that is created may have heard of that before this one does.
    if (source < this.#ids.length) onStream(source, destination);
  }

  async tellSlice(
    source: SubnetIndex,
    body: Uint8Array,
    asks: ReadonlySet<SubnetIndex>,
  ): Promise<Uint8Array | null> {
    const { hosted, view } = this.#options;
    const asked = decodeSliceRequest(body);
    const to = asked === null ? undefined : this.#ids[asked.to];
    if (asked === null || to === undefined || !hosted.has(source) || !asks.has(asked.to)) return null;
    const request: SliceRequest = {
      ...asked,
      to,
      maxBytes: XNET_BYTES_PER_BLOCK_MAX,
      maxMessages: Math.min(asked.maxMessages, SLICE_MESSAGES_MAX),
    };
    return await view<Uint8Array | null>(source, { kind: "slice_for", request });
  }

  async tellDelegation(body: Uint8Array): Promise<Uint8Array | null> {
    const { hosted, view } = this.#options;
    const subnetId = this.#ids[decodeSubnet(body) ?? 0];
    if (subnetId === undefined || !hosted.has(0)) return null;
    const delegation = await view<Delegation | null>(0, { kind: "delegation", subnetId });
    return delegation === null ? null : encodeDelegation(delegation);
  }

  async #tellEnds(source: SubnetIndex, to: SubnetIndex): Promise<void> {
    if (source === to) return;
    const { view, voice } = this.#options;
    const call: ViewCall = { kind: "stream_ends", to: this.#id(to) };
    const ends = await view<StreamEnds | null>(source, call);
    if (ends !== null) voice.tellStream(source, to, encodeSubnet(to), encodeEnds(ends));
  }

  #id(subnet: SubnetIndex): SubnetId {
    const id = this.#ids[subnet];
    assert(id !== undefined, `the network has a subnet ${subnet}`);
    return id;
  }
}

const pairOf = (source: SubnetIndex, destination: SubnetIndex): string => `${source}>${destination}`;

/** Whether a stream has something that is asked for. */
function goesOn({ messagesEnd, signalsEnd }: StreamEnds, request: SliceRequest): boolean {
  const hasMessages = messagesEnd > request.messageIndex && request.maxMessages > 0;
  return hasMessages || signalsEnd > request.signalIndex;
}
