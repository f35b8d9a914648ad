/**
 * What the replicas of a process say to and hear from other processes, over one exchange with each (`@orrery/host/p2p`). Each subnet has a
 * channel of artifacts, live until its member retracts them, one of ingress messages, live until they are ordered or expire, one of
 * what nodes got to HTTPS outcalls, live until these are answered, and services that tell blocks and states: all of it between the
 * subnet's nodes. What goes from subnet to subnet is `abroad.ts`. Who the processes are is the topology's to say, and may change.
 */
import { encodeCborBare, type Height, type Rng, utf8 } from "@orrery/base";
import { artifactId } from "@orrery/consensus/member";
import { sha256 } from "@orrery/crypto";
import { nodeIdentity, type PeerEffect, type Peers, startPeers } from "@orrery/host/p2p";
import { type Channel, ingressChannel, ingressLabel, type PeerId, type Service } from "@orrery/p2p";
import type { BySubnet, SubnetIndex } from "../protocol.ts";
import type { StateRequest } from "../state/state-calls.ts";
import { type NodeProcess, placeIn, processesOf, type Topology } from "../topology.ts";
import { encodeStripped } from "./artifact-codec.ts";
import {
  ARTIFACT_BYTES_MAX,
  artifactChannel,
  channelOf,
  DELEGATIONS,
  delegationService,
  ofChannel,
  ofService,
  outcallChannel,
  REGISTRY,
  registryService,
  serviceOf,
  sliceService,
  streamChannel,
  subnetServices,
} from "./channels.ts";
import { shareLabel } from "./outcall-share.ts";
import { encodeStateRequest, readParts } from "./state-wire.ts";
import { readBlocks, tellBlocks, tellState } from "./told-parts.ts";
import type {
  AbroadListener,
  AbroadVoice,
  Answer,
  Listener,
  RegistryListener,
  ToldBlocks,
  ToldParts,
  Voice,
} from "./voice.ts";

const ASK_TIMEOUT_MS = 30_000;
/** A tenth of a second of the processor is not one artifact's fault alone: it let others go on. */
const COST_MAX = 5_000;

/** Peers that come and go, or are not let in. */
type PeerEvent = Extract<PeerEffect, { readonly kind: "connected" | "disconnected" | "dropped" | "refused" }>;

export interface ConversationOptions {
  readonly topology: Topology;
  /** How many subnets the network has. */
  readonly subnets: number;
  /** Of the first node of this process: what it proves to its peers. */
  readonly nodeSecret: Uint8Array;
  readonly rng: Rng;
  readonly now: () => bigint;
  readonly onPeer: (event: PeerEvent) => void;
  /** The subnet's channel of artifacts has no room for one: its peers do not hear of it, and may not be able to go on. */
  readonly onFull: (subnet: SubnetIndex, artifact: string) => void;
  /** Of all live artifacts of a subnet; by default `ARTIFACT_BYTES_MAX`. */
  readonly artifactBytesMax?: number;
  readonly onFailure: (error: unknown) => void;
}

/** A slice that is asked for again later is another one by then. */
const SLICE_TIMEOUT_MS = 3_000;

const nodesOf = (process: NodeProcess | undefined): string =>
  (process?.nodes ?? []).map(({ subnet, place }) => `${subnet}/${place}`).join();

