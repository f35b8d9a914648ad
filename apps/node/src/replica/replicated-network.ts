/**
 * A process of a network whose subnets have several nodes: a node of one of them, or of several, with connections to the other processes
 * that they share. What peers say of a subnet goes to its replica here.
 */
import { assert, type Clock, type Logger, type Rng, type SubnetId, type TimeNs } from "@orrery/base";
import type { DkgMeans } from "@orrery/consensus/keys";
import { decodeSummary } from "@orrery/consensus/member";
import type { Bls, SignatureVerifier } from "@orrery/crypto";
import type { Curve } from "@orrery/crypto/dkg";
import { LOCAL_SUBNETS_MAX, type LocalSubnet } from "@orrery/execution/local-network";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { PeerAddress } from "@orrery/host/p2p";
import type { Genesis } from "../genesis.ts";
import { KeyThread } from "../keys/key-thread.ts";
import type { BySubnet, ExecutionStarted, RecoveredArtifact, SubnetIndex } from "../protocol.ts";
import type { Creation } from "../registry/creations.ts";
import type { SubnetThreads } from "../rounds.ts";
import { Abroad } from "./abroad.ts";
import { encodeArtifact } from "./artifact-codec.ts";
import { Conversation } from "./conversation.ts";
import type { Healings } from "./healings.ts";
import { type KeptRegistry, NetworkRegistry } from "./network-registry.ts";
import { runsOf } from "./own-version.ts";
import type { ReplicaRounds, ReplicaRoundsOptions } from "./replica-options.ts";
import { createReplicaRounds } from "./replica-rounds.ts";
import { keysFromFounding, keysFromSeed, type SubnetKeys } from "./subnet-keys.ts";
import { type ReplicaVersions, Upgrades } from "./upgrades.ts";

export interface ReplicatedNetworkOptions {
  /** Of the subnets that this process has nodes of. */
  readonly genesis: Genesis;
  readonly subnets: readonly LocalSubnet[];
  /** As the network began; another one where the process has a node of a subnet that was created later. */
  readonly network: { readonly genesis: Genesis; readonly subnets: readonly LocalSubnet[] };
  /** Those that this process has a node of. */
  readonly hosted: BySubnet<LocalSubnet>;
  /** Which of the processes that began this is; null: it joined. */
  readonly process: number | null;
  readonly registry: KeptRegistry;
  /** When it turned out that what it had signed is lost; null: it is not. */
  readonly lostAt: TimeNs | null;
  readonly healings: Healings;
  /** Of the processes that began. */
  readonly addresses: readonly PeerAddress[];
  readonly bls: Bls;
  readonly curve: Curve;
  /** Of this node, where it has keys of its own. */
  readonly nodeSeed: Uint8Array | null;
  readonly verifier: SignatureVerifier;
  readonly started: BySubnet<ExecutionStarted>;
  readonly threadsOf: (subnet: SubnetIndex) => SubnetThreads;
  /** Longest ingress message that a subnet takes. */
  readonly ingressBytesMax: (subnet: LocalSubnet) => number;
  readonly slicesOf: (subnet: SubnetIndex) => ReplicaRoundsOptions["slices"];
  /** Writes down the states of all subnets as they are. */
  readonly settle: () => Promise<void>;
  /** Makes the outcalls of all subnets. */
  readonly outcalls: OutcallAdapter;
  /** Subnets that came to the network. */
  readonly onCreated: (created: readonly Creation[]) => void;
  /** There is something in the stream of a subnet elsewhere. */
  readonly onStream: (source: SubnetIndex, destination: SubnetIndex) => void;
  readonly onPublished: (
    subnet: SubnetIndex,
    ...what: Parameters<ReplicaRoundsOptions["onPublished"]>
  ) => void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly onFailure: (thread: string, error: unknown) => void;
}

