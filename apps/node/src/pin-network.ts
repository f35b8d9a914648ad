/** Reads the stores of a state directory as they all were at one instant, whether or not a node writes them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { equalBytes, OrreryError } from "@orrery/base";
import { createFileDisk } from "@orrery/host";
import { type Pinned, type PinnedStore, type PinOptions, pinStores } from "@orrery/state";
import { decodeGenesis } from "./genesis.ts";
import { storeDirectory } from "./state-directory.ts";
import { storeId } from "./subnet-store.ts";

function missing(stateDir: string, text: string): OrreryError {
  return new OrreryError("store_missing", `there is no network in ${stateDir} ${text}`);
}

/** The stores of one network, all of them, as they were at one instant. */
export function pinNetwork(stateDir: string, options: PinOptions = {}): Pinned {
  const root = join(storeDirectory(stateDir, 0), "ORRERY");
  const none = "yet; start one there first, or name its directory with --state-dir";
  if (!existsSync(root)) throw missing(stateDir, none);
  const disk = (subnet: number) => createFileDisk(storeDirectory(stateDir, subnet));
  const first = pinStores([disk(0)]);
  first.close();
  const [{ genesis, networkId }] = first.stores as [PinnedStore];
  if (genesis === null) throw missing(stateDir, none);
  const { subnets } = decodeGenesis(genesis);
  const places = subnets.map((_, subnet) => subnet);
  const absent = places.find((subnet) => !existsSync(join(storeDirectory(stateDir, subnet), "ORRERY")));
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
