/**
 * A process of a network whose subnets have several nodes: one node of each subnet, with connections to the other processes that they
 * share. What peers say of a subnet goes to its replica here.
 */
import { assert, type Clock, type Logger, type Rng, type TimeNs } from "@orrery/base";
import type { DkgMeans } from "@orrery/consensus/keys";
import type { Bls, SignatureVerifier } from "@orrery/crypto";
import type { Curve } from "@orrery/crypto/dkg";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { OutcallAdapter } from "@orrery/host/outcalls";
import type { PeerAddress } from "@orrery/host/p2p";
import type { Genesis } from "../genesis.ts";
import { KeyThread } from "../keys/key-thread.ts";
import type { ExecutionStarted, RecoveredArtifact, SubnetIndex } from "../protocol.ts";
import type { SubnetThreads } from "../rounds.ts";
import type { ReplicaRounds, ReplicaRoundsOptions } from "./replica-options.ts";
import { createReplicaRounds } from "./replica-rounds.ts";
import { keysFromFounding, keysFromSeed, type SubnetKeys } from "./subnet-keys.ts";
import { Conversation } from "./voice.ts";

export interface ReplicatedNetworkOptions {
  readonly genesis: Genesis;
  readonly subnets: readonly LocalSubnet[];
  readonly self: number;
  /** When it turned out that what it had signed is lost; null: it is not. */
  readonly lostAt: TimeNs | null;
  /** Of all processes, by place. */
  readonly addresses: readonly PeerAddress[];
  readonly bls: Bls;
  readonly curve: Curve;
  /** Of this node, where it has keys of its own. */
  readonly nodeSeed: Uint8Array | null;
  readonly verifier: SignatureVerifier;
  readonly started: readonly ExecutionStarted[];
  readonly threadsOf: (subnet: SubnetIndex) => SubnetThreads;
  /** Longest ingress message that a subnet takes. */
  readonly ingressBytesMax: (subnet: LocalSubnet) => number;
  readonly slicesOf: (subnet: SubnetIndex) => ReplicaRoundsOptions["slices"];
  /** Makes the outcalls of all subnets. */
  readonly outcalls: OutcallAdapter;
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
  readonly rounds: readonly ReplicaRounds[];
  /** Peers are called, and consensus begins. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

/** Of this node in one of the subnets. `thread`: of a node that has keys of its own. */
function keysOf(
  { bls, curve, genesis, self }: ReplicatedNetworkOptions,
  subnet: SubnetIndex,
  local: LocalSubnet,
  thread: KeyThread | null,
): SubnetKeys {
  const founded = genesis.founding?.[subnet];
  if (founded === undefined) return keysFromSeed({ bls, seed: genesis.seed, subnet, local, self });
  assert(thread !== null, "a node of a founded network has a seed");
  const compute: DkgMeans["compute"] = (job, name) => thread.compute(subnet, job, name);
  return keysFromFounding({ bls, curve, local, founded, compute });
}

/** `recovered`: what members persisted, by subnet; held nowhere afterwards. */
export function createReplicatedNetwork(
  options: ReplicatedNetworkOptions,
  recovered: readonly (readonly RecoveredArtifact[])[],
): ReplicatedNetwork {
  const { subnets, self, bls, genesis, clock, logger, onFailure } = options;
  const conversation = new Conversation({
    subnets,
    self,
    addresses: options.addresses,
    rng: options.rng,
    now: () => clock.now(),
    onPeer: ({ kind, peer, ...more }) => logger.log("info", `a peer is ${kind}`, { peer, ...more }),
    onFull: (subnet, artifact) =>
      logger.log("error", "no room to offer peers what they need to go on", { subnet, artifact }),
    onFailure: (error) => onFailure("main", error),
  });
  const replicas: ReplicaRounds[] = [];
  const { nodeSeed: seed } = options;
  const keyThread =
    seed === null
      ? null
      : new KeyThread({
          seed,
          onDone: (subnet) => replicas[subnet]?.poke(),
          onFailure: (error) => onFailure("keys", error),
        });
  // No function holds on to what was recovered.
  for (const [subnet, local] of subnets.entries()) {
    const rest: ReplicaRoundsOptions = {
      local,
      self,
      lostAt: options.lostAt,
      keys: keysOf(options, subnet, local, keyThread),
      genesis,
      started: options.started[subnet] as ExecutionStarted,
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
      onPublished: (height, streams) => options.onPublished(subnet, height, streams),
    };
    replicas.push(createReplicaRounds(rest, recovered[subnet] ?? []));
  }

  return {
    rounds: replicas,
    async begin(): Promise<void> {
      await conversation.listen(replicas);
      // What members have to say is there before anybody is heard.
      for (const replica of replicas) replica.begin();
      conversation.admit();
    },
    async close(): Promise<void> {
      await conversation.close();
      await keyThread?.close();
    },
  };
}
