/**
 * A copy of a network that a node keeps, in this place: the newest checkpoint of every subnet with the blocks after it, taken from files that
 * were pinned, as a network in one place that goes its own way. Pages stay in the files until somebody needs them, so that a copy costs
 * records and the rounds since the checkpoints; what it writes is in memory only, and the node never hears of it.
 */
import { type Height, principalToText, silentLogger, type TimeNs } from "@orrery/base";
import { batchOf, decodeFinalizedBlock } from "@orrery/consensus";
import { type ChainKeys, createChainKeys } from "@orrery/crypto/chain-keys";
import type { ExecutionLimits } from "@orrery/execution";
import { creationSubnetIds, decodeGenesis, foundedIds, type Genesis } from "@orrery/execution/genesis";
import { type LocalSubnet, localNetwork } from "@orrery/execution/local-network";
import { openState, type SystemCanister } from "@orrery/execution/node";
import { openNewest, PageArena, type Pinned, type PinnedStore } from "@orrery/state";
import { SharedEngine } from "../instance/engine.ts";
import { joinInstance, type LoadedSubnet } from "../instance/join.ts";
import type { Instance, InstanceHost } from "../instance/types.ts";

/** Pages that stay in memory beside those that the copy made; the rest is read again when it is needed. */
const HOT_PAGES_MAX = 65_536;

/** Where making a copy is. */
export interface CopyProgress {
  readonly subnetId: string;
  /** Of the block that ran. */
  readonly height: Height;
  readonly last: Height;
}

export interface CopyOptions {
  readonly host: InstanceHost;
  /** What networks begin with: for one that has no checkpoint yet. */
  readonly systemCanisters: () => readonly SystemCanister[];
  /** The copy's time is this, or that of its newest block if that is later. */
  readonly time: TimeNs;
  readonly limits?: Partial<ExecutionLimits>;
  readonly onProgress?: (progress: CopyProgress) => void;
}

type With<T, K extends keyof T> = T & { readonly [P in K]-?: Exclude<T[P], undefined> };

/** Of all subnets. */
interface Shared {
  readonly genesis: Genesis;
  readonly creationSubnets: readonly string[];
  readonly chainKeys: ChainKeys;
  readonly host: With<InstanceHost, "engine">;
}

/**
 * Takes over what is pinned: it is closed when the copy and all copies of it are disposed of, or when there is no copy. Errors of opening
 * stores.
 */
export function copyNetwork(pinned: Pinned, options: CopyOptions): Instance {
  try {
    const { bls, ed25519PublicKeyDer } = options.host;
    const [root] = pinned.stores as readonly [PinnedStore];
    const genesis = decodeGenesis(root.genesis as Uint8Array);
    const { seed, subnets } = genesis;
    // Nobody has the keys of a network that its nodes founded: its copy has others, under its ids.
    const subnetIds = foundedIds(genesis);
    const makers = { bls, ed25519PublicKeyDer };
    const locals = localNetwork({ seed, subnets, local: genesis.profile === "local", makers, subnetIds });
    const host = { ...options.host, engine: options.host.engine ?? new SharedEngine() };
    const shared: Shared = {
      genesis,
      creationSubnets: creationSubnetIds(genesis, locals),
      chainKeys: createChainKeys(seed),
      host,
    };
    const loaded = pinned.stores.map((store, i) => load(store, locals[i] as LocalSubnet, shared, options));
    const topology = subnets.map(({ type, admins }) => ({
      kind: type,
      ...(admins === undefined ? {} : { admins }),
    }));
    const { time, limits = {} } = options;
    return joinInstance({ topology, seed, subnetIds, time, limits, host }, loaded, () => pinned.close());
  } catch (error) {
    pinned.close();
    throw error;
  }
}

/** A subnet as it is after its newest block. */
function load(store: PinnedStore, { info }: LocalSubnet, shared: Shared, options: CopyOptions): LoadedSubnet {
  const { loaded, blocks, last } = openNewest(store, { hotPagesMax: HOT_PAGES_MAX });
  const { state, arena, execution } = openState({
    loaded,
    newArena: () => new PageArena(),
    subnet: info,
    genesisTime: shared.genesis.time,
    creationSubnets: shared.creationSubnets,
    systemCanisters: options.systemCanisters,
    chainKeys: shared.chainKeys,
    engine: shared.host.engine,
    inflate: shared.host.inflate,
    logger: silentLogger,
  });
  const subnetId = principalToText(info.subnetId);
  for (const { height, bytes } of blocks) {
    arena.advance(height);
    execution.applyBatch(batchOf(decodeFinalizedBlock(bytes)));
    arena.reclaim(height);
    options.onProgress?.({ subnetId, height, last });
  }
  return { state, arena };
}
