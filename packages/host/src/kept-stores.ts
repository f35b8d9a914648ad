/**
 * Where a node keeps the stores of its subnets in its state directory, and all of them read as they were at one instant, whether or not a
 * node writes them. Nothing is changed, so that the directory may be one that cannot be written.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { equalBytes, OrreryError } from "@orrery/base";
import { decodeGenesis, storeId } from "@orrery/execution/node";
import { type Disk, type Pinned, type PinnedStore, type PinOptions, pinStores } from "@orrery/state";
import { LOCK_FILE } from "./directory-lock.ts";
import { createFileDisk } from "./file-disk.ts";

/** Genesis; block log and checkpoints of the first subnet, the root. Those of subnet n are in `store-n`. */
const STORE_DIRECTORY = "store";
const STORE_NAME = /^store(-[1-9]\d*)?$/;
/** What the command line keeps beside the stores. */
const COMPANIONS: ReadonlySet<string> = new Set([LOCK_FILE, "node.log", "node.json"]);

/** Where a subnet of the network in a state directory keeps its store. */
export function storeDirectory(stateDirectory: string, subnet: number): string {
  return join(stateDirectory, subnet === 0 ? STORE_DIRECTORY : `${STORE_DIRECTORY}-${subnet}`);
}

export interface DirectoryContent {
  /** Names of the stores. */
  readonly stores: readonly string[];
  /** Names of what is not a network's. */
  readonly strangers: readonly string[];
}

/** What is in a directory that exists. */
export function directoryContent(path: string): DirectoryContent {
  const names = readdirSync(path).sort();
  return {
    stores: names.filter((name) => STORE_NAME.test(name)),
    strangers: names.filter((name) => !COMPANIONS.has(name) && !STORE_NAME.test(name)),
  };
}

function hasStore(stateDir: string, subnet: number): boolean {
  return existsSync(join(storeDirectory(stateDir, subnet), "ORRERY"));
}

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
  const { strangers } = there === undefined ? { strangers: [] } : directoryContent(stateDir);
  if (strangers.length === 0)
    return missing(stateDir, "yet; start one there first, or name its state directory");
  return new OrreryError(
    "state_dir_foreign",
    `${stateDir} is not a network's state directory: it holds other files (${strangers.slice(0, 3).join(", ")}); name the directory that "orrery start" uses`,
  );
}

/** `store_missing`, `state_dir_foreign`, `store_foreign`, and those of `pinStores`. */
export function pinNetwork(stateDir: string, options: PinOptions = {}): Pinned {
  if (!hasStore(stateDir, 0)) throw absence(stateDir);
  const disk = (subnet: number): Disk => createFileDisk(storeDirectory(stateDir, subnet), { readOnly: true });
  const first = pinStores([disk(0)]);
  first.close();
  const [{ genesis, networkId }] = first.stores as [PinnedStore];
  if (genesis === null) throw absence(stateDir);
  const places = decodeGenesis(genesis).subnets.map((_, subnet) => subnet);
  const absent = places.find((subnet) => !hasStore(stateDir, subnet));
  if (absent !== undefined)
    throw missing(stateDir, `that is whole: it lacks the store of subnet ${absent}; start it once`);
  const pinned = pinStores(places.map(disk), options);
  const stranger = pinned.stores.findIndex(
    (store, subnet) => !equalBytes(store.networkId, storeId(networkId, subnet)),
  );
  if (stranger < 0) return pinned;
  pinned.close();
  throw new OrreryError(
    "store_foreign",
    `the store of subnet ${stranger} in ${stateDir} belongs to another network; nothing was changed`,
  );
}
