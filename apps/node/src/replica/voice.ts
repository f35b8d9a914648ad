/**
 * What the replicas of a process say to and hear from the other nodes of their subnets, over one exchange with each peer
 * (`@orrery/host/p2p`). Each subnet has a channel of artifacts, live until its member retracts them, one of ingress messages, live
 * until they are ordered or expire, one of what nodes got to HTTPS outcalls, live until these are answered, and a service that tells
 * finalized blocks. Peers are known by their nodes' keys on the root subnet.
 */
import { decodeCbor, encodeCborBare, type Height, type Rng, utf8 } from "@orrery/base";
import { type Artifact, artifactId } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { OUTCALLS_MAX } from "@orrery/execution";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { nodeIdentity, type PeerAddress, type PeerEffect, type Peers, startPeers } from "@orrery/host/p2p";
import {
  BODY_BYTES_MAX,
  type Channel,
  FIRST_SERVICE,
  ingressChannel,
  ingressLabel,
  type PeerId,
  PUSH_BYTES_MAX,
  type Service,
  type Wanted,
} from "@orrery/p2p";
import { STATE_ASK_CHUNKS_MAX, STATE_CHUNK_BYTES_MAX } from "@orrery/state";
import type { SubnetIndex } from "../protocol.ts";
import { type StateRequest, TOLD_BYTES_MAX } from "../state/state-calls.ts";
import { encodeStripped } from "./artifact-codec.ts";
import { shareLabel, type ToldShare } from "./outcall-share.ts";
import type { KnownIngress } from "./payloads.ts";
import { BLOCKS_PER_ANSWER_MAX } from "./rules.ts";
import { decodeStateRequest, encodeStateRequest, readParts } from "./state-wire.ts";

/** Shares and wholes of the heights from a little below the newest catch-up package on, at a subnet's largest. */
const ARTIFACTS_MAX = 60_000;
/** What blocks may order in the intervals that are live at once (`ordered-bytes.ts`), and blocks that do not become final. */
export const ARTIFACT_BYTES_MAX: number = 1_280 * 1024 * 1024;
/** The largest answer has 2,000,000 bytes. */
const OUTCALL_SHARE_BYTES_MAX: number = 2 * 1024 * 1024;
/** Of answers that one node alone got, and shares of all others. */
const OUTCALL_BYTES_MAX: number = 64 * 1024 * 1024;
const BLOCK_REQUEST_BYTES_MAX = 16;
/** Places of chunks. */
const STATE_REQUEST_BYTES_MAX: number = 128 + 5 * STATE_ASK_CHUNKS_MAX;
const STATE_ANSWER_BYTES_MAX: number = TOLD_BYTES_MAX + STATE_CHUNK_BYTES_MAX + 16 * STATE_ASK_CHUNKS_MAX;
const ASK_TIMEOUT_MS = 30_000;
/** A tenth of a second of the processor is not one artifact's fault alone: it let others go on. */
const COST_MAX = 5_000;

/** Of a subnet: artifacts, ingress messages, shares of answers to outcalls. */
const CHANNELS = 3;
const artifactsOf = (subnet: SubnetIndex): number => CHANNELS * subnet;
const ingressOf = (subnet: SubnetIndex): number => CHANNELS * subnet + 1;
const outcallsOf = (subnet: SubnetIndex): number => CHANNELS * subnet + 2;
const blocksOf = (subnet: SubnetIndex): number => FIRST_SERVICE + 2 * subnet;
const statesOf = (subnet: SubnetIndex): number => FIRST_SERVICE + 2 * subnet + 1;
const idOf = (place: number): PeerId => `${place}`;