export interface ReplicatedNetwork {
  readonly rounds: BySubnet<ReplicaRounds>;
  readonly registry: Pick<NetworkRegistry, "registry" | "creations" | "submit">;
  /** Of this process, and what a subnet is to run. */
  readonly versions: (subnet: SubnetIndex) => ReplicaVersions;
  /** What comes from subnets whose nodes are elsewhere. */
  readonly abroad: Pick<Abroad, "cut" | "delegation">;
  /** Peers are called, and consensus begins. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

/** Of this node in one of the subnets. `thread`: of a node that has keys of its own. */
function keysOf(
  { bls, genesis, hosted, network: { genesis: began } }: ReplicatedNetworkOptions,
  subnet: SubnetIndex,
  network: NetworkRegistry,
  thread: KeyThread | null,
): SubnetKeys {
  const local = hosted.get(subnet) as LocalSubnet;
  const [self, registry] = [network.placeIn(subnet), network.registry.of(subnet)];
  const founded = genesis.founding?.[subnet];
  if (founded === undefined) return keysFromSeed({ bls, seed: genesis.seed, subnet, local, self });
  assert(thread !== null, "a node of a founded network has a seed");
  const compute: DkgMeans["compute"] = (job, name) => thread.compute(subnet, job, name);
  const created = subnet < began.subnets.length ? null : network.creations.at(subnet);
  return keysFromFounding({
    bls,
    local,
    founded,
    registry,
    compute,
    ...(created && { first: created.epoch }),
  });
}

function abroadOf(
  { subnets, hosted, threadsOf, onStream, logger }: ReplicatedNetworkOptions,
  conversation: Conversation,
): Abroad {
  return new Abroad({
    subnets: subnets.map(({ info }) => info),
    hosted: new Set(hosted.keys()),
    voice: conversation.abroad(),
    view: (subnet, call) => threadsOf(subnet).view(call),
    onStream,
    logger,
  });
}

/** Null for nodes whose keys derive from the network's seed. */
function keyThreadOf(
  { nodeSeed: seed, onFailure }: ReplicatedNetworkOptions,
  replicas: BySubnet<ReplicaRounds>,
): KeyThread | null {
  if (seed === null) return null;
  return new KeyThread({
    seed,
    onDone: (subnet) => replicas.get(subnet)?.poke(),
    onFailure: (error) => onFailure("keys", error),
  });
}

function upgradesOf(
  { hosted, settle, logger, onFailure }: ReplicatedNetworkOptions,
  network: NetworkRegistry,
): Upgrades {
  return new Upgrades({
    hosted: [...hosted].map(([subnet, { info }]) => ({ subnet, subnetId: info.subnetId as SubnetId })),
    registry: (subnet) => network.registry.of(subnet),
    settle,
    logger,
    onFailure: (error) => onFailure("main", error),
  });
}

/** `recovered`: what members persisted, by subnet; held nowhere afterwards. */
export function createReplicatedNetwork(
  options: ReplicatedNetworkOptions,
  recovered: BySubnet<readonly RecoveredArtifact[]>,
): ReplicatedNetwork {
  const { hosted, bls, genesis, clock, logger, onFailure } = options;
  const [first] = hosted.values();
  assert(first !== undefined, "a process hosts a node");
  const network = new NetworkRegistry({
    ...options,
    ...options.network,
    kept: options.registry,
    onFailure: (error) => onFailure("main", error),
  });
  const conversation = new Conversation({
    topology: network.topology(),
    subnets: LOCAL_SUBNETS_MAX,
    nodeSecret: first.keys.nodeSecret,
    rng: options.rng,
    now: () => clock.now(),
    onPeer({ kind, peer, ...more }): void {
      logger.log("info", `a peer is ${kind}`, { peer, ...more });
      if (kind === "connected") network.connected(peer);
    },
    onFull: (subnet, artifact) =>
      logger.log("error", "no room to offer peers what they need to go on", { subnet, artifact }),
    onFailure: (error) => onFailure("main", error),
  });
  const abroad = abroadOf(options, conversation);
  const replicas = new Map<SubnetIndex, ReplicaRounds>();
  const keyThread = keyThreadOf(options, replicas);
  const failed = (error: unknown): void => onFailure("view", error);
  const grow = (): void => {
    options.onCreated(network.creations.all);
    abroad.grow(network.creations.all);
  };
  const upgrades = upgradesOf(options, network);
  // No function holds on to what was recovered.
  for (const [subnet, local] of hosted) {
    const rest: ReplicaRoundsOptions = {
      local,
      self: network.placeIn(subnet),
      lostAt: options.lostAt,
      healings: options.healings,
      registry: network.registry.of(subnet),
      keys: keysOf(options, subnet, network, keyThread),
      runs: runsOf(options.registry.records, subnet),
      onSuperseded: (catchUp) => upgrades.superseded(subnet, catchUp),
      onInterval: (oldest) => network.began(subnet, oldest),
      onLeft: () => network.left(subnet),
      creations: network.creations,
      onPackage: (catchUp) => {
        upgrades.packaged(subnet);
        const { summary } = catchUp.block.payload;
        const creates = summary !== undefined && decodeSummary(summary).founded !== undefined;
        if (subnet === 0 && creates) network.made(encodeArtifact(catchUp));
      },
      genesis,
      started: options.started.get(subnet) as ExecutionStarted,
      voice: conversation.voiceOf(subnet),
      verifier: options.verifier,
      verifyBls: bls.verify,
      ingressBytesMax: options.ingressBytesMax(local),
      threads: options.threadsOf(subnet),
      outcalls: options.outcalls,
      clock,
      logger,
      slices: options.slicesOf(subnet),
      onFailure,
      onPublished: (height, streams) => {
        options.onPublished(subnet, height, streams);
        abroad.published(subnet, streams).catch(failed);
      },
    };
    replicas.set(subnet, createReplicaRounds(rest, recovered.get(subnet) ?? []));
  }

  return {
    rounds: replicas,
    abroad,
    registry: network,
    versions: (subnet) => upgrades.of(subnet),
    async begin(): Promise<void> {
      grow();
      const telling = network.begin({ conversation, replicas, upgrades, onGrown: grow });
      await conversation.listen(replicas, abroad, telling);
      // What members have to say is there before anybody is heard.
      for (const replica of replicas.values()) replica.begin();
      conversation.admit();
      abroad.begin().catch(failed);
      // Nobody can verify what a node says before it is a member.
      if (options.process === null)
        await Promise.all([...replicas.values()].map(({ membership }) => membership.joined));
    },
    async close(): Promise<void> {
      upgrades.stop();
      network.close();
      await conversation.close();
      await keyThread?.close();
    },
  };
}