export class Conversation {
  readonly #options: ConversationOptions;
  #topology: Topology;
  #processes: ReadonlyMap<PeerId, NodeProcess> = new Map();
  #listeners: BySubnet<Listener> = new Map();
  #abroad: AbroadListener | null = null;
  #registry: RegistryListener | null = null;
  #peers: Peers | null = null;
  #isOpen = false;
  readonly #questions = new Map<string, (answer: Answer | null) => void>();
  #asked = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#topology = options.topology;
    this.#know(options.topology);
  }

  /** Peers may come once `admit` is called. */
  async listen(
    listeners: BySubnet<Listener>,
    abroad: AbroadListener,
    registry: RegistryListener | null = null,
  ): Promise<void> {
    const { subnets, nodeSecret, rng, onFailure } = this.#options;
    const { self } = this.#topology;
    this.#listeners = listeners;
    this.#abroad = abroad;
    this.#registry = registry;
    const all = Array.from({ length: subnets }, (_, subnet) => subnet);
    this.#peers = await startPeers({
      self,
      identity: nodeIdentity(nodeSecret),
      listen: (this.#processes.get(self) as NodeProcess).address,
      channels: [
        ...[...listeners].flatMap(([subnet, listener]) => this.#channels(listener, subnet)),
        ...all.map((subnet) => this.#streams(subnet, abroad)),
      ],
      services: this.#services(all),
      rng,
      onEffect: (effect) => this.#hear(effect),
      onFailure,
    });
  }

  admit(): void {
    this.#isOpen = true;
    this.#setMembers(this.#topology.processes);
  }

  /** The network's processes are others from now on, this one is still there. What a process hosts may have changed as well. */
  follow(topology: Topology): void {
    const before = this.#processes;
    this.#topology = topology;
    this.#know(topology);
    if (!this.#isOpen) return;
    // Channels are a peer's for as long as it is connected.
    const same = topology.processes.filter((each) => {
      const known = before.get(each.id);
      return known === undefined || nodesOf(known) === nodesOf(each);
    });
    if (same.length < topology.processes.length) this.#setMembers(same);
    this.#setMembers(topology.processes);
  }

  async close(): Promise<void> {
    await this.#peers?.close();
    for (const tell of this.#questions.values()) tell(null);
  }

  voiceOf(subnet: SubnetIndex): Voice {
    const [artifacts, messages, outcalls] = [
      channelOf(subnet, "artifacts"),
      channelOf(subnet, "ingress"),
      channelOf(subnet, "outcalls"),
    ];
    return {
      publish: (artifact) => {
        const id = artifactId(artifact);
        const { body, ingress } = encodeStripped(artifact);
        const parts = ingress.map((bytes) => ({ id: sha256(bytes), bytes }));
        const label = utf8(id).subarray(0, LABEL_BYTES);
        this.#peers?.publish(artifacts, id, { label, body, parts, isUrgent: true });
      },
      retract: (id) => this.#peers?.retract(artifacts, id),
      again: (peer) => this.#withPeer(subnet, peer, (id) => this.#peers?.again(artifacts, id)),
      offer: ({ id, expiry, envelope }) =>
        this.#peers?.publish(messages, id, {
          label: ingressLabel({ requestId: Buffer.from(id, "hex"), expiry }),
          body: envelope,
          isUrgent: true,
        }),
      withdraw: (requestId) => this.#peers?.retract(messages, requestId),
      tellOutcall: ({ outcall }, body) =>
        this.#peers?.publish(outcalls, `${outcall.id}`, { label: shareLabel(outcall), body, isUrgent: true }),
      withdrawOutcall: (outcall) => this.#peers?.retract(outcalls, `${outcall}`),
      reconsiderOutcalls: () => this.#peers?.reconsider(outcalls),
      report: (peer, cost, isInvalid) =>
        this.#withPeer(subnet, peer, (id) =>
          this.#peers?.report(id, Math.min(COST_MAX, Math.round(cost)), isInvalid),
        ),
      askBlocks: (from, avoid) => this.#askBlocks(subnet, from, avoid),
      askState: (request, avoid) => this.#askState(subnet, request, avoid),
    };
  }

  /** One of these processes for records of the registry. */
  askRegistry(body: Uint8Array, peers: readonly PeerId[]): Promise<Answer | null> {
    return this.#ask({ service: REGISTRY, body, peers });
  }

  /** What a process says is no honest one's. */
  report(peer: PeerId, isInvalid: boolean): void {
    this.#peers?.report(peer, 0, isInvalid);
  }

  /** To nodes of other subnets. */
  abroad(): AbroadVoice {
    return {
      tellStream: (source, to, label, body) =>
        this.#peers?.publish(channelOf(source, "streams"), `${to}`, { label, body, isUrgent: true }),
      askSlice: (source, body, peers) =>
        this.#ask({ service: serviceOf(source, "slices"), body, peers, timeoutMs: SLICE_TIMEOUT_MS }),
      askDelegation: (body) => {
        const peers = processesOf(this.#topology, 0).map(({ id }) => id);
        return this.#ask({ service: DELEGATIONS, body, peers });
      },
      report: (peer, isInvalid) => this.report(peer, isInvalid),
    };
  }

  #know({ processes }: Topology): void {
    this.#processes = new Map(processes.map((process) => [process.id, process]));
  }

  #setMembers(processes: readonly NodeProcess[]): void {
    this.#peers?.setMembers(processes.map(({ id, publicKey, address }) => ({ id, publicKey, address })));
  }

  #placeOf(peer: PeerId, subnet: SubnetIndex): number | null {
    const process = this.#processes.get(peer);
    return process === undefined ? null : placeIn(process, subnet);
  }

  /** The processes of the other nodes of a subnet. */
  #others(subnet: SubnetIndex): readonly NodeProcess[] {
    return processesOf(this.#topology, subnet).filter(({ id }) => id !== this.#topology.self);
  }

  #withPeer(subnet: SubnetIndex, place: number, action: (id: PeerId) => void): void {
    const process = this.#others(subnet).find((each) => placeIn(each, subnet) === place);
    if (process !== undefined) action(process.id);
  }

  #channels(listener: Listener, subnet: SubnetIndex): readonly Channel[] {
    const takesPart = (peer: PeerId): boolean => this.#placeOf(peer, subnet) !== null;
    return [
      artifactChannel(subnet, {
        bytesMax: this.#options.artifactBytesMax ?? ARTIFACT_BYTES_MAX,
        part: (hash) => listener.ingressPart(hash),
        takesPart,
      }),
      {
        ...ingressChannel({
          number: channelOf(subnet, "ingress"),
          messageBytesMax: listener.ingressBytesMax,
          now: this.#options.now,
          isKnown: (requestId) => listener.knowsIngress(requestId),
        }),
        takesPart,
      },
      outcallChannel(subnet, { wants: (label) => listener.outcalls.wants(label), takesPart }),
    ];
  }

  /** From a subnet's nodes to all others. */
  #streams(subnet: SubnetIndex, abroad: AbroadListener): Channel {
    return streamChannel(subnet, {
      wants: (label) => abroad.wantsStream(label),
      takesPart: (peer) => this.#listeners.has(subnet) || this.#placeOf(peer, subnet) !== null,
    });
  }

  #services(all: readonly SubnetIndex[]): readonly Service[] {
    return [
      ...[...this.#listeners.keys()].flatMap(subnetServices),
      ...all.map(sliceService),
      delegationService(),
      registryService(),
    ];
  }

  #hear(effect: PeerEffect): void {
    switch (effect.kind) {
      case "artifact":
        this.#hearArtifact(effect);
        return;
      case "asked":
        void this.#tell(effect);
        return;
      case "answered":
        this.#settle(effect.id, effect);
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
      case "unpublished": {
        // Of ingress messages the pool holds as many: this node may still place what its peers do not hear of. Answers come from others.
        const { subnet, kind } = ofChannel(effect.channel);
        if (kind === "artifacts") this.#options.onFull(subnet, effect.key);
        return;
      }
      default:
        return;
    }
  }

  #hearArtifact(effect: Extract<PeerEffect, { kind: "artifact" }>): void {
    const { subnet, kind } = ofChannel(effect.channel);
    const place = this.#placeOf(effect.peer, subnet);
    // It may have left the subnet since it said so; of a subnet that it has no node of, nobody honest speaks.
    if (place === null) {
      if (kind === "streams") this.#peers?.report(effect.peer, 0, true);
      return;
    }
    const listener = this.#listeners.get(subnet);
    if (kind === "artifacts") listener?.hearArtifact(place, effect.body, effect.parts);
    else if (kind === "ingress") listener?.hearIngress(place, effect.body);
    else if (kind === "outcalls") listener?.outcalls.hear(place, effect.body);
    else this.#abroad?.hearStream(effect.peer, subnet, effect.label, effect.body);
  }

  async #tell({ peer, number, service, body }: Extract<PeerEffect, { kind: "asked" }>): Promise<void> {
    try {
      this.#peers?.answer(peer, number, await this.#answerTo(peer, service, body));
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  async #answerTo(peer: PeerId, service: number, body: Uint8Array): Promise<Uint8Array | null> {
    const { subnet, giving } = ofService(service);
    if (giving === "registry") return this.#registry?.answer(peer, body) ?? null;
    const asks = this.#processes.get(peer);
    if (asks === undefined) return null;
    const places = new Set(asks.nodes.map((node) => node.subnet));
    if (giving === "slices") return (await this.#abroad?.tellSlice(subnet, body, places)) ?? null;
    if (giving === "delegations") return (await this.#abroad?.tellDelegation(body)) ?? null;
    const listener = this.#listeners.get(subnet);
    if (!places.has(subnet)) return null;
    const parts = await (giving === "blocks" ? tellBlocks(listener, body) : tellState(listener, body));
    return parts.length === 0 ? null : encodeCborBare(parts);
  }

  async #askBlocks(
    subnet: SubnetIndex,
    from: Height,
    avoid: ReadonlySet<number>,
  ): Promise<ToldBlocks | null> {
    const answer = await this.#askNodes(subnet, "blocks", encodeCborBare(from), avoid);
    return answer === null ? null : { peer: answer.place, records: readBlocks(answer.body) };
  }

  async #askState(
    subnet: SubnetIndex,
    request: StateRequest,
    avoid: ReadonlySet<number>,
  ): Promise<ToldParts | null> {
    const answer = await this.#askNodes(subnet, "states", encodeStateRequest(request), avoid);
    return answer === null ? null : { peer: answer.place, parts: readParts(answer.body) };
  }

  /** The other nodes of a subnet, those to avoid if there are no others. */
  async #askNodes(
    subnet: SubnetIndex,
    giving: "blocks" | "states",
    body: Uint8Array,
    avoid: ReadonlySet<number>,
  ): Promise<{ readonly place: number; readonly body: Uint8Array } | null> {
    const all = this.#others(subnet);
    const fit = all.filter((process) => !avoid.has(placeIn(process, subnet) ?? -1));
    const peers = (fit.length === 0 ? all : fit).map(({ id }) => id);
    const answer = await this.#ask({ service: serviceOf(subnet, giving), body, peers });
    const place = answer === null ? null : this.#placeOf(answer.peer, subnet);
    return answer === null || place === null ? null : { place, body: answer.body };
  }

  #ask(question: {
    readonly service: number;
    readonly body: Uint8Array;
    readonly peers: readonly PeerId[];
    readonly timeoutMs?: number;
  }): Promise<Answer | null> {
    const id = `${question.service}/${this.#asked++}`;
    return new Promise<Answer | null>((resolve) => {
      this.#questions.set(id, resolve);
      this.#peers?.ask({ timeoutMs: ASK_TIMEOUT_MS, ...question, id });
    });
  }

  #settle(id: string, answer: Answer | null): void {
    this.#questions.get(id)?.(answer);
    this.#questions.delete(id);
  }
}

/** An id of an artifact is as long as a kind, a height, a member and a hash; what is cut off tells nobody what to want. */
const LABEL_BYTES = 64;
