/**
 * The registry in a process of a network: what it says of the processes is whom this one speaks to, newer versions come from them, and its
 * replicas are told. Processes stay known as long as a version is in use that lists a node of theirs: in the intervals of the subnets here, and
 * one version longer for subnets elsewhere.
 */
import { type Logger, OrreryError, principalToText, type Result } from "@orrery/base";
import type { Bls } from "@orrery/crypto";
import type { Curve } from "@orrery/crypto/dkg";
import type { LocalSubnet } from "@orrery/execution/local-network";
import type { PeerAddress } from "@orrery/host/p2p";
import type { PeerId } from "@orrery/p2p";
import type { Genesis } from "../genesis.ts";
import { nodeUnlisted } from "../hosting.ts";
import type { BySubnet, SubnetIndex } from "../protocol.ts";
import { genesisRegistry } from "../registry/begin.ts";
import { Creations } from "../registry/creations.ts";
import { encodeRecord, type RegistryRecord } from "../registry/record.ts";
import type { Registry } from "../registry/registry.ts";
import { RegistryTelling } from "../registry/telling.ts";
import { genesisTopology, type Topology } from "../topology.ts";
import type { Conversation } from "./conversation.ts";
import { nodeRemoved } from "./failures.ts";
import { REGISTRY_VERSION } from "./rules.ts";

/** Where a process keeps the registry, and how it is listed there. */
export interface KeptRegistry {
  /** The oldest first. */
  readonly records: readonly RegistryRecord[];
  readonly keep: (records: readonly RegistryRecord[]) => void;
  /** Packages by which the root subnet created subnets. */
  readonly creations: readonly Uint8Array[];
  readonly keepCreations: (packages: readonly Uint8Array[]) => void;
  /** Where to listen, if not where others call this process. */
  readonly listen: PeerAddress | null;
}

export interface NetworkRegistryOptions {
  readonly genesis: Genesis;
  /** Of the genesis. */
  readonly subnets: readonly LocalSubnet[];
  /** Nodes of this process. */
  readonly hosted: BySubnet<{ readonly keys: Pick<LocalSubnet["keys"], "nodeId"> }>;
  /** Of the processes that began. */
  readonly addresses: readonly PeerAddress[];
  /** Which of them this one is; null: it joined. */
  readonly process: number | null;
  readonly kept: KeptRegistry;
  readonly curve: Curve;
  readonly bls: Pick<Bls, "verify">;
  readonly logger: Logger;
  readonly onFailure: (error: unknown) => void;
}

/** What is told of newer versions. */
interface Followers {
  readonly conversation: Pick<Conversation, "follow" | "askRegistry" | "report">;
  readonly replicas: BySubnet<{ registryGrew(): void }>;
  readonly onGrown?: () => void;
  readonly upgrades?: { look(): void };
}

export class NetworkRegistry {
  readonly registry: Registry;
  readonly creations: Creations;
  readonly #options: NetworkRegistryOptions;
  readonly #self: PeerId;
  /** Of subnets that this process has a node of: the oldest version in use. */
  readonly #oldest = new Map<SubnetIndex, number>();
  readonly #left = new Set<SubnetIndex>();
  #telling: RegistryTelling | null = null;
  #followers: Followers | null = null;

  /** `registry_corrupt` for records that do not follow from the genesis; `node_unlisted` where they do not know this node. */
  constructor(options: NetworkRegistryOptions) {
    this.#options = options;
    const { genesis, subnets, hosted, addresses, process, kept, curve, bls } = options;
    const { processes } = genesisTopology(subnets, addresses, process ?? 0);
    this.registry = genesisRegistry({ genesis, subnets, processes, curve });
    for (const record of kept.records) {
      const appended = this.registry.append(encodeRecord(record));
      if (!appended.ok) throw corrupt(appended.error);
    }
    const root = (subnets[0] as LocalSubnet).info;
    const begun = subnets.length;
    this.creations = new Creations({ registry: this.registry, root, begun, verifyBls: bls.verify });
    for (const bytes of kept.creations) {
      const added = this.creations.add(bytes);
      if (!added.ok) throw corrupt(added.error);
    }
    for (const [subnet, { keys }] of hosted) {
      if (this.registry.node(subnet, keys.nodeId) === null) throw nodeUnlisted(`subnet ${subnet}`);
      this.#oldest.set(subnet, REGISTRY_VERSION);
    }
    const [first] = hosted.values();
    this.#self = principalToText(
      (first as { readonly keys: Pick<LocalSubnet["keys"], "nodeId"> }).keys.nodeId,
    );
  }

  /** Of this process's node in a subnet. */
  placeIn(subnet: SubnetIndex): number {
    const nodeId = this.#options.hosted.get(subnet)?.keys.nodeId ?? new Uint8Array(0);
    return this.registry.node(subnet, nodeId)?.place as number;
  }

  topology(): Topology {
    const { listen } = this.#options.kept;
    const oldest = (subnet: SubnetIndex): number =>
      this.#oldest.get(subnet) ?? Math.max(REGISTRY_VERSION, this.registry.version - 1);
    const processes = this.registry.processesSince(oldest, this.#self);
    const self = this.#self;
    if (listen === null) return { self, processes };
    return {
      self,
      processes: processes.map((each) => (each.id === self ? { ...each, address: listen } : each)),
    };
  }

  /** Members of a subnet need no nodes of versions before any more. */
  began(subnet: SubnetIndex, oldest: number): void {
    if (this.#oldest.get(subnet) === oldest) return;
    this.#oldest.set(subnet, oldest);
    this.#followers?.conversation.follow(this.topology());
  }

  /** This process's node takes part in the subnet no more. */
  left(subnet: SubnetIndex): void {
    const { hosted, onFailure } = this.#options;
    this.#left.add(subnet);
    if (this.#left.size === hosted.size) onFailure(nodeRemoved());
  }

  begin(followers: Followers): RegistryTelling {
    const { kept, logger, onFailure } = this.#options;
    const { conversation, replicas, upgrades } = followers;
    this.#followers = followers;
    const telling = new RegistryTelling({
      registry: this.registry,
      creations: this.creations,
      peers: () =>
        this.topology()
          .processes.map(({ id }) => id)
          .filter((id) => id !== this.#self),
      ask: (body, peers) => conversation.askRegistry(body, peers),
      report: (peer, isInvalid) => conversation.report(peer, isInvalid),
      keep: kept.keep,
      keepCreations: kept.keepCreations,
      onGrown: () => {
        conversation.follow(this.topology());
        followers.onGrown?.();
        for (const replica of replicas.values()) replica.registryGrew();
        upgrades?.look();
      },
      logger,
      onFailure,
    });
    this.#telling = telling;
    telling.begin();
    return telling;
  }

  connected(peer: PeerId): void {
    this.#telling?.connected(peer);
  }

  /** A catch-up package of the root subnet that was made here. */
  made(bytes: Uint8Array): void {
    this.#telling?.created(bytes);
  }

  /** A record that an operator brings. */
  submit(record: RegistryRecord): Result<void, string> {
    if (this.#telling === null) throw corrupt("the node is not ready");
    return this.#telling.submit(record);
  }

  close(): void {
    this.#telling?.stop();
  }
}

function corrupt(why: string): OrreryError {
  return new OrreryError(
    "registry_corrupt",
    `the records of the registry here do not hold (${why}); copy them from another node`,
  );
}
