/**
 * A process whose node is of a subnet that has no keys yet: it listens to the network's other processes until the root subnet has created the
 * subnet, and begins with what that says. It takes part in nothing meanwhile.
 */
import {
  type Clock,
  type Logger,
  type NodeId,
  OrreryError,
  type Rng,
  selfAuthenticating,
} from "@orrery/base";
import { createMclBls, createMclCurve } from "@orrery/crypto/mcl";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import { installFastHashes, nodePublicKeyDer } from "@orrery/host";
import { nodeSecretsOf } from "../founding/node-seed.ts";
import { decodeGenesis, encodeGenesis, subnetsOf } from "../genesis.ts";
import type { MemberOptions } from "../node.ts";
import type { SubnetIndex } from "../protocol.ts";
import { keptIn } from "../registry/registry-file.ts";
import { Conversation } from "./conversation.ts";
import { NetworkRegistry } from "./network-registry.ts";
import type { AbroadListener } from "./voice.ts";

export interface AwaitingOptions {
  readonly stateDir: string;
  readonly member: MemberOptions;
  /** Of the node. */
  readonly seed: Uint8Array;
  /** Of the subnet. */
  readonly place: SubnetIndex;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
}

/** Nothing goes to or from subnets that are not there. */
const SILENT: AbroadListener = {
  wantsStream: () => "never",
  hearStream: () => {},
  tellSlice: async () => null,
  tellDelegation: async () => null,
};

/** What the subnet begins with, encoded; resolves once the root subnet has created it, which may have been long ago. */
export async function ownGenesis(options: AwaitingOptions): Promise<Uint8Array> {
  const { stateDir, member, seed, place, logger } = options;
  installFastHashes();
  const [bls, curve] = await Promise.all([createMclBls(), createMclCurve()]);
  const genesis = decodeGenesis(member.genesis);
  const { signing } = nodeSecretsOf(seed, place);
  const nodeId = selfAuthenticating(nodePublicKeyDer(signing)) as Uint8Array as NodeId;
  const failed = Promise.withResolvers<never>();
  const network = new NetworkRegistry({
    genesis,
    subnets: subnetsOf(genesis, bls),
    hosted: new Map([[place, { keys: { nodeId } }]]),
    addresses: member.addresses,
    process: null,
    kept: { ...keptIn(stateDir), listen: member.listen ?? null },
    curve,
    bls,
    logger,
    onFailure: failed.reject,
  });
  const { creations } = network;
  if (creations.at(place) === null) {
    logger.log("info", "this node waits for the root subnet to create its subnet", { subnet: place });
    await Promise.race([untilCreated(network, options, signing), failed.promise]);
  }
  if (creations.at(place) === null) throw new OrreryError("node_unlisted", `there is no subnet ${place}`);
  return encodeGenesis(creations.genesisOf(place, genesis));
}

async function untilCreated(
  network: NetworkRegistry,
  { place, clock, rng, logger }: AwaitingOptions,
  nodeSecret: Uint8Array,
): Promise<void> {
  const created = Promise.withResolvers<void>();
  const conversation = new Conversation({
    topology: network.topology(),
    subnets: LOCAL_SUBNETS_MAX,
    nodeSecret,
    rng,
    now: () => clock.now(),
    onPeer({ kind, peer, ...more }): void {
      logger.log("info", `a peer is ${kind}`, { peer, ...more });
      if (kind === "connected") network.connected(peer);
    },
    onFull: () => {},
    onFailure: created.reject,
  });
  const onGrown = (): void => {
    if (network.creations.at(place) !== null) created.resolve();
  };
  const telling = network.begin({ conversation, replicas: new Map(), onGrown });
  try {
    await conversation.listen(new Map(), SILENT, telling);
    conversation.admit();
    await created.promise;
  } finally {
    network.close();
    await conversation.close();
  }
}