/** One subnet's part of the conversation. */
export interface Voice {
  publish(artifact: Artifact): void;
  retract(id: string): void;
  /** Has what a peer publishes handed over once more. */
  again(peer: number): void;
  /** A message that a client brought here. */
  offer(message: KnownIngress & { readonly envelope: Uint8Array }): void;
  /** It is ordered, or has expired. */
  withdraw(requestId: string): void;
  /** This node's word on an outcall. */
  tellOutcall(told: ToldShare, body: Uint8Array): void;
  /** Nobody waits for an answer any more. */
  withdrawOutcall(outcall: number): void;
  /** Outcalls began here that peers may have spoken of. */
  reconsiderOutcalls(): void;
  /** What judging a peer's words cost, microseconds; `isInvalid`: no honest peer says such. */
  report(peer: number, cost: number, isInvalid: boolean): void;
  /** Finalized blocks from a height on down, as records of a block log; null when nobody tells. Members to avoid are asked if there are no others. */
  askBlocks(from: Height, avoid: ReadonlySet<number>): Promise<ToldBlocks | null>;
  /** Parts of the state of a catch-up package, in the same way. */
  askState(request: StateRequest, avoid: ReadonlySet<number>): Promise<ToldParts | null>;
}

export interface ToldParts {
  readonly peer: number;
  readonly parts: readonly Uint8Array[];
}

export interface ToldBlocks {
  readonly peer: number;
  readonly records: readonly Uint8Array[];
}

/** A replica as its peers know it. */
export interface Listener {
  readonly ingressBytesMax: number;
  /** `ingress`: of a block that came without them. */
  hearArtifact(peer: number, bytes: Uint8Array, ingress: readonly Uint8Array[]): void;
  /** A message that waits here, by the SHA-256 of its bytes. */
  ingressPart(hash: Uint8Array): Uint8Array | null;
  hearIngress(peer: number, envelope: Uint8Array): void;
  /** What nodes say of HTTPS outcalls. */
  readonly outcalls: {
    hear(peer: number, body: Uint8Array): void;
    wants(label: Uint8Array): Wanted;
  };
  /** Whether a message waits here or is ordered; by request id. */
  knowsIngress(requestId: string): boolean;
  /** Of its block log, from a height on down, as much as an answer holds; none when it does not have the first. */
  tellBlocks(from: Height): Promise<readonly Uint8Array[]>;
  /** The first of the parts that a peer asks for; none when the state is not here. */
  tellState(request: StateRequest): Promise<readonly Uint8Array[]>;
}

interface Answer {
  readonly peer: number;
  readonly body: Uint8Array;
}

/** Peers that come and go, or are not let in. */
type PeerEvent = Extract<PeerEffect, { readonly kind: "connected" | "disconnected" | "dropped" | "refused" }>;

export interface ConversationOptions {
  /** Of the subnets, the root first. */
  readonly subnets: readonly LocalSubnet[];
  readonly self: number;
  /** Where the nodes listen, by place. */
  readonly addresses: readonly PeerAddress[];
  readonly rng: Rng;
  readonly now: () => bigint;
  readonly onPeer: (event: PeerEvent) => void;
  /** The subnet's channel of artifacts has no room for one: its peers do not hear of it, and may not be able to go on. */
  readonly onFull: (subnet: SubnetIndex, artifact: string) => void;
  /** Of all live artifacts of a subnet; by default `ARTIFACT_BYTES_MAX`. */
  readonly artifactBytesMax?: number;
  readonly onFailure: (error: unknown) => void;
}

