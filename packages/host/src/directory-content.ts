/**
 * Names of what is in a state directory: that of a network of one node has its stores, that of a network of several nodes what all of them
 * know and a directory for each, which is one of the first kind. Whoever makes, opens, discards or reads one tells by these what is there.
 */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { LOCK_FILE } from "./directory-lock.ts";

/** Block log and checkpoints of the first subnet, the root. Those of subnet n are in `store-n`, the genesis in the first that is there. */
const STORE_DIRECTORY = "store";
const STORE_NAME = /^store(-[1-9]\d*)?$/;
/** The file that makes a directory a store. */
export const STORE_IDENTITY_FILE = "ORRERY";
/** Where the nodes of a network of several listen for each other: with it the network has begun. */
export const PEERS_FILE = "peers.json";
/** The network's genesis record. */
export const GENESIS_FILE = "genesis.hex";
const NODE_DIRECTORY = "node-";
const NODE_NAME = /^node-\d+$/;
/** Of a node that has keys of its own: what all of them follow from. Readable by its owner only. */
export const NODE_KEY_FILE = "node.key";
/** Of a node of several that has run: whether it ever lost its disk. */
export const NODE_LIFE_FILE = "node.life";
/** Of a node of several: records of the network's registry. */
export const REGISTRY_FILE = "registry";
/** Of a node of several: what the root subnet said of subnets that it created. */
export const CREATIONS_FILE = "creations";
/** Of a node that left its network: it does not run again. */
export const NODE_LEFT_FILE = "node.left";
/** Of a node of several: what its operator approved, one thing for each version of the registry. */
export const NODE_APPROVED_FILE = "node.approved";
/** Of a node that stopped for an upgrade: the version that it is to be started with, and nothing else, for scripts. */
export const NODE_WANTED_FILE = "node.wanted";
/** Of a node of several: the version of the program that it ran last. */
export const NODE_RAN_FILE = "node.ran";
/** What the command line keeps beside them. */
export const NODE_FILE = "node.json";
export const LOG_FILE = "node.log";
const COMPANIONS: ReadonlySet<string> = new Set([
  LOCK_FILE,
  LOG_FILE,
  NODE_FILE,
  NODE_KEY_FILE,
  NODE_APPROVED_FILE,
  NODE_LEFT_FILE,
  NODE_LIFE_FILE,
  NODE_RAN_FILE,
  NODE_WANTED_FILE,
  REGISTRY_FILE,
  CREATIONS_FILE,
]);
/** What a crash left of a file that was written whole. */
const DRAFT_NAME =
  /^(peers\.json|genesis\.hex|node\.json|node\.key|node\.life|node\.approved|node\.left|node\.ran|node\.wanted|registry|creations)\.\d+\.tmp$/;

/** Where a subnet of the network in a state directory keeps its store. */
export function storeDirectory(stateDirectory: string, subnet: number): string {
  return join(stateDirectory, subnet === 0 ? STORE_DIRECTORY : `${STORE_DIRECTORY}-${subnet}`);
}

/** Whether a store is in a state directory, and with it what its nodes signed: a directory with nothing of it is none. */
export function hasStore(stateDirectory: string): boolean {
  return (
    statSync(stateDirectory, { throwIfNoEntry: false })?.isDirectory() === true &&
    directoryContent(stateDirectory).stores.some((name) =>
      existsSync(join(stateDirectory, name, STORE_IDENTITY_FILE)),
    )
  );
}

/** Whether a node's state directory has the records by which it joined a network that others began. */
export function hasJoined(stateDirectory: string): boolean {
  return existsSync(join(stateDirectory, REGISTRY_FILE));
}

/** The state directory of one node of a network of several. */
export function nodeDirectory(networkDirectory: string, place: number): string {
  return join(networkDirectory, `${NODE_DIRECTORY}${place}`);
}

/** Places of the nodes of a network that have a directory here. */
export function nodePlaces(networkDirectory: string): readonly number[] {
  return readdirSync(networkDirectory)
    .filter((name) => NODE_NAME.test(name))
    .map((name) => Number(name.slice(NODE_DIRECTORY.length)))
    .sort((a, b) => a - b);
}

export interface DirectoryContent {
  /** Names of the stores of a network of one node. */
  readonly stores: readonly string[];
  /** Names of what a network of several nodes has: first the one without which it is none. */
  readonly several: readonly string[];
  /** Names of what a crash left of files of the command. */
  readonly drafts: readonly string[];
  /** Names of what is not a network's. */
  readonly strangers: readonly string[];
}

/** What is in a directory that exists. */
export function directoryContent(path: string): DirectoryContent {
  const names = readdirSync(path).sort();
  const stores = names.filter((name) => STORE_NAME.test(name));
  const several = [
    ...names.filter((name) => name === PEERS_FILE),
    ...names.filter((name) => name === GENESIS_FILE || NODE_NAME.test(name)),
  ];
  const drafts = names.filter((name) => DRAFT_NAME.test(name));
  const own = new Set([...COMPANIONS, ...stores, ...several, ...drafts]);
  return { stores, several, drafts, strangers: names.filter((name) => !own.has(name)) };
}

/** Removes the network. What makes it one goes first of several nodes and last of one: what an interrupted removal leaves is not half a network. */
export function removeNetwork(path: string): void {
  const { stores, several, drafts } = directoryContent(path);
  for (const name of [...several, ...drafts, ...[...stores].reverse()])
    rmSync(join(path, name), { recursive: true, force: true });
}
