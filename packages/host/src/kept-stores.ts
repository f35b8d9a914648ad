/**
 * The stores of the subnets in a node's state directory, or of all nodes in a network's, all of them read as they were at one instant, whether or not a node writes them.
 * Nothing is changed, so that the directory may be one that cannot be written.
 */
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { equalBytes, OrreryError } from "@orrery/base";
import { decodeGenesis, storeId } from "@orrery/execution/genesis";
import { LOCAL_SUBNETS_MAX } from "@orrery/execution/local-network";
import {
  type Disk,
  openHistory,
  type Pinned,
  type PinnedStore,
  type PinOptions,
  pinStores,
} from "@orrery/state";
import {
  CREATIONS_FILE,
  directoryContent,
  nodeDirectory,
  nodePlaces,
  STORE_IDENTITY_FILE,
  storeDirectory,
} from "./directory-content.ts";
import { createFileDisk } from "./file-disk.ts";

function hasStore(stateDir: string, subnet: number): boolean {
  return existsSync(join(storeDirectory(stateDir, subnet), STORE_IDENTITY_FILE));
}

/** A store of a network: of which subnet, and in whose directory. */
interface Place {
  readonly directory: string;
  readonly subnet: number;
}

/** The stores in a state directory, or those of all nodes in the directory of a network of several; in the order of directories and subnets. */
function placesIn(stateDir: string): readonly Place[] {
  const isThere = statSync(stateDir, { throwIfNoEntry: false })?.isDirectory() === true;
  const nodes = isThere ? nodePlaces(stateDir).map((node) => nodeDirectory(stateDir, node)) : [];
  const subnets = Array.from({ length: LOCAL_SUBNETS_MAX }, (_, subnet) => subnet);
  const own = (directory: string): readonly Place[] =>
    subnets.flatMap((subnet) => (hasStore(directory, subnet) ? [{ directory, subnet }] : []));
  const stores = own(stateDir);
  return stores.length > 0 ? stores : nodes.flatMap(own);
}

const hashOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

function missing(stateDir: string, text: string): OrreryError {
  return new OrreryError("store_missing", `there is no network in ${stateDir} ${text}`);
}

/** Why there is no network where one was looked for. */
function absence(stateDir: string): OrreryError {
  const there = statSync(stateDir, { throwIfNoEntry: false });
  if (there !== undefined && !there.isDirectory()) {
    return new OrreryError(
      "state_dir_foreign",
      `${stateDir} is a file and not a network's state directory; if it is a snapshot, make a directory of it first: orrery snapshot load FILE --state-dir DIR`,
    );
  }
  const { strangers, several } =
    there === undefined ? { strangers: [], several: [] } : directoryContent(stateDir);
  if (several.length > 0)
    return missing(stateDir, "yet: none of its nodes has begun; start it once, or name its state directory");
  if (strangers.length === 0)
    return missing(stateDir, "yet; start one there first, or name its state directory");
  return new OrreryError(
    "state_dir_foreign",
    `${stateDir} is not a network's state directory: it holds other files (${strangers.slice(0, 3).join(", ")}); name the directory that "orrery start" uses`,
  );
}

/** The stores of a network that are in one place. */
export interface PinnedSubnets {
  readonly genesis: Uint8Array;
  /** By place of the subnet in the genesis, ascending: all of a network whose subnets have one node. */
  readonly stores: ReadonlyMap<number, PinnedStore>;
  /** Closes all files. */
  close(): void;
}

/** Of several nodes of a subnet the one that has the most blocks. */
function furthest(stores: readonly PinnedStore[]): PinnedStore {
  const [first, ...others] = stores as readonly [PinnedStore, ...PinnedStore[]];
  if (others.length === 0) return first;
  const last = (store: PinnedStore): number => openHistory(store).last ?? 0;
  return others.reduce((best, store) => (last(store) > last(best) ? store : best), first);
}

/**
 * Of a network of several nodes either one process's directory, with the subnets that it has nodes of, or the network's own, with each subnet as
 * the node has it that is furthest. `store_missing`, `state_dir_foreign`, `store_foreign`, and those of `pinStores`.
 */
export function pinSubnets(stateDir: string, options: PinOptions = {}): PinnedSubnets {
  const places = placesIn(stateDir);
  const [holder] = places;
  if (holder === undefined) throw absence(stateDir);
  const disk = ({ directory, subnet }: Place): Disk =>
    createFileDisk(storeDirectory(directory, subnet), { readOnly: true });
  const first = pinStores([disk(holder)]);
  first.close();
  const [{ genesis, networkId }] = first.stores as [PinnedStore];
  if (genesis === null) throw absence(stateDir);
  const { subnets } = decodeGenesis(genesis);
  const there = [...subnets.keys()].filter((subnet) => places.some((place) => place.subnet === subnet));
  // A process hosts one node of each subnet or of some, but where a subnet has one node that process is the only one.
  const absent = subnets.findIndex(({ nodes = 1 }, subnet) => nodes === 1 && !there.includes(subnet));
  if (absent >= 0)
    throw missing(stateDir, `that is whole: it lacks the store of subnet ${absent}; start it once`);
  const pinned = pinStores(places.map(disk), options);
  const network = holder.subnet === 0 ? networkId : hashOf(genesis);
  const stores = new Map<number, PinnedStore>();
  for (const subnet of there) {
    const all = pinned.stores.filter((_, at) => places[at]?.subnet === subnet);
    if (all.every((store) => equalBytes(store.networkId, storeId(network, subnet)))) {
      stores.set(subnet, furthest(all));
      continue;
    }
    pinned.close();
    throw new OrreryError(
      "store_foreign",
      `the store of subnet ${subnet} in ${stateDir} belongs to another network; nothing was changed`,
    );
  }
  return { genesis, stores, close: () => pinned.close() };
}

/** Whoever copies a network has all of its subnets, or canisters call some that are not there. */
function refuseGrown(stateDir: string): void {
  if (!placesIn(stateDir).some(({ directory }) => existsSync(join(directory, CREATIONS_FILE)))) return;
  throw new OrreryError(
    "network_grown",
    `the network in ${stateDir} has subnets that its root subnet created while it ran, and snapshots, copies and profiles hold ` +
      "those alone that it began with; orrery trace shows what happened, of a created subnet from the directory of one of its nodes",
  );
}

/**
 * All subnets of a network: what `pinSubnets` finds, where nothing is in other processes; else `store_missing`. `network_grown` where it has
 * others than it began with.
 */
export function pinNetwork(stateDir: string, options: PinOptions = {}): Pinned {
  refuseGrown(stateDir);
  const { genesis, stores, close } = pinSubnets(stateDir, options);
  const count = decodeGenesis(genesis).subnets.length;
  if (stores.size === count) return { stores: [...stores.values()], close };
  close();
  throw missing(
    stateDir,
    `but ${stores.size} of its ${count} subnets: the others are in the directories of their own nodes; name the network's directory, one above`,
  );
}