export class Conversation {
  readonly #options: ConversationOptions;
  #listeners: readonly Listener[] = [];
  #peers: Peers | null = null;
  readonly #questions = new Map<string, (answer: Answer | null) => void>();
  #asked = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  /** Peers may come once `admit` is called. */
  async listen(listeners: readonly Listener[]): Promise<void> {
    const { subnets, self, addresses, rng, onFailure } = this.#options;
    this.#listeners = listeners;
    const [root] = subnets as readonly [LocalSubnet];
    this.#peers = await startPeers({
      self: idOf(self),
      identity: nodeIdentity(root.keys.nodeSecret),
      listen: addresses[self] as PeerAddress,
      channels: listeners.flatMap((listener, subnet) => this.#channels(listener, subnet)),
      services: listeners.flatMap((_, subnet) => [blockService(subnet), stateService(subnet)]),
      rng,
      onEffect: (effect) => this.#hear(effect),
      onFailure,
    });
  }

  admit(): void {
    const { subnets, addresses } = this.#options;
    const nodes = subnets[0]?.info.nodes ?? [];
    this.#peers?.setMembers(
      nodes.map(({ publicKey }, place) => ({
        id: idOf(place),
        publicKey,
        address: addresses[place] as PeerAddress,
      })),
    );
  }

  async close(): Promise<void> {
    await this.#peers?.close();
    for (const tell of this.#questions.values()) tell(null);
  }

  voiceOf(subnet: SubnetIndex): Voice {
    return {
      publish: (artifact) => {
        const id = artifactId(artifact);
        const { body, ingress } = encodeStripped(artifact);
        const parts = ingress.map((bytes) => ({ id: sha256(bytes), bytes }));
        const label = utf8(id).subarray(0, LABEL_BYTES);
        this.#peers?.publish(artifactsOf(subnet), id, { label, body, parts, isUrgent: true });
      },
      retract: (id) => this.#peers?.retract(artifactsOf(subnet), id),
      again: (peer) => this.#peers?.again(artifactsOf(subnet), idOf(peer)),
      offer: ({ id, expiry, envelope }) =>
        this.#peers?.publish(ingressOf(subnet), id, {
          label: ingressLabel({ requestId: Buffer.from(id, "hex"), expiry }),
          body: envelope,
          isUrgent: true,
        }),
      withdraw: (requestId) => this.#peers?.retract(ingressOf(subnet), requestId),
      tellOutcall: ({ outcall }, body) =>
        this.#peers?.publish(outcallsOf(subnet), `${outcall.id}`, {
          label: shareLabel(outcall),
          body,
          isUrgent: true,
        }),
      withdrawOutcall: (outcall) => this.#peers?.retract(outcallsOf(subnet), `${outcall}`),
      reconsiderOutcalls: () => this.#peers?.reconsider(outcallsOf(subnet)),
      report: (peer, cost, isInvalid) =>
        this.#peers?.report(idOf(peer), Math.min(COST_MAX, Math.round(cost)), isInvalid),
      askBlocks: (from, avoid) => this.#askBlocks(subnet, from, avoid),
      askState: (request, avoid) => this.#askState(subnet, request, avoid),
    };
  }

  #channels(listener: Listener, subnet: SubnetIndex): readonly Channel[] {
    return [
      {
        number: artifactsOf(subnet),
        slotsMax: ARTIFACTS_MAX,
        bytesMax: this.#options.artifactBytesMax ?? ARTIFACT_BYTES_MAX,
        artifactBytesMax: BODY_BYTES_MAX,
        wholeBytesMax: BODY_BYTES_MAX,
        pushBytesMax: PUSH_BYTES_MAX,
        wants: () => "now",
        part: (hash) => listener.ingressPart(hash),
      },
      ingressChannel({
        number: ingressOf(subnet),
        messageBytesMax: listener.ingressBytesMax,
        now: this.#options.now,
        isKnown: (requestId) => listener.knowsIngress(requestId),
      }),
      {
        number: outcallsOf(subnet),
        slotsMax: OUTCALLS_MAX,
        bytesMax: OUTCALL_BYTES_MAX,
        artifactBytesMax: OUTCALL_SHARE_BYTES_MAX,
        wholeBytesMax: OUTCALL_SHARE_BYTES_MAX,
        pushBytesMax: PUSH_BYTES_MAX,
        wants: (label) => listener.outcalls.wants(label),
      },
    ];
  }

  #hear(effect: PeerEffect): void {
    switch (effect.kind) {
      case "artifact": {
        const subnet = Math.floor(effect.channel / CHANNELS);
        const listener = this.#listeners[subnet];
        const peer = Number(effect.peer);
        if (effect.channel === artifactsOf(subnet)) listener?.hearArtifact(peer, effect.body, effect.parts);
        else if (effect.channel === ingressOf(subnet)) listener?.hearIngress(peer, effect.body);
        else listener?.outcalls.hear(peer, effect.body);
        return;
      }
      case "asked":
        void this.#tell(effect);
        return;
      case "answered":
        this.#settle(effect.id, { peer: Number(effect.peer), body: effect.body });
        return;
      case "unanswered":
        this.#settle(effect.id, null);
        return;
      case "connected":
      case "disconnected":
      case "dropped":
      case "refused":
        this.#options.onPeer(effect);
        return;
      case "unpublished":
        // Of ingress messages the pool holds as many: this node may still place what its peers do not hear of. Answers come from others.
        if (effect.channel % CHANNELS === 0) this.#options.onFull(effect.channel / CHANNELS, effect.key);
        return;
      default:
        return;
    }
  }

  async #tell(asked: Extract<PeerEffect, { kind: "asked" }>): Promise<void> {
    const { peer, number, service, body } = asked;
    const listener = this.#listeners[(service - FIRST_SERVICE) >> 1];
    try {
      const told = service % 2 === FIRST_SERVICE % 2 ? tellBlocks(listener, body) : tellState(listener, body);
      const parts = await told;
      this.#peers?.answer(peer, number, parts.length === 0 ? null : encodeCborBare(parts));
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  async #askBlocks(
    subnet: SubnetIndex,
    from: Height,
    avoid: ReadonlySet<number>,
  ): Promise<ToldBlocks | null> {
    const answer = await this.#ask(blocksOf(subnet), encodeCborBare(from), avoid);
    return answer === null ? null : { peer: answer.peer, records: readBlocks(answer.body) };
  }

  async #askState(
    subnet: SubnetIndex,
    request: StateRequest,
    avoid: ReadonlySet<number>,
  ): Promise<ToldParts | null> {
    const answer = await this.#ask(statesOf(subnet), encodeStateRequest(request), avoid);
    return answer === null ? null : { peer: answer.peer, parts: readParts(answer.body) };
  }

  #ask(service: number, body: Uint8Array, avoid: ReadonlySet<number>): Promise<Answer | null> {
    const id = `${service}/${this.#asked++}`;
    const { addresses, self } = this.#options;
    const others = [...addresses.keys()].filter((place) => place !== self && !avoid.has(place));
    return new Promise<Answer | null>((resolve) => {
      this.#questions.set(id, resolve);
      this.#peers?.ask({
        id,
        service,
        body,
        peers: avoid.size === 0 || others.length === 0 ? null : others.map(idOf),
        timeoutMs: ASK_TIMEOUT_MS,
      });
    });
  }

  #settle(id: string, answer: Answer | null): void {
    this.#questions.get(id)?.(answer);
    this.#questions.delete(id);
  }
}

