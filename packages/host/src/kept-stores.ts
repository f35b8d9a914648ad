/**
 * The stores of the subnets in a node's state directory, all of them read as they were at one instant, whether or not a node writes them.
 * Nothing is changed, so that the directory may be one that cannot be written.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { equalBytes, OrreryError } from "@orrery/base";
import { decodeGenesis, storeId } from "@orrery/execution/genesis";
import { type Disk, type Pinned, type PinnedStore, type PinOptions, pinStores } from "@orrery/state";
import { directoryContent, nodeDirectory, storeDirectory } from "./directory-content.ts";
import { createFileDisk } from "./file-disk.ts";

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
  const { strangers, several } =
    there === undefined ? { strangers: [], several: [] } : directoryContent(stateDir);
  if (several.length > 0) {
    return new OrreryError(
      "state_dir_foreign",
      `${stateDir} holds a network of several nodes, each with its own state: name the directory of one of them, ${nodeDirectory(stateDir, 0)}`,
    );
  }
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
