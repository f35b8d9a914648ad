/**
 * A process of a network whose subnets have several nodes: one node of each subnet, with connections to the other processes that they
 * share. What peers say of a subnet goes to its replica here.
 */
import type { Clock, Logger } from "@orrery/base";
import type { Bls, SignatureVerifier } from "@orrery/crypto";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { Genesis } from "../genesis.ts";
import type { ExecutionStarted, RecoveredArtifact, SubnetIndex } from "../protocol.ts";
import type { SubnetThreads } from "../rounds.ts";
import { type Connections, connectLocally, type PeerAddress } from "./connections.ts";
import { Gossip, readFrame } from "./gossip.ts";
import { createReplicaRounds, type ReplicaRounds, type ReplicaRoundsOptions } from "./replica-rounds.ts";
import { keysFromSeed } from "./subnet-keys.ts";

export interface ReplicatedNetworkOptions {
  readonly genesis: Genesis;
  readonly subnets: readonly LocalSubnet[];
  readonly networkId: Uint8Array;
  readonly self: number;
  /** Of all processes, by place. */
  readonly addresses: readonly PeerAddress[];
  readonly bls: Bls;
  readonly verifier: SignatureVerifier;
  readonly started: readonly ExecutionStarted[];
  readonly recovered: readonly (readonly RecoveredArtifact[])[];
  readonly threadsOf: (subnet: SubnetIndex) => SubnetThreads;
  /** Longest ingress message that a subnet takes. */
  readonly ingressBytesMax: (subnet: LocalSubnet) => number;
  readonly slicesOf: (subnet: SubnetIndex) => ReplicaRoundsOptions["slices"];
  readonly onPublished: (
    subnet: SubnetIndex,
    ...what: Parameters<ReplicaRoundsOptions["onPublished"]>
  ) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFailure: (thread: string, error: unknown) => void;
}

export interface ReplicatedNetwork {
  readonly rounds: readonly ReplicaRounds[];
  /** Peers are called, and consensus begins. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

export function createReplicatedNetwork(options: ReplicatedNetworkOptions): ReplicatedNetwork {
  const { subnets, self, bls, genesis, clock, logger, onFailure } = options;
  let connections: Connections | null = null;
  const peers: Pick<Connections, "send" | "connected"> = {
    send: (peer, frame) => connections?.send(peer, frame) ?? false,
    connected: () => connections?.connected() ?? [],
  };
  const replicas = subnets.map((local, subnet) =>
    createReplicaRounds({
      local,
      self,
      keys: keysFromSeed({ bls, seed: genesis.seed, subnet, local, self }),
      genesisTime: genesis.time,
      started: options.started[subnet] as ExecutionStarted,
      recovered: options.recovered[subnet] ?? [],
      gossip: new Gossip(subnet, peers),
      verifier: options.verifier,
      verifyBls: bls.verify,
      ingressBytesMax: options.ingressBytesMax(local),
      threads: options.threadsOf(subnet),
      clock,
      logger,
      slices: options.slicesOf(subnet),
      onFailure,
      onPublished: (height, streams) => options.onPublished(subnet, height, streams),
    }),
  );

  function hear(peer: number, frame: Uint8Array): void {
    const heard = readFrame(frame);
    const replica = heard === null ? undefined : replicas[heard.subnet];
    if (heard === null || replica === undefined)
      logger.log("warn", "a peer says what nobody understands", { peer, bytes: frame.length });
    else replica.hear(peer, heard);
  }

  return {
    rounds: replicas,
    async begin(): Promise<void> {
      // Peers that are there early are heard by members that exist.
      for (const replica of replicas) replica.begin();
      connections = await connectLocally({
        networkId: options.networkId,
        self,
        addresses: options.addresses,
        onConnected(peer): void {
          logger.log("info", "a peer is there", { peer });
          for (const replica of replicas) replica.welcome(peer);
        },
        onFrame: hear,
        onFailure: (error) => onFailure("main", error),
      });
    },
    async close(): Promise<void> {
      await connections?.close();
    },
  };
}