/** An id of an artifact is as long as a kind, a height, a member and a hash; what is cut off tells nobody what to want. */
const LABEL_BYTES = 64;

function blockService(subnet: SubnetIndex): Service {
  return {
    number: blocksOf(subnet),
    requestBytesMax: BLOCK_REQUEST_BYTES_MAX,
    answerBytesMax: BODY_BYTES_MAX,
    waitingMax: 4,
  };
}

/** One for each of several lanes of a peer that has lost its state, and what it has cancelled. */
function stateService(subnet: SubnetIndex): Service {
  return {
    number: statesOf(subnet),
    requestBytesMax: STATE_REQUEST_BYTES_MAX,
    answerBytesMax: STATE_ANSWER_BYTES_MAX,
    waitingMax: 16,
  };
}

async function tellBlocks(listener: Listener | undefined, body: Uint8Array): Promise<readonly Uint8Array[]> {
  const from = readHeight(body);
  return from === null ? [] : ((await listener?.tellBlocks(from)) ?? []);
}

async function tellState(listener: Listener | undefined, body: Uint8Array): Promise<readonly Uint8Array[]> {
  const request = decodeStateRequest(body);
  return request === null ? [] : ((await listener?.tellState(request)) ?? []);
}

function readHeight(body: Uint8Array): Height | null {
  try {
    const height = decodeCbor(body);
    return typeof height === "number" && Number.isSafeInteger(height) && height >= 0 ? height : null;
  } catch {
    return null;
  }
}

/** What is no list of blocks is read as a block, which it is not either: whoever takes it finds that out. */
function readBlocks(body: Uint8Array): readonly Uint8Array[] {
  try {
    const list = decodeCbor(body);
    const isList = Array.isArray(list) && list.length > 0 && list.length <= BLOCKS_PER_ANSWER_MAX;
    return isList && list.every((each) => each instanceof Uint8Array) ? list : [body];
  } catch {
    return [body];
  }
}
